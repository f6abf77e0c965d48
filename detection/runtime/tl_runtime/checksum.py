"""Is this the file that was proven? Its SHA-256 is compared with a hash file beside it, in the form of `sha256sum`.

A hash file guards against a cut-off copy, a wrong version and tampering with one file of the two. Who may write it is a
matter of the vehicle's update system, which signs it; the runtime can also be given the digest itself.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

from tl_runtime.contract import REMEDY
from tl_runtime.errors import ModelError

_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_LINE = re.compile(r"([0-9a-fA-F]{64})[ \t]+\*?(.+)")
# A hash file holds one line.
_MOST_BYTES = 4096


def hash_file_of(path: Path) -> Path:
    """Where the hash of a file lies: FILE.onnx.sha256 beside FILE.onnx."""
    return path.with_name(f"{path.name}.sha256")


def read_bytes(path: Path) -> bytes:
    """The content of an exported file.

    Raises:
        ModelError: It is missing or cannot be read.
    """
    require_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); expected an exported detector") from error


def require_file(path: Path) -> None:
    """Refuse what is no ordinary file; a pipe or device would be waited for, or read without end.

    Raises:
        ModelError: There is no file, or no way to it.
    """
    try:
        found = "" if path.is_file() else "no file" if path.exists() else "no such file"
    except OSError as error:
        found = f"cannot be read ({error.strerror})"
    if found:
        raise ModelError(f"{path}: {found}; expected an exported detector, {REMEDY}")


def sha256_of(data: bytes) -> str:
    """The SHA-256 of a content, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def hash_line(path: Path, digest: str) -> str:
    """The content of the hash file of a file; `sha256sum --check` reads it."""
    return f"{digest}  {path.name}\n"


def read_hash_file(path: Path) -> str:
    """The digest in the hash file of the file at `path`.

    Raises:
        ModelError: That file is missing, or has no hash file, or it does not hold one SHA-256 of that file's name.
    """
    require_file(path)
    beside = hash_file_of(path)
    try:
        with beside.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "replace").strip()
    except OSError as error:
        raise ModelError(
            f"{beside}: no hash file ({error.strerror}), so that nobody knows whether {path.name} is the proven file; "
            f"copy the one that tl export wrote, or give sha256="
        ) from error
    found = _LINE.fullmatch(text)
    if found is None or Path(found[2]).name != path.name:
        raise ModelError(f"{beside}: expected one line, 64 hex digits and the name {path.name}; copy it again")
    return found[1].lower()


def require_digest(path: Path, data: bytes, expected: str) -> None:
    """Refuse a content with another SHA-256.

    Args:
        path: Named in the message.
        data: The content of the file.
        expected: 64 hex digits.

    Raises:
        ModelError: The digest differs, or `expected` is none.
    """
    if _DIGEST.fullmatch(expected) is None:
        raise ModelError(f"{path}: sha256={expected[:80]!r}, expected 64 hex digits, as sha256sum prints them")
    digest = sha256_of(data)
    if not hmac.compare_digest(digest.encode(), expected.lower().encode()):
        raise ModelError(
            f"{path}: SHA-256 {digest[:16]}..., expected {expected[:16].lower()}...: it is not the proven file, or "
            "was changed or cut off; copy file and hash file again"
        )
