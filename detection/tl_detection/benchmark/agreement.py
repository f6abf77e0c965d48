"""Whether two contenders find the same: otherwise their times are those of different work.

Detections whose score is clear of the lowest one are looked up on the other side, in both directions: a partner has the
same class and overlaps by an IoU of at least 0.5; each partner is used once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tl_datasets.boxes import iou

PARTNER_IOU = 0.5
# Two programs round scores differently; what lies this close above the lowest score may be below it on the other side.
CLEAR_BY = 0.05
# Fewer partners than this share, and the table says that the work differs.
SAME_WORK_SHARE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How the detections of two contenders compare, on the frames that are timed.

    Attributes:
        own: Detections of this contender with the lowest score or more.
        other: Those of the one that it is compared with.
        compared: Clear ones of both sides that were looked up.
        partners: Those with a partner.
    """

    own: int
    other: int
    compared: int
    partners: int

    @property
    def is_same_work(self) -> bool | None:
        """None where nothing was found, so that nothing can be said."""
        return self.partners >= SAME_WORK_SHARE * self.compared if self.compared else None

    def line(self) -> str:
        """In words."""
        share = f", {self.partners / self.compared:.0%} of the clear ones have a partner" if self.compared else ""
        return f"{self.own} detections, the file {self.other}{share}"


def compare(own: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]], lowest: float) -> Agreement:
    """Compare what two contenders found in the same frames.

    Args:
        own: For each frame "xyxy", "score", "class_id".
        other: The same of the other one.
        lowest: Detections below are not looked at.
    """
    counts = np.zeros(4, dtype=int)
    for first, second in zip(own, other, strict=True):
        one, two = _above(first, lowest), _above(second, lowest)
        counts[:2] += len(one[1]), len(two[1])
        for here, there in ((one, two), (two, one)):
            clear = here[1] >= lowest + CLEAR_BY
            counts[2] += clear.sum()
            counts[3] += _partners(here[0][clear], here[2][clear], there[0], there[2])
    return Agreement(own=int(counts[0]), other=int(counts[1]), compared=int(counts[2]), partners=int(counts[3]))


def _above(found: dict[str, Any], lowest: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    score = np.asarray(found["score"], dtype=np.float64)
    xyxy = np.asarray(found["xyxy"], dtype=np.float64).reshape(-1, 4)
    # What a network sees in the padding has no area left once it is cut at the frame's edge; some still report it.
    has_area = (xyxy[:, 2:] > xyxy[:, :2]).all(axis=1)
    keep = np.flatnonzero((score >= lowest) & has_area)
    keep = keep[np.argsort(-score[keep], kind="stable")]
    return xyxy[keep], score[keep], np.asarray(found["class_id"], dtype=np.int64)[keep]


def _partners(xyxy: np.ndarray, class_id: np.ndarray, other_xyxy: np.ndarray, other_class_id: np.ndarray) -> int:
    if not len(xyxy) or not len(other_xyxy):
        return 0
    overlaps = np.where(class_id[:, None] == other_class_id[None, :], iou(xyxy, other_xyxy), 0.0)
    found = 0
    for row in overlaps:
        best = int(row.argmax())
        if row[best] >= PARTNER_IOU:
            found += 1
            overlaps[:, best] = 0.0
    return found
