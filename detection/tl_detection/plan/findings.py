"""What a plan consists of: sections with lines to read, findings with a verdict, and proposals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    LOOK = "look at"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found.

    Attributes:
        verdict: "stop" = training is senseless or impossible so; "look at" = it may be meant, or cost quality.
        message: What was found, what was expected, and the remedy, in one line.
    """

    verdict: Verdict
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One subject of a plan.

    Attributes:
        title: Its subject.
        findings: What speaks for or against the run.
        table: Rows of texts, the first the header; empty = none.
        notes: Further lines.
        values: What was measured, as plain values for JSON.
    """

    title: str
    findings: tuple[Finding, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The gravest of its findings."""
        return gravest(self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Another value for a setting.

    Attributes:
        key: Dotted key of the configuration.
        value: What is proposed, a plain value.
        former: What the configuration says.
        reason: Why, in one line.
    """

    key: str
    value: Any
    former: Any
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that was found about a run.

    Attributes:
        name: Of the run.
        sections: By subject, in the order of reading.
        proposals: What should be changed.
        remarks: Dotted key -> why its value stays, where that is worth saying.
    """

    name: str
    sections: tuple[Section, ...]
    proposals: tuple[Proposal, ...]
    remarks: dict[str, str]

    @property
    def verdict(self) -> Verdict:
        """The gravest of all findings."""
        return gravest([finding for section in self.sections for finding in section.findings])


def gravest(findings: Sequence[Finding]) -> Verdict:
    """The gravest verdict; "ok" without a finding."""
    order = list(Verdict)
    return max((finding.verdict for finding in findings), key=order.index, default=Verdict.OK)


def ok(message: str) -> Finding:
    """A finding that speaks for the run."""
    return Finding(verdict=Verdict.OK, message=message)


def look(message: str) -> Finding:
    """A finding that a person should look at."""
    return Finding(verdict=Verdict.LOOK, message=message)


def stop(message: str) -> Finding:
    """A finding with which training is senseless or impossible."""
    return Finding(verdict=Verdict.STOP, message=message)
