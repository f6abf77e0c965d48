"""`Confusion`: which state was taken for which, as a full matrix with an interval for every cell.

Rows: what an object shows, and last what is said where there is no object. Columns: what is said, and last what is
said of nothing (missed). A row's cells and its missed objects add up to its objects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.lights.answers import MISSED, Answers
from tl_detection.evaluation.pairs import IntArray
from tl_detection.evaluation.rates import Rate, Share, measure_rates
from tl_detection.evaluation.replicates import Replicates
from tl_detection.evaluation.selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The rows and columns of a matrix.

    Attributes:
        names: In the order of the classes.
        of_class: (classes,) position of each class's label.
    """

    names: tuple[str, ...]
    of_class: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionRow:
    """What is said of the objects of one label.

    Attributes:
        name: The label.
        objects: How many there are.
        said: Per label of `Confusion.labels`, the share of the objects of which it is said.
        missed: The share of which nothing is said.
    """

    name: str
    objects: int
    said: tuple[Rate, ...]
    missed: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """A matrix.

    Attributes:
        labels: Of rows and columns; a class stands for its states ("red/red_yellow"), for itself if it names none.
        rows: One per label.
        nothing_there: Per label, how often it is said where there is nothing (phantoms), per 1,000 frames.
    """

    labels: tuple[str, ...]
    rows: tuple[ConfusionRow, ...]
    nothing_there: tuple[Rate, ...]


def state_labels(truth: GroundTruth) -> Labels | None:
    """Classes that show the same share a label; None where no class names a state, or all share one label."""
    if not any(truth.states):
        return None
    return _labels(["/".join(states) or name for name, states in zip(truth.names, truth.states, strict=True)])


def class_labels(truth: GroundTruth) -> Labels | None:
    """A label for each class; None where that repeats `state_labels`, or where there is one class."""
    by_state = state_labels(truth)
    if by_state is not None and len(by_state.names) == len(truth.names):
        return None
    return _labels(truth.names)


def measure_confusion(answers: Answers, selection: Selection, replicates: Replicates, labels: Labels) -> Confusion:
    """Measure a matrix over the objects and frames of a selection.

    Args:
        answers: At the operating scores.
        selection: What the matrix speaks of.
        replicates: Drawn from its frames.
        labels: Rows and columns.
    """
    matched = answers.matched
    truth = matched.ground_truth
    objects = np.flatnonzero(selection.objects)
    frame, true = truth.frame_index[objects], labels.of_class[truth.class_id[objects]]
    said = np.where(answers.said[objects] == MISSED, MISSED, labels.of_class[answers.said[objects]])
    phantoms = answers.phantoms[selection.detections[answers.phantoms]]
    phantom_label = labels.of_class[matched.class_id[phantoms]]
    frames = np.flatnonzero(selection.frames)
    shares = []
    n_labels = len(labels.names)
    for row in range(n_labels):
        whole = frame[true == row]
        shares += [
            Share(part=frame[(true == row) & (said == column)], whole=whole, higher_is_better=row == column)
            for column in (*range(n_labels), MISSED)
        ]
    for column in range(n_labels):
        shares.append(Share(part=matched.frame_index[phantoms[phantom_label == column]], whole=frames, per=1000))
    rates = measure_rates(replicates, shares)
    rows = [rates[start : start + n_labels + 1] for start in range(0, n_labels * (n_labels + 1), n_labels + 1)]
    return Confusion(
        labels=labels.names,
        rows=tuple(
            ConfusionRow(name=name, objects=row[-1].whole, said=tuple(row[:-1]), missed=row[-1])
            for name, row in zip(labels.names, rows, strict=True)
        ),
        nothing_there=tuple(rates[n_labels * (n_labels + 1) :]),
    )


def _labels(of_classes: list[str] | tuple[str, ...]) -> Labels | None:
    names = tuple(dict.fromkeys(of_classes))
    if len(names) < 2:
        return None
    return Labels(names=names, of_class=np.array([names.index(name) for name in of_classes], np.int64))
