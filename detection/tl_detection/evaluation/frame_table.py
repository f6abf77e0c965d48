"""The frames that were scored, as a table from which a later evaluation tells what is new.

Of each frame its conditions, and of each of its objects and ignore areas two numbers: one of the box, one of the box
and what is said of it. The labels themselves stay in the catalog.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.catalog import CONDITIONS
from tl_detection.evaluation.ground_truth import GroundTruth

_FRAME_COLUMNS = ("frame_id", "source", "sequence", *CONDITIONS, "content_hash")
# A track's number and a source's own word may change while the label stays.
_LABEL_COLUMNS = (
    *("category", "state", "pictogram", "relevance", "facing", "orientation"),
    *("aspects", "occluded", "truncated", "reflection", "ignore"),
)
FRAME_TABLE_SCHEMA: dict[str, pl.DataType] = {
    **{name: pl.String() for name in _FRAME_COLUMNS},
    "boxes": pl.List(pl.UInt64()),
    "labels": pl.List(pl.UInt64()),
}


def frame_table(truth: GroundTruth) -> pl.DataFrame:
    """(F rows) columns of `FRAME_TABLE_SCHEMA`; the same labels give the same numbers anywhere."""
    # A millionth of a pixel: writing and reading another format moves a box by less.
    corners = np.round(truth.xyxy * 1e6).astype(np.int64).view(np.uint64)
    box = _mixed(list(corners.T), len(corners))
    label = _mixed([box, _label_numbers(truth.boxes)], len(box))
    objects = pl.DataFrame({"row": truth.frame_index, "boxes": box, "labels": label})
    lists = objects.group_by("row", maintain_order=True).agg("boxes", "labels")
    frames = truth.frames.select(_FRAME_COLUMNS).with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))
    joined = frames.join(lists, on="row", how="left", maintain_order="left")
    return joined.select(
        pl.col(name).fill_null([]).cast(kind) if isinstance(kind, pl.List) else pl.col(name).cast(kind)
        for name, kind in FRAME_TABLE_SCHEMA.items()
    )


def _label_numbers(boxes: pl.DataFrame) -> NDArray[np.uint64]:
    """(N,) a number of what is said of each box beside its place."""
    text = boxes.select(
        pl.concat_str(
            [pl.format("{}={}", pl.lit(name), pl.col(name).cast(pl.String).fill_null("")) for name in _LABEL_COLUMNS],
            separator="|",
        ).alias("text")
    )["text"]
    number = {
        word: int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little") for word in text.unique()
    }
    return np.array([number[word] for word in text], np.uint64)


def _mixed(columns: Sequence[NDArray[np.uint64]], n: int) -> NDArray[np.uint64]:
    """(n,) one number of several, by the last steps of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    mixed = np.zeros(n, np.uint64)
    for column in columns:
        mixed = (mixed ^ column) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed
