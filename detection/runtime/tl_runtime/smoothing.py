"""What a light shows over several frames: a wrong single frame must not turn red into green.

    smoother = StateSmoother([item.state for item in lights.classes], [item.group for item in lights.classes])
    result = lights.detect(frame)                                  # one smoother for each camera
    if result.is_usable:
        smoothed = smoother.update(result.xyxy, result.labels)
    else:
        smoother.skip()                                            # every frame counts, one without a result, too

The promise, whatever the detector says: **a box is reported as go (green) only if its track was seen as go in this
frame and in the `green_after - 1` frames right before it**, in each of them without another box on the same place that
says otherwise. So a light that was reported as red, red-yellow, yellow, dark or anything else but green is never green
again before it was seen so in `green_after` frames in a row; one frame of red, one frame in which it was not seen, and
one frame without a result begin the count anew. Everything else is reported at once: green turns red in the first frame
that says so. Until green is confirmed, the light is reported as what it was reported as last (`is_held`), and one that
was never reported as anything but green as `PENDING`, which is no state: nobody may drive on it.
A track is what the tracker takes for one light: if it takes two lights for one, the promise holds for both together.

With `confirm_fresh=False` a light that is first seen green is green at once, and a green one stays green over frames in
which it was missed; the count is asked of those alone that were last reported as something else (or that appear on
the place of one), as long as their track lives. This is quicker, and trusts single frames and tracks more.

No box is invented: a light that is not in this frame is not reported in it. A class of several states, or of none, is
reported as it was detected, and is not go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tl_runtime.tracking import NEW, Tracker

GO_STATES = frozenset({"green"})
# In place of a class id: seen as go alone, and not often enough.
PENDING = -1
# Two boxes of which the smaller lies with this share in the other are one light.
_SAME_PLACE_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothedStates:
    """What the boxes of one frame are reported as, in their order.

    Attributes:
        track: (N,) int64, the number of the light.
        class_id: (N,) int64, what to report; `PENDING` = no state. Beware of using it as an index then.
        state: The states of these classes; None where pending, and where the class has no single one.
        is_held: (N,) bool, true where this is not what was detected in this frame.
    """

    track: NDArray[np.int64]
    class_id: NDArray[np.int64]
    state: tuple[str | None, ...]
    is_held: NDArray[np.bool_]


@dataclass(slots=True)
class _Memory:
    """Of one track.

    Attributes:
        reported: Class id that it was reported as last, or `PENDING`; None = not yet.
        n_go: Frames in a row, up to now, in which it was seen as go.
    """

    reported: int | None = None
    n_go: int = 0


class StateSmoother:
    """Reports go late and everything else at once. One for each camera; not to be shared between threads."""

    def __init__(
        self,
        states: Sequence[str | None],
        groups: Sequence[int],
        *,
        green_after: int = 3,
        confirm_fresh: bool = True,
        lose_after: int = 5,
        reach: float = 1.5,
    ):
        """Begin without lights.

        Args:
            states: What a light of each class shows, by class id; None = not one state.
            groups: By class id; classes of one number exclude each other, and a light stays within its group.
            green_after: Frames in a row that must show go before it is reported; 1 = at once.
            confirm_fresh: Whether that holds for lights without a past, too.
            lose_after: A light that was not seen in more than this many frames in a row is a new one.
            reach: How far a light may move from its expected place, in box sizes; see `tracking`.

        Raises:
            ValueError: A setting is out of its range, or there are not as many groups as states.
        """
        if green_after < 1:
            raise ValueError(f"green_after {green_after}, expected 1 or more")
        if len(states) != len(groups):
            raise ValueError(f"{len(states)} states and {len(groups)} groups, expected one of each for every class")
        self._states = tuple(None if state is None else str(state) for state in states)
        self._groups = np.asarray(groups, np.int64)
        self._is_go = np.array([state in GO_STATES for state in self._states], bool)
        self._green_after = green_after
        self._confirm_fresh = confirm_fresh
        self._tracker = Tracker(lose_after=lose_after, reach=reach)
        self._memories: dict[int, _Memory] = {}

    def update(self, xyxy: ArrayLike, class_id: ArrayLike) -> SmoothedStates:
        """Take the detections of the next frame.

        Args:
            xyxy: (N, 4) boxes in pixels.
            class_id: (N,) 0-based class ids.

        Raises:
            ValueError: The shapes do not fit, a box is not finite or inside out, or there is no such class.
        """
        boxes, classes = np.asarray(xyxy, np.float64), np.asarray(class_id, np.int64)
        if classes.ndim != 1:
            raise ValueError(f"class ids of shape {classes.shape}, expected (N,)")
        if len(classes) and not (classes.min() >= 0 and classes.max() < len(self._states)):
            raise ValueError(
                f"class ids {classes.min()} to {classes.max()}, expected 0 to {len(self._states) - 1} for the "
                f"{len(self._states)} classes"
            )
        is_go, groups = self._is_go[classes], self._groups[classes]
        is_not_go = np.array([self._is_not_go(track) for track in self._tracker.numbers], bool)
        has_past: NDArray[np.bool_] = np.any(self._tracker.near(boxes) & is_not_go, axis=1)
        numbers, missed = self._tracker.update(boxes, groups)
        counts = is_go & ~_is_contradicted(boxes, groups, is_go)
        reported = np.empty(len(classes), np.int64)
        new: dict[int, _Memory] = {}
        for row, number in enumerate(numbers.tolist()):
            if missed[row] == NEW:
                memory = new[number] = _Memory(reported=PENDING if has_past[row] else None)
            else:
                memory = self._memories[number]
                if missed[row] > 0:
                    memory.n_go = 0
            reported[row] = self._report(memory, int(classes[row]), bool(is_go[row]), bool(counts[row]))
        self._memories |= new
        self._forget()
        return SmoothedStates(
            track=numbers,
            class_id=reported,
            state=tuple(None if label == PENDING else self._states[label] for label in reported.tolist()),
            is_held=reported != classes,
        )

    def skip(self) -> None:
        """A frame passed that gave no result: no light was seen in it, and every count begins anew."""
        self._tracker.skip()
        self._forget()

    def reset(self) -> None:
        """Forget all lights, as between two drives; their track numbers are not used again."""
        self._tracker.reset()
        self._forget()

    def _report(self, memory: _Memory, class_id: int, is_go: bool, counts: bool) -> int:
        """What a light is reported as, which its memory keeps."""
        memory.n_go = memory.n_go + 1 if counts else 0
        last = memory.reported
        has_no_other_past = last is None or (last != PENDING and bool(self._is_go[last]))
        is_trusted = counts and has_no_other_past and not self._confirm_fresh
        if not is_go or is_trusted or memory.n_go >= self._green_after:
            memory.reported = class_id
        elif has_no_other_past:
            memory.reported = PENDING
        return PENDING if memory.reported is None else memory.reported

    def _is_not_go(self, track: int) -> bool:
        """Whether a track was last reported as something else than go."""
        reported = self._memories[track].reported
        return reported is not None and (reported == PENDING or not self._is_go[reported])

    def _forget(self) -> None:
        alive = set(self._tracker.numbers)
        self._memories = {number: memory for number, memory in self._memories.items() if number in alive}


def _is_contradicted(
    xyxy: NDArray[np.float64], group: NDArray[np.int64], is_go: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(N,) true for what shows go on the place of a box of its group that shows something else."""
    area = np.maximum(xyxy[:, 2] - xyxy[:, 0], 1e-9) * np.maximum(xyxy[:, 3] - xyxy[:, 1], 1e-9)
    top_left = np.maximum(xyxy[:, None, :2], xyxy[None, :, :2])
    bottom_right = np.minimum(xyxy[:, None, 2:], xyxy[None, :, 2:])
    common = np.maximum(bottom_right - top_left, 0).prod(axis=2)
    is_same_place = common >= _SAME_PLACE_SHARE * np.minimum(area[:, None], area[None, :])
    excludes = (group[:, None] == group[None, :]) & ~is_go[None, :]
    return is_go & (is_same_place & excludes).any(axis=1)
