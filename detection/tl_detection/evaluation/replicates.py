"""Replicates: the frames of a data set drawn again, sequence by sequence, and average precision in each of them.

Frames of one drive resemble each other, so whole sequences are drawn, with replacement, as many as there are. Nothing
is matched again and nothing is sorted again: a frame's matches do not depend on the other frames, so a replicate is
the same records, each counted as often as its frame was drawn. That gives to the last digit what scoring a data set
with the repeated frames gives, ties in score included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray

# Records times replicates that are worked on together; what fits the caches of a processor.
_BLOCK = 1 << 17
# Draws that are turned into double precision together: 32 megabytes.
_MATRIX_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicates:
    """R data sets drawn from a set of frames.

    Attributes:
        sequence: (F,) position of each frame's sequence among the S that can be drawn; -1 = not among the frames.
        times: (R, S) how often each sequence was drawn.
    """

    sequence: IntArray
    times: NDArray[np.int16]

    def total(self, frame_index: IntArray) -> IntArray:
        """(R,) how often things of these frames occur in each replicate; things of other frames do not count."""
        return self.times @ self.count(frame_index)

    def totals(self, by_sequence: IntArray | FloatArray) -> FloatArray:
        """(R, M) sums over each replicate, from (S, M) sums over each sequence.

        Sums of whole numbers are exact. In double precision, since the processor multiplies such matrices many times
        faster than those of whole numbers; a block at a time, since the draws of 70,000 sequences are large.
        """
        sums, n = np.ascontiguousarray(by_sequence, np.float64), len(self.times)
        totals = np.empty((n, sums.shape[1]))
        step = max(1, _MATRIX_BLOCK // max(1, len(sums)))
        for start in range(0, n, step):
            np.matmul(self.times[start : start + step].astype(np.float64), sums, out=totals[start : start + step])
        return totals

    def count(self, frame_index: IntArray) -> IntArray:
        """(S,) how many things of these frames each sequence holds."""
        at = self.sequence[frame_index]
        return np.bincount(at[at >= 0], minlength=self.times.shape[1]).astype(np.int64)


def sequence_numbers(ground_truth: GroundTruth) -> IntArray:
    """(F,) number of each frame's sequence, whatever the order of the frames; a frame without one is one of its own."""
    columns = (ground_truth.conditions["source"], ground_truth.conditions["sequence"], ground_truth.frame_ids)
    keys = [
        (source or "", sequence is None, frame_id if sequence is None else sequence)
        for source, sequence, frame_id in zip(*columns, strict=True)
    ]
    number = {key: index for index, key in enumerate(sorted(set(keys)))}
    return np.array([number[key] for key in keys], np.int64)


def draw_replicates(
    sequence_number: IntArray, frame_mask: BoolArray | None = None, *, replicates: int = 1000, seed: int = 0
) -> Replicates:
    """Draw data sets of as many sequences as the frames have. The same frames and seed give the same replicates.

    Args:
        sequence_number: (F,) of `sequence_numbers`.
        frame_mask: (F,) the frames to draw from; None = all.
        replicates: R, at least 1.
        seed: Of the draw.
    """
    mask = np.ones(len(sequence_number), np.bool_) if frame_mask is None else frame_mask
    numbers, position = np.unique(sequence_number[mask], return_inverse=True)
    sequence = np.full(len(mask), -1, np.int64)
    sequence[mask] = position
    n, rng = len(numbers), np.random.default_rng(seed)
    times = np.zeros((replicates, n), np.int16)
    if n:
        for row in times:
            row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
    return Replicates(sequence=sequence, times=times)


def average_precision_of_each(
    replicates: Replicates,
    frame_index: IntArray,
    score: FloatArray,
    is_right: BoolArray,
    is_counted: BoolArray,
    n_objects: IntArray,
    recall_points: int,
) -> FloatArray:
    """Average precision of every replicate at several IoU thresholds; see `curves.average_precision`.

    Args:
        replicates: R data sets.
        frame_index: (D,) frame of each detection, all among the frames drawn from; by descending score, equal scores
            frame by frame.
        score: (D,) its score.
        is_right: (thresholds, D) found an object.
        is_counted: (thresholds, D) counts as right or wrong.
        n_objects: (R,) objects to find.
        recall_points: Number of recalls from 0 to 1.

    Returns:
        (thresholds, R) numbers in [0, 1]; NaN for a replicate without an object.
    """
    values = np.tile(np.where(n_objects > 0, 0.0, np.nan), (len(is_right), 1))
    if not is_right.any():
        return values
    is_ever_right = np.logical_or.reduce(is_right)
    record, copy = _in_order_when_drawn(frame_index, score, is_ever_right, int(replicates.times.max()))
    # What counts at no threshold, and what follows the last object that was found, changes nothing.
    matters = np.logical_or.reduce(is_counted)[record]
    matters[np.flatnonzero(is_ever_right[record])[-1] + 1 :] = False
    record, copy = record[matters], copy[matters]
    sequence, split = replicates.sequence[frame_index[record]], np.flatnonzero(copy >= 0)
    is_right, is_counted = is_right[:, record], is_counted[:, record]
    # Nearly all detections are wrong at every threshold, so they are added up once, between those that are not.
    apart = np.flatnonzero(is_right.any(axis=0) | ~is_counted.all(axis=0))
    is_right, is_counted = is_right[:, apart], is_counted[:, apart]
    segments = np.append(0, apart[:-1] + 1)
    filled = np.flatnonzero(n_objects)
    step = max(1, _BLOCK // len(record))
    for start in range(0, len(filled), step):
        rows = filled[start : start + step]
        needed = _needed(n_objects[rows], recall_points)
        times = replicates.times[rows].take(sequence, axis=1)
        times[:, split] = np.clip(times[:, split] - copy[split], 0, 1)
        times_apart = times[:, apart].astype(np.int64)
        between = np.add.reduceat(times, segments, axis=1, dtype=np.int64) - times_apart
        n_wrong_between = np.cumsum(between, axis=1)
        for level, right in enumerate(is_right):
            n_right = np.cumsum(times_apart[:, right], axis=1)
            n_counted = (n_wrong_between + np.cumsum(times_apart * is_counted[level], axis=1))[:, right]
            values[level, rows] = _mean_highest_precision(n_right, n_counted, needed)
    return values


def _in_order_when_drawn(
    frame_index: IntArray, score: FloatArray, is_right: BoolArray, most_times: int
) -> tuple[IntArray, IntArray]:
    """The records in the order that they have when frames occur several times.

    A frame that is drawn twice stands twice in a row among detections of one score: right, wrong, right, wrong, not
    right, right, wrong, wrong. Such runs are written out as often as a frame was drawn at most.

    Returns:
        (E,) record, and (E,) its copy, from 0, which is there if its frame was drawn more often than that; -1 for a
        record that stands once and counts as often as its frame was drawn.
    """
    is_first = np.append(True, (frame_index[1:] != frame_index[:-1]) | (score[1:] != score[:-1]))
    run = np.cumsum(is_first) - 1
    size = np.bincount(run)
    is_split = (size > 1) & (np.bincount(run, is_right) > 0)
    length = size * np.where(is_split, most_times, 1)
    run = np.repeat(np.arange(len(size)), length)
    within = np.arange(len(run)) - np.repeat(np.cumsum(length) - length, length)
    record = np.flatnonzero(is_first)[run] + within % size[run]
    return record, np.where(is_split[run], within // size[run], -1)


def _needed(n_objects: IntArray, recall_points: int) -> IntArray:
    """(R, recall points) the least number of objects found at which each recall is reached, as division rounds."""
    recall, objects = np.linspace(0, 1, recall_points), n_objects[:, None]
    needed = np.ceil(recall * objects).astype(np.int64)
    needed -= (needed - 1) / objects >= recall
    return needed + (needed / objects < recall)


def _mean_highest_precision(n_right: IntArray, n_counted: IntArray, needed: IntArray) -> FloatArray:
    """(R,) from (R, T) counts at the detections that found an object, each after its last copy."""
    n_rows, n_places = n_right.shape
    if not n_places:
        return np.zeros(n_rows)
    # Of the copies of one detection the last has the highest precision; one that was not drawn repeats its
    # predecessor's count at a lower precision. So neither needs a thought.
    precision = n_right / (n_counted + np.spacing(1))
    highest_beyond = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # One search for all rows: every row's counts are lifted above those of the row before.
    row = np.arange(n_rows)[:, None]
    lift = row * (max(int(n_right[:, -1].max()), int(needed.max())) + 1)
    place = np.searchsorted((n_right + lift).ravel(), (needed + lift).ravel()).reshape(needed.shape) - row * n_places
    return np.take_along_axis(np.pad(highest_beyond, ((0, 0), (0, 1))), place, axis=1).mean(axis=1)
