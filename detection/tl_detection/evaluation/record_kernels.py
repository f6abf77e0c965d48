"""The loops over the records of one class; `records` and `curves` say what they yield."""

from __future__ import annotations

import numpy as np

from tl_detection.evaluation.compiled import compiled

# What COCO's evaluation adds to every denominator.
_SPACING = float(np.spacing(1))


@compiled
def choose_records(is_chosen, frame_index, class_offsets, score, rank, match_bits, ignored_bits, n_levels):
    """The records of some frames, in their order.

    Args:
        is_chosen: (F,) the frames.
        frame_index: (D,) frame of each record.
        class_offsets: (classes + 1,) the records of each class.
        score: (D,) see `matching.Matched`, as are the following.
        rank: (D,).
        match_bits: (areas, D).
        ignored_bits: (areas, D).
        n_levels: Number of thresholds.

    Returns:
        (classes + 1,) where each class begins, (C,) positions of the records, (C,) scores, (C,) ranks, (areas, C) bits
        of what is right, and (areas, C) bits of what counts.
    """
    every = match_bits.dtype.type((np.int64(1) << n_levels) - 1)
    n_areas = len(match_bits)
    chosen = np.empty(len(frame_index), np.int32)
    n = 0
    for i in range(len(frame_index)):
        chosen[n] = i
        n += np.int64(is_chosen[np.uint32(frame_index[i])])
    chosen = chosen[:n]
    offsets = np.searchsorted(chosen, class_offsets)
    chosen_score, chosen_rank = np.empty(n, score.dtype), np.empty(n, rank.dtype)
    right, counted = np.empty((n_areas, n), match_bits.dtype), np.empty((n_areas, n), match_bits.dtype)
    for j in range(n):
        chosen_score[j] = score[chosen[j]]
        chosen_rank[j] = rank[chosen[j]]
    for area in range(n_areas):
        for j in range(n):
            counted[area, j] = ~ignored_bits[area, chosen[j]] & every
            right[area, j] = match_bits[area, chosen[j]] & counted[area, j]
    return offsets, chosen, chosen_score, chosen_rank, right, counted


@compiled
def precision_and_recall(right_bits, counted_bits, rank, n_objects, n_levels, recalls, limits):
    """(areas, thresholds) average precision, and (limits, areas, thresholds) highest recall; NaN without an object.

    Args:
        right_bits: (areas, D) by descending score: bit t is set where it found an object at threshold t.
        counted_bits: (areas, D) bit t is set where it counts as right or wrong.
        rank: (D,) position by score in the detection's frame.
        n_objects: (areas,) objects to find.
        n_levels: Number of thresholds.
        recalls: (points,) ascending, at which precision is read.
        limits: (limits,) ascending; a recall is that of the detections with a lower rank.
    """
    n_areas, n_records = right_bits.shape
    every = (np.int64(1) << n_levels) - 1
    precision = np.full((n_areas, n_levels), np.nan)
    recall = np.full((len(limits), n_areas, n_levels), np.nan)
    n_counted_at = np.empty((n_levels, n_records), np.int32)
    for area in range(n_areas):
        if n_objects[area] == 0:
            continue
        n_everywhere = 0
        n_here, n_right = np.zeros(n_levels, np.int64), np.zeros(n_levels, np.int64)
        found = np.zeros((len(limits) + 1, n_levels), np.int64)
        for i in range(n_records):
            right, counted = np.int64(right_bits[area, i]), np.int64(counted_bits[area, i])
            # Most records count at every threshold, or at none, and are right at none.
            if counted == every:
                n_everywhere += 1
            if right == 0 and (counted == 0 or counted == every):
                continue
            lowest = 0
            while lowest < len(limits) and rank[i] >= limits[lowest]:
                lowest += 1
            for level in range(n_levels):
                if counted != every:
                    n_here[level] += (counted >> level) & 1
                if (right >> level) & 1:
                    n_counted_at[level, n_right[level]] = n_everywhere + n_here[level]
                    n_right[level] += 1
                    found[lowest, level] += 1
        for level in range(n_levels):
            total, highest, at = 0.0, 0.0, n_right[level]
            for point in range(len(recalls) - 1, -1, -1):
                while at > 0 and at / n_objects[area] >= recalls[point]:
                    highest = max(highest, at / (n_counted_at[level, at - 1] + _SPACING))
                    at -= 1
                total += highest
            precision[area, level] = total / len(recalls)
            n_found = 0
            for limit in range(len(limits)):
                n_found += found[limit, level]
                recall[limit, area, level] = n_found / n_objects[area]
    return precision, recall
