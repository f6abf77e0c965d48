"""Which objects one detector finds and the other does not, and which frames that happens in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.compare.differences import Scored
from tl_detection.evaluation.lights.answers import is_at_work
from tl_detection.evaluation.pairs import BoolArray, IntArray
from tl_detection.evaluation.protocol import OPERATING_IOU
from tl_detection.evaluation.stop_lights import verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameChange:
    """What is different in a frame, at the operating scores and IoU 0.5.

    Attributes:
        frame_id: Which one.
        sequence: None where the source does not say.
        conditions: Column -> value, where the source says.
        red_as_green_new: Objects that mean stop that only the second calls green.
        red_as_green_mended: That only the first calls green.
        lost: Objects that only the first finds.
        gained: Objects that only the second finds.
        wrong_first: Detections of the first that are wrong.
        wrong_second: Of the second.
    """

    frame_id: str
    sequence: str | None
    conditions: dict[str, str]
    red_as_green_new: int
    red_as_green_mended: int
    lost: int
    gained: int
    wrong_first: int
    wrong_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassChange:
    """Objects of a class that one detector finds and the other does not."""

    name: str
    objects: int
    lost: int
    gained: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Objects and frames gained and lost between two detectors.

    Attributes:
        first: Letter of the detector that is compared with.
        second: Letter of the other one.
        classes: Per class.
        red_as_green_new: Objects that mean stop that only the second calls green; None without such a class.
        red_as_green_mended: That only the first calls green.
        wrong_first: Wrong detections of the first.
        wrong_second: Of the second.
        frames_lost: Frames in which the second is worse: it alone calls a red green, else it finds fewer objects, else
            more of its detections are wrong.
        frames_gained: Frames in which it is better.
        worse: These frames, the worst first.
        better: The others, the best first.
    """

    first: str
    second: str
    classes: tuple[ClassChange, ...]
    red_as_green_new: int | None
    red_as_green_mended: int | None
    wrong_first: int
    wrong_second: int
    frames_lost: int
    frames_gained: int
    worse: tuple[FrameChange, ...]
    better: tuple[FrameChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectChanges:
    """(N,) each, true for the objects of which it holds.

    Attributes:
        lost: Only the first finds it.
        gained: Only the second finds it.
        red_as_green_new: Only the second calls it green, and it means stop.
        red_as_green_mended: Only the first does.
    """

    lost: BoolArray
    gained: BoolArray
    red_as_green_new: BoolArray
    red_as_green_mended: BoolArray

    @property
    def any(self) -> BoolArray:
        """(N,) true where anything is different."""
        return self.lost | self.gained | self.red_as_green_new | self.red_as_green_mended


def object_changes(first: Scored, second: Scored) -> ObjectChanges:
    """What is different for each object."""
    found_first, found_second = _is_found(first), _is_found(second)
    green_first, green_second = _is_called_green(first), _is_called_green(second)
    return ObjectChanges(
        lost=found_first & ~found_second,
        gained=found_second & ~found_first,
        red_as_green_new=green_second & ~green_first,
        red_as_green_mended=green_first & ~green_second,
    )


def find_changes(first: Scored, second: Scored) -> Changes:
    """Compare two detectors object by object and frame by frame; the frames must be the same."""
    truth, objects = first.matched.ground_truth, object_changes(first, second)
    per_frame = {
        name: np.bincount(truth.frame_index[getattr(objects, name)], minlength=len(truth))
        for name in ("red_as_green_new", "red_as_green_mended", "lost", "gained")
    }
    per_frame |= {"wrong_first": _wrong_by_frame(first), "wrong_second": _wrong_by_frame(second)}
    worse, better = _frames(first, per_frame)
    classes = []
    for class_id, name in enumerate(truth.names):
        of_class = (truth.class_id == class_id) & ~truth.is_ignored
        lost, gained = int((objects.lost & of_class).sum()), int((objects.gained & of_class).sum())
        classes.append(ClassChange(name=name, objects=int(of_class.sum()), lost=lost, gained=gained))
    tells = any(truth.means_stop) and any(truth.means_go)
    return Changes(
        first=first.letter,
        second=second.letter,
        classes=tuple(classes),
        red_as_green_new=int(objects.red_as_green_new.sum()) if tells else None,
        red_as_green_mended=int(objects.red_as_green_mended.sum()) if tells else None,
        wrong_first=int(per_frame["wrong_first"].sum()),
        wrong_second=int(per_frame["wrong_second"].sum()),
        frames_lost=len(worse),
        frames_gained=len(better),
        worse=worse,
        better=better,
    )


def is_wrong(scored: Scored) -> BoolArray:
    """(D,) true for the detections at or above the operating score of their class that are wrong at IoU 0.5."""
    matched = scored.matched
    level = matched.protocol.threshold_index(OPERATING_IOU) or 0
    counts = is_at_work(matched, scored.operating_scores)
    return counts & ~matched.is_ignored_at(0, level) & ~matched.is_match_at(0, level)


def _is_found(scored: Scored) -> BoolArray:
    matched = scored.matched
    found = np.zeros(len(matched.ground_truth.class_id), np.bool_)
    counts = is_at_work(matched, scored.operating_scores)
    found[matched.object_index[counts & (matched.object_index >= 0)]] = True
    return found & ~matched.ground_truth.is_ignored


def _is_called_green(scored: Scored) -> BoolArray:
    truth = scored.matched.ground_truth
    is_green = np.zeros(len(truth.class_id), np.bool_)
    if any(truth.means_stop) and any(truth.means_go):
        box, said_green = verdicts(truth, scored.matched.stop_pairs, scored.operating_scores)
        is_green[box[said_green]] = True
    return is_green


def _wrong_by_frame(scored: Scored) -> IntArray:
    matched = scored.matched
    return np.bincount(matched.frame_index[is_wrong(scored)], minlength=len(matched.ground_truth))


def _frames(scored: Scored, per_frame: dict[str, IntArray]) -> tuple[tuple[FrameChange, ...], tuple[FrameChange, ...]]:
    """Frames in which the second is worse, the worst first; and those in which it is better, the best first."""
    truth = scored.matched.ground_truth
    balance = np.stack(
        [
            per_frame["red_as_green_mended"] - per_frame["red_as_green_new"],
            per_frame["gained"] - per_frame["lost"],
            per_frame["wrong_first"] - per_frame["wrong_second"],
        ],
        axis=1,
    )
    worse, better = [], []
    for row in np.flatnonzero(balance.any(axis=1)):
        gains = tuple(balance[row].tolist())
        (better if gains > (0, 0, 0) else worse).append((gains, truth.frame_ids[row], int(row)))
    worse.sort()
    better.sort(key=lambda item: (tuple(-gain for gain in item[0]), item[1]))
    return _described(scored, per_frame, worse), _described(scored, per_frame, better)


def _described(
    scored: Scored, per_frame: dict[str, IntArray], rows: Sequence[tuple[tuple[int, ...], str, int]]
) -> tuple[FrameChange, ...]:
    truth = scored.matched.ground_truth
    return tuple(
        FrameChange(
            frame_id=frame_id,
            sequence=truth.conditions["sequence"][row],
            conditions={
                name: value
                for name in ("weather", "scene", "time_of_day")
                if (value := truth.conditions[name][row]) is not None
            },
            **{name: int(counts[row]) for name, counts in per_frame.items()},
        )
        for _, frame_id, row in rows
    )
