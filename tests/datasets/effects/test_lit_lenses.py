"""Lit lenses: found where they are, whatever the box, and not where nothing is lit."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.effects.camera_view import CameraView
from tl_datasets.effects.depth import HEAD_LENGTH_M
from tl_datasets.effects.lit_lenses import lit_lenses


def view_of(image: np.ndarray, *boxes: tuple) -> CameraView:
    lights = np.array(boxes, float).reshape(-1, 4)
    return CameraView(image=image, lights_xyxy=lights, horizon_px=162, focal_px=640)


@pytest.mark.parametrize("lens_px", [5, 8, 15, 40])
@pytest.mark.parametrize(("colour", "cell"), [("red", 0), ("yellow", 1), ("green", 2)])
@pytest.mark.parametrize("moved", [(0, 0, 0, 0), (-1, -1, 1, 2), (1, 0, 1, 0)])
def test_place_size_and_colour(lens_px, colour, cell, moved, drawn):
    image = drawn.street()
    box = drawn.head(image, 300, 20, lens_px, colour)
    (lens,) = lit_lenses(view_of(image, tuple(np.add(box, moved))))
    assert (lens.x_px, lens.y_px) == pytest.approx((300 + lens_px / 2, 20 + (cell + 0.5) * lens_px), abs=1.2)
    assert lens.radius_px == pytest.approx(0.38 * lens_px, rel=0.35, abs=0.5)
    strongest = {"red": [0], "yellow": [0], "green": [1]}[colour]
    assert lens.colour.argmax() in strongest
    length = 3 * lens_px + moved[3] - moved[1]
    assert lens.distance_m == pytest.approx(640 * HEAD_LENGTH_M / length)


def test_its_pixels_are_a_round_spot(drawn):
    image = drawn.street()
    box = drawn.head(image, 300, 20, 24, "red")
    (lens,) = lit_lenses(view_of(image, box))
    rows, columns = lens.pixels
    y, x = np.mgrid[rows, columns] + 0.5
    away = np.hypot(x - 312, y - 32)
    assert lens.share[away < 6].min() > 0.9 and lens.share[away > 11].max() < 0.1


def test_red_and_yellow_together(drawn):
    image = drawn.street()
    box = drawn.head(image, 300, 20, 20, "red")
    second = drawn.street()
    drawn.head(second, 300, 20, 20, "yellow")
    image[40:60] = second[40:60]
    found = lit_lenses(view_of(image, box))
    assert sorted(round(lens.y_px) for lens in found) == pytest.approx([30, 50], abs=1)


def test_a_lying_head(drawn):
    image = drawn.street()
    box = drawn.head(image, 40, 60, 20, "green")
    lying = np.ascontiguousarray(image.transpose(1, 0, 2))
    (lens,) = lit_lenses(view_of(lying, (box[1], box[0], box[3], box[2])))
    assert (lens.x_px, lens.y_px) == pytest.approx((110, 50), abs=1)


def test_heads_are_told_apart(drawn):
    image = drawn.street()
    boxes = [
        drawn.head(image, 200 + 60 * n, 20, 10 + 5 * n, colour) for n, colour in enumerate(("red", "none", "green"))
    ]
    assert [lens.head for lens in lit_lenses(view_of(image, *boxes))] == [0, 2]


@pytest.mark.parametrize("box", [(300, 20, 320, 80), (20, 100, 45, 160), (310, 250, 330, 310), (118, 80, 140, 150)])
def test_nothing_is_lit_in_sky_walls_and_road(box, drawn):
    assert lit_lenses(view_of(drawn.street(), box)) == []


def test_a_dark_head_on_a_white_board(drawn):
    image = drawn.street()
    image[10:90, 280:340] = 240
    assert lit_lenses(view_of(image, drawn.head(image, 300, 20, 20, "none"))) == []
    box = drawn.head(image, 300, 20, 20, "none")
    assert lit_lenses(view_of(image, (box[0] - 6, box[1] - 6, box[2] + 6, box[3] + 6))) == []


def test_no_heads_and_boxes_without_pixels(drawn):
    image = drawn.street()
    assert lit_lenses(view_of(image)) == []
    assert lit_lenses(view_of(image, (50, 50, 50, 50), (-20, -20, -5, -5), (700, 10, 720, 60))) == []
