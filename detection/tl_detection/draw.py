"""Boxes drawn onto frames: outlines that leave small lights visible, labels that can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tl_datasets.taxonomy import State
from tl_detection.detector import Detections, Image
from tl_runtime.smoothing import PENDING, SmoothedStates

# RGB; an outline has the colour of what the light shows.
STATE_COLOURS: dict[State | None, tuple[int, int, int]] = {
    State.RED: (255, 45, 45),
    State.RED_YELLOW: (255, 130, 20),
    State.YELLOW: (255, 220, 0),
    State.GREEN: (40, 225, 90),
    State.OFF: (165, 165, 165),
    State.UNKNOWN: (165, 165, 165),
    None: (90, 190, 255),
}
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# Height in pixels of the font's capitals at scale 1.
_FONT_HEIGHT_PX = 22.0
_Rectangle = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A box to draw.

    Attributes:
        xyxy: (4,) pixels, half-open.
        colour: RGB.
        text: Written beside it; empty = nothing.
        line_px: Width of the outline; None = by the size of the picture.
        gap_px: How far outside of the box the outline is; an outline farther out leaves one closer in visible.
    """

    xyxy: Sequence[float] | np.ndarray
    colour: tuple[int, int, int]
    text: str = ""
    line_px: int | None = None
    gap_px: int = 1


def draw_marks(image: Image, marks: Sequence[Mark]) -> Image:
    """Draw boxes in their order, then their texts where they hide no box and no other text.

    Args:
        image: (H, W, 3) uint8 RGB; not changed.
        marks: In its pixels.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    picture = np.ascontiguousarray(image).copy()
    default_px = max(1, round(max(picture.shape[:2]) / 900))
    lines = [default_px if mark.line_px is None else mark.line_px for mark in marks]
    boxes = [_around(mark.xyxy, line_px + mark.gap_px) for mark, line_px in zip(marks, lines, strict=True)]
    for mark, box, line_px in zip(marks, boxes, lines, strict=True):
        cv2.rectangle(picture, box[:2], box[2:], mark.colour, line_px)
    taken = list(boxes)
    for mark, box in zip(marks, boxes, strict=True):
        if mark.text:
            taken.append(_label(picture, mark.text, box, taken, mark.colour))
    return picture


def draw_detections(
    image: Image,
    detections: Detections,
    names: Sequence[str],
    states: Sequence[State | None],
    smoothed: SmoothedStates | None = None,
) -> Image:
    """Draw boxes, class names and scores; the numbers of tracks and what they are reported as, where there are some.

    Args:
        image: (H, W, 3) uint8 RGB; not changed.
        detections: In its pixels.
        names: Class names by id.
        states: State of each class, None where it has no single one.
        smoothed: What the detections are reported as: the outline has its colour, and where it is another than what was
            detected, both are written: `#3 red, seen green 0.83`, or `#3 pending, seen green 0.83`.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    colours = [class_colour(name, state) for name, state in zip(names, states, strict=True)]
    marks = []
    for row in np.argsort(-detections.score, kind="stable"):
        class_id = int(detections.class_id[row])
        text, colour = f"{names[class_id]} {detections.score[row]:.2f}", colours[class_id]
        if smoothed is not None:
            reported = int(smoothed.class_id[row])
            if reported == PENDING:
                text, colour = f"pending, seen {text}", STATE_COLOURS[State.UNKNOWN]
            elif reported != class_id:
                text, colour = f"{names[reported]}, seen {text}", colours[reported]
            text = f"#{smoothed.track[row]} {text}"
        marks.append(Mark(xyxy=detections.xyxy[row], colour=colour, text=text))
    return draw_marks(image, marks)


def class_colour(name: str, state: State | None) -> tuple[int, int, int]:
    """The colour of a class; one that joins several states has that of the state whose name it bears, if any."""
    words = {str(word) for word in State}
    return STATE_COLOURS[State(name) if state is None and name in words else state]


def _around(xyxy: Sequence[float] | np.ndarray, margin_px: int) -> _Rectangle:
    """The outline's middle: outside of the box, so that a lamp of few pixels stays visible."""
    x1, y1, x2, y2 = (float(value) for value in xyxy)
    return round(x1) - margin_px, round(y1) - margin_px, round(x2) - 1 + margin_px, round(y2) - 1 + margin_px


def _label(
    picture: Image, text: str, box: _Rectangle, taken: Sequence[_Rectangle], colour: tuple[int, int, int]
) -> _Rectangle:
    """Write a label beside a box where it hides no other; give its place."""
    height, width = picture.shape[:2]
    scale = max(9.0, max(height, width) / 100) / _FONT_HEIGHT_PX
    stroke = max(1, round(scale * 1.6))
    (text_width, text_height), descent = cv2.getTextSize(text, _FONT, scale, stroke)
    pad = max(2, text_height // 4)
    label_width, label_height = text_width + 2 * pad, text_height + descent + 2 * pad
    x1, y1, x2, y2 = box
    gap = pad
    places = [(x1, y1 - label_height - gap), (x1, y2 + gap), (x2 + gap, y1), (x1 - label_width - gap, y1)]
    places += [(x1, y1 - step * (label_height + gap)) for step in (2, 3, 4)]
    places += [(x1, y2 + gap + step * (label_height + gap)) for step in (1, 2, 3)]
    inside = [
        (min(max(x, 0), max(width - label_width, 0)), min(max(y, 0), max(height - label_height, 0))) for x, y in places
    ]
    rectangles = [(x, y, x + label_width, y + label_height) for x, y in inside]
    left, top, right, bottom = min(rectangles, key=lambda place: sum(_overlap(place, other) for other in taken))
    cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), (0, 0, 0), -1)
    cv2.putText(picture, text, (left + pad, bottom - pad - descent), _FONT, scale, colour, stroke, cv2.LINE_AA)
    return left, top, right, bottom


def _overlap(first: _Rectangle, second: _Rectangle) -> int:
    """Common area in square pixels."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0, width) * max(0, height)
