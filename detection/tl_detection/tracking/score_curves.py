"""Precision over recall at IoU 0.5, as a number of score thresholds: what a person moves along to choose one.

A class without an object in the frames has no curve.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray
from tl_detection.evaluation.records import ClassRecords, records_by_class
from tl_detection.evaluation.report import Evaluation

# 0, 0.01, ... 1: TensorBoard names the threshold of a point, and takes them to be equally spaced.
N_THRESHOLDS = 101
ALL_FRAMES = "all frames"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCurve:
    """Counts over rising score thresholds; each array has `N_THRESHOLDS` values.

    Attributes:
        right: Detections with at least that score that found an object.
        wrong: Of these detections, those that found none.
        missed: Objects that none of them found.
    """

    right: IntArray
    wrong: IntArray
    missed: IntArray

    @property
    def precision(self) -> FloatArray:
        """In [0, 1]; 0 where nothing has such a score."""
        return self.right / np.maximum(self.right + self.wrong, 1)

    @property
    def recall(self) -> FloatArray:
        """In [0, 1]."""
        return self.right / (self.right + self.missed)


def score_curve(records: ClassRecords) -> ScoreCurve | None:
    """The curve of one class in a set of frames, for objects of all sizes; None where there is no object."""
    n_objects = int(records.objects[0])
    if not n_objects:
        return None
    thresholds = np.arange(N_THRESHOLDS) / (N_THRESHOLDS - 1)
    above = np.searchsorted(-records.score, -thresholds, side="right")
    right = _sums(records.is_right_at())[above]
    return ScoreCurve(
        right=right,
        wrong=_sums(records.is_counted_at())[above] - right,
        missed=n_objects - right,
    )


def score_curves(evaluation: Evaluation) -> Iterator[tuple[str, str, ScoreCurve]]:
    """(frames, class, curve) of every class over all frames, then over the frames of each condition value."""
    matched = evaluation.matched
    truth = matched.ground_truth
    parts = [(ALL_FRAMES, np.ones(len(truth), np.bool_), matched)]
    parts += [(item.name, item.frame_mask, item.records(matched)) for item in evaluation.slices]
    for frames, mask, part in parts:
        for name, records in zip(truth.names, records_by_class(part, mask), strict=True):
            curve = score_curve(records)
            if curve is not None:
                yield frames, name, curve


def _sums(is_true: BoolArray) -> IntArray:
    """(D + 1,) how many of the first n are true."""
    return np.concatenate([[0], np.cumsum(is_true)])
