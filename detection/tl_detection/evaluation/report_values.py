"""What a `Measure` is in a report that was written before: the numbers of the file alone, nothing is scored again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from itertools import permutations
from typing import Any, Literal

from tl_datasets.errors import DataError, UsageError
from tl_datasets.expression_reader import near_word
from tl_detection.evaluation.intervals import Interval, ScoreName
from tl_detection.evaluation.measures import Measure, no_such
from tl_detection.evaluation.rates import Rate
from tl_detection.evaluation.readings import value_in
from tl_detection.evaluation.results import Report, SliceScores
from tl_detection.evaluation.scores import Scores

EVERYWHERE = "all frames"
# Rates of the analyses that are counted among frames and not among objects.
_OF_FRAMES = "lights.phantoms."
_SHOWN = 20
_SIZES = ("small", "medium", "large")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedValue:
    """A number of a report with what it was measured on.

    Attributes:
        value: The score, or the bound of its interval; None where the report has none.
        interval: Of the score; None where it has none.
        where: Name of the slice.
        frames: Of the slice.
        counted: What the number was measured on; of one class and size at most so many.
        counted_what: What these are: objects, or frames where phantoms are counted per frame.
        sequences: That hold any of it; where they were too few for an interval, at most so many.
    """

    value: float | None
    interval: Interval | None
    where: str
    frames: int
    counted: int
    sequences: int
    counted_what: Literal["objects", "frames"] = "objects"


def reported_values(report: Report, measure: Measure, slice_name: str | None = None) -> list[ReportedValue]:
    """The number in its slice, or for `worst(...)` in each of its slices.

    Args:
        report: What `tl evaluate` wrote.
        measure: What to read.
        slice_name: The slice by its name in the report; None = the one that the measure names.

    Raises:
        DataError: The report has no such slice or class, or no intervals and a bound is asked for.
    """
    try:
        class_id = measure.class_id(report.class_names)
    except UsageError as error:
        raise DataError(str(error)) from error
    if measure.bound is not None and report.interval_method is None:
        raise DataError(f"{measure}: the report has no intervals; score with: tl evaluate")
    return [
        _value(report, measure, class_id, name, scores, sequences, intervals)
        for name, scores, sequences, intervals in _places(report, measure, slice_name)
    ]


def reported_rate(
    report: Report, path: str, bound: Literal["lower", "upper"] | None = None, slice_name: str | None = None
) -> ReportedValue:
    """A rate of the analyses of a report.

    Args:
        report: What `tl evaluate` wrote.
        path: Its place below `analyses`, such as "lights.missed.by_size.8-12"; an entry of a list by its name.
        bound: The bound of its interval instead of its value.
        slice_name: The slice by its name in the report; None = all frames.

    Raises:
        DataError: The report has no analyses, no such slice, or no rate in that place.
    """
    place = report if slice_name is None else _find(report, [slice_name])
    if place.analyses is None:
        raise DataError(f"{path}: the report has no analyses; score with: tl evaluate")
    rate = _rate_at(place.analyses, path)
    found = None
    if rate.low is not None and rate.high is not None and report.interval_method is not None:
        method = report.interval_method
        found = Interval(
            low=rate.low, high=rate.high, level=method.level, sequences=rate.sequences, replicates=method.replicates
        )
    scores = place.overall if isinstance(place, Report) else place.scores
    return ReportedValue(
        value={None: rate.value, "lower": rate.low, "upper": rate.high}[bound],
        interval=found,
        where=slice_name or EVERYWHERE,
        frames=scores.frames,
        counted=rate.whole,
        counted_what="frames" if path.startswith(_OF_FRAMES) else "objects",
        sequences=rate.sequences,
    )


def _rate_at(analyses: Any, path: str) -> Rate:
    found, rest = analyses, path
    while rest:
        known = _parts(found)
        # A name may hold a dot; the longest that fits is meant.
        fitting = [name for name in known if rest == name or rest.startswith(f"{name}.")]
        if not fitting:
            try:
                raise no_such(path, "part", rest.partition(".")[0], list(known))
            except UsageError as error:
                raise DataError(f"the report's analyses: {error}") from error
        name = max(fitting, key=len)
        found, rest = known[name], rest[len(name) + 1 :]
    inner = _parts(found).get("rate")
    found = inner if isinstance(inner, Rate) and not isinstance(found, Rate) else found
    if not isinstance(found, Rate):
        raise DataError(f"{path}: no rate in the report's analyses; it has {', '.join(_parts(found)) or 'no parts'}")
    return found


def _parts(found: Any) -> Mapping[str, Any]:
    """The fields of a result, or the entries of a list by their names."""
    if isinstance(found, tuple | list):
        return {item.name: item for item in found if hasattr(item, "name")}
    return {item.name: getattr(found, item.name) for item in fields(found)} if is_dataclass(found) else {}


def _value(
    report: Report,
    measure: Measure,
    class_id: int | None,
    where: str,
    scores: Scores,
    sequences: int,
    intervals: Mapping[str, Interval],
) -> ReportedValue:
    value = value_in(scores, measure.name, class_id)
    found = intervals.get(str(Measure(name=measure.name, class_name=measure.class_name)))
    if found is not None:
        sequences = found.sequences
    elif value is not None and report.interval_method is not None:
        sequences = min(sequences, report.interval_method.least_sequences - 1)
    if measure.bound is not None:
        value = None if found is None or value is None else found.low if measure.bound == "lower" else found.high
    return ReportedValue(
        value=value,
        interval=found,
        where=where,
        frames=scores.frames,
        counted=objects_measured(scores, measure.name, class_id),
        sequences=sequences,
    )


def objects_measured(scores: Scores, name: ScoreName, class_id: int | None) -> int:
    """Objects that a score of a class, or of all (None), is measured on; of phantoms, which need none, all objects."""
    if name == "red_as_green":
        return 0 if scores.red_as_green is None else scores.red_as_green.objects
    if name == "phantoms_per_frame":
        return scores.objects
    objects = scores.objects if class_id is None else scores.classes[class_id].objects
    size = name.removeprefix("ap_")
    of_size = getattr(scores, f"objects_{size}") if size in _SIZES else None
    return objects if of_size is None else min(objects, of_size)


def _places(
    report: Report, measure: Measure, slice_name: str | None
) -> list[tuple[str, Scores, int, Mapping[str, Interval]]]:
    if slice_name is not None:
        return [_of_slice(_find(report, [slice_name]))]
    if measure.where:
        pairs = [f"{column}={value}" for column, value in measure.where]
        return [_of_slice(_find(report, [", ".join(order) for order in permutations(pairs)]))]
    if not measure.worst_over:
        return [(EVERYWHERE, report.overall, report.sequences, report.intervals)]
    found = []
    for cross in measure.worst_over:
        orders = {"*".join(order) for order in permutations(cross.split("*"))}
        slices = [item for item in report.slices if item.column in orders]
        if not slices:
            raise DataError(
                f"{measure}: the report has no slices by {cross} (it has {', '.join(report.by) or 'none'}); score "
                f"again with --by {','.join([*report.by, cross])}"
            )
        found += [_of_slice(item) for item in slices]
    return found


def _find(report: Report, names: list[str]) -> SliceScores:
    changes = report.changes
    parts = [] if changes is None else [part for part in (changes.old, changes.new) if part is not None]
    for item in (*report.slices, *parts):
        if item.name in names:
            return item
    known = [item.name for item in (*report.slices, *parts)]
    shown = ", ".join([*known[:_SHOWN], *(["..."] if len(known) > _SHOWN else [])]) or "none"
    raise DataError(
        f"the report has no slice {names[0]}{near_word(names[0], known)} (it has {shown}); score again with a --by or "
        "--slice that makes it"
    )


def _of_slice(item: SliceScores) -> tuple[str, Scores, int, Mapping[str, Interval]]:
    return item.name, item.scores, item.sequences, item.intervals
