"""Precision and recall from the ordered records of one class: COCO's curve, and the best operating score.

Average precision: the mean over equally spaced recalls of the highest precision at that recall or beyond, 0 beyond the
highest recall. Without an object there is no curve, and callers do not come here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]


def average_precision(is_right: BoolArray, is_counted: BoolArray, n_objects: int, recall_points: int) -> float:
    """Average precision of detections in descending order of score.

    Args:
        is_right: (D,) found an object.
        is_counted: (D,) counts as right or wrong.
        n_objects: Objects to find, at least 1.
        recall_points: Number of recalls from 0 to 1.

    Returns:
        A number in [0, 1].
    """
    # Precision rises only where an object is found, so its highest value beyond any recall lies at such a place.
    at = np.flatnonzero(is_right)
    if not at.size:
        return 0.0
    n_right = np.arange(1, at.size + 1)
    precision = n_right / (np.cumsum(is_counted)[at] + np.spacing(1))
    highest_beyond = np.maximum.accumulate(precision[::-1])[::-1]
    # The first place that reaches each recall; the extra 0 stands for recalls that are never reached.
    place = np.searchsorted(n_right / n_objects, np.linspace(0, 1, recall_points), side="left")
    return float(np.append(highest_beyond, 0.0)[place].mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """Precision, recall and F1 of the detections with at least a score; precision is None without any detection."""

    precision: float | None
    recall: float
    f1: float


def best_operating_score(
    score: NDArray[np.float64], is_right: BoolArray, is_counted: BoolArray, n_objects: int
) -> float | None:
    """The score at which F1 is best, the higher one of equals; None where no score finds an object.

    Args:
        score: (D,) descending.
        is_right: (D,) found an object.
        is_counted: (D,) counts as right or wrong.
        n_objects: Objects to find, at least 1.
    """
    if not is_right.any():
        return None
    # Detections of one score pass a threshold together, so only the last of each run is a possible threshold.
    run_end = np.flatnonzero(np.append(score[:-1] != score[1:], True))
    f1 = 2 * np.cumsum(is_right)[run_end] / (np.cumsum(is_counted)[run_end] + n_objects)
    return float(score[run_end[f1.argmax()]])


def operating_point(n_right: int, n_counted: int, n_objects: int) -> OperatingPoint:
    """Precision, recall and F1 from counts; `n_objects` is at least 1."""
    return OperatingPoint(
        precision=n_right / n_counted if n_counted else None,
        recall=n_right / n_objects,
        f1=2 * n_right / (n_counted + n_objects),
    )
