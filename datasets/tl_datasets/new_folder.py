"""A folder that appears whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tl_datasets.errors import DataError


def refuse_full(out: Path) -> None:
    """Before long work: what is there already is never replaced.

    Raises:
        DataError: There is something else than an empty folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists already and is not an empty folder; choose another --out or remove it")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a temporary folder to write into, which takes the place of `out` at the end; an error leaves nothing.

    Args:
        out: Folder to make. It may exist if it is empty, or be a link to such a folder.

    Raises:
        DataError: The folder holds something.
        OSError: The folder cannot be made.
    """
    refuse_full(out)
    target = out.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
