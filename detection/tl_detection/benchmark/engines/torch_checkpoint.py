"""A checkpoint as `tl detect` and `tl evaluate` run it: torch, eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from tl_detection.detectors.load import load_detector


def limit_threads(threads: int) -> None:
    """For torch and OpenCV."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def as_input(frame: NDArray[np.uint8], settings: dict[str, Any]) -> NDArray[np.uint8]:
    """RGB, as it is."""
    return frame


def open_engine(settings: dict[str, Any]) -> tuple[Callable[..., Any], Callable[[], str]]:
    """Open the checkpoint `settings["path"]` on `settings["device"]`."""
    detector = load_detector(settings["path"], settings["device"])

    def run(frame: NDArray[np.uint8]) -> tuple[NDArray, NDArray, NDArray]:
        found = detector.detect([frame])[0]
        return found.xyxy, found.score, found.class_id

    return run, lambda: f"torch {settings['device']}"
