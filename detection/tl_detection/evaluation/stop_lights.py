"""Red said to be green: the one mistake that must not drown among the false positives.

An object means stop where every state of its class does (red, red_yellow). What is said of it is the class of the
best-scored detection that speaks of it, of whatever class. A detection speaks of one object alone: of the one that it
found, else of the one that it overlaps most, by at least IoU 0.5 (`overlaps`). `lights.answers` has the same rules, and
so the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.detection_table import DetectionTable
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.overlaps import find_most_overlapped
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray, group_bounds, overlapping
from tl_detection.evaluation.protocol import OPERATING_IOU

# Overlaps are calculated in two ways, from corners and from sizes.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPairs:
    """Detections of any class that speak of objects that mean stop.

    Attributes:
        box: (P,) object as a position in the ground truth, ascending; per object by descending score.
        class_id: (P,) what the detection says.
        score: (P,) its score.
    """

    box: IntArray
    class_id: IntArray
    score: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class RedAsGreen:
    """What was said of the objects that mean stop.

    Attributes:
        objects: Objects that mean stop.
        detected: Of these, with a detection of any class at or above its operating score.
        as_green: Of these, where the best-scored one says green.
    """

    objects: int
    detected: int
    as_green: int


def find_stop_pairs(ground_truth: GroundTruth, detections: DetectionTable, found: IntArray) -> StopPairs:
    """Pair detections with the objects that mean stop.

    Args:
        ground_truth: N boxes.
        detections: D of them.
        found: (D,) the object that matching says each found; -1 = none.
    """
    is_stop = is_stop_object(ground_truth)
    if not is_stop.any():
        nothing = np.zeros(0, np.int64)
        return StopPairs(box=nothing, class_id=nothing, score=np.zeros(0))
    near = _near(ground_truth, np.flatnonzero(is_stop), detections)
    table = detections.take(near)
    most = find_most_overlapped(ground_truth, table.frame_index, table.class_id, table.xyxy, table.sizes, found[near])
    at = np.flatnonzero((most.lamp >= 0) & is_stop[most.lamp])
    lamp, table = most.lamp[at], table.take(at)
    order = np.lexsort((table.class_id, *table.xyxy.T[::-1], -table.score, lamp))
    return StopPairs(box=lamp[order], class_id=table.class_id[order], score=table.score[order])


def _near(ground_truth: GroundTruth, box: IntArray, detections: DetectionTable) -> IntArray:
    """Ascending, the detections that may speak of one of the boxes: few of all, and no other can."""
    by_frame = np.argsort(detections.frame_index, kind="stable")
    start, stop = group_bounds(detections.frame_index[by_frame], ground_truth.frame_index[box])
    no_crowd = np.zeros(len(by_frame), np.bool_)
    _, second, _ = overlapping(
        ground_truth.xyxy[box], detections.xyxy[by_frame], no_crowd, start, stop, OPERATING_IOU - _ROUNDING
    )
    return np.unique(by_frame[second])


def count_red_as_green(
    ground_truth: GroundTruth,
    pairs: StopPairs,
    frame_mask: BoolArray,
    operating_scores: Sequence[float],
    is_object: BoolArray | None = None,
) -> RedAsGreen | None:
    """Count over the frames of a mask; None where no class means stop, or none means go.

    Args:
        ground_truth: N boxes.
        pairs: Of its objects.
        frame_mask: (F,) the frames.
        operating_scores: Per class, the score from which a detection counts.
        is_object: (N,) the objects to look at; None = all.
    """
    if not any(ground_truth.means_stop) or not any(ground_truth.means_go):
        return None
    in_mask = frame_mask[ground_truth.frame_index]
    if is_object is not None:
        in_mask &= is_object
    box, is_green = verdicts(ground_truth, pairs, operating_scores)
    return RedAsGreen(
        objects=int((is_stop_object(ground_truth) & in_mask).sum()),
        detected=int(in_mask[box].sum()),
        as_green=int((is_green & in_mask[box]).sum()),
    )


def verdicts(
    ground_truth: GroundTruth, pairs: StopPairs, operating_scores: Sequence[float]
) -> tuple[IntArray, BoolArray]:
    """(K,) the objects that mean stop on which something was detected, and (K,) true where that says green."""
    counts = pairs.score >= np.asarray(operating_scores)[pairs.class_id]
    # Pairs of one object come best-scored first.
    box, first = np.unique(pairs.box[counts], return_index=True)
    return box, np.array(ground_truth.means_go)[pairs.class_id[counts][first]]


def is_stop_object(ground_truth: GroundTruth) -> BoolArray:
    """(N,) true for the objects, not ignore areas, of classes that mean stop."""
    stop_classes = np.flatnonzero(ground_truth.means_stop)
    return np.isin(ground_truth.class_id, stop_classes) & ~ground_truth.is_ignored
