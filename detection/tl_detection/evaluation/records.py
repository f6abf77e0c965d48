"""`ClassRecords`: detections and object counts of one class in a set of frames, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.curves import OperatingPoint, average_precision, best_operating_score, operating_point
from tl_detection.evaluation.matching import Matched
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
        is_right: (areas, thresholds, D) found an object.
        is_counted: (areas, thresholds, D) counts as right or wrong.
    """

    protocol: CocoProtocol
    objects: IntArray
    ignored: int
    score: FloatArray
    rank: IntArray
    is_right: BoolArray
    is_counted: BoolArray

    @property
    def operating_level(self) -> int:
        """Position of the IoU threshold at which operating points are measured."""
        return self.protocol.threshold_index(OPERATING_IOU) or 0

    def average_precision(self) -> FloatArray:
        """(areas, thresholds) average precision; NaN for a size without an object."""
        values = np.full((len(self.protocol.area_ranges), len(self.protocol.iou_thresholds)), np.nan)
        for area in np.flatnonzero(self.objects):
            for level in range(len(self.protocol.iou_thresholds)):
                values[area, level] = average_precision(
                    self.is_right[area, level],
                    self.is_counted[area, level],
                    int(self.objects[area]),
                    self.protocol.recall_points,
                )
        return values

    def highest_recall(self) -> FloatArray:
        """(limits, areas, thresholds) recall of all detections up to a maximum; NaN for a size without an object."""
        limits = self.protocol.max_detections
        found = np.stack([np.count_nonzero(self.is_right[:, :, self.rank < limit], axis=2) for limit in limits])
        objects = np.where(self.objects > 0, self.objects, np.nan)
        return found / objects[:, None]

    def best_operating_score(self) -> float | None:
        """The score at which F1 is best; None without an object or where none is found."""
        if not self.objects[0]:
            return None
        level = self.operating_level
        return best_operating_score(
            self.score, self.is_right[0, level], self.is_counted[0, level], int(self.objects[0])
        )

    def counts_from(self, operating_score: float) -> tuple[int, int]:
        """How many detections with at least this score are right, and how many count."""
        above = self.score >= operating_score
        level = self.operating_level
        return int(self.is_right[0, level, above].sum()), int(self.is_counted[0, level, above].sum())

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
            _count(truth.class_id[in_mask & ~truth.is_ignored & area.holds(box_area)], len(truth.names))
            for area in protocol.area_ranges
        ]
    )
    ignored = _count(truth.class_id[in_mask & truth.is_ignored & (truth.class_id >= 0)], len(truth.names))
    chosen = frame_mask[matched.frame_index]
    records = []
    for class_id in range(len(truth.names)):
        start, stop = matched.class_offsets[class_id : class_id + 2]
        at = start + np.flatnonzero(chosen[start:stop])
        is_counted = ~matched.is_ignored[:, :, at]
        records.append(
            ClassRecords(
                protocol=protocol,
                objects=objects[:, class_id],
                ignored=int(ignored[class_id]),
                score=matched.score[at],
                rank=matched.rank[at],
                is_right=matched.is_match[:, :, at] & is_counted,
                is_counted=is_counted,
            )
        )
    return records


def _count(class_id: IntArray, n_classes: int) -> IntArray:
    return np.bincount(class_id, minlength=n_classes).astype(np.int64)
