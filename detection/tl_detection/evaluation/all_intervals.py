"""The intervals of every number of a report, which only `tl evaluate` takes the time for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tl_detection.evaluation.intervals import LEAST_SEQUENCES, LEVEL, Interval
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.results import IntervalMethod, Report
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.slice_intervals import intervals_of

if TYPE_CHECKING:
    from tl_detection.evaluation.report import Evaluation

REPLICATES = 1000
SEED = 0


def with_intervals(evaluation: Evaluation, *, replicates: int = REPLICATES, seed: int = SEED) -> Report:
    """The report of an evaluation with the intervals of all frames and of every slice."""
    matched, report = evaluation.matched, evaluation.report
    number, scores = sequence_numbers(matched.ground_truth), report.overall.operating_scores

    def measured(selection: Selection) -> Mapping[str, Interval]:
        drawn = draw_replicates(number, selection.frames, replicates=replicates, seed=seed)
        return intervals_of(matched, selection, drawn, scores)

    return replace(
        report,
        intervals=measured(Selection.of_frames(matched, np.ones(len(number), np.bool_))),
        interval_method=IntervalMethod(replicates=replicates, seed=seed, level=LEVEL, least_sequences=LEAST_SEQUENCES),
        slices=tuple(
            replace(scored, intervals=measured(item.select(matched)))
            for scored, item in zip(report.slices, evaluation.slices, strict=True)
        ),
    )
