"""Accepted or refused: a smaller file against the float file, on the same frames, slice by slice.

The rule. AP50 of all frames, and of every slice with enough lights to conclude from, may not lie more than a limit
below that of the float file; nor may AP of all frames, which asks for exact boxes, where small lights suffer first. No
more lights that mean stop may be called green. These are the values on the judged frames; `surely` asks more: the whole
95 % interval must lie within the limit. A slice has too few lights where one light more or less could decide (a light
of a class of n moves the mean over C classes by up to 1 / nC), and where a report marks it as small: it is refused only
where even the best end of its interval lies beyond the limit, else named. Without that, a limit of 0.02 refused a
slice of 40 lights of a good file for one yellow light.

Both files count from the same operating scores: those that the float file carries, or else its best on these frames.
The smaller file takes over the float file's in the vehicle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tl_detection.evaluation.compare.differences import Difference, Scored, measure_differences
from tl_detection.evaluation.report import Evaluation
from tl_detection.evaluation.report_values import EVERYWHERE
from tl_detection.evaluation.scores import Scores

# 2.6 times the 0.008 by which AP50 of one network moved between sensible ways to quantise it, and a third of the 0.06
# that a quantised head cost on small lights.
MAX_DROP = 0.02
# See `sensitivity`.
MAX_DISAGREEMENT = 0.05
_JUDGED = ("ap", "ap50", "red_as_green")

Verdict = Literal["accepted", "refused", "too few"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much worse a smaller file may be.

    Attributes:
        max_drop: Of AP50 and AP.
        max_red_as_green_rise: Of the share of the lights that mean stop and are called green.
        surely: Whether the whole interval must hold to that.
        max_disagreement: With the float file, on the frames on which it is decided which blocks stay in float.
    """

    max_drop: float = MAX_DROP
    max_red_as_green_rise: float = 0.0
    surely: bool = False
    max_disagreement: float = MAX_DISAGREEMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A difference and what is said of it.

    Attributes:
        difference: Of the smaller file from the float file.
        verdict: Whether it may be so.
        limit: How much worse it may have become.
        one_light: How much one light of the rarest class can move it.
    """

    difference: Difference
    verdict: Verdict
    limit: float
    one_light: float

    @property
    def worse_by(self) -> float | None:
        """How much worse the smaller file is; negative where it is better."""
        return _worse_by(self.difference, self.difference.difference)


def compare_evaluations(
    float_file: Evaluation, smaller: Evaluation, *, replicates: int, seed: int
) -> tuple[Difference, ...]:
    """The differences of two evaluations of the same frames, slices and operating scores."""
    scored = [
        Scored(letter=letter, matched=each.matched, operating_scores=float_file.report.overall.operating_scores)
        for letter, each in (("A", float_file), ("B", smaller))
    ]
    found = measure_differences(scored, float_file.slices, names=_JUDGED, replicates=replicates, seed=seed)
    return tuple(item for item in found if item.first_value is not None and ":" not in item.measure)


def judge(float_file: Evaluation, differences: Sequence[Difference], limits: Limits) -> tuple[Judged, ...]:
    """Judge what the rule speaks of: AP50 everywhere, AP and red as green of all frames.

    Args:
        float_file: The evaluation that the others are compared with.
        differences: From it, see `compare_evaluations`.
        limits: To judge by.
    """
    report = float_file.report
    scores = {EVERYWHERE: report.overall, **{item.name: item.scores for item in report.slices}}
    judged = []
    for item in differences:
        if item.measure != "ap50" and item.slice != EVERYWHERE:
            continue
        of_stop = item.measure == "red_as_green"
        limit = limits.max_red_as_green_rise if of_stop else limits.max_drop
        one_light = 1 / max(item.objects, 1) if of_stop else _one_light(scores[item.slice])
        # All frames are judged whatever there is: nothing else could stand for them.
        has_few = item.slice != EVERYWHERE and (item.is_small or one_light > limit)
        verdict = _verdict(item, limit, has_few=has_few, surely=limits.surely)
        judged.append(Judged(difference=item, verdict=verdict, limit=limit, one_light=one_light))
    return tuple(judged)


def _one_light(scores: Scores) -> float:
    counts = [item.objects for item in scores.classes if item.objects]
    return 1 / (min(counts) * len(counts)) if counts else 1.0


def worst_excess(judged: Sequence[Judged]) -> tuple[float, str]:
    """How far the worst of what has enough lights lies beyond its limit (0 or less = within), and what it is."""
    found = [
        (item.worse_by - item.limit, f"{item.difference.measure} of {item.difference.slice}")
        for item in judged
        if item.worse_by is not None and item.verdict != "too few"
    ]
    return max(found, default=(0.0, EVERYWHERE))


def _verdict(item: Difference, limit: float, *, has_few: bool, surely: bool) -> Verdict:
    point = _worse_by(item, item.difference)
    if point is None:
        return "too few"
    # Without an interval nothing is sure; where all replicates show the same difference, it is its own interval.
    bounds = [point]
    if item.significance is not None and item.significance.low is not None and item.significance.high is not None:
        bounds = sorted(
            value if not item.higher_is_better else -value for value in (item.significance.low, item.significance.high)
        )
    if has_few:
        is_sure = item.significance is not None and min(bounds) > limit
        return "refused" if is_sure else "too few"
    if not surely:
        is_held = point <= limit
    elif item.significance is None:
        is_held = point <= 0
    else:
        is_held = max(bounds) <= limit
    return "accepted" if is_held else "refused"


def _worse_by(item: Difference, value: float | None) -> float | None:
    if value is None:
        return None
    return -value if item.higher_is_better else value
