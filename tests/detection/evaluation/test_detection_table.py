"""Detections as columns, and what each of them found."""

import numpy as np
import pytest

from tl_datasets.label_space import IGNORE_ANY
from tl_detection.evaluation.detection_table import DetectionTable
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.pairs import overlapping


@pytest.mark.parametrize("seed", range(4))
def test_a_table_in_any_order_is_matched_as_one_result_per_frame(random_problem, seed):
    problem = random_problem(seed)
    truth = problem.ground_truth
    table = DetectionTable.of(problem.detections)
    shuffled = table.take(np.random.default_rng(seed).permutation(len(table)))
    one, other = match(truth, problem.detections), match(truth, shuffled)
    for name in ("frame_index", "class_id", "score", "xyxy", "rank", "is_match", "is_ignored", "object_index"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("seed", range(6))
def test_the_object_that_was_found_is_of_the_class_and_overlaps_by_half(random_problem, seed):
    problem = random_problem(seed)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    found = matched.object_index >= 0
    np.testing.assert_array_equal(found, matched.is_match[0, 0])
    box = matched.object_index[found]
    np.testing.assert_array_equal(truth.frame_index[box], matched.frame_index[found])
    of_class = truth.class_id[box]
    assert ((of_class == matched.class_id[found]) | (of_class == IGNORE_ANY)).all()
    np.testing.assert_array_equal(matched.is_ignored[0, 0, found], truth.is_ignored[box])
    at = np.arange(len(box))
    pairs = overlapping(matched.xyxy[found], truth.xyxy[box], truth.is_ignored[box], at, at + 1, 0.5)
    assert len(pairs[0]) == len(box)
    taken = box[~truth.is_ignored[box]]
    assert len(np.unique(taken)) == len(taken)


def test_of_frames_keeps_those_of_the_frames_under_their_new_numbers(random_problem):
    problem = random_problem(1)
    rows = np.array([7, 2, 11])
    kept = DetectionTable.of(problem.detections).of_frames(rows, len(problem.catalog))
    for position, row in enumerate(rows):
        expected = problem.detections[row]
        np.testing.assert_array_equal(kept.score[kept.frame_index == position], expected.score)
    assert len(kept) == sum(len(problem.detections[row]) for row in rows)
