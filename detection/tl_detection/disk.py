"""Files of a run on disks that fill up, and on machines that are switched off.

What a write needs and what is free is said in one line, with what is still usable and how to go on.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tl_datasets.errors import TrainingError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def explained(path: Path, remedy: str, needed_bytes: int | None = None) -> Iterator[None]:
    """Turn a failed write within the block into one line.

    Args:
        path: What is written.
        remedy: What is still usable, and what to do; ends the line.
        needed_bytes: Size of what is written, where it is known.

    Raises:
        TrainingError: The disk or the quota is full, or the file cannot be written for another reason.
    """
    try:
        yield
    except OSError as error:
        place = f"{path}: cannot be written ({error.strerror or error})"
        if error.errno in _FULL:
            free = f"{_size(shutil.disk_usage(path.parent).free)} are free"
            place += f": {free}" if needed_bytes is None else f": it needs {_size(needed_bytes)}, {free}"
        raise TrainingError(f"{place}; {remedy}") from error


def add_name(path: Path, name: Path) -> None:
    """Let a file be found under another name as well, in the place of what had that name."""
    spare = name.with_name(f".{name.name}.part")
    spare.unlink(missing_ok=True)
    try:
        spare.hardlink_to(path)
    except OSError:
        # A file system without links: for a moment only the other name is there.
        path.replace(name)
    else:
        spare.replace(name)


def sync_folder(folder: Path) -> None:
    """Make the names of a folder's files outlast a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems know no such thing for a folder.
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB"
