"""`ScoreCurves`: precision, recall and F1 over the score threshold, and so the precision-recall curve.

A curve is thinned to some hundred points; each that is left has the value that it had. The points are those that
divide the range of scores and that of recall evenly, the first, the last, and the one with the best F1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.outcomes import Outcomes, of_class
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray

MOST_POINTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCurve:
    """The curve of one class; all are empty without an object or a detection that counts.

    Attributes:
        name: The class.
        objects: Objects to find.
        score: (P,) thresholds, descending; detections with at least this score count.
        precision: (P,) share of the detections that is right.
        recall: (P,) share of the objects that is found; ascending.
        f1: (P,) harmonic mean of both.
    """

    name: str
    objects: int
    score: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCurves:
    """Curves of a selection: per class, by id."""

    classes: tuple[ClassCurve, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What every possible threshold of one class gives, at least one.

    Attributes:
        score: (T,) descending.
        n_right: (T,) detections at or above it that are right.
        n_counted: (T,) detections at or above it that count.
        n_objects: Objects to find, at least 1.
    """

    score: FloatArray
    n_right: IntArray
    n_counted: IntArray
    n_objects: int

    @property
    def precision(self) -> FloatArray:
        """(T,) share of the detections that is right."""
        return self.n_right / self.n_counted

    @property
    def recall(self) -> FloatArray:
        """(T,) share of the objects that is found."""
        return self.n_right / self.n_objects

    @property
    def f1(self) -> FloatArray:
        """(T,) harmonic mean of both."""
        return 2 * self.n_right / (self.n_counted + self.n_objects)


def thresholds_of(score: FloatArray, is_right: BoolArray, n_objects: int) -> Thresholds | None:
    """All thresholds of detections that count, by descending score; None without an object or detection."""
    if not n_objects or not len(score):
        return None
    # Detections of one score pass a threshold together.
    run_end = np.flatnonzero(np.append(score[:-1] != score[1:], True))
    return Thresholds(
        score=score[run_end],
        n_right=np.cumsum(is_right, dtype=np.int64)[run_end],
        n_counted=run_end + 1,
        n_objects=n_objects,
    )


def draw_curves(matched: Matched, outcomes: Outcomes, most_points: int = MOST_POINTS) -> ScoreCurves:
    """Draw the curves of a selection.

    Args:
        matched: Records of all frames.
        outcomes: Of the selection.
        most_points: Of each curve, at least 5.
    """
    return ScoreCurves(
        classes=tuple(
            _draw_class(matched, outcomes, class_id, name, most_points)
            for class_id, name in enumerate(matched.ground_truth.names)
        )
    )


def _draw_class(matched: Matched, outcomes: Outcomes, class_id: int, name: str, most_points: int) -> ClassCurve:
    at, n_objects = of_class(matched, outcomes.is_counted, class_id), int(outcomes.objects[class_id])
    found = thresholds_of(matched.score[at], outcomes.is_right[at], n_objects)
    if found is None:
        return ClassCurve(name=name, objects=n_objects, score=(), precision=(), recall=(), f1=())
    kept = _thin(found, most_points)
    return ClassCurve(
        name=name,
        objects=n_objects,
        score=tuple(found.score[kept].tolist()),
        precision=tuple(found.precision[kept].tolist()),
        recall=tuple(found.recall[kept].tolist()),
        f1=tuple(found.f1[kept].tolist()),
    )


def _thin(thresholds: Thresholds, most_points: int) -> IntArray:
    n = len(thresholds.score)
    if n <= most_points:
        return np.arange(n)
    always = np.array([0, int(thresholds.f1.argmax()), n - 1])
    half = (most_points - len(always)) // 2
    even = [
        np.searchsorted(values, np.linspace(values[0], values[-1], half))
        for values in (-thresholds.score, thresholds.recall)
    ]
    return np.unique(np.minimum(np.concatenate([always, *even]), n - 1))
