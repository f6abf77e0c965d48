"""Which pixels below the horizon are bare road, guessed from colour: like most of the middle, and joined to it.

Seen from a row before the car, up and down each column, road ends where something is much darker (the shadow under a
vehicle, a bonnet), much brighter and thick, or coloured. What lies behind counts as an obstacle, even if it is grey.
Shadows of trees end it as well: the guess is careful, and effects are weaker there.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.camera_view import CameraView

Floats = NDArray[np.float32]

REDUCTION = 4
# Nothing can be told of ground in fewer rows of the frame than this.
LEAST_ROWS_PX = 8
# The row from which columns are followed, as a share of the rows from the horizon down.
_START = 0.72
# How much darker or brighter than the typical road of its row road may be, as a share of that: surely, and at most.
_DARKER, _BRIGHTER = (0.18, 0.42), (0.4, 0.9)
# Grey levels that are added to the typical road, so that noise does not decide by night.
_MARGIN = 6.0
# Chroma in grey levels up to which a surface may be asphalt, and from which on it is none.
_CHROMA = (26.0, 60.0)


def ground_rows(view: CameraView) -> tuple[int, int]:
    """First row of the view below its horizon, and the number of rows from there on."""
    top = max(0, int(np.ceil(view.horizon_px)))
    return top, max(0, view.height - top)


def bare_road(view: CameraView) -> Floats:
    """(h, w) 0 to 1 for the rows below the horizon, at one part in REDUCTION; (0, w) where there is no ground."""
    top, n_rows = ground_rows(view)
    width = max(1, view.width // REDUCTION)
    if n_rows < LEAST_ROWS_PX:
        return np.zeros((0, width), np.float32)
    height = max(1, n_rows // REDUCTION)
    alike = _road_like(
        np.asarray(cv2.resize(view.image[top:], (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    )
    start = min(round(_START * height), height - 1)
    joined = np.empty_like(alike)
    joined[start::-1] = np.minimum.accumulate(alike[start::-1], axis=0)
    joined[start:] = np.minimum.accumulate(alike[start:], axis=0)
    return np.asarray(cv2.blur(joined, (13, 5)) * np.float32(1 / 255), np.float32)


def _road_like(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = small.shape[:2]
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    strongest = cv2.max(cv2.max(small[..., 0], small[..., 1]), small[..., 2])
    weakest = cv2.min(cv2.min(small[..., 0], small[..., 1]), small[..., 2])
    middle = (slice(height // 4, max(height // 4 + 1, 3 * height // 4)), slice(width // 5, max(1, 4 * width // 5)))
    sample = luma[:, middle[1]][:, ::4]
    typical = float(np.median(sample[middle[0]]))
    # By night the light of the own lamps fades ahead: the level follows the rows within bounds.
    by_row = np.clip(np.median(sample, axis=1), 0.5 * typical, 1.4 * typical)
    by_row = cv2.blur(by_row.astype(np.float32)[:, None], (1, 2 * max(1, height // 10) + 1))
    ratio = (luma - by_row) * (128 / (by_row + np.float32(_MARGIN))) + 128
    steps = (-_DARKER[1], -_DARKER[0], _BRIGHTER[0], _BRIGHTER[1])
    shares = np.interp(np.arange(-128, 384) / 128, steps, (0, 255, 255, 0)).round().astype(np.uint8)
    alike = shares[np.clip(ratio, 0, 511).astype(np.int16)]
    dull = np.clip((_CHROMA[1] - np.arange(256)) / (_CHROMA[1] - _CHROMA[0]), 0, 1)
    bytes_dull = cv2.LUT(cv2.subtract(strongest, weakest), np.round(255 * dull).astype(np.uint8))
    road = cv2.multiply(alike, bytes_dull, scale=1 / 255)
    # Markings and joints are thin: closed.
    return np.asarray(cv2.morphologyEx(road, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)), np.uint8)
