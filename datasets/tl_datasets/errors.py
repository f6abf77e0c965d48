"""The exceptions that a user may meet.

    TlError                 every error that is the user's to mend; the command line prints it as one line, exit code 1
    +-- UsageError          a command or option used wrongly; exit code 2
    +-- ConfigError         a configuration with one or more faults, each with its dotted key
    +-- DataError           a file, frame, box or table that cannot be used
    |   +-- FormatError     an annotation file that does not follow its format; carries the path and line
    |   +-- ImageError      an image or video that cannot be read, or has another size than declared
    +-- WeightsError        a checkpoint or exported model that is missing, foreign or does not fit
    +-- TrainingError       training cannot go on (non-finite loss, nothing to train on)

A message says where, what was found, what was expected, and the remedy, in one line.
"""

from __future__ import annotations

from pathlib import Path


class TlError(Exception):
    """An error that the user can mend. The message is one complete line."""


class UsageError(TlError):
    """A command or option was used wrongly."""


class ConfigError(TlError):
    """A configuration has faults.

    Attributes:
        faults: One line per fault, each beginning with its dotted key.
    """

    def __init__(self, where: str, faults: list[str]):
        self.faults = list(faults)
        super().__init__(f"{where}: " + "; ".join(self.faults))


class DataError(TlError):
    """A file, frame, box or table cannot be used."""


class FormatError(DataError):
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
