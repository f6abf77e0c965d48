"""Numbers of a report in words: "-" where there is none."""

from __future__ import annotations

from tl_detection.evaluation.intervals import Interval

NO_VALUE = "-"


def value_text(value: float | None, *, signed: bool = False) -> str:
    """Three digits after the point; more where a small value would be shown as nothing."""
    if value is None:
        return NO_VALUE
    digits = 3 if value == 0 or abs(value) >= 0.001 else 6
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    return text if value else text.lstrip("+")


def interval_text(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """Such as "0.412 to 0.533"."""
    if low is None or high is None:
        return NO_VALUE
    return f"{value_text(low, signed=signed)} to {value_text(high, signed=signed)}"


def interval_of_text(found: Interval | None) -> str:
    """An interval in words."""
    return NO_VALUE if found is None else interval_text(found.low, found.high)
