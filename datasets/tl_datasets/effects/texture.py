"""Seeded noise that tiles: the same texture on every machine, whatever was drawn before."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE_PX = 256
_SEED = 20


@lru_cache(maxsize=8)
def tileable_noise(cells: int, octaves: int = 3) -> NDArray[np.float32]:
    """Cloudy noise of mean 0 and standard deviation 1; opposite edges fit together.

    Args:
        cells: Patches along one side of the coarsest octave, a divisor of SIZE_PX.
        octaves: Each has half the patch size and half the amplitude of the one before.

    Returns:
        (SIZE_PX, SIZE_PX) float32, read-only: it is shared.
    """
    rng = np.random.default_rng((_SEED, cells, octaves))
    total = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    for octave in range(octaves):
        n = min(cells * 2**octave, SIZE_PX)
        patches = rng.standard_normal((n, n)).astype(np.float32)
        # Two patches of border on each side carry the cubic filter over the edge.
        wrapped = cv2.copyMakeBorder(patches, 2, 2, 2, 2, cv2.BORDER_WRAP) if n > 1 else np.tile(patches, (5, 5))
        step = SIZE_PX // n
        grown = cv2.resize(wrapped, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += 0.5**octave * grown[2 * step : 2 * step + SIZE_PX, 2 * step : 2 * step + SIZE_PX]
    total -= total.mean()
    total /= total.std()
    total.setflags(write=False)
    return total


def sample_noise(noise: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values of tiling noise at places: (h, w) coordinates in pixels of the tile, wrapped around."""
    size = noise.shape[0]
    inside_x, inside_y = np.mod(x, np.float32(size)), np.mod(y, np.float32(size))
    return np.asarray(cv2.remap(noise, inside_x, inside_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)
