"""What was measured, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tl_detection.benchmark.agreement import Agreement
from tl_detection.benchmark.contender import Absent, Measurement
from tl_detection.benchmark.figures import (
    PERCENTILES,
    percentile,
    samples_needed,
    spread_of_medians,
    spread_of_ratios,
)
from tl_detection.benchmark.turns import FRAMES_PER_TURN, UNTIMED_PER_TURN, Outcome, Plan

COLUMNS = ("first", *(f"p{percent:g}" for percent in PERCENTILES), "p50 by turn", "times the file", "MB", "frames")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkReport:
    """A finished run.

    Attributes:
        path: The file.
        machine: `machine.describe_machine`, before the run.
        frame_size: Width and height of the frames.
        frames_about: Where they are from.
        plan: How it was measured.
        outcome: What came of it; the first measurement is the file's.
    """

    path: Path
    machine: dict[str, Any]
    frame_size: tuple[int, int]
    frames_about: str
    plan: Plan
    outcome: Outcome

    def as_json(self) -> dict[str, Any]:
        """Everything, each single time included."""
        return {
            "file": str(self.path),
            "machine": self.machine,
            "frame_size": list(self.frame_size),
            "frames": self.frames_about,
            "method": {
                **asdict(self.plan),
                "frames_per_turn": FRAMES_PER_TURN,
                "untimed_per_turn": UNTIMED_PER_TURN,
            },
            "detections_per_frame": self.outcome.detections,
            "contenders": [self._contender_json(each) for each in self.outcome.measurements],
            "absent": [asdict(each) for each in self.outcome.absent],
        }

    def _contender_json(self, measured: Measurement) -> dict[str, Any]:
        agreement = self.outcome.agreements.get(measured.contender.name)
        samples = measured.samples_ms
        return {
            "name": measured.contender.name,
            "about": measured.contender.about,
            "settings": measured.contender.settings,
            "provider": measured.provider,
            "pinned_to": measured.pinned_to,
            "n_frames": len(samples),
            "open_ms": measured.open_ms,
            "first_frame_ms": measured.first_frame_ms,
            **{f"p{percent:g}_ms": percentile(samples, percent) for percent in PERCENTILES},
            "p50_by_turn_ms": asdict(spread_of_medians(measured.turns_ms)),
            "times_the_file": asdict(spread_of_ratios(measured.turns_ms, self.outcome.measurements[0].turns_ms)),
            "memory_peak_mb": measured.peak_mb,
            "memory_baseline_mb": measured.baseline_mb,
            "cpu_share": measured.cpu_share,
            "preempted": measured.preempted,
            "agreement": None if agreement is None else asdict(agreement),
            "turns_ms": measured.turns_ms,
        }

    def lines(self) -> list[str]:
        """A heading, the table, and what must be known to read it; Markdown."""
        return [*self._heading(), "", *self._table(), "", *self._notes()]

    def _heading(self) -> list[str]:
        plan, machine = self.plan, self.machine
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        width, height = self.frame_size
        pinned = "not pinned"
        if plan.cores is not None:
            pinned = f"each process pinned to core {', '.join(map(str, plan.cores))}"
        return [
            f"{self.path}: {width}x{height} frames to boxes, in ms ({self.frames_about})",
            f"{machine['cpu']}, {machine['cores']} cores, load {_number(machine['load'], 2)} before the run; "
            f"{plan.threads} thread{'s' if plan.threads > 1 else ''}, {pinned}; "
            f"warm-up {plan.warm_up} frames, and {UNTIMED_PER_TURN} untimed ones in each turn of {FRAMES_PER_TURN}",
            f"{machine['system']}, Python {machine['python']}, {versions}",
        ]

    def _table(self) -> list[str]:
        rows = [("", *COLUMNS)]
        rows += [(each.contender.name, *self._cells(each)) for each in self.outcome.measurements]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            f"| {row[0]:<{widths[0]}} | "
            + " | ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
            + " |"
            for row in rows
        ]
        rule = "|" + "|".join("-" * (width + 2) if not i else "-" * (width + 1) + ":" for i, width in enumerate(widths))
        return [lines[0], rule + "|", *lines[1:]]

    def _cells(self, measured: Measurement) -> tuple[str, ...]:
        samples = measured.samples_ms
        own, first = spread_of_medians(measured.turns_ms), self.outcome.measurements[0]
        ratio = spread_of_ratios(measured.turns_ms, first.turns_ms)
        return (
            _number(measured.first_frame_ms, 0),
            *(_number(percentile(samples, percent), 1) for percent in PERCENTILES),
            f"{own.lowest:.1f}..{own.highest:.1f}",
            "1" if measured is first else f"{ratio.median:.2f} ({ratio.lowest:.2f}..{ratio.highest:.2f})",
            f"{measured.peak_mb - measured.baseline_mb:.0f}",
            str(len(samples)),
        )

    def _notes(self) -> list[str]:
        outcome, notes = self.outcome, list[str]()
        notes += [
            f"p{percent:g}: - because it needs {samples_needed(percent)} frames; --frames sets them"
            for percent in PERCENTILES
            if any(percentile(each.samples_ms, percent) is None for each in outcome.measurements)
        ]
        notes.append(
            "first: from the file on disk to the boxes of the first frame, measured once, imports not counted; "
            "MB: peak of the process above its memory after the imports"
        )
        notes.append("times the file: medians of the same turn, the median of all turns (lowest..highest)")
        found = outcome.detections
        notes.append(
            f"the file finds {min(found)} to {max(found)} lights with a score of {self.plan.score} or more in a frame"
            if max(found)
            else f"no light with a score of {self.plan.score} or more in any frame: suppression had little to do"
        )
        notes += [self._about(each, outcome.agreements.get(each.contender.name)) for each in outcome.measurements]
        notes += [f"{each.name}: not run: {each.reason}" for each in outcome.absent]
        return [f"- {note}" for note in notes]

    def _about(self, measured: Measurement, agreement: Agreement | None) -> str:
        off_core = 1 - measured.cpu_share
        parts = [f"{measured.contender.name} ({measured.provider}): {measured.contender.about}"]
        if agreement is not None:
            parts.append(agreement.line())
            if agreement.is_same_work is False:
                parts.append("NOT the same boxes: its times are those of other work")
        if self.plan.threads == 1 and off_core > 0.02 and measured.provider.startswith(("CPU", "torch cpu")):
            parts.append(f"waited for its core {off_core:.0%} of the time: the machine was busy, trust the ratios only")
        return "; ".join(parts)


def _number(value: Any, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def write_report(report: BenchmarkReport, folder: Path) -> Sequence[str]:
    """Write `benchmark.json` and `benchmark.md`; gives their names."""
    (folder / "benchmark.json").write_text(
        json.dumps(report.as_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8"
    )
    (folder / "benchmark.md").write_text("\n".join(("# Benchmark", "", *report.lines())) + "\n", encoding="utf-8")
    return "benchmark.json", "benchmark.md"


def absent_from(absent: Sequence[Absent], outcome: Outcome) -> Outcome:
    """The outcome with those named that were never started."""
    return Outcome(
        measurements=outcome.measurements,
        agreements=outcome.agreements,
        absent=[*outcome.absent, *absent],
        detections=outcome.detections,
    )
