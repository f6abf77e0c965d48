"""The numbers of every slice, each beside its interval, objects and sequences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tl_detection.evaluation.analyses import Analyses
from tl_detection.evaluation.conditions import NOT_ANNOTATED
from tl_detection.evaluation.intervals import Interval, ScoreName
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.page.data import Quantity, SliceRow, Value
from tl_detection.evaluation.page.light_sections import RATES, class_values, light_values
from tl_detection.evaluation.page.score_sections import DEEPER, deeper_class_values, deeper_values
from tl_detection.evaluation.pairs import IntArray, area_px2
from tl_detection.evaluation.readings import value_in
from tl_detection.evaluation.scores import Scores
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.slice_analyses import OVERALL
from tl_detection.evaluation.stop_lights import is_stop_object

# Interval by measure word, such as "ap50" or "recall:red".
Intervals = Mapping[str, Interval]

QUANTITIES = (
    *RATES,
    Quantity(
        is_headline=True,
        key="ap50",
        label="AP50",
        what="Average precision at IoU 0.5, mean over the classes that have objects.",
    ),
    Quantity(
        is_headline=True,
        key="recall",
        label="Recall",
        what="Share of the objects of a class that are found, from its operating score; mean over the classes.",
    ),
    Quantity(
        is_headline=True,
        key="precision",
        label="Precision",
        what="Share of the detections of a class that are right, from its operating score; mean over the classes.",
        counted="detections",
    ),
    Quantity(key="f1", label="F1", what="Harmonic mean of precision and recall of a class; mean over the classes."),
    Quantity(key="ap", label="AP", what="Average precision, mean over the IoU thresholds and the classes."),
    Quantity(key="ap75", label="AP75", what="Average precision at IoU 0.75, mean over the classes that have objects."),
    *DEEPER,
)
_OF_CLASS: tuple[ScoreName, ...] = ("ap50", "ap", "ap75", "recall", "precision", "f1", "phantoms_per_frame")
_BY_SIZE: tuple[ScoreName, ...] = ("ap_small", "ap_medium", "ap_large")
_OF_ALL: tuple[ScoreName, ...] = (*_OF_CLASS, *_BY_SIZE, "red_as_green")
# Of what stands in the table alone.
_COUNTED = {"phantoms_per_frame": "frames"}


def counted_by(key: str) -> str:
    """What `Value.objects` of a quantity counts."""
    return next((item.counted for item in QUANTITIES if item.key == key), _COUNTED.get(key, "objects"))


def is_annotated(row: SliceRow) -> bool:
    """Whether somebody annotated the condition; "not annotated" is none."""
    return NOT_ANNOTATED not in row.value.split("*")


def slice_row(
    matched: Matched,
    selection: Selection,
    scores: Scores,
    sequence_number: IntArray,
    intervals: Intervals,
    *,
    is_small: bool,
    name: str = OVERALL,
    column: str = "",
    value: str = "",
    analyses: Analyses | None = None,
) -> SliceRow:
    """The row of a slice.

    Args:
        matched: Records of all frames.
        selection: The slice.
        scores: Of the slice.
        sequence_number: (F,) of `replicates.sequence_numbers`.
        intervals: By measure word.
        is_small: Nothing should be concluded from it.
        name: Of the slice.
        column: That it is a value of.
        value: Its value.
        analyses: Of the slice; None = not measured.
    """
    count = _Counter(matched, selection, scores, sequence_number)
    values = {
        key: _value(key, value_in(scores, key, None), intervals.get(key), *count.of(key, None)) for key in _OF_ALL
    }
    classes: dict[str, dict[str, Value]] = {
        item.name: {
            key: _value(key, getattr(item, key), intervals.get(f"{key}:{item.name}"), *count.of(key, class_id))
            for key in (*_OF_CLASS, *_BY_SIZE)
        }
        for class_id, item in enumerate(scores.classes)
    }
    objects = count.of("ap50", None)[0]
    if analyses is not None:
        values |= light_values(analyses.lights) | deeper_values(analyses, objects)
        of_classes = class_values(analyses.lights), deeper_class_values(analyses, scores)
        for class_name, numbers in (pair for part in of_classes for pair in part.items()):
            classes[class_name] |= numbers
    return SliceRow(
        name=name,
        column=column,
        value=value,
        is_small=is_small,
        frames=scores.frames,
        objects=scores.objects,
        sequences=len(np.unique(sequence_number[selection.frames])),
        classes_present=scores.classes_present,
        values=values,
        classes=classes,
    )


def _value(key: ScoreName, number: float | None, bounds: Interval | None, objects: int, sequences: int) -> Value:
    if number is None or bounds is None:
        return Value(value=number, objects=objects, sequences=sequences)
    return Value(value=number, low=bounds.low, high=bounds.high, objects=objects, sequences=sequences)


class _Counter:
    """What a number of a slice is measured on: objects, detections or frames, and sequences."""

    def __init__(self, matched: Matched, selection: Selection, scores: Scores, sequence_number: IntArray) -> None:
        truth, at = matched.ground_truth, np.flatnonzero(selection.objects)
        self._class_id, self._sequence = truth.class_id[at], sequence_number[truth.frame_index[at]]
        self._n_frames, self._frame_sequences = scores.frames, len(np.unique(sequence_number[selection.frames]))
        self._counted = [item.counted if item.precision is not None else 0 for item in scores.classes]
        self._is_stop = is_stop_object(truth)[at]
        box_area = area_px2(truth.xyxy[at])
        self._sizes = {f"ap_{area.name}": area.holds(box_area) for area in matched.protocol.area_ranges[1:]}

    def of(self, key: ScoreName, class_id: int | None) -> tuple[int, int]:
        """How many there are, and how many sequences; of precision, the sequences that hold objects of the class."""
        if key == "phantoms_per_frame":
            return self._n_frames, self._frame_sequences
        chosen = np.ones(len(self._class_id), np.bool_) if class_id is None else self._class_id == class_id
        if key == "red_as_green":
            chosen = chosen & self._is_stop
        chosen = chosen & self._sizes.get(key, True)
        sequences = len(np.unique(self._sequence[chosen]))
        if key == "precision":
            return sum(self._counted) if class_id is None else self._counted[class_id], sequences
        return int(chosen.sum()), sequences
