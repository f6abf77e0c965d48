"""The rows of one KITTI object file, `type truncated occluded alpha left top right bottom` and 7 numbers of the 3D box.

Boxes are 0-based pixels. Detections have the same rows with a score behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from tl_datasets.errors import show
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import read_number, read_whole
from tl_datasets.parsing import read_text

DONT_CARE = "DontCare"
_FIELDS = 15
_NAMES = (
    *("truncated", "occluded", "alpha", "left", "top", "right", "bottom", "height", "width", "length"),
    *("x", "y", "z", "rotation_y", "score"),
)
# 0 visible, 1 partly, 2 largely occluded, 3 unknown; -1 in the rows of areas.
_OCCLUDED = {-1: None, 0: False, 1: True, 2: True, 3: None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One object.

    Attributes:
        kind: The word of its class.
        xyxy: As written.
        truncated: Whether a share of it is outside the image; None = the row does not say.
        occluded: Whether it is partly or largely hidden; None = unknown, or the row does not say.
        has_score: The row is a detection.
        where: For messages.
    """

    kind: str
    xyxy: tuple[float, float, float, float]
    truncated: bool | None
    occluded: bool | None
    has_score: bool
    where: Place


def read_rows(path: Path) -> list[Row]:
    """Read a label file.

    Raises:
        AnnotationError: A row does not follow the format; carries its line.
    """
    lines = enumerate(read_text(path).splitlines(), start=1)
    return [_row(words, Place(path, line=line)) for line, text in lines if (words := text.split())]


def _row(words: list[str], where: Place) -> Row:
    kind = " ".join(takewhile(lambda word: not _is_number(word), words))
    if " " in kind and len(words) > _FIELDS:
        raise where.error(f"the type {show(kind)} has a space; write it with _, so that columns can be told apart")
    if len(words) not in {_FIELDS, _FIELDS + 1}:
        raise where.error(
            f"{len(words)} fields, expected {_FIELDS} (type truncated occluded alpha left top right bottom and 7 of "
            f"the 3D box) or {_FIELDS + 1} with a score"
        )
    numbers = dict(zip(_NAMES, words[1:], strict=False))
    values = {name: read_number(word, name, where) for name, word in numbers.items()}
    truncated = values["truncated"]
    if not (0 <= truncated <= 1 or truncated == -1):
        raise where.error(f"truncated is {truncated:g}, expected a share from 0 to 1, or -1")
    occluded = read_whole(numbers["occluded"], "occluded", where, -1, 3)
    return Row(
        kind=words[0],
        xyxy=(values["left"], values["top"], values["right"], values["bottom"]),
        truncated=None if truncated == -1 else truncated > 0,
        occluded=None if occluded is None else _OCCLUDED[occluded],
        has_score=len(words) > _FIELDS,
        where=where,
    )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
