"""What was said of one lamp while it was visible, frame by frame, and what that amounts to.

A lamp is visible in the frames in which it is an object of the selection: not where it is hidden, and not where the
annotators could not tell its state. Visible frames that follow each other without a gap are a stretch; nothing is
counted from one stretch to the next. A frame stands until the next one of its stretch.

What is said of a lamp is the class of the detection that speaks of it; right is the state that it shows (the class,
where classes name no states).

- flicker: changes of what is said that the lamp itself did not make. Frames in which nothing is said are passed over.
  A change is the lamp's own if it leads to the state that the lamp shows, the lamp came to show it while visible, and
  it is the first such change since. So red, green, red of a lamp that stays red is 2, and a late change is 0.
- dropouts: how often nothing is said any more of a lamp of which something was said in the frame before.
- first sight: its size when something was first said of it, and when the right state was.
- stable: from the first visible frame until `STABLE_FRAMES` visible frames in a row are right, these included.
- longest miss: most frames of a stretch in a row in which nothing is said; longest loss: the same after it was seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tl_datasets.network_size import box_sizes_px
from tl_detection.evaluation.drives.lamp_tracks import LampTrack
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray

# Half a second at 10 frames per second.
STABLE_FRAMES = 5
NOTHING = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackResult:
    """One lamp; of times, None without capture times or a frame rate.

    Attributes:
        sequence: Its drive.
        name: Its track id, or its number in the drive.
        is_given: True where the annotation has track ids.
        first_frame: Id of the first frame in which it is visible.
        states: What it shows, in order, without repetition.
        visible_frames: Frames in which it is visible.
        visible_s: Time from frame to frame within its stretches.
        first_height_px: Its height in the first visible frame.
        flicker: Changes of what is said that it did not make; None where classes name no states.
        flicker_at: Ids of the frames in which these changes show.
        dropouts: How often it was lost.
        seen_height_px: Its height when something was first said of it; None = never.
        seen_network_height_px: The same in pixels of the network's input; None where that is not known, too.
        seen_after_frames: Visible frames before.
        right_height_px: Its height when it was first right; None = never, or where classes name no states.
        right_network_height_px: The same in pixels of the network's input.
        stable_frames: Visible frames until it was stable, `STABLE_FRAMES` at best; None = never.
        stable_s: Time until then.
        longest_miss_frames: Most visible frames in a row without a word.
        longest_miss_s: How long these lasted, until the next frame of the stretch.
        longest_loss_frames: The same, after it was seen; None = never seen.
        longest_loss_s: How long these lasted.
    """

    sequence: str
    name: str
    is_given: bool
    first_frame: str
    states: tuple[str, ...]
    visible_frames: int
    visible_s: float | None
    first_height_px: float
    flicker: int | None
    flicker_at: tuple[str, ...]
    dropouts: int
    seen_height_px: float | None
    seen_network_height_px: float | None
    seen_after_frames: int | None
    right_height_px: float | None
    right_network_height_px: float | None
    stable_frames: int | None
    stable_s: float | None
    longest_miss_frames: int
    longest_miss_s: float | None
    longest_loss_frames: int | None
    longest_loss_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What classes say, so that two classes of one state say the same.

    Attributes:
        names: What can be said.
        of_class: (classes,) what each class says.
        are_states: False where no class names a state, so that nothing can be right or wrong but the place.
    """

    names: tuple[str, ...]
    of_class: IntArray
    are_states: bool

    @staticmethod
    def of(truth: GroundTruth) -> Words:
        """The states of the classes; of a class that names none, its own name."""
        said = ["/".join(states) or name for states, name in zip(truth.states, truth.names, strict=True)]
        names = tuple(dict.fromkeys(said))
        return Words(
            names=names,
            of_class=np.array([names.index(word) for word in said], np.int64),
            are_states=any(truth.states),
        )


def judge_track(
    truth: GroundTruth,
    track: LampTrack,
    said: IntArray,
    is_visible: BoolArray,
    words: Words,
    scales: FloatArray | None = None,
) -> TrackResult | None:
    """Judge what was said of a lamp.

    Args:
        truth: F frames, N boxes.
        track: The lamp.
        said: (N,) class that is said of each object, `NOTHING` where nothing is.
        is_visible: (N,) the objects in which it counts as visible.
        words: Of the ground truth.
        scales: (F,) pixels of the network's input per pixel of the frame; None = not known.

    Returns:
        None where the lamp is never visible.
    """
    seen = is_visible[track.boxes]
    boxes, place = track.boxes[seen], track.place[seen]
    if not len(boxes):
        return None
    drive = track.drive
    shown = words.of_class[truth.class_id[boxes]]
    heard = np.where(said[boxes] == NOTHING, NOTHING, words.of_class[said[boxes]])
    lengths = [len(part) for part in _stretches(place, drive.is_gap)]
    parts = [slice(stop - n, stop) for n, stop in zip(lengths, np.cumsum(lengths).tolist(), strict=True)]
    seconds = None if drive.seconds is None else drive.seconds[place]
    stands_s = None if seconds is None else np.concatenate([np.append(np.diff(seconds[part]), 0.0) for part in parts])
    heights = box_sizes_px(truth.xyxy[boxes])[:, 1]
    network_heights = None if scales is None else heights * scales[truth.frame_index[boxes]]

    is_right = heard == shown
    first_seen, first_right = _first(heard != NOTHING), _first(is_right) if words.are_states else None
    flicker = [part.start + at for part in parts for at in _flicker(shown[part], heard[part])]
    stable = _stable([is_right[part] for part in parts]) if words.are_states else None
    misses = [_longest_run(heard == NOTHING, parts, stands_s)]
    if first_seen is not None:
        is_lost = (heard == NOTHING) & (np.arange(len(heard)) > first_seen)
        misses.append(_longest_run(is_lost, parts, stands_s))
    longest_loss = misses[1] if len(misses) > 1 else (None, None)
    frame_ids = [truth.frame_ids[index] for index in drive.frames[place]]
    return TrackResult(
        sequence=drive.name,
        name=track.name,
        is_given=track.is_given,
        first_frame=frame_ids[0],
        states=tuple(words.names[shown[at]] for at in range(len(shown)) if not at or shown[at] != shown[at - 1]),
        visible_frames=len(boxes),
        visible_s=None if stands_s is None else float(stands_s.sum()),
        first_height_px=float(heights[0]),
        flicker=len(flicker) if words.are_states else None,
        flicker_at=tuple(frame_ids[at] for at in flicker) if words.are_states else (),
        dropouts=sum(int(((heard[part][:-1] != NOTHING) & (heard[part][1:] == NOTHING)).sum()) for part in parts),
        seen_height_px=_at(heights, first_seen),
        seen_network_height_px=_at(network_heights, first_seen),
        seen_after_frames=first_seen,
        right_height_px=_at(heights, first_right),
        right_network_height_px=_at(network_heights, first_right),
        stable_frames=None if stable is None else stable + 1,
        stable_s=None if stable is None or seconds is None else float(seconds[stable] - seconds[0]),
        longest_miss_frames=misses[0][0],
        longest_miss_s=misses[0][1],
        longest_loss_frames=longest_loss[0],
        longest_loss_s=longest_loss[1],
    )


def _stretches(place: IntArray, is_gap: BoolArray) -> list[IntArray]:
    follows = (np.diff(place) == 1) & ~is_gap[place[:-1]]
    return np.split(place, np.flatnonzero(~follows) + 1)


def _flicker(shown: IntArray, heard: IntArray) -> Iterator[int]:
    """Where in a stretch what is said changes without the lamp's doing."""
    last, has_changed = NOTHING, False
    for at, (is_shown, is_heard) in enumerate(zip(shown.tolist(), heard.tolist(), strict=True)):
        has_changed |= at > 0 and is_shown != shown[at - 1]
        if is_heard == NOTHING:
            continue
        if last not in (NOTHING, is_heard):
            if has_changed and is_heard == is_shown:
                has_changed = False
            else:
                yield at
        last = is_heard


def _stable(stretches: list[BoolArray]) -> int | None:
    """Position of the frame at which the first `STABLE_FRAMES` right ones in a row are complete."""
    start = 0
    for is_right in stretches:
        in_a_row = 0
        for at, right in enumerate(is_right.tolist()):
            in_a_row = in_a_row + 1 if right else 0
            if in_a_row == STABLE_FRAMES:
                return start + at
        start += len(is_right)
    return None


def _longest_run(is_in: BoolArray, parts: list[slice], stands_s: FloatArray | None) -> tuple[int, float | None]:
    """Most frames of a stretch in a row, and the time of the run that lasts longest."""
    runs: list[tuple[int, float]] = [(0, 0.0)]
    for part in parts:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], is_in[part], [False]]))).tolist()
        for start, stop in pairwise(edges):
            if is_in[part.start + start]:
                run = slice(part.start + start, part.start + stop)
                runs.append((stop - start, 0.0 if stands_s is None else float(stands_s[run].sum())))
    return max(n for n, _ in runs), None if stands_s is None else max(time_s for _, time_s in runs)


def _first(is_true: BoolArray) -> int | None:
    found = np.flatnonzero(is_true)
    return int(found[0]) if found.size else None


def _at(values: FloatArray | None, at: int | None) -> float | None:
    return None if values is None or at is None else float(values[at])
