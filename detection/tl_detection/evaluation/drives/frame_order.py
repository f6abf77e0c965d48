"""The frames of each sequence one after the other, and how much time lies between them.

By capture time where every frame of the sequence has one, else by the number in which the paths differ. A step of more
than `GAP_STEPS` usual ones is a gap: frames are missing there, nobody labelled them, or the camera was off. Usual is
the median of the steps around it, since a camera may take fewer frames per second from some frame on.

A sequence of one frame is no drive (BDD100K's images are such). Refused with the reason are sequences whose frames
nobody can order, such as names that are no numbers, or two frames of one time (two cameras under one name).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_datasets.errors import UsageError
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray

# One frame that was lost does not make two drives of one; a second of pause does, at every usual frame rate.
GAP_STEPS = 2.5
# Steps before a step and after it that say what is usual there.
_AROUND = 5
_LAST_NUMBER = re.compile(r"(.*?)(\d{1,18})(\D*)", re.DOTALL)
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """The frames of one sequence in their order.

    Attributes:
        name: Of the sequence.
        frames: (K,) positions in the ground truth, K at least 2.
        seconds: (K,) capture time from the first frame on; None where neither times nor a frame rate are known.
        is_gap: (K - 1,) true where frames are missing between one frame and the next.
    """

    name: str
    frames: IntArray
    seconds: FloatArray | None
    is_gap: BoolArray

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A sequence that is no drive.

    Attributes:
        sequence: Its name.
        reason: Why not, in words.
    """

    sequence: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drives:
    """The sequences of some frames.

    Attributes:
        drives: Those whose frames follow each other, by name.
        refused: Those of several frames that cannot be ordered, by name.
        single_frames: Frames that stand alone.
    """

    drives: tuple[Drive, ...]
    refused: tuple[Refused, ...]
    single_frames: int


def order_drives(truth: GroundTruth, frame_rate_hz: float | None = None) -> Drives:
    """Put the frames of every sequence in order, whatever their order in the catalog.

    Args:
        truth: F frames.
        frame_rate_hz: Frames per second of sequences without capture times: one usual step of the numbers in the paths.

    Raises:
        UsageError: The frame rate is not positive.
    """
    if frame_rate_hz is not None and not 0 < frame_rate_hz < float("inf"):
        raise UsageError(f"--frame-rate {frame_rate_hz}: expected frames per second, such as 10")
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, key in enumerate(zip(truth.conditions["source"], truth.conditions["sequence"], strict=True)):
        if key[1] is not None:
            members[key[0] or "", key[1]].append(index)
    sources = {source for source, _ in members}
    single_frames = len(truth) - sum(len(frames) for frames in members.values() if len(frames) > 1)
    drives: list[Drive] = []
    refused: list[Refused] = []
    for source, sequence in sorted(members):
        frames = np.array(members[source, sequence], np.int64)
        if len(frames) < 2:
            continue
        name = sequence if len(sources) == 1 else f"{source}: {sequence}"
        found = _order(truth, name, frames, frame_rate_hz)
        if isinstance(found, Drive):
            drives.append(found)
        else:
            refused.append(found)
    return Drives(drives=tuple(drives), refused=tuple(refused), single_frames=single_frames)


def _order(truth: GroundTruth, name: str, frames: IntArray, frame_rate_hz: float | None) -> Drive | Refused:
    times = truth.frames["timestamp_ns"][frames]
    has_times = not times.null_count()
    if has_times:
        place = times.to_numpy()
    else:
        paths, ids = truth.frames["path"][frames].to_list(), [truth.frame_ids[frame] for frame in frames]
        numbers = _numbers(paths) or _numbers(ids)
        if numbers is None:
            return Refused(
                sequence=name, reason="its frames have no timestamps, and their paths do not differ by a number alone"
            )
        place = np.array(numbers, np.int64)
    order = np.argsort(place, kind="stable")
    step = np.diff(place[order])
    if not step.all():
        at = order[np.flatnonzero(step == 0)[0]]
        what = "one time" if has_times else "one number"
        return Refused(sequence=name, reason=f"two frames of {what}, such as {truth.frame_ids[frames[at]]}")
    from_first = (place[order] - place[order[0]]).astype(np.float64)
    seconds = from_first / 1e9 if has_times else None
    if not has_times and frame_rate_hz is not None:
        seconds = from_first / float(np.median(step)) / frame_rate_hz
    return Drive(name=name, frames=frames[order], seconds=seconds, is_gap=step > GAP_STEPS * _usual(step))


def _usual(step: IntArray) -> FloatArray:
    """(K - 1,) the median of each step and those around it."""
    padded = np.pad(step.astype(np.float64), _AROUND, constant_values=np.nan)
    return np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1), axis=1)


def _numbers(paths: Sequence[str]) -> list[int] | None:
    """The last number of each path; None where they differ in anything else."""
    found = [_LAST_NUMBER.fullmatch(_SUFFIX.sub("", path)) for path in paths]
    parts = [match.groups() for match in found if match is not None]
    if len(parts) < len(paths) or len({(head, tail) for head, _, tail in parts}) > 1:
        return None
    return [int(number) for _, number, _ in parts]
