"""Precision over recall at score thresholds, beside the evaluation's own counts."""

from __future__ import annotations

import numpy as np
import pytest

from tl_detection.evaluation.conditions import slices_by
from tl_detection.evaluation.records import records_by_class
from tl_detection.tracking.score_curves import ALL_FRAMES, N_THRESHOLDS, score_curve, score_curves


@pytest.mark.parametrize("seed", range(4))
def test_each_point_holds_what_the_evaluation_counts_at_that_score(seed, random_scene):
    matched = random_scene(seed).evaluation().matched
    for records in records_by_class(matched, np.ones(len(matched.ground_truth), bool)):
        curve = score_curve(records)
        assert curve is not None and len(curve.right) == N_THRESHOLDS
        for number in range(N_THRESHOLDS):
            right, counted = records.counts_from(number / (N_THRESHOLDS - 1))
            assert (curve.right[number], curve.wrong[number]) == (right, counted - right)
            point = records.operating_point(number / (N_THRESHOLDS - 1))
            assert point is not None
            assert curve.recall[number] == pytest.approx(point.recall)
            assert curve.precision[number] == pytest.approx(point.precision or 0)


def test_a_curve_by_hand(scene):
    curves = {(frames, name): curve for frames, name, curve in score_curves(scene.evaluation())}
    green = curves[ALL_FRAMES, "green"]
    # 0.95 on a red, 0.9 right, 0.85 in the empty frame, 0.8 right; two objects.
    assert [green.precision[at] for at in (0, 82, 87, 92, 96)] == pytest.approx([0.5, 1 / 3, 0.5, 0, 0])
    assert [green.recall[at] for at in (0, 82, 87, 92, 96)] == pytest.approx([1, 0.5, 0.5, 0, 0])


def test_only_classes_with_objects_have_a_curve_in_a_condition(scene):
    evaluation = scene.evaluation()
    found = {(frames, name) for frames, name, _ in score_curves(evaluation)}
    expected = set()
    for item in slices_by(evaluation.matched.ground_truth, ("weather", "time_of_day")):
        for name, records in zip(
            scene.label_space.names, records_by_class(evaluation.matched, item.frame_mask), strict=True
        ):
            expected |= {(item.name, name)} if records.objects[0] else set()
    assert found == expected | {(ALL_FRAMES, name) for name in ("red", "yellow", "green")}
    assert ("weather=rainy", "green") not in found and ("weather=rainy", "yellow") in found
