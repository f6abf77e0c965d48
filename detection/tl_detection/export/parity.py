"""The proof that an exported file detects what its checkpoint detects.

Both see the same frames. Every detection with a score of at least `SCORE_FROM` must have a partner of the same class on
the other side, no farther than `BOX_LIMIT_PX` at each edge and `SCORE_LIMIT` in score, each partner used once.
Two things may legitimately differ in the last digits of floating point: which of two equal boxes survives the
suppression, and which box is the last that fits into the outputs. The first is counted as a tie and may happen once in
a hundred detections; the second is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tl_datasets.boxes import iou
from tl_detection.detector import Detections, Detector, Image

SCORE_FROM = 0.05
# The letterbox inside the file gives OpenCV's bytes on x86; another build of OpenCV may round single bytes otherwise,
# which was measured to move boxes by up to 0.2 px and scores by up to 0.01.
BOX_LIMIT_PX = 0.1
SCORE_LIMIT = 0.01
_TIE_IOU = 0.45
_TIES_PER_DETECTION = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameParity:
    """How one frame compares.

    Attributes:
        compared: Detections of both sides together that were looked up on the other side.
        missing: Those without a partner, ties not counted.
        ties: Those whose partner is another box of the same place, class and score.
        worst_box_px: Largest difference of an edge among partners, pixels of the frame.
        worst_score: Largest difference of the scores of partners.
    """

    compared: int = 0
    missing: int = 0
    ties: int = 0
    worst_box_px: float = 0.0
    worst_score: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """How all frames compare; the attributes are the sums and maxima of `FrameParity`.

    Attributes:
        frames: Number of frames.
        bad_frames: Frames with a missing partner.
        score_from: Detections from this score on were compared.
        box_limit_px: What partners may differ by at an edge.
        score_limit: What the scores of partners may differ by.
    """

    frames: int
    bad_frames: int
    compared: int
    missing: int
    ties: int
    worst_box_px: float
    worst_score: float
    score_from: float = SCORE_FROM
    box_limit_px: float = BOX_LIMIT_PX
    score_limit: float = SCORE_LIMIT

    @property
    def is_equal(self) -> bool:
        """True if every detection has its partner, but for the ties that chance allows."""
        return self.missing == 0 and self.ties <= _TIES_PER_DETECTION * self.compared

    def line(self) -> str:
        """The comparison in one line."""
        return (
            f"{self.compared} detections from score {self.score_from} in {self.frames} frames, {self.missing} without "
            f"a partner ({self.bad_frames} frames), {self.ties} ties, largest difference {self.worst_box_px:.4f} px "
            f"(limit {self.box_limit_px}) and {self.worst_score:.6f} in score (limit {self.score_limit})"
        )


def compare_detectors(
    expected: Detector, actual: Detector, frames: Iterable[Image], max_detections: int, at_once: int = 1
) -> ParityReport:
    """Run two detectors on the same frames and compare what they find.

    Args:
        expected: The checkpoint's detector.
        actual: The exported file's detector.
        frames: (H, W, 3) uint8 RGB images.
        max_detections: Most that either reports of a frame.
        at_once: Frames handed to the file together, so that each place of a batch is looked at.

    Returns:
        The comparison; where nothing reaches `SCORE_FROM`, everything that was reported is compared.
    """
    pairs: list[tuple[Detections, Detections]] = []
    source = iter(frames)
    while part := list(islice(source, at_once)):
        pairs += zip((expected.detect([frame])[0] for frame in part), actual.detect(part), strict=True)
    report = compare(pairs, max_detections)
    return report if report.compared else compare(pairs, max_detections, score_from=0.0)


def compare(
    pairs: Sequence[tuple[Detections, Detections]], max_detections: int, score_from: float = SCORE_FROM
) -> ParityReport:
    """Compare the detections of many frames."""
    results = [compare_frame(first, second, max_detections, score_from) for first, second in pairs]
    return ParityReport(
        frames=len(results),
        bad_frames=sum(result.missing > 0 for result in results),
        compared=sum(result.compared for result in results),
        missing=sum(result.missing for result in results),
        ties=sum(result.ties for result in results),
        worst_box_px=max((result.worst_box_px for result in results), default=0.0),
        worst_score=max((result.worst_score for result in results), default=0.0),
        score_from=score_from,
    )


def compare_frame(
    first: Detections, second: Detections, max_detections: int, score_from: float = SCORE_FROM
) -> FrameParity:
    """Compare the detections of one frame, in both directions."""
    there = _look_up(first, second, max_detections, score_from)
    back = _look_up(second, first, max_detections, score_from)
    return FrameParity(
        compared=there.compared + back.compared,
        missing=there.missing + back.missing,
        ties=there.ties + back.ties,
        worst_box_px=max(there.worst_box_px, back.worst_box_px),
        worst_score=max(there.worst_score, back.worst_score),
    )


def _look_up(wanted: Detections, offered: Detections, max_detections: int, score_from: float) -> FrameParity:
    box_px, score = _differences(wanted, offered)
    fits = (box_px <= BOX_LIMIT_PX) & (score <= SCORE_LIMIT)
    overlap = iou(wanted.xyxy, offered.xyxy)
    same_class = wanted.class_id[:, None] == offered.class_id[None, :]
    tied = same_class & (overlap >= _TIE_IOU) & (score <= SCORE_LIMIT)
    # A full list ends at its lowest score: what lies there may have been the first to be left out.
    last_score = offered.score.min() if len(offered) >= max_detections else -np.inf
    free = np.ones(len(offered), dtype=bool)
    missing = ties = compared = 0
    worst_box = worst_score = 0.0
    for row in np.argsort(-wanted.score, kind="stable"):
        if wanted.score[row] < score_from:
            break
        compared += 1
        candidates = np.flatnonzero(fits[row] & free)
        if len(candidates):
            partner = candidates[np.argmin(box_px[row, candidates] + score[row, candidates])]
            free[partner] = False
            worst_box = max(worst_box, float(box_px[row, partner]))
            worst_score = max(worst_score, float(score[row, partner]))
        elif wanted.score[row] <= last_score + SCORE_LIMIT:
            compared -= 1
        elif tied[row].any():
            ties += 1
        else:
            missing += 1
            worst_box = max(worst_box, _nearest(box_px[row]))
    return FrameParity(compared=compared, missing=missing, ties=ties, worst_box_px=worst_box, worst_score=worst_score)


def _differences(first: Detections, second: Detections) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, M) largest edge difference in pixels, infinite between classes, and (N, M) score difference."""
    edges = np.abs(first.xyxy[:, None].astype(np.float64) - second.xyxy[None]).max(axis=2, initial=0.0)
    edges[first.class_id[:, None] != second.class_id[None, :]] = np.inf
    return edges, np.abs(first.score[:, None].astype(np.float64) - second.score[None])


def _nearest(box_px: NDArray[np.float64]) -> float:
    finite = box_px[np.isfinite(box_px)]
    return float(finite.min()) if len(finite) else 0.0
