"""The intervals of every measure of a set of frames, keyed by the word of the measure without its slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tl_detection.evaluation.intervals import (
    LEAST_SEQUENCES,
    LEVEL,
    Interval,
    ScoreName,
    count_sequences,
    score_of_each,
)
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.measures import NAMES, Measure
from tl_detection.evaluation.pairs import BoolArray, FloatArray
from tl_detection.evaluation.replicates import Replicates, draw_replicates, sequence_numbers
from tl_detection.evaluation.results import IntervalMethod, Report

if TYPE_CHECKING:
    from tl_detection.evaluation.report import Evaluation

REPLICATES = 1000
SEED = 0


def with_intervals(evaluation: Evaluation, *, replicates: int = REPLICATES, seed: int = SEED) -> Report:
    """The report of an evaluation with the intervals of all frames and of every slice."""
    matched, report = evaluation.matched, evaluation.report
    number, scores = sequence_numbers(matched.ground_truth), report.overall.operating_scores

    def measured(records: Matched, frame_mask: BoolArray | None) -> Mapping[str, Interval]:
        drawn = draw_replicates(number, frame_mask, replicates=replicates, seed=seed)
        return intervals_of(records, drawn, scores)

    return replace(
        report,
        intervals=measured(matched, None),
        interval_method=IntervalMethod(replicates=replicates, seed=seed, level=LEVEL, least_sequences=LEAST_SEQUENCES),
        slices=tuple(
            replace(scored, intervals=measured(item.records(matched), item.frame_mask))
            for scored, item in zip(report.slices, evaluation.slices, strict=True)
        ),
    )


def intervals_of(
    matched: Matched, replicates: Replicates, operating_scores: Sequence[float], names: Sequence[ScoreName] = NAMES
) -> dict[str, Interval]:
    """Measure such as "ap50" or "recall:red" -> its interval in the frames that were drawn from.

    A measure without a value, or of which fewer than `LEAST_SEQUENCES` sequences hold anything, is not there.
    """
    found: dict[str, Interval] = {}
    for word, values in values_of_each(matched, replicates, operating_scores, names).items():
        measure = Measure.parse(word)
        sequences = count_sequences(matched, replicates, measure.name, measure.class_id(matched.ground_truth.names))
        known = values[~np.isnan(values)]
        if sequences >= LEAST_SEQUENCES and known.size:
            low, high = (float(bound) for bound in np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
            found[word] = Interval(low=low, high=high, level=LEVEL, sequences=sequences, replicates=len(known))
    return found


def values_of_each(
    matched: Matched, replicates: Replicates, operating_scores: Sequence[float], names: Sequence[ScoreName] = NAMES
) -> dict[str, FloatArray]:
    """Measure such as "ap50" or "recall:red" -> (R,) its value in every replicate, NaN where there is none."""
    values: dict[str, FloatArray] = {}
    for name in names:
        if name == "red_as_green":
            values[name] = score_of_each(matched, replicates, name, operating_scores=operating_scores)
            continue
        of_classes = {
            f"{name}:{class_name}": score_of_each(
                matched, replicates, name, class_id=class_id, operating_scores=operating_scores
            )
            for class_id, class_name in enumerate(matched.ground_truth.names)
        }
        values[name] = _all_classes(name, np.stack(list(of_classes.values())))
        values |= of_classes
    return values


def _all_classes(name: ScoreName, values: FloatArray) -> FloatArray:
    """(R,) from (classes, R): the mean over the classes that have a value, of phantoms the sum."""
    known = ~np.isnan(values)
    divisor = 1 if name == "phantoms_per_frame" else np.maximum(known.sum(axis=0), 1)
    return np.where(known.any(axis=0), np.where(known, values, 0.0).sum(axis=0) / divisor, np.nan)
