"""Findings as a text table: counts by rule and severity, and the first examples of each rule."""

from __future__ import annotations

import polars as pl

from tl_datasets.checks.findings import Findings
from tl_datasets.checks.rules import RULES, Rule, Severity

_EXAMPLES = 3


def format_findings(findings: Findings, examples: int = _EXAMPLES) -> str:
    """Counts as an aligned table, then a few findings of each rule with the remedy.

    Args:
        findings: Of a check.
        examples: How many findings of each rule are shown.
    """
    if not len(findings):
        return f"no findings; {_scope(findings)}"
    counts = findings.counts()
    rows = [("severity", "rule", "findings", "frames", "what")] + [
        (row["severity"], row["rule"], str(row["findings"]), str(row["frames"] or "-"), RULES[Rule(row["rule"])].what)
        for row in counts.iter_rows(named=True)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if column in (2, 3) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    for row in counts.iter_rows(named=True):
        of_kind = findings.table.filter((pl.col("rule") == row["rule"]) & (pl.col("severity") == row["severity"]))
        lines.append(f"\n{row['rule']}: {RULES[Rule(row['rule'])].remedy}")
        lines.extend(f"  {_place(item)}{item['message']}" for item in of_kind.head(examples).iter_rows(named=True))
        if len(of_kind) > examples:
            lines.append(f"  ... and {len(of_kind) - examples} more")
    totals = ", ".join(f"{findings.count(severity)} {severity}" for severity in Severity)
    return "\n".join([*lines, "", f"{totals}; {_scope(findings)}"])


def _place(item: dict[str, object]) -> str:
    if item["frame_id"] is None:
        return ""
    return f"{item['frame_id']}: " if item["box"] is None else f"{item['frame_id']} box {item['box']}: "


def _scope(findings: Findings) -> str:
    about = findings.about
    images = (
        f"{about['lamps_large_enough']} lamps large enough to compare with their labels"
        if about.get("images_read")
        else "no image read"
    )
    return f"{about.get('frames', 0)} frames, {about.get('boxes', 0)} boxes, {images}"
