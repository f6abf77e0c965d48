"""`Answers`: what a detector says of each object, once every class has its operating score.

Counted are the detections at or above the operating score of their class. What is said of an object is the class of the
best-scored one that speaks of it, of whatever class: states exclude each other, so the others on the same lamp are
neither a second confusion nor phantoms. Of equal scores the first box speaks, then the first class.

A detection speaks of one object, even where it lies on two: of the one that matching says it found; else of the one
that it overlaps most, by at least IoU 0.5. So a green box that has found a green lamp does not also turn the red lamp
beside it, which it happens to overlap, into green.

A detection that speaks of no object and lies on no ignore area of its class is a phantom where it touches no object,
and else a misplaced box: there is a light, and the box is about it, but not on it. A red lamp that is to be ignored
excuses red alone. An object in an ignore area is still an object: what is said of it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.overlaps import Overlaps
from tl_detection.evaluation.pairs import BoolArray, IntArray

# What is said of an object of which nothing is said.
MISSED = -1
# A box that overlaps no object by as much is not a badly placed one: what the error split calls background.
TOUCHING_IOU = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What is said of each object, and what is said of nothing.

    Attributes:
        matched: The records.
        overlaps: What the detections lie on.
        operating_scores: Per class.
        said: (N,) class that is said of each object; `MISSED` where nothing is said, and at ignore areas.
        speaker: (N,) the detection that says it; -1 = none.
        phantoms: (P,) detections that speak of nothing and touch nothing (less than `TOUCHING_IOU`), ascending.
        misplaced: (M,) detections that speak of nothing and touch an object, ascending.
    """

    matched: Matched
    overlaps: Overlaps
    operating_scores: tuple[float, ...]
    said: IntArray
    speaker: IntArray
    phantoms: IntArray
    misplaced: IntArray


def read_answers(matched: Matched, overlaps: Overlaps, operating_scores: Sequence[float]) -> Answers:
    """Find out what is said of each object.

    Args:
        matched: Records of all frames.
        overlaps: Of these records.
        operating_scores: Per class, in [0, 1].

    Raises:
        ValueError: There are not as many operating scores as classes.
    """
    n_classes, n_boxes = len(matched.ground_truth.names), len(matched.ground_truth.class_id)
    if len(operating_scores) != n_classes:
        raise ValueError(f"{len(operating_scores)} operating scores for {n_classes} classes")
    counts = is_at_work(matched, operating_scores)
    at = np.flatnonzero(counts & (overlaps.lamp >= 0))
    best_first = np.lexsort((matched.class_id[at], *matched.xyxy[at].T[::-1], -matched.score[at], overlaps.lamp[at]))
    at = at[best_first]
    lamp, first = np.unique(overlaps.lamp[at], return_index=True)
    said, speaker = np.full(n_boxes, MISSED, np.int64), np.full(n_boxes, -1, np.int64)
    speaker[lamp] = at[first]
    said[lamp] = matched.class_id[at[first]]
    speaks_of_nothing = counts & (overlaps.lamp < 0) & ~overlaps.is_ignored
    touches = np.maximum(overlaps.own_iou, overlaps.other_iou) >= TOUCHING_IOU
    return Answers(
        matched=matched,
        overlaps=overlaps,
        operating_scores=tuple(float(score) for score in operating_scores),
        said=said,
        speaker=speaker,
        phantoms=np.flatnonzero(speaks_of_nothing & ~touches),
        misplaced=np.flatnonzero(speaks_of_nothing & touches),
    )


def is_at_work(matched: Matched, operating_scores: Sequence[float]) -> BoolArray:
    """(D,) true for the detections at or above the operating score of their class."""
    return matched.score >= np.asarray(operating_scores, np.float64)[matched.class_id]
