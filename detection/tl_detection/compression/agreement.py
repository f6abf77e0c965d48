"""How far two detectors answer alike in the same frames, without any label.

Disagreement: each detection of the first weighs its score. It agrees with the detection of the second of its class that
overlaps it best by an IoU of at least 0.5, by as much as their boxes and scores do (IoU times the smaller score over
the larger); what one of them alone sees agrees by nothing. 0 where both say the same, 1 where they have nothing in
common. Where neither sees anything there is no disagreement: 0.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tl_datasets.boxes import iou
from tl_detection.detector import Detections

# What scores less is far below every operating score, and would drown the rest by its number.
_LEAST_SCORE = 0.05
_LEAST_IOU = 0.5


def disagreement(pairs: Iterable[tuple[Detections, Detections]]) -> float:
    """The disagreement over all frames.

    Args:
        pairs: Of each frame what the first detector says, and the second.
    """
    parts = [_of_frame(first.above(_LEAST_SCORE), second.above(_LEAST_SCORE)) for first, second in pairs]
    cost, weight = sum(part[0] for part in parts), sum(part[1] for part in parts)
    return cost / weight if weight else 0.0


def _of_frame(first: Detections, second: Detections) -> tuple[float, float]:
    """What is not agreed on, and what there is to agree on."""
    overlaps = iou(first.xyxy.astype(np.float64), second.xyxy.astype(np.float64))
    overlaps = np.where(first.class_id[:, None] == second.class_id[None], overlaps, 0)
    weight, agreed = float(first.score.sum()), 0.0
    is_free = np.ones(len(second), np.bool_)
    for row in np.argsort(-first.score, kind="stable"):
        candidates = np.where(is_free, overlaps[row], 0)
        best = int(candidates.argmax()) if len(candidates) else -1
        if best < 0 or candidates[best] < _LEAST_IOU:
            continue
        is_free[best] = False
        pair = float(first.score[row]), float(second.score[best])
        agreed += pair[0] * float(candidates[best]) * min(pair) / max(pair)
    weight += float(second.score[is_free].sum())
    return weight - agreed, weight
