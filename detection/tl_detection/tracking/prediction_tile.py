"""One frame with what was detected in it: the whole of it, and below the places worth a closer look, enlarged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.browse.pictures import crop_region
from tl_datasets.label_space import LabelSpace
from tl_detection.draw import Mark, class_colour, draw_marks
from tl_detection.tracking.outcomes import Fate, FrameOutcome, Verdict

WIDTH_PX = 960
LABELLED_COLOUR = (255, 255, 255)
IGNORED_COLOUR = (120, 120, 120)
MISSED_COLOUR = (255, 0, 255)
RED_AS_GREEN_COLOUR = (255, 120, 255)
_CROPS = 6
_CROP_PX = WIDTH_PX // _CROPS
_BAND_PX, _GAP_PX = 20, 2
_BACKGROUND, _WRITING = 24, (235, 235, 235)
# A bad start finds hundreds of lights where none is; each gets its outline, the best-scored a text.
_TEXTS = 12
_RANK = {Fate.RED_AS_GREEN: 0, Fate.CONFUSED: 1, Fate.MISSED: 1, Fate.FOUND: 3}
_WRONG_RANK = 2

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Something to look at: the lower the rank the sooner, and of one rank the larger."""

    rank: int
    xyxy: NDArray[np.float64]
    text: str
    colour: tuple[int, int, int]


def draw_tile(image: Image, outcome: FrameOutcome, label_space: LabelSpace, caption: str) -> Image:
    """Draw a frame.

    What is labelled has a thin white outline, an ignore area a grey one. What is detected has one in the colour of its
    state, farther out, with its score. Objects that were missed, taken for another class or, meaning stop, for go are
    marked in magenta.

    Args:
        image: (H, W, 3) uint8 RGB.
        outcome: What became of it.
        label_space: Its classes.
        caption: Written above, with the counts.

    Returns:
        (h, `WIDTH_PX`, 3) uint8 RGB.
    """
    height, width = image.shape[:2]
    scale = WIDTH_PX / width
    size = (WIDTH_PX, max(1, round(height * scale)))
    smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    marks = _marks(outcome, label_space)
    whole = draw_marks(smaller, [_scaled(mark, scale) for mark in marks])  # type: ignore[arg-type]
    places = sorted(_places(outcome, label_space), key=lambda place: (place.rank, -_area(place.xyxy)))
    crops = [_crop(image, place, marks) for place in places[:_CROPS]]
    strip = np.full((_CROP_PX + _BAND_PX, WIDTH_PX, 3), _BACKGROUND, np.uint8)
    for number, crop in enumerate(crops):
        strip[:, number * _CROP_PX : (number + 1) * _CROP_PX - _GAP_PX] = crop[:, :-_GAP_PX]
    return np.vstack([write_band(f"{caption}  |  {_counts(outcome)}", WIDTH_PX), whole, strip])


def write_band(text: str, width_px: int, colour: tuple[int, int, int] = _WRITING) -> Image:
    """A band with one line of text, (20, W, 3)."""
    band = np.full((_BAND_PX, width_px, 3), _BACKGROUND, np.uint8)
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(band, plain, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
    return band


def _marks(outcome: FrameOutcome, label_space: LabelSpace) -> list[Mark]:
    """Outlines in pixels of the frame; the most telling come first, as the first texts find the best places."""
    marks = []
    for xyxy, fate, text in _objects(outcome, label_space):
        if fate != Fate.FOUND:
            colour, line_px = (RED_AS_GREEN_COLOUR, 3) if fate == Fate.RED_AS_GREEN else (MISSED_COLOUR, 2)
            marks.append(Mark(xyxy=xyxy, colour=colour, text=text, line_px=line_px, gap_px=7))
    for row, (xyxy, verdict, text, colour) in enumerate(_detected(outcome, label_space)):
        shown = text.split()[-1] if verdict == Verdict.RIGHT else text
        has_text = row < _TEXTS and row not in _told_of_objects(outcome)
        marks.append(Mark(xyxy=xyxy, colour=colour, text=shown if has_text else "", line_px=2, gap_px=3))
    marks += [Mark(xyxy=xyxy, colour=LABELLED_COLOUR, line_px=1) for xyxy in outcome.objects_xyxy]
    return marks + [Mark(xyxy=xyxy, colour=IGNORED_COLOUR, line_px=1) for xyxy in outcome.ignored_xyxy]


def _places(outcome: FrameOutcome, label_space: LabelSpace) -> list[_Place]:
    """Every object, and every detection that found none and lies on none."""
    places = [
        _Place(rank=_RANK[fate], xyxy=xyxy, text=text, colour=_WRITING if fate == Fate.FOUND else MISSED_COLOUR)
        for xyxy, fate, text in _objects(outcome, label_space)
    ]
    return places + [
        _Place(rank=_WRONG_RANK, xyxy=xyxy, text=text, colour=colour)
        for row, (xyxy, verdict, text, colour) in enumerate(_detected(outcome, label_space))
        if verdict == Verdict.WRONG and row not in _told_of_objects(outcome)
    ]


def _told_of_objects(outcome: FrameOutcome) -> set[int | None]:
    """Rows of the detections that the words of an object tell of already."""
    return {row for row, fate in zip(outcome.said_by, outcome.fates, strict=True) if fate != Fate.FOUND}


def _objects(outcome: FrameOutcome, label_space: LabelSpace) -> Iterator[tuple[NDArray[np.float64], Fate, str]]:
    """Box, fate, and its words, such as "missed red", "red as yellow 0.61" or "green 0.93"."""
    found = outcome.detections
    for xyxy, class_id, fate, row in zip(
        outcome.objects_xyxy, outcome.objects_class_id.tolist(), outcome.fates, outcome.said_by, strict=True
    ):
        name = label_space.names[class_id]
        if fate == Fate.MISSED or row is None:
            yield xyxy, fate, f"missed {name}"
        elif fate == Fate.FOUND:
            yield xyxy, fate, f"{name} {found.score[row]:.2f}"
        else:
            text = f"{name} as {label_space.names[int(found.class_id[row])]}"
            yield xyxy, fate, f"{text.upper() if fate == Fate.RED_AS_GREEN else text} {found.score[row]:.2f}"


def _detected(
    outcome: FrameOutcome, label_space: LabelSpace
) -> Iterator[tuple[NDArray[np.float64], Verdict, str, tuple[int, int, int]]]:
    """Box, verdict, words such as "green 0.93" or "wrong green 0.31", and the colour of the state."""
    found = outcome.detections
    for xyxy, class_id, score, verdict in zip(
        found.xyxy.astype(np.float64), found.class_id.tolist(), found.score.tolist(), outcome.verdicts, strict=True
    ):
        name = label_space.names[class_id]
        words = f"{name} {score:.2f}" if verdict == Verdict.RIGHT else f"{verdict} {name} {score:.2f}"
        yield xyxy, verdict, words, class_colour(name, label_space.states[class_id])


def _crop(image: Image, place: _Place, marks: Sequence[Mark]) -> Image:
    left, top, width, height = crop_region(place.xyxy, image.shape[1], image.shape[0])
    scale = _CROP_PX / max(width, height)
    cut = image[top : top + height, left : left + width]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Pixels stay pixels: whoever looks wants to see what the network had.
    cut = cv2.resize(cut, size, interpolation=cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA)
    shifted = [_scaled(mark, scale, left, top, with_text=False) for mark in marks]
    square = np.full((_CROP_PX, _CROP_PX, 3), _BACKGROUND, np.uint8)
    square[: size[1], : size[0]] = draw_marks(cut, shifted)  # type: ignore[arg-type]
    return np.vstack([square, write_band(place.text, _CROP_PX, place.colour)])


def _scaled(mark: Mark, scale: float, left: float = 0, top: float = 0, *, with_text: bool = True) -> Mark:
    xyxy = (np.asarray(mark.xyxy) - (left, top, left, top)) * scale
    text = mark.text if with_text else ""
    return Mark(xyxy=xyxy, colour=mark.colour, text=text, line_px=mark.line_px, gap_px=mark.gap_px)


def _counts(outcome: FrameOutcome) -> str:
    parts = [f"{outcome.fates.count(Fate.FOUND)} of {len(outcome.fates)} found"]
    for count, what in (
        (outcome.fates.count(Fate.MISSED), "missed"),
        (outcome.fates.count(Fate.CONFUSED), "taken for another class"),
        (outcome.fates.count(Fate.RED_AS_GREEN), "STOP TAKEN FOR GO"),
        (outcome.verdicts.count(Verdict.WRONG), "wrong"),
    ):
        parts += [f"{count} {what}"] if count else []
    return ", ".join(parts)


def _area(xyxy: NDArray[np.float64]) -> float:
    return float((xyxy[2] - xyxy[0]) * (xyxy[3] - xyxy[1]))
