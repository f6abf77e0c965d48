"""What a head shows before and after a transform."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tl_datasets.lint.head_reading import HeadBuild, Unreadable, locate_lenses, read_head, what_is_unclear
from tl_datasets.lint.lamps import head_crop
from tl_datasets.taxonomy import Orientation, State


def crops(drawn, state):
    return [
        (head_crop(lamp.sample.image, lamp.sample.xyxy[0]), lamp.head)
        for lamp in drawn.lamps
        if lamp.head.state is state
    ]


def turned_hue(crop: np.ndarray, degrees: float) -> np.ndarray:
    hsv = cv2.cvtColor(crop, cv2.COLOR_RGB2HSV_FULL).astype(int)
    hsv[..., 0] = (hsv[..., 0] + round(degrees * 256 / 360)) % 256
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB_FULL)


STATES = (State.RED, State.RED_YELLOW, State.YELLOW, State.GREEN)


@pytest.mark.parametrize("state", STATES)
def test_a_head_that_nothing_was_done_to_is_kept(state, drawn):
    assert all(read_head(crop, head) is state for crop, head in crops(drawn, state))


@pytest.mark.parametrize(
    ("state", "degrees", "shown"),
    [(State.RED, 45, State.YELLOW), (State.YELLOW, -45, State.RED), (State.GREEN, -150, State.YELLOW)],
)
def test_a_shifted_hue_is_another_state_although_the_place_is_right(state, degrees, shown, drawn):
    read = [read_head(turned_hue(crop, degrees), head) for crop, head in crops(drawn, state)]
    assert read.count(shown) >= 10


@pytest.mark.parametrize("state", STATES)
def test_a_grey_head_is_unread(state, drawn):
    for crop, head in crops(drawn, state):
        grey = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        assert read_head(grey, head) is None


@pytest.mark.parametrize("state", [State.RED, State.GREEN])
def test_a_head_upside_down_is_not_kept(state, drawn):
    assert all(read_head(crop[::-1].copy(), head) is not state for crop, head in crops(drawn, state))


def test_one_wrong_lens_of_two_is_another_state(drawn):
    for crop, head in crops(drawn, State.RED_YELLOW):
        changed = crop.copy()
        half = len(crop) // 3
        changed[:half] = turned_hue(crop[:half], 40)
        assert read_head(changed, head) in {State.YELLOW, State.RED_YELLOW}
        changed[:half] = crop[:half, :, ::-1]  # blue, which no light shows
        assert read_head(changed, head) is not State.RED_YELLOW
        changed[:half] = crop[:half][:, :, [1, 0, 2]]
        assert read_head(changed, head) is State.GREEN


def test_nothing_is_read_from_no_pixels(drawn):
    crop, head = crops(drawn, State.RED)[0]
    assert read_head(crop[:0], head) is None


def test_a_label_that_the_pixels_contradict_is_not_located(drawn):
    crop, _ = crops(drawn, State.RED)[0]
    assert locate_lenses(crop, State.GREEN, HeadBuild()) is Unreadable.PLACE
    assert locate_lenses(np.full((40, 16, 3), 30, np.uint8), State.RED, HeadBuild()) is Unreadable.UNLIT


def test_horizontal_heads_and_single_lamps(drawn):
    for state in (State.RED, State.GREEN):
        build = HeadBuild(orientation=Orientation.HORIZONTAL, with_red_yellow=False)
        lying = [np.ascontiguousarray(np.rot90(crop)) for crop, _ in crops(drawn, state)]
        found = [(crop, locate_lenses(crop, state, build)) for crop in lying]
        located = [(crop, head) for crop, head in found if not isinstance(head, Unreadable)]
        # Without a place, hue alone tells pale red from pale yellow: some are left out.
        assert len(located) >= 5
        assert all(read_head(crop, head) is state for crop, head in located)
        assert all(read_head(turned_hue(crop, 180), head) is not state for crop, head in located)
    lamp = np.full((16, 16, 3), 20, np.uint8)
    cv2.circle(lamp, (8, 8), 7, (220, 60, 50), -1)
    head = locate_lenses(lamp, State.RED, HeadBuild(n_lenses=1))
    assert not isinstance(head, Unreadable) and head.lens_positions == (None,)
    assert read_head(lamp, head) is State.RED and read_head(lamp[:, :, [1, 0, 2]].copy(), head) is State.GREEN


@pytest.mark.parametrize(
    ("hues", "label", "why"),
    [
        ([(0.0, 40.0)], State.RED, None),
        ([(11.5, 40.0)], State.RED, Unreadable.BORDER),
        ([(0.0, 11.0)], State.RED, Unreadable.GREY),
        ([(0.0, 5.0)], State.RED, Unreadable.GREY),
        ([(30.0, 40.0)], State.RED, Unreadable.COLOUR),
        ([(0.0, 40.0), (30.0, 40.0)], State.RED_YELLOW, None),
        ([(0.0, 40.0), (16.0, 40.0)], State.RED_YELLOW, Unreadable.BORDER),
        ([(0.0, 40.0), (0.0, 40.0)], State.RED_YELLOW, Unreadable.COLOUR),
    ],
)
def test_what_is_unclear(hues, label, why):
    assert what_is_unclear(hues, label) is why
