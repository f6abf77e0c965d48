"""The rows of one YOLO label file: `class cx cy w h` or `class x1 y1 x2 y2 x3 y3 ...`, all normalised."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from tl_datasets.errors import AnnotationError, show
from tl_datasets.parsing import read_text

# Annotation tools let boxes run a little over the edge; the ultralytics trainer allows the same share.
_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row.

    Attributes:
        line: 1-based line in the file.
        position: 0-based number among the rows, by which side files refer to it.
        class_id: As written.
        xyxy: Normalised corners, possibly a little outside [0, 1].
        is_polygon: The row was a polygon; `xyxy` is its bounding box.
    """

    line: int
    position: int
    class_id: int
    xyxy: tuple[float, float, float, float]
    is_polygon: bool


def read_rows(path: Path) -> tuple[list[Row], list[Row]]:
    """Read a label file.

    Returns:
        The rows, and those left out because they repeat an earlier row exactly.

    Raises:
        AnnotationError: A row does not follow the format; carries its line.
    """
    rows: list[Row] = []
    repeated: list[Row] = []
    seen: set[tuple[float, ...]] = set()
    position = 0
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        words = text.split()
        if not words:
            continue
        numbers = _numbers(words, path, line)
        row = _row(numbers, position, path, line)
        position += 1
        (repeated if numbers in seen else rows).append(row)
        seen.add(numbers)
    return rows, repeated


def _numbers(words: list[str], path: Path, line: int) -> tuple[float, ...]:
    try:
        numbers = tuple(map(float, words))
    except ValueError as error:
        reason = str(error)  # quotes the word, which may be long
        reason = reason if len(reason) < 100 else f"{reason[:97]}..."
        raise AnnotationError(path, f"{reason}; expected numbers: class cx cy w h", line=line) from error
    if not all(math.isfinite(number) for number in numbers):
        raise AnnotationError(path, "a number is NaN or infinite; expected finite numbers: class cx cy w h", line=line)
    if numbers[0] < 0 or numbers[0] != int(numbers[0]):
        raise AnnotationError(path, f"class {show(words[0])}, expected a whole number from 0", line=line)
    return numbers


def _row(numbers: tuple[float, ...], position: int, path: Path, line: int) -> Row:
    class_id, values = int(numbers[0]), numbers[1:]
    n = len(numbers)
    if n != 5 and (n < 7 or n % 2 == 0):
        hint = "; is the last one a confidence? remove it" if n == 6 else ""
        raise AnnotationError(
            path,
            f"{n} numbers, expected 5 (class cx cy w h) or a polygon (class x1 y1 x2 y2 x3 y3 ...){hint}",
            line=line,
        )
    wrong = [value for value in values if not -_TOLERANCE <= value <= 1 + _TOLERANCE]
    if wrong:
        hint = "; pixels must be divided by the image size" if max(values) > 2 else ""
        raise AnnotationError(path, f"coordinate {wrong[0]:g}, expected values in [0, 1]{hint}", line=line)
    if n == 5:
        cx, cy, w, h = values
        xyxy = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
    else:
        xs, ys = values[0::2], values[1::2]
        xyxy = (min(xs), min(ys), max(xs), max(ys))
    return Row(line=line, position=position, class_id=class_id, xyxy=xyxy, is_polygon=n > 5)
