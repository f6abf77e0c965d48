"""How far away each pixel is, guessed without a depth sensor: a street as a canyon, with the sky above it.

- Below the horizon the ground is flat: distance = focal length * camera height / rows below the horizon.
- To the left and right stand houses or trees at `ROADSIDE_M` from the camera's axis: nothing beside the road is further
  away than they are.
- Above the horizon, what is not sky is at most `SKYLINE_M` high: the higher in the image, the nearer it must be.
- Sky is bright in blue and smooth; its distance is `SKY_M`. By night it cannot be told from walls and is none.
- Ahead, where the road meets the sky, sight ends at `FARTHEST_M`.
- A signal head is as far away as its length says: distance = focal length * `HEAD_LENGTH_M` / length in pixels.

What it does not know: curves, hills, and vehicles, which fade into the distance of the road behind them. Guessing where
road ends from its colour was tried and left: half-found cars have hard edges in fog, which is worse.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.airlight import Colour, daylight
from tl_datasets.effects.camera_view import CameraView

Floats = NDArray[np.float32]

CAMERA_HEIGHT_M = 1.4  # behind the windscreen of a car
HEAD_LENGTH_M = 0.95  # housing of three 200 mm lenses: 0.9 to 1.0 m
ROADSIDE_M = 14.0  # half the distance between the houses of a city street with pavements and parked cars
SKYLINE_M = 15.0  # above the camera: four storeys, grown trees
FARTHEST_M = 400.0
SKY_M = 3000.0
# Sky, as a share of the blue of the brightest fifth above the horizon: below the first none, above the second all.
_SKY_BLUE = (0.72, 0.88)
# Grey levels of detail, at a quarter of the size, above which a bright place is a wall and no sky.
_SKY_DETAIL = (3.0, 9.0)


def ground_distance_m(view: CameraView, row_px: NDArray[np.floating]) -> NDArray[np.floating]:
    """Distance of flat ground at rows (continuous coordinate); `FARTHEST_M` at and above the horizon."""
    below = np.maximum(row_px - view.horizon_px, 1e-6)
    return np.minimum(view.focal_px * CAMERA_HEIGHT_M / below, FARTHEST_M)


def head_distance_m(view: CameraView) -> NDArray[np.float64]:
    """(N,) distance of each signal head of a view by its longer side."""
    boxes = view.lights_xyxy
    length = np.maximum(boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0])
    return view.focal_px * HEAD_LENGTH_M / np.maximum(length, 1e-3)


def sky_share(view: CameraView, air: Colour) -> Floats:
    """(H / 2, W / 2) how much of each pixel is sky, 0 to 1.

    Args:
        view: The frame.
        air: (3,) colour of its air.
    """
    size = view.reduced_size(2)
    bright_day = daylight(air)
    row = _centres(size[1], view.height)
    above = np.clip((view.horizon_px - row) / (0.02 * view.height) + 0.5, 0, 1).astype(np.float32)
    n_rows = int(np.count_nonzero(above))
    share = np.zeros((size[1], size[0]), np.float32)
    if bright_day == 0 or n_rows == 0:
        return share
    blue = cv2.resize(cv2.extractChannel(view.image, 2), size, interpolation=cv2.INTER_AREA)[:n_rows]
    bright = cv2.LUT(blue, _ramp(_SKY_BLUE[0] * air[2], _SKY_BLUE[1] * air[2]))
    quarter_size = (max(1, size[0] // 2), max(1, n_rows // 2))
    quarter = cv2.resize(blue, quarter_size, interpolation=cv2.INTER_AREA)
    detail = cv2.morphologyEx(quarter, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    smooth = cv2.LUT(detail, 255 - _ramp(2 * _SKY_DETAIL[0], 2 * _SKY_DETAIL[1]))
    # The outline of a tree against the sky is full of detail; sky beside it counts as far as that outline.
    smooth = cv2.blur(cv2.dilate(cv2.erode(smooth, np.ones((3, 3), np.uint8)), np.ones((9, 9), np.uint8)), (3, 3))
    sky = cv2.multiply(bright, cv2.resize(smooth, (size[0], n_rows)), scale=1 / 255)
    share[:n_rows] = sky * (above[:n_rows, None] * np.float32(bright_day / 255))
    return share


def distance_m(view: CameraView, sky: Floats) -> Floats:
    """(H / 2, W / 2) distance of each pixel in metres; `SKY_M` for sky, in between for what is partly sky.

    Signal heads are not in it: they are smaller than its cells; `head_distance_m` has them.

    Args:
        view: The frame.
        sky: (H / 2, W / 2) share of sky of each pixel.
    """
    height, width = sky.shape
    row, column = _centres(height, view.height), _centres(width, view.width)
    rise = np.maximum(view.horizon_px - row, 1e-6)
    skyline = view.focal_px * SKYLINE_M / rise
    ahead = np.minimum(ground_distance_m(view, row), skyline).astype(np.float32)
    aside = np.maximum(np.abs(column - view.width / 2), 1e-6)
    wall = (view.focal_px * ROADSIDE_M / aside).astype(np.float32)
    distance = np.minimum(ahead[:, None], wall[None])
    n_rows = int(np.count_nonzero(rise > 1e-6))
    upper = distance[:n_rows]
    upper += sky[:n_rows] * (np.float32(SKY_M) - upper)
    return distance


def _centres(n: int, length_px: int) -> NDArray[np.float64]:
    """Coordinates of the middles of n cells that share a length."""
    return (np.arange(n) + 0.5) * length_px / n


def _ramp(low: float, high: float) -> NDArray[np.uint8]:
    """A table from byte to byte: 0 up to `low`, 255 from `high` on, smooth in between."""
    share = np.clip((np.arange(256) - low) / (high - low), 0, 1)
    return np.round(255 * share**2 * (3 - 2 * share)).astype(np.uint8)
