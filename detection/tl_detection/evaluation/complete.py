"""`complete`: everything that an evaluation says beyond its scores, put into its report.

Training scores after every few epochs and needs none of this; `tl evaluate` asks for it once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tl_datasets.network_size import InputSize
from tl_detection.evaluation.all_intervals import REPLICATES, SEED, with_intervals
from tl_detection.evaluation.drives.drive_scores import find_lamps, measure_drives
from tl_detection.evaluation.operating.scores import points_by_rules
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.report import Evaluation
from tl_detection.evaluation.results import BEST_F1
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.size_curve import measure_size_curve
from tl_detection.evaluation.slice_analyses import SliceAnalyses, analyse_slices

Progress = Callable[[int, int], None]


def complete(
    evaluation: Evaluation,
    *,
    replicates: int = REPLICATES,
    seed: int = SEED,
    rules: Sequence[str] = (),
    scores_from: str | None = None,
    input_size: InputSize | None = None,
    frame_rate_hz: float | None = None,
    progress: Progress | None = None,
) -> tuple[Evaluation, SliceAnalyses]:
    """Add intervals, analyses, operating points, size curves and drives to the report of an evaluation.

    Args:
        evaluation: What scoring gave.
        replicates: Data sets drawn for the intervals.
        seed: Of the draw.
        rules: By which `evaluate_whole` chose the operating scores.
        scores_from: Where they came from instead, such as the name of a thresholds file; None = the rules.
        input_size: Of the network, for sizes in its pixels.
        frame_rate_hz: Of sequences without capture times; None = their drives have no times.
        progress: Called with the number of slices analysed and in all.

    Returns:
        The evaluation with the whole report, and what was found out about each slice.

    Raises:
        UsageError: The frame rate is not positive.
    """
    matched, truth = evaluation.matched, evaluation.matched.ground_truth
    lamps = find_lamps(truth, frame_rate_hz=frame_rate_hz)
    analyses = analyse_slices(evaluation, replicates=replicates, seed=seed, progress=progress)
    answers = analyses.answers
    every = Selection.of_frames(matched, np.ones(len(truth), np.bool_))
    drawn = draw_replicates(sequence_numbers(truth), replicates=replicates, seed=seed)
    columns = ["height_px", *([] if input_size is None else ["network_height_px"])]
    report = replace(
        analyses.put_into(with_intervals(evaluation, replicates=replicates, seed=seed)),
        operating_from=scores_from or (f"by the rules {', '.join(rules)}, on these frames" if rules else BEST_F1),
        operating_points=points_by_rules(matched, answers.overlaps, drawn, rules) if scores_from is None else (),
        size_curves=tuple(
            measure_size_curve(answers, every, drawn, column=column, input_size=input_size) for column in columns
        ),
        drives=measure_drives(truth, lamps, answers.said, every, drawn, input_size=input_size),
    )
    return replace(evaluation, report=report), analyses
