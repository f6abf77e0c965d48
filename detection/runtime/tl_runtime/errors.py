"""The exceptions of the runtime; each message is one line that says where, what was found, and the remedy.

RuntimeFault(Exception)     every error that the runtime raises on purpose
+-- ModelFault              a file that is missing, damaged, foreign, of another contract, or not the one expected
+-- NoResult                the boxes of a frame that gave none were asked for
"""

from __future__ import annotations


class RuntimeFault(Exception):
    """An error of the runtime."""

    def __str__(self) -> str:
        """The message in one line, whatever a library's own message holds."""
        return " ".join(super().__str__().split())


class ModelFault(RuntimeFault):
    """A file that cannot be run: missing, damaged, foreign, of another contract, or with another checksum."""


class NoResult(RuntimeFault):  # noqa: N818  it is a state of a frame, as StopIteration is one of a loop
    """A frame gave no boxes, and its boxes were asked for."""
