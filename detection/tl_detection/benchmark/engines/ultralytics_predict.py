"""ultralytics' own `predict`, on its own checkpoint or its own ONNX file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tl_detection import ultralytics_door

# Imported with this file, so that no import is timed as part of the first frame.
_YOLO = ultralytics_door.yolo_class()


def limit_threads(threads: int) -> None:
    """For torch and OpenCV, and for the onnxruntime session that ultralytics will open: it says nothing itself."""
    ultralytics_door.limit_threads(threads)


def as_input(frame: NDArray[np.uint8], settings: dict[str, Any]) -> NDArray[np.uint8]:
    """`predict` takes arrays as BGR; turning them round is not timed."""
    return frame[:, :, ::-1]


def open_engine(settings: dict[str, Any]) -> tuple[Callable[..., Any], Callable[[], str]]:
    """Open `settings["path"]`; the network itself is read at the first frame, as `predict` does."""
    model = _YOLO(settings["path"], task="detect")
    arguments = settings["predict"]
    device = torch.device(arguments["device"])

    def run(frame: NDArray[np.uint8]) -> tuple[NDArray, NDArray, NDArray]:
        boxes = model.predict(frame, **arguments)[0].boxes
        data = boxes.data.cpu().numpy()
        return data[:, :4], data[:, 4], data[:, 5].astype(np.int64)

    def provider() -> str:
        session = getattr(getattr(model.predictor.model, "backend", None), "session", None)
        return f"torch {device.type}" if session is None else str(session.get_providers()[0])

    return run, provider
