"""The loops over records and replicates; `replicates` says what they yield."""

from __future__ import annotations

import numpy as np

from tl_detection.evaluation.compiled import compiled, compiled_with_any_order_of_sums

# Replicates that are worked on together: their counts fill the vector registers and stay in the fastest cache.
LANES = 256


@compiled
def records_when_drawn(sequence, is_tied, right_bits, counted_bits, n_levels, most_times, n_sequences):
    """The records in the order that they have when frames occur several times.

    A frame that is drawn twice stands twice in a row among detections of one score: right, wrong, right, wrong, not
    right, right, wrong, wrong. Such runs are written out as often as a frame was drawn at most. What does not count,
    and what follows the last object that was found, changes nothing and is left out.

    Args:
        sequence: (D,) sequence of each detection, by descending score, equal scores frame by frame.
        is_tied: (D,) true where the next detection is of the same frame and score.
        right_bits: (D,) bit t is set where it found an object at IoU threshold t.
        counted_bits: (D,) bit t is set where it counts as right or wrong.
        n_levels: Number of thresholds.
        most_times: How often a frame was drawn at most.
        n_sequences: S.

    Returns:
        (E,) sequence of each record; (E,) its copy, from 0, which is there if its frame was drawn more often than that,
        -1 for a record that stands once and counts as often as its frame was drawn; (E,) its bits of what is right, and
        (E,) of what counts; (E,) bit t is set where the next record that counts at threshold t is wrong, or there is
        none: of consecutive right records the last has the highest precision, whatever was drawn; (E,) true for
        records that stand once and are wrong at every threshold, as nearly all are; (S,) how many of those each
        sequence holds.
    """
    every = (np.int64(1) << n_levels) - 1
    record, copy = _order_when_drawn(is_tied, right_bits, counted_bits, most_times)
    n = len(record)
    of_record, is_plain, plain_counts = np.empty(n, np.int32), np.empty(n, np.bool_), np.zeros(n_sequences, np.int64)
    right_of, counted_of, ends = (
        np.empty(n, right_bits.dtype),
        np.empty(n, right_bits.dtype),
        np.empty(n, right_bits.dtype),
    )
    next_is_right = np.int64(0)
    for i in range(n - 1, -1, -1):
        right, counted = np.int64(right_bits[record[i]]), np.int64(counted_bits[record[i]])
        of_record[i], right_of[i], counted_of[i] = sequence[record[i]], right, counted
        ends[i] = right & ~next_is_right
        next_is_right = (next_is_right & ~counted) | right
        is_plain[i] = right == 0 and counted == every and copy[i] < 0
        plain_counts[of_record[i]] += is_plain[i]
    return of_record, copy, right_of, counted_of, ends, is_plain, plain_counts


@compiled
def _order_when_drawn(is_tied, right_bits, counted_bits, most_times):
    """(E,) record and (E,) copy of `records_when_drawn`."""
    end = len(right_bits)
    while end > 0 and right_bits[end - 1] == 0:
        end -= 1
    while end > 0 and is_tied[end - 1]:
        end += 1
    # Arrays that grow in the loop would cost more than all else in it.
    most = 1
    for i in range(end):
        most += most_times if is_tied[i] or (i > 0 and is_tied[i - 1]) else 1
    record, copy = np.empty(most, np.int32), np.empty(most, np.int16)
    n = i = 0
    while i < end:
        if not is_tied[i]:
            record[n], copy[n] = i, -1
            n += counted_bits[i] != 0
            i += 1
            continue
        last, any_right = i, right_bits[i] != 0
        while is_tied[last]:
            last += 1
            any_right |= right_bits[last] != 0
        for each in range(most_times if any_right else 1):
            for member in range(i, last + 1):
                if counted_bits[member] != 0:
                    record[n], copy[n] = member, each if any_right else -1
                    n += 1
        i = last + 1
    return record[:n], copy[:n]


@compiled
def _flush(total, pending, row, sign):
    """Move a row of small counts into the total."""
    n_lanes = total.shape[1]
    for lane in range(n_lanes):
        total[row, lane] += sign * pending[row, lane]
        pending[row, lane] = 0


@compiled_with_any_order_of_sums
def average_precision_of_blocks(
    weights,
    sequence,
    copy,
    right_bits,
    counted_bits,
    end_bits,
    is_plain,
    plain_counts,
    n_objects,
    is_later,
    constants,
    n_levels,
    most_pending,
):
    """(thresholds, blocks * lanes) average precision of replicates; 0 where there is no object.

    Everything is counted first, and then taken off again from the lowest score to the highest: on that way back the
    highest precision so far is kept, and where it rises, it rises for every recall point that is reached there. Counts
    are collected in the type of the weights, of which a register holds most, and moved to that of the computation where
    they are needed.

    Args:
        weights: (blocks, S, lanes) how often each sequence was drawn in each replicate.
        sequence: (E,) of `records_when_drawn`, as are the following.
        copy: (E,).
        right_bits: (E,).
        counted_bits: (E,).
        end_bits: (E,).
        is_plain: (E,).
        plain_counts: (S,).
        n_objects: (blocks * lanes,) objects to find; its type is that of the computation.
        is_later: (points + 1,) 1 for recall points that are not yet reached where found / objects equals them but for
            rounding.
        constants: (3,) added to every denominator; the rounding of found / objects * (points - 1); points - 1.
        n_levels: Number of thresholds.
        most_pending: Records whose weights can be added up in the type of the weights.
    """
    n_records, n_lanes = len(right_bits), weights.shape[2]
    every = (np.int64(1) << n_levels) - 1
    spacing, rounding, last_point = constants[0], constants[1], constants[2]
    real = constants.dtype.type
    zero, one, minus_one, window = real(0), real(1), real(-1), real(2) * rounding
    values = np.zeros((n_levels, len(n_objects)), n_objects.dtype)
    drawn = np.empty((1, n_lanes), weights.dtype)
    rise, points_per_object = np.empty(n_lanes, constants.dtype), np.empty(n_lanes, constants.dtype)
    n_right, n_here = np.empty((n_levels, n_lanes), constants.dtype), np.empty((n_levels, n_lanes), constants.dtype)
    highest, total = np.empty((n_levels, n_lanes), constants.dtype), np.empty((n_levels, n_lanes), constants.dtype)
    right_pending, nested = np.empty((n_levels, n_lanes), weights.dtype), np.empty((n_levels, n_lanes), np.int32)
    n_everywhere, everywhere_pending = np.empty((1, n_lanes), constants.dtype), np.empty((1, n_lanes), weights.dtype)
    n_right_pending = np.empty(n_levels, np.int64)
    others = np.flatnonzero(~is_plain)
    for block in range(len(weights)):
        n_right[:], n_here[:], n_everywhere[:], highest[:], total[:] = zero, zero, zero, zero, zero
        right_pending[:], everywhere_pending[:], nested[:], n_right_pending[:], n_pending = 0, 0, 0, 0, 0
        for lane in range(n_lanes):
            points_per_object[lane] = last_point / max(n_objects[block * n_lanes + lane], one)
        for row in range(len(plain_counts)):
            if plain_counts[row]:
                count = real(plain_counts[row])
                for lane in range(n_lanes):
                    n_everywhere[0, lane] += count * weights[block, row, lane]
        for is_back in range(2):
            sign = minus_one if is_back else one
            for step in range(n_records if is_back else len(others)):
                i = n_records - 1 - step if is_back else others[step]
                row = np.uint32(sequence[i])
                if n_pending == most_pending:
                    _flush(n_everywhere, everywhere_pending, 0, sign)
                    n_pending = 0
                if is_plain[i]:
                    for lane in range(n_lanes):
                        everywhere_pending[0, lane] += weights[block, row, lane]
                    n_pending += 1
                    continue
                right, counted = np.int64(right_bits[i]), np.int64(counted_bits[i])
                if copy[i] < 0:
                    for lane in range(n_lanes):
                        drawn[0, lane] = weights[block, row, lane]
                else:
                    for lane in range(n_lanes):
                        drawn[0, lane] = weights[block, row, lane] > copy[i]
                level = 0
                if not is_back and right and right & (right + 1) == 0:
                    # Right up to a threshold, as nearly always: added up at the end of the way.
                    while right > 1:
                        right >>= 1
                        level += 1
                    if n_right_pending[level] == most_pending:
                        _flush(nested, right_pending, level, 1)
                        n_right_pending[level] = 0
                    for lane in range(n_lanes):
                        right_pending[level, lane] += drawn[0, lane]
                    n_right_pending[level] += 1
                    right = 0
                ends = np.int64(end_bits[i]) if is_back else np.int64(0)
                if ends and n_pending:
                    _flush(n_everywhere, everywhere_pending, 0, sign)
                    n_pending = 0
                while right:
                    if ends & 1:
                        tied = zero
                        for lane in range(n_lanes):
                            found = n_right[level, lane] - real(right_pending[level, lane])
                            n_right[level, lane] = found
                            precision = found / (n_everywhere[0, lane] + n_here[level, lane] + spacing)
                            more = max(precision - highest[level, lane], zero)
                            highest[level, lane] += more
                            point = found * points_per_object[lane] + rounding
                            reached = real(np.int32(point))
                            at_point = more if point - reached < window else zero
                            rise[lane] = at_point
                            tied += at_point
                            total[level, lane] += more * (reached + one)
                        for lane in range(n_lanes):
                            right_pending[level, lane] = drawn[0, lane]
                        n_right_pending[level] = 1
                        if tied > zero:
                            for lane in range(n_lanes):
                                if rise[lane] > zero:
                                    reached_point = np.int32(n_right[level, lane] * points_per_object[lane] + rounding)
                                    total[level, lane] -= rise[lane] * is_later[reached_point]
                    elif right & 1 and is_back:
                        if n_right_pending[level] == most_pending:
                            _flush(n_right, right_pending, level, minus_one)
                            n_right_pending[level] = 0
                        for lane in range(n_lanes):
                            right_pending[level, lane] += drawn[0, lane]
                        n_right_pending[level] += 1
                    elif right & 1:
                        for lane in range(n_lanes):
                            n_right[level, lane] += drawn[0, lane]
                    right >>= 1
                    ends >>= 1
                    level += 1
                if counted == every:
                    for lane in range(n_lanes):
                        everywhere_pending[0, lane] += drawn[0, lane]
                    n_pending += 1
                elif counted:
                    for level in range(n_levels):
                        if (counted >> level) & 1:
                            for lane in range(n_lanes):
                                n_here[level, lane] += sign * drawn[0, lane]
            _flush(n_everywhere, everywhere_pending, 0, sign)
            n_pending = 0
            for level in range(n_levels - 1, -1, -1):
                if is_back:
                    _flush(n_right, right_pending, level, sign)
                else:
                    _flush(nested, right_pending, level, 1)
                    for lane in range(n_lanes):
                        if level + 1 < n_levels:
                            nested[level, lane] += nested[level + 1, lane]
                        n_right[level, lane] += nested[level, lane]
                n_right_pending[level] = 0
        for level in range(n_levels):
            for lane in range(n_lanes):
                values[level, block * n_lanes + lane] = total[level, lane] / (last_point + one)
    return values
