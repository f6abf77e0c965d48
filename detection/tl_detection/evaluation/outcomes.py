"""`Outcomes`: which detections of a selection are right and which are wrong, at IoU 0.5.

A detection that found an object of the selection is right. One that found an object outside it, or an ignore area, is
neither. One that found nothing is wrong if the selection lets it count.

What it found is what it found among all objects: what a detector says of a lamp does not depend on which lamps are
looked at. Average precision of a slice of objects is matched anew (`match_objects`), as COCO does for sizes, where a
detection that overlaps several objects of its class takes one of the slice; so the two can differ by such detections.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.overlaps import Overlaps
from tl_detection.evaluation.pairs import BoolArray, IntArray
from tl_detection.evaluation.selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What became of the detections of a selection.

    Attributes:
        is_right: (D,) found an object of the selection.
        is_counted: (D,) is right or wrong.
        is_object: (N,) the objects of the selection.
        objects: (classes,) how many there are.
    """

    is_right: BoolArray
    is_counted: BoolArray
    is_object: BoolArray
    objects: IntArray


def tell_outcomes(matched: Matched, overlaps: Overlaps, selection: Selection) -> Outcomes:
    """Tell right from wrong among the detections."""
    truth = matched.ground_truth
    is_right = overlaps.is_right.copy()
    is_right[is_right] = selection.objects[matched.object_index[is_right]]
    is_wrong = selection.detections & ~overlaps.is_right & ~overlaps.is_ignored
    return Outcomes(
        is_right=is_right,
        is_counted=is_right | is_wrong,
        is_object=selection.objects,
        objects=np.bincount(truth.class_id[selection.objects], minlength=len(truth.names)).astype(np.int64),
    )


def of_class(matched: Matched, is_counted: BoolArray, class_id: int) -> IntArray:
    """Positions of the detections of one class that count, by descending score."""
    start, stop = matched.class_offsets[class_id : class_id + 2]
    return start + np.flatnonzero(is_counted[start:stop])
