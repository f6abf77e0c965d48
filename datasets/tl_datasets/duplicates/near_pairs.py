"""Near pairs among many hashes: exact, without comparing each with each.

The head of 64 bits is cut into four quarters of 16. Two heads that differ by at most 11 bits differ by at most 2 in
some quarter (pigeonhole: four times 3 would be 12). So for each quarter the hashes are sorted into 65,536 buckets, and
a bucket is compared with those whose number differs by at most 2 bits: no near pair is missed, and of 5e11 pairs among
a million hashes less than 1 % are looked at. Buckets are laid out as tiles of 8 hashes, so that the comparisons are a
few long operations on arrays; they are spread over threads, which numpy lets run beside each other.

Measured with tools/benchmark_near_pairs.py.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tl_datasets.duplicates.image_hash import HASH_WORDS, HEAD_BITS, count_different_bits
from tl_datasets.errors import DataError, UsageError

_QUARTERS = 4
_QUARTER_BITS = HEAD_BITS // _QUARTERS
_BUCKETS = 1 << _QUARTER_BITS
_TILE = 8
# Comparisons of one step: its arrays of 8 bytes each stay in the cache of a core.
_TILE_PAIRS = 1024
# Below, the buckets cost more than they save.
_FEW = 8192
_LARGEST_HEAD_DISTANCE = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class NearPairs:
    """Near pairs of hashes.

    Attributes:
        original: (N,) for each hash the first that is equal to it, which is often itself. Equal hashes are no pairs:
            10,000 black frames would have 50 million.
        pairs: (M, 2) rows of different hashes that are near, each row being the first of its equals, the lower row
            first; sorted.
        distance: (M,) differing bits of 256.
    """

    original: NDArray[np.int64]
    pairs: NDArray[np.int64]
    distance: NDArray[np.int64]


def find_near_pairs(
    hashes: NDArray[np.uint64],
    head_distance: int = 11,
    distance: int = 90,
    *,
    max_pairs: int = 20_000_000,
    workers: int | None = None,
) -> NearPairs:
    """Find all pairs that differ by few bits, in the head and in all.

    Args:
        hashes: (N, 4) of `hash_image`.
        head_distance: Bits of the first word by which a pair may differ, 0 to 15; time grows about threefold with
            every 2.
        distance: Bits of all by which a pair may differ.
        max_pairs: More than these are refused before they fill the memory.
        workers: Threads; None = as many as there are cores, 8 at most.

    Raises:
        UsageError: A distance or the shape of the hashes is wrong.
        DataError: There are more than `max_pairs` pairs.
    """
    if hashes.ndim != 2 or hashes.shape[1] != HASH_WORDS or hashes.dtype != np.uint64:
        raise UsageError(f"hashes of shape {hashes.shape}, {hashes.dtype}: expected (N, {HASH_WORDS}) uint64")
    if not 0 <= head_distance <= _LARGEST_HEAD_DISTANCE:
        raise UsageError(f"head_distance {head_distance}: expected 0 to {_LARGEST_HEAD_DISTANCE} bits")
    original = _first_equals(hashes)
    rows = np.flatnonzero(original == np.arange(len(hashes)))
    search = _search_all if len(rows) <= _FEW else _search_buckets
    found: list[NDArray[np.int64]] = []
    total = 0
    distinct = np.ascontiguousarray(hashes[rows])
    for first, second in search(distinct, head_distance, workers or min(os.cpu_count() or 1, 8)):
        near = count_different_bits(distinct[first], distinct[second]) <= distance
        found.append(np.stack([first[near], second[near]], axis=1))
        total += int(near.sum())
        if total > max_pairs:
            raise DataError(
                f"more than {max_pairs:,} near pairs among {len(hashes):,} frames: most of them look alike "
                "(parked car, fog, one camera position?); look at each sequence alone, or index every tenth frame"
            )
    pairs = rows[np.concatenate([np.empty((0, 2), dtype=np.int64), *found])]
    pairs.sort(axis=1)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return NearPairs(
        original=original, pairs=pairs, distance=count_different_bits(hashes[pairs[:, 0]], hashes[pairs[:, 1]])
    )


def _first_equals(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(N,) the first row with the same hash."""
    order = np.lexsort((np.arange(len(hashes)), *hashes.T))
    ordered = hashes[order]
    starts = np.ones(len(hashes), dtype=bool)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    result = np.empty(len(hashes), dtype=np.int64)
    result[order] = order[starts][np.cumsum(starts) - 1]
    return result


Rows = NDArray[np.int64]


def _search_all(hashes: NDArray[np.uint64], head_distance: int, workers: int) -> Iterator[tuple[Rows, Rows]]:
    """Compare each head with each."""
    del workers
    heads = hashes[:, 0]
    for row, head in enumerate(heads[:-1]):
        near = np.flatnonzero(np.bitwise_count(heads[row + 1 :] ^ head) <= head_distance) + row + 1
        if len(near):
            yield np.full(len(near), row), near


def _search_buckets(hashes: NDArray[np.uint64], head_distance: int, workers: int) -> Iterator[tuple[Rows, Rows]]:
    """Compare heads that share a bucket or sit in neighbouring ones; each near pair is given once."""
    heads = hashes[:, 0]
    # The radii of the quarters, plus one each, add up to one more than the distance.
    radii = [(head_distance + 1 + extra) // _QUARTERS - 1 for extra in range(_QUARTERS)][::-1]
    with ThreadPoolExecutor(workers, thread_name_prefix="near") as pool:
        for quarter, radius in enumerate(radii):
            if radius < 0:
                continue
            tiles = _Tiles.lay(heads, quarter)
            masks = _masks(radius)
            shares = [masks[start::workers] for start in range(workers)]
            tasks = [pool.submit(_compare, tiles, share, heads, head_distance, quarter, radii) for share in shares]
            for task in tasks:
                yield from task.result()


def _masks(radius: int) -> list[int]:
    """All numbers of 16 bits with at most so many ones."""
    places = itertools.chain.from_iterable(
        itertools.combinations(range(_QUARTER_BITS), ones) for ones in range(radius + 1)
    )
    return [sum(1 << bit for bit in bits) for bits in places]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tiles:
    """Heads sorted into buckets by one quarter, each bucket beginning a new tile.

    Attributes:
        heads: (8, tiles) uint64; the last tile of a bucket is filled up.
        rows: (8, tiles) row of each head, -1 where filled up.
        start: (65536,) first tile of each bucket.
        count: (65536,) tiles of each bucket.
    """

    heads: NDArray[np.uint64]
    rows: NDArray[np.int64]
    start: NDArray[np.int64]
    count: NDArray[np.int64]

    @classmethod
    def lay(cls, heads: NDArray[np.uint64], quarter: int) -> _Tiles:
        keys = _quarter(heads, quarter)
        sizes = np.bincount(keys, minlength=_BUCKETS)
        count = -(-sizes // _TILE)
        start = np.cumsum(count) - count
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        place_in_bucket = np.arange(len(heads)) - (np.cumsum(sizes) - sizes)[ordered]
        tile, place = start[ordered] + place_in_bucket // _TILE, place_in_bucket % _TILE
        shape = (_TILE, int(count.sum()))
        laid, rows = np.zeros(shape, dtype=np.uint64), np.full(shape, -1, dtype=np.int64)
        laid[place, tile], rows[place, tile] = heads[order], order
        return cls(heads=laid, rows=rows, start=start, count=count)

    def pairs(self, mask: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Tiles to compare: of buckets whose numbers differ by the mask, each two buckets once."""
        low = np.arange(_BUCKETS)
        high = low ^ mask
        low = low[(low <= high) & (self.count > 0) & (self.count[high] > 0)]
        high = low ^ mask
        number = self.count[low] * self.count[high]
        bucket = np.repeat(np.arange(len(low)), number)
        place = np.arange(int(number.sum())) - np.repeat(np.cumsum(number) - number, number)
        across = self.count[high][bucket]
        first, second = self.start[low][bucket] + place // across, self.start[high][bucket] + place % across
        if mask == 0:
            once = first <= second
            return first[once], second[once]
        return first, second


def _compare(
    tiles: _Tiles,
    masks: list[int],
    heads: NDArray[np.uint64],
    head_distance: int,
    quarter: int,
    radii: list[int],
) -> list[tuple[Rows, Rows]]:
    found: list[tuple[Rows, Rows]] = []
    shape = (_TILE, _TILE, _TILE_PAIRS)
    different, bits, near = np.empty(shape, np.uint64), np.empty(shape, np.uint8), np.empty(shape, bool)
    for mask in masks:
        first_tile, second_tile = tiles.pairs(mask)
        for start in range(0, len(first_tile), _TILE_PAIRS):
            one, two = first_tile[start : start + _TILE_PAIRS], second_tile[start : start + _TILE_PAIRS]
            step = np.s_[:, :, : len(one)]
            heads_one, heads_two = np.take(tiles.heads, one, axis=1), np.take(tiles.heads, two, axis=1)
            np.bitwise_xor(heads_one[:, None], heads_two[None], out=different[step])
            np.bitwise_count(different[step], out=bits[step])
            np.less_equal(bits[step], head_distance, out=near[step])
            # Flat, because finding the places in three dimensions takes longer than all the comparisons.
            place_one, place_two, pair = np.unravel_index(np.flatnonzero(near[step]), (_TILE, _TILE, len(one)))
            first, second = tiles.rows[place_one, one[pair]], tiles.rows[place_two, two[pair]]
            keep = (first >= 0) & (second >= 0) & ((one[pair] != two[pair]) | (place_one < place_two))
            # A pair that an earlier quarter has found is not found again.
            for earlier in range(quarter):
                away = np.bitwise_count(_quarter(heads[first], earlier) ^ _quarter(heads[second], earlier))
                keep &= away > radii[earlier]
            if keep.any():
                found.append((first[keep], second[keep]))
    return found


def _quarter(heads: NDArray[np.uint64], quarter: int) -> NDArray[np.int64]:
    return ((heads >> np.uint64(quarter * _QUARTER_BITS)) & np.uint64(_BUCKETS - 1)).astype(np.int64)
