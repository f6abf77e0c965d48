"""The loops of matching; `matching` says what they decide."""

from __future__ import annotations

import numpy as np

from tl_detection.evaluation.compiled import compiled

# Runs of equal scores up to this length are sorted by insertion.
_SHORT_RUN = 12


@compiled
def _comes_first(a, b, frame_rank, frame_index, xyxy):
    """True if box a comes before b by the rank of its frame, then by its corners."""
    if frame_rank[frame_index[a]] != frame_rank[frame_index[b]]:
        return frame_rank[frame_index[a]] < frame_rank[frame_index[b]]
    for side in range(4):
        if xyxy[a, side] != xyxy[b, side]:
            return xyxy[a, side] < xyxy[b, side]
    return False


@compiled
def _sort_run(order, first, last, spare, frame_rank, frame_index, xyxy):
    """Put order[first:last], all of one class and score, into the order of the tie rule; stable."""
    for start in range(first, last, _SHORT_RUN):
        for i in range(start + 1, min(start + _SHORT_RUN, last)):
            item, j = order[i], i - 1
            while j >= start and _comes_first(item, order[j], frame_rank, frame_index, xyxy):
                order[j + 1] = order[j]
                j -= 1
            order[j + 1] = item
    width = _SHORT_RUN
    while width < last - first:
        for start in range(first, last, 2 * width):
            middle, stop = min(start + width, last), min(start + 2 * width, last)
            i, j, at = start, middle, start
            while i < middle or j < stop:
                if j >= stop or (i < middle and not _comes_first(order[j], order[i], frame_rank, frame_index, xyxy)):
                    spare[at] = order[i]
                    i += 1
                else:
                    spare[at] = order[j]
                    j += 1
                at += 1
        order[first:last] = spare[first:last]
        width *= 2


@compiled
def order_detections(by_score, score, class_id, frame_rank, frame_index, xyxy, n_classes):
    """(D,) the detections by class, then descending score, then frame rank, then box.

    Args:
        by_score: (D,) the detections by descending score, ties in any order.
        score: (D,) scores.
        class_id: (D,) classes.
        frame_rank: (F,) rank of each frame.
        frame_index: (D,) frame of each detection.
        xyxy: (D, 4) boxes.
        n_classes: Number of classes.
    """
    bounds = np.zeros(n_classes + 1, np.int64)
    for i in range(len(class_id)):
        bounds[class_id[i] + 1] += 1
    bounds = np.cumsum(bounds)
    at = bounds.copy()
    order = np.empty(len(class_id), np.int64)
    ordered_score = np.empty(len(class_id), np.float64)
    for i in by_score:
        place = at[class_id[i]]
        order[place] = i
        ordered_score[place] = score[i]
        at[class_id[i]] += 1
    spare = np.empty_like(order)
    for each in range(n_classes):
        first = bounds[each]
        for last in range(first + 1, bounds[each + 1] + 1):
            if last == bounds[each + 1] or ordered_score[last] != ordered_score[first]:
                if last - first > 1:
                    _sort_run(order, first, last, spare, frame_rank, frame_index, xyxy)
                first = last
    return order


@compiled
def group_detections(class_id, frame_index, n_classes, n_frames):
    """Detections, in their order, by class and frame.

    Returns:
        (classes * frames + 1,) where the members of each group begin, (D,) the members, and (D,) the position of each
        detection in its group.
    """
    start = np.zeros(n_classes * n_frames + 1, np.int64)
    rank = np.empty(len(class_id), np.int64)
    for i in range(len(class_id)):
        group = class_id[i] * n_frames + frame_index[i]
        rank[i] = start[group + 1]
        start[group + 1] += 1
    start = np.cumsum(start)
    members = np.empty(len(class_id), np.int64)
    for i in range(len(class_id)):
        members[start[class_id[i] * n_frames + frame_index[i]] + rank[i]] = i
    return start, members, rank


@compiled
def group_targets(class_id, frame_index, xyxy, n_classes, n_frames):
    """Objects and ignore areas by class and frame, ordered by box; one of class -1 occurs in every class.

    Returns:
        (classes * frames + 1,) where each group begins, and (G,) its boxes, as positions.
    """
    start = np.zeros(n_classes * n_frames + 1, np.int64)
    for i in range(len(class_id)):
        lowest, highest = (class_id[i], class_id[i] + 1) if class_id[i] >= 0 else (0, n_classes)
        for each in range(lowest, highest):
            start[each * n_frames + frame_index[i] + 1] += 1
    start = np.cumsum(start)
    filled = start.copy()
    boxes = np.empty(start[-1], np.int64)
    one_rank = np.zeros(n_frames, np.int8)
    for i in range(len(class_id)):
        lowest, highest = (class_id[i], class_id[i] + 1) if class_id[i] >= 0 else (0, n_classes)
        for each in range(lowest, highest):
            group = each * n_frames + frame_index[i]
            at = filled[group]
            filled[group] += 1
            while at > start[group] and _comes_first(i, boxes[at - 1], one_rank, frame_index, xyxy):
                boxes[at] = boxes[at - 1]
                at -= 1
            boxes[at] = i
    return start, boxes


@compiled
def choose(
    start,
    members,
    xyxy,
    size,
    unmatched_counts,
    areas_px2,
    target_start,
    target_box,
    target_xyxy,
    is_crowd,
    is_ignored,
    thresholds,
    operating_level,
    match_bits,
    ignored_bits,
    object_index,
):
    """Let the detections of every class and frame choose in order of score; COCO's greedy rule.

    Args:
        start: (groups + 1,) see `group_detections`.
        members: (D,) see `group_detections`.
        xyxy: (D, 4) pixels.
        size: (D, 2) width and height in pixels.
        unmatched_counts: (D,) false for detections that do not count if they find nothing.
        areas_px2: (areas, 2) lowest and highest area of a detection that counts if it finds nothing.
        target_start: (groups + 1,) see `group_targets`.
        target_box: (G,) see `group_targets`.
        target_xyxy: (N, 4) pixels.
        is_crowd: (N,) overlap is measured over the detection alone, and any number may choose it.
        is_ignored: (areas, N) true where finding it is neither right nor wrong.
        thresholds: (thresholds,) least overlaps.
        operating_level: Position of the threshold of `object_index`.
        match_bits: (areas, D) of zeros; filled: bit t is set where the detection chose something at threshold t.
        ignored_bits: (areas, D) of zeros; filled: bit t is set where it counts neither as right nor as wrong.
        object_index: (D,) filled where the detection chose something in the first area range; else left as it is.
    """
    n_areas, n_levels = len(match_bits), len(thresholds)
    every = (np.int64(1) << n_levels) - 1
    most = 0
    for group in range(len(start) - 1):
        most = max(most, target_start[group + 1] - target_start[group])
    target_corner, target_end, target_area = np.empty((most, 2)), np.empty((most, 2)), np.empty(most)
    taken = np.zeros((n_areas, most), np.int64)
    overlap, candidate = np.empty(most), np.empty(most, np.int64)
    for group in range(len(start) - 1):
        first, last = target_start[group], target_start[group + 1]
        for j in range(last - first):
            box = target_box[first + j]
            target_area[j] = 1.0
            for side in range(2):
                length = target_xyxy[box, side + 2] - target_xyxy[box, side]
                target_corner[j, side] = target_xyxy[box, side]
                # Left + width instead of right: the arithmetic of the COCO tools, to the last bit.
                target_end[j, side] = target_xyxy[box, side] + length
                target_area[j] *= length
            for area in range(n_areas):
                taken[area, j] = 0
        for member in range(start[group], start[group + 1]):
            i = members[member]
            x1, y1, width_px, height_px = xyxy[i, 0], xyxy[i, 1], size[i, 0], size[i, 1]
            area_px2 = width_px * height_px
            n_candidates = 0
            for j in range(last - first):
                width = min(x1 + width_px, target_end[j, 0]) - max(x1, target_corner[j, 0])
                if width <= 0:
                    continue
                height = min(y1 + height_px, target_end[j, 1]) - max(y1, target_corner[j, 1])
                if height <= 0:
                    continue
                box = target_box[first + j]
                shared = width * height
                whole = area_px2 if is_crowd[box] else area_px2 + target_area[j] - shared
                if shared / whole >= thresholds[0]:
                    overlap[n_candidates] = shared / whole
                    candidate[n_candidates] = j
                    n_candidates += 1
            for area in range(n_areas):
                matched, ignored = np.int64(0), np.int64(0)
                if n_candidates:
                    for level in range(n_levels):
                        bit = np.int64(1) << level
                        best, best_is_ignored, best_overlap = -1, True, thresholds[level]
                        for c in range(n_candidates):
                            j = candidate[c]
                            box = target_box[first + j]
                            if overlap[c] < thresholds[level] or (taken[area, j] & bit and not is_crowd[box]):
                                continue
                            # Whatever counts comes before whatever is ignored; of equal overlaps, the last box.
                            if is_ignored[area, box] == best_is_ignored:
                                if overlap[c] < best_overlap:
                                    continue
                            elif is_ignored[area, box]:
                                continue
                            best, best_is_ignored, best_overlap = j, is_ignored[area, box], overlap[c]
                        if best < 0:
                            continue
                        taken[area, best] |= bit
                        matched |= bit
                        if best_is_ignored:
                            ignored |= bit
                        if area == 0 and level == operating_level:
                            object_index[i] = target_box[first + best]
                if not unmatched_counts[i] or not areas_px2[area, 0] <= area_px2 <= areas_px2[area, 1]:
                    ignored |= every & ~matched
                if matched:
                    match_bits[area, i] = matched
                if ignored:
                    ignored_bits[area, i] = ignored
