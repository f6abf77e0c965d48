"""A `QuantisationReport` as text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from tl_detection.compression.judge import Judged
from tl_detection.compression.report import QuantisationReport
from tl_detection.evaluation.render import SMALL_MARK, Table, as_markdown, as_text
from tl_detection.evaluation.report_values import EVERYWHERE
from tl_detection.evaluation.value_text import NO_VALUE, interval_text, value_text

_MEASURES = {"ap50": "AP50", "ap": "AP", "red_as_green": "red -> green"}
_SENSITIVE_SHOWN = 8


def format_console(report: QuantisationReport) -> str:
    """The table, what it means, and the verdict as the last line."""
    return "\n\n".join([as_text(_brief(report)), "\n".join(_notes(report)), verdict_line(report)]) + "\n"


def format_markdown(report: QuantisationReport) -> str:
    """The same with every slice and the sensitivity of every block."""
    parts = [f"# {report.out.name}: {'accepted' if report.is_accepted else 'refused'}", verdict_line(report)]
    parts += [as_markdown(_brief(report)), "\n".join(f"- {note}" for note in _notes(report))]
    parts.append(as_markdown(_table("Every slice", report, [_row(item) for item in report.judged])))
    if report.sensitivities:
        rows = [
            (item.block, f"{item.disagreement:.4f}", "float" if item.block in report.kept_float else report.precision)
            for item in report.sensitivities
        ]
        parts.append(as_markdown(Table(title="Blocks", header=("block", "disagreement", "works in"), rows=tuple(rows))))
    if report.steps:
        rows = [
            (str(len(step.kept)), f"{step.disagreement:.4f}", f"{step.excess:+.4f}", step.where)
            for step in report.steps
        ]
        header = ("blocks in float", "disagreement", "beyond its limit", "what suffers most")
        parts.append(as_markdown(Table(title="Choices tried on calibration frames", header=header, rows=tuple(rows))))
    return "\n\n".join(parts) + "\n"


def verdict_line(report: QuantisationReport) -> str:
    """Accepted, or refused with what fell by how much."""
    if report.finds_nothing:
        return (
            f"refused: the {report.precision} file finds no light in {report.frames} frames in which the float file "
            "does: a bad calibration; nothing was written"
        )
    if report.is_accepted:
        return f"accepted: nothing that can be judged on these frames became worse by more than its limit: {report.out}"
    what = "; ".join(_fall(item) for item in report.refused)
    return (
        f"refused: {what}; nothing was written: calibrate on more frames, keep more blocks in float (--keep-float), "
        "or judge on more frames where the interval is wide"
    )


def _fall(item: Judged) -> str:
    found = item.difference
    sure = found.significance
    bounds = "none" if sure is None else interval_text(sure.low, sure.high, signed=True)
    return (
        f"{_MEASURES[found.measure]} of {found.slice} {value_text(found.first_value)} -> "
        f"{value_text(found.second_value)}, {value_text(found.difference, signed=True)} (95 % interval {bounds}, "
        f"limit {_limit(item)})"
    )


def _brief(report: QuantisationReport) -> Table:
    smaller, before = report.smaller, report.float_file
    rows = [
        _plain("size, MB", before.size_bytes / 1e6, smaller.size_bytes / 1e6, digits=1),
        _plain("latency, ms (median, 1 thread)", before.latency_ms, smaller.latency_ms, digits=1),
        *(_row(item) for item in report.overall),
    ]
    shown = {id(item) for item in report.overall}
    named = (
        ("AP50 worst condition", report.worst_condition),
        ("AP50 smallest lights", report.smallest_lights),
        ("AP50 largest drop", report.largest_drop),
        *((None, item) for item in report.refused),
    )
    for title, item in named:
        if item is not None and id(item) not in shown:
            shown.add(id(item))
            rows.append(_row(item, title))
    return _table(
        f"{report.out.name} against the float file, {report.frames} frames of split {report.split}", report, rows
    )


def _table(title: str, report: QuantisationReport, rows: Sequence[tuple[str, ...]]) -> Table:
    header = (
        "measure",
        "float",
        report.precision,
        "change",
        "95 % interval",
        "limit",
        "lights",
        "sequences",
        "verdict",
    )
    return Table(title=title, header=header, rows=tuple(rows))


def _plain(title: str, before: float, after: float, *, digits: int) -> tuple[str, ...]:
    share = f"{after / before - 1:+.0%}" if before else NO_VALUE
    return (title, f"{before:.{digits}f}", f"{after:.{digits}f}", share, *[NO_VALUE] * 5)


def _row(item: Judged, title: str | None = None) -> tuple[str, ...]:
    found, sure = item.difference, item.difference.significance
    place = "all frames" if found.slice == EVERYWHERE else found.slice
    words = f"{title or _MEASURES[found.measure]}: {place}" if title or found.slice != EVERYWHERE else (
        f"{_MEASURES[found.measure]} {place}"
    )  # fmt: skip
    return (
        words + (SMALL_MARK if item.verdict == "too few" else ""),
        value_text(found.first_value),
        value_text(found.second_value),
        value_text(found.difference, signed=True),
        NO_VALUE if sure is None else interval_text(sure.low, sure.high, signed=True),
        _limit(item),
        str(found.objects),
        str(found.sequences),
        item.verdict,
    )


def _limit(item: Judged) -> str:
    return f"{'-' if item.difference.higher_is_better and item.limit else '+' if item.limit else ''}{item.limit:g}"


def _notes(report: QuantisationReport) -> list[str]:
    kept = ", ".join(report.kept_float) or "none"
    notes = [
        f"Blocks in float: {len(report.kept_float)} of {report.blocks}: {kept}.",
        f"Calibrated on {report.calibration_frames} frames of split {report.calibration_split}, balanced over "
        f"conditions and states; {report.selection_frames} others of it decided which blocks stay in float.",
        f"Change: paired, {report.replicates} replicates of whole sequences. "
        + (
            "The whole interval must lie within the limit (--surely)."
            if report.limits.surely
            else "The value on these frames must lie within the limit; --surely asks that of the whole interval."
        ),
        f"{SMALL_MARK} too few lights, so that one more or less would decide, or too few sequences: refused only where "
        "the whole interval lies beyond the limit.",
    ]
    if report.sensitivities:
        worst = [f"{item.block} {item.disagreement:.3f}" for item in report.sensitivities[:_SENSITIVE_SHOWN]]
        notes.insert(1, f"Most sensitive alone (disagreement with the float file): {', '.join(worst)}.")
    if report.smaller.latency_ms >= report.float_file.latency_ms:
        notes.append(f"{report.precision} is not faster than float on this CPU: measure on the vehicle's computer.")
    return notes
