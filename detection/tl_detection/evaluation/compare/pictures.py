"""Frames that one detector sees and the other does not, side by side, around the lights in question."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from tl_datasets.errors import ImageError
from tl_datasets.images import write_rgb
from tl_datasets.taxonomy import State
from tl_detection.detector import Image
from tl_detection.draw import Mark, class_colour, draw_marks
from tl_detection.evaluation.compare.changes import FrameChange, is_wrong, object_changes
from tl_detection.evaluation.compare.comparison import Comparison
from tl_detection.evaluation.compare.differences import Scored
from tl_detection.evaluation.compare.inputs import Compared
from tl_detection.evaluation.compare.render import Picture
from tl_detection.evaluation.lights.answers import is_at_work
from tl_detection.evaluation.pairs import FloatArray

logger = logging.getLogger(__name__)

_PANEL_PX = 560
_STRIP_PX = 30
_LEAST_CROP_PX = 120
# A crop is so much larger than what it is about.
_MARGIN = 2.0
_WHITE, _GREY, _BLACK = (255, 255, 255), (190, 190, 190), (20, 20, 20)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_pictures(
    comparison: Comparison, compared: Compared, folder: Path, n_frames: int
) -> Mapping[tuple[str, str], Sequence[Picture]]:
    """Draw the worst and the best frames of each detector beside the first one.

    Args:
        comparison: Which frames they are.
        compared: What was detected, and where the images are.
        folder: `pictures/` is made in it.
        n_frames: Of each kind at most.

    Returns:
        (letter, "worse" or "better") -> pictures. A frame whose image cannot be read has none,
        and is named in a warning.
    """
    drawn: dict[tuple[str, str], list[Picture]] = {}
    rows = {frame_id: row for row, frame_id in enumerate(compared.truth.frame_ids)}
    for change, other in zip(comparison.changes, compared.scored[1:], strict=True):
        for kind, frames in (("worse", change.worse), ("better", change.better)):
            for number, frame in enumerate(frames[:n_frames], start=1):
                path = Path("pictures") / f"{other.letter}_{kind}_{number:02d}.png"
                try:
                    picture = _picture(comparison, compared, other, frame, rows[frame.frame_id])
                except ImageError as error:
                    logger.warning("no picture of frame %s: %s", frame.frame_id, error)
                    continue
                text = "; ".join(_caption(frame, other.letter, compared.scored[0].letter))
                (folder / "pictures").mkdir(exist_ok=True)
                write_rgb(folder / path, picture)
                drawn.setdefault((other.letter, kind), []).append(Picture(path=path, text=text))
    return drawn


def _picture(comparison: Comparison, compared: Compared, other: Scored, frame: FrameChange, row: int) -> Image:
    truth = compared.truth
    image = compared.catalog.read_rgb(int(truth.rows[row]))
    first = compared.scored[0]
    about = [truth.xyxy[object_changes(first, other).any & (truth.frame_index == row)]]
    about += [] if len(about[0]) else [_wrong_boxes(each, row) for each in (first, other)]
    x1, y1, x2, y2 = _crop(np.concatenate(about), image.shape[1], image.shape[0])
    scale = min(_PANEL_PX / (x2 - x1), _PANEL_PX / (y2 - y1))
    size = round((x2 - x1) * scale), round((y2 - y1) * scale)
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    crop = np.asarray(cv2.resize(image[y1:y2, x1:x2], size, interpolation=mode), np.uint8)
    names = {model.letter: model.path for model in comparison.models}
    panels = [
        _panel(draw_marks(crop, _marks(each, row, (x1, y1), scale, size)), f"{each.letter}: {names[each.letter]}")
        for each in (first, other)
    ]
    gap = np.full((panels[0].shape[0], 6, 3), _WHITE, np.uint8)
    pair = np.concatenate([panels[0], gap, panels[1]], axis=1)
    return np.concatenate([_strips(_caption(frame, other.letter, first.letter), pair.shape[1]), pair])


def _wrong_boxes(scored: Scored, row: int) -> FloatArray:
    return scored.matched.xyxy[is_wrong(scored) & (scored.matched.frame_index == row)]


def _crop(boxes: FloatArray, width_px: int, height_px: int) -> tuple[int, int, int, int]:
    """A square around boxes, inside the image where that is large enough."""
    if not len(boxes):
        return 0, 0, width_px, height_px
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    side = max(_LEAST_CROP_PX, float((high - low).max()) * _MARGIN)
    width, height = min(round(side), width_px), min(round(side), height_px)
    middle = (low + high) / 2
    x1 = round(min(max(middle[0] - width / 2, 0), width_px - width))
    y1 = round(min(max(middle[1] - height / 2, 0), height_px - height))
    return x1, y1, x1 + width, y1 + height


def _marks(scored: Scored, row: int, corner: tuple[int, int], scale: float, size: tuple[int, int]) -> list[Mark]:
    """Labels in white and detections in the colour of what they say, of those that the crop shows."""
    matched, truth = scored.matched, scored.matched.ground_truth
    offset = np.array([*corner, *corner], np.float64)
    marks = []
    start, stop = truth.offsets[row : row + 2]
    for box in range(int(start), int(stop)):
        name = "ignored" if truth.is_ignored[box] else truth.names[truth.class_id[box]]
        colour = _GREY if truth.is_ignored[box] else _WHITE
        marks.append(Mark(xyxy=(truth.xyxy[box] - offset) * scale, colour=colour, text=name, line_px=1, gap_px=6))
    for at in np.flatnonzero(is_at_work(matched, scored.operating_scores) & (matched.frame_index == row)):
        class_id = int(matched.class_id[at])
        name, states = truth.names[class_id], truth.states[class_id]
        colour = class_colour(name, State(states[0]) if len(states) == 1 else None)
        text = f"{name} {matched.score[at]:.2f}"
        marks.append(Mark(xyxy=(matched.xyxy[at] - offset) * scale, colour=colour, text=text, line_px=2, gap_px=1))
    return [mark for mark in marks if np.all(mark.xyxy[:2] < np.array(size)) and np.all(np.array(mark.xyxy[2:]) > 0)]


def _panel(picture: Image, title: str) -> Image:
    return np.concatenate([_strip(title, picture.shape[1], bold=True), picture])


def _caption(frame: FrameChange, second: str, first: str) -> list[str]:
    place = [f"sequence {frame.sequence}"] if frame.sequence is not None else []
    counts = [
        (frame.red_as_green_new, "new red as green"),
        (frame.red_as_green_mended, "red as green mended"),
        (frame.lost, "lost"),
        (frame.gained, "gained"),
    ]
    said = [f"{number} {what}" for number, what in counts if number]
    said.append(f"wrong: {frame.wrong_first} in {first}, {frame.wrong_second} in {second}")
    return [", ".join([frame.frame_id, *place, *frame.conditions.values()]), ", ".join(said)]


def _strips(lines: Sequence[str], width_px: int) -> Image:
    return np.concatenate([_strip(line, width_px) for line in lines])


def _strip(text: str, width_px: int, *, bold: bool = False) -> Image:
    """A line of text, made smaller where it is too long."""
    strip = np.full((_STRIP_PX, width_px, 3), _WHITE, np.uint8)
    scale, stroke = 0.6, 2 if bold else 1
    (text_px, _), _ = cv2.getTextSize(text, _FONT, scale, stroke)
    scale *= min(1.0, (width_px - 12) / max(text_px, 1))
    cv2.putText(strip, text, (6, _STRIP_PX - 9), _FONT, scale, _BLACK, stroke, cv2.LINE_AA)
    return strip
