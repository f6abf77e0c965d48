"""Which detection found which object: decided once per frame and class, for every IoU threshold and size at once.

COCO's greedy rule: detections choose in order of score; each takes the free object of its class that it overlaps most,
an ignore area or an object outside the size range only if there is no other; a detection that is left over and itself
outside the size range does not count. Every slice of frames is then scored from these records, since a frame's matches
do not depend on the other frames. A slice of objects is matched once more (`match_objects`): what is not chosen is
then what an object outside a size range is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tl_datasets.errors import DataError
from tl_detection.detector import Detections
from tl_detection.evaluation.detection_table import DetectionTable
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray, area_px2
from tl_detection.evaluation.protocol import COCO, OPERATING_IOU, CocoProtocol
from tl_detection.evaluation.stop_lights import StopPairs, find_stop_pairs

# COCO compares with min(threshold, this), so that a perfect overlap survives rounding.
_LARGEST_THRESHOLD = 1 - 1e-10

BitArray = NDArray[np.uint16 | np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Every detection with what it found, ordered by class, then score, then the tie rule.

    What holds at each IoU threshold is kept as bits: 7 million detections take 0.9 GB in all. `is_match_at` and
    `is_ignored_at` give one area range and threshold; `is_match` and `is_ignored` give all of them, for small data.

    Attributes:
        ground_truth: What the detections were judged against.
        protocol: The rules.
        is_object: (N,) true for what is to be found; a box that is not is neither to be found nor wrong to be found.
        frame_index: (D,) frame of each detection.
        class_id: (D,) its class.
        score: (D,) its score.
        xyxy: (D, 4) its box in pixels.
        size_px: (D, 2) its width and height, as its file says them.
        rank: (D,) its position by score among the detections of its frame and class, from 0.
        match_bits: (areas, D) bit t is set where it found an object or ignore area at IoU threshold t.
        ignored_bits: (areas, D) bit t is set where it counts neither as right nor as wrong.
        object_index: (D,) the object or ignore area that it found at `OPERATING_IOU` among those of every size, as a
            position in the ground truth; -1 = none.
        class_offsets: (classes + 1,) the detections of class c are class_offsets[c] to class_offsets[c + 1].
        beyond_limit: (F,) detections that were left out because their frame and class already had the maximum.
        stop_pairs: Detections of any class that speak of objects that mean stop.
    """

    ground_truth: GroundTruth
    protocol: CocoProtocol
    is_object: BoolArray
    frame_index: IntArray
    class_id: IntArray
    score: FloatArray
    xyxy: FloatArray
    size_px: FloatArray
    rank: IntArray
    match_bits: BitArray
    ignored_bits: BitArray
    object_index: IntArray
    class_offsets: IntArray
    beyond_limit: IntArray
    stop_pairs: StopPairs

    def __len__(self) -> int:
        return len(self.score)

    @property
    def table(self) -> DetectionTable:
        """The detections as they were given, up to the limit per frame and class, in the order of the records."""
        return DetectionTable(
            frame_index=self.frame_index,
            class_id=self.class_id,
            score=self.score,
            xyxy=self.xyxy,
            size_px=self.size_px,
        )

    def is_match_at(self, area: int = 0, level: int = 0) -> BoolArray:
        """(D,) true where it found an object or ignore area in an area range, at an IoU threshold."""
        return has_bit(self.match_bits[area], level)

    def is_ignored_at(self, area: int = 0, level: int = 0) -> BoolArray:
        """(D,) true where it counts neither as right nor as wrong in an area range, at an IoU threshold."""
        return has_bit(self.ignored_bits[area], level)

    @property
    def is_match(self) -> BoolArray:
        """(areas, thresholds, D) `is_match_at` of all; 40 bytes per detection."""
        return unpack_bits(self.match_bits, len(self.protocol.iou_thresholds))

    @property
    def is_ignored(self) -> BoolArray:
        """(areas, thresholds, D) `is_ignored_at` of all; 40 bytes per detection."""
        return unpack_bits(self.ignored_bits, len(self.protocol.iou_thresholds))


def has_bit(bits: BitArray, level: int) -> BoolArray:
    """True where the bit of an IoU threshold is set; same shape."""
    return (bits >> bits.dtype.type(level)) & bits.dtype.type(1) != 0


def unpack_bits(bits: BitArray, n_levels: int) -> BoolArray:
    """(areas, thresholds, D) from (areas, D) bits."""
    return np.stack([has_bit(bits, level) for level in range(n_levels)], axis=1)


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
    from tl_detection.evaluation import matching_kernels as kernels

    n_frames, n_classes = len(ground_truth), len(ground_truth.names)
    table = _table(ground_truth, detections)
    order = kernels.order_detections(
        np.argsort(-table.score),
        table.score,
        table.class_id,
        ground_truth.frame_rank,
        table.frame_index,
        table.xyxy,
        n_classes,
    )
    table = table.take(order)
    rank = kernels.group_detections(table.class_id, table.frame_index, n_classes, n_frames)[2]
    keep = rank < protocol.max_detections[-1]
    beyond_limit = np.bincount(table.frame_index[~keep], minlength=n_frames)
    if not keep.all():
        table, rank = table.take(keep), rank[keep]
    is_object = ~ground_truth.is_ignored
    match_bits, ignored_bits, object_index = _choose(
        ground_truth, protocol, is_object, table, np.ones(len(table), np.bool_)
    )
    level = protocol.threshold_index(OPERATING_IOU) or 0
    is_right = has_bit(match_bits[0], level) & ~has_bit(ignored_bits[0], level)
    return Matched(
        ground_truth=ground_truth,
        protocol=protocol,
        is_object=is_object,
        frame_index=table.frame_index,
        class_id=table.class_id,
        score=table.score,
        xyxy=table.xyxy,
        size_px=table.sizes,
        rank=rank,
        match_bits=match_bits,
        ignored_bits=ignored_bits,
        object_index=object_index,
        class_offsets=np.searchsorted(table.class_id, np.arange(n_classes + 1)),
        beyond_limit=beyond_limit,
        stop_pairs=find_stop_pairs(ground_truth, table, np.where(is_right, object_index, -1)),
    )


def match_objects(matched: Matched, is_object: BoolArray, unmatched_counts: BoolArray) -> Matched:
    """Match anew where only some objects are to be found, as COCO does for the objects of a size.

    The others become what an ignore area is, but that each can be found once only and by overlap over the union. The
    order of the detections stays, and so does which of them are left out beyond the limit per frame.

    Args:
        matched: Records of all objects.
        is_object: (N,) the boxes that are to be found; ignore areas stay ignored.
        unmatched_counts: (D,) detections that count as wrong if they find nothing.

    Returns:
        Records of which scores and intervals are taken as of any others.

    Raises:
        ValueError: A mask has another length than the boxes or the detections.
    """
    truth = matched.ground_truth
    if is_object.shape != truth.is_ignored.shape or unmatched_counts.shape != matched.score.shape:
        raise ValueError(
            f"masks have shapes {is_object.shape} and {unmatched_counts.shape}, "
            f"expected {truth.is_ignored.shape} objects and {matched.score.shape} detections"
        )
    is_object = is_object & ~truth.is_ignored
    match_bits, ignored_bits, object_index = _choose(
        truth, matched.protocol, is_object, matched.table, unmatched_counts
    )
    return replace(
        matched, is_object=is_object, match_bits=match_bits, ignored_bits=ignored_bits, object_index=object_index
    )


def _choose(
    truth: GroundTruth,
    protocol: CocoProtocol,
    is_object: BoolArray,
    table: DetectionTable,
    unmatched_counts: BoolArray,
) -> tuple[BitArray, BitArray, IntArray]:
    """`match_bits`, `ignored_bits` and `object_index` of detections in their order."""
    from tl_detection.evaluation import matching_kernels as kernels

    n_classes, n_frames = len(truth.names), len(truth)
    thresholds = np.minimum(protocol.iou_thresholds, _LARGEST_THRESHOLD)
    start, members, _ = kernels.group_detections(table.class_id, table.frame_index, n_classes, n_frames)
    target_start, target_box = kernels.group_targets(truth.class_id, truth.frame_index, truth.xyxy, n_classes, n_frames)
    box_area = area_px2(truth.xyxy)
    bits = np.zeros((len(protocol.area_ranges), len(table)), np.uint16 if len(thresholds) <= 16 else np.uint64)
    ignored_bits, object_index = np.zeros_like(bits), np.full(len(table), -1, np.int64)
    kernels.choose(
        start,
        members,
        table.xyxy,
        table.sizes,
        unmatched_counts,
        np.array([(area.low_px2, area.high_px2) for area in protocol.area_ranges]),
        target_start,
        target_box,
        truth.xyxy,
        truth.is_ignored,
        np.stack([~(is_object & area.holds(box_area)) for area in protocol.area_ranges]),
        thresholds,
        protocol.threshold_index(OPERATING_IOU),
        bits,
        ignored_bits,
        object_index,
    )
    return bits, ignored_bits, object_index


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
