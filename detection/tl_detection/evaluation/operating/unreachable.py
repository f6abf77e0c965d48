"""Why no score meets a rule, in words, with what could be reached instead."""

from __future__ import annotations

import numpy as np

from tl_detection.evaluation.operating.rules import Rule
from tl_detection.evaluation.pairs import FloatArray
from tl_detection.evaluation.score_curves import Thresholds


def say_why(rule: Rule, n_objects: int, thresholds: Thresholds | None, wrong_score: FloatArray, n_stop: int) -> str:
    """One line.

    Args:
        rule: The rule that is not met.
        n_objects: Objects to find.
        thresholds: What each score gives; None without an object or a detection.
        wrong_score: (W,) from which score down each lamp is red as green, descending.
        n_stop: Lamps that mean stop.
    """
    if not n_objects:
        return "no object of the class in these frames; choose its score elsewhere"
    if rule.most_red_as_green is not None and not n_stop:
        return "no lamp that means stop in these frames, so none can be said to be green; choose its score elsewhere"
    finds = None if thresholds is None else thresholds.n_right > 0
    if thresholds is None or finds is None or not finds.any():
        return f"none of {n_objects} objects is found, at any score"
    score, precision, recall = (values[finds] for values in (thresholds.score, thresholds.precision, thresholds.recall))
    faults = []
    if rule.least_precision is not None and precision.max() < rule.least_precision:
        best = int(precision.argmax())
        faults.append(
            f"precision is at most {precision[best]:.3f}, at score {score[best]:.3f} (recall {recall[best]:.3f})"
        )
    if rule.least_recall is not None and recall.max() < rule.least_recall:
        best = int(recall.argmax())
        faults.append(
            f"recall is at most {recall[best]:.3f}, at score {score[best]:.3f} (precision {precision[best]:.3f})"
        )
    wrong = np.searchsorted(-wrong_score, -score, side="right")
    if rule.most_red_as_green is not None and wrong.min() > rule.most_red_as_green * n_stop + 1e-9:
        best = int(wrong.argmin())
        faults.append(
            f"red as green is at least {wrong[best]} of {n_stop}, at score {score[best]:.3f} "
            f"(recall {recall[best]:.3f})"
        )
    return "; ".join(faults) or "each limit can be met, but no score meets all of them"
