"""The exceptions of the runtime; each message is one line that says where, what was found, and the remedy.

TlRuntimeError              every error that the runtime raises on purpose
+-- ModelError              a file that is missing, damaged, foreign, of another contract, or not the one expected
+-- BrokenOutputError       a file that gave what no detector gives, such as numbers that are not finite
+-- NoResultError           the lights of a frame that gave no result were asked for
"""

from __future__ import annotations


class TlRuntimeError(Exception):
    """An error of the runtime."""

    def __str__(self) -> str:
        """The message in one line, whatever a library's own message holds."""
        return " ".join(super().__str__().split())


class ModelError(TlRuntimeError):
    """A file that cannot be run: missing, damaged, foreign, of another contract, or with another checksum."""


class BrokenOutputError(TlRuntimeError):
    """A file that gave what no detector gives."""


class NoResultError(TlRuntimeError):
    """A frame gave no result, and its lights were asked for."""
