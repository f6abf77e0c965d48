"""Mix-up: scenes shine through each other, signal heads do not."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.augment.labelled import Labelled
from tl_datasets.augment.mix_up import mix_up


def plain(value: int, boxes: list[list[float]], **fields) -> Labelled:
    return Labelled(
        image=np.full((40, 60, 3), value, np.uint8),
        xyxy=np.array(boxes, float).reshape(-1, 4),
        class_id=np.full(len(boxes), value % 3),
        **fields,
    )


def test_boxes_show_their_own_frame_and_the_rest_both():
    made = mix_up(plain(30, [[5, 5, 15, 25]]), plain(230, [[40, 10, 50, 30]]), 0.5)
    assert (made.image[5:25, 5:15] == 30).all()
    assert (made.image[10:30, 40:50] == 230).all()
    assert (made.image[0:3, 28:32] == 130).all()
    assert made.xyxy.tolist() == [[5, 5, 15, 25], [40, 10, 50, 30]] and made.class_id.tolist() == [0, 2]
    assert not made.is_vanished.any() and made.made == ("mix_up",)


def test_where_boxes_meet_the_first_is_shown_and_the_second_ignored():
    made = mix_up(plain(30, [[5, 5, 15, 25]]), plain(230, [[12, 5, 22, 25], [40, 10, 50, 30]]), 0.4)
    assert (made.image[5:25, 5:15] == 30).all()
    assert made.xyxy.tolist() == [[5, 5, 15, 25], [40, 10, 50, 30]]
    assert made.ignore_xyxy.tolist() == [[12, 5, 22, 25]] and made.is_vanished.tolist() == [True]


def test_ignore_areas_of_both_stay():
    made = mix_up(
        plain(30, [], ignore_xyxy=np.array([[1.0, 1, 5, 5]]), is_vanished=np.array([True])),
        plain(230, [], ignore_xyxy=np.array([[7.0, 1, 9, 5]])),
        0.5,
    )
    assert made.ignore_xyxy.tolist() == [[1, 1, 5, 5], [7, 1, 9, 5]] and made.is_vanished.tolist() == [True, False]


@pytest.mark.parametrize(
    ("first", "second", "shown"), [("rainy", "rainy", "rainy"), ("rainy", "clear", None), (None, "clear", None)]
)
def test_conditions_that_differ_are_nobodys(first, second, shown):
    assert mix_up(plain(1, [], weather=first), plain(2, [], weather=second), 0.5).weather == shown


def test_sizes_must_agree():
    other = Labelled(image=np.zeros((4, 4, 3), np.uint8), xyxy=np.zeros((0, 4)), class_id=np.zeros(0, int))
    with pytest.raises(ValueError, match="expected one size"):
        mix_up(plain(1, []), other, 0.5)


def test_what_was_made_of_either_is_said_once():
    made = mix_up(plain(1, [], made=("rain", "jpeg")), plain(2, [], made=("jpeg", "copy_paste")), 0.5)
    assert made.made == ("rain", "jpeg", "copy_paste", "mix_up")


def test_visible_shares_stay_with_their_boxes():
    first = plain(30, [[5, 5, 15, 25]], visible=np.array([0.95]))
    second = plain(230, [[12, 5, 22, 25], [40, 10, 50, 30]], visible=np.array([0.93, 0.91]))
    assert mix_up(first, second, 0.5).visible.tolist() == [0.95, 0.91]
