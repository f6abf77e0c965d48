"""The mistakes that a reader should look at, the worst of each kind first.

red as green  a light that means stop is said to be green; worst: high score times height
green as red  a light that means go is said to mean stop; likewise
phantom       a detection that speaks of no object, touches none and no ignore area; worst: high score
missed        an object of which nothing is said; worst: tall
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.lights.answers import MISSED as NOTHING_SAID
from tl_detection.evaluation.lights.answers import Answers
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray

RED_AS_GREEN = "red as green"
GREEN_AS_RED = "green as red"
PHANTOM = "phantom"
MISSED = "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistakes:
    """Mistakes of one kind, the worst first.

    Attributes:
        frame_index: (M,) frame of each.
        object_index: (M,) its object as a position in the ground truth; -1 = there is none.
        detection: (M,) its detection as a position in the records; -1 = there is none.
    """

    frame_index: IntArray
    object_index: IntArray
    detection: IntArray

    def __len__(self) -> int:
        return len(self.frame_index)


def find_mistakes(answers: Answers) -> dict[str, Mistakes]:
    """All mistakes by kind; a kind that the label space does not know has none.

    Args:
        answers: What is said of each object, at the operating scores.
    """
    matched = answers.matched
    truth = matched.ground_truth
    height_px = truth.xyxy[:, 3] - truth.xyxy[:, 1]
    means_stop, means_go = np.array(truth.means_stop, np.bool_), np.array(truth.means_go, np.bool_)

    def taken_for(is_class: BoolArray, said_class: BoolArray) -> Mistakes:
        spoken = np.flatnonzero(answers.speaker >= 0)
        at = spoken[is_class[truth.class_id[spoken]] & said_class[answers.said[spoken]]]
        return _ordered(matched, at, answers.speaker[at], -matched.score[answers.speaker[at]] * height_px[at])

    phantom = answers.phantoms
    missed = np.flatnonzero(matched.is_object & (answers.said == NOTHING_SAID))
    return {
        RED_AS_GREEN: taken_for(means_stop, means_go),
        GREEN_AS_RED: taken_for(means_go, means_stop),
        PHANTOM: _ordered(matched, np.full(len(phantom), -1), phantom, -matched.score[phantom]),
        MISSED: _ordered(matched, missed, np.full(len(missed), -1), -height_px[missed]),
    }


def _ordered(matched: Matched, box: IntArray, detection: IntArray, worst_first: FloatArray) -> Mistakes:
    truth = matched.ground_truth
    has_box = box >= 0
    frame, xyxy = np.zeros(len(box), np.int64), np.zeros((len(box), 4))
    frame[has_box], xyxy[has_box] = truth.frame_index[box[has_box]], truth.xyxy[box[has_box]]
    without = detection[~has_box]
    frame[~has_box], xyxy[~has_box] = matched.frame_index[without], matched.xyxy[without]
    # Equal ones by frame id and box, so that the order of frames and detections does not matter.
    order = np.lexsort((*xyxy.T[::-1], truth.frame_rank[frame], worst_first))
    return Mistakes(frame_index=frame[order], object_index=box[order], detection=detection[order])


def choose_cases(mistakes: Mistakes, sequence_number: IntArray, most: int, most_per_sequence: int) -> IntArray:
    """Positions of the worst mistakes, few of one sequence unless there are not enough of others.

    Args:
        mistakes: The worst first.
        sequence_number: (F,) of `replicates.sequence_numbers`.
        most: How many at most.
        most_per_sequence: How many of one sequence before those of others are exhausted.
    """
    taken: dict[int, int] = {}
    first, later = [], []
    for position, frame in enumerate(mistakes.frame_index):
        number = int(sequence_number[frame])
        taken[number] = taken.get(number, 0) + 1
        (first if taken[number] <= most_per_sequence else later).append(position)
        if len(first) == most:
            break
    return np.array(sorted((first + later)[:most]), np.int64)
