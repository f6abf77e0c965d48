"""Which frames calibrate: few, from every condition and with every state, the same ones every time.

A condition that is missing here is one whose numbers the calibration has not seen: a lit lamp at night is brighter
than anything in daylight. Frames are taken one by one, each time the one with most of what was seen least so far, so
that the first frames of a choice are balanced, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError

_CONDITIONS = ("weather", "time_of_day", "scene")
# More are drawn from at random: the choice looks at all of them for every frame that it takes.
_MOST_LOOKED_AT = 20_000


def choose_balanced(
    catalog: Catalog, n_frames: int, *, seed: int, conditions: Sequence[str] = _CONDITIONS
) -> list[int]:
    """Choose frames in which every condition and every state by time of day comes up as evenly as it can.

    Args:
        catalog: To choose from.
        n_frames: How many at most.
        seed: Decides between equals.
        conditions: Columns of frames whose products are to be balanced.

    Returns:
        Rows of the catalog, the most varied first.
    """
    order = np.random.default_rng(seed).permutation(len(catalog))[:_MOST_LOOKED_AT]
    frames = catalog.frames.with_row_index("row").select("row", "frame_id", "sequence", *conditions)
    frames = frames.with_columns(pl.col(*conditions).fill_null("not annotated"))
    cells = frames.select(pl.concat_str([*conditions], separator="*")).to_series().to_list()
    tags: dict[int, set[str]] = {row: {cell} for row, cell in enumerate(cells)}
    states = (
        catalog.annotations.filter(pl.col("state").is_not_null() & ~pl.col("ignore").fill_null(False))
        .join(frames.select("row", "frame_id", "time_of_day"), on="frame_id")
        .select("row", pl.concat_str("state", "time_of_day", separator=" at "))
        .unique()
    )
    for row, word in states.iter_rows():
        tags[row].add(word)
    words = sorted({word for row in order for word in tags[row]})
    number = {word: column for column, word in enumerate(words)}
    has = np.zeros((len(order), len(words)), np.float64)
    for position, row in enumerate(order):
        has[position, [number[word] for word in tags[row]]] = 1
    sequences = frames["sequence"].fill_null(frames["frame_id"]).rank("dense").to_numpy()[order].astype(np.int64)
    return [int(order[position]) for position in _take(has, sequences, min(n_frames, len(order)))]


def _take(has: NDArray[np.float64], sequences: NDArray[np.int64], n_frames: int) -> list[int]:
    """Positions of frames; each is worth what its words are worth that were taken least, and a drive not yet seen."""
    taken_words = np.zeros(has.shape[1])
    taken_sequences = np.zeros(sequences.max(initial=0) + 1)
    is_free, taken = np.ones(len(has), np.bool_), []
    for _ in range(n_frames):
        worth = has @ (1 / (1 + taken_words)) + 1 / (1 + taken_sequences[sequences])
        position = int(np.argmax(np.where(is_free, worth, -1)))
        is_free[position] = False
        taken_words += has[position]
        taken_sequences[sequences[position]] += 1
        taken.append(position)
    return taken


def part_of(catalog: Catalog, split: str, name: object, option: str) -> Catalog:
    """The frames of a split.

    Raises:
        DataError: There is none.
    """
    parts = sorted(part for part in catalog.frames["split"].unique() if part is not None)
    if split not in parts:
        raise DataError(
            f"{name}: no frame of split '{split}'; it has {', '.join(parts) or 'none'}: choose one with {option}, "
            "or make some with: tl split"
        )
    return catalog.filter(pl.col("split") == split)


def without_copies(catalog: Catalog, judged: Catalog) -> Catalog:
    """Leave out the frames whose image is, byte by byte, one of those that are judged."""
    hashes = judged.frames["content_hash"].drop_nulls().unique()
    is_copy = pl.col("content_hash").is_in(hashes.to_list()) & pl.col("content_hash").is_not_null()
    return catalog.filter(~is_copy)
