"""An evaluation as a model card in Markdown: what it is for, what it was scored on, how it does, where it ends.

The sections follow Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019). Whatever a person must say and
nobody said is named as missing rather than made up.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from tl_datasets.taxonomy import TimeOfDay, Weather
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.intervals import LEAST_SEQUENCES
from tl_detection.evaluation.page import facts
from tl_detection.evaluation.page.data import Facts, SliceRow, Value
from tl_detection.evaluation.page.further import further_tables
from tl_detection.evaluation.page.licences import licence_of_data, licence_of_model
from tl_detection.evaluation.page.rows import QUANTITIES, is_annotated
from tl_detection.evaluation.render import SMALL_MARK, Table, as_markdown
from tl_detection.evaluation.results import Report
from tl_detection.evaluation.same_protocol import scores_are_given
from tl_detection.evaluation.value_text import NO_VALUE, interval_text, markdown_text, value_text

_COLUMNS = ("ap50", "recall", "precision", "missed", "red_as_green", "phantoms")
_WORST = 5
_INTENDED_USE = (
    "To find traffic lights and what they show in images of a camera like the one of the data below. Not stated by "
    "its makers beyond that: say so in your own words before others rely on it."
)
_NOT_INTENDED = (
    "Not to be the only ground for driving on: whether a light governs one's lane, and whether an intersection is "
    "free, is not what was measured. Not for conditions, countries or cameras that the data do not hold."
)
_LABELS = (
    "Licences are told by the name of the source; what came with the data holds. The labels' own faults are in the "
    "numbers: a light that nobody annotated counts as a phantom when it is found."
)


def format_model_card(
    report: Report,
    truth: GroundTruth,
    rows: Sequence[SliceRow],
    *,
    title: str,
    intended_use: str | None = None,
) -> str:
    """The card.

    Args:
        report: The scores.
        truth: The frames that were scored.
        rows: All frames first, then the slices.
        title: Name of the model.
        intended_use: In the words of its makers; None = a general sentence that says so.
    """
    overall = rows[0]
    licence = licence_of_model(report.model.get("engine"))
    parts = [
        f"# Model card: {markdown_text(title)}",
        facts.headline(overall, report),
        "## Model",
        _listed([*facts.compared(report).rows[: len(report.model)], ("licence of the weights", licence)]),
        "## Intended use",
        intended_use or _INTENDED_USE,
        _NOT_INTENDED,
        as_markdown(_data(truth)),
        _LABELS,
        as_markdown(_headlines(overall)),
        as_markdown(_worst(rows)),
        as_markdown(_all(rows)),
        as_markdown(_classes(overall)),
        *(_further(item) for item in further_tables(report)),
        "## Limits",
        _bullets(_limits(report, truth, rows)),
        "## How to read this",
        _bullets(facts.notes(report, rows)),
        *([] if report.changes is None else [_section(facts.changes(report.changes))]),
        _section(facts.compared(report)),
        _section(facts.protocol(report)),
    ]
    return "\n\n".join(parts) + "\n"


def _data(truth: GroundTruth) -> Table:
    """Sources with their counts and terms."""
    frames = truth.frames.with_columns(
        objects=np.bincount(truth.frame_index[~truth.is_ignored], minlength=len(truth)),
        split=pl.col("split").fill_null(NO_VALUE),
    )
    groups = frames.group_by("source", "split", maintain_order=True).agg(
        pl.len().alias("frames"),
        # A frame without a sequence is one of its own.
        (pl.col("sequence").drop_nulls().n_unique() + pl.col("sequence").null_count()).alias("sequences"),
        pl.col("objects").sum(),
    )
    return Table(
        title="Data that it was scored on",
        header=("source", "split", "frames", "sequences", "objects", "licence"),
        rows=tuple(
            (
                row["source"],
                row["split"],
                f"{row['frames']:,}",
                f"{row['sequences']:,}",
                f"{row['objects']:,}",
                licence_of_data(row["source"]),
            )
            for row in groups.iter_rows(named=True)
        ),
    )


def _headlines(overall: SliceRow) -> Table:
    rows = tuple(
        (item.label, *_cells(overall.values[item.key], item.largest), item.counted)
        for item in QUANTITIES
        if item.key in overall.values
    )
    header = ("measure", "value", "95 % interval", "measured on", "of sequences", "that are")
    return Table(title="Results on all frames", header=header, rows=rows)


def _cells(value: Value, largest: float | None) -> tuple[str, str, str, str]:
    return (
        _number(value.value, largest),
        _interval(value, largest),
        f"{value.objects:,}",
        f"{value.sequences:,}",
    )


def _worst(rows: Sequence[SliceRow]) -> Table:
    """The worst conditions of every main measure, from which one may conclude."""
    firm = [row for row in rows[1:] if not row.is_small and is_annotated(row)]
    found = []
    for item in QUANTITIES:
        if not item.is_headline:
            continue
        known = [row for row in firm if item.key in row.values and _is_firm(row.values[item.key])]
        known.sort(key=lambda row: row.values[item.key].value or 0.0, reverse=item.less_is_better)
        found += [
            (item.label, row.name, *_cells(row.values[item.key], item.largest), f"{row.frames:,}")
            for row in known[:_WORST]
        ]
    header = ("measure", "condition", "value", "95 % interval", "measured on", "of sequences", "frames")
    return Table(title="The worst conditions first", header=header, rows=tuple(found))


def _is_firm(value: Value) -> bool:
    """Of few things in a large slice, such as of its three red lights, nothing should be concluded either."""
    return value.value is not None and value.sequences >= LEAST_SEQUENCES


def _all(rows: Sequence[SliceRow]) -> Table:
    shown = [item for key in _COLUMNS for item in QUANTITIES if item.key == key and key in rows[0].values]
    return Table(
        title="Every condition",
        header=("condition", "frames", "objects", "sequences", "classes", *(item.label for item in shown)),
        rows=tuple(
            (
                row.name + (SMALL_MARK if row.is_small else ""),
                f"{row.frames:,}",
                f"{row.objects:,}",
                f"{row.sequences:,}",
                f"{row.classes_present}/{len(row.classes)}",
                *(_with_interval(row.values[item.key], item.largest) for item in shown),
            )
            for row in rows
        ),
    )


def _classes(overall: SliceRow) -> Table:
    shown = [item for item in QUANTITIES if all(item.key in values for values in overall.classes.values())]
    return Table(
        title="Classes, all frames",
        header=("class", "objects", "sequences", *(item.label for item in shown)),
        rows=tuple(
            (
                name,
                f"{values['ap50'].objects:,}",
                f"{values['ap50'].sequences:,}",
                *(_with_interval(values[item.key], item.largest) for item in shown),
            )
            for name, values in overall.classes.items()
        ),
    )


def _limits(report: Report, truth: GroundTruth, rows: Sequence[SliceRow]) -> list[str]:
    found = []
    for column, words in (("weather", Weather), ("time_of_day", TimeOfDay)):
        seen = {word for word in truth.conditions[column] if word is not None}
        absent = [str(word) for word in words if word not in seen and word != "undefined"]
        n_silent = sum(word is None for word in truth.conditions[column])
        if absent:
            found.append(
                f"Nothing is known of {column.replace('_', ' ')} {', '.join(absent)}: no frame of it was scored."
            )
        if n_silent:
            found.append(f"{n_silent:,} of {len(truth):,} frames do not say their {column.replace('_', ' ')}.")
    small = [row.name for row in rows[1:] if row.is_small]
    if small:
        found.append(f"Too small to conclude from: {'; '.join(small)}.")
    absent = [name for name, values in rows[0].classes.items() if not values["ap50"].objects]
    if absent:
        found.append(f"Classes without an object in the data: {', '.join(absent)}.")
    if rows[0].is_small:
        found.append("The data as a whole are too small to conclude from.")
    if report.frames_unlabelled or report.frames_partial:
        found.append(
            f"Left out: {report.frames_unlabelled:,} unlabelled frames, {report.frames_partial:,} in which a category "
            "of the label space was not labelled."
        )
    if not scores_are_given(report):
        found.append(
            "The operating scores were chosen on the frames that are scored here, so what is measured at them is "
            "somewhat too good."
        )
    return found


def _further(item: Facts) -> str:
    table = (
        as_markdown(Table(title=item.title, header=item.header, rows=item.rows)) if item.rows else f"## {item.title}"
    )
    return "\n\n".join([table, *(markdown_text(note) for note in item.notes)])


def _section(item: Facts) -> str:
    return f"## {item.title}\n\n{_listed(item.rows)}"


def _listed(rows: Sequence[tuple[str, ...]]) -> str:
    return _bullets([f"{name}: {' '.join(words)}" for name, *words in rows])


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {markdown_text(line)}" for line in lines)


def _number(value: float | None, largest: float | None) -> str:
    return value_text(value, digits=3 if largest else 1)


def _interval(value: Value, largest: float | None) -> str:
    return interval_text(value.low, value.high, digits=3 if largest else 1)


def _with_interval(value: Value, largest: float | None) -> str:
    words = _number(value.value, largest)
    return words if value.low is None else f"{words} ({_interval(value, largest)})"
