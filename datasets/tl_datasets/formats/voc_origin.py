"""Where the pixel coordinates of VOC files begin.

The standard counts from 1 and includes the last pixel: the pixel in the corner is (1, 1, 1, 1). Most tools write
0-based continuous coordinates into the same elements. No file says which, so it is decided once for a whole set, and
the decision is reported; our own files say it in the image attribute `box_origin`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from tl_datasets.errors import show
from tl_datasets.formats.voc_xml import VocFile

Origin = Literal["auto", "1", "0"]
ATTRIBUTE = "box_origin"


def declared_origin(file: VocFile) -> int | None:
    """What a file says of its own coordinates: 1, 0, or None.

    Raises:
        AnnotationError: The attribute is neither.
    """
    if ATTRIBUTE not in file.attributes:
        return None
    word = (file.attributes[ATTRIBUTE] or "").strip()
    if word not in {"0", "1"}:
        raise file.where.error(f"attribute {ATTRIBUTE} is {show(word)}, expected 0 or 1; or set origin=0 or origin=1")
    return int(word)


def decide_origin(files: Iterable[VocFile]) -> tuple[int, str]:
    """Tell from all boxes of a set where its coordinates begin.

    A coordinate below 1 does not exist in the standard. In a set of the standard boxes at the edges begin at exactly 1
    and end at exactly the width or height; in a 0-based one they begin at 0. Where no box touches an edge nothing can
    be told, and 0 is taken, as nearly all tools write.

    Args:
        files: Those that do not declare it; read no further than needed.

    Returns:
        1 or 0, and the reason in words; no words where there is no box.
    """
    lowest = float("inf")
    reaches_edge = False
    for file in files:
        width, height = file.declared
        for item in file.objects:
            x1, y1, x2, y2 = item.box
            lowest = min(lowest, x1, y1)
            if lowest < 1:
                return 0, "a coordinate is below 1"
            reaches_edge = reaches_edge or x2 == width or y2 == height
    if lowest == float("inf"):
        return 0, ""
    if lowest == 1 and reaches_edge:
        return 1, "the lowest coordinate is 1, the highest the image size"
    return 0, "assumed, for no box at the edges tells it; set origin=1 if they begin at 1"


def to_half_open(box: tuple[float, float, float, float], origin: int) -> tuple[float, float, float, float]:
    """0-based half-open coordinates of a box: from 1-based inclusive ones the far edge is the same number."""
    x1, y1, x2, y2 = box
    return x1 - origin, y1 - origin, x2, y2
