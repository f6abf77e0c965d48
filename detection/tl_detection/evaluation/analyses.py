"""`Analyses`: what average precision does not say about a selection. The way in to everything that looks deeper.

`prepare` looks at all detections once; `analyse` speaks of one selection and can be called for any number of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tl_detection.evaluation.calibration import FLOOR_SCORE, N_BINS, Calibration, measure_calibration
from tl_detection.evaluation.error_split.kinds import ErrorKinds, order_by_score, tell_kinds
from tl_detection.evaluation.error_split.split import ErrorSplit, split_errors
from tl_detection.evaluation.lights.answers import Answers, is_at_work, read_answers
from tl_detection.evaluation.lights.scores import LightScores, score_lights
from tl_detection.evaluation.lights.traits import Traits, read_traits
from tl_detection.evaluation.localisation_recall_precision import LrpScores, score_lrp
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.outcomes import tell_outcomes
from tl_detection.evaluation.overlaps import Overlaps, measure_overlaps
from tl_detection.evaluation.replicates import Replicates
from tl_detection.evaluation.score_curves import MOST_POINTS, ScoreCurves, draw_curves
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.size_bins import LIGHT_EDGES_PX


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What all selections share.

    Attributes:
        matched: The records.
        overlaps: What each detection lies on.
        answers: What is said of each object at the operating scores.
        traits: What is known of each object.
        kinds: What is wrong with each detection.
        kinds_at_work: The same among the detections at or above their operating scores.
    """

    matched: Matched
    overlaps: Overlaps
    answers: Answers
    traits: Traits
    kinds: ErrorKinds
    kinds_at_work: ErrorKinds


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyses:
    """What average precision does not say about a selection; `dataclasses.asdict` makes it ready for JSON.

    Attributes:
        lights: State confusion, red as green, phantoms, missed lights; at the operating scores.
        curves: Precision, recall and F1 over the score.
        errors: Kinds of errors, and what AP50 would gain without them.
        lrp: Localisation, recall and precision in one error.
        calibration: Whether scores mean what they say.
    """

    lights: LightScores
    curves: ScoreCurves
    errors: ErrorSplit
    lrp: LrpScores
    calibration: Calibration


def prepare(
    matched: Matched, operating_scores: Sequence[float], height_edges_px: Sequence[float] = LIGHT_EDGES_PX
) -> Prepared:
    """Look at all detections once.

    Args:
        matched: Records of all frames.
        operating_scores: Per class, in [0, 1].
        height_edges_px: Edges of the size bins; see `lights.traits.read_traits`.

    Raises:
        ValueError: There are not as many operating scores as classes, or the edges do not ascend.
    """
    overlaps, order = measure_overlaps(matched), order_by_score(matched)
    return Prepared(
        matched=matched,
        overlaps=overlaps,
        answers=read_answers(matched, overlaps, operating_scores),
        traits=read_traits(matched.ground_truth, height_edges_px),
        kinds=tell_kinds(matched, overlaps, order),
        kinds_at_work=tell_kinds(matched, overlaps, order, is_at_work(matched, operating_scores)),
    )


def analyse(
    prepared: Prepared,
    selection: Selection,
    replicates: Replicates,
    *,
    most_points: int = MOST_POINTS,
    floor_score: float = FLOOR_SCORE,
    n_bins: int = N_BINS,
) -> Analyses:
    """Analyse a selection.

    Args:
        prepared: Of all frames.
        selection: What the numbers speak of.
        replicates: Drawn from its frames.
        most_points: Of each curve.
        floor_score: From which calibration is measured.
        n_bins: Of calibration, between 0 and 1.
    """
    matched = prepared.matched
    outcomes = tell_outcomes(matched, prepared.overlaps, selection)
    return Analyses(
        lights=score_lights(prepared.answers, prepared.traits, selection, replicates),
        curves=draw_curves(matched, outcomes, most_points),
        errors=split_errors(matched, outcomes, selection, prepared.kinds, prepared.kinds_at_work, replicates),
        lrp=score_lrp(matched, prepared.overlaps, outcomes, replicates),
        calibration=measure_calibration(matched, outcomes, replicates, floor_score=floor_score, n_bins=n_bins),
    )
