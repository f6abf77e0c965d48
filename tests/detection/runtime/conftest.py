"""Frames for the tests of the runtime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

Draw = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def draw() -> Draw:
    """`draw(seed, height, width)`: noise that no camera sends twice, at most 200, so that a red is seen by `0.9 * 200`.

    The small file of the contract sees two lights in it.
    """

    def make(seed: int = 0, height: int = 32, width: int = 64) -> np.ndarray:
        frame = np.random.default_rng(seed).integers(0, 200, (height, width, 3), dtype=np.uint8)
        frame[height // 2, width // 2, 0] = 200
        return frame

    return make
