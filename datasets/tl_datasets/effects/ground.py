"""The ground of a view at a quarter of its size: where it is in metres, and how much of it is bare road."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_datasets.effects.camera_view import CameraView
from tl_datasets.effects.depth import CAMERA_HEIGHT_M
from tl_datasets.effects.road import LEAST_ROWS_PX, Floats, bare_road, ground_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What lies below the horizon, at one part in REDUCTION; (h, w) arrays.

    Attributes:
        top_px: First row of the view that it covers.
        right_m: (h, w) metres to the right of the camera.
        ahead_m: (h, 1) metres ahead of the camera.
        below_px: (h, 1) rows below the horizon, in pixels of the view.
        road: (h, w) 0 to 1, how likely a pixel is bare road.
    """

    top_px: int
    right_m: Floats
    ahead_m: Floats
    below_px: Floats
    road: Floats


def ground_of(view: CameraView) -> Ground | None:
    """The ground of a view; None where the horizon lies at its lower edge or below."""
    top, n_rows = ground_rows(view)
    if n_rows < LEAST_ROWS_PX:
        return None
    road = bare_road(view)
    height, width = road.shape
    row = top + (np.arange(height, dtype=np.float32)[:, None] + 0.5) * n_rows / height
    column = (np.arange(width, dtype=np.float32)[None] + 0.5) * view.width / width
    below = np.maximum(row - np.float32(view.horizon_px), 0.5).astype(np.float32)
    ahead = np.float32(view.focal_px * CAMERA_HEIGHT_M) / below
    right = (column - np.float32(view.width / 2)) * (ahead / np.float32(view.focal_px))
    return Ground(top_px=top, right_m=right, ahead_m=ahead, below_px=below, road=road)
