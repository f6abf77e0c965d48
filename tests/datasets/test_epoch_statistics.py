"""The statistics of an epoch: sums that hold however the samples are dealt out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_datasets.effects import effects
from tl_datasets.effects.scene import Effect
from tl_datasets.epoch_statistics import EpochStatistics
from tl_datasets.taxonomy import TimeOfDay, Weather

NAMES = ("red", "green")
SAMPLES = st.lists(
    st.fixed_dictionaries(
        {
            "frame_id": st.sampled_from("abc"),
            "class_id": st.lists(st.integers(0, 1), max_size=4),
            "conditions": st.fixed_dictionaries({"weather": st.sampled_from([None, "rainy", Weather.CLEAR])}),
            "ignored": st.integers(0, 3),
            "vanished": st.integers(0, 3),
            "box_only": st.integers(0, 2),
            "made": st.lists(st.sampled_from(["mix_up", "copy_paste"]), max_size=3),
        }
    ),
    max_size=12,
)


def counted(samples: list[dict]) -> EpochStatistics:
    statistics = EpochStatistics(NAMES)
    for sample in samples:
        statistics.add(**sample)
    return statistics


def test_an_epoch_of_three_samples(monkeypatch):
    rain = Effect(apply=lambda scene, severity, rng: scene.image, weather=Weather.RAINY)
    monkeypatch.setitem(effects.EFFECTS, "drawn_rain", rain)
    statistics = EpochStatistics(NAMES)
    statistics.add(
        frame_id="a", class_id=np.array([0, 0, 1]), conditions={"weather": "rainy", "time_of_day": TimeOfDay.NIGHT}
    )
    statistics.add(
        frame_id="a",
        class_id=[1],
        conditions={"weather": Weather.RAINY, "time_of_day": None},
        ignored=2,
        vanished=1,
        box_only=4,
        made=("drawn_rain", "mix_up", "mix_up"),
    )
    statistics.add(frame_id="b", class_id=[], conditions={"weather": "undefined", "time_of_day": "night"})
    row = statistics.as_row()
    assert row == {
        "samples": 3,
        "frames": 2,
        "repeated": 1,
        "without_boxes": 1,
        "boxes": {"red": 2, "green": 2},
        "ignored": 2,
        "vanished": 1,
        "box_only": 4,
        "made": {"drawn_rain": 1, "mix_up": 1},
        "by": {
            "time_of_day": {
                "night": {"samples": 2, "made": 0, "boxes": {"red": 2, "green": 1}},
                "unknown": {"samples": 1, "made": 0, "boxes": {"green": 1}},
            },
            "weather": {
                "rainy": {"samples": 2, "made": 1, "boxes": {"red": 2, "green": 2}},
                "unknown": {"samples": 1, "made": 0, "boxes": {}},
            },
        },
    }
    assert json.loads(json.dumps(row)) == row
    assert statistics.line() == (
        "3 samples of 2 frames; boxes: red 2, green 2; ignore areas 2 (1 vanished); "
        "boxes without a class 4; made: rainy 1"
    )


def test_an_empty_epoch_is_zeros():
    row = EpochStatistics(NAMES).as_row()
    assert row["samples"] == row["repeated"] == 0 and row["boxes"] == {"red": 0, "green": 0} and row["by"] == {}


@settings(max_examples=50, deadline=None)
@given(SAMPLES, st.integers(1, 4))
def test_however_the_samples_are_dealt_out_the_sums_are_the_same(samples, world):
    merged = EpochStatistics(NAMES)
    for rank in range(world):
        merged.merge(counted(samples[rank::world]))
    row = merged.as_row()
    assert row == counted(samples).as_row()
    assert row["samples"] == len(samples)
    assert sum(row["boxes"].values()) == sum(len(sample["class_id"]) for sample in samples)
    weather = row["by"].get("weather", {}).values()
    assert sum(item["samples"] for item in weather) == len(samples)
    assert sum(sum(item["boxes"].values()) for item in weather) == sum(row["boxes"].values())


@given(SAMPLES, st.integers(0, 12))
def test_an_epoch_that_goes_on_in_another_process_has_the_same_sums(samples, cut):
    written = json.dumps(counted(samples[:cut]).state())
    again = EpochStatistics.from_state(json.loads(written))
    assert json.dumps(again.state()) == written
    for sample in samples[cut:]:
        again.add(**sample)
    whole = counted(samples)
    assert again.as_row() == whole.as_row() and again.line() == whole.line() and again.frames == whole.frames


def test_a_state_with_a_count_missing_is_refused():
    state = EpochStatistics(NAMES).state()
    del state["made"]
    with pytest.raises(KeyError, match="made"):
        EpochStatistics.from_state(state)


@pytest.mark.parametrize("class_id", [[2], [0, -1]])
def test_a_class_without_a_name_is_refused(class_id):
    statistics = EpochStatistics(NAMES)
    with pytest.raises(ValueError, match="expected 0 to 1"):
        statistics.add(frame_id="a", class_id=class_id, conditions={})
    assert statistics.samples == 0


def test_other_classes_are_not_added():
    with pytest.raises(ValueError, match="expected"):
        EpochStatistics(NAMES).merge(EpochStatistics(("red",)))
