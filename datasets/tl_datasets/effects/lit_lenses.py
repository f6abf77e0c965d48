"""The lit lenses of the signal heads of a frame: where they are, how far away, and in which colour they shine.

They are sources of light, and weather treats them otherwise than surfaces. Boxes only say where to look: the place,
size and pixels of a lens are read from the image around it, so that weather never shows where a box ends. Doubt counts
as dark: a box around a wall, the sky or a dark head must change nothing. A lens is a round spot near the axis of the
head, in the colour of a signal or over-exposed, with dark around it. Where no spot stands out from a sky as bright as
it is, `tl_datasets.lamps.state` decides, which is slower.

What it does not do: say which state is shown, or find lamps outside of the boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.camera_view import CameraView
from tl_datasets.effects.depth import head_distance_m
from tl_datasets.lamps.state import read_state
from tl_datasets.taxonomy import State

Floats = NDArray[np.float32]

# Heads are looked at in so many pixels across and along, and so many bright places of each.
_ACROSS, _ALONG, _CANDIDATES = 12, 36, 3
# A second lens is lit if it is a lens away, as a share of the head, and stands out by this share of the first.
_PITCH, _SECOND_SHARE = (0.13, 0.42), 0.55
# A place is looked at in a square patch of this many pixels; the radius of a lens in it.
_PATCH_PX, _RADIUS_PX = 18, 4.2
# Radius of a lens as a share of its cell, and how far the one that is found may be from that.
_LENS_RADIUS, _RADIUS_BOUNDS = 0.38, (0.6, 1.3)
# How much more than brightness the colour of a lamp counts.
_CHROMA_WEIGHT = 1.5
# The brightest channel of a lens in the colour of a signal stands out from the dark around it by this many bytes, that
# of an over-exposed, white one by the second number.
_LEAST_EXCESS, _PALE_EXCESS = 40.0, 75.0
# Its salience stands out by this much, or it is none whatever is read.
_LEAST_STEP = 40.0
# The dark around is at most this bright, as a share of a coloured and of a white lens: the darkest fifth, the median.
_DARKNESS, _AROUND = (0.55, 0.4), (0.45, 0.4)
# The weakest channel of an over-exposed lens has at least this share of the strongest: yellow walls have less.
_WHITENESS = 0.55
# A spot is at most this many times as long as wide.
_LONGEST = 2.0
# What a lens lacks of white is multiplied by this for the colour of its light.
_DEEPEN = 1.5
# States are read of heads of this length, and believed from this confidence on.
_READABLE_PX, _SURE = 12.0, 0.8
# Red against green as a share of the strongest channel, of the light beyond the dark around: red from the first on,
# yellow between the second and the first if blue is below the last, green below the third.
_RED, _YELLOW, _GREEN, _BLUENESS = 0.33, 0.02, -0.12, -0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class LitLens:
    """One lit lens.

    Attributes:
        head: Row of its signal head among those of the view.
        x_px: Centre in pixels of the view.
        y_px: Centre in pixels of the view.
        radius_px: Radius of the spot of light.
        pixels: Rows and columns of the view around it.
        share: (h, w) how much of each of these pixels it is, 0 to 1, with a soft rim.
        colour: (3,) RGB of the light beyond what the dark around shows; the strongest channel is 255.
        peak: (3,) RGB of its middle as the image shows it.
        dark: (3,) RGB of the dark around it.
        distance_m: How far away the head is.
    """

    head: int
    x_px: float
    y_px: float
    radius_px: float
    pixels: tuple[slice, slice]
    share: Floats
    colour: Floats
    peak: Floats
    dark: Floats
    distance_m: float


def lit_lenses(view: CameraView) -> list[LitLens]:
    """Every lens of a view that surely shines."""
    places, heads = _candidates(view)
    if not heads:
        return []
    look = _look_at(view, places)
    likely = np.flatnonzero(look.is_plain)
    if not len(likely):
        return []
    # The second look is centred on what the first one has found.
    heads = [heads[row] for row in likely]
    look = _look_at(view, look.places[likely])
    places = look.places
    distance = head_distance_m(view)
    found = []
    for index in _chosen(view, places, heads, look):
        x, y, radius = (float(value) for value in places[index])
        pixels = _window(view, x, y, 1.5 * radius + 1)
        found.append(
            LitLens(
                head=heads[index],
                x_px=x,
                y_px=y,
                radius_px=radius,
                pixels=pixels,
                share=_share(view, pixels, places[index], look.floor[index], look.peak_salience[index]),
                colour=_saturated(look.excess[index]),
                peak=look.peak[index],
                dark=look.dark[index],
                distance_m=float(distance[heads[index]]),
            )
        )
    return found


def _chosen(view: CameraView, places: NDArray[np.float64], heads: list[int], look: _Look) -> list[int]:
    """Rows of the places that are lit lenses near the axis of a head; where none is sure, the state is read."""
    chosen: list[int] = []
    of_heads: dict[int, list[int]] = {}
    for row, head in enumerate(heads):
        if look.is_plain[row] and _is_inside(view.lights_xyxy[head], places[row]):
            of_heads.setdefault(head, []).append(row)
    for head, rows in of_heads.items():
        sure = [row for row in rows if look.is_lit[row]] or _read(view, head, rows, places)
        if sure:
            chosen += _brightest(view.lights_xyxy[head], sure, rows, places, look)
    return chosen


def _is_inside(box: NDArray[np.float64], place: NDArray[np.float64]) -> bool:
    """Whether a place is where a lens of a head can be: near its axis, not at its ends."""
    x, y = (place[0] - box[0]) / (box[2] - box[0]), (place[1] - box[1]) / (box[3] - box[1])
    across, along = (x, y) if box[3] - box[1] >= box[2] - box[0] else (y, x)
    return 0.28 < across < 0.72 and 0.08 < along < 0.92


def _brightest(
    box: NDArray[np.float64], sure: list[int], rows: list[int], places: NDArray[np.float64], look: _Look
) -> list[int]:
    """The brightest of the sure places of a head, and one beside it if neither is green: red and yellow together."""
    step = look.peak_salience - look.floor
    first = max(sure, key=lambda row: float(step[row]))
    for row in rows:
        away = float(np.hypot(*(places[row, :2] - places[first, :2]))) / max(box[2] - box[0], box[3] - box[1])
        tints = look.excess[[row, first], 0] - look.excess[[row, first], 1]
        is_warm = bool(tints.min() > 0)
        if row != first and _PITCH[0] < away < _PITCH[1] and step[row] > _SECOND_SHARE * step[first] and is_warm:
            return [first, row]
    return [first]


def _read(view: CameraView, head: int, rows: list[int], places: NDArray[np.float64]) -> list[int]:
    """Those of the places of a head where its state says that it is lit: lenses before a sky as bright as they are."""
    x1, y1, x2, y2 = view.lights_xyxy[head]
    if not rows or max(x2 - x1, y2 - y1) < _READABLE_PX:
        return []
    top, left = max(round(y1), 0), max(round(x1), 0)
    reading = read_state(view.image[top : max(round(y2), 0), left : max(round(x2), 0)])
    if reading.state is None or reading.lit_position is None or reading.confidence < _SURE:
        return []
    is_upright = y2 - y1 >= x2 - x1
    start, length = (y1, y2 - y1) if is_upright else (x1, x2 - x1)
    along = [(float(places[row, 1 if is_upright else 0]) - start) / length for row in rows]
    reach = 0.3 if reading.state is State.RED_YELLOW else 0.2
    return [row for row, share in zip(rows, along, strict=True) if abs(share - reading.lit_position) < reach]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What n places show: better places (x, y, radius), colours (n, 3), salience (n,).

    `is_lit` says whether each surely is; `is_plain` whether it stands out at all.
    """

    places: NDArray[np.float64]
    peak: Floats
    dark: Floats
    excess: Floats
    floor: Floats
    peak_salience: Floats
    is_lit: NDArray[np.bool_]
    is_plain: NDArray[np.bool_]


def _candidates(view: CameraView) -> tuple[NDArray[np.float64], list[int]]:
    """(n, 3) x, y and radius of what may be a lit lens, and the heads: the brightest places along each axis."""
    places, heads, dark = [], [], view.lights_dark
    for head, (x1, y1, x2, y2) in enumerate(view.lights_xyxy.tolist()):
        left, top, right, bottom = max(round(x1), 0), max(round(y1), 0), min(round(x2), view.width), round(y2)
        bottom = min(bottom, view.height)
        if right - left < 2 or bottom - top < 2 or dark[head]:
            continue
        is_upright = y2 - y1 >= x2 - x1
        crop = view.image[top:bottom, left:right]
        size = (_ACROSS, _ALONG) if is_upright else (_ALONG, _ACROSS)
        kind = cv2.INTER_AREA if max(crop.shape) > _ALONG else cv2.INTER_LINEAR
        small = _salience(cv2.resize(crop, size, interpolation=kind).astype(np.float32))
        small = cv2.blur(small if is_upright else small.T, (3, 5))
        small[:, :3] = small[:, -3:] = small[:3] = small[-3:] = 0
        radius = max(_LENS_RADIUS * min(max(x2 - x1, y2 - y1) / 3, x2 - x1, y2 - y1), 0.7)
        for _ in range(_CANDIDATES):
            row, column = divmod(int(small.argmax()), _ACROSS)
            if small[row, column] <= 0:
                break
            along, across = (row + 0.5) / _ALONG, (column + 0.5) / _ACROSS
            x, y = (across, along) if is_upright else (along, across)
            places.append((left + x * (right - left), top + y * (bottom - top), radius))
            heads.append(head)
            small[max(0, row - 4) : row + 5] = 0
    return np.array(places, np.float64).reshape(-1, 3), heads


def _look_at(view: CameraView, places: NDArray[np.float64]) -> _Look:
    n = len(places)
    patches = np.stack([_patch(view, place) for place in places]).astype(np.float32)
    salience = _salience(patches)
    at_px = (np.arange(_PATCH_PX) + 0.5 - _PATCH_PX / 2).astype(np.float32) / np.float32(_RADIUS_PX)
    distance = np.hypot(at_px[:, None], at_px[None])
    core, around = salience[:, distance < 0.7], salience[:, (distance > 1.4) & (distance < 2.0)]
    peak, floor, middle = _ranked(core, 0.7), _ranked(around, 0.15), _ranked(around, 0.5)
    height = np.maximum(peak - floor, 1)
    ring = patches[:, (distance > 1.4) & (distance < 2.0)]
    is_dark = (around <= floor[:, None]).astype(np.float32)[..., None]
    dark = (ring * is_dark).sum(axis=1) / np.maximum(is_dark.sum(axis=1), 1)
    bright = (core >= _ranked(core, 0.5)[:, None]).astype(np.float32)[..., None]
    shown = (patches[:, distance < 0.7] * bright).sum(axis=1) / np.maximum(bright.sum(axis=1), 1)
    # The hue of an over-exposed lens is that of its rim.
    lens = patches[:, distance < 0.95] - dark[:, None]
    chroma = np.ptp(np.maximum(lens, 0), axis=2)[..., None] ** 2 + 1
    excess = np.maximum((lens * chroma).sum(axis=1) / chroma.sum(axis=1), 0)
    strongest = np.maximum(excess.max(axis=1), 1)
    level = (salience - floor[:, None, None]) / height[:, None, None]
    contrast, brightness = (shown - dark).max(axis=1), shown.max(axis=1)
    blackness = dark.max(axis=1) / np.maximum(brightness, 1)
    is_coloured = _is_signal(excess / strongest[:, None]) & (contrast > _LEAST_EXCESS) & (blackness < _DARKNESS[0])
    is_coloured &= middle - floor < _AROUND[0] * height
    is_pale = (contrast > _PALE_EXCESS) & (blackness < _DARKNESS[1]) & (middle - floor < _AROUND[1] * height)
    is_pale &= shown.min(axis=1) > _WHITENESS * brightness
    is_lit = is_coloured | is_pale
    is_plain = peak - floor > _LEAST_STEP
    # Weighed by how lit it is: the centre and size of the spot.
    spot = np.clip((level - 0.3) / 0.4, 0, 1) * (distance < 1.5)
    total = np.maximum(spot.sum(axis=(1, 2)), 1e-3)
    shift = np.stack([(spot * at_px[None, None]).sum(axis=(1, 2)), (spot * at_px[None, :, None]).sum(axis=(1, 2))])
    size = np.clip(np.sqrt(total / np.pi) / _RADIUS_PX, *_RADIUS_BOUNDS)
    xx, yy, xy = (
        (spot * product).sum(axis=(1, 2)) / total - first * second
        for product, first, second in (
            (at_px[None, None] ** 2, shift[0] / total, shift[0] / total),
            (at_px[None, :, None] ** 2, shift[1] / total, shift[1] / total),
            (at_px[None, None] * at_px[None, :, None], shift[0] / total, shift[1] / total),
        )
    )
    spread = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
    is_lit &= xx + yy + spread <= _LONGEST**2 * np.maximum(xx + yy - spread, 1e-3)
    better = places.copy()
    better[:, :2] += (np.clip(shift / total, -0.6, 0.6) * places[:, 2]).T
    better[:, 2] *= size
    return _Look(
        places=better,
        peak=shown.astype(np.float32),
        dark=dark.astype(np.float32),
        excess=(excess / strongest[:, None]).astype(np.float32),
        floor=floor.astype(np.float32).reshape(n),
        peak_salience=peak.astype(np.float32),
        is_lit=is_lit,
        is_plain=is_plain,
    )


def _ranked(values: Floats, share: float) -> Floats:
    """(n,) the value of each row (n, k) that this share of the row is not above."""
    place = round(share * (values.shape[1] - 1))
    return np.partition(values, place, axis=1)[:, place]


def _is_signal(colour: Floats) -> NDArray[np.bool_]:
    """(n,) whether colours (n, 3) whose strongest channel is 1 are those of signals."""
    tint = colour[:, 0] - colour[:, 1]
    blueness = colour[:, 2] - (colour[:, 0] + colour[:, 1]) / 2
    is_red = (tint > _RED) & (blueness < 0.1)
    is_yellow = (tint > _YELLOW) & (tint <= _RED) & (blueness < _BLUENESS)
    is_green = (tint < _GREEN) & (colour[:, 2] < 1.15 * colour[:, 1]) & (colour[:, 2] > 0.35 * colour[:, 1])
    return is_red | is_yellow | is_green


def _patch(view: CameraView, place: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The image around a place, scaled so that the lens has `_RADIUS_PX`; beyond the image its edge goes on."""
    x, y, radius = place
    scale = radius / _RADIUS_PX
    if scale > 2:
        # Few samples of a large lens would be noisy: a mean over its pixels first.
        rows, columns = _window(view, x, y, _PATCH_PX / 2 * scale)
        return np.asarray(
            cv2.resize(view.image[rows, columns], (_PATCH_PX, _PATCH_PX), interpolation=cv2.INTER_AREA), np.uint8
        )
    half = (_PATCH_PX - 1) / 2 * scale
    matrix = np.array([[scale, 0, x - 0.5 - half], [0, scale, y - 0.5 - half]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(view.image, matrix, (_PATCH_PX, _PATCH_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def _window(view: CameraView, x: float, y: float, reach: float) -> tuple[slice, slice]:
    """Rows and columns of the view within a reach of a place; at least one of each."""
    left, top = int(np.clip(x - reach, 0, view.width - 1)), int(np.clip(y - reach, 0, view.height - 1))
    right, bottom = min(int(np.ceil(x + reach)), view.width), min(int(np.ceil(y + reach)), view.height)
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


def _share(
    view: CameraView, pixels: tuple[slice, slice], place: NDArray[np.float64], floor: float, peak: float
) -> Floats:
    rows, columns = pixels
    across = np.arange(columns.start, columns.stop) + 0.5 - place[0]
    down = np.arange(rows.start, rows.stop) + 0.5 - place[1]
    distance = np.hypot(across[None], down[:, None]) / place[2]
    level = (_salience(view.image[pixels].astype(np.float32)) - floor) / max(peak - floor, 1)
    lit = np.clip((level - 0.35) / 0.3, 0, 1)
    return (lit * np.clip((1.35 - distance) / 0.35, 0, 1)).astype(np.float32)


def _salience(rgb: Floats) -> Floats:
    """Brightness plus what speaks of a lamp: warmth, or the bluish green of signals."""
    red, green, blue = (np.ascontiguousarray(rgb[..., channel]) for channel in range(3))
    warm = np.maximum(red, green)
    warmth = np.maximum(warm - blue, red - green)
    greenness = green - red - 2 * np.maximum(blue - green - 12, 0)
    return np.maximum(warm, blue) + np.float32(_CHROMA_WEIGHT) * np.maximum(np.maximum(warmth, greenness), 0)


def _saturated(share: Floats) -> Floats:
    """The colour of a lamp behind its over-exposed image: paler channels weaker, all alike, or the hue would change."""
    return (255 * np.maximum(1 - min(_DEEPEN, 1 / max(float(1 - share.min()), 1e-3)) * (1 - share), 0)).astype(
        np.float32
    )
