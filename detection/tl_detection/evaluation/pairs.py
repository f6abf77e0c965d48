"""Which boxes overlap which: pairs between two ordered lists of boxes, found in blocks that bound memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Pairs looked at together: some hundred megabytes at most.
_PAIRS_PER_BLOCK = 2_000_000


def overlapping(
    first_xyxy: FloatArray,
    second_xyxy: FloatArray,
    is_crowd: BoolArray,
    start: IntArray,
    stop: IntArray,
    least: float,
) -> tuple[IntArray, IntArray, FloatArray]:
    """Pairs of boxes that overlap by at least `least`.

    Args:
        first_xyxy: (N, 4) pixels.
        second_xyxy: (M, 4) pixels.
        is_crowd: (M,) overlap with these is measured over the first box's area alone.
        start: (N,) the candidates of first box i are the second boxes start[i] to stop[i].
        stop: (N,) see `start`.
        least: In (0, 1].

    Returns:
        (P,) first box, (P,) second box, (P,) overlap in [0, 1].
    """
    found: list[tuple[IntArray, IntArray, FloatArray]] = []
    for first, second in _candidates(start, stop):
        overlap = _overlap(first_xyxy[first], second_xyxy[second], is_crowd[second])
        keep = overlap >= least
        found.append((first[keep], second[keep], overlap[keep]))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    first, second, overlap = (np.concatenate(column) for column in zip(*found, strict=True))
    return first, second, overlap


def area_px2(xyxy: FloatArray) -> FloatArray:
    """(N,) width times height; unlike `boxes.area`, without a floor at 0, as the COCO tools have it."""
    return (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])


def rank_in_group(group: IntArray) -> IntArray:
    """(N,) how many earlier elements share an element's group."""
    by_group = np.argsort(group, kind="stable")
    sorted_group = group[by_group]
    rank = np.empty(len(group), np.int64)
    rank[by_group] = np.arange(len(group)) - np.searchsorted(sorted_group, sorted_group, side="left")
    return rank


def group_bounds(sorted_group: IntArray, wanted: IntArray) -> tuple[IntArray, IntArray]:
    """(W,) first and one past the last position of each wanted value in an ascending array."""
    return np.searchsorted(sorted_group, wanted, side="left"), np.searchsorted(sorted_group, wanted, side="right")


def _candidates(start: IntArray, stop: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """All (i, j) with start[i] <= j < stop[i], in blocks."""
    has_any = np.flatnonzero(stop > start)
    counts = (stop - start)[has_any]
    ends = np.cumsum(counts)
    at = 0
    while at < len(has_any):
        done = ends[at - 1] if at else 0
        until = max(at + 1, int(np.searchsorted(ends, done + _PAIRS_PER_BLOCK, side="right")))
        block, count = has_any[at:until], counts[at:until]
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        yield np.repeat(block, count), np.repeat(start[block], count) + within
        at = until


def _overlap(first_xyxy: FloatArray, second_xyxy: FloatArray, is_crowd: BoolArray) -> FloatArray:
    """(P,) intersection over union of paired boxes; over the first box's area where the second is a crowd."""
    corner = np.maximum(first_xyxy[:, :2], second_xyxy[:, :2])
    # Left + width instead of right: the arithmetic of the COCO tools, to the last bit.
    first_end = first_xyxy[:, :2] + (first_xyxy[:, 2:] - first_xyxy[:, :2])
    second_end = second_xyxy[:, :2] + (second_xyxy[:, 2:] - second_xyxy[:, :2])
    sides = np.minimum(first_end, second_end) - corner
    overlaps = (sides > 0).all(axis=1)
    intersection = np.where(overlaps, sides[:, 0] * sides[:, 1], 0.0)
    first_area = area_px2(first_xyxy)
    whole = np.where(is_crowd, first_area, first_area + area_px2(second_xyxy) - intersection)
    return np.divide(intersection, whole, out=np.zeros_like(intersection), where=overlaps)
