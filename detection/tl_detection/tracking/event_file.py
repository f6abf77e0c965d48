"""TensorBoard event files: one for each epoch, which appears whole.

An epoch that a resumed run does again takes back what was said of it and of those behind it. Torch's `SummaryWriter` is
not used: it writes in a thread of its own, where a full disk leaves half a file and an error that nobody meets.
"""

from __future__ import annotations

import io
import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.pr_curve.metadata import create_summary_metadata
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

from tl_datasets.images import write_whole
from tl_detection.tracking.score_curves import ScoreCurve

# Protocol buffers are made when they are imported, out of sight of a type checker.
Event: Any = event_pb2.Event  # type: ignore[attr-defined]
SessionLog: Any = event_pb2.SessionLog  # type: ignore[attr-defined]
Summary: Any = summary_pb2.Summary  # type: ignore[attr-defined]


class EventFile:
    """What is said of one epoch; nothing is on the disk before `write`."""

    def __init__(self, epoch: int):
        self._epoch = epoch
        self._buffer = io.BytesIO()
        self._records = RecordWriter(self._buffer)
        self._add(file_version="brain.Event:2")
        # Whoever reads the folder forgets what earlier files say of this step and later ones.
        self._add(step=epoch, session_log=SessionLog(status=SessionLog.START))

    def scalar(self, tag: str, value: float) -> None:
        """Add a number."""
        self._summary(Summary.Value(tag=tag, simple_value=value))

    def score_curve(self, tag: str, curve: ScoreCurve, description: str) -> None:
        """Add precision over recall, for TensorBoard's own panel of such curves."""
        table = (curve.right, curve.wrong, np.zeros_like(curve.right), curve.missed, curve.precision, curve.recall)
        metadata = create_summary_metadata(display_name=tag, description=description, num_thresholds=len(curve.right))
        self._summary(
            Summary.Value(tag=tag, metadata=metadata, tensor=make_tensor_proto(np.stack(table).astype(np.float32)))
        )

    def jpeg(self, tag: str, data: bytes, width_px: int, height_px: int) -> None:
        """Add a picture as it is: decoded and encoded again it would lose a little more."""
        image = Summary.Image(encoded_image_string=data, width=width_px, height=height_px, colorspace=3)
        self._summary(Summary.Value(tag=tag, image=image))

    def write(self, folder: Path) -> Path:
        """Write the file; the folder is made where it is missing.

        Raises:
            OSError: It cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        # Files are read in the order of their names.
        path = folder / f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        write_whole(path, self._buffer.getvalue())
        return path

    def _summary(self, value: Any) -> None:
        self._add(step=self._epoch, summary=Summary(value=[value]))

    def _add(self, **what: Any) -> None:
        self._records.write(Event(wall_time=time.time(), **what).SerializeToString())
