"""Where the images of a catalog go when it is written in another format."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from tl_datasets.catalog import Catalog
from tl_datasets.formats.common.write_report import WriteReport

# Bytes of a file name without its suffix; file systems end at 255.
_LONGEST_NAME = 200
# What some file system or format cannot have in a name.
_UNSAFE = re.compile(r'[\x00-\x1f<>:"|?*\\]')


def image_names(catalog: Catalog, report: WriteReport, folder: str = "", *, flat: bool = False) -> list[str]:
    """A file name for the image of each frame: its frame id with the suffix of its file.

    Readers make the frame id from the path below the image folder, so that it comes back; an id that cannot be a file
    name is changed and counted as lost.

    Args:
        catalog: What is written.
        report: Takes the number of changed ids.
        folder: Put before each name; "" = none.
        flat: Write sub-folders of the id as `__`, for formats that have one folder.

    Returns:
        One path per frame with forward slashes, no two the same, not even when the suffixes are taken off.
    """
    taken: set[str] = set()
    names = []
    for frame_id, path in zip(catalog.frames["frame_id"], catalog.frames["path"], strict=True):
        stem = base = safe_name(frame_id, flat=flat)
        number = 1
        while stem.lower() in taken:  # some file systems do not tell case apart
            number += 1
            stem = f"{base}_{number}"
        taken.add(stem.lower())
        report.lose("frame.frame_id", stem != frame_id)
        name = stem + PurePosixPath(path).suffix
        names.append(f"{folder}/{name}" if folder else name)
    return names


def safe_name(frame_id: str, *, flat: bool = False) -> str:
    """A text as a relative path that any file system takes; `flat` writes its folders as `__`."""
    parts = [_UNSAFE.sub("_", part).strip(" ") for part in frame_id.split("/")]
    parts = [_cut(part) for part in parts if part not in {"", ".", ".."}] or ["frame"]
    return "__".join(parts) if flat else "/".join(parts)


def _cut(part: str) -> str:
    """A name of at most `_LONGEST_NAME` bytes, without half a character at its end."""
    return part.encode()[:_LONGEST_NAME].decode(errors="ignore")
