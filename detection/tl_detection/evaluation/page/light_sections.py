"""What was said of the lights, as the page shows it: rates of every slice, the matrix, and rates by size."""

from __future__ import annotations

from collections.abc import Sequence

from tl_detection.evaluation.lights.confusion import Confusion
from tl_detection.evaluation.lights.scores import LightScores
from tl_detection.evaluation.page.data import Matrix, Quantity, Steps, Value
from tl_detection.evaluation.rates import NamedRate, Rate

RATES = (
    Quantity(
        key="red_as_green",
        label="Red as green",
        what="Share of the lights that mean stop (red, red-yellow) of which green is said.",
        less_is_better=True,
        is_headline=True,
    ),
    Quantity(
        key="green_as_red",
        label="Green as red",
        what="Share of the green lights of which red or red-yellow is said.",
        less_is_better=True,
    ),
    Quantity(
        key="missed",
        label="Missed",
        what="Share of the objects of which nothing is said.",
        less_is_better=True,
        is_headline=True,
    ),
    Quantity(
        key="phantoms",
        label="Phantoms per 1,000 frames",
        what="Detections that touch no object and no ignore area, per 1,000 frames.",
        less_is_better=True,
        largest=None,
        counted="frames",
        is_headline=True,
    ),
)


def value_of(rate: Rate) -> Value:
    """A rate as the page shows it."""
    return Value(
        value=rate.value,
        low=rate.low,
        high=rate.high,
        objects=rate.whole,
        sequences=rate.sequences,
        part=rate.part,
    )


def light_values(lights: LightScores) -> dict[str, Value]:
    """The rates of a slice by quantity."""
    values = {"missed": value_of(lights.missed.rate), "phantoms": value_of(lights.phantoms.overall.rate)}
    for key in ("red_as_green", "green_as_red"):
        mistake = getattr(lights, key)
        if mistake is not None:
            values[key] = value_of(mistake.rate)
    return values


def class_values(lights: LightScores) -> dict[str, dict[str, Value]]:
    """The rates of the classes of a slice, by class and quantity."""
    return {
        missed.name: {"missed": value_of(missed.rate), "phantoms": value_of(phantoms.rate)}
        for missed, phantoms in zip(lights.missed.by_class, lights.phantoms.by_class, strict=True)
    }


def matrix_of(lights: LightScores) -> Matrix | None:
    """Confusion of states, or of classes where they name none; None where nothing can be confused."""
    confusion = lights.states or lights.classes
    return None if confusion is None else _matrix(confusion)


def size_steps(lights: LightScores) -> tuple[Steps, ...]:
    """Rates by height of the light, and by what else is known of it."""
    height = "height of the box in px"
    groups: list[tuple[str, str, Sequence[NamedRate]]] = [("Missed by height", height, lights.missed.by_size)]
    if lights.red_as_green is not None:
        groups.append(("Red as green by height", height, lights.red_as_green.by_size))
        groups.append(("Red as green by time of day", "time of day", lights.red_as_green.by_time_of_day))
    groups += [
        ("Missed by state", "state", lights.missed.by_state),
        ("Missed by relevance", "relevance", lights.missed.by_relevance),
        ("Missed by occlusion", "occlusion", lights.missed.by_occlusion),
    ]
    return tuple(
        Steps(
            title=title,
            scale=scale,
            is_ordered=scale == height,
            steps=tuple((item.name, value_of(item.rate)) for item in rates),
        )
        for title, scale, rates in groups
        if sum(item.rate.value is not None for item in rates) > 1
    )


def _matrix(confusion: Confusion) -> Matrix:
    return Matrix(
        labels=confusion.labels,
        rows=tuple(tuple(value_of(rate) for rate in (*row.said, row.missed)) for row in confusion.rows),
        nothing_there=tuple(value_of(rate) for rate in confusion.nothing_there),
    )
