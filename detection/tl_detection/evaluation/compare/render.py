"""A `Comparison` as text for a terminal and as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tl_detection.evaluation.compare.changes import Changes, FrameChange
from tl_detection.evaluation.compare.comparison import Comparison
from tl_detection.evaluation.compare.differences import PHANTOMS, Difference
from tl_detection.evaluation.render import SMALL_MARK, Table, as_markdown, as_text
from tl_detection.evaluation.report_values import EVERYWHERE
from tl_detection.evaluation.same_protocol import warning_of
from tl_detection.evaluation.value_text import NO_VALUE, interval_text, value_text

_NOTE_WIDTH = 110
_LEVEL = 0.05
# Of the slices a terminal shows these; the file has all.
_BRIEF = ("ap50", "recall", "red_as_green", PHANTOMS)
_FRAMES_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of a frame, relative to the page, and what it shows."""

    path: Path
    text: str


def format_console(comparison: Comparison) -> str:
    """The comparison as text: all frames, classes, slices in brief, what was gained and lost, and how to read it."""
    parts = ["\n".join(warning_of(comparison.warnings)), _about(comparison)]
    parts += [as_text(table) for table in _tables(comparison, brief=True)]
    parts += [as_text(table) for change in comparison.changes for table in _change_tables(change)]
    notes, verdicts = (
        [textwrap.fill(line, _NOTE_WIDTH, subsequent_indent="  ") for line in lines]
        for lines in (_notes(comparison), _verdicts(comparison))
    )
    return "\n\n".join(part for part in [*parts, "\n".join(notes), *verdicts] if part) + "\n"


def format_markdown(comparison: Comparison, pictures: Mapping[tuple[str, str], Sequence[Picture]]) -> str:
    """The comparison as Markdown.

    Args:
        comparison: What to show.
        pictures: (letter, "worse" or "better") -> pictures of these frames.
    """
    alarm = [f"> {line.strip()}" for line in warning_of(comparison.warnings)]
    parts = ["# Comparison", "\n>\n".join(alarm), *_verdicts(comparison)]
    parts += [_about(comparison).replace("\n", "\n\n")]
    parts += [as_markdown(table) for table in _tables(comparison, brief=False)]
    for change in comparison.changes:
        parts += [as_markdown(table) for table in _change_tables(change)]
        for kind, title in (("worse", "Worse"), ("better", "Better")):
            shown = pictures.get((change.second, kind), ())
            if shown:
                parts.append(f"## {title} in {change.second} than in {change.first}: the first {len(shown)} frames")
                parts += [f"![{_in_brackets(each.text)}]({each.path.as_posix()})" for each in shown]
    parts += ["## How to read this", "\n".join(f"- {note}" for note in _notes(comparison))]
    parts += ["## What was compared", "\n".join(f"- {fact}" for fact in _facts(comparison))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(comparison: Comparison) -> str:
    models = [f"{item.letter}: {item.path} ({_model_words(item.model)})" for item in comparison.models]
    scope = f"{comparison.frames} frames, {comparison.objects} objects, {comparison.sequences} sequences"
    return "\n".join([*models, scope])


def _verdicts(comparison: Comparison) -> list[str]:
    """One line per model and kind of table: what holds after the correction, which is made within each kind."""
    lines = []
    for change in comparison.changes:
        tested = [item for item in comparison.differences if item.second == change.second and item.p_holm is not None]
        parts = []
        for family in dict.fromkeys(item.family for item in tested):
            own = [item for item in tested if item.family == family]
            sure = [item for item in own if item.p_holm is not None and item.p_holm < _LEVEL]
            better = sum(_is_better(item) for item in sure)
            parts.append(f"{family}: {better} better and {len(sure) - better} worse of {len(own)} tested")
        said = "; ".join(parts) or "nothing could be tested"
        lines.append(
            f"{change.second} against {change.first}, beyond chance (p below {_LEVEL:g}, corrected in each kind of "
            f"table): {said}."
        )
    return lines


def _tables(comparison: Comparison, *, brief: bool) -> list[Table]:
    tables = []
    for change in comparison.changes:
        own = [item for item in comparison.differences if item.second == change.second]
        for family in ("all frames", "classes", "slices"):
            shown = [
                item
                for item in own
                if item.family == family and (family == "all frames" or not brief or _is_brief(item))
            ]
            shown = [item for item in shown if item.first_value is not None or item.second_value is not None]
            if shown:
                tables.append(_table(f"{change.second} against {change.first}: {family}", shown))
    return tables


def _is_brief(item: Difference) -> bool:
    return item.measure.partition(":")[0] in _BRIEF


def _table(title: str, items: Sequence[Difference]) -> Table:
    first, second = items[0].first, items[0].second
    header = ("measure", first, second, "difference", "95 % interval", f"{second} better", "p", "corrected p")
    return Table(
        title=title,
        header=(*header, "frames", "objects", "sequences"),
        rows=tuple(_row(item) for item in items),
    )


def _row(item: Difference) -> tuple[str, ...]:
    sure = item.significance
    place = "" if item.slice == EVERYWHERE else f" @ {item.slice}"
    return (
        f"{item.measure}{place}{SMALL_MARK if item.is_small else ''}",
        value_text(item.first_value),
        value_text(item.second_value),
        value_text(item.difference, signed=True),
        NO_VALUE if sure is None else interval_text(sure.low, sure.high, signed=True),
        NO_VALUE if sure is None else f"{sure.probability_better:.0%}",
        NO_VALUE if sure is None else _p_text(sure.p),
        _p_text(item.p_holm),
        str(item.frames),
        str(item.objects),
        str(item.sequences),
    )


def _p_text(p: float | None) -> str:
    return NO_VALUE if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _is_better(item: Difference) -> bool:
    return item.difference is not None and (item.difference > 0) == item.higher_is_better


def _change_tables(change: Changes) -> list[Table]:
    pair = f"{change.second} against {change.first}"
    rows = [
        (item.name, str(item.objects), str(item.gained), str(item.lost), f"{item.gained - item.lost:+d}")
        for item in change.classes
    ]
    if change.red_as_green_new is not None and change.red_as_green_mended is not None:
        net = change.red_as_green_mended - change.red_as_green_new
        mended, new = str(change.red_as_green_mended), str(change.red_as_green_new)
        rows.insert(0, ("red no longer called green", NO_VALUE, mended, new, f"{net:+d}"))
    net = change.wrong_first - change.wrong_second
    rows.append(("wrong detections fewer", NO_VALUE, str(max(net, 0)), str(max(-net, 0)), f"{net:+d}"))
    rows.append(
        (
            "frames better",
            NO_VALUE,
            str(change.frames_gained),
            str(change.frames_lost),
            f"{change.frames_gained - change.frames_lost:+d}",
        )
    )
    header = ("what", "objects", "gained", "lost", "net")
    tables = [Table(title=f"{pair}: gained and lost", header=header, rows=tuple(rows))]
    for title, frames in (("worst frames", change.worse), ("best frames", change.better)):
        if frames:
            tables.append(_frame_table(f"{pair}: {title}", frames[:_FRAMES_SHOWN]))
    return tables


def _frame_table(title: str, frames: Sequence[FrameChange]) -> Table:
    header = ("frame", "sequence", "conditions", "new red as green", "mended", "lost", "gained", "more wrong")
    return Table(
        title=title,
        header=header,
        rows=tuple(
            (
                item.frame_id,
                item.sequence or NO_VALUE,
                ", ".join(item.conditions.values()) or NO_VALUE,
                str(item.red_as_green_new),
                str(item.red_as_green_mended),
                str(item.lost),
                str(item.gained),
                f"{item.wrong_second - item.wrong_first:+d}",
            )
            for item in frames
        ),
    )


def _notes(comparison: Comparison) -> list[str]:
    method = comparison.method
    families = [item.family for item in comparison.differences if item.p_holm is not None]
    counts = ", ".join(f"{families.count(name)} of {name}" for name in dict.fromkeys(families)) or "none"
    notes = [
        f"Paired: each of {method.replicates} replicates (seed {method.seed}) draws whole sequences, the same for "
        f"every detector; the interval is their {method.kind} at {method.level:.0%}. There is none where all "
        "replicates show the same difference: no difference on these frames does not mean that there is none.",
        "'better' is the share of the replicates in which the second is better: how often it would be on data sets "
        "drawn from these sequences. It is not the probability that it is better in the world.",
        "p: two-sided, the difference over its bootstrap standard error against Student's t with one degree of freedom "
        "less than there are sequences; like the interval, it allows for few sequences. "
        f"Corrected p: Holm's correction within each kind of table, of all detectors compared ({counts}); ask first "
        "what is asked of all frames, and take the slices as a search.",
        "phantoms: detections that touch no object and no ignore area, per 1,000 frames. phantoms_per_frame: "
        "detections of classes that have no object there. Of both, and of red_as_green, less is better.",
        f"No interval and no p of fewer than {method.least_sequences} sequences. Each detector counts from its own "
        "operating scores; gained and lost: objects found at IoU 0.5 by one of the two only.",
    ]
    if not all(model.scores_are_given for model in comparison.models):
        notes.append(
            "Operating scores stay as they are in every replicate, though they were chosen on these frames: p of "
            "precision is too small for that. Scores chosen on others (tl evaluate --thresholds) are free of it."
        )
    both = [item for item in comparison.differences if None not in (item.first_value, item.second_value)]
    if any(item.difference is None for item in both):
        notes.append(
            "precision without a difference: one of the two reports nothing of a class, and the means are over other "
            "classes; those of the classes compare."
        )
    if any(item.is_small for item in comparison.differences):
        notes.append(
            f"'{SMALL_MARK}' fewer than {comparison.protocol['small_slice_objects']} objects (of phantoms, frames), or "
            f"of fewer than {comparison.method.least_sequences} sequences."
        )
    return notes


def _facts(comparison: Comparison) -> list[str]:
    facts = []
    for item in comparison.models:
        scores = ", ".join(f"{name} {value:.3f}" for name, value in item.operating_scores.items())
        software = ", ".join(f"{name} {version}" for name, version in item.software.items())
        facts.append(
            f"{item.letter}: `{item.path}`; {_model_words(item.model)}; operating scores {item.operating_from}: "
            f"{scores}; scored by {software}"
        )
    part = comparison.catalog
    if part is not None:
        chosen = [f"split {part.split}"] if part.split is not None else []
        chosen += [f"where {part.where}"] if part.where is not None else []
        facts.append(f"catalog: `{', '.join([part.path, *chosen])}` (`{comparison.catalog_fingerprint}`)")
    facts.append(f"label space: {', '.join(comparison.class_names)} (`{comparison.label_space_fingerprint}`)")
    return facts


def _in_brackets(text: str) -> str:
    return text.replace("[", "(").replace("]", ")").replace("\n", " ")


def _model_words(model: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in model.items()) or "not described"
