"""Classes and conditions on one side only, and classes with too few boxes."""

from __future__ import annotations

import pytest

from tl_datasets.taxonomy import TimeOfDay, Weather
from tl_detection.plan.class_counts import look_at_counts
from tl_detection.plan.findings import Verdict
from tl_detection.plan.subject import open_subject

BOX = (100.0, 100.0, 110.0, 122.0)


def messages(section, verdict):
    return [finding.message for finding in section.findings if finding.verdict is verdict]


def test_enough_of_everything(run_over):
    section = look_at_counts(open_subject(run_over([[BOX] * 4] * 80)))
    assert section.verdict is Verdict.OK
    assert section.values["boxes"] == {"train": {"red": 120, "green": 120}, "val": {"red": 40, "green": 40}}
    assert section.table[1] == ("all", "60 / 20", "120 / 40", "120 / 40")


def test_few_boxes(run_over):
    section = look_at_counts(open_subject(run_over([[BOX]] * 20)))
    assert "class 'red' has 10 boxes to learn from, expected 20 or more" in messages(section, Verdict.LOOK)
    # Every val frame has an odd number.
    assert "class 'red' has no box in val: it will have no score" in messages(section, Verdict.LOOK)
    assert "class 'green' has 5 boxes in val: its score will say little" in messages(section, Verdict.LOOK)


@pytest.mark.parametrize(("allowed", "verdict"), [(False, Verdict.STOP), (True, Verdict.LOOK)])
def test_a_class_without_boxes(allowed, verdict, run_over, tmp_path):
    space = {"classes": {name: {"state": name} for name in ("red", "green", "yellow")}}
    data = {"catalog": tmp_path / "catalog", "label_space": space, "allow_classes_without_boxes": allowed}
    section = look_at_counts(open_subject(run_over([[BOX] * 2] * 80, data=data)))
    (message,) = [line for line in messages(section, verdict) if "no box to learn from" in line]
    assert "class 'yellow'" in message and "data.allow_classes_without_boxes" in message
    assert section.verdict is verdict


def test_conditions_of_one_side(run_over):
    def frame(number):
        is_val = number % 4 == 3
        return {
            "weather": Weather.SNOWY if is_val else Weather.CLEAR,
            "time_of_day": TimeOfDay.NIGHT if is_val else None,
        }

    section = look_at_counts(open_subject(run_over([[BOX] * 2] * 80, frame=frame)))
    found = messages(section, Verdict.LOOK)
    assert "weather snowy: 20 frames in val, none to learn from" in found
    assert "weather clear: learned and not scored, val has no such frame" in found
    assert "time of day is known of val and of no training frame: what was learned is not known" in found
    assert ("weather snowy", "0 / 20", "0 / 20", "0 / 20") in section.table


def test_unlabelled_frames_are_said(run_over):
    section = look_at_counts(
        open_subject(run_over([[BOX] * 2] * 80, frame=lambda number: {"annotations": None} if number < 2 else {}))
    )
    (message,) = [line for line in messages(section, Verdict.LOOK) if "left out" in line]
    assert message.startswith("train: 2 frames are left out because they are unlabelled")
