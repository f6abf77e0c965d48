"""`ClassRecords`: detections and object counts of one class in a set of frames, and what follows from them."""

from __future__ import annotations

import itertools
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

    def precision_and_recall(self) -> tuple[FloatArray, FloatArray]:
        """Average precision and highest recall, for every size and threshold; NaN for a size without an object.

        Returns:
            (areas, thresholds) average precision as in `curves.average_precision`, and (limits, areas, thresholds)
            recall of all detections up to each maximum per frame.
        """
        from tl_detection.evaluation.record_kernels import precision_and_recall

        return precision_and_recall(
            self.right_bits,
            self.counted_bits,
            self.rank,
            self.objects,
            len(self.protocol.iou_thresholds),
            np.linspace(0, 1, self.protocol.recall_points),
            np.array(self.protocol.max_detections, np.int64),
        )

    def best_operating_score(self) -> float | None:
        """The score at which F1 is best; None without an object or where none is found."""
        if not self.objects[0]:
            return None
        return best_operating_score(self.score, self.is_right_at(), self.is_counted_at(), int(self.objects[0]))

    def counts_from(self, operating_score: float) -> tuple[int, int]:
        """How many detections with at least this score are right, and how many count."""
        n_above = len(self.score) - int(np.searchsorted(self.score[::-1], operating_score, side="left"))
        return tuple(
            int(np.count_nonzero(has_bit(bits[0, :n_above], self.operating_level)))
            for bits in (self.right_bits, self.counted_bits)
        )  # type: ignore[return-value]

    def operating_point(self, operating_score: float) -> OperatingPoint | None:
        """Precision, recall and F1 at a score; None without an object."""
        if not self.objects[0]:
            return None
        return operating_point(*self.counts_from(operating_score), int(self.objects[0]))


def records_by_class(matched: Matched, frame_mask: BoolArray) -> list[ClassRecords]:
    """The records of every class, by id, in the frames of a mask."""
    from tl_detection.evaluation.record_kernels import choose_records

    truth, protocol = matched.ground_truth, matched.protocol
    in_mask = frame_mask[truth.frame_index]
    class_id, box_area = truth.class_id[in_mask & matched.is_object], area_px2(truth.xyxy[in_mask & matched.is_object])
    objects = np.stack([_count(class_id[area.holds(box_area)], len(truth.names)) for area in protocol.area_ranges])
    ignored = _count(truth.class_id[in_mask & truth.is_ignored & (truth.class_id >= 0)], len(truth.names))
    offsets, _, score, rank, right_bits, counted_bits = choose_records(
        frame_mask,
        matched.frame_index,
        matched.class_offsets,
        matched.score,
        matched.rank,
        matched.match_bits,
        matched.ignored_bits,
        len(protocol.iou_thresholds),
    )
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
        for class_id, (start, stop) in enumerate(itertools.pairwise(offsets.tolist()))
    ]


def _count(class_id: IntArray, n_classes: int) -> IntArray:
    return np.bincount(class_id, minlength=n_classes).astype(np.int64)
