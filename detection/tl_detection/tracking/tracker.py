"""`Tracker`: what is written down and shown of each epoch of a run, by the first rank alone.

`metrics.jsonl` is the truth, and a run that cannot write it ends. Everything else is for people who watch: what fails
there is said once, and the training goes on. Only a full disk ends it, as the next checkpoint would fail as well.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tl_datasets.catalog import Catalog
from tl_datasets.images import write_whole
from tl_datasets.label_space import LabelSpace
from tl_detection.config import RunConfig
from tl_detection.evaluation.report import Evaluation
from tl_detection.run_dir import RunDir
from tl_detection.tracking.batch_sheet import draw_batch
from tl_detection.tracking.event_file import EventFile
from tl_detection.tracking.faults import Faults
from tl_detection.tracking.frame_choice import choose_frames
from tl_detection.tracking.jpeg import Jpeg, encode_jpeg
from tl_detection.tracking.mlflow_sink import MlflowSink, Status, import_mlflow, is_file_store
from tl_detection.tracking.prediction_sheet import draw_prediction_sheet
from tl_detection.tracking.score_curves import score_curves
from tl_detection.training.metrics import epoch_line, peak_memory_gb, scalars

if TYPE_CHECKING:
    import torch

    from tl_datasets.torch_dataset import Batch

logger = logging.getLogger(__name__)


def check_tracking(config: RunConfig) -> None:
    """Refuse what cannot be tracked as it is asked for, before anything is read or made.

    Raises:
        ConfigError: MLflow is asked for and not installed, or its URI is none that is supported.
    """
    uri = config.track.mlflow
    if uri is None:
        return
    import_mlflow(uri)
    if is_file_store(uri):
        logger.warning(
            "track.mlflow %s: MLflow keeps folders for old data only, and may refuse them; sqlite:///mlflow.db is "
            "its store of one file",
            uri,
        )


class Tracker:
    """What is written down and shown of a run; a context manager that closes itself.

    Attributes:
        faults: What failed and was passed over.
    """

    def __init__(
        self,
        run: RunDir,
        config: RunConfig,
        label_space: LabelSpace,
        resumed: bool,
        *,
        fingerprint: str | None = None,
        strict: bool = False,
    ):
        """Take a run; nothing is written yet.

        Args:
            run: Its folder.
            config: Its configuration, which `check_tracking` has passed.
            label_space: Its classes.
            resumed: Whether it goes on where it was interrupted.
            fingerprint: Of data, configuration, code and versions, as a tag.
            strict: Raise what fails instead of passing over it.
        """
        self.faults = Faults(run.path, strict=strict)
        self._run, self._config, self._label_space, self._resumed = run, config, label_space, resumed
        self._frames: NDArray[np.int64] | None = None
        self._batch_sheet: Jpeg | None = None
        self._is_closed = False
        self._mlflow: MlflowSink | None = None
        if config.track.mlflow is not None:
            tags = {
                "tl.run": str(run.path),
                "tl.model": config.model.kind,
                "tl.label_space_fingerprint": label_space.fingerprint,
                "tl.resumed": str(resumed).lower(),
            } | ({} if fingerprint is None else {"tl.fingerprint": fingerprint})
            self._mlflow = MlflowSink(run, config, config.track.mlflow, tags)

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status: Status = "finished" if kind is None else "failed" if issubclass(kind, Exception) else "interrupted"
        self.close(status)

    def batch(self, images: torch.Tensor, batch: Batch) -> None:
        """Draw the first batch as the network sees it: `pictures/first_batch.jpg`, and TensorBoard with the next epoch.

        Args:
            images: (B, 3, H, W) uint8 RGB; the first twelve are drawn.
            batch: Their boxes and ignore areas.
        """
        if not self._config.track.pictures:
            return
        with self.faults.passing_over("the picture of the first batch"):
            self._batch_sheet = encode_jpeg(draw_batch(images, batch, self._label_space))
            path = self._write_picture("first_batch.jpg", self._batch_sheet)
            logger.info("what the network sees: %s", path)

    def epoch(self, row: dict[str, Any], evaluation: Evaluation | None, catalog: Catalog) -> None:
        """Write down an epoch that has ended.

        Args:
            row: See `training.metrics.epoch_line`.
            evaluation: Of the validation frames, where the epoch was scored.
            catalog: The validation frames.

        Raises:
            TrainingError: `metrics.jsonl` cannot be written, or the disk is full.
        """
        memory_gb = peak_memory_gb()
        row = row if memory_gb is None else {"host_mem_gb": round(memory_gb, 3), **row}
        self._run.append_metrics(row)
        logger.info("%s", epoch_line(row))
        sheet = None
        if evaluation is not None and self._config.track.pictures:
            with self.faults.passing_over("pictures of predictions"):
                sheet = encode_jpeg(self._draw_predictions(row, evaluation, catalog))
                self._write_picture(f"epoch_{row['epoch'] + 1:03d}.jpg", sheet)
        if self._config.track.tensorboard:
            with self.faults.passing_over("TensorBoard"):
                self._write_events(row, evaluation, sheet)
        if self._mlflow is not None:
            with self.faults.passing_over("MLflow"):
                self._mlflow.epoch(row)

    def close(self, status: Status) -> None:
        """End the run in MLflow, and say once more what failed; a second call does nothing.

        Args:
            status: How the run ended.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if self._mlflow is not None:
            with self.faults.passing_over("MLflow", at_the_end=True):
                self._mlflow.close(status)
        self.faults.log_totals()

    def _draw_predictions(self, row: Mapping[str, Any], evaluation: Evaluation, catalog: Catalog) -> NDArray[np.uint8]:
        if self._frames is None:
            truth = evaluation.matched.ground_truth
            self._frames = choose_frames(truth, self._config.track.pictures, self._config.train.seed)
        ap50 = evaluation.report.overall.ap50
        title = f"{self._config.name}  |  epoch {row['epoch'] + 1}  |  AP50 {'-' if ap50 is None else f'{ap50:.3f}'}"
        return draw_prediction_sheet(evaluation, catalog, self._label_space, self._frames.tolist(), title)

    def _write_picture(self, name: str, jpeg: Jpeg) -> Path:
        folder = self._run.path / "pictures"
        folder.mkdir(exist_ok=True)
        write_whole(folder / name, jpeg.data)
        return folder / name

    def _write_events(self, row: Mapping[str, Any], evaluation: Evaluation | None, sheet: Jpeg | None) -> None:
        events = EventFile(row["epoch"])
        for tag, value in scalars(row):
            events.scalar(tag, value)
        for tag, jpeg in (("first batch", self._batch_sheet), ("predictions", sheet)):
            if jpeg is not None:
                events.jpeg(tag, jpeg.data, jpeg.width_px, jpeg.height_px)
        if evaluation is not None:
            for frames, name, curve in score_curves(evaluation):
                objects = int(curve.right[0] + curve.missed[0])
                events.score_curve(f"{frames}/{name}", curve, f"{name}, {frames}: {objects} objects, IoU 0.5")
        events.write(self._run.path / "tensorboard")
        self._batch_sheet = None
