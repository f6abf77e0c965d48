"""From operating points to the thresholds file that export and detect use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from tl_detection.evaluation.lights.answers import MISSED, read_answers
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.operating.choice import OperatingPoint
from tl_detection.evaluation.overlaps import Overlaps
from tl_detection.evaluation.rates import Rate, measure_rate
from tl_detection.evaluation.replicates import Replicates
from tl_detection.evaluation.selection import Selection
from tl_detection.thresholds import (
    THRESHOLDS_VERSION,
    ClassThreshold,
    RateAtScore,
    ThresholdsData,
    ThresholdsFile,
)


def thresholds_of_points(
    points: Sequence[OperatingPoint],
    matched: Matched,
    overlaps: Overlaps,
    selection: Selection,
    replicates: Replicates,
    *,
    catalog_fingerprint: str,
    label_space_fingerprint: str,
    model: Mapping[str, str],
) -> ThresholdsFile:
    """Say what was chosen, on what, and what it gives.

    Args:
        points: Per class, by id, chosen on the selection.
        matched: Records of all frames.
        overlaps: Of these records.
        selection: What they were chosen on.
        replicates: Drawn from its frames.
        catalog_fingerprint: Of the data.
        label_space_fingerprint: Of the classes.
        model: What made the detections, as it describes itself.
    """
    return ThresholdsFile(
        thresholds_version=THRESHOLDS_VERSION,
        classes={point.name: _threshold(point) for point in points},
        data=ThresholdsData(
            catalog_fingerprint=catalog_fingerprint,
            label_space_fingerprint=label_space_fingerprint,
            frames=int(selection.frames.sum()),
            sequences=replicates.times.shape[1],
        ),
        model={str(key): str(value) for key, value in model.items()},
        red_as_green=_red_as_green(points, matched, overlaps, selection, replicates),
    )


def _red_as_green(
    points: Sequence[OperatingPoint],
    matched: Matched,
    overlaps: Overlaps,
    selection: Selection,
    replicates: Replicates,
) -> RateAtScore | None:
    truth = matched.ground_truth
    stop, go = np.array(truth.means_stop), np.array(truth.means_go)
    scores = [point.score for point in points if point.score is not None]
    if len(scores) < len(points) or not (stop.any() and go.any()):
        return None
    said = read_answers(matched, overlaps, scores).said
    lamps = np.flatnonzero(selection.objects & stop[truth.class_id])
    green = lamps[(said[lamps] != MISSED) & go[said[lamps]]]
    return _rate(measure_rate(replicates, truth.frame_index[green], truth.frame_index[lamps]))


def _threshold(point: OperatingPoint) -> ClassThreshold:
    return ClassThreshold(
        score=point.score,
        score_interval=_pair(point.score_low, point.score_high),
        rule=point.rule,
        why_no_score=point.why,
        precision=_rate(point.precision),
        recall=_rate(point.recall),
        f1=point.f1,
        f1_interval=_pair(point.f1_low, point.f1_high),
    )


def _pair(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)


def _rate(rate: Rate | None) -> RateAtScore | None:
    return None if rate is None else RateAtScore(**asdict(rate))
