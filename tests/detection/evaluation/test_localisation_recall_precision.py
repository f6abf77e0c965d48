"""oLRP and its parts, by hand and against a plain search over all thresholds."""

from __future__ import annotations

import numpy as np
import pytest

from tl_detection.evaluation.exact_bounds import none_bound
from tl_detection.evaluation.intervals import bounds_of
from tl_detection.evaluation.localisation_recall_precision import score_lrp
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.outcomes import tell_outcomes
from tl_detection.evaluation.overlaps import measure_overlaps
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.selection import Selection

REPLICATES = 60
LAMPS = [(0, 0, 20, 40), (100, 0, 120, 40)]


@pytest.fixture
def lrp_of(problem_of):
    def run(boxes, rows):
        return _score(problem_of(boxes, rows))

    return run


def _score(problem, objects=None):
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    overlaps = measure_overlaps(matched)
    selection = Selection.of_frames(matched, np.ones(len(truth), np.bool_))
    drawn = draw_replicates(sequence_numbers(truth), replicates=REPLICATES)
    return score_lrp(matched, overlaps, tell_outcomes(matched, overlaps, selection), drawn)


# (rows, oLRP, placement, false positives, missed, best score)
CASES = {
    "perfect": ([(0, 0, 20, 40, 0.9), (100, 0, 120, 40, 0.8)], (0, 0, 0, 0, 0.8)),
    "one missed": ([(0, 0, 20, 40, 0.9)], (0.5, 0, 0, 0.5, 0.9)),
    "nothing found": ([], (1, None, None, 1, None)),
    "only phantoms": ([(300, 0, 320, 40, 0.9)], (1, None, None, 1, None)),
    # IoU 0.75: (0.25 / 0.5 + 0 + 1) / 2
    "badly placed": ([(0, 0, 20, 30, 0.9)], (0.75, 0.25, 0, 0.5, 0.9)),
    # Both lamps and a phantom between them: 1 / 3 with it, 1 / 2 before it.
    "worth a phantom": (
        [(0, 0, 20, 40, 0.9), (300, 0, 320, 40, 0.8), (100, 0, 120, 40, 0.7)],
        (1 / 3, 0, 1 / 3, 0, 0.7),
    ),
    # With two phantoms 2 / 4 = 1 / 2 as well: the higher score of equals.
    "the higher score of equals": (
        [(0, 0, 20, 40, 0.9), (300, 0, 320, 40, 0.8), (400, 0, 420, 40, 0.8), (100, 0, 120, 40, 0.7)],
        (0.5, 0, 0, 0.5, 0.9),
    ),
    "a tie passes as one": (
        [(0, 0, 20, 40, 0.9), (300, 0, 320, 40, 0.9), (100, 0, 120, 40, 0.9)],
        (1 / 3, 0, 1 / 3, 0, 0.9),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_by_hand(lrp_of, case):
    rows, expected = CASES[case]
    found = lrp_of(LAMPS, rows).classes[0]
    values = (found.olrp, found.placement, found.false_positives, found.missed, found.best_score)
    for value, wanted in zip(values, expected, strict=True):
        assert value == (wanted if wanted is None else pytest.approx(wanted, abs=1e-6))


def test_a_class_without_objects_has_no_value_and_leaves_the_mean(lrp_of):
    found = lrp_of(LAMPS, CASES["one missed"][0])
    assert (found.classes[1].olrp, found.classes[1].missed) == (None, None)
    assert (found.mean.olrp, found.mean.missed, found.mean.best_score) == (0.5, 0.5, None)
    nothing = lrp_of([], [(0, 0, 20, 40, 0.9)])
    assert (nothing.mean.olrp, nothing.mean.placement) == (None, None)


@pytest.mark.parametrize("seed", range(5))
def test_against_a_plain_search(random_problem, seed):
    problem = random_problem(seed)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    found = _score(problem)
    for class_id, item in enumerate(found.classes):
        n = int(((truth.class_id == class_id) & ~truth.is_ignored).sum())
        if not n:
            assert item.olrp is None
            continue
        of_class = np.flatnonzero(matched.class_id == class_id)
        best = 1.0
        for threshold in np.unique(matched.score[of_class]):
            error, n_found, n_wrong = 0.0, 0, 0
            for index in of_class[matched.score[of_class] >= threshold]:
                box = matched.object_index[index]
                if box < 0:
                    n_wrong += 1
                elif not truth.is_ignored[box]:
                    n_found += 1
                    error += (1 - _iou(matched.xyxy[index], truth.xyxy[box])) / 0.5
            best = min(best, (error + n_wrong + n - n_found) / (n_wrong + n))
        assert item.olrp == pytest.approx(best)


def _iou(first, second) -> float:
    sides = [min(first[2 + i], second[2 + i]) - max(first[i], second[i]) for i in range(2)]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return sides[0] * sides[1] / (sum(areas) - sides[0] * sides[1])


@pytest.mark.parametrize(("seed", "on_grid"), [(0, True), (1, True), (2, False)])
def test_the_interval_is_that_of_a_search_in_every_replicate(random_problem, seed, on_grid):
    problem = random_problem(seed, on_grid=on_grid)
    truth = problem.ground_truth
    found = _score(problem)
    matched = match(truth, problem.detections)
    overlaps = measure_overlaps(matched)
    outcomes = tell_outcomes(matched, overlaps, Selection.of_frames(matched, np.ones(len(truth), np.bool_)))
    drawn = draw_replicates(sequence_numbers(truth), replicates=REPLICATES)
    of_classes = []
    for class_id, item in enumerate(found.classes):
        at = np.flatnonzero(outcomes.is_counted & (matched.class_id == class_id))
        objects = truth.frame_index[outcomes.is_object & (truth.class_id == class_id)]
        values = []
        for times in drawn.times:
            of_frame = times[drawn.sequence]
            n, least = of_frame[objects].sum(), 1.0
            for threshold in np.unique(matched.score[at]):
                above = at[matched.score[at] >= threshold]
                right = above[outcomes.is_right[above]]
                n_right = of_frame[matched.frame_index[right]].sum()
                n_wrong = of_frame[matched.frame_index[above]].sum() - n_right
                placed = (of_frame[matched.frame_index[right]] * (1 - overlaps.found_iou[right])).sum()
                least = min(least, (2 * placed + n_wrong + n - n_right) / (n_wrong + n)) if n else least
            values.append(least if n else np.nan)
        known = np.array(values)[~np.isnan(values)]
        of_classes.append(values)
        assert item.sequences == len(set(objects.tolist()))
        if item.sequences < 5:
            assert (item.olrp_low, item.olrp_high) == (None, None)
            continue
        low, high = bounds_of(known, item.sequences)
        assert (item.olrp_low, item.olrp_high) == pytest.approx((low, max(high, none_bound(item.sequences, 0.95))))
        assert item.olrp_low <= item.olrp <= item.olrp_high
    means = np.nanmean(np.array(of_classes), axis=0)
    assert found.mean.olrp_low == pytest.approx(bounds_of(means, found.mean.sequences)[0])


def test_a_perfect_detector_in_few_frames_is_not_sure_to_be_perfect(random_problem, problem_of):
    found = _score(problem_of(LAMPS, CASES["perfect"][0])).classes[0]
    assert (found.olrp, found.olrp_low, found.olrp_high, found.sequences) == (pytest.approx(0), None, None, 1)
