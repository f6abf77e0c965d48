"""The letterbox: where pixels go, boxes go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_datasets.letterbox import PAD_VALUE, letterbox, place

SIZES = st.integers(1, 3000)


@pytest.mark.parametrize(
    ("what", "frame", "canvas", "scale", "left", "top", "size"),
    [
        ("same size", (100, 50), (100, 50), 1.0, 0, 0, (100, 50)),
        ("same aspect", (200, 100), (100, 50), 0.5, 0, 0, (100, 50)),
        ("wide frame: padding above and below", (200, 50), (100, 50), 0.5, 0, 12, (100, 25)),
        ("high frame: padding left and right", (50, 100), (100, 50), 0.5, 37, 0, (25, 50)),
        ("small frame is enlarged", (10, 10), (40, 20), 2.0, 10, 0, (20, 20)),
        ("odd padding: the smaller half first", (100, 100), (101, 50), 0.5, 25, 0, (50, 50)),
        ("size rounded half up", (1000, 333), (500, 500), 0.5, 0, 166, (500, 167)),
        ("never thinner than a pixel", (10000, 1), (100, 50), 0.01, 0, 24, (100, 1)),
    ],
)
def test_placement(what, frame, canvas, scale, left, top, size):
    found = place(*frame, *canvas)
    assert found.scale == pytest.approx(scale), what
    assert (found.left, found.top, (found.width_px, found.height_px)) == (left, top, size), what


@given(SIZES, SIZES, SIZES, SIZES, st.lists(st.floats(-10, 3000), min_size=4, max_size=4))
def test_boxes_come_back(frame_width, frame_height, width, height, box):
    placement = place(frame_width, frame_height, width, height)
    xyxy = np.array([box])
    assert np.allclose(placement.to_frame(placement.to_canvas(xyxy)), xyxy, atol=1e-6)


@given(SIZES, SIZES, SIZES, SIZES)
def test_the_frame_lies_inside_and_fills_one_axis(frame_width, frame_height, width, height):
    found = place(frame_width, frame_height, width, height)
    assert found.left >= 0 and found.top >= 0
    assert found.left + found.width_px <= width and found.top + found.height_px <= height
    assert found.width_px == width or found.height_px == height


@given(st.integers(40, 300), st.integers(40, 300), st.integers(2, 6), st.integers(2, 6), st.data())
@settings(max_examples=40, deadline=None)
def test_a_drawn_square_is_found_where_its_box_went(frame_width, frame_height, columns, rows, data):
    width, height = 32 * columns, 32 * rows
    x = data.draw(st.integers(0, frame_width - 12))
    y = data.draw(st.integers(0, frame_height - 12))
    image = np.zeros((frame_height, frame_width, 3), np.uint8)
    image[y : y + 12, x : x + 12] = (255, 0, 0)
    canvas, placement = letterbox(image, width, height)
    assert canvas.shape == (height, width, 3)
    red = canvas[:, :, 0].astype(float) * (canvas[:, :, 1] < PAD_VALUE)
    inside = red[
        placement.top : placement.top + placement.height_px, placement.left : placement.left + placement.width_px
    ]
    x1, y1, x2, y2 = placement.to_canvas(np.array([[x, y, x + 12, y + 12]]))[0]
    centre_x = (inside.sum(0) * (np.arange(inside.shape[1]) + 0.5)).sum() / inside.sum() + placement.left
    centre_y = (inside.sum(1) * (np.arange(inside.shape[0]) + 0.5)).sum() / inside.sum() + placement.top
    assert abs(centre_x - (x1 + x2) / 2) < 0.5 + 0.5 * placement.scale
    assert abs(centre_y - (y1 + y2) / 2) < 0.5 + 0.5 * placement.scale


def test_padding_is_grey_and_the_argument_unchanged():
    image = np.full((10, 20, 3), 200, np.uint8)
    canvas, _ = letterbox(image, 64, 64)
    assert (canvas[0] == PAD_VALUE).all() and (canvas[-1] == PAD_VALUE).all()
    assert (canvas[32] == 200).all()
    assert image.shape == (10, 20, 3) and (image == 200).all()
