"""Slices by column: one per value of a driving condition, of any other column of the catalog, or of products.

Widths, heights and areas are cut into ranges. `slices` holds what a slice is, and slices by expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from tl_datasets.errors import UsageError
from tl_datasets.expression_reader import near_word
from tl_datasets.expressions import parse_filter
from tl_datasets.network_size import InputSize
from tl_detection.evaluation.ground_truth import SLICE_COLUMNS, GroundTruth
from tl_detection.evaluation.pairs import BoolArray
from tl_detection.evaluation.size_bins import SizeBins, bins_of
from tl_detection.evaluation.slice_columns import (
    COLUMN_TYPES,
    FRAME_TYPES,
    SIZE_COLUMNS,
    VOCABULARIES,
    columns_of_frames,
    columns_of_objects,
    is_of_frames,
    require_input_size,
)
from tl_detection.evaluation.slices import Slice

__all__ = ["NOT_ANNOTATED", "Slice", "check_columns", "slices_by"]

# How a frame or object is named whose source says nothing about the condition.
NOT_ANNOTATED = "not annotated"
# Every frame or box has its own value of these, so an expression is the way to choose by them.
_OWN_VALUES = frozenset({"frame_id", "path", "content_hash", "timestamp_ns", "x1", "y1", "x2", "y2"})
# What drives are usually told apart by comes first in messages.
BY_COLUMNS = (*SLICE_COLUMNS, *(name for name in COLUMN_TYPES if name not in {*SLICE_COLUMNS, *_OWN_VALUES}))


def slices_by(ground_truth: GroundTruth, by: Sequence[str], *, input_size: InputSize | None = None) -> list[Slice]:
    """One slice per value that occurs, in the order of the vocabulary, "not annotated" last.

    Args:
        ground_truth: F frames.
        by: Columns of `BY_COLUMNS`, or crosses of them such as "weather*time_of_day" or "time_of_day*height_px".
            A column of objects gives a slice per value that an object has.
        input_size: Of the network, for `network_width_px` and `network_height_px`.

    Raises:
        UsageError: A column is unknown or named twice, or needs the input size.
    """
    check_columns(by)
    return [item for column in by for item in _slices_of(ground_truth, _parts(column), input_size)]


def check_columns(by: Sequence[str], *, of_frames: bool = False) -> None:
    """Refuse columns that `slices_by` does not know, before anything is detected.

    Args:
        by: Columns or crosses.
        of_frames: Refuse columns of objects, too, where only whole frames can be chosen.

    Raises:
        UsageError: A column is unknown, named twice, or of objects where that is not wanted.
    """
    where = f"--by {','.join(by)}"
    repeated = [column for index, column in enumerate(by) if column in by[:index]]
    repeated += [part for column in by for part in _parts(column) if _parts(column).count(part) > 1]
    if repeated:
        raise UsageError(f"{where}: '{repeated[0]}' is named twice; name each column once")
    known = [name for name in BY_COLUMNS if name in FRAME_TYPES or not of_frames]
    unknown = [part for column in by for part in _parts(column) if part not in known]
    if not unknown:
        return
    if unknown[0] in BY_COLUMNS:
        raise UsageError(f"{where}: '{unknown[0]}' is of objects, and here whole frames are told apart; leave it out")
    if unknown[0] in _OWN_VALUES:
        raise UsageError(
            f"{where}: '{unknown[0]}' differs nearly everywhere; choose by it with --slice, e.g. '{unknown[0]} == ...'"
        )
    raise UsageError(
        f"{where}: no column '{unknown[0]}'; expected {', '.join(known)}, or a cross such as weather*time_of_day"
        f"{near_word(unknown[0], known)}"
    )


def _parts(column: str) -> list[str]:
    return [part.strip() for part in column.split("*")]


def _slices_of(truth: GroundTruth, parts: list[str], input_size: InputSize | None) -> list[Slice]:
    require_input_size(parts, input_size, f"--by {'*'.join(parts)}")
    if is_of_frames(parts):
        table = columns_of_frames(truth, parts)
    else:
        table = columns_of_objects(truth, parts, input_size).filter(pl.Series(~truth.is_ignored, dtype=pl.Boolean))
    bins = {part: bins_of(part) for part in parts if part in SIZE_COLUMNS}
    numbered = [item.number(part).alias(part) for part, item in bins.items()]
    keys = table.with_columns(numbered).select(parts).unique().rows()
    of_frames = [part for part in parts if part in FRAME_TYPES]
    masks = _frame_masks(truth, of_frames)
    slices = []
    for key in sorted(keys, key=lambda key: [_rank(part, value) for part, value in zip(parts, key, strict=True)]):
        values = dict(zip(parts, key, strict=True))
        words = {part: bins[part].name(value) if part in bins else _word(value) for part, value in values.items()}
        asked = [_text(part, value, bins) for part, value in values.items() if part not in FRAME_TYPES]
        slices.append(
            Slice(
                name=", ".join(f"{part}={word}" for part, word in words.items()),
                column="*".join(parts),
                value="*".join(words.values()),
                frame_mask=masks[tuple(values[part] for part in of_frames)],
                of_objects=parse_filter(" and ".join(asked), COLUMN_TYPES) if asked else None,
                input_size=input_size,
            )
        )
    return slices


def _frame_masks(truth: GroundTruth, parts: list[str]) -> dict[tuple[Any, ...], BoolArray]:
    """Of each combination of values that a frame has, (F,) true for its frames."""
    if not parts:
        return {(): np.ones(len(truth), np.bool_)}
    table = columns_of_frames(truth, parts).select(parts)
    keys = table.unique(maintain_order=True).with_row_index("key")
    which = table.join(keys, on=parts, how="left", nulls_equal=True, maintain_order="left")["key"].to_numpy()
    return {row[1:]: which == row[0] for row in keys.rows()}


def _text(part: str, value: Any, bins: dict[str, SizeBins]) -> str:
    return bins[part].text(value) if part in bins else f"{part} == {value!r}"


def _word(value: Any) -> str:
    if value is None:
        return NOT_ANNOTATED
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rank(part: str, value: Any) -> tuple[int, Any]:
    known = VOCABULARIES.get(part, ())
    if value is None:
        return len(known) + 1, ""
    return (known.index(value), value) if value in known else (len(known), value)
