"""A `Report` as Markdown and as text for a terminal. "-" means no value: there was nothing to find, or to count."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tl_detection.evaluation.conditions import NOT_ANNOTATED
from tl_detection.evaluation.intervals import Interval
from tl_detection.evaluation.protocol import UNBOUNDED_PX2, AreaRange
from tl_detection.evaluation.readings import value_in
from tl_detection.evaluation.results import CatalogChanges, Report, SliceScores
from tl_detection.evaluation.scores import ClassScores, Scores
from tl_detection.evaluation.value_text import NO_VALUE, interval_of_text, value_text

SMALL_MARK = "*"

_NOTE_WIDTH = 110
_HEADS = {"precision": "precision", "recall": "recall"}

Column = tuple[str, Callable[[Any], str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A titled table of words; the first column is text, the others are numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def format_console(report: Report) -> str:
    """The report as text: conditions, sizes and classes, then what the marks mean."""
    tables = [_conditions(report, brief=True), _sizes(report), _classes(report)]
    if report.changes is not None:
        tables.append(_old_and_new(report.changes))
    notes = [textwrap.fill(note, _NOTE_WIDTH, subsequent_indent="  ") for note in _notes(report)]
    return "\n\n".join([_headline(report), *(as_text(table) for table in tables), "\n".join(notes)]) + "\n"


def format_markdown(report: Report) -> str:
    """The report as Markdown, with every class in every condition."""
    tables = [
        _conditions(report, brief=False),
        _sizes(report),
        _classes(report),
        _classes_by_slice(report, "AP by class and condition (objects)", lambda item: item.ap),
        _classes_by_slice(report, "AP50 by class and condition (objects)", lambda item: item.ap50),
    ]
    if report.changes is not None:
        tables.append(_old_and_new(report.changes))
    model = [f"- {key}: {value}" for key, value in report.model.items()] or ["- not described"]
    facts = [
        f"- catalog: `{report.catalog_fingerprint}`",
        f"- label space: `{report.label_space_fingerprint}` ({', '.join(report.class_names)})",
        f"- software: {', '.join(f'{name} {version}' for name, version in report.software.items())}",
    ]
    parts = ["# Evaluation", _headline(report), *(as_markdown(table) for table in tables), "## How to read this"]
    parts += ["\n".join(f"- {note}" for note in _notes(report)), "## What was scored", "\n".join(model + facts)]
    return "\n\n".join(parts) + "\n"


def _headline(report: Report) -> str:
    scores = report.overall
    return (
        f"AP {_share(scores.ap)}, AP50 {_share(scores.ap50)}, AR100 {_share(scores.ar100)} on {scores.frames} frames "
        f"with {scores.objects} objects of {scores.classes_present} classes."
    )


def _notes(report: Report) -> list[str]:
    scores, protocol = report.overall, report.protocol
    notes = [
        f"'{NO_VALUE}' no value: no object of that kind. A mean over classes covers the classes that have objects, so "
        "values of rows with other classes do not compare. The overall row is not the mean of the others.",
        "phantoms/frame: detections of classes that have no object in the row, which AP cannot see. "
        "red as green: objects that mean stop whose best-scored detection says green, of all such objects. "
        f"Both, and precision, recall and F1, count detections from the operating scores: {report.operating_from}.",
    ]
    silent = [
        name for name in report.by if {item.value for item in report.slices if item.column == name} == {NOT_ANNOTATED}
    ]
    if silent:
        notes.append(f"No frame says its {', '.join(silent)}: there is nothing to tell conditions apart by.")
    if any(item.is_small for item in report.slices):
        notes.append(f"'{SMALL_MARK}' fewer than {protocol.small_slice_objects} objects: too few to conclude from.")
    if report.changes is not None:
        notes += _changes(report.changes)
    if report.frames_unlabelled or report.frames_partial:
        notes.append(
            f"Left out: {report.frames_unlabelled} unlabelled frames, {report.frames_partial} frames in which a "
            "category of the label space was not labelled."
        )
    if scores.ignored:
        notes.append(f"{scores.ignored} ignore areas: detections on them count neither as right nor as wrong.")
    if scores.detections_beyond_limit:
        notes.append(
            f"{scores.detections_beyond_limit} detections beyond {protocol.max_detections[-1]} of a class in one frame "
            "were left out."
        )
    return notes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What a row of conditions speaks of: all frames, or a slice."""

    scores: Scores
    sequences: int
    intervals: Mapping[str, Interval]


def _rows(report: Report) -> list[tuple[str, Scores]]:
    marked = [(item.name + (SMALL_MARK if item.is_small else ""), item.scores) for item in report.slices]
    return [("overall", report.overall), *marked]


def _whole_rows(report: Report) -> list[tuple[str, _Row]]:
    parts = [(report.sequences, report.intervals), *((item.sequences, item.intervals) for item in report.slices)]
    return [
        (name, _Row(scores=scores, sequences=sequences, intervals=intervals))
        for (name, scores), (sequences, intervals) in zip(_rows(report), parts, strict=True)
    ]


def _table(title: str, first: str, rows: Sequence[tuple[str, Any]], columns: Sequence[Column]) -> Table:
    return Table(
        title=title,
        header=(first, *(name for name, _ in columns)),
        rows=tuple((name, *(show(item) for _, show in columns)) for name, item in rows),
    )


def _conditions(report: Report, *, brief: bool) -> Table:
    n_classes = len(report.class_names)
    measures = ("ap", "ap50") if brief else ("ap", "ap50", "ap75", "ar1", "ar10", "ar100", "precision", "recall", "f1")
    columns: list[Column] = [
        ("frames", lambda row: str(row.scores.frames)),
        ("objects", lambda row: str(row.scores.objects)),
        ("sequences", lambda row: str(row.sequences)),
        ("classes", lambda row: f"{row.scores.classes_present}/{n_classes}"),
        *((_HEADS.get(name, name.upper()), lambda row, name=name: _measure(row, name)) for name in measures),
        ("phantoms/frame", lambda row: _measure(row, "phantoms_per_frame")),
        ("red as green", lambda row: _red_as_green(row.scores)),
    ]
    title = "By condition" + (" (95 % interval)" if report.interval_method is not None else "")
    return _table(title, "condition", _whole_rows(report), columns)


def _measure(row: _Row, name: str) -> str:
    """A mean over the classes, and its interval where there is one."""
    value = _share(value_in(row.scores, name, None))
    found = row.intervals.get(name)
    return value if found is None else f"{value} ({interval_of_text(found)})"


def _sizes(report: Report) -> Table:
    columns: list[Column] = []
    for size in ("small", "medium", "large"):
        columns += [
            (f"n {size}", lambda item, size=size: _count(getattr(item, f"objects_{size}"))),
            (f"AP {size}", lambda item, size=size: _share(getattr(item, f"ap_{size}"))),
            (f"AR {size}", lambda item, size=size: _share(getattr(item, f"ar_{size}"))),
        ]
    ranges = ", ".join(_range_words(area) for area in report.protocol.area_ranges[1:])
    return _table(f"By size ({ranges})", "condition", _rows(report), columns)


def _range_words(area: AreaRange) -> str:
    """Such as "medium 32² to 96² px"; the protocol's last range has no real end."""
    low, high = (f"{side:g}²" for side in (area.low_px2**0.5, area.high_px2**0.5))
    return f"{area.name} from {low} px" if area.high_px2 >= UNBOUNDED_PX2 else f"{area.name} {low} to {high} px"


def _classes(report: Report) -> Table:
    columns: list[Column] = [
        ("objects", lambda item: str(item.objects)),
        ("AP", lambda item: _share(item.ap)),
        ("AP50", lambda item: _share(item.ap50)),
        ("AP75", lambda item: _share(item.ap75)),
        ("AP small", lambda item: _share(item.ap_small)),
        ("AP medium", lambda item: _share(item.ap_medium)),
        ("AP large", lambda item: _share(item.ap_large)),
        ("AR100", lambda item: _share(item.ar100)),
        ("from score", lambda item: _share(item.operating_score)),
        ("precision", lambda item: _share(item.precision)),
        ("recall", lambda item: _share(item.recall)),
        ("F1", lambda item: _share(item.f1)),
        ("phantoms/frame", lambda item: _share(item.phantoms_per_frame)),
    ]
    rows = [(item.name, item) for item in report.overall.classes]
    return _table("By class, all frames", "class", rows, columns)


def _classes_by_slice(report: Report, title: str, value: Callable[[ClassScores], float | None]) -> Table:
    columns: list[Column] = [
        (name, lambda scores, index=index: _with_count(value(scores.classes[index]), scores.classes[index].objects))
        for index, name in enumerate(report.class_names)
    ]
    return _table(title, "condition", _rows(report), columns)


def _old_and_new(changes: CatalogChanges) -> Table:
    columns: list[Column] = [
        ("frames", lambda item: "0" if item is None else str(item.scores.frames)),
        ("objects", lambda item: "0" if item is None else str(item.scores.objects)),
        ("sequences", lambda item: "0" if item is None else str(item.sequences)),
        ("AP", lambda item: _with_interval(item, "ap")),
        ("AP50", lambda item: _with_interval(item, "ap50")),
        ("AR100", lambda item: _with_interval(item, "ar100")),
        ("red as green", lambda item: NO_VALUE if item is None else _red_as_green(item.scores)),
    ]
    rows = [
        (f"{name} frames" + (SMALL_MARK if part is not None and part.is_small else ""), part)
        for name, part in (("old", changes.old), ("new", changes.new))
    ]
    return _table("Frames scored before and new ones (95 % interval)", "part", rows, columns)


def _changes(changes: CatalogChanges) -> list[str]:
    alarm = "NOT SCORED ALIKE, so boxes may have been added or removed for that alone:"
    return [
        *(f"{alarm} {item}." for item in changes.differences),
        f"Since {changes.previous} (catalog {changes.previous_fingerprint}): frames: {changes.frames_added} added, "
        f"{changes.frames_removed} removed, {changes.frames_relabelled} with other labels or conditions, "
        f"{changes.frames_with_other_image} with another image, {changes.frames_same} as before; sequences: "
        f"{changes.sequences_added} added, {changes.sequences_removed} removed; objects and ignore areas: "
        f"{changes.objects_added} added, {changes.objects_removed} removed, {changes.objects_relabelled} re-labelled.",
    ]


def _with_interval(item: SliceScores | None, name: str) -> str:
    if item is None:
        return NO_VALUE
    return f"{value_text(getattr(item.scores, name))} ({interval_of_text(item.intervals.get(name))})"


def _share(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.3f}"


def _count(value: int | None) -> str:
    return NO_VALUE if value is None else str(value)


def _with_count(value: float | None, objects: int) -> str:
    return f"{_share(value)} ({objects})"


def _red_as_green(scores: Scores) -> str:
    counts = scores.red_as_green
    return NO_VALUE if counts is None or not counts.objects else f"{counts.as_green} of {counts.objects}"


def as_text(table: Table) -> str:
    """A table for a terminal."""
    widths = [max(len(row[index]) for row in (table.header, *table.rows)) for index in range(len(table.header))]
    lines = [
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (table.header, *table.rows)
    ]
    return "\n".join([table.title, lines[0], "-" * len(lines[0]), *lines[1:]])


def as_markdown(table: Table) -> str:
    """A table for Markdown, with its title as a heading."""
    rule = [":---", *["---:"] * (len(table.header) - 1)]
    rows = ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in (table.header, *table.rows)]
    return "\n".join([f"## {table.title}", "", rows[0], "| " + " | ".join(rule) + " |", *rows[1:]])


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("*", "\\*").replace("\n", " ")
