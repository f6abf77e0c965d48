"""The exceptions of the runtime; each message is one line that says where, what was found, and the remedy.

TlRuntimeError(Exception)     every error that the runtime raises on purpose
+-- ModelError              a file that is missing, damaged, foreign, of another contract, or not the one expected
+-- NoResultError                the boxes of a frame that gave none were asked for
"""

from __future__ import annotations


class TlRuntimeError(Exception):
    """An error of the runtime."""

    def __str__(self) -> str:
        """The message in one line, whatever a library's own message holds."""
        return " ".join(super().__str__().split())


class ModelError(TlRuntimeError):
    """A file that cannot be run: missing, damaged, foreign, of another contract, or with another checksum."""


class NoResultError(TlRuntimeError):
    """A frame gave no boxes, and its boxes were asked for."""
