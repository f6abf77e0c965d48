"""Frames of one recording that were taken shortly after each other: by their time, else by the number in their name.

What is read from names alone is a guess: `Berlin_438` and `Berlin_439` may be a tenth of a second or a street apart.
`duplicates` therefore asks for visual nearness too.
"""

from __future__ import annotations

import re
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, UsageError

# Folders that sort the frames of one recording into parts: the neighbour of a frame may lie in another one.
_PART_FOLDERS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "images"})
_LAST_NUMBER = re.compile(r"^(.*?)(\d{1,18})(\D*)$", re.DOTALL)
# Roboflow appends this to the name of each augmented copy of a photo.
_ROBOFLOW = re.compile(r"_(?:jpe?g|png)\.rf\.[0-9a-zA-Z]+$")
_MOST_PAIRS = 50_000_000


def find_time_neighbours(catalog: Catalog, seconds: float = 1.0, frames: int = 5) -> NDArray[np.int64]:
    """Pairs of frames that are close in time.

    Args:
        catalog: Frames that have a timestamp are compared by it within their sequence (without one: their folder);
            and frames whose paths differ by their last number alone are compared by that.
        seconds: Largest difference of timestamps; 0 = only equal ones.
        frames: Largest difference of numbers; 0 = only equal ones, such as the augmented copies of one photo.

    Returns:
        (M, 3): row, row (the lower first), and 0 where both are of the same time or number, else 1. Sorted, each pair
        once.

    Raises:
        UsageError: A window is negative.
        DataError: The windows are so wide that there are more than 50 million pairs.
    """
    if not seconds >= 0 or frames < 0:
        raise UsageError(f"time neighbours within {seconds:g} s or {frames} frames: expected 0 or more")
    table = catalog.frames
    paths = [path.replace("\\", "/") for path in table["path"]]
    by_time: list[tuple[Hashable, int, int]] = []
    by_number: list[tuple[Hashable, int, int]] = []
    rows = zip(paths, table["source"], table["sequence"], table["timestamp_ns"], strict=True)
    for row, (path, source, sequence, timestamp_ns) in enumerate(rows):
        if timestamp_ns is not None:
            place = path.rpartition("/")[0] if sequence is None else sequence
            by_time.append(((source, sequence is None, place), timestamp_ns, row))
        key, number = _numbered(path)
        if number is not None:
            by_number.append(((source, key), number, row))
    pairs = np.concatenate([_close(by_time, round(seconds * 1e9)), _close(by_number, frames)])
    if not len(pairs):
        return pairs
    pairs[:, :2].sort(axis=1)
    pairs = pairs[np.lexsort((pairs[:, 2], pairs[:, 1], pairs[:, 0]))]
    first = np.ones(len(pairs), dtype=bool)
    first[1:] = (pairs[1:, :2] != pairs[:-1, :2]).any(axis=1)
    return pairs[first]


def _numbered(path: str) -> tuple[tuple[str, ...], int | None]:
    """What numbered frames of one recording share in their paths, and the number."""
    *folders, name = path.split("/")
    stem = _ROBOFLOW.sub("", name.rpartition(".")[0] or name)
    found = _LAST_NUMBER.match(stem)
    if found is None:
        return (), None
    kept = [folder for folder in folders if folder.lower() not in _PART_FOLDERS]
    return (*kept, found[1], found[3]), int(found[2])


def _close(items: list[tuple[Hashable, int, int]], window: int) -> NDArray[np.int64]:
    """Pairs of rows with equal keys whose values differ by at most the window, with the difference."""
    groups: dict[Hashable, int] = {}
    table = np.array(
        [(groups.setdefault(key, len(groups)), value, row) for key, value, row in items], dtype=np.int64
    ).reshape(-1, 3)
    table = table[np.lexsort((table[:, 2], table[:, 1], table[:, 0]))]
    found: list[NDArray[np.int64]] = [np.empty((0, 3), dtype=np.int64)]
    total = 0
    lower = np.arange(len(table))
    step = 0
    while len(lower):
        step += 1
        lower = lower[lower + step < len(table)]
        one, other = table[lower], table[lower + step]
        gap = other[:, 1] - one[:, 1]
        # Sorted by value: a row whose next one is too far has no closer one behind it.
        close = (one[:, 0] == other[:, 0]) & (gap <= window)
        lower = lower[close]
        found.append(np.stack([one[close, 2], other[close, 2], np.minimum(gap[close], 1)], axis=1))
        total += len(lower)
        if total > _MOST_PAIRS:
            raise DataError(
                f"more than {_MOST_PAIRS:,} pairs of frames are close in time; narrow the windows in seconds and frames"
            )
    return np.concatenate(found)
