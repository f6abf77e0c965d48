"""`LightScores`: what was said of the lights of a selection. It puts the parts together and takes all their intervals.

Every rate stands beside its counts and its interval over sequences. Without anything to count among, a rate has no
value; a label space without states has no state confusion, and still phantoms and missed lights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.lights.answers import Answers
from tl_detection.evaluation.lights.confusion import Confusion, Labels, class_labels, measure_confusion, state_labels
from tl_detection.evaluation.lights.missed import Missed, measure_missed
from tl_detection.evaluation.lights.mistakes import StateMistake, measure_mistake
from tl_detection.evaluation.lights.phantoms import PhantomRates, measure_phantoms
from tl_detection.evaluation.lights.traits import Traits
from tl_detection.evaluation.pairs import BoolArray
from tl_detection.evaluation.replicates import Replicates
from tl_detection.evaluation.selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class LightScores:
    """What was said of the lights of a selection, at the operating scores.

    Attributes:
        frames: Frames of the selection.
        objects: Objects of the selection.
        red_as_green: Objects whose class means stop (red, red_yellow) of which green is said; None where the label
            space has no green, or no class that means stop.
        green_as_red: Objects of green classes of which a class that means stop is said; None where the other is.
        states: Confusion between what the classes show; None where no class names a state.
        classes: Confusion between classes; None where it would repeat `states`, or there is one class.
        phantoms: Detections where there is nothing.
        missed: Objects of which nothing is said.
    """

    frames: int
    objects: int
    red_as_green: StateMistake | None
    green_as_red: StateMistake | None
    states: Confusion | None
    classes: Confusion | None
    phantoms: PhantomRates
    missed: Missed


def score_lights(answers: Answers, traits: Traits, selection: Selection, replicates: Replicates) -> LightScores:
    """Score what was said of the lights of a selection.

    Args:
        answers: At the operating scores, of all frames.
        traits: Of the same ground truth.
        selection: What the numbers speak of.
        replicates: Drawn from the frames of the selection.
    """
    truth = answers.matched.ground_truth
    stop, go = np.array(truth.means_stop), np.array(truth.means_go)
    has_both = bool(stop.any() and go.any())

    def mistake(true_classes: BoolArray, said_classes: BoolArray) -> StateMistake | None:
        if not has_both:
            return None
        return measure_mistake(
            answers, traits, selection, replicates, true_classes=true_classes, said_classes=said_classes
        )

    def confusion(labels: Labels | None) -> Confusion | None:
        return None if labels is None else measure_confusion(answers, selection, replicates, labels)

    return LightScores(
        frames=int(selection.frames.sum()),
        objects=int(selection.objects.sum()),
        red_as_green=mistake(stop, go),
        green_as_red=mistake(go, stop),
        states=confusion(state_labels(truth)),
        classes=confusion(class_labels(truth)),
        phantoms=measure_phantoms(answers, selection, replicates),
        missed=measure_missed(answers, traits, selection, replicates),
    )
