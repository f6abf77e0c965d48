"""Where the sky is seen, pixel by pixel: what must turn dark at night, and where a low sun can stand.

Sky is bright, not warmer than grey, above the horizon, and joined to the upper edge of the frame, gaps between leaves
included. Unlike the sky of tl_datasets/effects/depth.py it follows every outline, since a lit rim around dark trees
would show at once.

What it does not do: tell a white wall that reaches the upper edge from a cloud, or find the sky of a night.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.camera_view import CameraView

# Blue of sky as a share of that of the brightest twentieth above the horizon, and the least blue of a day, in bytes.
_BLUE_SHARE = (0.5, 0.68)
_LEAST_BLUE = 100.0
# Excess of red over blue of sky, in bytes: none above the second. Clouds near the horizon are a little warm.
_WARMTH = (8, 24)
# Cells that carry the connection to the upper edge: their side as a share of the focal length, and the least share of
# sky in them.
_CELL_PER_FOCAL = 1 / 160
_LEAST_SHARE = 0.25


def open_sky(view: CameraView) -> NDArray[np.float32]:
    """(ceil(H / 2), ceil(W / 2)) how much of each pixel of the halved frame is sky, 0 to 1."""
    size = (-(-view.width // 2), -(-view.height // 2))
    half = cv2.resize(view.image, size, interpolation=cv2.INTER_AREA)
    row = (np.arange(size[1]) + 0.5) / size[1] * view.height
    above = np.clip((view.horizon_px - row) / (0.03 * view.focal_px) + 0.5, 0, 1).astype(np.float32)
    n_rows = int(np.count_nonzero(above))
    sky = np.zeros((size[1], size[0]), np.float32)
    if n_rows == 0:
        return sky
    half = np.ascontiguousarray(half[:n_rows])
    blue = cv2.extractChannel(half, 2)
    counts = np.cumsum(cv2.calcHist([blue], [0], None, [256], [0, 256]))
    brightest = float(np.searchsorted(counts, 0.95 * counts[-1]))
    if brightest < _LEAST_BLUE / _BLUE_SHARE[1]:
        return sky
    bright = cv2.LUT(blue, ramp(brightest * _BLUE_SHARE[0], brightest * _BLUE_SHARE[1]))
    cool = cv2.LUT(cv2.subtract(cv2.extractChannel(half, 0), blue), 255 - ramp(*_WARMTH))
    alike = cv2.multiply(bright, cool, scale=1 / 255)
    joined = cv2.multiply(alike, _joined(alike, view), scale=1 / 255)  # type: ignore[arg-type]
    sky[:n_rows] = joined * (above[:n_rows, None] / np.float32(255))
    return sky


def _joined(alike: NDArray[np.uint8], view: CameraView) -> NDArray[np.uint8]:
    """(h, w) 255 where what looks like sky is joined to the upper edge."""
    height, width = alike.shape
    side = max(1.0, view.focal_px * _CELL_PER_FOCAL / 2)
    cells = (max(1, round(width / side)), max(1, round(height / side)))
    small = cv2.resize(alike, cells, interpolation=cv2.INTER_AREA)
    is_sky = (small >= 255 * _LEAST_SHARE).astype(np.uint8)
    _, labels = cv2.connectedComponents(is_sky, connectivity=8)
    at_top = np.unique(labels[: max(1, cells[1] // 20)])
    joined = np.isin(labels, at_top[at_top > 0]).astype(np.uint8) * np.uint8(255)
    # Gaps between leaves are cut off from the sky; they lie close to it.
    grown = cv2.dilate(joined, np.ones((5, 5), np.uint8))
    return cv2.resize(grown, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def ramp(low: float, high: float) -> NDArray[np.uint8]:
    """A table from byte to byte: 0 up to `low`, 255 from `high` on."""
    return np.round(255 * np.clip((np.arange(256) - low) / (high - low), 0, 1)).astype(np.uint8)
