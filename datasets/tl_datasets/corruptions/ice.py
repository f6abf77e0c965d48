"""Ice on a window, drawn: fern-like crystals over uneven haze, in the colours of photographs of ice."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# Mean and standard deviation of red, green and blue of the pictures of ice in imagecorruptions 1.1.2, measured; the
# brightest is there twice, and so it is here.
_COLOURS = (
    ((77.7, 149.1, 165.7), (26.9, 16.5, 15.3)),
    ((200.8, 205.4, 214.5), (21.4, 22.1, 22.6)),
    ((200.8, 205.4, 214.5), (21.4, 22.1, 22.6)),
    ((137.6, 152.8, 165.2), (28.5, 28.5, 29.9)),
    ((112.4, 123.4, 134.8), (44.4, 43.3, 41.7)),
)
# Lengths below are for a frame that is so wide, in pixels.
_REFERENCE_PX = 1280
_CRYSTALS = 900
# Crystals are drawn in so many layers, each of one brightness.
_LAYERS = 6
_STEM_PX = (15.0, 110.0)
# Barbs on each side of a stem, their greatest length as a share of the stem's, their angle to it and how it varies.
_BARBS, _BARB_SHARE, _BARB_RADIANS, _BARB_SPREAD = 14, 0.3, 0.6, 0.15
# Standard deviation of crystals and haze in what is then brought to the standard deviation of a colour.
_CRYSTAL_WEIGHT, _HAZE_WEIGHT, _HAZE_CELLS = 1.0, 0.8, 6
# Ice is neither black nor far brighter than its mean.
_MOST_DEVIATIONS = 2.5


def draw_ice(height: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture of ice, (H, W, 3) uint8 RGB."""
    haze = cv2.resize(
        rng.standard_normal((_HAZE_CELLS, _HAZE_CELLS), dtype=np.float32),
        (width, height),
        interpolation=cv2.INTER_CUBIC,
    )
    crystals = _crystals(height, width, rng)
    field = cv2.addWeighted(_standard(crystals), _CRYSTAL_WEIGHT, _standard(haze), _HAZE_WEIGHT, 0)
    field = np.clip(_standard(field), -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
    means, deviations = _COLOURS[rng.integers(len(_COLOURS))]
    colours = [cv2.convertScaleAbs(field, alpha=a, beta=b) for a, b in zip(deviations, means, strict=True)]
    return cv2.merge(colours)  # type: ignore[return-value]


def _crystals(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W) crystals of different brightness over each other."""
    scale = max(height, width) / _REFERENCE_PX
    canvas = np.zeros((height, width), np.uint8)
    for layer in range(_LAYERS):
        segments = _ferns(height, width, scale, _CRYSTALS // _LAYERS, rng)
        level = 90 + 165 * layer // (_LAYERS - 1)
        cv2.polylines(canvas, list(segments), False, level, 1, cv2.LINE_AA)  # type: ignore[call-overload]
    fine = canvas.astype(np.float32)
    # Light from one side: a crystal has a bright and a dark flank.
    soft = cv2.GaussianBlur(fine, (0, 0), max(3.0 * scale, 0.5))
    return fine + 2 * soft - np.roll(soft, (2, 2), axis=(0, 1))


def _ferns(height: int, width: int, scale: float, n: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """(segments, 2, 2) stems of crystals with their barbs, pixels."""
    root = rng.uniform((0, 0), (width, height), (n, 2))
    angle = rng.uniform(0, 2 * np.pi, n)
    length = rng.uniform(*_STEM_PX, n) * scale
    # Barbs stand on both sides of a stem and grow shorter towards its tip.
    along = rng.uniform(0, 1, (n, 2 * _BARBS))
    side = np.repeat([_BARB_RADIANS, -_BARB_RADIANS], _BARBS) + rng.normal(0, _BARB_SPREAD, (n, 2 * _BARBS))
    start = root[:, None] + (length[:, None] * along)[..., None] * _direction(angle)[:, None]
    reach = length[:, None] * _BARB_SHARE * (1 - along) * rng.uniform(0.3, 1, along.shape)
    barb = reach[..., None] * _direction(angle[:, None] + side)
    stems = np.stack([root, root + length[:, None] * _direction(angle)], axis=1)
    barbs = np.stack([start, start + barb], axis=2).reshape(-1, 2, 2)
    return np.round(np.concatenate([stems, barbs])).astype(np.int32)


def _direction(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _standard(values: cv2.typing.MatLike) -> NDArray[np.float32]:
    """The values with mean 0 and standard deviation 1."""
    mean, deviation = (float(part[0, 0]) for part in cv2.meanStdDev(values))
    return (values.astype(np.float32) - np.float32(mean)) / np.float32(max(deviation, 1e-6))
