"""How far states agree on boxes that two annotations share, with Cohen's kappa.

Shared are boxes of one category that overlap by at least `PAIRED_IOU`, most overlapping first, each once, whichever
annotation is the first. Kappa is the agreement beyond what the frequencies of the states alone would give:
(observed - expected) / (1 - expected), after J. Cohen, "A coefficient of agreement for nominal scales", 1960. It has no
value where only one state occurs, since then chance alone agrees in everything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.label_noise.box_agreement import Estimate, estimate
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray, group_bounds, overlapping
from tl_detection.evaluation.rates import Rate, measure_rate
from tl_detection.evaluation.replicates import Replicates

PAIRED_IOU = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxPairs:
    """Boxes that two annotations share.

    Attributes:
        first: (P,) objects of the first annotation, ascending.
        second: (P,) its partners in the second.
        iou: (P,) how far each pair overlaps.
        frame_index: (P,) their frames.
    """

    first: IntArray
    second: IntArray
    iou: FloatArray
    frame_index: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class StateAgreement:
    """What two annotations say of the boxes that they share.

    Attributes:
        pairs: Boxes that they share.
        iou_mean: Mean overlap of these; None without any.
        iou_median: Median overlap.
        labels: What can be said: states, or classes where these name none.
        table: How many pairs have a label (row) in the first annotation and a label (column) in the second.
        same: Share of the pairs with one label in both; of nothing where there is one label only, which is always
            the same.
        kappa: Cohen's kappa.
    """

    pairs: int
    iou_mean: float | None
    iou_median: float | None
    labels: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    same: Rate
    kappa: Estimate


def pair_boxes(first: GroundTruth, second: GroundTruth) -> BoxPairs:
    """Find the boxes that two annotations of the same frames share; ignore areas are none.

    Args:
        first: F frames, one class per category (see `box_agreement.by_category`).
        second: The same frames in the same order, and the same classes.
    """
    own, theirs = np.flatnonzero(~first.is_ignored), np.flatnonzero(~second.is_ignored)
    group_of = [
        truth.class_id[rows] * len(truth) + truth.frame_index[rows] for truth, rows in ((first, own), (second, theirs))
    ]
    by_group = np.argsort(group_of[1], kind="stable")
    theirs = theirs[by_group]
    start, stop = group_bounds(group_of[1][by_group], group_of[0])
    no_crowd = np.zeros(len(theirs), np.bool_)
    at, partner, iou = overlapping(first.xyxy[own], second.xyxy[theirs], no_crowd, start, stop, PAIRED_IOU)
    # Of equal overlaps the box that lies first; whichever annotation is asked, that is the same pair.
    corner = [np.minimum(first.xyxy[own[at], axis], second.xyxy[theirs[partner], axis]) for axis in range(4)]
    order = np.lexsort((*corner[::-1], -iou))
    taken_own, taken_theirs = set[int](), set[int]()
    kept: list[int] = []
    for index in order.tolist():
        if at[index] not in taken_own and partner[index] not in taken_theirs:
            taken_own.add(int(at[index]))
            taken_theirs.add(int(partner[index]))
            kept.append(index)
    kept.sort(key=lambda index: int(own[at[index]]))
    chosen = own[at[kept]]
    return BoxPairs(first=chosen, second=theirs[partner[kept]], iou=iou[kept], frame_index=first.frame_index[chosen])


def measure_states(
    first: GroundTruth, second: GroundTruth, pairs: BoxPairs, frames: BoolArray, replicates: Replicates
) -> StateAgreement:
    """Agreement of states in some frames.

    Args:
        first: With its classes as they are.
        second: The other annotation.
        pairs: Boxes that they share.
        frames: (F,) the frames.
        replicates: Drawn from them.
    """
    of_class = ["/".join(states) or name for states, name in zip(first.states, first.names, strict=True)]
    labels = tuple(dict.fromkeys(of_class))
    code = np.array([labels.index(word) for word in of_class], np.int64)
    kept = frames[pairs.frame_index]
    frame, iou = pairs.frame_index[kept], pairs.iou[kept]
    row, column = (code[truth.class_id[at[kept]]] for truth, at in ((first, pairs.first), (second, pairs.second)))
    n, n_labels, n_sequences = len(frame), len(labels), replicates.times.shape[1]
    cell = replicates.sequence[frame] * n_labels**2 + row * n_labels + column
    by_sequence = np.bincount(cell, minlength=n_sequences * n_labels**2).reshape(n_sequences, n_labels**2)
    table = by_sequence.sum(axis=0)
    asked = slice(None) if n_labels > 1 else slice(0)
    kappa = _kappa(table[None].astype(np.float64), n_labels)[0]
    drawn = _kappa(replicates.totals(by_sequence), n_labels)
    return StateAgreement(
        pairs=n,
        iou_mean=float(iou.mean()) if n else None,
        iou_median=float(np.median(iou)) if n else None,
        labels=labels,
        table=tuple(tuple(part) for part in table.reshape(n_labels, n_labels).tolist()),
        same=measure_rate(replicates, frame[row == column][asked], frame[asked], higher_is_better=True),
        kappa=estimate(
            None if np.isnan(kappa) else float(kappa), drawn, int(np.count_nonzero(by_sequence.any(axis=1)))
        ),
    )


def _kappa(tables: FloatArray, n_labels: int) -> FloatArray:
    """(R,) of (R, labels * labels) counts; NaN without a pair, or where both say one thing only."""
    tables = tables.reshape(len(tables), n_labels, n_labels)
    total = tables.sum(axis=(1, 2))
    observed = np.trace(tables, axis1=1, axis2=2) * total
    expected = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1)
    beyond = total**2 - expected
    return np.divide(observed - expected, beyond, out=np.full(len(tables), np.nan), where=beyond > 0)
