"""Single values of annotation files: flags, numbers and sides, each read or refused with its place."""

from __future__ import annotations

import math
import re
from typing import Any

from tl_datasets.errors import show
from tl_datasets.formats.common.place import Place

_FLAGS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,20}\s*")
# More pixels on a side than any camera has: a declared size beyond is a fault of the file.
_MAX_SIDE_PX = 100_000


def read_flag(value: Any, name: str, where: Place) -> bool | None:
    """A yes or no of a file: a boolean, 0 or 1, or one of these as text; None stays None.

    Args:
        value: As the file has it.
        name: Of the field, for messages.
        where: For messages.

    Raises:
        AnnotationError: It is anything else.
    """
    if value is None or isinstance(value, bool):
        return value
    found = _FLAGS.get(str(value).lower()) if isinstance(value, str | int | float) else None
    if found is None:
        raise where.error(f"{name} is {show(value)}, expected true, false or null")
    return found


def read_number(value: Any, name: str, where: Place) -> float:
    """A finite number of a file, also as text.

    Raises:
        AnnotationError: It is anything else.
    """
    number = _number(value)
    if number is None or not math.isfinite(number):
        raise where.error(f"{name} is {show(value)}, expected a number")
    return number


def read_whole(value: Any, name: str, where: Place, lowest: int, highest: int) -> int | None:
    """A whole number of a file within limits, also as 3.0 or as text; None stays None.

    Raises:
        AnnotationError: It is anything else.
    """
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and _WHOLE.fullmatch(value):
        number = int(value)  # not by way of a float, which has no 19 digits
    else:
        exact = _number(value)
        number = int(exact) if exact is not None and math.isfinite(exact) and exact == int(exact) else None
    if number is None or not lowest <= number <= highest:
        raise where.error(f"{name} is {show(value)}, expected a whole number from {lowest} to {highest}, or null")
    return number


def declared_side(value: Any, name: str, where: Place) -> int | None:
    """A width or height as an annotation file declares it: a whole number, also as 1280.0 or "1280"; None stays None.

    Raises:
        AnnotationError: It is anything else, or no number of pixels that an image can have.
    """
    if value is None:
        return None
    number = _number(value)
    if number is None or not 1 <= number <= _MAX_SIDE_PX or number != int(number):
        raise where.error(f"{name} is {show(value)}, expected a whole number of pixels from 1 to {_MAX_SIDE_PX}")
    return int(number)


def _number(value: Any) -> float | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    if isinstance(value, str) and "_" in value:  # Python reads 1_9 as 19
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
