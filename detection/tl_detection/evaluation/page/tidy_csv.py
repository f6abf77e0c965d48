"""All numbers as one tidy table: a row per slice, class and measure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from tl_detection.evaluation.page.data import SliceRow, Value
from tl_detection.evaluation.page.rows import counted_by

HEADER = ("slice", "class", "measure", "value", "low", "high", "frames", "objects", "sequences", "counted", "is_small")


def format_csv(rows: Iterable[SliceRow]) -> str:
    """The table; an empty cell where there is no value, or where a row is of all classes.

    Columns: `low` and `high` bound the 95 % interval over sequences. `objects` is what the value is measured on, of
    the kind that `counted` names (objects, frames or detections), `sequences` those that hold any of it, `frames` the
    frames of the slice. `is_small`: the slice is too small to conclude from.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:
        writer.writerows(_lines(row, "", row.values.items()))
        for class_name, values in row.classes.items():
            writer.writerows(_lines(row, class_name, values.items()))
    return text.getvalue()


def _lines(row: SliceRow, class_name: str, values: Iterable[tuple[str, Value]]) -> Iterator[tuple[object, ...]]:
    for key, item in values:
        numbers = tuple("" if number is None else repr(number) for number in (item.value, item.low, item.high))
        counts = (row.frames, item.objects, item.sequences, counted_by(key), str(row.is_small).lower())
        yield (row.name, class_name, key, *numbers, *counts)
