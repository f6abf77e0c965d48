"""Equality with pycocotools, overall and in every slice, where each slice is judged as a data set of its own."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.catalog import CONDITIONS
from tl_detection.evaluation.conditions import slices_by
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.scores import score

TOLERANCE = 1e-12


def assert_equal(ours, overall, per_class, where):
    for name, expected in overall.items():
        assert_same(getattr(ours, name), expected, f"{where}: {name}")
    for item, expected_of_class in zip(ours.classes, per_class, strict=True):
        for name, expected in expected_of_class.items():
            assert_same(getattr(item, name), expected, f"{where}: {item.name} {name}")


def assert_same(ours, expected, where):
    if expected is None or ours is None:
        assert ours is None and expected is None, f"{where}: {ours} != {expected}"
    else:
        assert abs(ours - expected) <= TOLERANCE, f"{where}: {ours} != {expected}"


@pytest.mark.parametrize("on_grid", [True, False], ids=["ties", "no ties"])
@pytest.mark.parametrize("seed", range(6))
def test_overall_and_every_slice_equal_pycocotools(random_problem, coco_verdict, seed, on_grid):
    problem = random_problem(seed, on_grid=on_grid)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    assert_equal(score(matched), *coco_verdict(problem, truth.frame_ids), "overall")
    slices = slices_by(truth, [*CONDITIONS, "weather*time_of_day"])
    assert len(slices) > 10
    for item in slices:
        frame_ids = [frame_id for frame_id, kept in zip(truth.frame_ids, item.frame_mask, strict=True) if kept]
        assert_equal(score(matched, item.frame_mask), *coco_verdict(problem, frame_ids), item.name)


@pytest.mark.parametrize(
    ("second", "recall_at_50"),
    [((20, 0, 50, 20, 0.5), 0.5), ((-10, 0, 20, 20, 0.5), 1.0)],
    ids=["wants the box that is taken", "wants the other"],
)
def test_a_detection_between_two_objects_takes_the_last_as_pycocotools_does(
    problem_of, coco_verdict, second, recall_at_50
):
    problem = problem_of([(0, 0, 30, 20), (10, 0, 40, 20)], [(5, 0, 35, 20, 0.9), second])
    scores = score(match(problem.ground_truth, problem.detections), operating_scores=[0.1] * 4)
    assert scores.classes[0].recall == recall_at_50
    assert_equal(scores, *coco_verdict(problem, ["a"]), "two objects")


def test_problems_hold_what_the_rules_distinguish(random_problem):
    problem = random_problem(0)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    assert matched.beyond_limit.sum() > 0, "more than 100 detections of a class in a frame"
    assert truth.is_ignored.any() and (truth.class_id == -1).any(), "ignore areas of one class and of all"
    assert (matched.score[1:] == matched.score[:-1]).sum() > 50, "ties"
    assert (np.diff(truth.offsets) == 0).any(), "frames without a box"
    seen = [score(match(item.ground_truth, item.detections)) for item in map(random_problem, range(6))]
    assert {item.classes_present for item in seen} >= {3, 4}, "classes that are absent"
    assert all(min(item.objects_small, item.objects_medium, item.objects_large) > 0 for item in seen), "every size"
