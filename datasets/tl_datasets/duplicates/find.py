"""Frames that show the same picture or the same moment.

Three kinds, told apart because they call for different remedies:

    identical       the same bytes: one of them is superfluous
    near_identical  the same picture, encoded, resized or cropped differently: likewise
    time_neighbour  the same street at another moment: close in time (see `time_neighbours`) and alike, or so alike that
                    no name or clock is needed; both are useful, but only in one part

A pair whose frames sit in two parts is a leak, whatever its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.catalog import Catalog
from tl_datasets.duplicates.image_hash import HASH_WORDS, count_different_bits, grey_square, hash_image
from tl_datasets.duplicates.near_pairs import NearPairs, find_near_pairs
from tl_datasets.duplicates.same_picture import COPY_DIFFERENCE, SIDE_PX, picture_difference
from tl_datasets.duplicates.time_neighbours import find_time_neighbours
from tl_datasets.errors import ImageError

# Bits, from the table in `image_hash`. Encoding again and resizing change at most 10 of 256.
_COPY_BITS = 12
# Frames from different places differ by at least 74: a neighbour must be more alike than any two of these.
_NEIGHBOUR_BITS = 72
# Without a name or clock that makes them neighbours. Different places: 125 in the mean, deviation 9.6.
_SAME_STREET_BITS = 40
# Worth laying over each other: 99 % of 3 % crops, 90 % of 5 % crops; and 2 of 169,186 pairs of different places.
_CANDIDATE_HEAD_BITS = 11
_CANDIDATE_BITS = 90

_WORKERS = 4
_BLOCK = 512

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]


class PairKind(StrEnum):
    """What two frames have in common."""

    IDENTICAL = "identical"
    NEAR_IDENTICAL = "near_identical"
    TIME_NEIGHBOUR = "time_neighbour"


PAIR_SCHEMA: dict[str, pl.DataType] = {
    "frame_a": pl.String(),
    "frame_b": pl.String(),
    "kind": pl.String(),
    "distance": pl.Int32(),
    "split_a": pl.String(),
    "split_b": pl.String(),
    "is_leak": pl.Boolean(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """What was found among the frames of a catalog.

    Attributes:
        pairs: Columns of `PAIR_SCHEMA`, sorted by kind, distance and frames. `distance` counts differing bits of 256.
            Of frames with the same bytes or hash, each is paired with the first of them, and the first alone with
            others: whoever follows the pairs reaches all.
        unreadable: One message for each image that could not be read.
        blank: Frames that show nothing (black, overexposed): only compared by their bytes.
        frames: Number of frames that were looked at.
    """

    pairs: pl.DataFrame
    unreadable: tuple[str, ...]
    blank: tuple[str, ...]
    frames: int


def find_twins(catalog: Catalog) -> list[tuple[str, ...]]:
    """Groups of frames whose image files have the same bytes.

    Returns:
        The frame ids of each group of two or more, sorted; frames without a content hash are in none.
    """
    groups = (
        catalog.frames.filter(pl.col("content_hash").is_not_null())
        .group_by("content_hash")
        .agg(pl.col("frame_id").sort())
        .filter(pl.col("frame_id").list.len() > 1)
    )
    return sorted(tuple(group) for group in groups["frame_id"].to_list())


def find_duplicates(
    catalog: Catalog, *, seconds: float = 1.0, frames: int = 5, progress: Progress | None = None
) -> Duplicates:
    """Read every image once and find the pairs of the three kinds; the few that are alike are read again.

    Args:
        catalog: Its splits may be missing; then there are pairs, but no leaks.
        seconds: Time neighbours are at most this far apart, where frames have timestamps.
        frames: Time neighbours are at most so many numbers apart, where names have numbers.
        progress: Called with the number of images read and their total.

    Raises:
        UsageError: A window is negative.
        DataError: There are too many pairs to be listed.
    """
    close = find_time_neighbours(catalog, seconds, frames)
    twin_of = _first_with_same_bytes(catalog)
    reading = _read_hashes(catalog, np.flatnonzero(twin_of == np.arange(len(catalog))), progress)
    rows = reading.rows
    near = find_near_pairs(reading.hashes, _CANDIDATE_HEAD_BITS, _CANDIDATE_BITS)

    # From here on pairs are of positions in `rows`: frames that have a hash and are the first with their bytes.
    position = np.full(len(catalog), -1)
    position[rows] = np.arange(len(rows))
    close[:, :2] = position[twin_of[close[:, :2]]]
    close = close[(close[:, :2] >= 0).all(axis=1) & (close[:, 0] != close[:, 1])]
    close[:, :2].sort(axis=1)
    bits = count_different_bits(reading.hashes[close[:, 0]], reading.hashes[close[:, 1]])
    is_later: dict[tuple[int, int], bool] = {}
    for one, other, later in close[bits <= max(_NEIGHBOUR_BITS, _CANDIDATE_BITS)].tolist():
        is_later[one, other] = bool(later) and is_later.get((one, other), True)

    equal = np.flatnonzero(near.original != np.arange(len(rows)))
    alike = {tuple(pair) for pair in np.stack([near.original[equal], equal], axis=1).tolist()}
    alike |= {tuple(pair) for pair in near.pairs.tolist()}
    kinds = _kinds(catalog, reading, sorted(alike | set(is_later)), is_later)
    # Equal hashes, and yet another moment: such a frame has to be compared with what is near by itself.
    apart = [
        int(row)
        for row in equal
        if (int(near.original[row]), int(row)) not in kinds
        or kinds[int(near.original[row]), int(row)][0] is not PairKind.NEAR_IDENTICAL
    ]
    more = _pairs_of(apart, near) - alike - set(is_later)
    kinds |= _kinds(catalog, reading, sorted(more), is_later)
    found = [(int(rows[one]), int(rows[other]), kind, distance) for (one, other), (kind, distance) in kinds.items()]
    copies = np.flatnonzero(twin_of != np.arange(len(catalog)))
    found += [(int(twin_of[row]), int(row), PairKind.IDENTICAL, 0) for row in copies]
    return Duplicates(
        pairs=_table(catalog, found), unreadable=reading.unreadable, blank=reading.blank, frames=len(catalog)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    rows: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    unreadable: tuple[str, ...]
    blank: tuple[str, ...]


def _pairs_of(apart: Sequence[int], near: NearPairs) -> set[tuple[int, int]]:
    """Pairs of rows with what is near the first of their equals, and with the next of these rows that equal it."""
    partners: dict[int, list[int]] = {int(near.original[row]): [] for row in apart}
    for one, other in near.pairs.tolist():
        for end, opposite in ((one, other), (other, one)):
            if end in partners:
                partners[end].append(opposite)
    latest: dict[int, int] = {}
    result = set()
    for row in apart:
        original = int(near.original[row])
        former = [latest[original]] if original in latest else []
        result |= {(min(row, other), max(row, other)) for other in (*partners[original], *former)}
        latest[original] = row
    return result


def _first_with_same_bytes(catalog: Catalog) -> NDArray[np.int64]:
    """(frames,) the first row with the same bytes; frames of unknown bytes are their own."""
    first: dict[str, int] = {}
    hashes = catalog.frames["content_hash"]
    return np.array(
        [row if key is None else first.setdefault(key, row) for row, key in enumerate(hashes)], dtype=np.int64
    )


def _read_hashes(catalog: Catalog, rows: NDArray[np.int64], progress: Progress | None) -> _Reading:
    def read(row: int) -> NDArray[np.uint64] | ImageError | None:
        try:
            return hash_image(catalog.read_rgb(row))
        except ImageError as error:
            return error

    ids = catalog.frames["frame_id"]
    kept, hashes, unreadable, blank = [], [], [], []
    for done, (row, result) in enumerate(_in_threads(read, rows.tolist()), start=1):
        if isinstance(result, ImageError):
            unreadable.append(str(result))
        elif result is None:
            blank.append(ids[row])
        else:
            kept.append(row)
            hashes.append(result)
        if progress is not None:
            progress(done, len(rows))
    return _Reading(
        rows=np.array(kept, dtype=np.int64),
        hashes=np.array(hashes, dtype=np.uint64).reshape(-1, HASH_WORDS),
        unreadable=tuple(unreadable),
        blank=tuple(blank),
    )


def _kinds(
    catalog: Catalog,
    reading: _Reading,
    pairs: Sequence[tuple[int, int]],
    is_later: dict[tuple[int, int], bool],
) -> dict[tuple[int, int], tuple[PairKind, int]]:
    """The kind and distance of each pair that is of a kind; whatever may be a copy is laid over its original."""
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    distances = count_different_bits(reading.hashes[ends[:, 0]], reading.hashes[ends[:, 1]]).tolist()
    # A frame that comes a little later is not looked at as a possible crop: most frames of a drive would have to be.
    doubtful = [
        pair
        for pair, bits in zip(pairs, distances, strict=True)
        if bits <= (_COPY_BITS if is_later.get(pair, False) else _CANDIDATE_BITS)
    ]
    differences = _differences(catalog, reading.rows, doubtful)
    result = {}
    for pair, bits in zip(pairs, distances, strict=True):
        if differences.get(pair, float("inf")) <= COPY_DIFFERENCE:
            result[pair] = PairKind.NEAR_IDENTICAL, bits
        elif bits <= (_NEIGHBOUR_BITS if pair in is_later else _SAME_STREET_BITS):
            result[pair] = PairKind.TIME_NEIGHBOUR, bits
    return result


def _differences(
    catalog: Catalog, rows: NDArray[np.int64], pairs: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], float]:
    """`picture_difference` of each pair; infinite where an image has become unreadable since it was hashed."""
    result: dict[tuple[int, int], float] = {}
    pictures: dict[int, NDArray[np.uint8] | None] = {}

    def read(position: int) -> NDArray[np.uint8] | None:
        try:
            return grey_square(catalog.read_rgb(int(rows[position])), SIDE_PX)
        except ImageError:
            return None

    def compare(pair: tuple[int, int]) -> float:
        first, second = pictures[pair[0]], pictures[pair[1]]
        return float("inf") if first is None or second is None else picture_difference(first, second)

    for start in range(0, len(pairs), _BLOCK):
        block = pairs[start : start + _BLOCK]
        needed = {position for pair in block for position in pair}
        # Pairs are sorted, so the next block needs many of the same pictures, and later ones hardly any.
        pictures = {position: picture for position, picture in pictures.items() if position in needed}
        pictures.update(_in_threads(read, sorted(needed - pictures.keys())))
        result.update(_in_threads(compare, block))
    return result


def _in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
    """Each item with its result, in order; blocks keep the queue short."""
    source = iter(items)
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="pictures") as pool:
        while block := list(islice(source, _BLOCK)):
            yield from zip(block, pool.map(work, block), strict=True)


def _table(catalog: Catalog, found: list[tuple[int, int, PairKind, int]]) -> pl.DataFrame:
    ids, splits = catalog.frames["frame_id"], catalog.frames["split"]
    rows = []
    for one, other, kind, distance in found:
        (id_a, row_a), (id_b, row_b) = sorted([(ids[one], one), (ids[other], other)])
        split_a, split_b = splits[row_a], splits[row_b]
        is_leak = split_a is not None and split_b is not None and split_a != split_b
        rows.append((id_a, id_b, kind.value, distance, split_a, split_b, is_leak))
    table = pl.DataFrame(rows, schema=PAIR_SCHEMA, orient="row")
    return table.sort("kind", "distance", "frame_a", "frame_b")
