"""The tracker: which boxes are one light, which are not, and when a track ends."""

from __future__ import annotations

import numpy as np
import pytest

from tl_runtime.tracking import NEW, Tracker


def box(x: float, y: float = 50.0, width: float = 8.0, height: float = 20.0) -> list[float]:
    """A box by its centre."""
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def numbers_of(tracker: Tracker, *boxes: list[float], group: int = 0) -> list[int]:
    return tracker.update(np.array(boxes).reshape(-1, 4), [group] * len(boxes))[0].tolist()


@pytest.mark.parametrize(
    ("moved", "is_same"),
    [
        pytest.param(box(100), True, id="the same place"),
        pytest.param(box(111.9), True, id="less than one and a half widths aside"),
        pytest.param(box(112.1), False, id="more than one and a half widths aside"),
        pytest.param(box(100, 79.9), True, id="less than one and a half heights below"),
        pytest.param(box(100, 80.1), False, id="more than one and a half heights below"),
        pytest.param(box(100, width=15.9, height=39.9), True, id="almost twice as large"),
        pytest.param(box(100, width=16.1, height=40.1), False, id="more than twice as large"),
        pytest.param(box(100, width=3.9, height=9.9), False, id="less than half as large"),
    ],
)
def test_the_limits_are_those_that_are_stated(moved, is_same):
    tracker = Tracker()
    first = numbers_of(tracker, box(100))
    assert (numbers_of(tracker, moved) == first) is is_same


def test_a_track_ends_after_too_many_missed_frames():
    for n_missed, is_same in ((5, True), (6, False)):
        tracker = Tracker(lose_after=5)
        first = numbers_of(tracker, box(100))
        for index in range(n_missed):
            assert tracker.numbers == tuple(first[: index < 6])
            tracker.skip() if index % 2 else tracker.update(np.zeros((0, 4)), [])
        numbers, missed = tracker.update([box(100)], [0])
        assert (numbers.tolist() == first) is is_same
        assert missed.tolist() == [n_missed if is_same else NEW]


def test_steady_motion_is_followed_also_where_frames_are_missed():
    tracker = Tracker()
    first = numbers_of(tracker, box(100))
    for frame in range(1, 30):
        if frame % 6 in (3, 4):
            tracker.skip()
        else:
            assert numbers_of(tracker, box(100 + 7 * frame, 50 - frame)) == first
    assert len(tracker.numbers) == 1


def test_neighbours_keep_their_tracks_in_any_order_of_boxes():
    tracker = Tracker()
    left, right = numbers_of(tracker, box(100), box(112))
    assert numbers_of(tracker, box(115), box(103)) == [right, left]
    assert numbers_of(tracker, box(118)) == [right]  # the other is hidden: it does not take this box over
    assert numbers_of(tracker, box(109), box(121)) == [left, right]


def test_groups_do_not_mix():
    tracker = Tracker()
    first = numbers_of(tracker, box(100), group=0)
    other = numbers_of(tracker, box(100), group=1)
    assert first != other
    assert numbers_of(tracker, box(100), group=0) == first


def test_numbers_are_never_used_twice():
    tracker, seen = Tracker(lose_after=0), set()
    for frame in range(20):
        (number,) = numbers_of(tracker, box(100 + 50 * frame))
        assert number not in seen
        seen.add(number)
        if frame == 10:
            tracker.reset()
    assert len(tracker.numbers) == 1


def test_boxes_without_area_and_no_boxes():
    tracker = Tracker()
    first = numbers_of(tracker, [10, 10, 10, 10])
    assert numbers_of(tracker, [10.5, 10, 10.5, 10]) == first
    assert numbers_of(tracker) == []
    assert tracker.near(np.zeros((0, 4))).shape == (0, 1)


@pytest.mark.parametrize(
    ("boxes", "groups", "words"),
    [
        ([[0, 0, 1]], [0], "expected \\(N, 4\\)"),
        ([[0, 0, 1, np.nan]], [0], "not finite"),
        ([[5, 0, 1, 1]], [0], "x2 < x1"),
        ([[0, 0, 1, 1]], [0, 1], "groups of shape"),
    ],
)
def test_bad_boxes_are_refused_and_change_nothing(boxes, groups, words):
    tracker = Tracker()
    first = numbers_of(tracker, box(100))
    with pytest.raises(ValueError, match=words):
        tracker.update(boxes, groups)
    assert tracker.update([box(100)], [0])[1].tolist() == [0]
    assert tracker.numbers == tuple(first)


@pytest.mark.parametrize("setting", [{"lose_after": -1}, {"reach": 0}, {"size_ratio": 0.5}, {"reach": float("nan")}])
def test_bad_limits_are_refused(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        Tracker(**setting)
