"""Rates: counts of things by sequence, and their interval."""

import numpy as np
import pytest

from tl_detection.evaluation.exact_bounds import none_bound
from tl_detection.evaluation.intervals import LEAST_SEQUENCES, bounds_of, score_of_each
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.rates import measure_rate
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.selection import Selection


def test_recall_as_a_rate_is_recall_and_its_interval(random_problem):
    problem = random_problem(3)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    replicates = draw_replicates(sequence_numbers(truth))
    selection = Selection.of_frames(matched, np.ones(len(truth), np.bool_))
    is_red = selection.objects & (truth.class_id == 0)
    red = matched.class_id == 0
    right = red & (matched.object_index >= 0) & ~matched.is_ignored[0, 0]
    found = measure_rate(replicates, matched.frame_index[right], truth.frame_index[is_red], per=1000)
    expected = score_of_each(matched, replicates, "recall", class_id=0, operating_scores=[0.0] * 4)
    assert found.value == pytest.approx(1000 * right.sum() / is_red.sum())
    assert (found.part, found.whole) == (right.sum(), is_red.sum())
    bounds = bounds_of(expected[~np.isnan(expected)], found.sequences)
    assert (found.low, found.high) == pytest.approx(tuple(1000 * bound for bound in bounds))


def test_nothing_to_count_among_gives_no_value(random_problem):
    replicates = draw_replicates(sequence_numbers(random_problem(3).ground_truth))
    nothing = np.zeros(0, np.int64)
    found = measure_rate(replicates, nothing, nothing)
    assert (found.value, found.low, found.high, found.part, found.whole, found.sequences) == (None, None, None, 0, 0, 0)


def test_few_sequences_give_a_value_and_no_interval():
    replicates = draw_replicates(np.arange(LEAST_SEQUENCES))
    frames = np.arange(LEAST_SEQUENCES - 1)
    few = measure_rate(replicates, frames[:1], frames)
    enough = measure_rate(replicates, frames[:1], np.arange(LEAST_SEQUENCES))
    assert (few.value, few.low, few.sequences) == (1 / len(frames), None, LEAST_SEQUENCES - 1)
    assert enough.low is not None and enough.high is not None and enough.low <= 1 / LEAST_SEQUENCES <= enough.high


def test_one_mistake_in_a_few_drives_is_no_better_than_none():
    """Of what is to be high, the side of the mistakes is the lower one."""
    replicates = draw_replicates(np.repeat(np.arange(20), 10), replicates=300)
    frames, bound = np.arange(200), none_bound(20, 0.95)
    for n in (0, 1, 2):
        mistakes = measure_rate(replicates, frames[:n], frames)
        right = measure_rate(replicates, frames[n:], frames, higher_is_better=True)
        per_1000 = measure_rate(replicates, frames[:n], frames, per=1000)
        assert mistakes.high == pytest.approx(bound) == pytest.approx(1 - right.low)
        assert per_1000.high == pytest.approx(1000 * bound)
        few_right = measure_rate(replicates, frames[:n], frames, higher_is_better=True)
        assert few_right.high == pytest.approx(bound) if n == 0 else few_right.high < bound
    many = measure_rate(replicates, frames[:100], frames)
    assert 0 < many.low < 0.5 < many.high < 1, "of ten drives all, of ten none: the replicates tell"
