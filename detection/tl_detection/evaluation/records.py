"""`ClassRecords`: detections and object counts of one class in a set of frames, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.curves import OperatingPoint, best_operating_score, operating_point
from tl_detection.evaluation.matching import BitArray, Matched, has_bit, unpack_bits
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray, area_px2
from tl_detection.evaluation.protocol import OPERATING_IOU, CocoProtocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRecords:
    """One class in the chosen frames; detections in descending order of score.

    Attributes:
        protocol: The rules.
        objects: (areas,) objects that can be found or missed.
        ignored: Ignore areas of this class alone.
        score: (D,) detections.
        rank: (D,) position by score in the detection's frame.
        right_bits: (areas, D) bit t is set where it found an object at IoU threshold t.
        counted_bits: (areas, D) bit t is set where it counts as right or wrong.
    """

    protocol: CocoProtocol
    objects: IntArray
    ignored: int
    score: FloatArray
    rank: IntArray
    right_bits: BitArray
    counted_bits: BitArray

    @property
    def operating_level(self) -> int:
        """Position of the IoU threshold at which operating points are measured."""
        return self.protocol.threshold_index(OPERATING_IOU) or 0

    @property
    def is_right(self) -> BoolArray:
        """(areas, thresholds, D) found an object; `is_right_at` is cheaper."""
        return unpack_bits(self.right_bits, len(self.protocol.iou_thresholds))

    @property
    def is_counted(self) -> BoolArray:
        """(areas, thresholds, D) counts as right or wrong; `is_counted_at` is cheaper."""
        return unpack_bits(self.counted_bits, len(self.protocol.iou_thresholds))

    def is_right_at(self, level: int | None = None) -> BoolArray:
        """(D,) found an object of any size at an IoU threshold; None = that of operating points."""
        return has_bit(self.right_bits[0], self.operating_level if level is None else level)

    def is_counted_at(self, level: int | None = None) -> BoolArray:
        """(D,) counts as right or wrong at an IoU threshold; None = that of operating points."""
        return has_bit(self.counted_bits[0], self.operating_level if level is None else level)

    def average_precision(self) -> FloatArray:
        """(areas, thresholds) average precision as in `curves.average_precision`; NaN for a size without an object."""
        from tl_detection.evaluation.record_kernels import average_precisions

        recalls = np.linspace(0, 1, self.protocol.recall_points)
        n_levels = len(self.protocol.iou_thresholds)
        return average_precisions(self.right_bits, self.counted_bits, self.objects, n_levels, recalls)

    def highest_recall(self) -> FloatArray:
        """(limits, areas, thresholds) recall of all detections up to a maximum; NaN for a size without an object."""
        from tl_detection.evaluation.record_kernels import count_right

        limits = np.array(self.protocol.max_detections, np.int64)
        found = count_right(self.right_bits, self.rank, limits, len(self.protocol.iou_thresholds))
        objects = np.where(self.objects > 0, self.objects, np.nan)
        return found / objects[:, None]

    def best_operating_score(self) -> float | None:
        """The score at which F1 is best; None without an object or where none is found."""
        if not self.objects[0]:
            return None
        return best_operating_score(self.score, self.is_right_at(), self.is_counted_at(), int(self.objects[0]))

    def counts_from(self, operating_score: float) -> tuple[int, int]:
        """How many detections with at least this score are right, and how many count."""
        n_above = int(np.searchsorted(-self.score, -operating_score, side="right"))
        return int(self.is_right_at()[:n_above].sum()), int(self.is_counted_at()[:n_above].sum())

    def operating_point(self, operating_score: float) -> OperatingPoint | None:
        """Precision, recall and F1 at a score; None without an object."""
        if not self.objects[0]:
            return None
        return operating_point(*self.counts_from(operating_score), int(self.objects[0]))


def records_by_class(matched: Matched, frame_mask: BoolArray) -> list[ClassRecords]:
    """The records of every class, by id, in the frames of a mask."""
    truth, protocol = matched.ground_truth, matched.protocol
    in_mask = frame_mask[truth.frame_index]
    box_area = area_px2(truth.xyxy)
    objects = np.stack(
        [
            _count(truth.class_id[in_mask & matched.is_object & area.holds(box_area)], len(truth.names))
            for area in protocol.area_ranges
        ]
    )
    ignored = _count(truth.class_id[in_mask & truth.is_ignored & (truth.class_id >= 0)], len(truth.names))
    chosen = np.flatnonzero(frame_mask[matched.frame_index])
    bounds = np.searchsorted(chosen, matched.class_offsets)
    score, rank = matched.score[chosen], matched.rank[chosen]
    counted_bits = ~matched.ignored_bits[:, chosen]
    right_bits = matched.match_bits[:, chosen] & counted_bits
    return [
        ClassRecords(
            protocol=protocol,
            objects=objects[:, class_id],
            ignored=int(ignored[class_id]),
            score=score[start:stop],
            rank=rank[start:stop],
            right_bits=right_bits[:, start:stop],
            counted_bits=counted_bits[:, start:stop],
        )
        for class_id, (start, stop) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
    ]


def _count(class_id: IntArray, n_classes: int) -> IntArray:
    return np.bincount(class_id, minlength=n_classes).astype(np.int64)
