"""`Place`: where in an annotation file something stands, put into words only when somebody asks."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tl_datasets.errors import AnnotationError

# An id or name inside a message is there to be recognised.
_PART_CHARS = 80


class Place(NamedTuple):
    """Where something stands; millions are made and few are printed, so the words are joined late.

    Attributes:
        file: The annotation file.
        inside: Words that lead to the place, such as ("frame", "0001.jpg", "label", 3).
        line: 1-based line, where the format has lines.
    """

    file: Path
    inside: tuple[object, ...] = ()
    line: int | None = None

    def __str__(self) -> str:
        line = "" if self.line is None else f" line {self.line}"
        return f"{self.file}{line}{self._words()}"

    def at(self, *words: object) -> Place:
        """A place further inside this one."""
        return Place(self.file, (*self.inside, *words), self.line)

    def error(self, message: str) -> AnnotationError:
        """The error to raise for what is wrong here: `raise place.error("...")`."""
        words = self._words().removeprefix(" ")
        return AnnotationError(self.file, f"{words}: {message}" if words else message, line=self.line)

    def _words(self) -> str:
        return "".join(f" {str(word)[:_PART_CHARS]}" for word in self.inside)
