"""Which validation frames are drawn in every epoch: few that show many classes and conditions.

The choice follows from the frames and the run's seed alone, so that a resumed run draws the same ones.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from tl_datasets.catalog import CONDITIONS
from tl_detection.evaluation.ground_truth import GroundTruth

# What was shown once is worth this much less: two frames of another class come before a third of this one.
_AGAIN = 0.25


def choose_frames(truth: GroundTruth, count: int, seed: int) -> NDArray[np.int64]:
    """Choose frames one after the other, each the one that adds most of what those before it show least.

    What is counted is classes with an object, values of the conditions, the sequence, and the part of the frames in the
    order of their ids, since neighbours look alike. Frames without an object come only where there are too few others.

    Args:
        truth: F frames.
        count: How many; all, if there are fewer.
        seed: Decides between frames that add the same.

    Returns:
        Positions in `truth`, in the order of choice.
    """
    shows = _what_each_shows(truth, count)
    has_object = np.zeros(len(truth), np.bool_)
    has_object[truth.frame_index[~truth.is_ignored]] = True
    lot = np.array([_lot(frame_id, seed) for frame_id in truth.frame_ids])
    times_shown = np.zeros(shows.shape[1], np.int64)
    is_free = np.ones(len(truth), np.bool_)
    chosen: list[int] = []
    while len(chosen) < min(count, len(truth)):
        candidates = np.flatnonzero(is_free & has_object)
        if not candidates.size:
            candidates = np.flatnonzero(is_free)
        gain = shows[candidates] @ (_AGAIN**times_shown)
        best = candidates[np.lexsort((lot[candidates], -gain))[0]]
        is_free[best] = False
        times_shown += shows[best]
        chosen.append(int(best))
    return np.array(chosen, np.int64)


def _what_each_shows(truth: GroundTruth, parts: int) -> NDArray[np.bool_]:
    """(F, K) which classes, values of conditions, sequences and parts of all frames each frame shows."""
    classes = np.zeros((len(truth), len(truth.names)), np.bool_)
    classes[truth.frame_index[~truth.is_ignored], truth.class_id[~truth.is_ignored]] = True
    columns = [classes, (truth.frame_rank * parts // max(len(truth), 1))[:, None] == np.arange(parts)]
    for column in (*CONDITIONS, "sequence"):
        words = np.array([value or "" for value in truth.conditions[column]])
        columns += [(words == word)[:, None] for word in sorted(set(words)) if word]
    return np.concatenate(columns, axis=1)


def _lot(frame_id: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {frame_id}".encode("utf-8", "surrogatepass")).digest()[:7], "big")
