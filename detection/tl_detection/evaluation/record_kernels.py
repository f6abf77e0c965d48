"""The loops over the records of one class; `records` and `curves` say what they yield."""

from __future__ import annotations

import numpy as np

from tl_detection.evaluation.compiled import compiled

# What COCO's evaluation adds to every denominator.
_SPACING = float(np.spacing(1))


@compiled
def average_precisions(right_bits, counted_bits, n_objects, n_levels, recalls):
    """(areas, thresholds) average precision; NaN for an area range without an object.

    Args:
        right_bits: (areas, D) by descending score: bit t is set where it found an object at threshold t.
        counted_bits: (areas, D) bit t is set where it counts as right or wrong.
        n_objects: (areas,) objects to find.
        n_levels: Number of thresholds.
        recalls: (points,) ascending, at which precision is read.
    """
    n_areas, n_records = right_bits.shape
    values = np.full((n_areas, n_levels), np.nan)
    n_counted_at = np.empty(n_records, np.int64)
    for area in range(n_areas):
        if n_objects[area] == 0:
            continue
        for level in range(n_levels):
            n_right = n_counted = 0
            for i in range(n_records):
                n_counted += (np.int64(counted_bits[area, i]) >> level) & 1
                if (np.int64(right_bits[area, i]) >> level) & 1:
                    n_counted_at[n_right] = n_counted
                    n_right += 1
            total, highest, at = 0.0, 0.0, n_right
            for point in range(len(recalls) - 1, -1, -1):
                while at > 0 and at / n_objects[area] >= recalls[point]:
                    highest = max(highest, at / (n_counted_at[at - 1] + _SPACING))
                    at -= 1
                total += highest
            values[area, level] = total / len(recalls)
    return values


@compiled
def count_right(right_bits, rank, limits, n_levels):
    """(limits, areas, thresholds) detections that found an object, with a rank below each limit.

    Args:
        right_bits: (areas, D) see `average_precisions`.
        rank: (D,) position by score in the detection's frame.
        limits: (limits,) ascending.
        n_levels: Number of thresholds.
    """
    n_areas, n_records = right_bits.shape
    found = np.zeros((len(limits), n_areas, n_levels), np.int64)
    for area in range(n_areas):
        for i in range(n_records):
            bits, level = np.int64(right_bits[area, i]), 0
            if not bits:
                continue
            lowest = 0
            while lowest < len(limits) and rank[i] >= limits[lowest]:
                lowest += 1
            while bits:
                if bits & 1:
                    for limit in range(lowest, len(limits)):
                        found[limit, area, level] += 1
                bits >>= 1
                level += 1
    return found
