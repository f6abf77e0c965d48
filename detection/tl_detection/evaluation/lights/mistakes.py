"""`StateMistake`: lamps that mean one thing and are said to mean the opposite, by size and time of day.

The first of them is red (or red-yellow) reported as green. A class means stop where every state of it is red or
red_yellow, and go where it is green. The rate is taken over all lamps of that meaning, missed ones included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.lights.answers import MISSED, Answers
from tl_detection.evaluation.lights.traits import Traits
from tl_detection.evaluation.pairs import BoolArray
from tl_detection.evaluation.rates import NamedRate, Rate, Share, measure_rates
from tl_detection.evaluation.replicates import Replicates
from tl_detection.evaluation.selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class StateMistake:
    """How often lamps of one meaning were said to have the other.

    Attributes:
        rate: Share of the lamps.
        detected: Lamps of which anything is said.
        by_size: Per height of the lamp.
        by_time_of_day: Per light of the day of its frame.
        by_size_and_time_of_day: Per time of day, the rates per height.
    """

    rate: Rate
    detected: int
    by_size: tuple[NamedRate, ...]
    by_time_of_day: tuple[NamedRate, ...]
    by_size_and_time_of_day: tuple[TimeOfDayRates, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOfDayRates:
    """The rates per height of the lamp at one time of day."""

    time_of_day: str
    by_size: tuple[NamedRate, ...]


def measure_mistake(
    answers: Answers,
    traits: Traits,
    selection: Selection,
    replicates: Replicates,
    *,
    true_classes: BoolArray,
    said_classes: BoolArray,
) -> StateMistake:
    """Measure how often one meaning was said to be the other.

    Args:
        answers: At the operating scores.
        traits: Of the same ground truth.
        selection: What the rates speak of.
        replicates: Drawn from its frames.
        true_classes: (classes,) the classes of the lamps.
        said_classes: (classes,) the classes that are the mistake.
    """
    truth = answers.matched.ground_truth
    objects = np.flatnonzero(selection.objects)
    objects = objects[true_classes[truth.class_id[objects]]]
    frame, said = truth.frame_index[objects], answers.said[objects]
    is_detected = said != MISSED
    is_mistaken = is_detected & said_classes[said]
    sizes, times = traits.size.masks(objects), traits.time_of_day.masks(objects)
    masks = [np.ones(len(objects), np.bool_)]
    masks += [mask for _, mask in sizes] + [mask for _, mask in times]
    masks += [at_time & of_size for _, at_time in times for _, of_size in sizes]
    rates = iter(
        measure_rates(replicates, [Share(part=frame[mask & is_mistaken], whole=frame[mask]) for mask in masks])
    )
    return StateMistake(
        rate=next(rates),
        detected=int(is_detected.sum()),
        by_size=tuple(NamedRate(name=name, rate=next(rates)) for name, _ in sizes),
        by_time_of_day=tuple(NamedRate(name=name, rate=next(rates)) for name, _ in times),
        by_size_and_time_of_day=tuple(
            TimeOfDayRates(time_of_day=time, by_size=tuple(NamedRate(name=name, rate=next(rates)) for name, _ in sizes))
            for time, _ in times
        ),
    )
