"""`SliceAnalyses`: the analyses of all frames and of every slice of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from tl_detection.evaluation.analyses import Analyses, analyse, prepare
from tl_detection.evaluation.lights.answers import Answers
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.report import Evaluation
from tl_detection.evaluation.results import Report
from tl_detection.evaluation.score_curves import MOST_POINTS
from tl_detection.evaluation.selection import Selection

# Under this name are the analyses of all frames.
OVERALL = "overall"
# Of a curve of a slice; curves are a third of a report of many slices, and a screen shows no more.
SLICE_POINTS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceAnalyses:
    """Analyses of an evaluation.

    Attributes:
        answers: What is said of each object of all frames, at the operating scores.
        slices: By slice name; `OVERALL` of all frames.
    """

    answers: Answers
    slices: Mapping[str, Analyses]

    def put_into(self, report: Report) -> Report:
        """A report of the same slices, with what was found out about each."""
        slices = tuple(replace(item, analyses=self.slices[item.name]) for item in report.slices)
        return replace(report, analyses=self.slices[OVERALL], slices=slices)


def analyse_slices(
    evaluation: Evaluation,
    *,
    replicates: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> SliceAnalyses:
    """Analyse all frames and every slice of an evaluation.

    Args:
        evaluation: What scoring gave.
        replicates: Data sets drawn for the intervals.
        seed: Of the draw.
        progress: Called with the number of slices done and in all.
    """
    matched = evaluation.matched
    number = sequence_numbers(matched.ground_truth)
    prepared = prepare(matched, evaluation.report.overall.operating_scores)
    selections = {OVERALL: Selection.of_frames(matched, np.ones(len(matched.ground_truth), np.bool_))}
    selections |= {item.name: item.select(matched) for item in evaluation.slices}
    found: dict[str, Analyses] = {}
    for name, selection in selections.items():
        drawn = draw_replicates(number, selection.frames, replicates=replicates, seed=seed)
        found[name] = analyse(prepared, selection, drawn, most_points=MOST_POINTS if name == OVERALL else SLICE_POINTS)
        if progress is not None:
            progress(len(found), len(selections))
    return SliceAnalyses(answers=prepared.answers, slices=found)
