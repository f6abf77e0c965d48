"""The folder that the image names of an annotation file are relative to, found by looking for some of the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tl_datasets.errors import AnnotationError, ImageError, UsageError, show
from tl_datasets.images import resolve_inside

# So many names are looked for until one image tells where all lie.
NAMES_TRIED = 300


def root_of_names(names: Sequence[str], images: Path | str | None, file: Path, *, required: bool) -> Path:
    """The image folder: as the caller gives it, else the first beside or above the file that has one of the images.

    Args:
        names: Of some images, as the file has them.
        images: The caller's.
        file: The annotation file.
        required: Whether it is an error that no image is found.

    Raises:
        UsageError: The caller's is no folder.
        AnnotationError: No folder has one of the images, and it is required.
    """
    if images is not None:
        if not Path(images).is_dir():
            raise UsageError(f"images: no folder '{images}'")
        return Path(images)
    folder = file.resolve().parent
    candidates = (folder / "images", folder, folder.parent / "images", folder.parent)
    for name in names[:NAMES_TRIED]:
        for candidate in candidates:
            if _has_image(candidate, name):
                return candidate
    if required and names:
        raise AnnotationError(file, f"no image {show(names[0])} beside or above the file; set images=DIR")
    return candidates[0] if candidates[0].is_dir() else folder


def _has_image(folder: Path, name: str) -> bool:
    try:
        return resolve_inside(folder, name).is_file()
    except ImageError:
        return False
