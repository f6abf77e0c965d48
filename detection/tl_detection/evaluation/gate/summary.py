"""The verdicts on one page: for a terminal, as Markdown and as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from tl_detection.evaluation.gate.judge import Outcome, Verdict, is_passed
from tl_detection.evaluation.render import NO_VALUE, Table, as_markdown, as_text
from tl_detection.evaluation.results import Report
from tl_detection.evaluation.same_protocol import warning_of
from tl_detection.evaluation.value_text import interval_of_text, value_text

_HEADER = ("rule", "verdict", "value", "95 % interval", "in", "frames", "objects", "sequences")
_WORDS = (0, 1, 4)
_MARKS = {Outcome.PASSED: "✓", Outcome.WARNED: "!", Outcome.NOT_JUDGED: "–", Outcome.FAILED: "✗"}
_STYLE = """
:root { color-scheme: light dark; --line: #d5d5d5; --soft: #f3f3f3; --note: #555;
  --passed: #17662b; --warned: #7a5600; --failed: #b3261e; --not-judged: #555; }
@media (prefers-color-scheme: dark) { :root { --line: #444; --soft: #2a2a2a; --note: #b5b5b5;
  --passed: #7bd88f; --warned: #f2c14e; --failed: #ff8a80; --not-judged: #b5b5b5; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.wide { overflow-x: auto; } td { white-space: nowrap; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: right; padding: .3rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { background: var(--soft); font-weight: 600; } .word { text-align: left; } tr.reason td { border-top: 0; }
td.reason { white-space: normal; color: var(--note); text-align: left; padding-top: 0; }
tr.rule > * { border-bottom: 0; background: none; }
.passed { color: var(--passed); } .warned { color: var(--warned); } .failed { color: var(--failed); }
.not-judged { color: var(--not-judged); } .verdict { font-weight: 600; white-space: nowrap; }
p.alarm { border-left: 4px solid var(--failed); padding: .4rem .8rem; background: var(--soft); }
dt { font-weight: 600; } dd { margin: 0 0 .5rem; overflow-wrap: anywhere; }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSummary:
    """What a summary shows.

    Attributes:
        report_name: Place of the report, as it was given.
        report: The report that was judged.
        rules_name: Place of the rules.
        verdicts: Of all rules, in their order.
        baseline_name: Place of the baseline; None without one.
        baseline: The report that was compared with.
        differences: In what the baseline was not scored alike, in words.
    """

    report_name: str
    report: Report
    rules_name: str
    verdicts: tuple[Verdict, ...]
    baseline_name: str | None = None
    baseline: Report | None = None
    differences: tuple[str, ...] = ()


def format_console(summary: GateSummary) -> str:
    """The summary as text."""
    table = Table(title="Rules", header=_HEADER, rows=tuple(_row(verdict) for verdict in summary.verdicts))
    reasons = [
        f"{verdict.outcome}: {verdict.name}: {verdict.reason}"
        for verdict in summary.verdicts
        if verdict.outcome is not Outcome.PASSED
    ]
    parts = ["\n".join(warning_of(summary.differences)), as_text(table), "\n".join(reasons), headline(summary.verdicts)]
    return "\n\n".join(part for part in parts if part)


def format_markdown(summary: GateSummary) -> str:
    """The summary as Markdown."""
    table = Table(title="Rules", header=_HEADER, rows=tuple(_row(verdict) for verdict in summary.verdicts))
    reasons = [f"- **{verdict.outcome}** {verdict.name}: {verdict.reason}" for verdict in summary.verdicts]
    facts = [f"- {name}: {value}" for name, value in _facts(summary)]
    alarm = [f"> {line.strip()}" for line in warning_of(summary.differences)]
    parts = [f"# {headline(summary.verdicts)}", "\n>\n".join(alarm), as_markdown(table), "\n".join(reasons)]
    return "\n\n".join(part for part in [*parts, "## What was judged", "\n".join(facts)] if part) + "\n"


def format_html(summary: GateSummary) -> str:
    """The summary as one HTML file that needs nothing else."""
    title = headline(summary.verdicts)
    columns = "".join(
        f'<th scope="col"{_word_class(index)}>{html.escape(name)}</th>' for index, name in enumerate(_HEADER)
    )
    alarm = "<br>".join(html.escape(line) for line in warning_of(summary.differences))
    facts = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in _facts(summary))
    outcome = "passed" if is_passed(summary.verdicts) else "failed"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>",
            f'<h1 class="{outcome}">{html.escape(title)}</h1>',
            *([f'<p class="alarm" role="alert">{alarm}</p>'] if alarm else []),
            '<div class="wide" tabindex="0" role="region" aria-label="Rules">',
            f"<table>\n<thead><tr>{columns}</tr></thead>",
            *(f"<tbody>{_html_rows(verdict)}</tbody>" for verdict in summary.verdicts),
            f"</table></div>\n<h2>What was judged</h2>\n<dl>{facts}</dl>\n</main></body></html>\n",
        ]
    )


def headline(verdicts: Sequence[Verdict]) -> str:
    """Such as "Gate failed: 2 of 7 rules failed, 1 warned"."""
    counts = {outcome: sum(verdict.outcome is outcome for verdict in verdicts) for outcome in Outcome}
    parts = [f"{counts[Outcome.FAILED]} of {len(verdicts)} rules failed"]
    parts += [f"{counts[outcome]} {outcome}" for outcome in (Outcome.WARNED, Outcome.NOT_JUDGED) if counts[outcome]]
    return f"Gate {'passed' if is_passed(verdicts) else 'failed'}: {', '.join(parts)}"


def _row(verdict: Verdict) -> tuple[str, ...]:
    value = value_text(verdict.value)
    return (
        verdict.name,
        f"{_MARKS[verdict.outcome]} {verdict.outcome}",
        value if verdict.baseline is None else f"{value} (was {value_text(verdict.baseline)})",
        interval_of_text(verdict.interval),
        verdict.where or NO_VALUE,
        *(
            NO_VALUE if number is None else str(number)
            for number in (verdict.frames, verdict.objects, verdict.sequences)
        ),
    )


def _html_rows(verdict: Verdict) -> str:
    cells = [html.escape(cell) for cell in _row(verdict)]
    name = f'<th scope="row" class="word">{cells[0]}</th>'
    outcome = f'<td class="word verdict {str(verdict.outcome).replace(" ", "-")}">{cells[1]}</td>'
    numbers = "".join(f"<td{_word_class(index)}>{cell}</td>" for index, cell in enumerate(cells[2:], start=2))
    reason = f'<td colspan="{len(_HEADER)}" class="reason">{html.escape(_reason(verdict))}</td>'
    return f'<tr class="rule">{name}{outcome}{numbers}</tr>\n<tr class="reason">{reason}</tr>'


def _reason(verdict: Verdict) -> str:
    return verdict.reason if verdict.rule == verdict.name else f"{verdict.rule}: {verdict.reason}"


def _word_class(index: int) -> str:
    return ' class="word"' if index in _WORDS else ""


def _facts(summary: GateSummary) -> list[tuple[str, str]]:
    facts = [("report", _report_words(summary.report_name, summary.report)), ("rules", summary.rules_name)]
    if summary.baseline is not None and summary.baseline_name is not None:
        facts.append(("baseline", _report_words(summary.baseline_name, summary.baseline)))
    report, method = summary.report, summary.report.interval_method
    facts += [(f"model: {name}", value) for name, value in report.model.items()]
    facts.append(
        ("frames", f"{report.overall.frames} of {report.sequences} sequences, {report.overall.objects} objects")
    )
    facts.append(("label space", f"{', '.join(report.class_names)} ({report.label_space_fingerprint})"))
    if method is not None:
        facts.append(
            (
                "intervals",
                f"{method.level:.0%} {method.kind}, whole {method.unit}s drawn, {method.replicates} replicates, seed "
                f"{method.seed}; none of fewer than {method.least_sequences} {method.unit}s",
            )
        )
    facts.append(("software", _software_words(report)))
    if summary.baseline is not None and summary.baseline.software != report.software:
        facts.append(
            ("software of the baseline", f"{_software_words(summary.baseline)}; its numbers are as it gave them")
        )
    return facts


def _software_words(report: Report) -> str:
    return ", ".join(f"{name} {version}" for name, version in report.software.items())


def _report_words(name: str, report: Report) -> str:
    part = report.catalog
    if part is None:
        return f"{name}, catalog {report.catalog_fingerprint}"
    chosen = [f"split {part.split}"] if part.split is not None else []
    chosen += [f"where {part.where}"] if part.where is not None else []
    return ", ".join([name, f"catalog {part.path} ({report.catalog_fingerprint})", *chosen])
