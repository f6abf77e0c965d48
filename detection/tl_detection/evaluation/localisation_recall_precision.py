"""`LrpScores`: localisation, recall and precision in one error, and the score at which it is least.

LRP = (sum over found objects of (1 - IoU) / (1 - 0.5), plus false positives, plus missed objects) / (found + false
positives + missed); oLRP is its least value over all score thresholds. 0 = every object found, perfectly placed,
nothing else; 1 = nothing found. Its three parts at that threshold: how badly found objects are placed (mean 1 - IoU),
the share of detections that are wrong, and the share of objects that are missed.
(Oksuz, Cam, Akbas, Kalkan: "Localization Recall Precision (LRP): A New Performance Metric for Object Detection", ECCV
2018; "One Metric to Measure Them All", TPAMI 2021.)

A class without an object has no value. A class of which nothing is found has oLRP 1, all objects missed, and neither
a placement error nor a best score. In its interval every replicate has its own best score (see `intervals`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tl_detection.evaluation.exact_bounds import with_width
from tl_detection.evaluation.intervals import LEAST_SEQUENCES, LEVEL, bounds_of, counted_in
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.outcomes import Outcomes, of_class
from tl_detection.evaluation.overlaps import Overlaps
from tl_detection.evaluation.pairs import FloatArray, IntArray
from tl_detection.evaluation.protocol import OPERATING_IOU
from tl_detection.evaluation.replicates import Replicates, mean_of_known, weights_in_blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLrp:
    """The least error of one class; of "mean" the means over the classes that have a value.

    Attributes:
        name: The class, or "mean".
        olrp: In [0, 1], lower is better; None without an object.
        olrp_low: Lower bound of its 95 % bootstrap interval over sequences; None of too few.
        olrp_high: Upper bound.
        sequences: Sequences that hold an object.
        placement: Mean 1 - IoU of the found objects, in [0, 0.5]; None where none is found.
        false_positives: Share of the detections from `best_score` on that are wrong; None where none is found.
        missed: Share of the objects that are missed.
        best_score: The score threshold at which the error is least, the higher one of equals; None where nothing is
            found, and of the mean.
    """

    name: str
    olrp: float | None
    olrp_low: float | None = None
    olrp_high: float | None = None
    sequences: int = 0
    placement: float | None
    false_positives: float | None
    missed: float | None
    best_score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LrpScores:
    """oLRP of a selection.

    Attributes:
        mean: Over the classes that have a value.
        classes: Per class, by id.
    """

    mean: ClassLrp
    classes: tuple[ClassLrp, ...]


def score_lrp(matched: Matched, overlaps: Overlaps, outcomes: Outcomes, replicates: Replicates) -> LrpScores:
    """Score a selection by its outcomes, with intervals from replicates of its frames."""
    truth, weights = matched.ground_truth, weights_in_blocks(replicates)
    classes, drawn, counts = [], [], []
    for class_id, name in enumerate(truth.names):
        count = replicates.count(truth.frame_index[outcomes.is_object & (truth.class_id == class_id)])
        found = _score_class(matched, overlaps, outcomes, class_id, name)
        values = np.full(len(replicates.times), np.nan)
        if count.any() and replicates.times.shape[1] >= LEAST_SEQUENCES:
            values = _in_replicates(matched, overlaps, outcomes, replicates, weights, class_id)
        classes.append(_with_interval(found, values, [count]))
        drawn.append(values)
        counts.append(count)
    mean = ClassLrp(
        name="mean",
        olrp=_mean([item.olrp for item in classes]),
        placement=_mean([item.placement for item in classes]),
        false_positives=_mean([item.false_positives for item in classes]),
        missed=_mean([item.missed for item in classes]),
        best_score=None,
    )
    return LrpScores(mean=_with_interval(mean, mean_of_known(np.stack(drawn)), counts), classes=tuple(classes))


def _in_replicates(
    matched: Matched,
    overlaps: Overlaps,
    outcomes: Outcomes,
    replicates: Replicates,
    weights: NDArray[np.uint8 | np.uint16],
    class_id: int,
) -> FloatArray:
    """(R,) oLRP of a class; NaN where a replicate has none of its objects."""
    from tl_detection.evaluation.lrp_kernels import least_errors

    truth = matched.ground_truth
    at = of_class(matched, outcomes.is_counted, class_id)
    score, is_right = matched.score[at], outcomes.is_right[at]
    n_objects = np.zeros(len(weights) * weights.shape[2])
    objects = replicates.total(truth.frame_index[outcomes.is_object & (truth.class_id == class_id)])
    n_objects[: len(objects)] = objects
    values = least_errors(
        weights,
        replicates.sequence[matched.frame_index[at]],
        is_right,
        (1 - overlaps.found_iou[at]) / (1 - OPERATING_IOU),
        np.append(score[:-1] != score[1:], True)[: len(score)],
        n_objects,
    )
    return np.where(objects > 0, values[: len(objects)], np.nan)


def _with_interval(found: ClassLrp, values: FloatArray, counts: Sequence[IntArray]) -> ClassLrp:
    """With the bounds of its values in replicates; `counts` are the objects of each class by sequence."""
    known = values[~np.isnan(values)]
    sequences = int(np.count_nonzero(np.stack(counts).any(axis=0)))
    found = replace(found, sequences=sequences)
    if found.olrp is None or sequences < LEAST_SEQUENCES or not known.size:
        return found
    stands_on = [counted_in(count) for count in counts]
    low, high = with_width(*bounds_of(known, sequences), stands_on, LEVEL, higher_is_better=False)
    return replace(found, olrp_low=low, olrp_high=high)


def _score_class(matched: Matched, overlaps: Overlaps, outcomes: Outcomes, class_id: int, name: str) -> ClassLrp:
    n_objects = int(outcomes.objects[class_id])
    if not n_objects:
        return ClassLrp(name=name, olrp=None, placement=None, false_positives=None, missed=None, best_score=None)
    at = of_class(matched, outcomes.is_counted, class_id)
    score, is_right = matched.score[at], outcomes.is_right[at]
    # Detections of one score pass a threshold together; the error falls only where one of them is right.
    run_end = np.flatnonzero(np.append(score[:-1] != score[1:], True)) if len(at) else np.zeros(0, np.int64)
    n_right, n_counted = np.cumsum(is_right)[run_end], run_end + 1
    misplaced = np.cumsum(np.where(is_right, 1 - overlaps.found_iou[at], 0.0))[run_end]
    n_wrong, n_missed = n_counted - n_right, n_objects - n_right
    error = (misplaced / (1 - OPERATING_IOU) + n_wrong + n_missed) / (n_wrong + n_objects)
    best = int(error.argmin()) if error.size else -1
    if best < 0 or error[best] >= 1:
        return ClassLrp(name=name, olrp=1.0, placement=None, false_positives=None, missed=1.0, best_score=None)
    return ClassLrp(
        name=name,
        olrp=float(error[best]),
        placement=float(misplaced[best] / n_right[best]),
        false_positives=float(n_wrong[best] / n_counted[best]),
        missed=float(n_missed[best] / n_objects),
        best_score=float(score[run_end[best]]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
