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

# A box that overlaps an object by less is not a badly placed one: what the error split calls background.
TOUCHING_IOU = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomRate:
    """Detections of one class that speak of no object and lie on no ignore area.

    Attributes:
        name: The class; "all" of all together.
        objects: Objects of the class in the selection; 0 = whatever is said of it is wrong.
        rate: Per 1,000 frames.
        apart: Of these per 1,000 frames, those that overlap no object of any class by IoU 0.1; the others are boxes
            that are badly placed about an object.
    """

    name: str
    objects: int
    rate: Rate
    apart: Rate


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
    matched, overlaps = answers.matched, answers.overlaps
    truth = matched.ground_truth
    n_classes = len(truth.names)
    phantoms = answers.phantoms[selection.detections[answers.phantoms]]
    frame, class_id = matched.frame_index[phantoms], matched.class_id[phantoms]
    is_apart = np.maximum(overlaps.own_iou[phantoms], overlaps.other_iou[phantoms]) < TOUCHING_IOU
    frames = np.flatnonzero(selection.frames)
    masks = [np.ones(len(phantoms), np.bool_), *(class_id == each for each in range(n_classes))]
    shares = [
        Share(part=frame[mask & also], whole=frames, per=1000)
        for mask in masks
        for also in (np.ones_like(mask), is_apart)
    ]
    rates = iter(measure_rates(replicates, shares))
    objects = np.bincount(truth.class_id[selection.objects], minlength=n_classes)
    counts = [int(objects.sum()), *(int(count) for count in objects)]
    overall, *by_class = [
        PhantomRate(name=name, objects=count, rate=next(rates), apart=next(rates))
        for name, count in zip(("all", *truth.names), counts, strict=True)
    ]
    return PhantomRates(overall=overall, by_class=tuple(by_class))
