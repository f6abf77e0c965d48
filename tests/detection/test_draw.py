"""Boxes on frames: nothing is hidden, and a light has the colour of what it is reported as."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.taxonomy import State
from tl_detection.detector import Detections
from tl_detection.draw import STATE_COLOURS, draw_detections
from tl_runtime.smoothing import PENDING, SmoothedStates


@pytest.mark.parametrize("size", [(20, 30), (120, 160), (1080, 1920)])
def test_drawing_leaves_the_frame_alone_and_stays_inside(size):
    image = np.full((*size, 3), 90, np.uint8)
    before = image.copy()
    height, width = size
    detections = Detections(
        xyxy=np.array([[0, 0, 4, 8], [width - 4, height - 8, width, height], [2, 2, 6, 10]], np.float32),
        score=np.array([0.9, 0.8, 0.3], np.float32),
        class_id=np.array([0, 1, 0]),
    )
    picture = draw_detections(image, detections, ("red", "green"), ("red", "green"))
    np.testing.assert_array_equal(image, before)
    assert picture.shape == image.shape
    assert (picture != image).any()


def test_drawing_nothing_gives_the_frame():
    image = np.full((120, 160, 3), 60, np.uint8)
    np.testing.assert_array_equal(draw_detections(image, Detections.empty(), ("a",), (None,)), image)


def test_a_class_of_several_states_is_drawn_in_the_colour_of_its_name():
    image = np.zeros((60, 60, 3), np.uint8)
    box = Detections(xyxy=np.array([[20, 20, 30, 40]], np.float32), score=np.array([0.9]), class_id=np.array([0]))
    red, other = (draw_detections(image, box, (name,), (None,)) for name in ("red", "stop_light"))
    assert tuple(red[18, 25]) == STATE_COLOURS[State.RED]
    assert tuple(other[18, 25]) == STATE_COLOURS[None]


def test_an_outline_has_the_colour_of_what_is_reported():
    names, states = ("red", "green"), (State.RED, State.GREEN)
    image = np.zeros((120, 400, 3), np.uint8)
    box = Detections(xyxy=np.array([[20, 60, 30, 80]], np.float32), score=np.array([0.9]), class_id=np.array([1]))
    pictures = {}
    for reported, state in ((1, "green"), (0, "red"), (PENDING, None)):
        smoothed = SmoothedStates(
            track=np.array([3]), class_id=np.array([reported]), state=(state,), is_held=np.array([reported != 1])
        )
        pictures[reported] = draw_detections(image, box, names, states, smoothed)
    assert tuple(pictures[1][58, 25]) == STATE_COLOURS[State.GREEN]
    assert tuple(pictures[0][58, 25]) == STATE_COLOURS[State.RED]
    assert tuple(pictures[PENDING][58, 25]) == STATE_COLOURS[State.UNKNOWN]
    # What was seen is written beside it: the label is longer where it differs.
    widths = [int((pictures[key] != 0).any(axis=(0, 2)).sum()) for key in (1, 0, PENDING)]
    assert widths[0] < widths[1] < widths[2]
