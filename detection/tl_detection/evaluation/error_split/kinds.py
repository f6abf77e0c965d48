"""`ErrorKinds`: what is wrong with each detection that found nothing, and which objects are missed altogether.

Of the overlaps with objects, ignore areas left out, at IoU 0.5 for "on" and 0.1 for "near" (the paper's t_f and t_b).
The first that holds:

localisation    near an object of its own class, but not on it
classification  on an object of another class
duplicate       on an object of its own class that a better-scored detection has found
background      near no object of any class
both            what is left: near an object of another class, and not on it

missed          an object that was not found, and that no localisation or classification error would have found

The order is that of the authors' tool, which calls an overlap of exactly 0.5 a localisation error, too. Where several
localisation and classification errors are about one object that was not found, mending makes the best-scored of them
right and takes the others away; errors about a found object go away, too. Detections that lie on ignore areas are no
errors (the authors' tool mends them).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.overlaps import Overlaps
from tl_detection.evaluation.pairs import BoolArray, IntArray
from tl_detection.evaluation.protocol import OPERATING_IOU

BACKGROUND_IOU = 0.1


class ErrorKind(IntEnum):
    """What is wrong with a detection."""

    CLASSIFICATION = 0
    LOCALISATION = 1
    BOTH = 2
    DUPLICATE = 3
    BACKGROUND = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorKinds:
    """The kinds of all errors.

    Attributes:
        kind: (D,) `ErrorKind` of each detection; -1 of one that is right or ignored.
        about: (D,) the object that a localisation or classification error is about; -1 of other kinds.
        mends: (D,) true where mending would make it find that object; false where it would go away.
        order: (D,) as `order_by_score` gives it.
        is_found: (N,) objects that a detection found.
        is_missed: (N,) objects of which nothing at all speaks.
    """

    kind: IntArray
    about: IntArray
    mends: BoolArray
    order: IntArray
    is_found: BoolArray
    is_missed: BoolArray


def order_by_score(matched: Matched) -> IntArray:
    """(D,) place of each detection among all by descending score, whatever the order of the input."""
    frame_rank = matched.ground_truth.frame_rank[matched.frame_index]
    order = np.empty(len(matched), np.int64)
    by_score = np.lexsort((matched.class_id, *matched.xyxy.T[::-1], frame_rank, -matched.score))
    order[by_score] = np.arange(len(matched))
    return order


def tell_kinds(
    matched: Matched, overlaps: Overlaps, order: IntArray, is_at_work: BoolArray | None = None
) -> ErrorKinds:
    """Tell what is wrong with each detection.

    Args:
        matched: Records of all frames.
        overlaps: Of these records.
        order: Of `order_by_score`.
        is_at_work: (D,) the detections that there are, such as those above their operating scores; None = all.
    """
    truth = matched.ground_truth
    exists = np.ones(len(matched.score), np.bool_) if is_at_work is None else is_at_work
    own, other = overlaps.own_iou, overlaps.other_iou
    cases = [
        (own >= BACKGROUND_IOU) & (own < OPERATING_IOU),
        other >= OPERATING_IOU,
        own >= OPERATING_IOU,
        np.maximum(own, other) < BACKGROUND_IOU,
    ]
    kinds = [ErrorKind.LOCALISATION, ErrorKind.CLASSIFICATION, ErrorKind.DUPLICATE, ErrorKind.BACKGROUND]
    kind = np.select(cases, [np.int64(each) for each in kinds], np.int64(ErrorKind.BOTH))
    kind[overlaps.is_right | overlaps.is_ignored | ~exists] = -1

    about = np.full(len(kind), -1, np.int64)
    about[kind == ErrorKind.LOCALISATION] = overlaps.own_object[kind == ErrorKind.LOCALISATION]
    about[kind == ErrorKind.CLASSIFICATION] = overlaps.other_object[kind == ErrorKind.CLASSIFICATION]

    is_found, is_spoken_of = np.zeros((2, len(truth.class_id)), np.bool_)
    is_found[matched.object_index[overlaps.is_right & exists]] = True
    at = np.flatnonzero(about >= 0)
    at = at[~is_found[about[at]]]
    is_spoken_of[about[at]] = True
    at = at[np.argsort(order[at])]
    mends = np.zeros(len(kind), np.bool_)
    mends[at[np.unique(about[at], return_index=True)[1]]] = True
    return ErrorKinds(
        kind=kind,
        about=about,
        mends=mends,
        order=order,
        is_found=is_found,
        is_missed=~truth.is_ignored & ~is_found & ~is_spoken_of,
    )
