"""Frames with coloured squares, and where such squares are found in a picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tl_datasets.augment.labelled import Labelled
from tl_datasets.augment.pipeline import Augmenter
from tl_datasets.augment.settings import AugmentConfig
from tl_datasets.label_space import LabelSpace

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
NOTHING = {"mosaic": 0, "crop": 0, "scale": [1, 1], "translate": 0, "flip_lr": 0, "transforms": []}
THREE = LabelSpace.model_validate({"classes": {state: {"state": state} for state in ("red", "green", "yellow")}})


@pytest.fixture
def augmenter() -> Callable[..., Augmenter]:
    """An augmenter that does nothing but what is asked for."""

    def make(space: LabelSpace = THREE, size: tuple[int, int] = (192, 96), **changed: Any) -> Augmenter:
        return Augmenter(AugmentConfig.model_validate(NOTHING | changed), space, *size)

    return make


@pytest.fixture
def sample_of() -> Callable[..., Labelled]:
    """A sample of frames as the dataset asks for it: every frame with the plan of its own generator."""

    def make(tool: Augmenter, frames: list[Labelled], seed: int = 0, **options: Any) -> Labelled:
        rng = np.random.default_rng(seed)
        plans = [tool.plan(np.random.default_rng([seed, number]), mosaic=True) for number in range(len(frames))]
        needed = (4 if plans[0].kind == "mosaic" else 1) + plans[0].mixed
        return tool.sample(list(zip(frames, plans, strict=True))[:needed], rng, **options)

    return make


@pytest.fixture
def squares() -> Callable[..., Labelled]:
    """Three squares of 24 px apart from one another, of the colours of class id 0, 1, 2 or of one of them."""

    def make(width: int = 240, height: int = 120, seed: int = 0, only: int | None = None) -> Labelled:
        rng = np.random.default_rng(seed)
        image = np.zeros((height, width, 3), np.uint8)
        boxes, classes = [], []
        for number in range(3):
            x = number * width // 3 + int(rng.integers(6, width // 3 - 34))
            y = int(rng.integers(2, height - 28))
            classes.append(number if only is None else only)
            image[y : y + 24, x : x + 24] = COLOURS[classes[-1]]
            boxes.append([x, y, x + 24, y + 24])
        return Labelled(image=image, xyxy=np.array(boxes, float), class_id=np.array(classes))

    return make


@pytest.fixture
def found_square() -> Callable[[np.ndarray, np.ndarray, int], np.ndarray]:
    """Edges of a coloured square, to a fraction of a pixel, from the brightness of its rows and columns."""

    def find(image: np.ndarray, near: np.ndarray, channel: int) -> np.ndarray:
        x1, y1, x2, y2 = np.round(near).astype(int)
        top, left = max(0, y1 - 4), max(0, x1 - 4)
        others = [axis for axis in range(3) if axis != channel]
        window = image[top : y2 + 4, left : x2 + 4].astype(float)
        # Grey padding has equal channels; the square has one.
        lit = np.clip(window[:, :, channel] - window[:, :, others].max(axis=2), 0, None) / 255
        columns, rows = lit.max(axis=0), lit.max(axis=1)
        return np.array(
            [
                left + _first_edge(columns),
                top + _first_edge(rows),
                left + len(columns) - _first_edge(columns[::-1]),
                top + len(rows) - _first_edge(rows[::-1]),
            ]
        )

    return find


def _first_edge(profile: np.ndarray) -> float:
    """Where a profile that rises from 0 to 1 crosses: its half height between pixel centres."""
    above = int(np.argmax(profile >= 0.5))
    if above == 0:
        return 0.0
    low, high = profile[above - 1], profile[above]
    return above - 0.5 + (0.5 - low) / (high - low)
