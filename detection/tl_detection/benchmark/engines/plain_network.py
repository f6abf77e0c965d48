"""The network alone in onnxruntime, with OpenCV's letterbox and suppression around it: what one would write by hand.

Each step is the quickest of those tried: bytes are transposed before they become floats (0.8 ms for 640x640, 1.4 ms by
`cv2.dnn.blobFromImage`), and only boxes over the score are looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tl_datasets.letterbox import letterbox
from tl_detection.benchmark.engines.exported import check_provider


def limit_threads(threads: int) -> None:
    """For OpenCV; onnxruntime takes its number when it opens."""
    cv2.setNumThreads(threads)


def as_input(frame: NDArray[np.uint8], settings: dict[str, Any]) -> NDArray[np.uint8]:
    """RGB, as it is."""
    return frame


def open_engine(settings: dict[str, Any]) -> tuple[Callable[..., Any], Callable[[], str]]:
    """Open the network of `settings["path"]`; the other settings are those of `Suppression` and the input size."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = settings["threads"]
    session = onnxruntime.InferenceSession(settings["path"], options, providers=[settings["provider"]])
    check_provider(settings["provider"], session.get_providers()[0])
    name = session.get_inputs()[0].name
    width, height = settings["width_px"], settings["height_px"]
    select = _select_end_to_end if settings["end_to_end"] else _select

    def run(frame: NDArray[np.uint8]) -> tuple[NDArray, NDArray, NDArray]:
        canvas, placement = letterbox(frame, width, height)
        planes = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None])
        raw: Any = session.run(None, {name: np.multiply(planes, np.float32(1 / 255), dtype=np.float32)})[0]
        xyxy, score, class_id = select(raw[0], settings)
        xyxy = placement.to_frame(xyxy)
        frame_height, frame_width = frame.shape[:2]
        np.clip(xyxy[:, 0::2], 0, frame_width, out=xyxy[:, 0::2])
        np.clip(xyxy[:, 1::2], 0, frame_height, out=xyxy[:, 1::2])
        inside = (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])
        return xyxy[inside], score[inside], class_id[inside]

    return run, lambda: session.get_providers()[0]


def _select(raw: NDArray[np.float32], settings: dict[str, Any]) -> tuple[NDArray, NDArray, NDArray]:
    """(4 + classes, anchors) to boxes over the score that no better one overlaps."""
    best = raw[4:].max(axis=0)
    found = np.flatnonzero(best > settings["score"])
    cx, cy, width, height = raw[:4, found]
    xywh = np.stack([cx - width / 2, cy - height / 2, width, height], axis=1)
    return _suppress(xywh, best[found], raw[4:, found].argmax(axis=0), settings)


def _select_end_to_end(raw: NDArray[np.float32], settings: dict[str, Any]) -> tuple[NDArray, NDArray, NDArray]:
    """(K, 6) to the same; the head has suppressed, but neither states of one lamp nor twins of two levels."""
    rows = raw[raw[:, 4] > settings["score"]]
    xywh = np.concatenate([rows[:, :2], rows[:, 2:4] - rows[:, :2]], axis=1)
    return _suppress(xywh, rows[:, 4], rows[:, 5].astype(np.int64), settings)


def _suppress(
    xywh: NDArray[np.float32], score: NDArray[np.float32], class_id: NDArray[np.int64], settings: dict[str, Any]
) -> tuple[NDArray, NDArray, NDArray]:
    if settings["across_classes"]:
        kept = cv2.dnn.NMSBoxes(xywh, score, settings["score"], settings["iou"])  # type: ignore[arg-type]
    else:
        kept = cv2.dnn.NMSBoxesBatched(xywh, score, class_id, settings["score"], settings["iou"])  # type: ignore[arg-type]
    kept = np.asarray(kept, dtype=np.int64).reshape(-1)[: settings["max_detections"]]
    xywh = xywh[kept]
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1), score[kept], class_id[kept]
