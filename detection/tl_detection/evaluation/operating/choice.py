"""`OperatingPoint`s: the score of each class that its rule chooses, and how sure that is.

The interval of a score: the rule chooses anew in every replicate of the data (a bootstrap over sequences).
The intervals of precision, recall and F1 are those at the score that was chosen, as a vehicle keeps its score on other
drives. What a rule was chosen on flatters it: the limit that it meets exactly here is met in about half of other data
sets; the lower bound of the interval says by how much it may be missed.

A rule that no score meets gives no score, and says what could be reached. So does a limit on red as green where no lamp
means stop: none of none is no evidence. The rules of classes that mean go look at the
lamps that mean stop: which lamps turn green from which score down follows once all other classes have their scores, so
these are chosen first and then held; where one of them has no score, its detections count from 0 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.intervals import LEAST_SEQUENCES, bounds_of
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.operating.rules import Rule
from tl_detection.evaluation.operating.unreachable import say_why
from tl_detection.evaluation.outcomes import Outcomes, of_class, tell_outcomes
from tl_detection.evaluation.overlaps import Overlaps
from tl_detection.evaluation.pairs import FloatArray, IntArray
from tl_detection.evaluation.rates import Rate, Share, measure_rates
from tl_detection.evaluation.replicates import Replicates
from tl_detection.evaluation.score_curves import thresholds_of
from tl_detection.evaluation.selection import Selection

_AIMS = {"f1": 0, "recall": 1, "precision": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """The operating score of one class.

    Attributes:
        name: The class.
        rule: As it is written.
        objects: Objects to find.
        score: Detections at or above it count; None where the rule cannot be met.
        score_low: Lower bound of its interval; None without a score, and of too few sequences.
        score_high: Upper bound.
        met_in: Share of the replicates in which any score meets the rule; the interval is of these. None without one.
        precision: At the score; None without one.
        recall: At the score; None without one.
        f1: At the score; None without one.
        f1_low: Lower bound of its interval; None where there is none.
        f1_high: Upper bound.
        why: Why there is no score, and what could be reached; None where there is one.
    """

    name: str
    rule: str
    objects: int
    score: float | None
    score_low: float | None
    score_high: float | None
    met_in: float | None
    precision: Rate | None
    recall: Rate | None
    f1: float | None
    f1_low: float | None
    f1_high: float | None
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GreenLamps:
    """The lamps that mean stop, and from which score of a class that means go down they are said to be green.

    Attributes:
        frame: (S,) frame of each lamp that means stop.
        wrong_score: (W,) descending; of the lamps on which a detection that means go is the best-scored one.
        wrong_frame: (W,) their frames.
    """

    frame: IntArray
    wrong_score: FloatArray
    wrong_frame: IntArray


def choose_operating_points(
    matched: Matched, overlaps: Overlaps, selection: Selection, replicates: Replicates, rules: Sequence[Rule]
) -> tuple[OperatingPoint, ...]:
    """Choose the score of every class.

    Args:
        matched: Records of all frames.
        overlaps: Of these records.
        selection: What to choose on.
        replicates: Drawn from its frames.
        rules: Per class, of `rules.rules_of_classes`.
    """
    outcomes = tell_outcomes(matched, overlaps, selection)
    points: dict[int, OperatingPoint] = {}
    # Those that look at what the others say come last.
    for class_id in sorted(range(len(rules)), key=lambda index: rules[index].most_red_as_green is not None):
        lamps = None
        if rules[class_id].most_red_as_green is not None:
            scores = [points[index].score or 0.0 if index in points else 0.0 for index in range(len(rules))]
            lamps = find_green_lamps(matched, overlaps, selection, scores)
        points[class_id] = _choose_class(matched, outcomes, replicates, rules[class_id], class_id, lamps)
    return tuple(points[class_id] for class_id in range(len(rules)))


def find_green_lamps(
    matched: Matched, overlaps: Overlaps, selection: Selection, operating_scores: Sequence[float]
) -> GreenLamps:
    """Find the lamps that mean stop and are said to be green once a score is low enough.

    All classes that mean go are given one score here. Where theirs differ, no more lamps turn green than at the lowest
    of them.
    """
    truth = matched.ground_truth
    stop, go = np.array(truth.means_stop), np.array(truth.means_go)
    is_stop = selection.objects & stop[truth.class_id]
    says_go = go[matched.class_id]
    counts = says_go | (matched.score >= np.asarray(operating_scores, np.float64)[matched.class_id])
    at = np.flatnonzero((overlaps.lamp >= 0) & counts)
    at = at[is_stop[overlaps.lamp[at]]]
    # As `answers` has it: the best-scored speaks, of equal scores the first box, then the first class.
    at = at[np.lexsort((matched.class_id[at], *matched.xyxy[at].T[::-1], -matched.score[at], overlaps.lamp[at]))]
    speaker = at[np.unique(overlaps.lamp[at], return_index=True)[1]]
    wrong = speaker[says_go[speaker]]
    wrong = wrong[np.argsort(-matched.score[wrong], kind="stable")]
    return GreenLamps(
        frame=truth.frame_index[is_stop], wrong_score=matched.score[wrong], wrong_frame=matched.frame_index[wrong]
    )


def _choose_class(
    matched: Matched,
    outcomes: Outcomes,
    replicates: Replicates,
    rule: Rule,
    class_id: int,
    lamps: GreenLamps | None,
) -> OperatingPoint:
    truth = matched.ground_truth
    at = of_class(matched, outcomes.is_counted, class_id)
    frame, score, is_right = matched.frame_index[at], matched.score[at], outcomes.is_right[at]
    objects = truth.frame_index[outcomes.is_object & (truth.class_id == class_id)]
    nothing = np.zeros(0, np.int64)
    lamps = lamps or GreenLamps(frame=nothing, wrong_score=np.zeros(0), wrong_frame=nothing)

    def choose(times: IntArray) -> FloatArray:
        from tl_detection.evaluation.operating.choice_kernels import choose_scores

        n_objects, n_stop = (replicates.count(frames) @ times for frames in (objects, lamps.frame))
        return choose_scores(
            score,
            is_right,
            replicates.sequence[frame],
            times,
            n_objects.astype(np.float64),
            lamps.wrong_score,
            replicates.sequence[lamps.wrong_frame],
            n_stop.astype(np.float64),
            np.array(
                [
                    0.0 if rule.least_precision is None else rule.least_precision,
                    0.0 if rule.least_recall is None else rule.least_recall,
                    np.inf if rule.most_red_as_green is None else rule.most_red_as_green,
                ]
            ),
            _AIMS[rule.aim],
        )

    once = np.ones((replicates.times.shape[1], 1), np.int64)
    chosen = float(choose(once)[0])
    name, n_objects = truth.names[class_id], len(objects)
    if np.isnan(chosen):
        thresholds = thresholds_of(score, is_right, n_objects)
        return OperatingPoint(
            name=name,
            rule=str(rule),
            objects=n_objects,
            score=None,
            score_low=None,
            score_high=None,
            met_in=None,
            precision=None,
            recall=None,
            f1=None,
            f1_low=None,
            f1_high=None,
            why=say_why(rule, n_objects, thresholds, lamps.wrong_score, len(lamps.frame)),
        )
    low = high = met_in = None
    n_sequences = int(np.count_nonzero(replicates.count(objects)))
    if n_sequences >= LEAST_SEQUENCES:
        each = choose(np.ascontiguousarray(replicates.times.T, np.int64))
        known = each[~np.isnan(each)]
        met_in = len(known) / len(each)
        low, high = _bounds(known, n_sequences)
    above = score >= chosen
    precision, recall, f1 = measure_rates(
        replicates,
        [
            Share(part=frame[above & is_right], whole=frame[above], higher_is_better=True),
            Share(part=frame[above & is_right], whole=objects, higher_is_better=True),
            # F1 = 2 * right / (detections + objects): the share of both that have found each other.
            Share(
                part=np.repeat(frame[above & is_right], 2),
                whole=np.concatenate([frame[above], objects]),
                higher_is_better=True,
            ),
        ],
    )
    return OperatingPoint(
        name=name,
        rule=str(rule),
        objects=n_objects,
        score=chosen,
        score_low=low,
        score_high=high,
        met_in=met_in,
        precision=precision,
        recall=recall,
        f1=f1.value,
        f1_low=f1.low,
        f1_high=f1.high,
        why=None,
    )


def _bounds(values: FloatArray, n_sequences: int) -> tuple[float | None, float | None]:
    if not values.size:
        return None, None
    return bounds_of(values, n_sequences)
