"""The worst cases with their pictures: what surrounds the mistake, and the whole frame made small.

Boxes are not drawn into the pictures; the page lays them over. Every image is decoded once, and pictures stop when
their share of the file is used up; the cases stay, and the page says so.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.catalog import CONDITIONS, Catalog
from tl_datasets.errors import ImageError, UsageError
from tl_detection.evaluation.lights.answers import Answers, is_at_work
from tl_detection.evaluation.page.data import Case, DrawnBox, Gallery
from tl_detection.evaluation.page.mistakes import (
    GREEN_AS_RED,
    MISSED,
    PHANTOM,
    RED_AS_GREEN,
    Mistakes,
    choose_cases,
    find_mistakes,
)
from tl_detection.evaluation.replicates import sequence_numbers

Image = NDArray[np.uint8]
Progress = Callable[[int, int], None]

CASES_PER_KIND = 40
_PER_SEQUENCE = 4
# Of the file's 15 MB plotly takes 5; base64 makes 4 bytes of 3.
_PICTURE_BYTES = 6_500_000
_CROP_SIDE_PX, _CROP_QUALITY = 240, 85
_FRAME_SIDE_PX, _FRAME_QUALITY = 800, 68
# A crop shows this many times the longer side of its box, and never less than the second number in pixels.
_CROP_CONTEXT, _CROP_LEAST_SIDE_PX = 4.0, 64
_NOT_SUBSAMPLED = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
_TITLES = {
    RED_AS_GREEN: "{true} said to be {said}",
    GREEN_AS_RED: "{true} said to be {said}",
    PHANTOM: "{said} where nothing is",
    MISSED: "{true} not found",
}


def collect_gallery(
    answers: Answers,
    catalog: Catalog | None,
    *,
    per_kind: int = CASES_PER_KIND,
    progress: Progress | None = None,
) -> Gallery:
    """The worst cases of each kind.

    Args:
        answers: What is said of each object of all frames.
        catalog: That the frames come from, for their images; None = without pictures.
        per_kind: Cases of each kind at most.
        progress: Called with the number of images done and in all.

    Raises:
        UsageError: A negative number of cases is asked for.
    """
    if per_kind < 0:
        raise UsageError(f"gallery {per_kind}: expected how many cases of each kind are shown, 0 or more")
    truth = answers.matched.ground_truth
    describe = _Describer(answers)
    number = sequence_numbers(truth)
    cases: list[Case] = []
    found = find_mistakes(answers)
    frames: list[int] = []
    for kind, mistakes in found.items():
        for position in choose_cases(mistakes, number, per_kind, _PER_SEQUENCE):
            cases.append(describe.case(kind, mistakes, int(position)))
            frames.append(int(mistakes.frame_index[position]))
    counts = {kind: len(mistakes) for kind, mistakes in found.items()}
    if catalog is None or not cases:
        return Gallery(cases=tuple(cases), found=counts, frames={})
    rows = truth.rows[frames]
    pictures = _take_pictures(cases, [int(row) for row in rows], catalog, progress)
    pictured = tuple(replace(case, crop=pictures.crops.get(index)) for index, case in enumerate(cases))
    return Gallery(cases=pictured, found=counts, frames=pictures.frames, notes=pictures.notes)


class _Describer:
    """Puts a mistake into words and boxes."""

    def __init__(self, answers: Answers) -> None:
        matched = answers.matched
        self._matched, self._truth = matched, matched.ground_truth
        counted = np.flatnonzero(is_at_work(matched, answers.operating_scores))
        self._by_frame = counted[np.argsort(matched.frame_index[counted], kind="stable")]
        self._frame_of = matched.frame_index[self._by_frame]
        self._states = [states[0] if len(states) == 1 else "" for states in self._truth.states]

    def case(self, kind: str, mistakes: Mistakes, position: int) -> Case:
        truth, matched = self._truth, self._matched
        frame, box, detection = (
            int(column[position]) for column in (mistakes.frame_index, mistakes.object_index, mistakes.detection)
        )
        xyxy = truth.xyxy[box] if box >= 0 else matched.xyxy[detection]
        true_class = truth.names[truth.class_id[box]] if box >= 0 else ""
        said_class = truth.names[matched.class_id[detection]] if detection >= 0 else ""
        row = truth.frames.row(frame, named=True)
        size = (int(row["width_px"]), int(row["height_px"]))
        return Case(
            kind=kind,
            frame_id=truth.frame_ids[frame],
            sequence=row["sequence"],
            source=row["source"],
            title=_TITLES[kind].format(true=true_class, said=said_class),
            true_class=true_class,
            said_class=said_class,
            score=float(matched.score[detection]) if detection >= 0 else None,
            height_px=float(xyxy[3] - xyxy[1]),
            conditions=tuple((column, row[column]) for column in CONDITIONS if row[column] is not None),
            boxes=tuple(self._boxes(frame, box, detection)),
            crop=None,
            crop_xyxy=crop_region(xyxy, size),
            frame_size_px=size,
        )

    def _boxes(self, frame: int, subject_box: int, subject_detection: int) -> list[DrawnBox]:
        truth, matched = self._truth, self._matched
        drawn = []
        for box in range(int(truth.offsets[frame]), int(truth.offsets[frame + 1])):
            class_id = int(truth.class_id[box])
            is_plain = class_id < 0 or bool(truth.is_ignored[box])
            drawn.append(
                DrawnBox(
                    xyxy=_four(truth.xyxy[box]),
                    name="ignore area" if is_plain else truth.names[class_id],
                    state="" if is_plain else self._states[class_id],
                    is_subject=box == subject_box,
                )
            )
        start, stop = np.searchsorted(self._frame_of, [frame, frame + 1])
        for detection in self._by_frame[start:stop]:
            class_id = int(matched.class_id[detection])
            drawn.append(
                DrawnBox(
                    xyxy=_four(matched.xyxy[detection]),
                    name=truth.names[class_id],
                    state=self._states[class_id],
                    score=float(matched.score[detection]),
                    is_subject=int(detection) == subject_detection,
                )
            )
        return drawn


def _four(xyxy: NDArray[np.float64]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (round(float(value), 1) for value in xyxy)
    return x1, y1, x2, y2


def crop_region(
    xyxy: Sequence[float] | NDArray[np.float64], frame_size_px: tuple[int, int]
) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a square around a box, moved into the frame and cut where the frame is smaller."""
    x1, y1, x2, y2 = (float(value) for value in xyxy)
    wanted = max(_CROP_LEAST_SIDE_PX, _CROP_CONTEXT * max(x2 - x1, y2 - y1))
    bounds = []
    for low, high, end in ((x1, x2, frame_size_px[0]), (y1, y2, frame_size_px[1])):
        side = round(min(wanted, end))
        first = round(np.clip((low + high) / 2 - side / 2, 0, end - side))
        bounds.append((first, first + side))
    (left, right), (top, bottom) = bounds
    return left, top, right, bottom


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pictures:
    crops: Mapping[int, str]  # by position of the case
    frames: Mapping[str, str]  # by frame id
    notes: tuple[str, ...]


def _take_pictures(
    cases: Sequence[Case], rows: Sequence[int], catalog: Catalog, progress: Progress | None
) -> _Pictures:
    """Pictures of the cases; frames are visited so that the worst of every kind come first."""
    order = _in_turns(cases)
    by_row: dict[int, list[int]] = {}
    for index in order:
        by_row.setdefault(rows[index], []).append(index)
    crops: dict[int, str] = {}
    frames: dict[str, str] = {}
    left_bytes, unreadable, without = _PICTURE_BYTES, 0, 0
    for done, (row, indices) in enumerate(by_row.items(), start=1):
        if left_bytes <= 0:
            without += len(indices)
            continue
        try:
            image = catalog.read_rgb(row)
        except ImageError:
            unreadable += 1
            continue
        taken = {index: _crop(image, cases[index].crop_xyxy) for index in indices}
        whole = _encoded(_fitted(image, _FRAME_SIDE_PX, enlarge=False), _FRAME_QUALITY, [])
        left_bytes -= len(whole) + sum(map(len, taken.values()))
        crops.update(taken)
        frames[cases[indices[0]].frame_id] = whole
        if progress is not None:
            progress(done, len(by_row))
    notes = []
    if unreadable:
        notes.append(f"{unreadable} images could not be read; their cases have no picture.")
    if without:
        notes.append(f"{without} cases have no picture, since the file would grow too large.")
    return _Pictures(crops=crops, frames=frames, notes=tuple(notes))


def _in_turns(cases: Sequence[Case]) -> list[int]:
    """Positions of the cases: the first of every kind, the second of every kind, ..."""
    seen: dict[str, int] = {}
    keys = []
    for index, case in enumerate(cases):
        seen[case.kind] = seen.get(case.kind, 0) + 1
        keys.append((seen[case.kind], index))
    return [index for _, index in sorted(keys)]


def _crop(image: Image, region: tuple[float, float, float, float] | None) -> str:
    left, top, right, bottom = (int(value) for value in region or (0, 0, image.shape[1], image.shape[0]))
    return _encoded(_fitted(image[top:bottom, left:right], _CROP_SIDE_PX, enlarge=True), _CROP_QUALITY, _NOT_SUBSAMPLED)


def _fitted(image: Image, side_px: int, *, enlarge: bool) -> Image:
    scale = side_px / max(image.shape[:2])
    if scale >= 1 and not enlarge:
        return np.ascontiguousarray(image)
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=kind).astype(np.uint8)


def _encoded(image: Image, quality: int, options: Sequence[int]) -> str:
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, *options]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
