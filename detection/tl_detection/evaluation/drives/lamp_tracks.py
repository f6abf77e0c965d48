"""The boxes of one lamp through a drive.

By the annotation's own track ids where all lights of the drive have one. Else boxes of consecutive frames are joined.
First the camera's turn is taken out: of the shifts of the image up to `MOST_SHIFT` of its width, the smallest that
brings most boxes onto boxes of the next frame. Then each box is joined with the nearest of the next frame, nearest
pairs first, if their centres are at most `MOST_STEP` apart (in heights of the larger of the two), their heights differ
at most by the factor `MOST_GROWTH`, and their pictograms do not contradict each other. The state may change.

A lamp that is hidden for a frame begins anew, and so would every lamp at a gap: a drive with gaps is refused without
track ids. Where a camera turns fast and lamps come and go in the same frame, one may be taken for its neighbour.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tl_datasets.taxonomy import TRAFFIC_LIGHT, Pictogram
from tl_detection.evaluation.drives.frame_order import Drive, Refused
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.pairs import FloatArray, IntArray

# Two heads on one mast hang about one and a half heights apart, so half of that keeps them apart.
MOST_STEP = 0.75
MOST_GROWTH = 1.5
# A hand-held camera turned by up to 5.5 % of the width from one frame to the next (Tuebingen sequence, 1280x720), and
# the lamps then moved by at most half a height against each other.
MOST_SHIFT = 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class LampTrack:
    """One lamp.

    Attributes:
        name: Its track id, or the number that it was given.
        drive: The drive that it was seen in.
        boxes: (L,) its objects and ignore areas as positions in the ground truth, in order of time.
        place: (L,) their frames' positions in the drive, ascending.
        is_given: True where the annotation says that these boxes are one lamp.
    """

    name: str
    drive: Drive
    boxes: IntArray
    place: IntArray
    is_given: bool


def find_tracks(truth: GroundTruth, drive: Drive) -> list[LampTrack] | Refused:
    """Find the lamps of a drive: signal heads that are objects in at least one of its frames.

    Returns:
        The lamps in order of first sight, or why they cannot be told apart.
    """
    by_frame = [_lights(truth, int(frame)) for frame in drive.frames]
    boxes = np.concatenate(by_frame)
    place = np.repeat(np.arange(len(drive)), [len(part) for part in by_frame])
    ids = truth.boxes["track_id"][boxes]
    is_given = bool(len(boxes)) and not ids.null_count()
    if is_given:
        rows_of = _by_id(ids.to_list())
        for name, rows in rows_of.items():
            twice = np.flatnonzero(np.diff(place[rows]) == 0)
            if twice.size:
                where = truth.frame_ids[drive.frames[place[rows[twice[0]]]]]
                return Refused(sequence=drive.name, reason=f"track id {name} occurs twice in frame {where}")
    elif drive.is_gap.any():
        at = int(np.flatnonzero(drive.is_gap)[0])
        before, after = (truth.frame_ids[drive.frames[index]] for index in (at, at + 1))
        return Refused(sequence=drive.name, reason=f"frames are missing between {before} and {after}, and no track ids")
    else:
        rows_of = _by_nearness(truth, boxes, place, truth.frames["width_px"][int(drive.frames[0])])
    return [
        LampTrack(name=name, drive=drive, boxes=boxes[rows], place=place[rows], is_given=is_given)
        for name, rows in rows_of.items()
        if not truth.is_ignored[boxes[rows]].all()
    ]


def _lights(truth: GroundTruth, frame: int) -> IntArray:
    """The lights of a frame by their boxes, so that the order of the annotation decides nothing."""
    boxes = np.arange(truth.offsets[frame], truth.offsets[frame + 1])
    boxes = boxes[(truth.boxes["category"][boxes] == TRAFFIC_LIGHT).to_numpy()]
    return boxes[np.lexsort(truth.xyxy[boxes].T[::-1])]


def _by_id(ids: Sequence[str]) -> dict[str, IntArray]:
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(ids):
        rows_of[name].append(row)
    return {name: np.array(rows, np.int64) for name, rows in rows_of.items()}


def _by_nearness(truth: GroundTruth, boxes: IntArray, place: IntArray, width_px: int) -> dict[str, IntArray]:
    """Rows of each lamp, joined from frame to frame."""
    pictograms = truth.boxes["pictogram"][boxes].to_list()
    xyxy = truth.xyxy[boxes]
    lamps: list[list[int]] = []
    most_shift_px = MOST_SHIFT * width_px
    before: dict[int, list[int]] = {}  # row of the frame before -> its lamp
    for frame in np.unique(place):
        rows = np.flatnonzero(place == frame)
        old = np.array([row for row in before if place[row] == frame - 1], np.int64)
        joined = {
            int(rows[new]): int(old[at])
            for at, new in _nearest(xyxy[old], xyxy[rows], most_shift_px)
            if _may_be_one(pictograms[old[at]], pictograms[rows[new]])
        }
        now: dict[int, list[int]] = {}
        for row in rows.tolist():
            lamp = before[joined[row]] if row in joined else []
            if not lamp:
                lamps.append(lamp)
            lamp.append(row)
            now[row] = lamp
        before = now
    return {f"lamp {number}": np.array(rows, np.int64) for number, rows in enumerate(lamps, start=1)}


def _nearest(old: FloatArray, new: FloatArray, most_shift_px: float) -> Iterator[tuple[int, int]]:
    """Pairs of boxes of one frame and the next, nearest first, each box once."""
    old_height, new_height = old[:, None, 3] - old[:, None, 1], new[None, :, 3] - new[None, :, 1]
    larger, smaller = np.maximum(old_height, new_height), np.minimum(old_height, new_height)
    is_alike = larger <= MOST_GROWTH * smaller
    moves = (new[None, :, :2] + new[None, :, 2:] - old[:, None, :2] - old[:, None, 2:]) / 2
    shifts = np.concatenate([np.zeros((1, 2)), moves[is_alike]])
    lengths = np.linalg.norm(shifts, axis=1)
    by_length = np.argsort(lengths, kind="stable")
    shifts = shifts[by_length[lengths[by_length] <= most_shift_px]]
    distances = [np.linalg.norm(moves - shift, axis=2) / larger for shift in shifts]
    fits = [(distance <= MOST_STEP) & is_alike for distance in distances]
    best = int(np.argmax([min(int(fit.any(axis=0).sum()), int(fit.any(axis=1).sum())) for fit in fits]))
    distance, pairs = distances[best], np.argwhere(fits[best])
    taken_old, taken_new = set[int](), set[int]()
    for first, second in pairs[np.argsort(distance[tuple(pairs.T)], kind="stable")].tolist():
        if first not in taken_old and second not in taken_new:
            taken_old.add(first)
            taken_new.add(second)
            yield first, second


def _may_be_one(first: str | None, second: str | None) -> bool:
    return first == second or None in (first, second) or Pictogram.UNKNOWN in (first, second)
