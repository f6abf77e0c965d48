"""`Missed`: objects of which nothing is said, by what is known of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.lights.answers import MISSED, Answers
from tl_detection.evaluation.lights.traits import Traits
from tl_detection.evaluation.rates import NamedRate, Rate, Share, measure_rates
from tl_detection.evaluation.replicates import Replicates
from tl_detection.evaluation.selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """Shares of the objects of which no detection at its operating score speaks, whatever its class.

    Attributes:
        rate: Of all objects.
        by_class: Per class, by id.
        by_state: Per state of the label, also where the label space does not tell states apart.
        by_size: Per height.
        by_relevance: Whether it governs the lane of the camera vehicle.
        by_occlusion: "visible" or "occluded".
    """

    rate: Rate
    by_class: tuple[NamedRate, ...]
    by_state: tuple[NamedRate, ...]
    by_size: tuple[NamedRate, ...]
    by_relevance: tuple[NamedRate, ...]
    by_occlusion: tuple[NamedRate, ...]


def measure_missed(answers: Answers, traits: Traits, selection: Selection, replicates: Replicates) -> Missed:
    """Measure which objects of a selection are missed.

    Args:
        answers: At the operating scores.
        traits: Of the same ground truth.
        selection: What the rates speak of.
        replicates: Drawn from its frames.
    """
    truth = answers.matched.ground_truth
    objects = np.flatnonzero(selection.objects)
    frame, class_id = truth.frame_index[objects], truth.class_id[objects]
    is_missed = answers.said[objects] == MISSED
    groups = [
        [("all", np.ones(len(objects), np.bool_))],
        [(name, class_id == index) for index, name in enumerate(truth.names)],
        *(trait.masks(objects) for trait in (traits.state, traits.size, traits.relevance, traits.occlusion)),
    ]
    shares = [Share(part=frame[mask & is_missed], whole=frame[mask]) for group in groups for _, mask in group]
    rates = iter(measure_rates(replicates, shares))
    whole, of_class, state, size, relevance, occlusion = (
        tuple(NamedRate(name=name, rate=next(rates)) for name, _ in group) for group in groups
    )
    return Missed(
        rate=whole[0].rate,
        by_class=of_class,
        by_state=state,
        by_size=size,
        by_relevance=relevance,
        by_occlusion=occlusion,
    )
