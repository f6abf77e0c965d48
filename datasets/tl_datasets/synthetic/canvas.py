"""`Canvas`: paints polygons, sprites and textures from far to near, and keeps how much of each signal head is left.

Coordinates are continuous pixels: the top-left pixel covers [0, 1) x [0, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tl_datasets.synthetic.atmosphere import Colour, Pixel
from tl_datasets.synthetic.sprite import Sprite

_SHIFT = 4
_UNIT = 1 << _SHIFT
# Coordinates far outside the image would overflow cv2's fixed point; beyond this they change nothing that is visible.
_FAR_PX = 30000.0
# A lamp's pixel that differs by more grey levels, summed over the channels, was painted over.
_SAME_PIXEL = 40


@dataclass(slots=True)
class Trace:
    """What is left of a signal head on the canvas.

    Attributes:
        x1: Left column of the mask.
        y1: Top row of the mask.
        housing: (h, w) uint8, 255 where the housing was painted.
        visible: (h, w) uint8, 255 where it still shows.
    """

    x1: int
    y1: int
    housing: NDArray[np.uint8]
    visible: NDArray[np.uint8] = field(init=False)

    def __post_init__(self):
        self.visible = self.housing.copy()

    def visible_share(self) -> float:
        """Share of the painted housing pixels that nothing nearer covers."""
        painted = int(np.count_nonzero(self.housing))
        return int(np.count_nonzero(self.visible)) / painted if painted else 0.0

    def visible_share_of_disc(self, x_px: float, y_px: float, radius_px: float) -> float:
        """Share of a disc on the housing (a lens) that shows inside the image."""
        height, width = self.visible.shape
        right, down = x_px - self.x1, y_px - self.y1
        columns, rows = np.arange(width) + 0.5 - right, np.arange(height) + 0.5 - down
        disc = rows[:, None] ** 2 + columns[None, :] ** 2 <= max(radius_px, 0.8) ** 2
        painted = int(np.count_nonzero(disc & (self.housing > 0)))
        if not painted:  # smaller than a pixel, or outside the image
            return self.visible_share() if 0 <= right < width and 0 <= down < height else 0.0
        uncovered = int(np.count_nonzero(disc & (self.visible > 0))) / painted
        # The mask ends at the image's edge; what is left of the disc's bounding square stands for the disc.
        inside = [
            (min(at + radius_px, size) - max(at - radius_px, 0)) / (2 * radius_px)
            for at, size in ((right, width), (down, height))
        ]
        return uncovered * max(inside[0], 0.0) * max(inside[1], 0.0)


@dataclass(slots=True)
class Lamp:
    """A light source whose glow is added after painting; `reflected_y_px` is where a wet road mirrors it."""

    x_px: float
    y_px: float
    radius_px: float
    colour: Colour
    strength: float
    reflected_y_px: float | None = None


class Canvas:
    """An RGB image under construction, the lamps in it, and the traces of its signal heads."""

    def __init__(self, pixels: NDArray[np.uint8]):
        self.pixels = pixels
        self.height_px, self.width_px = pixels.shape[:2]
        self._lamps: list[tuple[Lamp, NDArray[np.int16] | None]] = []
        self.traces: list[Trace] = []

    def add_lamp(self, lamp: Lamp) -> None:
        """Register a lamp that has just been painted; what is painted over it later also puts out its glow."""
        self._lamps.append((lamp, self._pixel_at(lamp)))

    def shining_lamps(self) -> list[Lamp]:
        """Give the lamps that nothing nearer covers, and those outside the image."""
        shining = []
        for lamp, painted in self._lamps:
            now = self._pixel_at(lamp)
            if painted is None or now is None or np.abs(now - painted).sum() <= _SAME_PIXEL:
                shining.append(lamp)
        return shining

    def _pixel_at(self, lamp: Lamp) -> NDArray[np.int16] | None:
        column, row = int(np.floor(lamp.x_px)), int(np.floor(lamp.y_px))
        if not (0 <= column < self.width_px and 0 <= row < self.height_px):
            return None
        return self.pixels[row, column].astype(np.int16)

    def polygon(self, points_px: ArrayLike, colour: Pixel) -> None:
        """Fill one polygon of (N, 2) points."""
        self.polygons([points_px], colour)

    def polygons(self, polygons_px: Sequence[ArrayLike], colour: Pixel) -> None:
        """Fill polygons of (N, 2) points each with one colour; they must not overlap."""
        fixed = []
        for polygon in polygons_px:
            points = np.asarray(polygon, dtype=np.float64)
            left, top = points.min(axis=0)
            right, bottom = points.max(axis=0)
            if right <= 0 or bottom <= 0 or left >= self.width_px or top >= self.height_px:
                continue
            if min(left, top) < -_FAR_PX or max(right, bottom) > _FAR_PX:
                points = np.clip(points, -_FAR_PX, _FAR_PX)
            fixed.append(np.rint(points * _UNIT - _UNIT / 2).astype(np.int32))
            for trace in self.traces:
                height, width = trace.visible.shape
                if left < trace.x1 + width and right > trace.x1 and top < trace.y1 + height and bottom > trace.y1:
                    local = fixed[-1] - np.array([trace.x1, trace.y1], dtype=np.int32) * _UNIT
                    cv2.fillPoly(trace.visible, [local], (0,), cv2.LINE_8, _SHIFT)
        if fixed:
            cv2.fillPoly(self.pixels, fixed, colour, cv2.LINE_AA, _SHIFT)

    def bar(self, start_px: tuple[float, float], end_px: tuple[float, float], width_px: float, colour: Pixel) -> None:
        """Fill a straight bar of a given width between two points."""
        along = np.subtract(end_px, start_px)
        length = float(np.hypot(along[0], along[1]))
        if length == 0:
            return
        across = np.array([-along[1], along[0]]) / length * max(width_px, 0.5) / 2
        start, end = np.asarray(start_px), np.asarray(end_px)
        self.polygon(np.stack([start + across, end + across, end - across, start - across]), colour)

    def sprite(
        self,
        sprite: Sprite,
        x_px: float,
        y_px: float,
        x_scale: float,
        y_scale: float,
        haze: Colour,
        transmission: float,
    ) -> Trace | None:
        """Paint a sprite with its top-left corner at a point.

        Args:
            sprite: What to paint.
            x_px: Column of the sprite's left edge.
            y_px: Row of the sprite's top edge.
            x_scale: Image pixels per sprite pixel across.
            y_scale: Image pixels per sprite pixel down.
            haze: Colour that distance mixes in.
            transmission: Share of the sprite's own colour.

        Returns:
            For a sprite with a housing its trace, which the canvas keeps up to date; None if nothing was painted.
        """
        left, top = int(np.floor(x_px)), int(np.floor(y_px))
        right = int(np.ceil(x_px + sprite.width_px * x_scale))
        bottom = int(np.ceil(y_px + sprite.height_px * y_scale))
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, self.width_px), min(bottom, self.height_px)
        if right <= left or bottom <= top:
            return None
        patch = sprite.warp(x_px - left, y_px - top, x_scale, y_scale, right - left, bottom - top)
        alpha = patch.alpha
        # rgb * transmission + alpha * haze * (1 - transmission), in one pass over the four channels.
        hazing = np.zeros((3, 4))
        hazing[:, :3] = np.eye(3) * transmission
        hazing[:, 3] = np.array(haze) * (1 - transmission) / 255
        rgb = cv2.transform(patch.rgba, hazing)
        target = self.pixels[top:bottom, left:right]
        inverse = cv2.bitwise_not(alpha)
        kept = cv2.multiply(target, cv2.merge([inverse, inverse, inverse]), scale=1 / 255)
        cv2.add(kept, rgb, dst=target)
        for trace in self.traces:
            _cover(trace, left, top, alpha)
        if patch.housing is None:
            return None
        trace = Trace(left, top, np.where(patch.housing >= 128, np.uint8(255), np.uint8(0)))
        self.traces.append(trace)
        return trace

    def texture(self, texture: NDArray[np.uint8], corners_px: NDArray[np.float64]) -> None:
        """Stretch a texture over a quadrilateral: (4, 2) corners top-left, top-right, bottom-right, bottom-left.

        Traces are not updated: textures are buildings, which are painted before any signal head.
        """
        low = np.floor(corners_px.min(axis=0)).astype(int)
        high = np.ceil(corners_px.max(axis=0)).astype(int)
        left, top = max(int(low[0]), 0), max(int(low[1]), 0)
        right, bottom = min(int(high[0]), self.width_px), min(int(high[1]), self.height_px)
        if right - left < 1 or bottom - top < 1:
            return
        height, width = texture.shape[:2]
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32) - 0.5
        target = (corners_px - np.array([left, top]) - 0.5).astype(np.float32)
        matrix = cv2.getPerspectiveTransform(source, target)
        region = self.pixels[top:bottom, left:right]
        cv2.warpPerspective(
            texture,
            matrix,
            (right - left, bottom - top),
            dst=region,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_TRANSPARENT,
        )


def _cover(trace: Trace, left: int, top: int, alpha: NDArray[np.uint8]) -> None:
    """Take away from a trace what a patch with its corner at (left, top) covers."""
    height, width = alpha.shape
    trace_height, trace_width = trace.visible.shape
    x1, y1 = max(left, trace.x1), max(top, trace.y1)
    x2, y2 = min(left + width, trace.x1 + trace_width), min(top + height, trace.y1 + trace_height)
    if x2 <= x1 or y2 <= y1:
        return
    mine = trace.visible[y1 - trace.y1 : y2 - trace.y1, x1 - trace.x1 : x2 - trace.x1]
    mine[alpha[y1 - top : y2 - top, x1 - left : x2 - left] >= 128] = 0
