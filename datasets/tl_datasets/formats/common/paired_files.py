"""What formats with one label file beside each image have in common."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tl_datasets.errors import AnnotationError, UsageError


def named_folder(source: Path, folder: Path | str | None, option: str) -> Path:
    """The folder that an option names, in the source or as it stands; without the option the source.

    Raises:
        UsageError: There is no such folder.
    """
    if folder is None:
        return source
    try:
        for candidate in (source / folder, Path(folder)):
            if candidate.is_dir():
                return candidate
    except (OSError, ValueError):  # a text that cannot be a path
        pass
    raise UsageError(f"{option}: no folder '{str(folder)[:80]}' in {source} or in the working directory")


def check_stems(images: Iterable[Path]) -> None:
    """Refuse two images of one folder that differ in their suffix alone: one label file would be both's.

    Raises:
        AnnotationError: There are such images.
    """
    seen: dict[Path, Path] = {}
    for path in images:
        stem = path.with_suffix("")
        if stem in seen:
            raise AnnotationError(
                path, f"{seen[stem].name} in the same folder has the same label file; expected one image: rename one"
            )
        seen[stem] = path
