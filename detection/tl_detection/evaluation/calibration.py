"""`Calibration`: does a score of 0.8 mean that eight of ten are right?

Detections at or above a floor are sorted into bins of equal width between 0 and 1 by their score. D-ECE is the mean
over the bins, weighted by their detections, of |share that is right - mean score|; 0 = the scores mean what they say.
Right = found an object of its class at IoU 0.5. (Kueppers, Kronenberger, Shantia, Haselhoff: "Multivariate Confidence
Calibration for Object Detection", CVPR Workshops 2020; the version over confidence alone.)

A bin without a detection has no values. The interval is a bootstrap over sequences; an absolute error grows
when the data set is small, so the interval of few sequences lies somewhat too high.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.intervals import LEAST_SEQUENCES, bounds_of
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.outcomes import Outcomes
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray
from tl_detection.evaluation.replicates import Replicates

N_BINS = 20
# Detections far below any operating score are many and of no consequence; they would make every detector look honest.
FLOOR_SCORE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Detections with scores in [low, high); the last bin holds 1, too.

    Attributes:
        low: Lower edge.
        high: Upper edge.
        detections: How many.
        mean_score: Their mean score; None without any.
        right: Share of them that is right; None without any.
    """

    low: float
    high: float
    detections: int
    mean_score: float | None
    right: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCalibration:
    """How honest the scores of one class are.

    Attributes:
        name: The class; "all" of all together.
        detections: At or above the floor, ignored ones left out.
        d_ece: None without a detection.
        low: Lower bound of its interval; None of too few sequences.
        high: Upper bound.
        sequences: Sequences that hold such detections.
        bins: The reliability curve, from the bin of the floor on.
    """

    name: str
    detections: int
    d_ece: float | None
    low: float | None
    high: float | None
    sequences: int
    bins: tuple[CalibrationBin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Calibration of a selection.

    Attributes:
        floor_score: Detections below do not count.
        n_bins: Bins between 0 and 1.
        overall: Of all classes together.
        classes: Per class, by id.
    """

    floor_score: float
    n_bins: int
    overall: ClassCalibration
    classes: tuple[ClassCalibration, ...]


def measure_calibration(
    matched: Matched,
    outcomes: Outcomes,
    replicates: Replicates,
    *,
    floor_score: float = FLOOR_SCORE,
    n_bins: int = N_BINS,
) -> Calibration:
    """Measure the calibration of a selection.

    Args:
        matched: Records of all frames.
        outcomes: Of the selection.
        replicates: Drawn from its frames.
        floor_score: In [0, 1].
        n_bins: At least 1.

    Raises:
        ValueError: The floor or the number of bins is out of range.
    """
    if not 0 <= floor_score <= 1 or n_bins < 1:
        raise ValueError(f"floor {floor_score} and {n_bins} bins: expected a floor from 0 to 1 and at least 1 bin")
    at = np.flatnonzero(outcomes.is_counted & (matched.score >= floor_score))
    score, is_right, class_id = matched.score[at], outcomes.is_right[at], matched.class_id[at]
    edges = np.arange(n_bins) / n_bins
    place = np.searchsorted(edges, score, side="right") - 1
    sequence = replicates.sequence[matched.frame_index[at]]

    def measure(name: str, mask: BoolArray) -> ClassCalibration:
        return _measure_class(
            name, replicates, sequence[mask], place[mask], score[mask], is_right[mask], floor_score, n_bins
        )

    return Calibration(
        floor_score=floor_score,
        n_bins=n_bins,
        overall=measure("all", np.ones(len(at), np.bool_)),
        classes=tuple(measure(name, class_id == index) for index, name in enumerate(matched.ground_truth.names)),
    )


def _measure_class(
    name: str,
    replicates: Replicates,
    sequence: IntArray,
    place: IntArray,
    score: FloatArray,
    is_right: BoolArray,
    floor_score: float,
    n_bins: int,
) -> ClassCalibration:
    n_sequences = replicates.times.shape[1]
    first = min(int(floor_score * n_bins), n_bins - 1)
    cell = sequence * n_bins + place
    sums = [
        np.bincount(cell, weights, minlength=n_sequences * n_bins).reshape(n_sequences, n_bins)[:, first:]
        for weights in (None, score, is_right)
    ]
    count, total_score, n_right = (item.sum(axis=0) for item in sums)
    n, sequences = int(count.sum()), int(np.count_nonzero(sums[0].sum(axis=1)))
    low = high = None
    if sequences >= LEAST_SEQUENCES:
        # A bin's share of the error is |right - score| of its sums: its own count falls out.
        held = np.flatnonzero(sums[0].any(axis=1))
        drawn = Replicates(sequence=replicates.sequence, times=replicates.times[:, held])
        gap, counts = drawn.totals((sums[2] - sums[1])[held]), drawn.totals(sums[0][held].sum(axis=1, keepdims=True))
        is_filled = counts[:, 0] > 0
        values = np.abs(gap[is_filled]).sum(axis=1) / counts[is_filled, 0]
        if values.size:
            low, high = bounds_of(values, sequences)
    return ClassCalibration(
        name=name,
        detections=n,
        d_ece=float(np.abs(n_right - total_score).sum() / n) if n else None,
        low=low,
        high=high,
        sequences=sequences,
        bins=tuple(
            CalibrationBin(
                low=(first + index) / n_bins,
                high=(first + index + 1) / n_bins,
                detections=int(in_bin),
                mean_score=float(total_score[index] / in_bin) if in_bin else None,
                right=float(n_right[index] / in_bin) if in_bin else None,
            )
            for index, in_bin in enumerate(count)
        ),
    )
