"""`Slice`: what shares a condition, such as all rainy frames, or all small lights at night.

A slice of frames holds everything in some frames. A slice of objects (small ones, occluded ones, red ones) speaks of
some objects in some frames: the others are neither to be found nor wrong to be found, and a detection that finds
nothing counts as wrong unless it surely lies outside the slice. So a slice by size counts as COCO's area ranges do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tl_datasets.errors import UsageError, show
from tl_datasets.expressions import Filter, parse_filter
from tl_datasets.network_size import InputSize
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.intervals import LEAST_SEQUENCES
from tl_detection.evaluation.matching import Matched, match_objects
from tl_detection.evaluation.pairs import BoolArray, IntArray
from tl_detection.evaluation.replicates import sequence_numbers
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.slice_columns import (
    COLUMN_TYPES,
    OBJECT_TYPES,
    UNKNOWN_OF_DETECTIONS,
    VOCABULARIES,
    WORDS,
    columns_of_detections,
    columns_of_frames,
    columns_of_objects,
    is_of_frames,
    require_input_size,
)

EXPRESSION = "expression"
# What a report calls something else by: all frames, and the two parts of a catalog that has grown.
TAKEN_NAMES = frozenset({"overall", "all frames", "old frames", "new frames"})
_QUOTES = "\"'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Frames, and where it is a slice of objects, what its objects have in common.

    Attributes:
        name: `column=value`; of a cross, the parts joined by ", "; of an expression, its name or text.
        column: A column, or several joined by "*"; `EXPRESSION` of an expression.
        value: The shared value, "not annotated" where the source does not say; of a cross, joined by "*"; of an
            expression, its text.
        frame_mask: (F,) true for the frames that may hold something of it.
        of_objects: What its objects must be beyond lying in these frames; None = a slice of frames.
        input_size: Of the network, for sizes in its pixels.
    """

    name: str
    column: str
    value: str
    frame_mask: BoolArray
    of_objects: Filter | None = None
    input_size: InputSize | None = None

    def objects(self, truth: GroundTruth) -> BoolArray:
        """(N,) its objects, without ignore areas."""
        chosen = self.frame_mask[truth.frame_index] & ~truth.is_ignored
        if self.of_objects is None:
            return chosen
        table = columns_of_objects(truth, self.of_objects.columns, self.input_size)
        return chosen & _mask(table, self.of_objects.may_be_true())

    def records(self, matched: Matched) -> Matched:
        """Records of which scores and intervals of its frames are taken: the same, or matched anew for its objects."""
        if self.of_objects is None:
            return matched
        selection = self.select(matched)
        return match_objects(matched, selection.objects, selection.detections)

    def select(self, matched: Matched) -> Selection:
        """The part of matched records that it speaks of."""
        if self.of_objects is None:
            return Selection.of_frames(matched, self.frame_mask)
        detections = self.frame_mask[matched.frame_index]
        detections = detections & _may_belong(self.of_objects, matched, self.input_size)
        return Selection(frames=self.frame_mask, objects=self.objects(matched.ground_truth), detections=detections)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceCounts:
    """How much a slice stands on.

    Attributes:
        frames: Frames that may hold something of it.
        frames_with_objects: Of these, with an object of it.
        objects: Its objects.
        sequences: Sequences of its frames; a frame without one is one of its own.
        sequences_with_objects: Of these, with an object of it.
        too_small: Why nothing should be concluded from its scores; None = there is enough.
    """

    frames: int
    frames_with_objects: int
    objects: int
    sequences: int
    sequences_with_objects: int
    too_small: str | None


def count_slice(
    truth: GroundTruth,
    selection: Selection,
    *,
    least_objects: int,
    sequence_number: IntArray | None = None,
) -> SliceCounts:
    """Count what a selection stands on.

    Args:
        truth: F frames, N boxes.
        selection: The slice.
        least_objects: The protocol's `small_slice_objects`.
        sequence_number: (F,) of `sequence_numbers`, where it is at hand.
    """
    number = sequence_numbers(truth) if sequence_number is None else sequence_number
    frames, with_objects = np.flatnonzero(selection.frames), np.unique(truth.frame_index[selection.objects])
    n_objects = int(selection.objects.sum())
    n_sequences = len(np.unique(number[with_objects]))
    too_small = None
    if not len(frames):
        too_small = "no frame"
    elif not n_objects:
        too_small = "no object"
    elif n_objects < least_objects:
        too_small = f"{n_objects} objects, fewer than {least_objects}"
    elif n_sequences < LEAST_SEQUENCES:
        too_small = f"{n_sequences} sequences with objects, fewer than {LEAST_SEQUENCES}"
    return SliceCounts(
        frames=len(frames),
        frames_with_objects=len(with_objects),
        objects=n_objects,
        sequences=len(np.unique(number[frames])),
        sequences_with_objects=n_sequences,
        too_small=too_small,
    )


def slice_by_expression(truth: GroundTruth, text: str, *, input_size: InputSize | None = None) -> Slice:
    """The slice that an expression speaks of; it may be empty.

    Args:
        truth: F frames.
        text: Such as `night & rainy & width_px < 12`, or `small at night: night & width_px < 12` with a name.
        input_size: Of the network; needed where the expression speaks of `network_width_px` or `network_height_px`.

    Raises:
        UsageError: The expression cannot be read (see `parse_slice`), or needs the input size.
    """
    name, read = parse_slice(text)
    require_input_size(read.columns, input_size, f"slice {show(text)}")
    table = columns_of_frames(truth, read.columns)
    return Slice(
        name=name,
        column=EXPRESSION,
        value=read.text,
        frame_mask=_mask(table, read.may_be_true(OBJECT_TYPES)),
        of_objects=None if is_of_frames(read.columns) else read,
        input_size=input_size,
    )


def parse_slice(text: str) -> tuple[str, Filter]:
    """Read `EXPRESSION` or `NAME: EXPRESSION`, before anything is detected.

    Returns:
        The name, which is the expression where none is given; and the expression.

    Raises:
        UsageError: A column or word is unknown or ambiguous, the expression cannot be read, or the name is taken.
    """
    name, colon, expression = text.partition(":")
    if not colon or any(quote in name for quote in _QUOTES):
        name, expression = text, text
    name, expression = " ".join(name.split()), " ".join(expression.split("\n")).strip()
    if not name or not expression:
        raise UsageError(
            f"slice {show(text)}: expected an expression such as night & width_px < 12, or NAME: EXPRESSION"
        )
    if name in TAKEN_NAMES:
        raise UsageError(f"slice {show(text)}: a report calls something else {show(name)}; choose another name")
    return name, parse_filter(expression, COLUMN_TYPES, VOCABULARIES, words=WORDS, what="slice")


def check_slice_names(slices: Collection[Slice]) -> None:
    """Refuse two slices of one name, of which a report could not say which is which.

    Raises:
        UsageError: A name occurs twice.
    """
    check_names([item.name for item in slices])


def check_names(names: Sequence[str]) -> None:
    """The same for names alone, such as those of expressions before anything is detected."""
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise UsageError(f"slice {show(repeated[0])}: two slices have this name; write --slice 'NAME: EXPRESSION'")


def _may_belong(read: Filter, matched: Matched, input_size: InputSize | None) -> BoolArray:
    """(D,) false for the detections that surely do not belong, whatever nobody knows of them."""
    table = columns_of_detections(matched, read.columns, input_size)
    if "state" not in read.columns:
        return _mask(table, read.may_be_true(UNKNOWN_OF_DETECTIONS))
    found = np.zeros(len(table), np.bool_)
    for class_id, states in enumerate(matched.ground_truth.states):
        start, stop = (int(bound) for bound in matched.class_offsets[class_id : class_id + 2])
        part = table[start:stop]
        if not states:
            found[start:stop] = _mask(part, read.may_be_true((*UNKNOWN_OF_DETECTIONS, "state")))
        for state in states:
            said = part.with_columns(pl.lit(state).alias("state"))
            found[start:stop] |= _mask(said, read.may_be_true(UNKNOWN_OF_DETECTIONS))
    return found


def _mask(table: pl.DataFrame, expression: pl.Expr) -> BoolArray:
    # Beside the row numbers, so that a constant becomes as long as the table.
    return table.with_columns(expression.alias("is_chosen"))["is_chosen"].to_numpy().astype(np.bool_)
