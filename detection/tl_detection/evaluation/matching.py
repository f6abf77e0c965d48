"""Which detection found which object: decided once per frame and class, for every IoU threshold and size at once.

COCO's greedy rule: detections choose in order of score; each takes the free object of its class that it overlaps most,
an ignore area or an object outside the size range only if there is no other; a detection that is left over and itself
outside the size range does not count. Every slice is then scored from these records, since a frame's matches do not
depend on the other frames.

The detections of all frames choose together, round by round (first choices, second choices, ...), so that each step is
one array operation.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_datasets.errors import DataError
from tl_datasets.label_space import IGNORE_ANY
from tl_detection.detector import Detections
from tl_detection.evaluation.detection_table import DetectionTable
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.pairs import (
    BoolArray,
    FloatArray,
    IntArray,
    area_px2,
    group_bounds,
    overlapping,
    rank_in_group,
)
from tl_detection.evaluation.protocol import COCO, OPERATING_IOU, CocoProtocol
from tl_detection.evaluation.stop_lights import StopPairs, find_stop_pairs

# COCO compares with min(threshold, this), so that a perfect overlap survives rounding.
_LARGEST_THRESHOLD = 1 - 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Every detection with what it found, ordered by class, then score, then the tie rule.

    Attributes:
        ground_truth: What the detections were judged against.
        protocol: The rules.
        frame_index: (D,) frame of each detection.
        class_id: (D,) its class.
        score: (D,) its score.
        xyxy: (D, 4) its box in pixels.
        rank: (D,) its position by score among the detections of its frame and class, from 0.
        is_match: (areas, thresholds, D) true where it found an object or ignore area.
        is_ignored: (areas, thresholds, D) true where it counts neither as right nor as wrong.
        object_index: (D,) the object or ignore area that it found at `OPERATING_IOU` among those of every size, as a
            position in the ground truth; -1 = none.
        class_offsets: (classes + 1,) the detections of class c are class_offsets[c] to class_offsets[c + 1].
        beyond_limit: (F,) detections that were left out because their frame and class already had the maximum.
        stop_pairs: Detections of any class on objects that mean stop.
    """

    ground_truth: GroundTruth
    protocol: CocoProtocol
    frame_index: IntArray
    class_id: IntArray
    score: FloatArray
    xyxy: FloatArray
    rank: IntArray
    is_match: BoolArray
    is_ignored: BoolArray
    object_index: IntArray
    class_offsets: IntArray
    beyond_limit: IntArray
    stop_pairs: StopPairs


@dataclass(frozen=True, slots=True, kw_only=True)
class _Targets:
    """Objects and ignore areas, ordered by group (class and frame); an ignore area of every class occurs in each."""

    group: IntArray
    box: IntArray  # position in the ground truth
    xyxy: FloatArray
    is_crowd: BoolArray
    is_ignored: BoolArray  # (areas, G)


def match(
    ground_truth: GroundTruth, detections: Sequence[Detections] | DetectionTable, protocol: CocoProtocol = COCO
) -> Matched:
    """Decide for every detection what it found.

    Args:
        ground_truth: F frames.
        detections: F results in the order of `ground_truth.frame_ids`, or all of them as one table.
        protocol: The rules.

    Raises:
        DataError: There is not one result per frame, or a class id is outside the label space.
    """
    n_frames, n_classes = len(ground_truth), len(ground_truth.names)
    table = _table(ground_truth, detections)
    frame_rank = ground_truth.frame_rank[table.frame_index]
    table = table.take(np.lexsort((*table.xyxy.T[::-1], frame_rank, -table.score, table.class_id)))
    group = table.class_id * n_frames + table.frame_index
    rank = rank_in_group(group)
    keep = rank < protocol.max_detections[-1]
    beyond_limit = np.bincount(table.frame_index[~keep], minlength=n_frames)
    table, group, rank = table.take(keep), group[keep], rank[keep]

    is_match, is_ignored, object_index = _choose(group, table.xyxy, _targets(ground_truth, protocol), protocol)
    box_area = area_px2(table.xyxy)
    for index, area in enumerate(protocol.area_ranges):
        is_ignored[index] |= ~is_match[index] & ~area.holds(box_area)
    return Matched(
        ground_truth=ground_truth,
        protocol=protocol,
        frame_index=table.frame_index,
        class_id=table.class_id,
        score=table.score,
        xyxy=table.xyxy,
        rank=rank,
        is_match=is_match,
        is_ignored=is_ignored,
        object_index=object_index,
        class_offsets=np.searchsorted(table.class_id, np.arange(n_classes + 1)),
        beyond_limit=beyond_limit,
        stop_pairs=find_stop_pairs(ground_truth, table.frame_index, table.class_id, table.score, table.xyxy),
    )


def _table(ground_truth: GroundTruth, detections: Sequence[Detections] | DetectionTable) -> DetectionTable:
    if not isinstance(detections, DetectionTable):
        if len(detections) != len(ground_truth):
            raise DataError(
                f"evaluation: {len(detections)} results for {len(ground_truth)} frames; expected one per frame, "
                "in the order of the frames"
            )
        detections = DetectionTable.of(detections)
    n_classes = len(ground_truth.names)
    if detections.class_id.max(initial=0) >= n_classes:
        worst = int(detections.class_id.argmax())
        raise DataError(
            f"frame {ground_truth.frame_ids[detections.frame_index[worst]]}: a detection has class id "
            f"{detections.class_id[worst]}, the label space has {n_classes} classes (0 to {n_classes - 1}); "
            "class ids begin at 0"
        )
    return detections


def _targets(ground_truth: GroundTruth, protocol: CocoProtocol) -> _Targets:
    n_classes = len(ground_truth.names)
    is_any = ground_truth.class_id == IGNORE_ANY
    box = np.concatenate([np.flatnonzero(~is_any), np.tile(np.flatnonzero(is_any), n_classes)])
    class_id = np.concatenate([ground_truth.class_id[~is_any], np.repeat(np.arange(n_classes), is_any.sum())])
    group = class_id * len(ground_truth) + ground_truth.frame_index[box]
    order = np.lexsort((*ground_truth.xyxy[box].T[::-1], group))
    box, group = box[order], group[order]
    xyxy, is_crowd = ground_truth.xyxy[box], ground_truth.is_ignored[box]
    box_area = area_px2(xyxy)
    is_ignored = np.stack([is_crowd | ~area.holds(box_area) for area in protocol.area_ranges])
    return _Targets(group=group, box=box, xyxy=xyxy, is_crowd=is_crowd, is_ignored=is_ignored)


def _choose(
    group: IntArray, xyxy: FloatArray, targets: _Targets, protocol: CocoProtocol
) -> tuple[BoolArray, BoolArray, IntArray]:
    """Let detections choose in order of score.

    Returns:
        (areas, thresholds, D) has chosen; (areas, thresholds, D) has chosen something ignored; (D,) what it has chosen
        at the operating threshold in the first area range, as a position in the ground truth, or -1.
    """
    thresholds = np.minimum(protocol.iou_thresholds, _LARGEST_THRESHOLD)
    shape = (len(protocol.area_ranges), len(thresholds))
    is_match = np.zeros((*shape, len(group)), np.bool_)
    is_ignored = np.zeros_like(is_match)
    object_index = np.full(len(group), -1, np.int64)
    operating_level = protocol.threshold_index(OPERATING_IOU)
    is_taken = np.zeros((*shape, len(targets.group)), np.bool_)

    start, stop = group_bounds(targets.group, group)
    detection, target, iou = overlapping(xyxy, targets.xyxy, targets.is_crowd, start, stop, float(thresholds.min()))
    # A detection's last available pair is COCO's choice: the highest overlap, and of equals the last box.
    order = np.lexsort((target, iou, detection))
    detection, target, iou = detection[order], target[order], iou[order]
    chooser, pair_count = np.unique(detection, return_counts=True)
    round_of_pair = np.repeat(rank_in_group(group[chooser]), pair_count)
    by_round = np.argsort(round_of_pair, kind="stable")
    bounds = np.searchsorted(round_of_pair[by_round], np.arange(round_of_pair.max(initial=-1) + 2))
    for first, last in itertools.pairwise(bounds):
        pairs = by_round[first:last]
        pair_target, pair_detection = target[pairs], detection[pairs]
        segment = np.flatnonzero(np.diff(pair_detection, prepend=-1))
        is_available = ~is_taken[:, :, pair_target] | targets.is_crowd[pair_target]
        is_available &= iou[pairs] >= thresholds[:, None]
        target_ignored = targets.is_ignored[:, pair_target]
        # Whatever counts comes before whatever is ignored.
        n_pairs = np.int32(len(pairs))
        preference = np.arange(n_pairs, dtype=np.int32) + n_pairs * ~target_ignored
        preference = np.where(is_available, preference[:, None, :], np.int32(-1))
        best = np.maximum.reduceat(preference, segment, axis=2)
        areas, levels, choosers = np.nonzero(best >= 0)
        choice = best[areas, levels, choosers] % n_pairs
        is_taken[areas, levels, pair_target[choice]] = True
        chosen_by = pair_detection[segment[choosers]]
        is_match[areas, levels, chosen_by] = True
        is_ignored[areas, levels, chosen_by] = target_ignored[areas, choice]
        of_operating = (areas == 0) & (levels == operating_level)
        object_index[chosen_by[of_operating]] = targets.box[pair_target[choice[of_operating]]]
    return is_match, is_ignored, object_index
