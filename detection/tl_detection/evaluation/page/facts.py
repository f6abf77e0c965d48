"""Words about an evaluation: what was compared with what, by which rules, what is new, how to read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tl_detection.evaluation.page.data import Facts, SliceRow
from tl_detection.evaluation.render import interval_words, range_words, small_words
from tl_detection.evaluation.results import CatalogChanges, Report
from tl_detection.evaluation.slices import EXPRESSION
from tl_detection.evaluation.value_text import NO_VALUE, value_text


def headline(overall: SliceRow, report: Report) -> str:
    """What was scored, in one sentence."""
    return (
        f"{_count(overall.frames, 'frame')} of {_count(report.sequences, 'sequence')} with "
        f"{_count(overall.objects, 'object')} of {overall.classes_present} of {len(report.class_names)} classes."
    )


def compared(report: Report) -> Facts:
    """What was compared with what."""
    scores, catalog = report.overall, report.catalog
    rows = [(_spaced(key), in_words(value)) for key, value in report.model.items()] or [("model", NO_VALUE)]
    if catalog is not None:
        rows += [("catalog", catalog.path), ("split", in_words(catalog.split)), ("filter", in_words(catalog.where))]
    rows += [
        ("frames scored", f"{scores.frames:,}"),
        ("sequences", f"{report.sequences:,}"),
        ("objects", f"{scores.objects:,}"),
        ("ignore areas", f"{scores.ignored:,}"),
        ("frames left out, unlabelled", f"{report.frames_unlabelled:,}"),
        ("frames left out, a category not labelled", f"{report.frames_partial:,}"),
        ("detections", f"{scores.detections:,}"),
        ("detections beyond the limit", f"{scores.detections_beyond_limit:,}"),
        ("classes", ", ".join(report.class_names)),
        ("catalog fingerprint", report.catalog_fingerprint),
        ("label space fingerprint", report.label_space_fingerprint),
        ("software", in_words(report.software)),
    ]
    return Facts(title="What was compared with what", short="Compared", rows=tuple(rows))


def protocol(report: Report) -> Facts:
    """The rules."""
    rules = {
        **report.protocol.to_dict(),
        "area_ranges": tuple(range_words(item) for item in report.protocol.area_ranges),
    }
    rows = [(_spaced(key), in_words(value)) for key, value in rules.items()]
    method = report.interval_method
    rows += [
        ("sliced by", in_words(report.by)),
        ("slices by expression", in_words(_expressions(report))),
        ("network input", in_words(report.input_size)),
        ("operating scores from", report.operating_from),
        (
            "operating scores",
            ", ".join(f"{item.name} {value_text(item.operating_score)}" for item in report.overall.classes),
        ),
        (
            "intervals",
            NO_VALUE
            if method is None
            else f"{method.kind} over {method.unit}s at {method.level:.0%}, {method.replicates:,} replicates, seed "
            f"{method.seed}; none of fewer than {method.least_sequences} sequences",
        ),
    ]
    return Facts(title="Protocol", short="Protocol", rows=tuple(rows))


def _expressions(report: Report) -> tuple[str, ...]:
    slices = [item for item in report.slices if item.column == EXPRESSION]
    return tuple(item.value if item.name == item.value else f"{item.name}: {item.value}" for item in slices)


def changes(since: CatalogChanges) -> Facts:
    """What is new since another evaluation."""
    counts = {
        "frames added": since.frames_added,
        "frames removed": since.frames_removed,
        "frames relabelled": since.frames_relabelled,
        "frames with another image": since.frames_with_other_image,
        "frames as before": since.frames_same,
        "sequences added": since.sequences_added,
        "sequences removed": since.sequences_removed,
        "objects added": since.objects_added,
        "objects removed": since.objects_removed,
        "objects relabelled": since.objects_relabelled,
    }
    rows = [("evaluation before", since.previous), ("its catalog fingerprint", since.previous_fingerprint)]
    rows += [("NOT scored alike", item) for item in since.differences]
    rows += [(name, f"{count:,}") for name, count in counts.items()]
    for name, part in (("frames scored before", since.old), ("frames added", since.new)):
        if part is not None:
            scores = part.scores
            rows.append(
                (f"AP50 of {name}", f"{value_text(scores.ap50)} ({scores.frames:,} frames, {scores.objects:,} objects)")
            )
    return Facts(title="What is new", short="New", rows=tuple(rows))


def notes(report: Report, rows: Iterable[SliceRow]) -> tuple[str, ...]:
    """How to read the numbers."""
    found = [
        f"“{NO_VALUE}” means no value: no object of that kind. The value of all frames is not the mean of the slices.",
        "A mean over classes covers the classes that have objects: rows with other classes do not compare.",
        "Precision, recall, F1, phantoms, missed lights and states count detections from the operating score of their "
        f"class ({report.operating_from}), at IoU 0.5.",
        "What is said of a light is the class of the best-scored detection that speaks of it.",
    ]
    if report.interval_method is None:
        found.append("No intervals were measured.")
    else:
        found.append(interval_words(report.interval_method))
    if any(row.is_small for row in rows):
        found.append(f"* {small_words(report)}")
    return tuple(found)


def in_words(value: Any) -> str:
    """A setting as a reader wants it."""
    if value is None or value == "" or value == ():
        return NO_VALUE
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{_spaced(str(key))} {in_words(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ("; " if any(isinstance(item, Mapping) for item in value) else ", ").join(map(in_words, value))
    return str(value)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _spaced(name: str) -> str:
    return name.replace("_", " ")
