"""What follows from scores, as the page shows it: curves, calibration, kinds of errors."""

from __future__ import annotations

import numpy as np

from tl_detection.evaluation.analyses import Analyses
from tl_detection.evaluation.calibration import ClassCalibration
from tl_detection.evaluation.error_split.split import ErrorSplit
from tl_detection.evaluation.localisation_recall_precision import ClassLrp
from tl_detection.evaluation.page.data import ClassCurves, Quantity, Steps, Value
from tl_detection.evaluation.score_curves import ClassCurve
from tl_detection.evaluation.scores import ClassScores, Scores
from tl_detection.evaluation.slice_analyses import SLICE_POINTS

_DIGITS = 4

DEEPER = (
    Quantity(
        key="olrp",
        label="oLRP",
        what="Localisation, recall and precision in one error, at the score where it is least; mean over the classes.",
        less_is_better=True,
    ),
    Quantity(
        key="d_ece",
        label="Calibration error",
        what="How far scores lie from the share that is right (D-ECE), over all detections.",
        less_is_better=True,
        counted="detections",
    ),
)


def deeper_values(analyses: Analyses, objects: int) -> dict[str, Value]:
    """The errors of a slice by quantity; `objects` are those of the slice."""
    return {
        "olrp": _lrp(analyses.lrp.mean, objects),
        "d_ece": _calibration_error(analyses.calibration.overall),
    }


def deeper_class_values(analyses: Analyses, scores: Scores) -> dict[str, dict[str, Value]]:
    """The errors of the classes of a slice, by class and quantity."""
    return {
        item.name: {
            "olrp": _lrp(lrp, item.objects),
            "d_ece": _calibration_error(calibration),
        }
        for item, lrp, calibration in zip(
            scores.classes, analyses.lrp.classes, analyses.calibration.classes, strict=True
        )
    }


def _lrp(item: ClassLrp, objects: int) -> Value:
    return Value(value=item.olrp, low=item.olrp_low, high=item.olrp_high, objects=objects, sequences=item.sequences)


def _calibration_error(item: ClassCalibration) -> Value:
    return Value(value=item.d_ece, low=item.low, high=item.high, objects=item.detections, sequences=item.sequences)


def curves_of(analyses: Analyses, scores: Scores) -> dict[str, ClassCurves]:
    """The curves of a slice by class."""
    return {
        item.name: _class_curves(item, curve, calibration)
        for item, curve, calibration in zip(
            scores.classes, analyses.curves.classes, analyses.calibration.classes, strict=True
        )
    }


def _class_curves(item: ClassScores, curve: ClassCurve, calibration: ClassCalibration) -> ClassCurves:
    points = list(zip(curve.score, curve.precision, curve.recall, curve.f1, strict=True))
    best = int(np.argmax(curve.f1)) if points else 0
    kept = np.unique([*np.linspace(0, len(points) - 1, SLICE_POINTS).round().astype(int), best]) if points else []
    has_point = item.precision is not None and item.recall is not None and item.f1 is not None
    return ClassCurves(
        objects=item.objects,
        over_score=tuple(_rounded(points[index]) for index in kept),
        operating=_rounded((item.operating_score, item.precision, item.recall, item.f1)) if has_point else (),
        calibration=tuple(
            (*_rounded((step.mean_score, step.right)), step.detections)
            for step in calibration.bins
            if step.mean_score is not None and step.right is not None
        ),
    )


def _rounded(values: tuple[float | None, ...]) -> tuple[float, ...]:
    return tuple(round(value, _DIGITS) for value in values if value is not None)


def error_steps(errors: ErrorSplit) -> tuple[Steps, ...]:
    """Kinds of errors of a slice: how many, and what AP50 would gain without them."""
    overall = errors.overall

    def values(of: str) -> tuple[tuple[str, Value], ...]:
        return tuple(
            (
                item.kind.replace("_", " "),
                Value(
                    value=float(item.count) if of == "count" else item.gain_ap50,
                    low=None if of == "count" else item.gain_low,
                    high=None if of == "count" else item.gain_high,
                    objects=overall.objects,
                    sequences=overall.sequences,
                    part=item.count,
                ),
            )
            for item in overall.errors
        )

    found = [Steps(title="Errors at the operating scores", scale="kind of error", steps=values("count"), is_count=True)]
    if overall.ap50 is not None:
        title = "What AP50 would gain without these errors"
        found.append(Steps(title=title, scale="kind of error", steps=values("gain")))
    return tuple(found)
