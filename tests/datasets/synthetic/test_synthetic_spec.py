"""The plan of a drawn data set: balance, determinism, refusals."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tl_datasets.errors import DataError
from tl_datasets.synthetic import SequenceSpec, plan_sequences
from tl_datasets.synthetic.spec import TIMES_OF_DAY, WEATHERS
from tl_datasets.taxonomy import Scene, TimeOfDay, Weather

SPEC = SequenceSpec(
    sequence="s", seed=0, n_frames=1, weather=Weather.CLEAR, time_of_day=TimeOfDay.DAYTIME, width_px=320, height_px=180
)


@pytest.mark.parametrize("first", [0, 3, 15, 22])
def test_any_round_of_sequences_holds_every_condition_once(first):
    specs = plan_sequences(45, 2, seed=4)[first : first + 15]
    pairs = Counter((spec.weather, spec.time_of_day) for spec in specs)
    assert pairs == {(weather, time): 1 for weather in WEATHERS for time in TIMES_OF_DAY}


@pytest.mark.parametrize(
    ("weathers", "times"),
    [
        (list(Weather)[:6], TIMES_OF_DAY),
        (list(Weather)[:4], TIMES_OF_DAY[:2]),
        (list(Weather)[:2], TIMES_OF_DAY),
        ([Weather.FOGGY], [TimeOfDay.NIGHT]),
    ],
)
def test_other_conditions_are_dealt_completely_too(weathers, times):
    specs = plan_sequences(len(weathers) * len(times), 1, seed=0, weathers=weathers, times_of_day=times)
    assert len({(spec.weather, spec.time_of_day) for spec in specs}) == len(weathers) * len(times)


def test_five_sequences_meet_every_weather_and_time():
    specs = plan_sequences(5, 1, seed=0)
    assert {spec.weather for spec in specs} == set(WEATHERS)
    assert {spec.time_of_day for spec in specs} == set(TIMES_OF_DAY)


def test_plan_has_every_scene_some_negatives_and_different_names():
    specs = plan_sequences(30, 2, seed=1)
    assert {spec.scene for spec in specs} == {Scene.CITY_STREET, Scene.RESIDENTIAL, Scene.HIGHWAY}
    assert len({spec.sequence for spec in specs}) == 30
    assert 0.08 <= sum(spec.head_density == 0 for spec in specs) / 30 <= 0.15


def test_plan_depends_on_the_seed_alone():
    assert plan_sequences(7, 3, seed=5) == plan_sequences(7, 3, seed=5)
    assert plan_sequences(7, 3, seed=5) == plan_sequences(20, 3, seed=5)[:7]
    assert plan_sequences(7, 3, seed=5) != plan_sequences(7, 3, seed=6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sequence": ""}, "sequence"),
        ({"sequence": "a/../b"}, "folder"),
        ({"seed": -1}, "seed is -1, expected 0 or more"),
        ({"n_frames": 0}, "n_frames is 0"),
        ({"weather": Weather.UNDEFINED}, "weather"),
        ({"time_of_day": TimeOfDay.UNDEFINED}, "time_of_day"),
        ({"scene": Scene.TUNNEL}, "city_street, residential, highway"),
        ({"width_px": 64}, "width_px is 64, expected 160 or more"),
        ({"height_px": 0}, "height_px"),
        ({"arrow_share": 1.5}, "arrow_share"),
        ({"off_share": -0.1}, "off_share"),
        ({"head_density": 9}, "head_density"),
        ({"signal_phase": 1.0}, "signal_phase"),
    ],
)
def test_a_spec_out_of_range_says_what_was_found_and_expected(change, words):
    with pytest.raises(DataError, match=words) as caught:
        replace(SPEC, **change)
    assert "\n" not in str(caught.value)


def test_an_empty_plan_is_refused():
    with pytest.raises(DataError, match="0 sequences"):
        plan_sequences(0, 3, seed=0)
    with pytest.raises(DataError, match="0 weathers"):
        plan_sequences(3, 3, seed=0, weathers=[])


def test_a_negative_seed_is_refused():
    with pytest.raises(DataError, match="seed is -1, expected 0 or more"):
        plan_sequences(3, 3, seed=-1)
