"""Images of formats that speak of frames by number: which file is frame 17?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tl_datasets.errors import AnnotationError, UsageError
from tl_datasets.formats.common.image_files import ImageFiles, ImageIndex

_NUMBER = re.compile(r"%(0(\d))?d")
# What CVAT calls the frames of a video, by their number in the video.
_FRAME = re.compile(r"(?:.*/)?frame_(\d+)\.\w+")
_LONGEST_NUMBER = 18


def numbered_images(
    files: ImageFiles, pattern: str | None, numbers: Sequence[int] | None, where: Path
) -> dict[int, str]:
    """The images below a folder by frame number.

    Args:
        files: The folder, what happens to frames without an image, and the report that takes the count of links.
        pattern: How they are named, such as `frame_%06d` or `left/%d.png`; the suffix may be left out. None = by number
            if all are called `frame_<number>`, else the images sorted by path are the frames in order.
        numbers: The frames that the annotations speak of, in order; None = not known.
        where: Annotation file, for messages.

    Raises:
        AnnotationError: Two images have one number, or there are not as many images as frames and no name tells which
            is which.
        UsageError: The pattern has not exactly one number.
    """
    root = files.root
    paths = sorted(ImageIndex(root, files.report).paths)
    expression = _FRAME if pattern is None else expression_of(pattern)
    matches = [(path, match) for path in paths if (match := expression.fullmatch(path))]
    if pattern is None and len(matches) < len(paths):
        return _in_order(paths, numbers, files, where)
    result: dict[int, str] = {}
    for path, match in matches:
        if len(match[1]) > _LONGEST_NUMBER:
            continue
        number = int(match[1])
        if number in result:
            raise AnnotationError(
                where,
                f"images {result[number]} and {path} in {root} are both frame {number}; expected one; set images=DIR",
            )
        result[number] = path
    return result


def name_of_frame(pattern: str | None, number: int) -> str:
    """The name under which a frame is looked for; for frames whose image is missing."""
    name = (pattern or "frame_%06d") % number
    return name if _has_suffix(pattern or "") else f"{name}.png"


def _in_order(paths: list[str], numbers: Sequence[int] | None, files: ImageFiles, where: Path) -> dict[int, str]:
    if numbers is None:
        return dict(enumerate(paths))
    if len(numbers) == len(paths):
        return dict(zip(numbers, paths, strict=True))
    if not paths or files.missing == "keep":
        return {}
    raise AnnotationError(
        where,
        f"speaks of {len(numbers)} frames, but {files.root} has {len(paths)} images, so that their order does not tell "
        "which is which; set frame_names to how they are named, such as frame_names=frame_%06d, or images=DIR",
    )


def expression_of(pattern: str) -> re.Pattern[str]:
    """What matches the paths of a pattern; its group is the number.

    Raises:
        UsageError: The pattern has not exactly one number.
    """
    found = list(_NUMBER.finditer(pattern))
    if len(found) != 1 or "%" in _NUMBER.sub("", pattern):
        raise UsageError(f"frame_names={pattern}: expected one number, such as frame_%06d or left/%d.png")
    before, after = pattern[: found[0].start()], pattern[found[0].end() :]
    width = found[0][2]
    digits = r"(\d+)" if width is None else rf"(\d{{{width},}})"
    suffix = "" if _has_suffix(pattern) else r"\.\w+"
    return re.compile(re.escape(before) + digits + re.escape(after) + suffix)


def _has_suffix(pattern: str) -> bool:
    return "." in pattern.rpartition("%")[2]
