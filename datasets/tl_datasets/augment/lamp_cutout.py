"""The housing of a signal head inside its box.

Boxes are drawn loosely, and what they hold beside the housing is a foreign sky in another frame. So the housing's sides
are searched near the sides of the box: as steps of brightness that run along the whole side, which a lit lens does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# How far inside of the box a side of the housing may lie, as a share of the box, and how far outside in pixels.
_DEEPEST_SIDE, _DEEPEST_END, _OUTSIDE_PX = 0.32, 0.2, 2
# Sides without a visible step are taken to lie so far inside.
_USUAL_SIDE, _USUAL_END = 0.1, 0.05
# The least step of a side, of 255.
LEAST_STEP = 6.0
# Of columns of pixels, their darker third: a lit lens fills less than the rest. Of rows, the strip beside the lens.
_COLUMN_QUANTILE, _ROW_QUANTILE = 0.35, 0.2
_MARGIN_PX = 4
# The smallest housing.
_LEAST_PX = 3
# The darker third of a housing is its body: lit lenses take less than two thirds.
_BODY_QUANTILE = 0.33
# What is cut out holds something else beside the housing if its sides differ more from the body than this, of 255, if
# its lens lies farther from the middle than this share of its breadth, or if it is less than this many times as long
# as broad. Of the 448 heads of DTLD and 45 of BDD100K whose sides can be seen, 236 and 23 pass.
_LARGEST_FRINGE, _LARGEST_OFFSET, _LEAST_LENGTH = 30.0, 0.13, 1.6
# Of each line along the housing, its brightest part; a lens takes a quarter of it.
_LENS_QUANTILE = 0.93
# Of the brightness that a camera writes.
GAMMA = 2.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Housing:
    """A housing in its frame.

    Attributes:
        xyxy: Whole pixels of the frame, half-open.
        steps: Brightness inside minus outside at the left, top, right and bottom side, of 255; 0 = no side to be seen.
        glow: Chroma of the housing's rim, of 255; where it is high, the lamp outshines its housing.
        darkness: Brightness of the housing's body in linear light, in [0, 1].
        fringe: By how much the long sides differ from the body, one pixel inside, of 255.
        off_centre: How far the brightest pixels lie from the middle line, as a share of the breadth.
    """

    xyxy: tuple[int, int, int, int]
    steps: tuple[float, float, float, float]
    glow: float
    darkness: float
    fringe: float
    off_centre: float

    @property
    def width_px(self) -> int:
        """Width of the housing."""
        return self.xyxy[2] - self.xyxy[0]

    @property
    def height_px(self) -> int:
        """Height of the housing."""
        return self.xyxy[3] - self.xyxy[1]

    @property
    def is_outlined(self) -> bool:
        """Whether nothing but a whole housing is cut out.

        Its sides can be seen and are of one kind with its body, it is slender, and the lens is in the middle.
        """
        sides, ends = self.steps[::2], self.steps[1::2]
        breadth, length = self.width_px, self.height_px
        if breadth > length:
            sides, ends, breadth, length = ends, sides, length, breadth
        is_slender = length >= _LEAST_LENGTH * breadth
        is_even = self.fringe <= _LARGEST_FRINGE and self.off_centre <= _LARGEST_OFFSET
        return all(sides) and any(ends) and is_slender and is_even


def find_housing(image: NDArray[np.uint8], xyxy: NDArray[np.float64]) -> Housing | None:
    """Find the housing in its box.

    Args:
        image: (H, W, 3) uint8 RGB, the whole frame.
        xyxy: (4,) its box.

    Returns:
        The housing; None where the box is too small or cut by the frame.
    """
    height, width = image.shape[:2]
    left, top = max(0, int(xyxy[0]) - _MARGIN_PX), max(0, int(xyxy[1]) - _MARGIN_PX)
    right, bottom = min(width, int(xyxy[2]) + 1 + _MARGIN_PX), min(height, int(xyxy[3]) + 1 + _MARGIN_PX)
    x1, x2, y1, y2 = xyxy[0] - left, xyxy[2] - left, xyxy[1] - top, xyxy[3] - top
    if x1 < 0 or y1 < 0 or xyxy[2] > width or xyxy[3] > height or x2 - x1 < 4 or y2 - y1 < 4:
        return None
    rgb = image[top:bottom, left:right]
    bright = rgb.mean(axis=2, dtype=np.float32)
    is_lying = x2 - x1 > y2 - y1
    if is_lying:
        bright, (x1, y1, x2, y2) = bright.T, (y1, x1, y2, x2)
    rows = bright[int(y1 + 0.12 * (y2 - y1)) : int(np.ceil(y2 - 0.12 * (y2 - y1)))]
    (left_x, left_step), (right_x, right_step) = _sides(
        _quantile(rows, _COLUMN_QUANTILE), x1, x2, _DEEPEST_SIDE, _USUAL_SIDE, sign=None
    )
    is_dark = left_step + right_step <= 0
    columns = bright[:, left_x:right_x].T
    profile = _quantile(columns, _ROW_QUANTILE if is_dark else 1 - _ROW_QUANTILE)
    (top_y, top_step), (bottom_y, bottom_step) = _sides(
        profile, y1, y2, _DEEPEST_END, _USUAL_END, sign=-1 if is_dark else 1
    )
    if right_x - left_x < _LEAST_PX or bottom_y - top_y < _LEAST_PX:
        return None
    body = bright[top_y:bottom_y, left_x:right_x]
    level = float(np.sort(body, axis=None)[int(_BODY_QUANTILE * body.size)])
    sides = np.median(body[:, [1, -2]], axis=0)
    lens = _quantile(body, _LENS_QUANTILE)
    lens = lens - lens.min()
    middle = float(lens @ (np.arange(len(lens)) + 0.5)) / max(float(lens.sum()), 1.0) / len(lens)
    inner = (left_x, top_y, right_x, bottom_y)
    steps = (left_step, top_step, right_step, bottom_step)
    if is_lying:
        inner, steps = (top_y, left_x, bottom_y, right_x), (top_step, left_step, bottom_step, right_step)
    a, b, c, d = inner
    rim = np.concatenate([rgb[b:d, a], rgb[b:d, c - 1], rgb[b, a:c], rgb[d - 1, a:c]])
    chroma = np.sort(rim.max(axis=1) - rim.min(axis=1))
    return Housing(
        xyxy=(a + left, b + top, c + left, d + top),
        steps=steps,
        glow=float(chroma[3 * len(chroma) // 4]),
        darkness=(level / 255) ** GAMMA,
        fringe=float(np.abs(sides - level).max()),
        off_centre=abs(middle - 0.5) if lens.any() else 0.0,
    )


def _quantile(lines: Floats, share: float) -> Floats:
    """Of each column of a few lines, the value below which this share lies."""
    return np.sort(lines, axis=0)[int(share * (len(lines) - 1) + 0.5)]


def _sides(
    profile: Floats, low: float, high: float, deepest: float, usual: float, sign: int | None
) -> tuple[tuple[int, float], tuple[int, float]]:
    """Where a profile steps into the housing at either end of it, and by how much.

    Args:
        profile: Brightness along one axis.
        low: Where the box begins.
        high: Where it ends.
        deepest: How far inside a side may lie, as a share of the box.
        usual: Where a side lies that is not found.
        sign: -1 = the housing is darker than what surrounds it, 1 = brighter; None = whichever is clearer.
    """
    at = np.arange(2, len(profile) - 1)
    step = (profile[at] + profile[at + 1] - profile[at - 1] - profile[at - 2]) / 2
    length = high - low
    first = (at >= low - _OUTSIDE_PX) & (at <= low + deepest * length)
    last = (at <= high + _OUTSIDE_PX) & (at >= high - deepest * length)
    if sign is None:
        down = -min(step[first].min(initial=0), 0) + max(step[last].max(initial=0), 0)
        up = max(step[first].max(initial=0), 0) - min(step[last].min(initial=0), 0)
        sign = -1 if down >= up else 1
    begin, begin_step = _outermost(at[first], sign * step[first])
    end, end_step = _outermost(at[last][::-1], -sign * step[last][::-1])
    # A side that cannot be seen lies as deep as the opposite one, if that can.
    depth = usual * length
    if begin is None:
        opposite = depth if end is None else min(max(high - end, depth), deepest * length)
        begin = int(low + opposite + 0.5)
    if end is None:
        end = int(high - min(max(begin - low, depth), deepest * length) + 0.5)
    return (begin, sign * begin_step), (end, sign * end_step)


def _outermost(at: NDArray[np.int64], step: NDArray[np.floating]) -> tuple[int | None, float]:
    """The first place, from outside, where a step is at least half as high as the highest one."""
    highest = float(step.max(initial=0))
    if highest < LEAST_STEP:
        return None, 0.0
    place = int(np.argmax(step >= highest / 2))
    while place + 1 < len(step) and step[place + 1] > step[place]:
        place += 1
    return int(at[place]), float(step[place])
