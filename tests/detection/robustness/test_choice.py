"""Which corruptions a list of words means."""

from __future__ import annotations

import pytest

from tl_datasets.corruptions.corruptions import CORRUPTIONS
from tl_datasets.effects.effects import EFFECTS
from tl_datasets.errors import UsageError
from tl_datasets.taxonomy import TimeOfDay, Weather
from tl_detection.robustness.choice import Corruption, all_corruptions, choose_corruptions, choose_severities


def keys(*words: str) -> list[str]:
    return [item.key for item in choose_corruptions(words)]


def test_both_sets():
    assert keys("standard") == [f"standard.{name}" for name in CORRUPTIONS]
    assert keys("weather") == [f"weather.{name}" for name in EFFECTS]
    assert keys("standard", "weather") == list(all_corruptions())


def test_names():
    assert keys("glass_blur", "standard.fog", "glass_blur") == ["standard.glass_blur", "standard.fog"]
    assert keys("weather.motion_blur") == ["weather.motion_blur"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rust"], "--corruptions rust: .*expected standard, weather, standard.gaussian_noise, .*weather.night"),
        (["standard", "Fog"], "--corruptions Fog: no such"),
        (["motion_blur"], "in each set; give standard.motion_blur or weather.motion_blur"),
        ([], "nothing is named"),
    ],
)
def test_refused_names(words: list[str], message: str):
    with pytest.raises(UsageError, match=message):
        choose_corruptions(words)


def test_severities():
    assert choose_severities(["5", "1", "3", "1"]) == (1, 3, 5)


@pytest.mark.parametrize("words", [["0"], ["6"], ["1", "2.5"], ["hard"], ["-1"], []])
def test_refused_severities(words: list[str]):
    with pytest.raises(UsageError, match="--severities"):
        choose_severities(words)


def test_conditions_that_do_not_fit():
    rain = Corruption(
        group="weather",
        name="rain",
        apply=lambda scene, severity, rng: scene.image,
        not_in_weather=frozenset({Weather.SNOWY}),
        not_in_time_of_day=frozenset({TimeOfDay.NIGHT}),
    )
    assert rain.fits("clear", None)
    assert rain.fits(None, "daytime")
    assert not rain.fits("snowy", "daytime")
    assert not rain.fits(None, "night")
