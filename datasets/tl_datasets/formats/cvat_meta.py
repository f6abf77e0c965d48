"""The `meta` block of a CVAT file: its tasks, and which frames and parts they are.

Its root is `task`, `job` or `project`, by what was exported; a project holds several tasks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import declared_side, read_whole

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
# Nine hours at 30 frames a second.
_MOST_FRAMES = 1_000_000
_STEP = re.compile(r"step\s*=\s*(\d{1,9})")


class Task(NamedTuple):
    """One task.

    Attributes:
        name: Empty where the file gives none, as for a job.
        is_video: Its images are the frames of one video.
        split: The part of a data set that it is, or None.
        frames: Numbers of its frames, or None where the file does not tell.
        size_px: Width and height of the video, where known.
    """

    name: str = ""
    is_video: bool = False
    split: str | None = None
    frames: range | None = None
    size_px: tuple[int | None, int | None] = (None, None)


def read_meta(meta: Element, where: Place) -> dict[str, Task]:
    """The tasks of a file by id.

    Raises:
        AnnotationError: A number is none.
    """
    project = meta.find("project")
    if project is not None:
        elements = project.findall("tasks/task")
    else:
        elements = [element for name in ("task", "job") if (element := meta.find(name)) is not None]
    return {element.findtext("id", ""): _task(element, meta, where) for element in elements}


def split_of(subset: str | None) -> str | None:
    """Our name of a subset; the word itself where we have none."""
    word = (subset or "").strip()
    return _SPLITS.get(word.lower(), word) if word.lower() not in {"", "default"} else None


def _task(element: Element, meta: Element, where: Place) -> Task:
    size = element.find("original_size")
    if size is None:
        size = meta.find("original_size")
    sides = [None if size is None else declared_side(size.findtext(name), name, where) for name in ("width", "height")]
    return Task(
        name=element.findtext("name", "").strip(),
        is_video=element.findtext("mode", "").strip() == "interpolation",
        split=split_of(element.findtext("subset")),
        frames=_frames(element, where),
        size_px=(sides[0], sides[1]),
    )


def _frames(element: Element, where: Place) -> range | None:
    size, start, stop = (
        read_whole(element.findtext(name) or None, name, where, 0, _MOST_FRAMES)
        for name in ("size", "start_frame", "stop_frame")
    )
    found = _STEP.search(element.findtext("frame_filter", ""))
    step = max(1, int(found[1])) if found else 1
    first = start or 0
    if stop is not None:
        return range(first, stop + 1, step)
    return None if size is None else range(first, first + size * step, step)
