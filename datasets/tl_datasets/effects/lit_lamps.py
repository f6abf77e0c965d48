"""Finds the lit lenses inside the boxes of signal heads: what must keep its light when a frame is darkened.

A box is looked at as a small picture of the head, with a little of its surroundings. Its brightest and most coloured
places are tried until one looks like a lit lens (see tl_datasets/effects/lens_likeness.py). A second lens counts if
it is as bright, one lens away, and the head reads as red and yellow together. What is lit is
then a round patch of pixels of the image, fading outwards, so that nothing of the box can be seen in it.

Where the label says which lamp is lit, its lens is looked for in that part of the housing and by that colour alone, so
that neither a bright sky nor a white board beside it is taken for it.

What it does not do: say which state is shown (see tl_datasets/lamps/state.py), or find lamps outside of the boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.lens_likeness import HEIGHT, WIDTH, likeness
from tl_datasets.effects.linear_light import decode_srgb
from tl_datasets.lamps.state import LampReading, read_state
from tl_datasets.taxonomy import State

Floats = NDArray[np.float32]

# A box less elongated than this is drawn around one lamp; housings are 1.5 (BDD100K) to 3.2 times as long as wide.
_LAMP_BOX_LENGTH = 1.35
# Share of the box that is looked at beyond it, across and along.
_AROUND = (0.08, 0.03)
# How much more than brightness the colour of a lamp counts: a dim red lens must beat a grey board.
_CHROMA_WEIGHT = 1.5
# So many places are tried before a head counts as dark, at least so far from the ends and sides of the small picture.
_CANDIDATES = 4
_OFF_END, _OFF_SIDE = 4, 3
# From this likeness on, a place is a lit lens.
_LEAST_LIKENESS = 0.0
# What a place costs: per unit of likeness, per squared column off the axis; 1 = the length of the head off its place.
_LIKENESS_WEIGHT, _ASIDE_WEIGHT = 0.02, 0.009
# A second lens may be lit if it stands out by this share of the first, so many rows and at most a column away from it.
# What lies between them is at most this share of it; red and yellow begin above this row.
_SECOND_SHARE, _PITCH, _BETWEEN, _LOWEST_RED = 0.4, (6, 13), 0.95, 16
# Colour of the lit lenses of a state, and the rows of the small picture in which they lie, with two lenses or three.
_LENSES = {
    State.RED: ((State.RED, slice(3, 14)),),
    State.RED_YELLOW: ((State.RED, slice(3, 12)), (State.YELLOW, slice(13, 23))),
    State.YELLOW: ((State.YELLOW, slice(11, 25)),),
    State.GREEN: ((State.GREEN, slice(20, 33)),),
}
# Where the colour is known: what brightness counts beside it for the place, what a squared column off the axis costs.
_TOLD_BRIGHTNESS, _TOLD_ASIDE = 0.15, 2.0
# Around that place: from this tint on a pixel is all lamp, times its weight beside brightness; a white core has the
# tint of its rim, over this share of the radius.
_FULL_TINT, _TINT_WEIGHT, _CORE_SHARE = 30.0, 8.0, 0.45
# A place with less of the colour than this, in bytes, shows no lamp of it.
_LEAST_TINT = 5.0
# Radius of a lens with its rim: share of the head's length, and at most this of its width.
_RADIUS_SHARE, _WIDEST = 0.19, 0.5
# A lamp's light off its clipped core is less pale than the core: the glow gets this multiple of its paleness removed.
_DEEPEN, _PUREST = 2.0, 0.12
# Bytes from here on may be clipped.
_CLIPS_FROM = 235.0
# How fast light above white turns pale: four times white is a third of the way to white.
_PALING = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class LitLamp:
    """The pixels of one lit lens.

    Attributes:
        x1: Left edge of its pixels in the image.
        y1: Top edge.
        weight: (h, w) float32 in [0, 1], 1 = lit; 0 at the edges.
        colour: (3,) float32 linear RGB of its light, the largest 1.
    """

    x1: int
    y1: int
    weight: Floats
    colour: Floats

    @property
    def rows_cols(self) -> tuple[slice, slice]:
        """Where its pixels lie in the image."""
        height, width = self.weight.shape
        return slice(self.y1, self.y1 + height), slice(self.x1, self.x1 + width)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """Where a small picture lies in the image, before it is turned upright."""

    x1: int
    y1: int
    x2: int
    y2: int
    is_upright: bool
    length_px: float
    width_px: float
    is_single: bool

    def place(self, row: float, column: float) -> tuple[float, float]:
        """x, y in the image of a place of the small picture."""
        down, across = (row + 0.5) / HEIGHT, (column + 0.5) / WIDTH
        if not self.is_upright:
            down, across = across, down
        return self.x1 + across * (self.x2 - self.x1), self.y1 + down * (self.y2 - self.y1)


def find_lit(
    image: NDArray[np.uint8], lights_xyxy: NDArray[np.float64], states: Sequence[State | None] = ()
) -> list[LitLamp]:
    """Lit lenses in the boxes of signal heads, at most two of each.

    Args:
        image: (H, W, 3) uint8 RGB.
        lights_xyxy: (N, 4) boxes in its pixels.
        states: What each head is labelled to show; None = nobody knows; empty = nobody knows of any.
    """
    framed = [
        (box, frame, state)
        for box, state in zip(lights_xyxy.tolist(), states or (None,) * len(lights_xyxy), strict=True)
        if state is not State.OFF and (frame := _frame(box, image.shape)) is not None
    ]
    if not framed:
        return []
    boxes, frames, labels = zip(*framed, strict=True)
    heads = np.stack([_look(image, frame) for frame in frames])
    salience = _salience(heads)
    smooth = np.stack([cv2.blur(one, (3, 3), borderType=cv2.BORDER_REPLICATE) for one in salience])
    wide = np.stack([cv2.blur(one, (5, 5), borderType=cv2.BORDER_REPLICATE) for one in salience])
    middle = salience[:, :, 3:9].reshape(len(heads), -1)
    wide -= np.partition(middle, middle.shape[1] // 4, axis=1)[:, middle.shape[1] // 4, None, None]
    lamps = []
    is_told = [frame.is_upright and not frame.is_single and state in _LENSES for _, frame, state in framed]
    for head in np.flatnonzero(is_told):
        for colour, rows in _LENSES[labels[head]]:
            place = _coloured(heads[head], colour, rows)
            if place is not None:
                lamps.append(_lamp(image, frames[head], *place, colour))
    unknown = np.flatnonzero(~np.array(is_told)).tolist()
    places = np.array([place for head in unknown for place in _bright(wide[head], head, frames[head])], np.intp)
    if not len(places):
        return lamps
    scores = likeness(heads, salience, smooth, places)
    for head in unknown:
        frame = frames[head]
        own = np.flatnonzero(places[:, 0] == head)
        if not len(own) or scores[own].max() < _LEAST_LIKENESS:
            continue
        reading = None if frame.is_single else _reading(image, boxes[head])
        # Of several bright places the reading of the whole head says which is the lens.
        cost = -_LIKENESS_WEIGHT * scores[own] + _ASIDE_WEIGHT * (places[own, 2] - (WIDTH - 1) / 2) ** 2
        if reading is not None and reading.state is not None and reading.lit_position is not None:
            # Two lenses are lit half a cell above and below the middle of both.
            aside = 1 / 6 if reading.state is State.RED_YELLOW else 0.0
            cost += np.abs(np.abs((places[own, 1] + 0.5) / HEIGHT - reading.lit_position) - aside)
        lenses = [tuple(places[own[cost.argmin()], 1:].tolist())]
        if reading is not None and reading.state is State.RED_YELLOW:
            second = _second(wide[head], *lenses[0])
            lenses += [] if second is None else [second]
        lamps += [_lamp(image, frame, row, column) for row, column in lenses]
    return lamps


def with_headroom(lamp: LitLamp, image: NDArray[np.uint8], headroom: float) -> Floats:
    """(h, w, 3) float32 linear light of the pixels of a lamp, 1 = white; its clipped core is brighter than that.

    Args:
        lamp: The lamp.
        image: (H, W, 3) uint8 RGB, the image that it lies in.
        headroom: Light of a clipped pixel as a multiple of white; what passes white has the colour of the lamp.
    """
    crop = image[lamp.rows_cols]
    clipped = np.clip((crop.max(axis=-1).astype(np.float32) - _CLIPS_FROM) / (255 - _CLIPS_FROM), 0, 1)
    beyond = (headroom - 1) * (clipped * lamp.weight)[..., None] * lamp.colour
    return _decoded()[crop] + beyond


def clip_to_white(light: Floats) -> Floats:
    """Light (..., 3) as a camera shows it: what passes 1 turns paler and keeps its hue.

    Cutting each channel off would turn red lamps orange, then yellow.
    """
    strongest = np.maximum(light.max(axis=-1, keepdims=True), 1)
    pale = 1 - strongest**-_PALING
    return light / strongest * (1 - pale) + pale


@lru_cache
def _decoded() -> Floats:
    return decode_srgb(np.arange(256) / 255).astype(np.float32)


def _frame(box: list[float], shape: tuple[int, ...]) -> _Frame | None:
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    if min(round(width), round(height)) < 2:
        return None
    is_upright = height >= width
    length, breadth = max(width, height), min(width, height)
    is_single = length < _LAMP_BOX_LENGTH * breadth
    # A lamp alone is looked at as the middle lens of a head.
    along = length if is_single else _AROUND[1] * length
    dx, dy = (_AROUND[0] * breadth, along) if is_upright else (along, _AROUND[0] * breadth)
    left, top = max(0, round(x1 - dx)), max(0, round(y1 - dy))
    right, bottom = min(shape[1], round(x2 + dx)), min(shape[0], round(y2 + dy))
    if right - left < 2 or bottom - top < 2:
        return None
    return _Frame(
        x1=left,
        y1=top,
        x2=right,
        y2=bottom,
        is_upright=is_upright,
        length_px=3 * length if is_single else length,
        width_px=breadth,
        is_single=is_single,
    )


def _look(image: NDArray[np.uint8], frame: _Frame) -> Floats:
    """(36, 12, 3) the small picture."""
    crop = image[frame.y1 : frame.y2, frame.x1 : frame.x2]
    upright = np.ascontiguousarray(crop if frame.is_upright else crop.transpose(1, 0, 2))
    kind = cv2.INTER_AREA if upright.shape[0] > HEIGHT else cv2.INTER_LINEAR
    return cv2.resize(upright, (WIDTH, HEIGHT), interpolation=kind).astype(np.float32)


def _salience(rgb: Floats) -> Floats:
    """(...) brightness and colour of (..., 3) bytes, as far as it is one of lamps."""
    red, green, blue = np.moveaxis(rgb, -1, 0)
    warmth = np.maximum(np.maximum(red, green) - blue, red - green)
    # Green lamps are bluish; what is much bluer than green is sky.
    greenness = green - red - 2 * np.maximum(blue - green - 12, 0)
    return rgb.max(axis=-1) + _CHROMA_WEIGHT * np.maximum(np.maximum(warmth, greenness), 0)


def _bright(excess: Floats, head: int, frame: _Frame) -> list[tuple[int, int, int]]:
    """The brightest places of a small picture: head, row, column."""
    left = excess.copy()
    end = HEIGHT // 3 if frame.is_single else _OFF_END
    left[:end] = left[HEIGHT - end :] = 0
    left[:, :_OFF_SIDE] = left[:, WIDTH - _OFF_SIDE :] = 0
    places = []
    for _ in range(_CANDIDATES):
        row, column = divmod(int(left.argmax()), WIDTH)
        if left[row, column] <= 0:
            break
        places.append((head, row, column))
        left[max(0, row - 4) : row + 5, max(0, column - 3) : column + 4] = 0
    return places


def _tint(rgb: Floats, colour: State) -> Floats:
    """(...) how much of a lamp's colour (..., 3) bytes have, 0 for grey, below 0 for the opposite."""
    red, green, blue = np.moveaxis(rgb, -1, 0)
    if colour is State.RED:
        return red - (green + blue) / 2
    if colour is State.YELLOW:
        return (red + green) / 2 - blue
    # Green lamps are bluish; what is much bluer than green is sky.
    return green - red - 2 * np.maximum(blue - green - 12, 0)


def _coloured(head: Floats, colour: State, rows: slice) -> tuple[int, int] | None:
    """Row and column of a small picture where a colour is strongest, in some rows near the axis; None: it is not."""
    tint = cv2.blur(_tint(head, colour), (3, 3), borderType=cv2.BORDER_REPLICATE)
    score = tint + _TOLD_BRIGHTNESS * cv2.blur(head.max(axis=-1), (3, 3), borderType=cv2.BORDER_REPLICATE)
    score = score[rows, _OFF_SIDE : WIDTH - _OFF_SIDE]
    columns = np.arange(_OFF_SIDE, WIDTH - _OFF_SIDE)
    row, column = divmod(int((score - _TOLD_ASIDE * (columns - (WIDTH - 1) / 2) ** 2).argmax()), len(columns))
    row, column = rows.start + row, _OFF_SIDE + column
    return (row, column) if tint[row, column] >= _LEAST_TINT else None


def _second(excess: Floats, row: int, column: int) -> tuple[int, int] | None:
    """Row and column of the brightest place one lens above or below another; None where it is too dark."""
    columns = slice(max(0, column - 1), min(WIDTH, column + 2))
    found, best = None, _SECOND_SHARE * float(excess[row, column])
    for first, last in ((row - _PITCH[1], row - _PITCH[0]), (row + _PITCH[0], row + _PITCH[1])):
        first, last = max(first, 3), min(last, HEIGHT - 4)
        if last <= first or min(row, last) > _LOWEST_RED:
            continue
        block = excess[first : last + 1, columns]
        there, aside = divmod(int(block.argmax()), block.shape[1])
        there += first
        between = excess[min(row, there) + 2 : max(row, there) - 1, columns].max(axis=1).min()
        if block.max() > best and between < _BETWEEN * block.max():
            found, best = (there, columns.start + aside), float(block.max())
    return found


def _reading(image: NDArray[np.uint8], box: list[float]) -> LampReading:
    x1, y1, x2, y2 = (max(0, round(value)) for value in box)
    return read_state(image[y1:y2, x1:x2])


def _lamp(image: NDArray[np.uint8], frame: _Frame, row: int, column: int, colour: State | None = None) -> LitLamp:
    """The round patch of lit pixels around a place of a small picture; of a colour, where the label says which."""
    x, y = frame.place(row, column)
    radius = max(1.5, min(_RADIUS_SHARE * frame.length_px, _WIDEST * frame.width_px))
    x1, y1 = max(0, int(x - radius)), max(0, int(y - radius))
    x2, y2 = min(image.shape[1], int(x + radius) + 1), min(image.shape[0], int(y + radius) + 1)
    crop = image[y1:y2, x1:x2].astype(np.float32)
    if colour is None:
        excess = _salience(crop)
    else:
        tint = cv2.GaussianBlur(np.maximum(_tint(crop, colour), 0), (0, 0), max(_CORE_SHARE * radius, 0.6))
        excess = _TINT_WEIGHT * np.minimum(tint, _FULL_TINT) + crop.max(axis=-1) / 2
    distance = np.hypot(np.arange(y1, y2)[:, None] + 0.5 - y, np.arange(x1, x2)[None] + 0.5 - x) / radius
    near = excess[distance < 0.6] if (distance < 0.6).any() else excess.ravel()
    dark, peak = float(excess.min()), float(np.quantile(near, 0.85))
    level = np.clip(((excess - dark) / max(peak - dark, 1.0) - 0.3) / 0.35, 0, 1)
    weight = (level * np.clip((1 - distance) / 0.35, 0, 1)).astype(np.float32)
    return LitLamp(x1=x1, y1=y1, weight=weight, colour=_colour(crop, weight))


def _colour(rgb: Floats, weight: Floats) -> Floats:
    """(3,) linear colour of the light: that of the lit pixels, the more coloured the more it counts, made deeper."""
    counts = (weight * (np.ptp(rgb, axis=-1) + 2.0) ** 2)[..., None]
    mean = (rgb * counts).sum(axis=(0, 1)) / max(float(counts.sum()), 1e-6)
    paleness = 1 - mean / max(float(mean.max()), 1.0)
    # All channels alike, or the hue would change.
    deeper = min(_DEEPEN, (1 - _PUREST) / max(float(paleness.max()), 1e-6))
    return decode_srgb(np.clip(1 - max(deeper, 1.0) * paleness, 0, 1)).astype(np.float32)
