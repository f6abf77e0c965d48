"""A detector that sees red patches, pictures with such a patch, and videos of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tl_datasets.images import write_rgb
from tl_datasets.label_space import LabelSpace
from tl_detection.detector import Detections


class RedPatchDetector:
    """Finds the bounding box of pure red; a faint second box has a low score."""

    label_space = LabelSpace.model_validate({"classes": {"stop": {"state": "red"}, "light": {}}})

    @property
    def description(self):
        return {"engine": "red patch"}

    def detect(self, images):
        return [self._detect(image) for image in images]

    def _detect(self, image):
        rows, columns = np.nonzero((image[..., 0] > 180) & (image[..., 1:] < 90).all(axis=2))
        if not len(rows):
            return Detections.empty()
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detections(
            xyxy=np.array([box, [0, 0, 5, 5]], np.float32),
            score=np.array([0.75, 0.1], np.float32),
            class_id=np.array([0, 1]),
        )


def draw_patch(x: int = 30, y: int = 20, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    image = np.full((*size, 3), 60, np.uint8)
    image[y : y + 16, x : x + 8] = (230, 20, 20)
    return image


def write_patch_video(path: Path, count: int, fps: float = 10.0) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, (160, 120))
    assert writer.isOpened()
    for index in range(count):
        writer.write(cv2.cvtColor(draw_patch(x=16 + 8 * index), cv2.COLOR_RGB2BGR))
    writer.release()


@pytest.fixture
def detector() -> RedPatchDetector:
    return RedPatchDetector()


@pytest.fixture
def patch_image() -> Callable[..., np.ndarray]:
    return draw_patch


@pytest.fixture
def write_video() -> Callable[..., None]:
    return write_patch_video


@pytest.fixture
def image_path(tmp_path) -> Path:
    path = tmp_path / "frame.png"
    write_rgb(path, draw_patch())
    return path
