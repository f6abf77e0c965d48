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
from tl_detection.evaluation.matching import BitArray
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray

# Replicates that are turned into floating-point numbers together; what fits the caches of a processor.
_ROWS = 64
# Numbers of sequences that are drawn together; the draws are the same however many these are.
_DRAWN_AT_ONCE = 1 << 18
# Up to here every integer is a number of single precision.
_SINGLE_LIMIT = 1 << 24


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
        return self.totals(self.count(frame_index)[:, None])[:, 0].astype(np.int64)

    def totals(self, by_sequence: IntArray | FloatArray) -> FloatArray:
        """(R, M) sums over each replicate, from (S, M) sums over each sequence.

        Sums of whole numbers are exact. In floating point, since the processor multiplies such matrices many times
        faster than those of whole numbers; a block at a time, since the draws of 70,000 sequences are large.
        """
        used = np.flatnonzero(by_sequence.any(axis=1))
        few = 4 * len(used) < len(by_sequence)
        most = np.abs(by_sequence).sum(axis=0).max(initial=0) * self.times.max(initial=0)
        is_single = np.issubdtype(by_sequence.dtype, np.integer) and most < _SINGLE_LIMIT
        sums = np.ascontiguousarray(by_sequence[used] if few else by_sequence, np.float32 if is_single else np.float64)
        totals = np.empty((len(self.times), sums.shape[1]))
        for start in range(0, len(totals), _ROWS):
            times = self.times[start : start + _ROWS]
            totals[start : start + _ROWS] = (times[:, used] if few else times).astype(sums.dtype) @ sums
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
        step = max(1, _DRAWN_AT_ONCE // n)
        for start in range(0, replicates, step):
            rows = times[start : start + step]
            for row, drawn in zip(rows, rng.integers(0, n, (len(rows), n)), strict=True):
                row[:] = np.bincount(drawn, minlength=n)
    return Replicates(sequence=sequence, times=times)


def weights_in_blocks(replicates: Replicates) -> NDArray[np.uint8 | np.uint16]:
    """(blocks, S, lanes) how often each sequence was drawn; lanes beyond the last replicate are 0."""
    from tl_detection.evaluation.replicate_kernels import LANES

    n_replicates, n_sequences = replicates.times.shape
    kind = np.uint8 if replicates.times.max(initial=0) <= np.iinfo(np.uint8).max else np.uint16
    lanes = min(LANES, -(-n_replicates // 16) * 16)
    n_blocks = -(-n_replicates // lanes)
    times = np.zeros((n_blocks * lanes, n_sequences), kind)
    times[:n_replicates] = replicates.times
    return np.ascontiguousarray(times.reshape(n_blocks, lanes, n_sequences).transpose(0, 2, 1))


def average_precision_of_each(
    replicates: Replicates,
    frame_index: IntArray,
    score: FloatArray,
    is_right: BoolArray,
    is_counted: BoolArray,
    n_objects: IntArray | FloatArray,
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
    bit = np.uint64(1) << np.arange(len(is_right), dtype=np.uint64)[:, None]
    return average_precisions_of_each(
        replicates,
        weights_in_blocks(replicates),
        frame_index,
        score,
        (is_right * bit).sum(axis=0, keepdims=True, dtype=np.uint64),
        (is_counted * bit).sum(axis=0, keepdims=True, dtype=np.uint64),
        n_objects[None],
        len(is_right),
        recall_points,
    )[0]


def average_precisions_of_each(
    replicates: Replicates,
    weights: NDArray[np.uint8 | np.uint16],
    frame_index: IntArray,
    score: FloatArray,
    right_bits: BitArray,
    counted_bits: BitArray,
    n_objects: IntArray | FloatArray,
    n_levels: int,
    recall_points: int,
    *,
    is_exact: bool = True,
) -> FloatArray:
    """Average precision of every replicate in several area ranges, at several IoU thresholds.

    Args:
        replicates: R data sets.
        weights: Of `weights_in_blocks`.
        frame_index: (D,) see `average_precision_of_each`.
        score: (D,) see there.
        right_bits: (areas, D) bit t is set where a detection found an object at threshold t.
        counted_bits: (areas, D) bit t is set where it counts as right or wrong.
        n_objects: (areas, R) objects to find.
        n_levels: Number of thresholds.
        recall_points: Number of recalls from 0 to 1.
        is_exact: False computes in single precision, to 1e-5, in half of the time.

    Returns:
        (areas, thresholds, R) numbers in [0, 1]; NaN for a replicate without an object.
    """
    from tl_detection.evaluation import replicate_kernels as kernels

    n_replicates, n_lanes = len(replicates.times), len(weights) * weights.shape[2]
    most_times = int(replicates.times.max(initial=0))
    kind = np.float64 if is_exact else np.float32
    recalls = np.linspace(0, 1, recall_points)
    is_later = np.append(np.arange(recall_points) / (recall_points - 1) < recalls, False).astype(kind)
    constants = (np.spacing(1), 1e-9, recall_points - 1) if is_exact else (1e-30, 2e-5, recall_points - 1)
    is_tied = np.append((frame_index[1:] == frame_index[:-1]) & (score[1:] == score[:-1]), False)[: len(score)]
    sequence = replicates.sequence[frame_index]
    values = np.full((len(n_objects), n_levels, n_replicates), np.nan)
    for area in np.flatnonzero(n_objects.any(axis=1)):
        objects = np.zeros(n_lanes, kind)
        objects[:n_replicates] = n_objects[area]
        records = kernels.records_when_drawn(
            sequence,
            is_tied,
            right_bits[area],
            counted_bits[area],
            n_levels,
            most_times,
            replicates.times.shape[1],
        )
        of_area = kernels.average_precision_of_blocks(
            weights,
            *records,
            objects,
            is_later,
            np.array(constants, kind),
            n_levels,
            max(np.iinfo(weights.dtype).max // max(most_times, 1), 1),
        )
        values[area] = np.where(n_objects[area] > 0, of_area[:, :n_replicates], np.nan)
    return values


def mean_of_known(values: FloatArray) -> FloatArray:
    """Means over the classes of (classes, ..., R) values in replicates, without NaN; NaN where all are."""
    is_known = ~np.isnan(values)
    total = np.where(is_known, values, 0.0).sum(axis=0)
    return np.divide(total, is_known.sum(axis=0), out=np.full(total.shape, np.nan), where=is_known.any(axis=0))
