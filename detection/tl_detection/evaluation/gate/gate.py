"""From the places of a report and its rules to verdicts, and from there to files."""

from __future__ import annotations

from pathlib import Path

from tl_datasets.errors import DataError
from tl_datasets.images import write_whole
from tl_detection.evaluation.gate.judge import judge
from tl_detection.evaluation.gate.junit import junit_of
from tl_detection.evaluation.gate.rules import GateRules
from tl_detection.evaluation.gate.summary import GateSummary, format_html, format_markdown
from tl_detection.evaluation.report_file import read_report
from tl_detection.evaluation.same_protocol import (
    is_sliced_by_network_size,
    require_same_rules,
    rules_of_report,
    rules_of_slices,
)

_FILES = ("gate.xml", "gate.md", "gate.html")


def run_gate(
    report_path: Path,
    rules_path: Path,
    rules: GateRules,
    baseline_path: Path | None = None,
    *,
    allow_different_protocol: bool = False,
) -> GateSummary:
    """Judge the report of an evaluation.

    Args:
        report_path: The folder of an evaluation, or its report.json.
        rules_path: Where the rules are from.
        rules: The limits.
        baseline_path: The evaluation that rules about a drop or rise compare with.
        allow_different_protocol: Compare with it although it was not scored alike.

    Raises:
        UsageError: A rule needs a baseline, and none is given.
        DataError: A report cannot be used, or the two were not scored alike.
    """
    report = read_report(report_path)
    baseline, differences = None, ()
    if baseline_path is not None:
        baseline = read_report(baseline_path)
        before, now = rules_of_slices(baseline, report)
        by_network = is_sliced_by_network_size(baseline, report)
        found = require_same_rules(
            (f"{baseline_path}", rules_of_report(baseline, intervals=True, input_size=by_network) | before),
            (f"{report_path}", rules_of_report(report, intervals=True, input_size=by_network) | now),
            allow=allow_different_protocol,
        )
        differences = tuple(item.between("the baseline", "the report") for item in found)
    return GateSummary(
        report_name=str(report_path),
        report=report,
        rules_name=str(rules_path),
        verdicts=judge(report, rules, baseline),
        baseline_name=None if baseline_path is None else str(baseline_path),
        baseline=baseline,
        differences=differences,
    )


def write_gate(summary: GateSummary, out: Path) -> list[Path]:
    """Write gate.xml (JUnit), gate.md and gate.html; each file appears whole, and takes the place of an older one.

    Raises:
        DataError: The folder cannot be made or written to.
    """
    contents = (junit_of(summary.verdicts, summary.report_name), format_markdown(summary), format_html(summary))
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in zip(_FILES, contents, strict=True):
            write_whole(out / name, content)
    except OSError as error:
        raise DataError(f"{out}: cannot write the verdicts ({error.strerror}); choose another --out") from error
    return [out / name for name in _FILES]


def remove_verdicts(out: Path) -> None:
    """Remove what an earlier gate wrote there: its verdict must not stand for one that could not be given.

    Raises:
        DataError: A file cannot be removed.
    """
    try:
        for name in _FILES:
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot remove the verdicts before ({error.strerror}); choose another --out") from error
