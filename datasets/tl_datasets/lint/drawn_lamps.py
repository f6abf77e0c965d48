"""Drawn lamps, for states of which the user's frames show too few.

They are small and pale as real lamps are: on saturated drawn lamps a shift of the white balance looks harmless. Their
colours are the middle 80 % of DTLD's lamps from 12 px on: 115 red, 111 yellow, 287 green.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from tl_datasets.augment.labelled import Labelled
from tl_datasets.effects.scene import Scene
from tl_datasets.lint.head_reading import HeadBuild, Unreadable, lens_hues, locate_lenses, what_is_unclear
from tl_datasets.lint.lamps import WINDOW_PX, Lamp, head_crop
from tl_datasets.taxonomy import State

Range = tuple[float, float]


class _Lens(NamedTuple):
    hue_deg: Range
    chroma: Range
    value: Range


_LENSES = {
    State.RED: _Lens((-15, 6), (26, 58), (84, 216)),
    State.YELLOW: _Lens((20, 46), (21, 73), (88, 203)),
    State.GREEN: _Lens((166, 212), (17, 55), (78, 195)),
}
_LIT = {
    State.RED: {0: State.RED},
    State.RED_YELLOW: {0: State.RED, 1: State.YELLOW},
    State.YELLOW: {1: State.YELLOW},
    State.GREEN: {2: State.GREEN},
}
# The most coloured tenth of a small lens is mixed with its dark rim.
_RIM_LOSS = 1.05
_CORE_ABOVE_RIM = (5.0, 40.0)
_HOUSING = (18.0, 60.0)
_WIDTH_PX, _ASPECT = (9.0, 22.0), (2.0, 2.6)
_FINE = 8  # times finer than the window
_NOISE = 2.0
_TRIES_PER_LAMP = 20


def draw_lamps(
    state: State, count: int, seed: int, *, red_yellow_deg: float, min_height_px: float, class_id: int = 0
) -> list[Lamp]:
    """Draw heads that show a state, clearly enough to be measured on.

    Args:
        state: Red, red and yellow, yellow or green.
        count: How many.
        seed: Decides everything.
        red_yellow_deg: Border of red and yellow.
        min_height_px: Shortest head.
        class_id: Of the box.

    Returns:
        At most `count` lamps; fewer where the border lies where no lamp is.
    """
    lamps: list[Lamp] = []
    for number in range(count * _TRIES_PER_LAMP):
        if len(lamps) == count:
            break
        sample = _draw(state, np.random.default_rng([seed, list(_LIT).index(state), number]), min_height_px, class_id)
        crop = head_crop(sample.image, sample.xyxy[0])
        head = locate_lenses(crop, state, HeadBuild())
        if isinstance(head, Unreadable) or what_is_unclear(lens_hues(crop, head), state, red_yellow_deg) is not None:
            continue
        lamps.append(Lamp(sample=sample, head=head, frame_id=f"drawn {state} {number}", is_drawn=True))
    return lamps


def _draw(state: State, rng: np.random.Generator, min_height_px: float, class_id: int) -> Labelled:
    width = max(rng.uniform(*_WIDTH_PX), min_height_px / _ASPECT[0])
    height = width * rng.uniform(*_ASPECT)
    left, top = (WINDOW_PX - width) / 2 + rng.random(), (WINDOW_PX - height) / 2 + rng.random()
    tiles = rng.uniform(50, 190, (6, 6, 1)) + rng.uniform(-12, 12, (6, 6, 3))
    image = cv2.resize(tiles, (WINDOW_PX, WINDOW_PX), interpolation=cv2.INTER_CUBIC)
    x1, y1, x2, y2 = int(left) - 2, int(top) - 2, int(left + width) + 3, int(top + height) + 3
    fine = cv2.resize(image[y1:y2, x1:x2], None, fx=_FINE, fy=_FINE, interpolation=cv2.INTER_NEAREST)
    corner = np.array([left - x1, top - y1])
    size = np.array([width, height])
    p1, p2 = np.rint(corner * _FINE).astype(int), np.rint((corner + size) * _FINE).astype(int)
    grey = rng.uniform(*_HOUSING)
    cv2.rectangle(fine, tuple(p1.tolist()), tuple((p2 - 1).tolist()), (grey,) * 3, -1)
    for cell in range(3):
        centre = np.rint((corner + size * (1 / 2, (cell + 0.5) / 3)) * _FINE).astype(int).tolist()
        radius = round(0.4 * min(width, height / 3) * _FINE)
        lit = _LIT[state].get(cell)
        colour = (grey * 0.8,) * 3 if lit is None else _rim_colour(_LENSES[lit], rng)
        cv2.circle(fine, centre, radius, colour, -1, cv2.LINE_AA)
        if lit is not None:
            core = max(colour) + rng.uniform(*_CORE_ABOVE_RIM)
            pale = tuple(0.8 * core + 0.2 * channel for channel in colour)
            cv2.circle(fine, centre, round(0.45 * radius), pale, -1, cv2.LINE_AA)
    image[y1:y2, x1:x2] = cv2.resize(fine, (x2 - x1, y2 - y1), interpolation=cv2.INTER_AREA)
    image = cv2.GaussianBlur(image, (0, 0), 0.6) + rng.normal(0, _NOISE, image.shape)
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return Labelled(
        image=pixels,
        xyxy=np.array([[left, top, left + width, top + height]]),
        class_id=np.array([class_id], dtype=np.int64),
        views=Scene.of_frame(pixels).views,
    )


def _rim_colour(lens: _Lens, rng: np.random.Generator) -> tuple[float, float, float]:
    hue, chroma, value = (rng.uniform(*bounds) for bounds in lens)
    chroma *= _RIM_LOSS
    value = max(value, chroma)
    sector = (hue % 360) / 60
    middle = chroma * (1 - abs(sector % 2 - 1))
    order = [(0, 1), (1, 0), (1, 2), (2, 1), (2, 0), (0, 2)][int(sector)]  # strongest and middle channel
    rgb = np.full(3, value - chroma)
    rgb[order[0]] += chroma
    rgb[order[1]] += middle
    return float(rgb[0]), float(rgb[1]), float(rgb[2])
