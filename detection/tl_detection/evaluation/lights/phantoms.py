"""`PhantomRates`: lights that are reported where there is none, per 1,000 frames.

Average precision does not see what is said of a class that a slice has no object of; here it is counted as any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.lights.answers import Answers
from tl_detection.evaluation.rates import Rate, Share, measure_rates
from tl_detection.evaluation.replicates import Replicates
from tl_detection.evaluation.selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomRate:
    """Detections of one class that speak of no object and lie on no ignore area; see `answers`.

    Attributes:
        name: The class; "all" of all together.
        objects: Objects of the class in the selection; 0 = whatever is said of it is wrong.
        rate: Those that touch no object, per 1,000 frames.
        misplaced: Those that touch one and are not on it, per 1,000 frames.
    """

    name: str
    objects: int
    rate: Rate
    misplaced: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomRates:
    """Phantoms of all classes.

    Attributes:
        overall: Of all classes together.
        by_class: Per class, by id.
    """

    overall: PhantomRate
    by_class: tuple[PhantomRate, ...]


def measure_phantoms(answers: Answers, selection: Selection, replicates: Replicates) -> PhantomRates:
    """Measure phantoms in the frames of a selection, of those detections that it lets count as wrong.

    Args:
        answers: At the operating scores.
        selection: What the rates speak of.
        replicates: Drawn from its frames.
    """
    matched = answers.matched
    truth = matched.ground_truth
    n_classes = len(truth.names)
    frames = np.flatnonzero(selection.frames)
    counted = [which[selection.detections[which]] for which in (answers.phantoms, answers.misplaced)]
    shares = [
        Share(part=matched.frame_index[part], whole=frames, per=1000)
        for class_id in (None, *range(n_classes))
        for which in counted
        for part in [which if class_id is None else which[matched.class_id[which] == class_id]]
    ]
    rates = iter(measure_rates(replicates, shares))
    objects = np.bincount(truth.class_id[selection.objects], minlength=n_classes)
    counts = [int(objects.sum()), *(int(count) for count in objects)]
    overall, *by_class = [
        PhantomRate(name=name, objects=count, rate=next(rates), misplaced=next(rates))
        for name, count in zip(("all", *truth.names), counts, strict=True)
    ]
    return PhantomRates(overall=overall, by_class=tuple(by_class))
