"""`Overlaps`: which objects of its own and of other classes each detection lies on. Measured once per `Matched`.

Matching says which object a detection found. What it was wrong about (a lamp of another colour, a lamp that was found
already, a box that is badly placed, nothing at all) follows from the objects that it overlaps most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray
from tl_detection.evaluation.protocol import OPERATING_IOU

if TYPE_CHECKING:
    from tl_detection.evaluation.matching import Matched


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaps:
    """The most overlapped objects of each detection; ignore areas are no objects.

    Of objects that are overlapped alike, the one whose box comes first.

    Attributes:
        own_object: (D,) object of the detection's own class that it overlaps most, as a position in the ground truth;
            -1 = it overlaps none.
        own_iou: (D,) by how much, in [0, 1]; 0 = it overlaps none.
        other_object: (D,) the same among the objects of all other classes.
        other_iou: (D,) by how much.
        found_iou: (D,) overlap with the object that it found (`Matched.object_index`); 0 = it found none.
        is_right: (D,) it found an object of its class.
        is_ignored: (D,) it found an ignore area instead, and so counts neither as right nor as wrong.
        lamp: (D,) the one object that the detection speaks of: the object that it found, else the one of any class
            that it overlaps most, and at least by `OPERATING_IOU`; of equal ones that of its own class; -1 = none.
    """

    own_object: IntArray
    own_iou: FloatArray
    other_object: IntArray
    other_iou: FloatArray
    found_iou: FloatArray
    is_right: BoolArray
    is_ignored: BoolArray
    lamp: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class MostOverlapped:
    """The most overlapped objects of some detections, and what each speaks of; for the fields see `Overlaps`."""

    own_object: IntArray
    own_iou: FloatArray
    other_object: IntArray
    other_iou: FloatArray
    lamp: IntArray


def measure_overlaps(matched: Matched) -> Overlaps:
    """Measure what each detection lies on."""
    from tl_detection.evaluation import overlap_kernels as kernels

    truth = matched.ground_truth
    level = matched.protocol.threshold_index(OPERATING_IOU) or 0
    is_ignored = matched.is_ignored_at(level=level)
    is_right = matched.is_match_at(level=level) & ~is_ignored
    found = np.where(is_right, matched.object_index, -1)
    most = find_most_overlapped(truth, matched.frame_index, matched.class_id, matched.xyxy, matched.size_px, found)
    return Overlaps(
        own_object=most.own_object,
        own_iou=most.own_iou,
        other_object=most.other_object,
        other_iou=most.other_iou,
        found_iou=kernels.paired_overlaps(matched.xyxy, matched.size_px, truth.xyxy, found),
        is_right=is_right,
        is_ignored=is_ignored,
        lamp=most.lamp,
    )


def find_most_overlapped(
    truth: GroundTruth,
    frame_index: IntArray,
    class_id: IntArray,
    xyxy: FloatArray,
    size_px: FloatArray,
    found: IntArray,
) -> MostOverlapped:
    """Find what some detections, given as columns, lie on.

    Args:
        truth: N boxes.
        frame_index: (D,) frame of each detection.
        class_id: (D,) its class.
        xyxy: (D, 4) its box.
        size_px: (D, 2) its width and height.
        found: (D,) the object that matching says it found; -1 = none.
    """
    from tl_detection.evaluation import overlap_kernels as kernels

    objects = _objects_by_box(truth, frame_index)
    own_object, own_iou, other_object, other_iou = kernels.most_overlapped(
        frame_index,
        class_id,
        xyxy,
        size_px,
        truth.xyxy[objects],
        truth.class_id[objects],
        objects,
        np.searchsorted(truth.frame_index[objects], np.arange(len(truth) + 1)),
    )
    best_iou = np.maximum(own_iou, other_iou)
    best_object = np.where(own_iou >= other_iou, own_object, other_object)
    return MostOverlapped(
        own_object=own_object,
        own_iou=own_iou,
        other_object=other_object,
        other_iou=other_iou,
        lamp=np.where(found >= 0, found, np.where(best_iou >= OPERATING_IOU, best_object, -1)),
    )


def _objects_by_box(truth: GroundTruth, frame_index: IntArray) -> IntArray:
    """Objects of some frames by frame, then box, then class: an order that does not depend on the input's."""
    is_asked = np.zeros(len(truth), np.bool_)
    is_asked[frame_index] = True
    objects = np.flatnonzero(~truth.is_ignored & is_asked[truth.frame_index])
    keys = (truth.class_id[objects], *truth.xyxy[objects].T[::-1], truth.frame_index[objects])
    return objects[np.lexsort(keys)]
