"""The numbers of every slice, each beside its interval, objects and sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tl_detection.evaluation.analyses import Analyses
from tl_detection.evaluation.conditions import NOT_ANNOTATED
from tl_detection.evaluation.intervals import LEAST_SEQUENCES, Interval, ScoreName
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.page.data import Quantity, SliceRow, Value
from tl_detection.evaluation.page.light_sections import RATES, class_values, light_values
from tl_detection.evaluation.page.score_sections import DEEPER, deeper_class_values, deeper_values
from tl_detection.evaluation.pairs import BoolArray, IntArray
from tl_detection.evaluation.scores import ClassScores, Scores
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
        what="Share of the objects that are found, from the operating score.",
    ),
    Quantity(
        is_headline=True,
        key="precision",
        label="Precision",
        what="Share of the detections that are right, from the operating score.",
    ),
    Quantity(key="f1", label="F1", what="Harmonic mean of precision and recall, from the operating score."),
    Quantity(key="ap", label="AP", what="Average precision, mean over the IoU thresholds and the classes."),
    Quantity(key="ap75", label="AP75", what="Average precision at IoU 0.75."),
    *DEEPER,
)
_OF_CLASS: tuple[ScoreName, ...] = ("ap50", "ap", "ap75", "recall", "precision", "f1", "phantoms_per_frame")
_BY_SIZE: tuple[ScoreName, ...] = ("ap_small", "ap_medium", "ap_large")


def counted_by(key: str) -> str:
    """What `Value.objects` of a quantity counts."""
    return next((item.counted for item in QUANTITIES if item.key == key), "objects")


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
        name: Of the slice.
        column: That it is a value of.
        value: Its value.
        analyses: Of the slice; None = not measured.
    """
    count = _Counter(matched, selection, sequence_number)
    values = {key: _value(number, intervals.get(key), *count.of(key, None)) for key, number in _numbers_of_all(scores)}
    classes: dict[str, dict[str, Value]] = {
        item.name: {
            key: _value(getattr(item, key), intervals.get(f"{key}:{item.name}"), *count.of(key, class_id))
            for key in (*_OF_CLASS, *_BY_SIZE)
        }
        for class_id, item in enumerate(scores.classes)
    }
    objects, sequences = count.of("ap50", None)
    if analyses is not None:
        values |= light_values(analyses.lights) | deeper_values(analyses, objects, sequences)
        of_classes = class_values(analyses.lights), deeper_class_values(analyses, scores, sequences)
        for class_name, numbers in (pair for part in of_classes for pair in part.items()):
            classes[class_name] |= numbers
    return SliceRow(
        name=name,
        column=column,
        value=value,
        is_small=objects < matched.protocol.small_slice_objects or sequences < LEAST_SEQUENCES,
        frames=scores.frames,
        objects=scores.objects,
        sequences=len(np.unique(sequence_number[selection.frames])),
        classes_present=scores.classes_present,
        values=values,
        classes=classes,
    )


def _numbers_of_all(scores: Scores) -> Iterator[tuple[str, float | None]]:
    for key in ("ap50", "ap", "ap75", "phantoms_per_frame", *_BY_SIZE):
        yield key, getattr(scores, key)
    for key in ("recall", "precision", "f1"):
        yield key, mean_over_classes(scores.classes, key)
    stop = scores.red_as_green
    yield "red_as_green", stop.as_green / stop.objects if stop is not None and stop.objects else None


def mean_over_classes(classes: Sequence[ClassScores], key: str) -> float | None:
    """Over the classes that have a value; None where none has."""
    known = [number for item in classes if (number := getattr(item, key)) is not None]
    return sum(known) / len(known) if known else None


def _value(number: float | None, bounds: Interval | None, objects: int, sequences: int) -> Value:
    if number is None or bounds is None:
        return Value(value=number, objects=objects, sequences=sequences)
    return Value(value=number, low=bounds.low, high=bounds.high, objects=objects, sequences=sequences)


class _Counter:
    """Objects and sequences that a number of a slice is measured on."""

    def __init__(self, matched: Matched, selection: Selection, sequence_number: IntArray) -> None:
        truth = matched.ground_truth
        self._class_id, self._sequence = truth.class_id, sequence_number[truth.frame_index]
        self._frames = sequence_number[selection.frames]
        self._objects = selection.objects
        self._is_stop = is_stop_object(truth) & selection.objects
        box_area = (truth.xyxy[:, 2] - truth.xyxy[:, 0]) * (truth.xyxy[:, 3] - truth.xyxy[:, 1])
        self._sizes = {f"ap_{area.name}": area.holds(box_area) for area in matched.protocol.area_ranges[1:]}

    def of(self, key: str, class_id: int | None) -> tuple[int, int]:
        chosen = self._is_stop if key == "red_as_green" else self._objects
        if key in self._sizes:
            chosen = chosen & self._sizes[key]
        if class_id is not None:
            chosen = chosen & (self._class_id == class_id)
        if key == "phantoms_per_frame":
            return int(chosen.sum()), len(np.unique(self._frames))
        return self._count(chosen)

    def _count(self, chosen: BoolArray) -> tuple[int, int]:
        return int(chosen.sum()), len(np.unique(self._sequence[chosen]))
