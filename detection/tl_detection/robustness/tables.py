"""What a robustness report says, as tables of words; "-" means no value."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tl_datasets.taxonomy import ConditionSource
from tl_detection.evaluation.render import NO_VALUE, Table
from tl_detection.evaluation.scores import Scores
from tl_detection.robustness.results import (
    CorruptionScores,
    Measured,
    Robustness,
    Summary,
    Value,
    class_value,
    overall_value,
    summarise,
)

METRICS = {"AP50": "ap50", "AP": "ap"}


def sets_table(result: Robustness) -> Table:
    """Give mPC and rPC of each set, and the worst that was said of the lights that mean stop."""
    rows = []
    for group in result.groups:
        items = result.of_group(group)
        measured = [item.overall for item in items]
        rows.append((group, str(len(items)), *_summaries(measured, overall_value), _worst(items, result.severities)))
    header = ("set", "corruptions", *_summary_header(), "worst: stop lights as green")
    return Table(title="By set", header=header, rows=tuple(rows))


def corruptions_table(result: Robustness) -> Table:
    """AP50 by severity, and what is left of AP50 and AP, of each corruption."""
    header = ("corruption", "frames", "AP50 clean", *map(str, result.severities), "mPC", "rPC", "AP mPC", "AP rPC")
    rows = []
    for item in result.corruptions:
        ap50, ap = (summarise([item.overall], overall_value(metric)) for metric in METRICS.values())
        rows.append(
            (
                item.corruption.key,
                str(item.overall.clean.frames),
                share(item.overall.clean.ap50),
                *(share(scores.ap50) for scores in item.overall.corrupted),
                *(share(value) for value in (ap50.mpc, ap50.rpc, ap.mpc, ap.rpc)),
            )
        )
    return Table(title="AP50 by corruption and severity", header=header, rows=tuple(rows))


def stop_lights_table(result: Robustness) -> Table | None:
    """What is said of the lights that mean stop; None where no class means stop, or none means go."""
    if result.clean.red_as_green is None:
        return None
    header = ("corruption", "stop lights", "clean", *map(str, result.severities))
    rows = []
    for item in result.corruptions:
        counts = item.overall.clean.red_as_green
        scores = (item.overall.clean, *item.overall.corrupted)
        rows.append((item.corruption.key, str(counts.objects if counts else 0), *map(_green_of_seen, scores)))
    title = "Stop lights reported green, of those detected at all, by severity"
    return Table(title=title, header=header, rows=tuple(rows))


def classes_table(result: Robustness) -> Table:
    """Give mPC and rPC of each class in each set."""
    groups = {name: (index,) for index, name in enumerate(result.label_space.names)}
    return _by_classes(result, "By class", "class", groups)


def states_table(result: Robustness) -> Table:
    """Give mPC and rPC of each state in each set: the mean over the classes of lights that show it."""
    return _by_classes(result, "By state", "state", result.states)


def slices_table(result: Robustness) -> Table:
    """Give mPC and rPC of the frames of each condition in each set."""
    rows = []
    for group in result.groups:
        for name in result.slice_names:
            measured = [item.slices[name] for item in result.of_group(group)]
            objects = max((item.clean.objects for item in measured), default=0)
            rows.append((f"{group}: {name}", str(objects), *_summaries(measured, overall_value)))
    header = ("set and condition", "objects", *_summary_header())
    return Table(title="By condition of the frame before", header=header, rows=tuple(rows))


def made_conditions_table(result: Robustness) -> Table | None:
    """The conditions that frames show afterwards, and the frames that were left out; None where there is neither."""
    rows = []
    for item in result.corruptions:
        made = item.corruption
        if made.weather or made.time_of_day or item.frames_left_out:
            source = ConditionSource.SYNTHETIC if made.weather or made.time_of_day else NO_VALUE
            words = (made.weather or NO_VALUE, made.time_of_day or NO_VALUE, source)
            rows.append((made.key, *map(str, words), str(item.overall.clean.frames), str(item.frames_left_out)))
    if not rows:
        return None
    header = ("corruption", "weather", "time of day", "condition source", "frames", "left out")
    return Table(title="Conditions that were made", header=header, rows=tuple(rows))


def share(value: float | None) -> str:
    """Three decimals, or no value."""
    return NO_VALUE if value is None else f"{value:.3f}"


def _by_classes(result: Robustness, title: str, first: str, class_ids: dict[str, tuple[int, ...]]) -> Table:
    rows = []
    for group in result.groups:
        measured = [item.overall for item in result.of_group(group)]
        for name, ids in class_ids.items():
            objects = sum(result.clean.classes[index].objects for index in ids)
            values = _summaries(measured, lambda metric, ids=ids: class_value(metric, ids))
            rows.append((f"{group}: {name}", str(objects), *values))
    return Table(title=title, header=(f"set and {first}", "objects", *_summary_header()), rows=tuple(rows))


def _summary_header() -> list[str]:
    return [f"{metric} {word}" for metric in METRICS for word in ("clean", "mPC", "rPC")]


def _summaries(measured: Sequence[Measured], value: Callable[[str], Value]) -> list[str]:
    return [word for metric in METRICS.values() for word in _words(summarise(measured, value(metric)))]


def _words(summary: Summary) -> tuple[str, str, str]:
    return share(summary.clean), share(summary.mpc), share(summary.rpc)


def _green_of_seen(scores: Scores) -> str:
    counts = scores.red_as_green
    return NO_VALUE if counts is None or not counts.objects else f"{counts.as_green} of {counts.detected}"


def _worst(items: Sequence[CorruptionScores], severities: Sequence[int]) -> str:
    """The most stop lights that one corruption turned green, such as "7 of 51 (weather.night at 5)"."""
    counted = [
        (counts.as_green, -counts.detected, f"{item.corruption.key} at {severity}")
        for item in items
        for severity, scores in zip(severities, item.overall.corrupted, strict=True)
        if (counts := scores.red_as_green) is not None and counts.objects
    ]
    if not counted:
        return NO_VALUE
    as_green, detected, where = max(counted)
    return f"{as_green} of {-detected} ({where})" if as_green else "0"
