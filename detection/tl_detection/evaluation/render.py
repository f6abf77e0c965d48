"""A `Report` as Markdown and as text for a terminal. "-" means no value: there was nothing to find, or to count."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tl_detection.evaluation.analyses import Analyses
from tl_detection.evaluation.conditions import NOT_ANNOTATED
from tl_detection.evaluation.intervals import LEAST_SEQUENCES, Interval, ScoreName
from tl_detection.evaluation.protocol import UNBOUNDED_PX2, AreaRange
from tl_detection.evaluation.readings import value_in
from tl_detection.evaluation.results import CatalogChanges, IntervalMethod, Report, SliceScores
from tl_detection.evaluation.scores import ClassScores, Scores
from tl_detection.evaluation.value_text import (
    NO_VALUE,
    interval_of_text,
    interval_text,
    markdown_text,
    value_text,
)

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
    tables = [_conditions(report, brief=True), _sizes(report, brief=True), _classes(report, brief=True)]
    if report.changes is not None:
        tables.append(_old_and_new(report.changes))
    notes = [textwrap.fill(note, _NOTE_WIDTH, subsequent_indent="  ") for note in _notes(report)]
    return "\n\n".join([_headline(report), *(as_text(table) for table in tables), "\n".join(notes)]) + "\n"


def format_markdown(report: Report) -> str:
    """The report as Markdown, with every class in every condition."""
    tables = [
        _conditions(report, brief=False),
        _sizes(report, brief=False),
        _classes(report, brief=False),
        _classes_by_slice(report, "ap"),
        _classes_by_slice(report, "ap50"),
    ]
    if report.changes is not None:
        tables.append(_old_and_new(report.changes))
    facts = [f"{key}: {value}" for key, value in report.model.items()] or ["model: not described"]
    facts += [
        f"catalog: {report.catalog_fingerprint}",
        f"label space: {report.label_space_fingerprint} ({', '.join(report.class_names)})",
        f"network input: {report.input_size or 'not known'}",
        f"software: {', '.join(f'{name} {version}' for name, version in report.software.items())}",
    ]
    parts = ["# Evaluation", _headline(report), *(as_markdown(table) for table in tables), "## How to read this"]
    parts += [_bullets(_notes(report)), "## What was scored", _bullets(facts)]
    return "\n\n".join(parts) + "\n"


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {markdown_text(line)}" for line in lines)


def _headline(report: Report) -> str:
    scores = report.overall
    return (
        f"AP {value_text(scores.ap)}, AP50 {value_text(scores.ap50)}, AR100 {value_text(scores.ar100)} on "
        f"{scores.frames} frames of {report.sequences} sequences with {scores.objects} objects of "
        f"{scores.classes_present} classes."
    )


def _notes(report: Report) -> list[str]:
    scores, protocol = report.overall, report.protocol
    notes = [
        f"'{NO_VALUE}' no value: no object of that kind. AP, AR, precision, recall and F1 of a row are means over the "
        "classes that have objects, so values of rows with other classes do not compare. The overall row is not the "
        "mean of the others.",
        "phantoms/frame: detections of classes that have no object in the row, which AP cannot see. "
        "red as green: objects that mean stop whose best-scored detection says green, of all such objects. "
        f"Both, and precision, recall and F1, count detections from the operating scores: {report.operating_from}.",
    ]
    silent = [
        name for name in report.by if {item.value for item in report.slices if item.column == name} == {NOT_ANNOTATED}
    ]
    if silent:
        notes.append(f"No frame says its {', '.join(silent)}: there is nothing to tell conditions apart by.")
    if report.is_small or any(item.is_small for item in report.slices):
        notes.append(f"'{SMALL_MARK}' {small_words(report)}")
    if report.interval_method is not None:
        notes.append(interval_words(report.interval_method))
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


def small_words(report: Report) -> str:
    """What the mark of a small slice means."""
    return (
        f"fewer than {report.protocol.small_slice_objects} objects, or objects of fewer than {LEAST_SEQUENCES} "
        "sequences: too few to conclude from."
    )


def interval_words(method: IntervalMethod) -> str:
    """How the intervals came about, and what they mean."""
    return (
        f"Intervals are {method.level:.0%} {method.kind} intervals over {method.unit}s ({method.replicates:,} "
        f"replicates, seed {method.seed}): how far a number would move had other drives been recorded. Fewer than "
        f"{method.least_sequences} {method.unit}s have none. None ends nearer to perfect than as many {method.unit}s "
        "without any mistake show (Clopper and Pearson)."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What a row speaks of: all frames, or a slice."""

    scores: Scores
    sequences: int
    intervals: Mapping[str, Interval]
    analyses: Analyses | None

    def words(self, value: float | None, name: str, class_name: str | None = None) -> str:
        """A score, and its interval where there is one."""
        found = self.intervals.get(name if class_name is None else f"{name}:{class_name}")
        if found is None or value is None:
            return value_text(value)
        return f"{value_text(value)} ({interval_of_text(found)})"


def _rows(report: Report) -> list[tuple[str, _Row]]:
    """All frames, then the slices; what is small is marked."""
    overall = _Row(
        scores=report.overall, sequences=report.sequences, intervals=report.intervals, analyses=report.analyses
    )
    slices = [(_marked(item), _row(item)) for item in report.slices]
    return [("overall" + (SMALL_MARK if report.is_small else ""), overall), *slices]


def _row(item: SliceScores) -> _Row:
    return _Row(scores=item.scores, sequences=item.sequences, intervals=item.intervals, analyses=item.analyses)


def _marked(item: SliceScores) -> str:
    return item.name + (SMALL_MARK if item.is_small else "")


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
        ("red as green", lambda row: _red_as_green(row, brief=brief)),
    ]
    return _table("By condition" + _of_intervals(report), "condition", _rows(report), columns)


def _of_intervals(report: Report) -> str:
    return " (95 % interval)" if report.interval_method is not None else ""


def _measure(row: _Row, name: str) -> str:
    """A mean over the classes, and its interval where there is one."""
    return row.words(value_in(row.scores, name, None), name)


def _sizes(report: Report, *, brief: bool) -> Table:
    """Average precision and recall by size; in brief without intervals."""
    columns: list[Column] = []
    for size in ("small", "medium", "large"):

        def precision(row: _Row, name: str = f"ap_{size}") -> str:
            value = getattr(row.scores, name)
            return value_text(value) if brief else row.words(value, name)

        columns += [
            (f"n {size}", lambda row, size=size: _count(getattr(row.scores, f"objects_{size}"))),
            (f"AP {size}", precision),
            (f"AR {size}", lambda row, size=size: value_text(getattr(row.scores, f"ar_{size}"))),
        ]
    ranges = ", ".join(range_words(area) for area in report.protocol.area_ranges[1:])
    title = f"By size ({ranges})" + ("" if brief or report.interval_method is None else ", AP with its 95 % interval")
    return _table(title, "condition", _rows(report), columns)


def range_words(area: AreaRange) -> str:
    """Such as "medium 32² to 96² px"; the protocol's last range has no real end."""
    low, high = (f"{side:g}²" for side in (area.low_px2**0.5, area.high_px2**0.5))
    return f"{area.name} from {low} px" if area.high_px2 >= UNBOUNDED_PX2 else f"{area.name} {low} to {high} px"


def _classes(report: Report, *, brief: bool) -> Table:
    """Every class in all frames; in brief without intervals."""
    overall = _rows(report)[0][1]

    def score_of(name: str) -> Callable[[ClassScores], str]:
        return lambda item: (
            value_text(getattr(item, name)) if brief else overall.words(getattr(item, name), name, item.name)
        )

    columns: list[Column] = [
        ("objects", lambda item: str(item.objects)),
        ("AP", score_of("ap")),
        ("AP50", score_of("ap50")),
        ("AP75", score_of("ap75")),
        ("AP small", score_of("ap_small")),
        ("AP medium", score_of("ap_medium")),
        ("AP large", score_of("ap_large")),
        ("AR100", score_of("ar100")),
        ("from score", lambda item: value_text(item.operating_score)),
        ("detections", lambda item: str(item.counted)),
        ("precision", score_of("precision")),
        ("recall", score_of("recall")),
        ("F1", score_of("f1")),
        ("phantoms/frame", score_of("phantoms_per_frame")),
    ]
    if not brief and report.interval_method is not None:
        columns.insert(1, ("sequences", lambda item: _sequences(report, item)))
    rows = [(item.name, item) for item in report.overall.classes]
    return _table("By class, all frames" + ("" if brief else _of_intervals(report)), "class", rows, columns)


def _sequences(report: Report, item: ClassScores) -> str:
    """Sequences that hold objects of a class; the intervals know of as many as they need."""
    found = report.intervals.get(f"ap:{item.name}")
    return str(found.sequences) if found is not None else f"<{LEAST_SEQUENCES}" if item.objects else "0"


def _classes_by_slice(report: Report, name: ScoreName) -> Table:
    """A score of every class in every condition, its interval, and the number of objects."""
    columns: list[Column] = [
        (
            class_name,
            lambda row, index=index, class_name=class_name: (
                f"{row.words(getattr(row.scores.classes[index], name), name, class_name)}"
                f" of {row.scores.classes[index].objects}"
            ),
        )
        for index, class_name in enumerate(report.class_names)
    ]
    title = f"{name.upper()} by class and condition{_of_intervals(report)}, and number of objects"
    return _table(title, "condition", _rows(report), columns)


def _old_and_new(changes: CatalogChanges) -> Table:
    columns: list[Column] = [
        ("frames", lambda item: "0" if item is None else str(item.scores.frames)),
        ("objects", lambda item: "0" if item is None else str(item.scores.objects)),
        ("sequences", lambda item: "0" if item is None else str(item.sequences)),
        ("AP", lambda item: _with_interval(item, "ap")),
        ("AP50", lambda item: _with_interval(item, "ap50")),
        ("AR100", lambda item: _with_interval(item, "ar100")),
        ("red as green", lambda item: NO_VALUE if item is None else _red_as_green(_row(item), brief=True)),
    ]
    rows = [
        (f"{name} frames" if part is None else _marked(part), part)
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
    return NO_VALUE if item is None else _row(item).words(getattr(item.scores, name), name)


def _count(value: int | None) -> str:
    return NO_VALUE if value is None else str(value)


def _red_as_green(row: _Row, *, brief: bool) -> str:
    """How many of how many, and the interval of that share where it was measured."""
    measured = None if row.analyses is None else row.analyses.lights.red_as_green
    if measured is not None:
        rate = measured.rate
        words = f"{rate.part} of {rate.whole}"
        bounds = interval_text(rate.low, rate.high)
        return NO_VALUE if not rate.whole else words if brief or bounds == NO_VALUE else f"{words} ({bounds})"
    counts = row.scores.red_as_green
    return NO_VALUE if counts is None or not counts.objects else f"{counts.as_green} of {counts.objects}"


def as_text(table: Table) -> str:
    """A table for a terminal; what would move its cursor is shown as "?"."""
    lines = [[_printable(cell) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(len(row[index]) for row in lines) for index in range(len(table.header))]
    texts = [
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in lines
    ]
    return "\n".join([table.title, texts[0], "-" * len(texts[0]), *texts[1:]])


def _printable(words: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in words)


def as_markdown(table: Table) -> str:
    """A table for Markdown, with its title as a heading."""
    rule = [":---", *["---:"] * (len(table.header) - 1)]
    rows = ["| " + " | ".join(markdown_text(cell) for cell in row) + " |" for row in (table.header, *table.rows)]
    return "\n".join([f"## {table.title}", "", rows[0], "| " + " | ".join(rule) + " |", *rows[1:]])
