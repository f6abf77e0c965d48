"""Verdicts as a JUnit XML file, which continuous integration shows as test results: one test case per rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tl_detection.evaluation.gate.judge import Outcome, Verdict

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_of(verdicts: Sequence[Verdict], report_name: str) -> bytes:
    """The XML file.

    A rule that failed is a failure, one that was not judged is skipped, a warning stands in the case's output.

    Args:
        verdicts: Of all rules.
        report_name: Named as the class of every test case.
    """
    counts = {
        "tests": str(len(verdicts)),
        "failures": str(sum(verdict.outcome is Outcome.FAILED for verdict in verdicts)),
        "errors": "0",
    }
    n_skipped = str(sum(verdict.outcome is Outcome.NOT_JUDGED for verdict in verdicts))
    # The schema of Jenkins' xunit plugin (junit-10.xsd) has no "skipped" of all suites.
    suites = Element("testsuites", {"name": "tl gate", **counts})
    suite = SubElement(suites, "testsuite", {"name": "tl gate", **counts, "skipped": n_skipped, "time": "0"})
    for verdict in verdicts:
        case = SubElement(
            suite, "testcase", {"classname": _text(report_name), "name": _text(verdict.name), "time": "0"}
        )
        line = _text(f"{verdict.rule}: {verdict.reason}")
        if verdict.outcome is Outcome.FAILED:
            failure = SubElement(case, "failure", {"message": _text(verdict.reason), "type": "rule"})
            failure.text = line
        elif verdict.outcome is Outcome.NOT_JUDGED:
            SubElement(case, "skipped", {"message": _text(verdict.reason)})
        output = SubElement(case, "system-out")
        output.text = f"{verdict.outcome}: {line}"
    indent(suites)
    return tostring(suites, encoding="utf-8", xml_declaration=True) + b"\n"


def _text(text: str) -> str:
    return _FORBIDDEN.sub("�", text)
