"""Everything that looks deeper, through its one way in."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from tl_datasets.label_space import LabelSpace, Rule
from tl_detection.detector import Detections
from tl_detection.evaluation.analyses import analyse, prepare
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.records import records_by_class
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.report import evaluate_whole
from tl_detection.evaluation.score_curves import MOST_POINTS
from tl_detection.evaluation.scores import score
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.slice_analyses import OVERALL, SLICE_POINTS, analyse_slices


@pytest.fixture(scope="session")
def analyses_of():
    def run(truth, detections, operating_scores, mask=None, **options):
        matched = match(truth, detections)
        mask = np.ones(len(truth), np.bool_) if mask is None else mask
        drawn = draw_replicates(sequence_numbers(truth), mask, replicates=50)
        return analyse(prepare(matched, operating_scores), Selection.of_frames(matched, mask), drawn, **options)

    return run


@pytest.mark.parametrize("seed", range(3))
def test_they_agree_with_the_scores_and_become_json(random_problem, analyses_of, seed):
    problem = random_problem(seed)
    truth = problem.ground_truth
    mask = np.arange(len(truth)) % 3 > 0
    matched = match(truth, problem.detections)
    scores, records = score(matched, mask, [0.4] * 4), records_by_class(matched, mask)
    found = analyses_of(truth, problem.detections, [0.4] * 4, mask)
    json.dumps(asdict(found), allow_nan=False)
    assert (found.lights.frames, found.lights.objects) == (scores.frames, scores.objects)
    for of_class, errors in zip(records, found.errors.classes, strict=True):
        n_right, n_counted = of_class.counts_from(0.4)
        count = {item.kind: item.count for item in errors.errors}
        assert (count["false_positives"], count["false_negatives"]) == (n_counted - n_right, errors.objects - n_right)
    for item, errors, curve in zip(scores.classes, found.errors.classes, found.curves.classes, strict=True):
        assert errors.ap50 == (None if item.ap50 is None else pytest.approx(item.ap50))
        if item.recall is None or not curve.score:
            continue
        at = np.flatnonzero(np.array(curve.score) >= 0.4)[-1]
        assert (curve.precision[at], curve.recall[at], curve.f1[at]) == pytest.approx(
            (item.precision, item.recall, item.f1)
        )


def test_order_of_the_detections_does_not_matter(random_problem, analyses_of):
    problem = random_problem(5)
    truth, rng = problem.ground_truth, np.random.default_rng(0)
    shuffled = []
    for item in problem.detections:
        order = rng.permutation(len(item))
        shuffled.append(Detections(xyxy=item.xyxy[order], score=item.score[order], class_id=item.class_id[order]))
    assert analyses_of(truth, problem.detections, [0.5] * 4) == analyses_of(truth, shuffled, [0.5] * 4)


def test_thinned_curve_keeps_its_values_its_ends_and_its_best(random_problem, analyses_of):
    problem = random_problem(2, 200, on_grid=False)
    truth = problem.ground_truth
    whole = analyses_of(truth, problem.detections, [0.5] * 4, most_points=10**9).curves.classes
    thin = analyses_of(truth, problem.detections, [0.5] * 4).curves.classes
    few = analyses_of(truth, problem.detections, [0.5] * 4, most_points=20).curves.classes
    assert len(whole[0].score) > 2 * MOST_POINTS
    records = records_by_class(match(truth, problem.detections), np.ones(len(truth), np.bool_))
    for kept, most in ((thin, MOST_POINTS), (few, 20)):
        for class_id, (curve, reference) in enumerate(zip(kept, whole, strict=True)):
            assert most / 3 < len(curve.score) <= most
            points = set(zip(reference.score, reference.precision, reference.recall, reference.f1, strict=True))
            assert points.issuperset(zip(curve.score, curve.precision, curve.recall, curve.f1, strict=True))
            assert (curve.score[0], curve.score[-1]) == (reference.score[0], reference.score[-1])
            assert max(curve.f1) == max(reference.f1)
            assert curve.score[int(np.argmax(curve.f1))] == records[class_id].best_operating_score()
            assert list(curve.score) == sorted(curve.score, reverse=True)
            assert list(curve.recall) == sorted(curve.recall)


def test_a_label_space_without_states(random_problem, analyses_of):
    problem = random_problem(1)
    truth = ground_truth_from_catalog(problem.catalog, LabelSpace(classes={"traffic_light": Rule()}))
    detections = [
        Detections(xyxy=item.xyxy, score=item.score, class_id=np.zeros(len(item), np.int64))
        for item in problem.detections
    ]
    found = analyses_of(truth, detections, [0.5])
    assert found.lights.states is None and found.lights.classes is None and found.lights.red_as_green is None
    assert found.lights.missed.rate.whole == found.lights.objects > 0
    assert found.errors.overall.errors[0].count == 0, "one class is not taken for another"
    json.dumps(asdict(found), allow_nan=False)


def test_no_frame_has_no_value(random_problem, analyses_of):
    problem = random_problem(1)
    truth = problem.ground_truth
    found = analyses_of(truth, problem.detections, [0.5] * 4, np.zeros(len(truth), np.bool_))
    assert (found.lights.frames, found.errors.overall.ap50, found.lrp.mean.olrp) == (0, None, None)
    assert found.calibration.overall.d_ece is None
    assert {len(curve.score) for curve in found.curves.classes} == {0}


def test_a_frame_without_a_detection_or_box(catalog_of, analyses_of, lights):
    from tl_datasets.frame import Frame

    frame = Frame(frame_id="a", path="a.png", width_px=64, height_px=48, annotations=())
    truth = ground_truth_from_catalog(catalog_of([frame]), lights)
    found = analyses_of(truth, [Detections.empty()], [0.5] * 4)
    assert found.lights.phantoms.overall.rate.value == 0
    assert found.lights.missed.rate.value is None


def test_curves_of_slices_are_shorter_and_keep_their_ends(random_problem):
    problem = random_problem(2, 80, on_grid=False)
    evaluation = evaluate_whole(problem.detections, problem.catalog, problem.label_space, by=["scene"])
    found = analyse_slices(evaluation, replicates=5).slices
    longest = {name: max(len(curve.score) for curve in item.curves.classes) for name, item in found.items()}
    assert 3 * SLICE_POINTS // 2 < longest.pop(OVERALL) <= MOST_POINTS
    assert set(longest) == {"scene=highway", "scene=tunnel"}
    assert all(SLICE_POINTS // 2 < length <= SLICE_POINTS for length in longest.values())
