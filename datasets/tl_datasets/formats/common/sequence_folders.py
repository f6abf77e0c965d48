"""Writing formats in which the folder of an image is its sequence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from tl_datasets.catalog import Catalog
from tl_datasets.formats.common.image_names import safe_name
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.frame import Frame
from tl_datasets.taxonomy import TRAFFIC_LIGHT


def labels_lights(frame: Frame) -> bool:
    """Whether the absence of a light in a frame means something; a format of lights alone has no place for others."""
    if frame.annotations is None:
        return False
    return not frame.labelled_categories or TRAFFIC_LIGHT in frame.labelled_categories


def sequence_places(
    catalog: Catalog, report: WriteReport, is_written: Sequence[bool], *, n_folders: int | None = None
) -> list[str]:
    """A path for the image of each frame, in a folder with the name of its sequence.

    The frame id is kept as the path where its own folder has that name already; else it becomes the name of the file.

    Args:
        catalog: What is written.
        report: Takes the number of frame ids that change.
        is_written: Whether the frame gets a record; a frame without one loses nothing more.
        n_folders: Number of folders above each image, where the format fixes it: source, split, ... sequence; then a
            frame without a sequence gets a folder of its own. None = only the sequence, and no folder without one.

    Returns:
        One path per frame with forward slashes, no two the same, not even when the suffixes are taken off.
    """
    table = catalog.frames
    taken: set[str] = set()
    places = []
    for frame_id, path, sequence, split, source, written in zip(
        table["frame_id"], table["path"], table["sequence"], table["split"], table["source"], is_written, strict=True
    ):
        stem = _own_folder(frame_id, sequence, n_folders)
        if stem is None or stem.lower() in taken:
            name = safe_name(frame_id, flat=True)
            folder = name if sequence is None and n_folders is not None else sequence
            above = [] if n_folders is None else [source, split or "all", *["frames"] * (n_folders - 3)]
            base = "/".join(
                safe_name(part, flat=True) for part in [*above, *([] if folder is None else [folder]), name]
            )
            stem, number = base, 1
            while stem.lower() in taken:  # some file systems do not tell case apart
                number += 1
                stem = f"{base}_{number}"
        taken.add(stem.lower())
        report.lose("frame.frame_id", written and stem != frame_id)
        places.append(stem + PurePosixPath(path).suffix)
    return places


def _own_folder(frame_id: str, sequence: str | None, n_folders: int | None) -> str | None:
    """The frame id itself, if it can be the path; else None."""
    parts = frame_id.split("/")
    folder = parts[-2] if len(parts) > 1 else None
    fits = folder == sequence and safe_name(frame_id) == frame_id
    return frame_id if fits and n_folders in (None, len(parts) - 1) else None
