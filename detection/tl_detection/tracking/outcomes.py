"""What became of each object of a frame, and what each detection of it is: the evaluation's verdict, box by box.

The rules are those of `evaluation.matching` and `evaluation.stop_lights` at IoU 0.5, from each class's operating score
on. They are followed again, as the evaluation keeps counts, not pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from tl_datasets.label_space import IGNORE_ANY
from tl_detection.detector import Detections
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.pairs import FloatArray, IntArray, overlapping
from tl_detection.evaluation.protocol import OPERATING_IOU
from tl_detection.evaluation.report import Evaluation


class Fate(StrEnum):
    """What became of an object."""

    FOUND = "found"
    MISSED = "missed"
    CONFUSED = "confused"  # nothing of its class, but a detection of another class lies on it
    RED_AS_GREEN = "red as green"  # it means stop, and the best-scored detection on it says go


class Verdict(StrEnum):
    """What a detection is."""

    RIGHT = "right"
    WRONG = "wrong"
    IGNORED = "ignored"  # on an ignore area


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameOutcome:
    """One frame.

    Attributes:
        objects_xyxy: (N, 4) pixels.
        objects_class_id: (N,) what they are.
        fates: What became of each.
        said_by: Per object the row of the best-scored detection on it, of whatever class; None = there is none.
        ignored_xyxy: (M, 4) ignore areas.
        detections: Those from the operating scores on, best first.
        verdicts: What each is.
    """

    objects_xyxy: FloatArray
    objects_class_id: IntArray
    fates: tuple[Fate, ...]
    said_by: tuple[int | None, ...]
    ignored_xyxy: FloatArray
    detections: Detections
    verdicts: tuple[Verdict, ...]


def frame_outcome(evaluation: Evaluation, frame: int) -> FrameOutcome:
    """Judge one frame.

    Args:
        evaluation: Of a whole validation.
        frame: Position in its ground truth.
    """
    truth = evaluation.matched.ground_truth
    detections = _in_order(evaluation.detections[frame], evaluation.report.overall.operating_scores)
    start, stop = int(truth.offsets[frame]), int(truth.offsets[frame + 1])
    # Of equal overlaps the last box counts, in the order of their places.
    boxes = start + np.lexsort(truth.xyxy[start:stop].T[::-1])
    xyxy, class_id, is_ignored = truth.xyxy[boxes], truth.class_id[boxes], truth.is_ignored[boxes]
    n = len(detections)
    detection, box, iou = overlapping(
        detections.xyxy.astype(np.float64),
        xyxy,
        is_ignored,
        np.zeros(n, np.int64),
        np.full(n, len(boxes)),
        OPERATING_IOU,
    )

    finder: dict[int, int] = {}
    verdicts = []
    for row in range(n):
        at = detection == row
        same = at & ((class_id[box] == detections.class_id[row]) | (class_id[box] == IGNORE_ANY))
        free = [(iou[pair], box[pair]) for pair in np.flatnonzero(same & ~is_ignored[box]) if box[pair] not in finder]
        if free:
            finder[max(free)[1]] = row
        verdicts.append(Verdict.RIGHT if free else Verdict.IGNORED if is_ignored[box[same]].any() else Verdict.WRONG)

    objects = np.flatnonzero(~is_ignored).tolist()
    said_by = [int(rows.min()) if (rows := detection[box == each]).size else None for each in objects]
    said = [None if row is None else int(detections.class_id[row]) for row in said_by]
    return FrameOutcome(
        objects_xyxy=xyxy[objects],
        objects_class_id=class_id[objects],
        fates=tuple(
            _fate(truth, int(class_id[each]), word, each in finder) for each, word in zip(objects, said, strict=True)
        ),
        said_by=tuple(said_by),
        ignored_xyxy=xyxy[is_ignored],
        detections=detections,
        verdicts=tuple(verdicts),
    )


def _in_order(detections: Detections, operating_scores: Sequence[float]) -> Detections:
    """Those from the operating scores on, best first, and of one score in the order that the evaluation has."""
    score = detections.score.astype(np.float64)
    order = np.lexsort((detections.class_id, *detections.xyxy.T[::-1], -score))
    keep = order[score[order] >= np.asarray(operating_scores, np.float64)[detections.class_id[order]]]
    return Detections(xyxy=detections.xyxy[keep], score=detections.score[keep], class_id=detections.class_id[keep])


def _fate(truth: GroundTruth, class_id: int, said: int | None, is_found: bool) -> Fate:
    if truth.means_stop[class_id] and said is not None and truth.means_go[said]:
        return Fate.RED_AS_GREEN
    if is_found:
        return Fate.FOUND
    return Fate.MISSED if said is None else Fate.CONFUSED
