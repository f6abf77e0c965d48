"""D-ECE, the reliability curve, and the interval."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import State
from tl_detection.evaluation.calibration import measure_calibration
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.intervals import bounds_of
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.outcomes import tell_outcomes
from tl_detection.evaluation.overlaps import measure_overlaps
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.selection import Selection

RED, YELLOW, GREEN, OFF = range(4)


def frame_of(index: int) -> Frame:
    return Frame(
        frame_id=f"f{index:03}",
        path=f"{index}.png",
        width_px=640,
        height_px=480,
        annotations=(Annotation(xyxy=(0, 0, 10, 20), state=State.RED),),
    )


@pytest.fixture
def calibrate(lights, catalog_of, detections_of):
    """Calibrate on one frame with a red lamp per list of (score, is right, class)."""

    def run(rows, **options):
        truth = ground_truth_from_catalog(catalog_of([frame_of(index) for index in range(len(rows))]), lights)
        places = [
            [(0 if right else 100, 0, 10 if right else 110, 20, score, kind) for score, right, kind in frame]
            for frame in rows
        ]
        matched = match(truth, [detections_of(frame) for frame in places])
        selection = Selection.of_frames(matched, np.ones(len(truth), np.bool_))
        outcomes = tell_outcomes(matched, measure_overlaps(matched), selection)
        drawn = draw_replicates(sequence_numbers(truth), replicates=100)
        return measure_calibration(matched, outcomes, drawn, **options)

    return run


def test_by_hand(calibrate):
    rows = [[(0.9, True, RED)], [(0.95, False, RED)], [(0.9, True, RED), (0.25, False, RED)], [(0.05, False, RED)]]
    found = calibrate(rows, n_bins=4, floor_score=0.2)
    red = found.classes[RED]
    assert (found.floor_score, found.n_bins, red.detections) == (0.2, 4, 4)
    assert [(item.low, item.high, item.detections) for item in red.bins] == [
        (0, 0.25, 0),
        (0.25, 0.5, 1),
        (0.5, 0.75, 0),
        (0.75, 1, 3),
    ]
    assert (red.bins[0].mean_score, red.bins[0].right) == (None, None), "an empty bin stays empty"
    assert red.bins[3].mean_score == pytest.approx(2.75 / 3)
    assert red.bins[3].right == pytest.approx(2 / 3)
    assert red.d_ece == pytest.approx((3 * (2.75 / 3 - 2 / 3) + 0.25) / 4)
    assert found.overall.d_ece == pytest.approx(red.d_ece)
    assert found.overall.bins == red.bins
    assert (red.low, red.sequences) == (None, 3)


def test_a_score_at_the_floor_counts(calibrate):
    red = calibrate([[(0.25, True, RED)], [(0.2499, True, RED)]], n_bins=4, floor_score=0.25).classes[RED]
    assert (red.detections, red.d_ece) == (1, pytest.approx(0.75))


def test_class_without_a_detection_has_no_value(calibrate):
    off = calibrate([[(0.9, True, RED)]]).classes[OFF]
    assert (off.d_ece, off.low, off.detections, off.sequences) == (None, None, 0, 0)
    assert {item.right for item in off.bins} == {None}


def test_bins_begin_with_that_of_the_floor_and_hold_every_score(calibrate):
    found = calibrate([[(1.0, True, RED)], [(0.375, False, GREEN)], [(0.1, False, GREEN)], [(0.55, False, GREEN)]])
    bins = found.classes[GREEN].bins
    assert (len(bins), bins[0].low) == (18, 0.1)
    assert {round(item.low, 2) for item in bins if item.detections} == {0.1, 0.35, 0.55}
    assert found.classes[RED].bins[-1].detections == 1


def test_interval_is_that_of_measuring_each_replicate(calibrate, catalog_of, lights):
    rng = np.random.default_rng(0)
    rows = [[(float(np.float32(score)), bool(rng.random() < score**2), RED)] for score in rng.uniform(0.1, 1, 40)]
    found = calibrate(rows).classes[RED]
    truth = ground_truth_from_catalog(catalog_of([frame_of(index) for index in range(len(rows))]), lights)
    drawn = draw_replicates(sequence_numbers(truth), replicates=100)
    values = []
    for times in drawn.times:
        again = [frame[0] for frame, count in zip(rows, times, strict=True) for _ in range(count)]
        error = 0.0
        for low in range(2, 20):
            inside = [(score, right) for score, right, _ in again if low / 20 <= score < (low + 1) / 20]
            if inside:
                scores, rights = zip(*inside, strict=True)
                error += len(inside) * abs(np.mean(scores) - np.mean(rights))
        values.append(error / len(again))
    assert (found.low, found.high) == pytest.approx(bounds_of(np.array(values), 40))
    assert found.sequences == 40


def test_honest_scores_have_a_small_error(calibrate):
    rng = np.random.default_rng(1)
    scores = rng.uniform(0.1, 1, 3000)
    honest = calibrate([[(score, bool(rng.random() < score), RED)] for score in scores]).classes[RED]
    boasting = calibrate([[(score, bool(rng.random() < score / 2), RED)] for score in scores]).classes[RED]
    assert honest.d_ece < 0.04 < 0.2 < boasting.low < boasting.d_ece < boasting.high


@pytest.mark.parametrize("options", [{"floor_score": 1.5}, {"floor_score": -0.1}, {"n_bins": 0}])
def test_settings_out_of_range(calibrate, options):
    with pytest.raises(ValueError, match="expected a floor from 0 to 1 and at least 1 bin"):
        calibrate([[]], **options)
