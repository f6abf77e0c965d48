"""`ErrorSplit`: how many errors of each kind there are, and how much AP50 mending each kind alone would give.

Errors are counted at the operating scores; AP50 is taken over all scores, as ever. The gains do not add up to what is
missing to 1: mending one kind makes another matter more. A gain can be a hair below 0, as recall is read at 101 places.
Without an object a class has no AP50 and no gains, and its errors still count.

In a selection of objects, such as the red ones or the small ones, an error about one of them counts even where the
detection itself lies outside: a red lamp that is said to be green is an error of the red ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.curves import average_precision
from tl_detection.evaluation.error_split.kinds import ErrorKind, ErrorKinds
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.outcomes import Outcomes, of_class
from tl_detection.evaluation.pairs import BoolArray, IntArray
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
    """

    kind: str
    count: int
    gain_ap50: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassErrors:
    """Errors of one class: of its detections, and of its objects that were missed.

    Attributes:
        name: The class; "all": counts are sums, AP50 and gains means over the classes that have objects.
        objects: Objects of the selection.
        ap50: None without an object.
        errors: Per kind of `KINDS`.
    """

    name: str
    objects: int
    ap50: float | None
    errors: tuple[ErrorShare, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSplit:
    """The errors of a selection: of all classes, and per class, by id."""

    overall: ClassErrors
    classes: tuple[ClassErrors, ...]


def split_errors(
    matched: Matched, outcomes: Outcomes, selection: Selection, kinds: ErrorKinds, kinds_at_work: ErrorKinds
) -> ErrorSplit:
    """Split the errors of a selection.

    Args:
        matched: Records of all frames.
        outcomes: Of the selection.
        selection: What the numbers speak of.
        kinds: Of all detections.
        kinds_at_work: Of those at or above their operating scores.
    """
    names = matched.ground_truth.names
    counts = _counts(matched, outcomes, selection, kinds_at_work)
    # Mended errors become right if they are about an object of the selection.
    mended = np.flatnonzero(kinds.mends & _is_about(kinds, selection))
    classes = []
    for class_id, name in enumerate(names):
        ap50, gains = _gains(matched, outcomes, selection, kinds, mended, class_id)
        classes.append(_class_errors(name, int(outcomes.objects[class_id]), ap50, counts[class_id], gains))
    measured = [item for item in classes if item.ap50 is not None]
    overall = _class_errors(
        "all",
        int(outcomes.objects.sum()),
        _mean([item.ap50 for item in measured]),
        counts.sum(axis=0),
        [_mean([item.errors[index].gain_ap50 for item in measured]) for index in range(len(KINDS))],
    )
    return ErrorSplit(overall=overall, classes=tuple(classes))


def _class_errors(
    name: str, objects: int, ap50: float | None, counts: IntArray, gains: Sequence[float | None]
) -> ClassErrors:
    return ClassErrors(
        name=name,
        objects=objects,
        ap50=ap50,
        errors=tuple(
            ErrorShare(kind=kind, count=int(count), gain_ap50=gain)
            for kind, count, gain in zip(KINDS, counts, gains, strict=True)
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


def _gains(
    matched: Matched,
    outcomes: Outcomes,
    selection: Selection,
    kinds: ErrorKinds,
    mended: IntArray,
    class_id: int,
) -> tuple[float | None, list[float | None]]:
    """AP50 of a class, and what mending each kind of `KINDS` adds."""
    n_objects = int(outcomes.objects[class_id])
    if not n_objects:
        return None, [None] * len(KINDS)
    at = of_class(matched, outcomes.is_counted, class_id)
    is_right, kind = outcomes.is_right[at], kinds.kind[at]
    every = np.ones(len(at), np.bool_)
    mended = mended[matched.ground_truth.class_id[kinds.about[mended]] == class_id]
    is_class_error = kinds.kind[mended] == ErrorKind.CLASSIFICATION
    of_objects = selection.objects & (matched.ground_truth.class_id == class_id)
    recall_points = matched.protocol.recall_points

    def ap50(stays: BoolArray, added: IntArray | None = None, fewer: int = 0) -> float:
        right, kept = is_right[stays], at[stays]
        if added is not None and len(added):
            order = kinds.order[kept]
            added_order = np.sort(kinds.order[added])
            right = np.insert(right, np.searchsorted(order, added_order), True)
        return average_precision(right, np.ones(len(right), np.bool_), n_objects - fewer, recall_points)

    missed = int((of_objects & kinds.is_missed).sum())
    not_found = int((of_objects & ~kinds.is_found).sum())
    value = ap50(every)
    fixed = {
        ErrorKind.CLASSIFICATION.name: ap50(kind != ErrorKind.CLASSIFICATION, mended[is_class_error]),
        ErrorKind.LOCALISATION.name: ap50(kind != ErrorKind.LOCALISATION, mended[~is_class_error]),
        **{each.name: ap50(kind != each) for each in (ErrorKind.BOTH, ErrorKind.DUPLICATE, ErrorKind.BACKGROUND)},
        MISSED: ap50(every, fewer=missed) if missed < n_objects else None,
        FALSE_POSITIVES: ap50(is_right),
        FALSE_NEGATIVES: ap50(every, fewer=not_found) if not_found < n_objects else None,
    }
    by_kind = {name.lower(): number for name, number in fixed.items()}
    return value, [None if (number := by_kind[name]) is None else number - value for name in KINDS]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
