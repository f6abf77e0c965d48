"""The exceptions that a user may meet.

    TlError                 every error that is the user's to mend; the command line prints it as one line, exit code 1
    +-- UsageError          a command or option used wrongly; exit code 2
    +-- ConfigError         a configuration with one or more faults, each with its dotted key
    +-- DataError           a file, frame, box or table that cannot be used
    |   +-- AnnotationError     an annotation file that does not follow its format; carries the path and line
    |   +-- ImageError      an image or video that cannot be read, or has another size than declared
    +-- WeightsError        a checkpoint or exported model that is missing, foreign or does not fit
    +-- TrainingError       training cannot go on (non-finite loss, nothing to train on)

A message says where, what was found, what was expected, and the remedy, in one line.
"""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Any

# How a file begins that Git LFS has not fetched.
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
# A value in a message is there to be recognised, not to be read whole.
_SHOWN_CHARS = 80
# A few nested lists of a YAML file that repeat each other would take for ever to write out whole.
_short = reprlib.Repr()
_short.maxlevel, _short.maxlist, _short.maxtuple, _short.maxdict, _short.maxset = 4, 30, 30, 30, 30
_short.maxstring = _short.maxlong = _short.maxother = 100


def printable(text: str) -> str:
    """The text with lone surrogates (bytes of a file name that are no UTF-8) written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def show(value: object) -> str:
    """A value of a file as it stands in a message: quoted, and cut where it is long."""
    text = _short.repr(value) if isinstance(value, list | tuple | dict | set) else repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."


class TlError(Exception):
    """An error that the user can mend. The message is one complete line."""

    def __str__(self) -> str:
        """The message in one line that any terminal can print, whatever a file name or a value holds."""
        return printable(" ".join(super().__str__().splitlines()))

    def __reduce__(self) -> tuple[Any, ...]:
        """An error passes from one process to another as it is, whatever it was made from."""
        return _remade, (type(self), self.args, vars(self))


class UsageError(TlError):
    """A command or option was used wrongly."""


class ConfigError(TlError):
    """A configuration has faults.

    Attributes:
        where: The file, or the dotted key of a single fault.
        faults: One line per fault, each beginning with its dotted key.
    """

    def __init__(self, where: str, faults: list[str]):
        self.where = where
        self.faults = list(faults)
        super().__init__(f"{where}: " + "; ".join(self.faults))


class DataError(TlError):
    """A file, frame, box or table cannot be used."""


class AnnotationError(DataError):
    """An annotation file does not follow its format.

    Attributes:
        path: The file at fault.
        line: Its 1-based line, where the format has lines.
    """

    def __init__(self, path: Path | str, message: str, line: int | None = None):
        self.path = Path(path)
        self.line = line
        place = f"{path}" if line is None else f"{path} line {line}"
        super().__init__(f"{place}: {message}")


class ImageError(DataError):
    """An image or video cannot be read, or has another size than declared."""


class WeightsError(TlError):
    """A checkpoint or exported model is missing, foreign, or does not fit."""


class TrainingError(TlError):
    """Training cannot go on."""


def _remade(kind: type[TlError], args: tuple[object, ...], values: dict[str, Any]) -> TlError:
    error = kind.__new__(kind, *args)
    vars(error).update(values)
    return error
