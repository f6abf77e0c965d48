"""`Overlaps`: which objects of its own and of other classes each detection lies on. Measured once per `Matched`.

Matching says which object a detection found. What it was wrong about (a lamp of another colour, a lamp that was found
already, a box that is badly placed, nothing at all) follows from the objects that it overlaps most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray
from tl_detection.evaluation.protocol import OPERATING_IOU


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


def measure_overlaps(matched: Matched) -> Overlaps:
    """Measure what each detection lies on."""
    truth = matched.ground_truth
    objects = _objects_by_box(truth)
    bounds = np.searchsorted(truth.frame_index[objects], np.arange(len(truth) + 1))
    own_object, own_iou, other_object, other_iou = _most_overlapped(
        matched.frame_index,
        matched.class_id,
        np.ascontiguousarray(matched.xyxy),
        np.ascontiguousarray(truth.xyxy[objects]),
        truth.class_id[objects],
        objects,
        bounds,
    )
    level = matched.protocol.threshold_index(OPERATING_IOU) or 0
    found = matched.object_index
    is_right = (found >= 0) & matched.is_match[0, level] & ~matched.is_ignored[0, level]
    best_iou = np.maximum(own_iou, other_iou)
    best_object = np.where(own_iou >= other_iou, own_object, other_object)
    lamp = np.where(is_right, found, np.where(best_iou >= OPERATING_IOU, best_object, -1))
    return Overlaps(
        own_object=own_object,
        own_iou=own_iou,
        other_object=other_object,
        other_iou=other_iou,
        found_iou=_paired_iou(matched.xyxy, truth.xyxy, np.where(is_right, found, -1)),
        is_right=is_right,
        is_ignored=matched.is_ignored[0, level],
        lamp=lamp,
    )


def _objects_by_box(truth: GroundTruth) -> IntArray:
    """Positions of the objects by frame, then box, then class: an order that does not depend on the input's."""
    objects = np.flatnonzero(~truth.is_ignored)
    keys = (truth.class_id[objects], *truth.xyxy[objects].T[::-1], truth.frame_index[objects])
    return objects[np.lexsort(keys)]


@numba.njit(cache=True)
def _iou(first: FloatArray, second: FloatArray) -> float:
    # Left + width instead of right: the arithmetic of the COCO tools, to the last bit, as in `pairs`.
    width = min(first[0] + (first[2] - first[0]), second[0] + (second[2] - second[0])) - max(first[0], second[0])
    if width <= 0:
        return 0.0
    height = min(first[1] + (first[3] - first[1]), second[1] + (second[3] - second[1])) - max(first[1], second[1])
    if height <= 0:
        return 0.0
    intersection = width * height
    first_area = (first[2] - first[0]) * (first[3] - first[1])
    second_area = (second[2] - second[0]) * (second[3] - second[1])
    return intersection / (first_area + second_area - intersection)


@numba.njit(cache=True)
def _most_overlapped(
    frame_index: IntArray,
    class_id: IntArray,
    xyxy: FloatArray,
    object_xyxy: FloatArray,
    object_class: IntArray,
    position: IntArray,
    bounds: IntArray,
) -> tuple[IntArray, FloatArray, IntArray, FloatArray]:
    n = len(frame_index)
    own_object, other_object = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    own_iou, other_iou = np.zeros(n), np.zeros(n)
    for index in range(n):
        frame = frame_index[index]
        for at in range(bounds[frame], bounds[frame + 1]):
            iou = _iou(xyxy[index], object_xyxy[at])
            if object_class[at] == class_id[index]:
                if iou > own_iou[index]:
                    own_iou[index], own_object[index] = iou, position[at]
            elif iou > other_iou[index]:
                other_iou[index], other_object[index] = iou, position[at]
    return own_object, own_iou, other_object, other_iou


@numba.njit(cache=True)
def _paired_iou(xyxy: FloatArray, object_xyxy: FloatArray, object_index: IntArray) -> FloatArray:
    overlap = np.zeros(len(object_index))
    for index in range(len(object_index)):
        if object_index[index] >= 0:
            overlap[index] = _iou(xyxy[index], object_xyxy[object_index[index]])
    return overlap
