"""`ErrorSplit`: how many errors of each kind there are, and how much AP50 mending each kind alone would give.

Errors are counted at the operating scores; AP50 is taken over all scores, as ever. The gains do not add up to what is
missing to 1: mending one kind makes another matter more. A gain can be a hair below 0, as recall is read at 101 places.
Without an object a class has no AP50 and no gains, and its errors still count. The interval of a gain is that of its
differences in replicates of the sequences (see `intervals`).

In a selection of objects, such as the red ones or the small ones, an error about one of them counts even where the
detection itself lies outside: a red lamp that is said to be green is an error of the red ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.error_split.gains import GainsInReplicates, Repaired, bounds_of_gain
from tl_detection.evaluation.error_split.kinds import ErrorKind, ErrorKinds
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.outcomes import Outcomes, of_class
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray
from tl_detection.evaluation.replicates import Replicates, mean_of_known
from tl_detection.evaluation.selection import Selection

MISSED = "missed"
FALSE_POSITIVES = "false_positives"
FALSE_NEGATIVES = "false_negatives"
# The order in which kinds are shown; the last two are sums over kinds.
KINDS = (*(kind.name.lower() for kind in ErrorKind), MISSED, FALSE_POSITIVES, FALSE_NEGATIVES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorShare:
    """One kind of error.

    Attributes:
        kind: Of `KINDS`: classification, localisation, both, duplicate, background, missed; "false_positives" are the
            first five together, "false_negatives" all objects that were not found.
        count: Errors at the operating scores.
        gain_ap50: AP50 without these errors, minus AP50; None without an object, also where none would be left.
        gain_low: Lower bound of its 95 % bootstrap interval over sequences; None of too few.
        gain_high: Upper bound.
    """

    kind: str
    count: int
    gain_ap50: float | None
    gain_low: float | None
    gain_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassErrors:
    """Errors of one class: of its detections, and of its objects that were missed.

    Attributes:
        name: The class; "all": counts are sums, AP50 and gains means over the classes that have objects.
        objects: Objects of the selection.
        sequences: Sequences that hold any of these.
        ap50: None without an object.
        errors: Per kind of `KINDS`.
    """

    name: str
    objects: int
    sequences: int
    ap50: float | None
    errors: tuple[ErrorShare, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSplit:
    """The errors of a selection: of all classes, and per class, by id."""

    overall: ClassErrors
    classes: tuple[ClassErrors, ...]


def split_errors(
    matched: Matched,
    outcomes: Outcomes,
    selection: Selection,
    kinds: ErrorKinds,
    kinds_at_work: ErrorKinds,
    replicates: Replicates,
) -> ErrorSplit:
    """Split the errors of a selection.

    Args:
        matched: Records of all frames.
        outcomes: Of the selection.
        selection: What the numbers speak of.
        kinds: Of all detections.
        kinds_at_work: Of those at or above their operating scores.
        replicates: Drawn from the frames of the selection.
    """
    names, frame = matched.ground_truth.names, matched.ground_truth.frame_index
    counts = _counts(matched, outcomes, selection, kinds_at_work)
    # Mended errors become right if they are about an object of the selection.
    mended = np.flatnonzero(kinds.mends & _is_about(kinds, selection))
    measure = GainsInReplicates(matched.protocol.recall_points, replicates)
    held = np.stack(
        [
            replicates.count(frame[selection.objects & (matched.ground_truth.class_id == class_id)]) > 0
            for class_id in range(len(names))
        ]
    )
    values, gains, drawn = [], [], []
    for class_id in range(len(names)):
        repairs = _repairs(matched, outcomes, selection, kinds, mended, class_id)
        values.append(repairs[0].ap50(measure.recall_points))
        gains.append([_less(each.ap50(measure.recall_points), values[-1]) for each in repairs[1:]])
        drawn.append(measure.of(repairs))
    classes = tuple(
        _class_errors(
            name,
            int(outcomes.objects[each]),
            int(held[each].sum()),
            values[each],
            counts[each],
            gains[each],
            drawn[each],
        )
        for each, name in enumerate(names)
    )
    is_measured = [value is not None for value in values]
    overall = _class_errors(
        "all",
        int(outcomes.objects.sum()),
        int(np.count_nonzero(held.any(axis=0))),
        _mean(values),
        counts.sum(axis=0),
        [_mean(of_kind) for of_kind in zip(*gains, strict=True)],
        mean_of_known(np.stack(drawn)[is_measured]),
    )
    return ErrorSplit(overall=overall, classes=classes)


def _class_errors(
    name: str,
    objects: int,
    sequences: int,
    ap50: float | None,
    counts: IntArray,
    gains: Sequence[float | None],
    drawn: FloatArray,
) -> ClassErrors:
    bounds = [
        None if gain is None else bounds_of_gain(values, sequences) for gain, values in zip(gains, drawn, strict=True)
    ]
    return ClassErrors(
        name=name,
        objects=objects,
        sequences=sequences,
        ap50=ap50,
        errors=tuple(
            ErrorShare(
                kind=kind,
                count=int(count),
                gain_ap50=gain,
                gain_low=None if found is None else found[0],
                gain_high=None if found is None else found[1],
            )
            for kind, count, gain, found in zip(KINDS, counts, gains, bounds, strict=True)
        ),
    )


def _counts(matched: Matched, outcomes: Outcomes, selection: Selection, kinds: ErrorKinds) -> IntArray:
    """(classes, kinds of `KINDS`) errors."""
    n_classes, n_kinds = len(outcomes.objects), len(ErrorKind)
    is_wrong = (outcomes.is_counted | _is_about(kinds, selection)) & ~outcomes.is_right & (kinds.kind >= 0)
    cell = matched.class_id[is_wrong] * n_kinds + kinds.kind[is_wrong]
    wrong = np.bincount(cell, minlength=n_classes * n_kinds).reshape(n_classes, n_kinds)
    class_id = matched.ground_truth.class_id
    missed, not_found = (
        np.bincount(class_id[selection.objects & mask], minlength=n_classes)
        for mask in (kinds.is_missed, ~kinds.is_found)
    )
    return np.column_stack([wrong, missed, wrong.sum(axis=1), not_found]).astype(np.int64)


def _is_about(kinds: ErrorKinds, selection: Selection) -> BoolArray:
    """(D,) true for the errors about an object of the selection."""
    is_about = kinds.about >= 0
    is_about[is_about] = selection.objects[kinds.about[is_about]]
    return is_about


def _repairs(
    matched: Matched,
    outcomes: Outcomes,
    selection: Selection,
    kinds: ErrorKinds,
    mended: IntArray,
    class_id: int,
) -> tuple[Repaired, ...]:
    """The records of a class as they are, and as they would be without each kind of `KINDS`."""
    truth = matched.ground_truth
    at = of_class(matched, outcomes.is_counted, class_id)
    is_right, kind = outcomes.is_right[at], kinds.kind[at]
    every = np.ones(len(at), np.bool_)
    mended = mended[truth.class_id[kinds.about[mended]] == class_id]
    is_class_error = kinds.kind[mended] == ErrorKind.CLASSIFICATION
    of_objects = selection.objects & (truth.class_id == class_id)

    def repaired(stays: BoolArray, added: IntArray | None = None, without: BoolArray | None = None) -> Repaired:
        kept, right = at[stays], is_right[stays]
        if added is not None and len(added):
            added = added[np.argsort(kinds.order[added])]
            place = np.searchsorted(kinds.order[kept], kinds.order[added])
            kept, right = np.insert(kept, place, added), np.insert(right, place, True)
        left = of_objects if without is None else of_objects & ~without
        return Repaired(
            frame_index=matched.frame_index[kept],
            score=matched.score[kept],
            is_right=right,
            object_frames=truth.frame_index[left],
        )

    found = {
        ErrorKind.CLASSIFICATION.name: repaired(kind != ErrorKind.CLASSIFICATION, mended[is_class_error]),
        ErrorKind.LOCALISATION.name: repaired(kind != ErrorKind.LOCALISATION, mended[~is_class_error]),
        **{each.name: repaired(kind != each) for each in (ErrorKind.BOTH, ErrorKind.DUPLICATE, ErrorKind.BACKGROUND)},
        MISSED: repaired(every, without=kinds.is_missed),
        FALSE_POSITIVES: repaired(is_right),
        FALSE_NEGATIVES: repaired(every, without=~kinds.is_found),
    }
    by_kind = {name.lower(): number for name, number in found.items()}
    return repaired(every), *(by_kind[name] for name in KINDS)


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
