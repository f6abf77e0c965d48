"""The two sets of corruptions under one call: the 15 standard ones, and our weather, light and camera effects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tl_datasets.corruptions.corruptions import CORRUPTIONS, MOVES_PIXELS, SEVERITIES, corrupt
from tl_datasets.effects.effects import EFFECTS
from tl_datasets.effects.scene import Scene
from tl_datasets.errors import UsageError
from tl_datasets.taxonomy import TimeOfDay, Weather

Group = Literal["standard", "weather"]
GROUPS: tuple[Group, ...] = ("standard", "weather")

Image = NDArray[np.uint8]
# (scene, severity, random generator) -> new image of the same size.
Apply = Callable[[Scene, int, np.random.Generator], Image]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corruption:
    """One corruption of either set.

    Attributes:
        group: The set.
        name: Its name there; both sets have a `fog`.
        apply: Makes the image.
        moves_pixels: Objects lie beside their boxes afterwards, by a few pixels.
        weather: The weather that the image shows afterwards, where the set says so.
        time_of_day: So is the time of day.
        not_in_weather: Frames of this weather are left out.
        not_in_time_of_day: Frames of this time of day are left out.
    """

    group: Group
    name: str
    apply: Apply
    moves_pixels: bool = False
    weather: Weather | None = None
    time_of_day: TimeOfDay | None = None
    not_in_weather: frozenset[Weather] = frozenset()
    not_in_time_of_day: frozenset[TimeOfDay] = frozenset()

    @property
    def key(self) -> str:
        """Set and name, such as "weather.fog"."""
        return f"{self.group}.{self.name}"

    def fits(self, weather: str | None, time_of_day: str | None) -> bool:
        """Whether it can be made from a frame of these conditions: no rain falls out of a snowy street."""
        return weather not in self.not_in_weather and time_of_day not in self.not_in_time_of_day


def all_corruptions() -> dict[str, Corruption]:
    """Every corruption of both sets by its key."""
    standard = [
        Corruption(group="standard", name=name, apply=partial(_apply_standard, name), moves_pixels=name in MOVES_PIXELS)
        for name in CORRUPTIONS
    ]
    weather = [
        Corruption(
            group="weather",
            name=name,
            apply=effect.apply,
            weather=effect.weather,
            time_of_day=effect.time_of_day,
            not_in_weather=effect.not_in_weather,
            not_in_time_of_day=effect.not_in_time_of_day,
        )
        for name, effect in EFFECTS.items()
    ]
    return {item.key: item for item in (*standard, *weather)}


def choose_corruptions(words: Iterable[str]) -> tuple[Corruption, ...]:
    """Corruptions by set ("standard"), by name ("glass_blur"), or by both ("weather.fog"); each once.

    Raises:
        UsageError: A word is neither, a name belongs to both sets, or there is no word.
    """
    known = all_corruptions()
    chosen: dict[str, Corruption] = {}
    for word in words:
        found = {key: item for key, item in known.items() if word in (item.group, item.name, key)}
        if not found:
            raise UsageError(
                f"--corruptions {word}: no such set or corruption; expected {', '.join(GROUPS)}, {', '.join(known)}"
            )
        if word not in GROUPS and len(found) > 1:
            raise UsageError(f"--corruptions {word}: there is one in each set; give {' or '.join(found)}")
        chosen |= found
    if not chosen:
        raise UsageError(f"--corruptions: nothing is named; give {', '.join(GROUPS)}, or names such as glass_blur")
    return tuple(chosen.values())


def choose_severities(words: Sequence[str | int]) -> tuple[int, ...]:
    """Severities in ascending order, each once.

    Raises:
        UsageError: A word is no whole number from 1 to 5, or there is none.
    """
    severities = set()
    for word in words:
        if str(word).strip() not in {str(severity) for severity in SEVERITIES}:
            raise UsageError(f"--severities {word}: expected whole numbers from 1 to 5, such as 1,3,5")
        severities.add(int(word))
    if not severities:
        raise UsageError("--severities: nothing is named; give some of 1,2,3,4,5")
    return tuple(sorted(severities))


def _apply_standard(name: str, scene: Scene, severity: int, rng: np.random.Generator) -> Image:
    return corrupt(scene.image, name, severity, rng)
