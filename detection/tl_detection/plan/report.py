"""A plan as lines for a terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tl_datasets.images import write_whole
from tl_detection.config import RunConfig
from tl_detection.plan.findings import Plan, Section, Verdict
from tl_detection.plan.resolved import write_resolved

_VERDICTS = {
    Verdict.OK: "it can be trained",
    Verdict.LOOK: "it can be trained; look at what is marked",
    Verdict.STOP: "it should not be trained so",
}


def format_plan(plan: Plan) -> str:
    """Section by section: findings with their verdict, numbers, notes; proposals and the verdict at the end."""
    blocks = [_block(section) for section in plan.sections]
    if plan.proposals:
        lines = ["proposals (written into config.yaml by --out, never applied by themselves)"]
        for proposal in plan.proposals:
            lines.append(f"  {proposal.key}: {_value(proposal.value)}  (now {_value(proposal.former)})")
            lines.append(f"    {proposal.reason}")
        blocks.append("\n".join(lines))
    blocks.append(_summary(plan))
    return "\n\n".join(blocks)


def write_plan(plan: Plan, config: RunConfig, folder: Path) -> None:
    """Write `plan.json`, `plan.md` and `config.yaml` into an existing folder; each appears whole."""
    write_whole(folder / "plan.json", json.dumps(as_json(plan), indent=2, allow_nan=False) + "\n")
    write_whole(folder / "plan.md", markdown_of(plan))
    write_whole(folder / "config.yaml", write_resolved(config, plan.proposals, plan.remarks))


def as_json(plan: Plan) -> dict[str, Any]:
    """Everything, as plain values."""
    return {
        "name": plan.name,
        "verdict": str(plan.verdict),
        "sections": {
            section.title: {
                "verdict": str(section.verdict),
                "findings": [{"verdict": str(each.verdict), "message": each.message} for each in section.findings],
                "notes": list(section.notes),
                "values": section.values,
            }
            for section in plan.sections
        },
        "proposals": [
            {"key": each.key, "value": each.value, "former": each.former, "reason": each.reason}
            for each in plan.proposals
        ],
        "remarks": plan.remarks,
    }


def markdown_of(plan: Plan) -> str:
    """The plan as Markdown."""
    parts = [f"# Plan of {plan.name}", "", _summary(plan), ""]
    for section in plan.sections:
        parts += [f"## {section.title.capitalize()}", ""]
        parts += [f"- **{finding.verdict}**: {finding.message}" for finding in section.findings]
        parts += [f"- {note}" for note in section.notes] + [""]
        if section.table:
            parts += [*_markdown_table(section.table), ""]
    if plan.proposals:
        rows = [("setting", "now", "proposed", "reason")]
        rows += [(each.key, _value(each.former), _value(each.value), each.reason) for each in plan.proposals]
        parts += ["## Proposals", "", "Applied in `config.yaml`.", "", *_markdown_table(rows), ""]
    return "\n".join(parts)


def _block(section: Section) -> str:
    lines = [section.title]
    lines += [f"  {finding.verdict + ':':9} {finding.message}" for finding in section.findings]
    lines += [f"  {line}" for line in _aligned(section.table)]
    lines += [f"  {note}" for note in section.notes]
    return "\n".join(lines)


def _summary(plan: Plan) -> str:
    findings = [finding for section in plan.sections for finding in section.findings]
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    listed = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    return f"{plan.name}: {_VERDICTS[plan.verdict]} ({listed})"


def _value(value: Any) -> str:
    return "null" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]
