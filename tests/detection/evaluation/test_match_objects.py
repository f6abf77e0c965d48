"""A slice of objects is scored as COCO scores the objects of a size."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import State
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.intervals import score_of_each
from tl_detection.evaluation.matching import match, match_objects
from tl_detection.evaluation.pairs import area_px2
from tl_detection.evaluation.protocol import COCO
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.scores import score

SIZES = ("small", "medium", "large")


@pytest.fixture
def problem_and_records(random_problem):
    def make(seed, *, on_grid=True):
        problem = random_problem(seed, on_grid=on_grid)
        return problem, match(problem.ground_truth, problem.detections)

    return make


def of_size(matched, size):
    area = COCO.area_ranges[COCO.area_index(size)]
    return match_objects(matched, area.holds(area_px2(matched.ground_truth.xyxy)), area.holds(area_px2(matched.xyxy)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_objects_of_a_size_score_what_pycocotools_says_of_that_size(problem_and_records, coco_verdict, seed, size):
    problem, matched = problem_and_records(seed)
    overall, per_class = coco_verdict(problem, problem.ground_truth.frame_ids)
    ours = score(of_size(matched, size))
    for name, theirs in (("ap", f"ap_{size}"), ("ar100", f"ar_{size}")):
        assert getattr(ours, name) == pytest.approx(overall[theirs], abs=1e-12)
    for item, expected in zip(ours.classes, per_class, strict=True):
        assert (item.ap is None) == (expected[f"ap_{size}"] is None)
        assert item.ap is None or item.ap == pytest.approx(expected[f"ap_{size}"], abs=1e-12)


def test_a_size_inside_a_size_is_that_of_both(problem_and_records):
    _, matched = problem_and_records(1)
    small = of_size(matched, "small")
    assert score(small).ap == score(small).ap_small == score(matched).ap_small
    assert score(small).objects == score(small).objects_small == score(matched).objects_small
    assert score(small).objects_large == 0 and score(small).ap_large is None


def test_replicates_of_objects_of_a_size_are_those_of_that_size(problem_and_records):
    _, matched = problem_and_records(2)
    drawn = draw_replicates(sequence_numbers(matched.ground_truth), replicates=20)
    for size in SIZES:
        ours = score_of_each(of_size(matched, size), drawn, "ap", class_id=0)
        np.testing.assert_allclose(ours, score_of_each(matched, drawn, f"ap_{size}", class_id=0), atol=1e-12)


def test_all_objects_are_the_records_themselves(problem_and_records):
    _, matched = problem_and_records(3)
    n_boxes, n_detections = len(matched.ground_truth.class_id), len(matched)
    again = match_objects(matched, np.ones(n_boxes, np.bool_), np.ones(n_detections, np.bool_))
    for name in ("match_bits", "ignored_bits", "object_index", "is_object"):
        np.testing.assert_array_equal(getattr(again, name), getattr(matched, name))


def test_no_object_gives_no_value(problem_and_records):
    _, matched = problem_and_records(3)
    nothing = np.zeros(len(matched.ground_truth.class_id), np.bool_)
    empty = score(match_objects(matched, nothing, np.zeros(len(matched), np.bool_)))
    assert (empty.objects, empty.ap, empty.classes_present) == (0, None, 0)
    assert empty.red_as_green.objects == 0
    assert empty.phantoms_per_frame == 0, "no detection counts"


def test_finding_what_was_not_asked_for_is_neither_right_nor_wrong(problem_of):
    problem = problem_of([(0, 0, 20, 20), (100, 0, 120, 20)], [(0, 0, 20, 20, 0.9), (100, 0, 120, 20, 0.8)])
    matched = match(problem.ground_truth, problem.detections)
    second = match_objects(matched, np.array([False, True]), np.ones(2, np.bool_))
    red = score(second, operating_scores=[0.1] * 4).classes[0]
    assert (red.objects, red.precision, red.recall, red.ap) == (1, 1, 1, pytest.approx(1))


def test_masks_must_fit(problem_and_records):
    _, matched = problem_and_records(0)
    with pytest.raises(ValueError, match="masks have shapes"):
        match_objects(matched, np.ones(3, np.bool_), np.ones(len(matched), np.bool_))


def test_what_a_detection_found_is_what_it_overlaps_most_of_every_size(lights, catalog_of, detections_of):
    """Among large objects alone it finds the other one, which is not what it speaks of."""
    sides = (100, 90)
    frame = Frame(
        frame_id="a",
        path="a.png",
        width_px=640,
        height_px=480,
        annotations=tuple(Annotation(xyxy=(0, 0, side, side), state=State.RED) for side in sides),
    )
    truth = ground_truth_from_catalog(catalog_of([frame]), lights)
    matched = match(truth, [detections_of([(0, 0, 92, 92, 0.9, 0)])])
    large = COCO.area_index("large")
    assert matched.is_match_at(large)[0] and not matched.is_ignored_at(large)[0]
    assert truth.xyxy[matched.object_index[0]].tolist() == [0, 0, 90, 90]
