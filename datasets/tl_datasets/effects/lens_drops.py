"""Drops on the windscreen: each a small wide-angle lens that shows the scene upside down, out of focus.

Road is at its top and sky at its bottom; its rim is dark, because it sends the light elsewhere. A lit lens shines
through the drop before it, at its own place: a label says what it shows, and an inverted head would show another state.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.airlight import airlight, daylight
from tl_datasets.effects.camera_view import CameraView, paint_views
from tl_datasets.effects.lit_lenses import lit_lenses
from tl_datasets.effects.scene import Effect, Scene, at
from tl_datasets.effects.veil import mixed

# Share of the windscreen under drops: from a first drizzle to rain without wipers.
COVERED = (0.008, 0.018, 0.035, 0.055, 0.08)
# Drops of 1.5 to 10 mm on a screen at 25 cm from the lens; the median, and the standard deviation of its logarithm.
_MEDIAN_MM, _SPREAD, _SMALLEST_MM, _LARGEST_MM = 4.2, 0.5, 1.5, 10.0
_SCREEN_M = 0.25
# A view of so many pixels holds at most one drop.
_PIXELS_PER_DROP = 3000
_SHAPES, _SHAPE_PX = 16, 48
# Share of the circle around a drop that its outline and soft rim leave.
_FILLED = 0.6
# What a drop shows: this share of the frame to either side.
_SEEN = 0.33
# Share of the light of a lit lens that comes straight through a drop before it.
_THROUGH_DROPS = 0.9


def apply(scene: Scene, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The scene through a windscreen with drops.

    Args:
        scene: The image, its signal heads and views.
        severity: In [1, 5]; 0.8, 1.8, 3.5, 5.5, 8 % of the screen lie under drops.
        rng: Decides where the drops are, and their sizes and shapes.

    Returns:
        (H, W, 3) uint8 RGB; pixels in no view are as they were.

    Raises:
        ValueError: The severity is outside 1 to 5.
    """
    at(COVERED, severity)
    return paint_views(scene, lambda view: _paint(view, severity, rng))


def _paint(view: CameraView, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    radii = _radii_px(view, at(COVERED, severity), rng)
    n = len(radii)
    places = rng.uniform((0, 0), (view.width, view.height), (n, 2))
    shapes, tall = rng.integers(0, _SHAPES, n), rng.uniform(0.9, 1.35, n)
    mirrored = _upside_down(view)
    painted = view.image.copy()
    for (x, y), radius, shape, stretch in zip(places, radii, shapes, tall, strict=True):
        left, top = int(x - radius), int(y - stretch * radius)
        size = (max(3, round(2 * radius)), max(3, round(2 * stretch * radius)))
        rows = slice(max(top, 0), min(top + size[1], view.height))
        columns = slice(max(left, 0), min(left + size[0], view.width))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        cut = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        opacity, shade = (cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)[cut] for part in _shape(int(shape)))
        shown = cv2.resize(_window(mirrored, x / view.width, y / view.height), size)[cut]
        shown = cv2.multiply(shown, cv2.cvtColor(shade, cv2.COLOR_GRAY2RGB), scale=1 / 200)
        weight = cv2.cvtColor(opacity, cv2.COLOR_GRAY2RGB)
        part = painted[rows, columns]
        left_over = cv2.multiply(part, cv2.bitwise_not(weight), scale=1 / 255)
        painted[rows, columns] = cv2.add(left_over, cv2.multiply(shown, weight, scale=1 / 255))
    for lens in lit_lenses(view):
        share = _THROUGH_DROPS * lens.share[..., None]
        painted[lens.pixels] = mixed(painted[lens.pixels], view.image[lens.pixels], share)
    return painted


def _radii_px(view: CameraView, covered: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(n,) radii of as many drops as cover that share of the view."""
    px_per_mm = view.focal_px / (1000 * _SCREEN_M)
    mean_square = (_MEDIAN_MM / 2 * px_per_mm) ** 2 * np.exp(2 * _SPREAD**2)
    area = view.width * view.height
    n = int(min(np.ceil(covered * area / (_FILLED * np.pi * mean_square)), max(1, area / _PIXELS_PER_DROP)))
    diameter_mm = np.clip(_MEDIAN_MM * np.exp(rng.normal(0, _SPREAD, n)), _SMALLEST_MM, _LARGEST_MM)
    return np.maximum(diameter_mm / 2 * px_per_mm, 1.5)


def _upside_down(view: CameraView) -> NDArray[np.uint8]:
    """The reduced frame turned by 180 degrees; by night its lamps are wider, as out of focus."""
    small = view.reduced(8)
    spread = cv2.dilate(small, np.ones((3, 3), np.uint8))
    share = 0.7 * (1 - daylight(airlight(view)))
    small = cv2.addWeighted(spread, share, small, 1 - share, 0)
    return np.asarray(cv2.blur(cv2.flip(small, -1), (3, 3)), np.uint8)


def _window(mirrored: NDArray[np.uint8], x: float, y: float) -> NDArray[np.uint8]:
    """What a drop at a place (shares of width and height) shows of the turned frame: mostly its middle."""
    height, width = mirrored.shape[:2]
    centre_x, centre_y = 0.5 + 0.3 * (x - 0.5), 0.5 + 0.3 * (y - 0.5)
    left, top = int(max(0, centre_x - _SEEN) * width), int(max(0, centre_y - _SEEN) * height)
    right, bottom = int(np.ceil(min(1, centre_x + _SEEN) * width)), int(np.ceil(min(1, centre_y + _SEEN) * height))
    return mirrored[top : max(bottom, top + 1), left : max(right, left + 1)]


@lru_cache(maxsize=_SHAPES)
def _shape(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Opacity and brightness of one of the shapes of a drop: a circle with waves on its outline; read-only."""
    rng = np.random.default_rng((31, number))
    at_px = (np.arange(_SHAPE_PX) + 0.5) / _SHAPE_PX * 2 - 1
    x, y = np.meshgrid(at_px, at_px)
    angle, radius = np.arctan2(y, x), np.hypot(x, y)
    outline = np.full_like(angle, 0.8)
    for waves in range(2, 6):
        outline += rng.normal(0, 0.14 / waves) * np.cos(waves * angle + rng.uniform(0, 2 * np.pi))
    # 1 in the middle, 0 at the outline.
    depth = 1 - radius / np.minimum(outline, 0.95)
    opacity = np.clip(depth / 0.42, 0, 1)
    opacity = 0.9 * opacity**2 * (3 - 2 * opacity)
    # The upper rim bends the light of the ground into the camera, the lower one that of the sky.
    shade = 0.45 + 0.55 * np.clip(depth / 0.5, 0, 1) + 0.22 * np.clip(y, -1, 1) * np.clip(1 - depth / 0.6, 0, 1)
    both = np.round(255 * opacity).astype(np.uint8), np.round(200 * np.clip(shade, 0, 1.25)).astype(np.uint8)
    for part in both:
        part.setflags(write=False)
    return both


LENS_DROPS = Effect(apply=apply)
