"""Lit pixels in the boxes of signal heads."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tl_datasets.effects.lit_lamps import LitLamp, clip_to_white, find_lit
from tl_datasets.taxonomy import State

LIT = {"red": (235, 45, 40), "yellow": (240, 190, 40), "green": (40, 220, 150)}


def head(lenses: dict[int, tuple[int, int, int]], width: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """A head before a white wall, its box a tenth too wide."""
    image = np.full((5 * width, 4 * width, 3), 235, np.uint8)
    x, y = width, width
    image[y : y + 3 * width, x : x + width] = 25
    for cell, colour in lenses.items():
        cv2.circle(image, (x + width // 2, y + cell * width + width // 2), round(0.36 * width), colour, -1)
    return image, np.array([[x - 0.1 * width, y, x + 1.1 * width, y + 3 * width]])


@pytest.mark.parametrize("width", [6, 12, 24, 80])
@pytest.mark.parametrize(("cell", "name"), [(0, "red"), (1, "yellow"), (2, "green")])
def test_finds_the_lit_lens_and_nothing_else(cell, name, width):
    image, box = head({cell: LIT[name]}, width)
    (lamp,) = find_lit(image, box)
    rows = lamp.weight.sum(axis=1)
    place = (rows * (np.arange(len(rows)) + 0.5)).sum() / rows.sum() + lamp.y1
    assert place == pytest.approx(width * (1 + cell + 0.5), abs=0.18 * width)
    shown = image[lamp.rows_cols]
    assert (shown[lamp.weight > 0.6].min(axis=1) < 200).mean() > 0.9, "the white wall is not lit"
    assert np.argmax(lamp.colour) == np.argmax(LIT[name]) and lamp.colour.max() == pytest.approx(1)


def sum_of(image: np.ndarray, lamps: list[LitLamp]) -> np.ndarray:
    """(H, W) how lit each pixel of the image is."""
    weight = np.zeros(image.shape[:2])
    for lamp in lamps:
        weight[lamp.rows_cols] += lamp.weight
    return weight


@pytest.mark.parametrize("width", [6, 9, 12, 24])
def test_red_and_yellow_keep_their_own_colours(width):
    image, box = head({0: LIT["red"], 1: LIT["yellow"]}, width)
    red, yellow = sorted(find_lit(image, box), key=lambda lamp: lamp.y1)
    assert red.colour[1] < 0.1 and 0.3 < yellow.colour[1] < 0.8
    assert red.colour[0] == yellow.colour[0] == pytest.approx(1)


def test_red_and_yellow_together():
    image, box = head({0: LIT["red"], 1: LIT["yellow"]})
    weight = sum_of(image, find_lit(image, box))
    rows = weight[24:96].max(axis=1)
    assert rows[12] > 0.8 and rows[36] > 0.8 and rows[60] < 0.1


def test_a_lying_head():
    image, box = head({2: LIT["green"]})
    lying = np.ascontiguousarray(image.transpose(1, 0, 2))
    (lamp,) = find_lit(lying, box[:, [1, 0, 3, 2]])
    columns = sum_of(lying, [lamp])[:, 24:96].max(axis=0)
    assert columns[60] > 0.8 and columns[12] < 0.1


def test_a_dark_head_before_a_dark_wall_and_no_heads():
    image, box = head({})
    image[image == 235] = 30
    assert find_lit(image, box) == [] and find_lit(image, np.zeros((0, 4))) == []


def test_clipping_keeps_the_hue():
    light = np.array([[[4.0, 1.0, 0.4]], [[0.5, 0.2, 0.1]]], np.float32)
    shown = clip_to_white(light)
    assert shown.max() <= 1 and shown[1] == pytest.approx(light[1])
    red, green, blue = shown[0, 0]
    assert red == pytest.approx(1) and red > green > blue
    # The share of green between red and blue is the hue.
    assert (green - blue) / (red - blue) == pytest.approx((1.0 - 0.4) / (4.0 - 0.4), abs=1e-3)


@pytest.mark.parametrize(
    ("state", "lamps"),
    [
        (State.RED, [((150, 30, 30), 0)]),
        (State.YELLOW, [((190, 150, 60), 1)]),
        (State.GREEN, [((30, 150, 120), 2)]),
        (State.RED_YELLOW, [((150, 30, 30), 0), ((190, 150, 60), 1)]),
    ],
)
def test_the_label_says_which_lens_is_lit_whatever_is_bright_beside_it(state, lamps):
    """A white board shines through on the left, and the sky at both ends: brighter than the lamp, and of no colour."""
    image = np.full((100, 80, 3), 235, np.uint8)
    image[14:86, 30:52] = 25
    centres = [(41, 26), (41, 50), (41, 74)]
    for colour, lens in lamps:
        cv2.circle(image, centres[lens], 8, colour, -1, cv2.LINE_AA)
    box = np.array([[25.0, 10, 56, 90]])
    found = sorted(find_lit(image, box, [state]), key=lambda lamp: lamp.y1)
    assert len(found) == len(lamps)
    for lamp, (_, lens) in zip(found, lamps, strict=True):
        rows, columns = np.nonzero(lamp.weight > 0.5)
        place = columns.mean() + lamp.x1, rows.mean() + lamp.y1
        assert np.hypot(place[0] - centres[lens][0], place[1] - centres[lens][1]) < 4
    others = {State.RED, State.GREEN} - {state}
    if state in (State.RED, State.GREEN):
        assert find_lit(image, box, [*others]) == [], "no lens has that colour"
    assert find_lit(image, box, [State.OFF]) == []
