"""Numbers and names of a report in words: "-" where there is no number."""

from __future__ import annotations

import re

from tl_detection.evaluation.intervals import Interval

NO_VALUE = "-"

_MOST_DIGITS = 6
# "a & b" and "x <= 1" are neither.
_ENTITY, _TAG = re.compile(r"&(?=#?\w+;)"), re.compile(r"<(?=[A-Za-z/!?])")
# An underscore inside a word is no markup.
_MARKUP = re.compile(r"[\\`*\[\]|]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def value_text(value: float | None, *, signed: bool = False, digits: int = 3) -> str:
    """So many digits after the point; more where what is nearly nothing or nearly all would be shown as that."""
    if value is None:
        return NO_VALUE
    is_near = abs(value) < 10**-digits or round(value, digits) in (1, -1)
    if is_near and round(value, _MOST_DIGITS) not in (0, 1, -1):
        digits = _MOST_DIGITS
    rounded = round(value, digits)
    # Adding 0 takes the sign from nothing.
    return f"{rounded + 0.0:{'+' if signed and rounded else ''}.{digits}f}"


def interval_text(low: float | None, high: float | None, *, signed: bool = False, digits: int = 3) -> str:
    """Such as "0.412 to 0.533"."""
    if low is None or high is None:
        return NO_VALUE
    return f"{value_text(low, signed=signed, digits=digits)} to {value_text(high, signed=signed, digits=digits)}"


def interval_of_text(found: Interval | None) -> str:
    """An interval in words."""
    return NO_VALUE if found is None else interval_text(found.low, found.high)


def markdown_text(words: str) -> str:
    """Words of the data for Markdown, of which none can become markup, whatever a class or a drive is called."""
    plain = _TAG.sub("&lt;", _ENTITY.sub("&amp;", " ".join(words.splitlines())))
    return _MARKUP.sub(lambda found: f"\\{found[0]}", plain)
