"""Blur of a moving camera and of a lens out of focus, both in linear light, where bright lamps draw bright traces.

Lengths are given for a frame 1280 px wide and follow the width of the image. Both blurs are centred: boxes stay where
they are.

What it does not do: blur single moving objects, or blur by distance.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.linear_light import to_bytes, to_linear
from tl_datasets.effects.scene import Effect, Scene, View, at

_TABLE_WIDTH = 1280
# Way of the image during the exposure, in px. A car that turns at 20 degrees a second with 1/60 s of exposure and a
# lens of 53 degrees moves it by 7 px.
MOTION_PX = (3.0, 4.5, 6.5, 9.5, 14.0)
# Standard deviation of the direction from horizontal: yaw is several times as fast as pitch and roll.
_DIRECTION_DEG = 12.0
# Share of forward motion: the picture streams out of the vanishing point. Then MOTION_PX is the way at the left and
# right edges.
_FORWARD_SHARE = 0.3
# Radius of the disc of confusion, in px.
DEFOCUS_RADIUS_PX = (0.9, 1.3, 1.8, 2.6, 3.8)
# A wider disc is laid over a reduced image.
_LARGEST_RADIUS_PX = 5.0


def apply_motion(scene: Scene, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blur by a pan or a vibration of the camera, mostly horizontal, or by forward motion.

    Args:
        scene: The image; forward motion starts from the vanishing points of its views.
        severity: 1 to 5 = 3 to 14 px at 1280.
        rng: Decides between pan and forward motion, and the direction of the pan.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: The severity is outside 1 to 5.
    """
    length_px = at(MOTION_PX, severity) * scene.image.shape[1] / _TABLE_WIDTH
    is_forward = bool(rng.random() < _FORWARD_SHARE) and len(scene.views) > 0
    direction = math.radians(float(rng.normal(0, _DIRECTION_DEG)))
    linear = to_linear(scene.image)
    if not is_forward:
        return to_bytes(_along_line(linear, length_px * math.cos(direction), length_px * math.sin(direction)))
    for view in scene.views:
        _stream(linear, view, at(MOTION_PX, severity) / (_TABLE_WIDTH / 2))
    return to_bytes(linear)


def apply_defocus(scene: Scene, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blur by a disc, as a lens that is focused too near.

    Args:
        scene: The image.
        severity: 1 to 5 = radius of 0.9 to 3.8 px at 1280.
        rng: Not used: the radius is all there is.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: The severity is outside 1 to 5.
    """
    height, width = scene.image.shape[:2]
    radius_px = at(DEFOCUS_RADIUS_PX, severity) * width / _TABLE_WIDTH
    linear = to_linear(scene.image)
    reduction = math.ceil(radius_px / _LARGEST_RADIUS_PX)
    if reduction > 1:
        size = (math.ceil(width / reduction), math.ceil(height / reduction))
        linear = cv2.resize(linear, size, interpolation=cv2.INTER_AREA)
    kernel = disc(radius_px / reduction)
    spread = cv2.filter2D(linear.astype(np.float32), -1, kernel, borderType=cv2.BORDER_REPLICATE)
    blurred = np.rint(spread).astype(np.uint16)
    if reduction > 1:
        blurred = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)
    return to_bytes(blurred)  # type: ignore[arg-type]


def disc(radius_px: float) -> NDArray[np.float32]:
    """(n, n) share of a disc that falls on each pixel around its centre; the sum is 1."""
    reach = max(0, math.ceil(radius_px - 0.5))
    fine = (np.arange((2 * reach + 1) * 16) + 0.5) / 16 - reach - 0.5
    inside = np.hypot(fine[:, None], fine[None]) <= max(radius_px, 0.5)
    share = inside.reshape(2 * reach + 1, 16, 2 * reach + 1, 16).mean(axis=(1, 3))
    return (share / share.sum()).astype(np.float32)


def _along_line(linear: NDArray[np.uint16], way_x: float, way_y: float) -> NDArray[np.uint16]:
    """The mean over a way, (H, W, 3) as given.

    The mean of 2^k places along a line is k times the mean of the image and its shifted copy, with half the shift of
    the time before.
    """
    height, width = linear.shape[:2]
    steps = max(0, math.ceil(math.log2(max(1.0, math.hypot(way_x, way_y)))))
    shifts = [(round(way_x / 2**i), round(way_y / 2**i)) for i in range(1, steps + 1)]
    total_x, total_y = sum(x for x, _ in shifts), sum(y for _, y in shifts)
    reach_x, reach_y = abs(total_x), abs(total_y)
    blurred = cv2.copyMakeBorder(linear, reach_y, reach_y, reach_x, reach_x, cv2.BORDER_REPLICATE)
    for x, y in shifts:
        rows, columns = blurred.shape[0] - abs(y), blurred.shape[1] - abs(x)
        first = blurred[max(0, y) : max(0, y) + rows, max(0, x) : max(0, x) + columns]
        second = blurred[max(0, -y) : max(0, -y) + rows, max(0, -x) : max(0, -x) + columns]
        blurred = cv2.addWeighted(first, 0.5, second, 0.5, 0)
    top, left = (blurred.shape[0] - height) // 2, (blurred.shape[1] - width) // 2
    return blurred[top : top + height, left : left + width]  # type: ignore[return-value]


def _stream(linear: NDArray[np.uint16], view: View, way: float) -> None:
    """Blur a view outwards from its vanishing point, in place; `way` as a share of the distance from it."""
    height, width = linear.shape[:2]
    x1, y1, x2, y2 = max(0, view.x1), max(0, view.y1), min(width, view.x2), min(height, view.y2)
    if x2 <= x1 or y2 <= y1:
        return
    part = linear[y1:y2, x1:x2]
    x, y = (view.x1 + view.x2) / 2 - x1 - 0.5, view.horizon_px - y1 - 0.5
    farthest_px = math.hypot(max(x, x2 - x1 - x), max(abs(y), abs(y2 - y1 - y)))
    # One place per pixel of the way where it is longest.
    steps = max(1, math.ceil(math.log2(max(2.0, way * farthest_px))))
    blurred = part
    for step in range(1, steps + 1):
        # The first half goes inwards, the others outwards from there: the mean stays where it was.
        scale = 1 + (-way if step == 1 else way) / 2**step
        matrix = np.array([[scale, 0, (1 - scale) * x], [0, scale, (1 - scale) * y]])
        moved = cv2.warpAffine(
            blurred, matrix, (x2 - x1, y2 - y1), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
        blurred = cv2.addWeighted(blurred, 0.5, moved, 0.5, 0)
    linear[y1:y2, x1:x2] = blurred


MOTION_BLUR = Effect(apply=apply_motion)
DEFOCUS = Effect(apply=apply_defocus)
