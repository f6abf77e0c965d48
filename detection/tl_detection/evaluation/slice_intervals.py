"""The intervals of all numbers of `scores.Scores` for a part of the records, in one pass.

Method, definitions and empty cases are those of `intervals`, which gives a single number; average precision is computed
in single precision here, so bounds differ by 1e-5 at most. With 1,000 replicates of 1,000,000 detections in ten classes
at all sizes and thresholds it takes a second.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.exact_bounds import Counted, with_width
from tl_detection.evaluation.intervals import (
    AREA_AND_IOU,
    LEAST_SEQUENCES,
    LESS_IS_BETTER,
    LEVEL,
    Interval,
    counted_in,
    share_outside,
)
from tl_detection.evaluation.matching import Matched, has_bit
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray, area_px2
from tl_detection.evaluation.protocol import OPERATING_IOU
from tl_detection.evaluation.replicates import (
    Replicates,
    average_precisions_of_each,
    mean_of_known,
    weights_in_blocks,
)
from tl_detection.evaluation.selection import Selection, records_of
from tl_detection.evaluation.stop_lights import is_stop_object, verdicts

_AR_LIMIT = 100


def intervals_of(
    matched: Matched,
    selection: Selection,
    replicates: Replicates,
    operating_scores: Sequence[float],
    *,
    level: float = LEVEL,
) -> Mapping[str, Interval]:
    """The interval of every score that has one.

    Args:
        matched: Records of all frames.
        selection: What the scores speak of.
        replicates: Drawn from the frames of the selection.
        operating_scores: Per class.
        level: How often such an interval shall hold the true value.

    Returns:
        Intervals by the word of a `measures.Measure` such as "ap50" or "recall:red". Scores without a value, and those
        measured on fewer than `LEAST_SEQUENCES` sequences, are not in it.

    Raises:
        ValueError: The replicates were drawn from other frames, or there is not one operating score per class.
    """
    values = values_in_replicates(matched, selection, replicates, operating_scores)
    rows = [row for row in values if row.sequences >= LEAST_SEQUENCES]
    if not rows:
        return {}
    outside = share_outside(np.array([row.sequences for row in rows]), level)
    bounds = _quantiles(np.stack([row.values for row in rows]), (outside, 1 - outside))
    return {
        row.word: Interval(low=low, high=high, level=level, sequences=row.sequences, replicates=int(known))
        for row, given, known in zip(rows, *bounds, strict=True)
        if known
        for low, high in [row.bounds(float(given[0]), float(given[1]), level)]
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicateValues:
    """A score in every replicate.

    Attributes:
        word: Of its `measures.Measure`, such as "ap50" or "recall:red".
        values: (R,) NaN = no value.
        sequences: Sequences that hold what it is measured on.
        counted: What it stands on, or each of those whose mean it is; empty where nobody asks for its interval.
    """

    word: str
    values: FloatArray
    sequences: int
    counted: Sequence[Counted] = ()

    def bounds(self, low: float, high: float, level: float) -> tuple[float, float]:
        """Those of its interval, from what the replicates give."""
        is_mistake = self.word.partition(":")[0] in LESS_IS_BETTER
        return with_width(low, high, self.counted, level, higher_is_better=not is_mistake)


def values_in_replicates(
    matched: Matched, selection: Selection, replicates: Replicates, operating_scores: Sequence[float]
) -> list[ReplicateValues]:
    """Every score of a selection in every replicate; for the arguments and errors see `intervals_of`."""
    names = matched.ground_truth.names
    if not np.array_equal(replicates.sequence >= 0, selection.frames):
        raise ValueError("the replicates were drawn from other frames than those of the selection")
    if len(operating_scores) != len(names):
        raise ValueError(f"{len(operating_scores)} operating scores for {len(names)} classes")
    if not selection.frames.any():
        return []
    return _Part.of(records_of(matched, selection), replicates, operating_scores).rows()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Counts of a part of the records in every replicate.

    Attributes:
        matched: The records.
        precision: (classes, areas, thresholds, R) average precision; NaN without an object.
        objects: (classes, areas, R) objects to find.
        found: (classes, R) objects found among the first 100 per frame, summed over the thresholds.
        right: (classes, R) detections at or above the operating score that found an object.
        counted: (classes, R) of these scores, those that count as right or wrong.
        is_absent: (classes,) true for classes without an object in the frames drawn from.
        frames: (R,) frames.
        stop: (2, R) objects that mean stop, and those said to be green; None where the classes do not know.
        has_object: (classes, areas, S) true for the sequences with an object.
        by_sequence: (2, classes, S) objects, and detections from the operating score on that count.
        stop_by_sequence: (S,) objects that mean stop.
    """

    matched: Matched
    precision: FloatArray
    objects: FloatArray
    found: FloatArray
    right: FloatArray
    counted: FloatArray
    is_absent: BoolArray
    frames: FloatArray
    stop: FloatArray | None
    has_object: BoolArray
    by_sequence: IntArray
    stop_by_sequence: IntArray

    @staticmethod
    def of(matched: Matched, replicates: Replicates, operating_scores: Sequence[float]) -> _Part:
        from tl_detection.evaluation.record_kernels import choose_records

        truth, protocol = matched.ground_truth, matched.protocol
        n_classes, n_sequences = len(truth.names), replicates.times.shape[1]
        is_chosen = replicates.sequence >= 0
        offsets, chosen, score, rank, right_bits, counted_bits = choose_records(
            is_chosen,
            matched.frame_index,
            matched.class_offsets,
            matched.score,
            matched.rank,
            matched.match_bits,
            matched.ignored_bits,
            len(protocol.iou_thresholds),
        )
        frame_index = matched.frame_index[chosen]
        sequence, class_id = replicates.sequence[frame_index], matched.class_id[chosen]

        def count(classes: IntArray, sequences: IntArray, weights: IntArray | None = None) -> IntArray:
            flat = np.bincount(classes * n_sequences + sequences, weights, n_classes * n_sequences)
            return flat.reshape(n_classes, n_sequences).astype(np.int64)

        box = np.flatnonzero(is_chosen[truth.frame_index] & matched.is_object)
        box_area, box_sequence = area_px2(truth.xyxy[box]), replicates.sequence[truth.frame_index[box]]
        objects = np.stack(
            [
                count(truth.class_id[box[kept]], box_sequence[kept])
                for area in protocol.area_ranges
                for kept in [area.holds(box_area)]
            ],
            axis=1,
        )
        in_limit = np.where(rank < _AR_LIMIT, right_bits[0], 0)
        found = count(class_id, sequence, np.bitwise_count(in_limit))
        operating_level = protocol.threshold_index(OPERATING_IOU) or 0
        above = score >= np.asarray(operating_scores, np.float64)[class_id]
        right, counted = (
            count(class_id[which], sequence[which])
            for bits in (right_bits, counted_bits)
            for which in [above & has_bit(bits[0], operating_level)]
        )
        frames = np.bincount(replicates.sequence[is_chosen], minlength=n_sequences)
        is_stop = is_stop_object(truth)[box]
        stop = np.bincount(box_sequence[is_stop], minlength=n_sequences)
        knows_stop = any(truth.means_stop) and any(truth.means_go)
        as_green = _said_green(matched, replicates, operating_scores) if knows_stop else stop
        totals = replicates.totals(
            np.concatenate([objects.reshape(-1, n_sequences), found, right, counted, [frames, stop, as_green]]).T
        ).T
        n_objects = totals[: objects.shape[0] * objects.shape[1]].reshape(*objects.shape[:2], -1)
        rest = totals[objects.shape[0] * objects.shape[1] :]
        weights = weights_in_blocks(replicates)
        precision = np.stack(
            [
                average_precisions_of_each(
                    replicates,
                    weights,
                    frame_index[start:stop_at],
                    score[start:stop_at],
                    right_bits[:, start:stop_at],
                    counted_bits[:, start:stop_at],
                    n_objects[each],
                    len(protocol.iou_thresholds),
                    protocol.recall_points,
                    is_exact=False,
                )
                for each, (start, stop_at) in enumerate(itertools.pairwise(offsets.tolist()))
            ]
        )
        return _Part(
            matched=matched,
            precision=precision,
            objects=n_objects,
            found=rest[:n_classes],
            right=rest[n_classes : 2 * n_classes],
            counted=rest[2 * n_classes : 3 * n_classes],
            is_absent=objects[:, 0].sum(axis=1) == 0,
            frames=rest[-3],
            stop=rest[-2:] if knows_stop else None,
            has_object=objects > 0,
            by_sequence=np.stack([objects[:, 0], counted]),
            stop_by_sequence=stop,
        )

    def rows(self) -> list[ReplicateValues]:
        """Every score, over all classes and per class."""
        protocol, names = self.matched.protocol, self.matched.ground_truth.names
        found: list[ReplicateValues] = []
        for name, (area_name, iou) in AREA_AND_IOU.items():
            area = protocol.area_index(area_name)
            threshold = None if iou is None else protocol.threshold_index(iou)
            if area is None or (iou is not None and threshold is None):
                continue
            thresholds = slice(None) if threshold is None else slice(threshold, threshold + 1)
            found += self._mean_and_classes(name, self.precision[:, area, thresholds].mean(axis=1), area)
        objects = self.objects[:, 0]
        if _AR_LIMIT in protocol.max_detections:
            found += self._mean_and_classes("ar100", _ratio(self.found / len(protocol.iou_thresholds), objects), 0)
        has_object = objects > 0
        objects_by_sequence, counted_by_sequence = self.by_sequence * ~self.is_absent[:, None]
        for name, part, whole, whole_by_sequence in (
            ("precision", self.right, self.counted, counted_by_sequence),
            ("recall", self.right, objects, objects_by_sequence),
            ("f1", 2 * self.right, self.counted + objects, counted_by_sequence + objects_by_sequence),
        ):
            values = np.where(has_object, _ratio(part, whole), np.nan)
            found += self._mean_and_classes(name, values, 0, whole_by_sequence)
        n_sequences = self.has_object.shape[2]
        phantoms = _ratio(
            self.counted[self.is_absent], np.broadcast_to(self.frames, (self.is_absent.sum(), len(self.frames)))
        )
        counted = [Counted(sequences=n_sequences, has_end=False)]
        if len(phantoms):
            total = phantoms.sum(axis=0)
            found.append(
                ReplicateValues(word="phantoms_per_frame", values=total, sequences=n_sequences, counted=counted)
            )
        found += [
            ReplicateValues(
                word=f"phantoms_per_frame:{names[each]}", values=values, sequences=n_sequences, counted=counted
            )
            for each, values in zip(np.flatnonzero(self.is_absent), phantoms, strict=True)
        ]
        if self.stop is not None:
            values = _ratio(self.stop[1], self.stop[0])
            counted_stop = counted_in(self.stop_by_sequence)
            found.append(
                ReplicateValues(
                    word="red_as_green", values=values, sequences=counted_stop.sequences, counted=[counted_stop]
                )
            )
        return found

    def _mean_and_classes(
        self, name: str, values: FloatArray, area: int, whole_by_sequence: IntArray | None = None
    ) -> list[ReplicateValues]:
        """The mean over the classes that have a value, and each class.

        Args:
            name: The score.
            values: (classes, R).
            area: Area range of the objects.
            whole_by_sequence: (classes, S) what it is a share of; None = of those objects.
        """
        has_object = self.has_object[:, area]
        counted = [counted_in(item) for item in (has_object if whole_by_sequence is None else whole_by_sequence)]
        rows = [
            ReplicateValues(
                word=name,
                values=mean_of_known(values),
                sequences=int(has_object.any(axis=0).sum()),
                counted=counted,
            )
        ]
        rows += [
            ReplicateValues(
                word=f"{name}:{class_name}",
                values=of_class,
                sequences=int(here.sum()),
                counted=counted[each : each + 1],
            )
            for each, (class_name, of_class, here) in enumerate(
                zip(self.matched.ground_truth.names, values, has_object, strict=True)
            )
        ]
        return rows


def _said_green(matched: Matched, replicates: Replicates, operating_scores: Sequence[float]) -> IntArray:
    """(S,) objects that mean stop and were said to be green."""
    truth = matched.ground_truth
    box, is_green = verdicts(truth, matched.stop_pairs, operating_scores)
    return replicates.count(truth.frame_index[box[is_green & matched.is_object[box]]])


def _ratio(part: FloatArray, whole: IntArray | FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def _quantiles(values: FloatArray, shares: tuple[FloatArray, FloatArray]) -> tuple[FloatArray, IntArray]:
    """Quantiles of the values that are no NaN, between neighbours by their distance.

    Args:
        values: (M, R).
        shares: Two of (M,): the share of each row's values that lies below.

    Returns:
        (M, 2) quantiles, and (M,) how many values are no NaN.
    """
    values = np.sort(values, axis=1)
    n_known = values.shape[1] - np.isnan(values).sum(axis=1)
    row = np.arange(len(values))
    bounds = []
    for share in shares:
        place = share * np.maximum(n_known - 1, 0)
        below = np.floor(place).astype(np.int64)
        low, high = values[row, below], values[row, np.minimum(below + 1, np.maximum(n_known - 1, 0))]
        bounds.append(low + (high - low) * (place - below))
    return np.stack(bounds, axis=1), n_known
