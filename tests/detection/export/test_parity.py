"""The comparison must not let a wrong file pass, and must not fail a right one."""

from __future__ import annotations

import numpy as np
import pytest

from tl_detection.detector import Detections
from tl_detection.export.parity import BOX_LIMIT_PX, SCORE_LIMIT, compare, compare_frame

K = 100


def detections(*rows: tuple[float, float, float, int]) -> Detections:
    """Boxes of 10 x 20 px: x, y, score, class."""
    return Detections(
        xyxy=np.array([[x, y, x + 10, y + 20] for x, y, _, _ in rows], np.float32).reshape(-1, 4),
        score=np.array([score for *_, score, _ in rows], np.float32),
        class_id=np.array([class_id for *_, class_id in rows], np.int64),
    )


TWO = detections((5, 5, 0.9, 0), (50, 5, 0.5, 1))
WRONG = {
    "shifted": detections((6, 5, 0.9, 0), (50, 5, 0.5, 1)),
    "other class": detections((5, 5, 0.9, 1), (50, 5, 0.5, 1)),
    "other score": detections((5, 5, 0.8, 0), (50, 5, 0.5, 1)),
    "one missing": detections((5, 5, 0.9, 0)),
    "one too many": detections((5, 5, 0.9, 0), (50, 5, 0.5, 1), (90, 5, 0.2, 0)),
    "one twice": detections((5, 5, 0.9, 0), (5, 5, 0.9, 0), (50, 5, 0.5, 1)),
    "none": Detections.empty(),
}


def test_equal_detections_in_another_order_are_equal():
    report = compare([(TWO, detections((50, 5, 0.5, 1), (5, 5, 0.9, 0)))], K)
    assert report.is_equal
    assert (report.compared, report.missing, report.ties, report.worst_box_px) == (4, 0, 0, 0.0)


def test_nothing_on_both_sides_is_equal_and_compares_nothing():
    report = compare([(Detections.empty(), Detections.empty())], K)
    assert report.is_equal
    assert report.compared == 0


def test_differences_within_the_limits_are_reported():
    report = compare([(TWO, detections((5 + BOX_LIMIT_PX / 2, 5, 0.9, 0), (50, 5, 0.5 + SCORE_LIMIT / 2, 1)))], K)
    assert report.is_equal
    assert report.worst_box_px == pytest.approx(BOX_LIMIT_PX / 2, rel=1e-4)
    assert report.worst_score == pytest.approx(SCORE_LIMIT / 2, abs=1e-6)


@pytest.mark.parametrize("other", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("swapped", [False, True])
def test_a_difference_fails_in_both_directions(other, swapped):
    pair = (other, TWO) if swapped else (TWO, other)
    report = compare([(TWO, TWO), pair], K)
    assert not report.is_equal
    assert report.bad_frames <= 1


def test_detections_below_the_lowest_compared_score_may_differ():
    assert compare([(TWO, detections((5, 5, 0.9, 0), (50, 5, 0.5, 1), (90, 5, 0.04, 0)))], K).is_equal


def test_the_last_of_a_full_list_may_differ():
    first = detections((0, 0, 0.9, 0), (50, 0, 0.500, 0))
    second = detections((0, 0, 0.9, 0), (90, 0, 0.501, 0))
    assert compare([(first, second)], max_detections=2).is_equal
    assert not compare([(first, second)], max_detections=3).is_equal


def test_a_few_ties_among_many_pass_and_many_do_not():
    many = [(20.0 * i, 40.0 * j, 0.8, 0) for i in range(20) for j in range(10)]
    moved = [(x + (2 if n < 1 else 0), y, score, c) for n, (x, y, score, c) in enumerate(many)]
    report = compare([(detections(*many), detections(*moved))], 1000)
    assert (report.ties, report.missing) == (2, 0)
    assert report.is_equal
    all_moved = [(x + 2, y, score, c) for x, y, score, c in many]
    assert not compare([(detections(*many), detections(*all_moved))], 1000).is_equal


def test_a_partner_is_used_once():
    frame = compare_frame(detections((5, 5, 0.9, 0), (5, 5, 0.9, 0)), detections((5, 5, 0.9, 0)), K)
    assert frame.missing + frame.ties == 1
