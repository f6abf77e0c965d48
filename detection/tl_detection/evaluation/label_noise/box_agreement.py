"""How far boxes agree: the objects of one annotation as predictions of score 1 against the other.

By COCO's rules, so that the numbers stand beside a detector's. Whether classes must agree too is the choice of the
caller: `by_category` lets every box be found by any of its category. What lies in an ignore area of the annotation that
judges counts neither way. What lies in one of the other counts as missed: it is no prediction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tl_detection.evaluation.detection_table import DetectionTable
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.intervals import LEAST_SEQUENCES, bounds_of
from tl_detection.evaluation.matching import Matched, match
from tl_detection.evaluation.pairs import BoolArray, FloatArray
from tl_detection.evaluation.protocol import CocoProtocol
from tl_detection.evaluation.rates import Rate, measure_rate
from tl_detection.evaluation.replicates import Replicates

IOUS = (0.5, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number and its 95 % bootstrap interval over sequences; None where there is none."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxAgreement:
    """Agreement at one IoU threshold.

    Attributes:
        iou: The threshold.
        precision: Share of the predicting annotation's objects that the judging one has too.
        recall: Share of the judging annotation's objects that the predicting one has too.
        f1: Harmonic mean of both.
    """

    iou: float
    precision: Rate
    recall: Rate
    f1: Estimate


def by_category(first: GroundTruth, second: GroundTruth) -> tuple[GroundTruth, GroundTruth]:
    """Both with one class per object category, so that states and all other traits are left out."""
    words = sorted({*first.boxes["category"].to_list(), *second.boxes["category"].to_list()}) or ["object"]
    n_classes = len(words)

    def merged(truth: GroundTruth) -> GroundTruth:
        category = np.array([words.index(word) for word in truth.boxes["category"]], np.int64)
        return replace(
            truth,
            names=tuple(words),
            means_stop=(False,) * n_classes,
            means_go=(False,) * n_classes,
            states=((),) * n_classes,
            class_id=np.where(truth.class_id >= 0, category, truth.class_id),
        )

    return merged(first), merged(second)


def match_labels(predicting: GroundTruth, judging: GroundTruth, protocol: CocoProtocol) -> Matched:
    """Match the objects of one annotation, as predictions of score 1, with those of the other.

    Args:
        predicting: F frames.
        judging: The same frames in the same order, and the same classes.
        protocol: The rules; no object is left out because there are too many.
    """
    is_object = ~predicting.is_ignored
    n_most = int(np.bincount(predicting.frame_index[is_object], minlength=1).max())
    most = (*protocol.max_detections[:-1], max(protocol.max_detections[-1], n_most))
    table = DetectionTable(
        frame_index=predicting.frame_index[is_object],
        class_id=predicting.class_id[is_object],
        score=np.ones(int(is_object.sum())),
        xyxy=predicting.xyxy[is_object],
    )
    return match(judging, table, replace(protocol, max_detections=most))


def measure_boxes(matched: Matched, frames: BoolArray, replicates: Replicates) -> tuple[BoxAgreement, ...]:
    """Agreement in some frames, at every threshold of `IOUS` that the protocol has.

    Args:
        matched: Of `match_labels`.
        frames: (F,) the frames.
        replicates: Drawn from them.
    """
    levels = [(iou, matched.protocol.threshold_index(iou)) for iou in IOUS]
    return tuple(_measure(matched, frames, replicates, iou, level) for iou, level in levels if level is not None)


def _measure(matched: Matched, frames: BoolArray, replicates: Replicates, iou: float, level: int) -> BoxAgreement:
    truth = matched.ground_truth
    is_counted = ~matched.is_ignored_at(0, level) & frames[matched.frame_index]
    right = matched.frame_index[is_counted & matched.is_match_at(0, level)]
    said, objects = matched.frame_index[is_counted], truth.frame_index[~truth.is_ignored & frames[truth.frame_index]]
    # F1 is the share of all boxes of both that have a partner: 2 * right / (said + objects).
    f1 = measure_rate(replicates, np.repeat(right, 2), np.concatenate([said, objects]), higher_is_better=True)
    return BoxAgreement(
        iou=iou,
        precision=measure_rate(replicates, right, said, higher_is_better=True),
        recall=measure_rate(replicates, right, objects, higher_is_better=True),
        f1=Estimate(value=f1.value, low=f1.low, high=f1.high),
    )


def estimate(value: float | None, drawn: FloatArray, sequences: int) -> Estimate:
    """A number with the interval of what replicates give; none where all give the same, which says nothing of others.

    Args:
        value: The number itself.
        drawn: (R,) in the replicates, NaN where there is none.
        sequences: That hold what it is measured on.
    """
    known = drawn[~np.isnan(drawn)]
    low = high = None
    if value is not None and sequences >= LEAST_SEQUENCES and known.size:
        low, high = bounds_of(known, sequences)
        if low == high:
            low = high = None
    return Estimate(value=None if value is None else float(value), low=low, high=high)
