"""Options of readers and writers as a command line gives them, checked by name and converted by the argument's type."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from tl_datasets.errors import UsageError


def checked_options(
    function: Callable, format_name: str, options: Mapping[str, Any], given: Collection[str]
) -> dict[str, Any]:
    """Options for a function, with texts converted to what its arguments are.

    Args:
        function: The reader or writer.
        format_name: For messages.
        options: By name.
        given: Arguments that are no options.

    Raises:
        UsageError: An option is unknown, or its value does not fit.
    """
    hints = get_type_hints(function)
    known = set(inspect.signature(function).parameters) - set(given)
    result = {}
    for key, value in options.items():
        if key not in known:
            expected = f"expected {', '.join(sorted(known))}" if known else "it has none"
            raise UsageError(f"option '{key}': unknown to format {format_name}; {expected}")
        result[key] = _converted(key, value, hints[key])
    return result


def parse_options(texts: Sequence[str], own: Mapping[str, str]) -> dict[str, str]:
    """Options from the `key=value` texts of a command line.

    Args:
        texts: As given.
        own: Names that are options of the command itself, and what to give instead.

    Raises:
        UsageError: A text is no `key=value`, names an option of the command, or a name that was given before.
    """
    options = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--option {text}: expected key=value, such as labels=annotations")
        if key in own:
            instead = (
                f"is an option of its own; give {own[key]} {value}"
                if own[key]
                else "no option of a format; leave it out"
            )
            raise UsageError(f"--option {text}: {instead}")
        if key in options:
            raise UsageError(f"--option {text}: {key} is given twice; expected each option once")
        options[key] = value
    return options


def _converted(key: str, value: Any, hint: Any) -> Any:
    kinds = (hint, *get_args(hint))
    if hint is bool:
        if isinstance(value, bool):
            return value
        if str(value).lower() not in {"true", "false"}:
            raise UsageError(f"option {key}={value}: expected true or false")
        return str(value).lower() == "true"
    for kind, what in ((int, "a whole number"), (float, "a number")):
        if kind in kinds and value is not None:
            try:
                number = kind(value)
                if not math.isfinite(number):
                    raise ValueError(f"{number} is not finite")
                return number
            except (TypeError, ValueError, OverflowError) as error:
                raise UsageError(f"option {key}={value}: expected {what}") from error
    choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    if choices and value is not None and value not in choices:
        raise UsageError(f"option {key}={value}: expected {' or '.join(map(str, choices))}")
    return value
