"""Judges a report by rules, from the numbers in the report alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tl_datasets.errors import DataError, UsageError
from tl_detection.evaluation.gate.rules import GateRules, Rule, TooSmall
from tl_detection.evaluation.intervals import Interval
from tl_detection.evaluation.measures import Measure
from tl_detection.evaluation.report_values import ReportedValue, reported_rate, reported_values
from tl_detection.evaluation.results import Report
from tl_detection.evaluation.value_text import value_text

# A difference of two numbers with few digits is not exact: 0.50 - 0.49 is more than 0.01 by 9e-18.
_ROUNDING = 1e-12


class Outcome(StrEnum):
    """What became of a rule."""

    PASSED = "passed"
    WARNED = "warned"
    NOT_JUDGED = "not judged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A rule and what became of it.

    Attributes:
        name: Of the rule.
        rule: Its words.
        outcome: What became of it.
        reason: One line.
        value: The number that was judged; None where there is none.
        baseline: The same number in the baseline.
        interval: Of the score; None where it has none.
        where: Slice that the number stands for: of `worst`, the worst one.
        frames: Of that slice.
        objects: That the number was measured on; None of a number that is measured on frames.
        sequences: That hold such objects.
    """

    name: str
    rule: str
    outcome: Outcome
    reason: str
    value: float | None = None
    baseline: float | None = None
    interval: Interval | None = None
    where: str | None = None
    frames: int | None = None
    objects: int | None = None
    sequences: int | None = None


def judge(report: Report, rules: GateRules, baseline: Report | None = None) -> tuple[Verdict, ...]:
    """Judge a report, rule by rule in their order.

    Args:
        report: What `tl evaluate` wrote.
        rules: The limits.
        baseline: What rules about a drop or rise compare with.

    Raises:
        UsageError: Such a rule is there, and no baseline.
    """
    against = next((rule for rule in rules.rules if rule.needs_baseline), None)
    if against is not None and baseline is None:
        raise UsageError(f"rule '{against}' compares with another report; give it with --baseline DIR")
    return tuple(_judge_rule(report, rule, rules, baseline) for rule in rules.rules)


def is_passed(verdicts: Sequence[Verdict]) -> bool:
    """True if no rule failed."""
    return all(verdict.outcome is not Outcome.FAILED for verdict in verdicts)


def _judge_rule(report: Report, rule: Rule, rules: GateRules, baseline: Report | None) -> Verdict:
    name = rule.name or str(rule)
    try:
        now = _read(report, rule, rules, "")
        old = _read(baseline, rule, rules, "baseline: ") if rule.needs_baseline and baseline is not None else None
    except DataError as error:
        return Verdict(name=name, rule=str(rule), outcome=Outcome.FAILED, reason=str(error))
    found, before = now.judged, None if old is None else old.judged
    too_small = "; ".join([*now.too_small, *(() if old is None else old.too_small)])
    policy = rules.if_too_small if rule.if_too_small is None else rule.if_too_small
    is_complete = found is not None and not (rule.needs_baseline and before is None)
    # What is too small is told, too, though not judged.
    reason, is_kept = _compare(rule, now.shown, None if old is None else old.shown)
    if is_complete and not is_kept:
        outcome = Outcome.FAILED
    elif not too_small:
        outcome = Outcome.PASSED
    else:
        outcome = {
            TooSmall.FAIL: Outcome.FAILED,
            TooSmall.WARN: Outcome.WARNED,
            TooSmall.PASS: Outcome.PASSED if is_complete else Outcome.NOT_JUDGED,
        }[policy]
        reason = f"{reason}; too small to be judged: {too_small}"
    return Verdict(
        name=name,
        rule=str(rule),
        outcome=outcome,
        reason=reason,
        value=now.shown.value,
        baseline=None if old is None else old.shown.value,
        interval=now.shown.interval,
        where=now.shown.where,
        frames=now.shown.frames,
        objects=now.shown.counted if now.shown.counted_what == "objects" else None,
        sequences=now.shown.sequences,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What a report says about a rule.

    Attributes:
        judged: The number to judge, of several the worst; None where everything is too small.
        shown: The same, or else the first that is too small.
        too_small: Slices that are too small, in words.
    """

    judged: ReportedValue | None
    shown: ReportedValue
    too_small: tuple[str, ...]


def _read(report: Report, rule: Rule, rules: GateRules, place: str) -> _Read:
    """Find the number of a rule.

    Raises:
        DataError: There is none, and it is not for want of objects or sequences.
    """
    measure = None if rule.measure is None else Measure.parse(rule.measure)
    if measure is not None:
        items = reported_values(report, measure, rule.slice)
    else:
        items = [reported_rate(report, rule.rate or "", rule.bound, rule.slice)]
    asks_bound = rule.bound is not None or (measure is not None and measure.bound is not None)
    needs_no_object = measure is not None and measure.name == "phantoms_per_frame"
    min_objects = rules.min_objects if rule.min_objects is None else rule.min_objects
    min_objects = min_objects if needs_no_object else max(min_objects, 1)
    min_sequences = rules.min_sequences if rule.min_sequences is None else rule.min_sequences
    judged, small, texts = [], [], []
    for item in items:
        too_few = [
            f"{number} {what}, {least} asked for"
            for number, what, least in (
                (item.counted, item.counted_what, min_objects),
                (item.sequences, "sequences", min_sequences),
            )
            if number < least
        ]
        least_sequences = 0 if report.interval_method is None else report.interval_method.least_sequences
        if not too_few and asks_bound and item.value is None and item.sequences < least_sequences:
            too_few = [f"fewer than {least_sequences} sequences, which an interval needs"]
        if too_few:
            small.append(item)
            texts.append(f"{place}{item.where} ({'; '.join(too_few)})")
        elif item.value is not None:
            judged.append(item)
        elif not (needs_no_object and measure is not None and measure.worst_over):
            raise DataError(f"{place}{measure or rule.rate}: the report has no value in {item.where}{_why(measure)}")
    if not judged and not small:
        raise DataError(f"{place}{measure}: the report has no value in any slice{_why(measure)}")
    worst = min if measure is None or measure.higher_is_better else max
    chosen = worst(judged, key=lambda item: item.value or 0.0) if judged else None
    return _Read(judged=chosen, shown=chosen or small[0], too_small=tuple(texts))


def _why(measure: Measure | None) -> str:
    if measure is None:
        return ""
    if measure.name == "phantoms_per_frame":
        return " (phantoms are detections of classes without an object, and here every class has objects)"
    if measure.name == "red_as_green":
        return " (it needs a class of red and red_yellow alone, one of green alone, and objects that mean stop)"
    if measure.name == "precision":
        return " (nothing was reported that could be right or wrong)"
    return ""


def _compare(rule: Rule, found: ReportedValue, before: ReportedValue | None) -> tuple[str, bool]:
    """What there is to say, and whether the limit is kept."""
    value, limit, kind = found.value, rule.limit, rule.limit_kind
    if value is None or (before is not None and before.value is None):
        return f"no value in {found.where}", False
    shown = f"{value_text(found.value)} in {found.where}"
    if kind == "at_least":
        is_kept = value >= limit
        return f"{shown}, {'not' if is_kept else 'is'} less than {limit:g}", is_kept
    if kind == "at_most":
        is_kept = value <= limit
        return f"{shown}, {'not' if is_kept else 'is'} more than {limit:g}", is_kept
    old = 0.0 if before is None or before.value is None else before.value
    was = value_text(old) if before is None or before.where == found.where else f"{value_text(old)} in {before.where}"
    worse = old - value if kind == "drop_at_most" else value - old
    is_kept = worse <= limit + _ROUNDING
    way = "dropped" if kind == "drop_at_most" else "rose"
    moved = f"{way} by {value_text(worse)}" if worse > 0 else f"no worse than before by {value_text(-worse)}"
    return f"{shown}, was {was}: {moved}, {limit:g} is allowed", is_kept
