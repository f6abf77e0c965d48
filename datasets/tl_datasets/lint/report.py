"""What the linter found, as lines for a terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tl_datasets.images import write_whole
from tl_datasets.lamps.state import READABLE
from tl_datasets.lint.lint import LintReport
from tl_datasets.lint.survival import WHOLE, confusion, survival

# Tables beside the one by state; a column in which all lamps have the same value gets none.
_SLICES = ("weather", "time_of_day", "size", "drawn")
_UNKNOWN = "-"


def format_lint(report: LintReport) -> str:
    """The table of survival, the lamps, and the verdict, for a terminal."""
    if not len(report.outcomes):
        return "\n".join(verdict(report))
    return "\n".join([_aligned(survival_rows(report.survival())), "", *about_lamps(report), "", *verdict(report)])


def write_lint(report: LintReport, folder: Path) -> None:
    """Write `lint.json`, `lint.md` and `lint.html` into an existing folder; each appears whole."""
    from tl_datasets.lint.report_html import html_of

    write_whole(folder / "lint.json", json.dumps(as_json(report), indent=2) + "\n")
    write_whole(folder / "lint.md", markdown_of(report))
    write_whole(folder / "lint.html", html_of(report))


def verdict(report: LintReport) -> list[str]:
    """What speaks against the policy, and what was allowed although something does."""
    if not len(report.outcomes) and not report.judged:
        return ["augment.transforms has no step, so there is nothing to measure: geometry alone changes no colour"]
    lines = [f"refused: {line}" for line in report.faults()]
    lines += [f"allowed by augment.allow_unsafe: {line}" for line in report.overrides()]
    lines += [
        f"{state}: {count} lamps are too few to refuse anything for them" for state, count in report.too_few().items()
    ]
    if not report.labels.carry_colour:
        lines.append("no class depends on the colour, so no colour is refused; the shares are for information")
    elif not report.faults() and not report.too_few():
        config = report.config
        limits = (
            f"each step keeps at least {config.min_kept:.0%} of every state and makes at most {config.max_other:.0%} "
            f"another state; together {config.min_kept_together:.0%} and {config.max_other_together:.0%}"
        )
        lines.append(f"within the limits: {limits}" if not report.overrides() else "nothing else is beyond the limits")
    return lines


def about_lamps(report: LintReport) -> list[str]:
    """On how many lamps it was measured, and how many of the labelled ones are read as their labels say."""
    lamps = report.lamps
    lines = []
    for state in READABLE:
        real, drawn = lamps.count(state, drawn=False), lamps.count(state, drawn=True)
        tried = lamps.tried.get(state, 0)
        if not real + drawn + tried:
            continue
        left_out = [f"{count} because {why}" for (of, why), count in lamps.misread.items() if of is state]
        sound = tried - sum(count for (of, _), count in lamps.misread.items() if of is state)
        share = f"; of {tried} labelled ones {sound} ({sound / tried:.0%}) read clearly" if tried else ""
        reasons = f", left out: {', '.join(left_out)}" if left_out else ""
        lines.append(f"{state}: {real} real and {drawn} drawn lamps{share}{reasons}")
    lines.append(f"border of red and yellow: {lamps.red_yellow_deg:g} degrees; {report.config.draws} draws per lamp")
    return lines


def survival_rows(table: pl.DataFrame, by: Sequence[str] = ()) -> list[tuple[str, ...]]:
    """A header, and a row per step and state (and further columns), as texts.

    Args:
        table: As `LintReport.survival` gives it.
        by: Names of further columns that it is grouped by.
    """
    header = (
        "step", "p", "state", *(name.replace("_", " ") for name in by), "lamps", "kept", "95 %", "other", "unread",
        "if applied: kept", "other", "unread",
    )  # fmt: skip
    return [
        header,
        *(
            (
                row["step"],
                _UNKNOWN if row["step"] == WHOLE else f"{row['p']:.3g}",
                row["state"],
                *(_UNKNOWN if row[name] is None else str(row[name]) for name in by),
                str(row["lamps"]),
                percent(row["kept"]),
                f"{percent(row['kept_low'])} to {percent(row['kept_high'])}",
                percent(row["other"]),
                percent(row["unread"]),
                percent(row["kept_applied"]),
                percent(row["other_applied"]),
                percent(row["unread_applied"]),
            )
            for row in table.iter_rows(named=True)
        ),
    ]


def sliced_rows(report: LintReport) -> dict[str, list[tuple[str, ...]]]:
    """Condition -> rows of survival by it, where its values differ between the lamps."""
    found = {}
    for name in _SLICES:
        if report.outcomes[name].n_unique() > 1:
            shown = report.outcomes.with_columns(drawn=pl.when("drawn").then(pl.lit("drawn")).otherwise(pl.lit("real")))
            # Of several steps the whole is what a frame meets.
            if (shown["step"] == WHOLE).any():
                shown = shown.filter(pl.col("step") == WHOLE)
            table = survival(shown, ["step", "state", name]).sort("step", "state", name, nulls_last=True)
            found[name] = survival_rows(table, [name])
    return found


def confusion_rows(report: LintReport) -> list[tuple[str, ...]]:
    """A header, and per step and state the number of readings of each state afterwards, always applied."""
    rows: list[tuple[str, ...]] = [("step", "state", *map(str, READABLE), "unread")]
    counts: dict[tuple[str, str], dict[str | None, int]] = {}
    for row in confusion(report.outcomes).iter_rows(named=True):
        counts.setdefault((row["step"], row["state"]), {})[row["after"]] = row["readings"]
    for (step, state), after in counts.items():
        rows.append((step, state, *(str(after.get(word, 0)) for word in (*map(str, READABLE), None))))
    return rows


def markdown_of(report: LintReport) -> str:
    """The report as Markdown."""
    parts = [f"# What {report.policy} does to signal heads", ""]
    parts += [*(f"- {line}" for line in verdict(report)), ""]
    if len(report.outcomes):
        parts += ["## Survival", "", *_markdown_table(survival_rows(report.survival())), ""]
        for name, rows in sliced_rows(report).items():
            parts += [f"## By {name.replace('_', ' ')}", "", *_markdown_table(rows), ""]
        parts += ["## State before and after", "", "Readings with each step always applied.", ""]
        parts += [*_markdown_table(confusion_rows(report)), ""]
    parts += ["## Lamps", "", *(f"- {line}" for line in about_lamps(report)), ""]
    return "\n".join(parts)


def as_json(report: LintReport) -> dict[str, Any]:
    """Everything but pictures and single readings, as plain values."""
    lamps = report.lamps
    return {
        "policy": report.policy,
        "refused": report.faults(),
        "overrides": report.overrides(),
        "colour_is_label": report.labels.carry_colour,
        "limits": report.config.model_dump(mode="json"),
        "seed": report.seed,
        "lamps": {
            str(state): {
                "real": lamps.count(state, drawn=False),
                "drawn": lamps.count(state, drawn=True),
                "tried": lamps.tried.get(state, 0),
                "left_out": {str(why): count for (of, why), count in lamps.misread.items() if of is state},
            }
            for state in READABLE
        },
        "red_yellow_deg": lamps.red_yellow_deg,
        "survival": report.survival().to_dicts(),
        "survival_by": {
            name: survival(report.outcomes, ["step", "state", name]).to_dicts()
            for name in _SLICES
            if report.outcomes[name].n_unique() > 1
        },
        "confusion": confusion(report.outcomes).to_dicts(),
    }


def percent(share: float) -> str:
    """A share as a percentage with one digit."""
    return f"{100 * share:.1f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in (0, 2) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _markdown_table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    yield "| " + " | ".join(rows[0]) + " |"
    yield "|" + "---|" * len(rows[0])
    for row in rows[1:]:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
