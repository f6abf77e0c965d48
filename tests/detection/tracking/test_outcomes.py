"""The verdicts that are drawn, beside the counts of the evaluation."""

from __future__ import annotations

import pytest

from tl_detection.tracking.outcomes import Fate, Verdict, frame_outcome


def test_what_became_of_each_object(scene):
    evaluation = scene.evaluation()
    found, confused, empty, ignored = (frame_outcome(evaluation, frame) for frame in range(4))
    assert found.fates == (Fate.FOUND, Fate.FOUND) and found.verdicts == (Verdict.RIGHT, Verdict.RIGHT)
    assert confused.fates == (Fate.MISSED, Fate.RED_AS_GREEN, Fate.FOUND)
    assert confused.said_by == (None, 0, 1)
    assert confused.verdicts == (Verdict.WRONG, Verdict.RIGHT)
    assert empty.fates == () and empty.verdicts == (Verdict.WRONG,)
    assert ignored.fates == (Fate.FOUND,) and ignored.ignored_xyxy.tolist() == [[100, 40, 110, 64]]
    assert sorted(ignored.verdicts) == [Verdict.IGNORED, Verdict.RIGHT]


def test_what_lies_below_the_operating_score_is_not_shown(scene):
    scene.said["found"].append((280, 100, 290, 120, 0.05, 2))
    outcome = frame_outcome(scene.evaluation(), 0)
    assert len(outcome.detections) == 2


def test_another_class_on_an_object_is_no_miss(scene):
    scene.said["confused"] = [(220, 40, 230, 64, 0.99, 0)]
    outcome = frame_outcome(scene.evaluation(), 1)
    assert outcome.fates[2] == Fate.CONFUSED and outcome.said_by[2] == 0


@pytest.mark.parametrize("seed", range(6))
def test_the_verdicts_add_up_to_the_evaluations_counts(seed, random_scene):
    evaluation = random_scene(seed).evaluation()
    overall = evaluation.report.overall
    outcomes = [frame_outcome(evaluation, frame) for frame in range(len(evaluation.detections))]
    for class_id, scores in enumerate(overall.classes):
        verdicts = [
            verdict
            for outcome in outcomes
            for verdict, found in zip(outcome.verdicts, outcome.detections.class_id, strict=True)
            if found == class_id
        ]
        right, wrong = verdicts.count(Verdict.RIGHT), verdicts.count(Verdict.WRONG)
        assert scores.recall == pytest.approx(right / scores.objects)
        assert scores.precision == pytest.approx(right / (right + wrong))
    assert overall.red_as_green is not None and overall.red_as_green.as_green > 0
    fates = [fate for outcome in outcomes for fate in outcome.fates]
    assert fates.count(Fate.RED_AS_GREEN) == overall.red_as_green.as_green
