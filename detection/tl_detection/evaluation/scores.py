"""Scores of a set of frames, from records that were matched once.

Empty cases: a class without an object in these frames has no value (None, never 0), whatever was detected; a mean
over classes covers the classes that have objects, and is None where there are none. What was detected of an absent
class is invisible to average precision, so it is counted apart, as phantoms per frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tl_detection.evaluation.curves import operating_point
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.protocol import FALLBACK_OPERATING_SCORE, CocoProtocol
from tl_detection.evaluation.records import ClassRecords, records_by_class
from tl_detection.evaluation.stop_lights import RedAsGreen, count_red_as_green


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScores:
    """Scores of one class; everything but the counts and phantoms is None where the class has no object.

    Attributes:
        name: Class name.
        objects: Objects that can be found or missed.
        ignored: Ignore areas of this class alone.
        detections: Detections up to the protocol's maximum per frame and class.
        ap: Average precision over all IoU thresholds; `ap50` and `ap75` at one of them.
        ap_small: Of objects in the protocol's area range of that name; so are `ap_medium` and `ap_large`.
        ar100: Highest recall, mean over the IoU thresholds.
        operating_score: Detections with at least this score count in what follows, at IoU 0.5.
        counted: Detections that precision is measured on: from the operating score on, right or wrong.
        precision: None where nothing was detected, too.
        recall: Share of the objects that were found.
        f1: Harmonic mean of precision and recall.
        phantoms_per_frame: Detections of a class that has no object in these frames; None where it has one.
    """

    name: str
    objects: int
    ignored: int
    detections: int
    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar100: float | None
    operating_score: float
    counted: int
    precision: float | None
    recall: float | None
    f1: float | None
    phantoms_per_frame: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of a set of frames.

    Attributes:
        frames: Frames scored.
        objects: Objects that can be found or missed.
        ignored: Ignore areas.
        detections: Detections up to the protocol's maximum per frame and class.
        detections_beyond_limit: Detections left out because of that maximum.
        objects_small: Objects in the protocol's area range of that name, None where it has no such range; so are
            `objects_medium` and `objects_large`.
        ap: Mean over the classes that have objects; so are all the others.
        ar1: Highest recall with one detection per frame and class; `ar10` with ten, `ar100` with a hundred.
        classes_present: Number of classes that have objects: means over other class sets do not compare.
        phantoms_per_frame: Detections per frame of the classes that have no object here, at or above their operating
            scores; None where every class has objects.
        red_as_green: None where the label space has no green, or no class that means stop.
        classes: Per class, by id.
    """

    frames: int
    objects: int
    objects_small: int | None
    objects_medium: int | None
    objects_large: int | None
    ignored: int
    detections: int
    detections_beyond_limit: int
    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar1: float | None
    ar10: float | None
    ar100: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None
    classes_present: int
    phantoms_per_frame: float | None
    red_as_green: RedAsGreen | None
    classes: tuple[ClassScores, ...]

    @property
    def operating_scores(self) -> tuple[float, ...]:
        """The operating score of each class by id."""
        return tuple(item.operating_score for item in self.classes)


def score(
    matched: Matched,
    frame_mask: NDArray[np.bool_] | None = None,
    operating_scores: Sequence[float] | None = None,
) -> Scores:
    """Score a set of frames.

    Args:
        matched: Records of all frames.
        frame_mask: (F,) the frames to score; None = all.
        operating_scores: Per class, the score from which a detection counts for precision, recall, F1, phantoms and
            red-as-green. None = where F1 is best on these frames; a class without such a score takes the median of
            the others, or 0.5. A slice is given those of all frames, as a vehicle has one threshold for all weather.

    Raises:
        ValueError: The mask or the operating scores have another length than the frames or classes.
    """
    truth = matched.ground_truth
    n_classes = len(truth.names)
    mask = np.ones(len(truth), np.bool_) if frame_mask is None else np.asarray(frame_mask, np.bool_)
    if mask.shape != (len(truth),):
        raise ValueError(f"frame mask has shape {mask.shape}, expected ({len(truth)},)")
    if operating_scores is not None and len(operating_scores) != n_classes:
        raise ValueError(f"{len(operating_scores)} operating scores for {n_classes} classes")

    records = records_by_class(matched, mask)
    if operating_scores is None:
        operating_scores = _best_operating_scores(records)
    values = _Values.of(records, matched.protocol)
    n_frames = int(mask.sum())
    classes = tuple(
        _score_class(name, class_id, records[class_id], values, float(operating_scores[class_id]), n_frames)
        for class_id, name in enumerate(truth.names)
    )
    phantoms = [item.phantoms_per_frame for item in classes if item.phantoms_per_frame is not None]
    return Scores(
        frames=n_frames,
        objects=sum(item.objects for item in classes),
        objects_small=values.count("small"),
        objects_medium=values.count("medium"),
        objects_large=values.count("large"),
        ignored=int((mask[truth.frame_index] & truth.is_ignored).sum()),
        detections=sum(item.detections for item in classes),
        detections_beyond_limit=int(matched.beyond_limit[mask].sum()),
        ap=values.ap(),
        ap50=values.ap(iou=0.5),
        ap75=values.ap(iou=0.75),
        ap_small=values.ap("small"),
        ap_medium=values.ap("medium"),
        ap_large=values.ap("large"),
        ar1=values.ar(limit=1),
        ar10=values.ar(limit=10),
        ar100=values.ar(limit=100),
        ar_small=values.ar("small"),
        ar_medium=values.ar("medium"),
        ar_large=values.ar("large"),
        classes_present=sum(item.objects > 0 for item in classes),
        phantoms_per_frame=sum(phantoms) if phantoms else None,
        red_as_green=count_red_as_green(truth, matched.stop_pairs, mask, operating_scores, matched.is_object),
        classes=classes,
    )


def _score_class(
    name: str, class_id: int, records: ClassRecords, values: _Values, operating_score: float, n_frames: int
) -> ClassScores:
    n_objects = int(records.objects[0])
    n_right, n_counted = records.counts_from(operating_score)
    point = operating_point(n_right, n_counted, n_objects) if n_objects else None
    return ClassScores(
        name=name,
        objects=n_objects,
        ignored=records.ignored,
        detections=len(records.score),
        ap=values.ap(class_id=class_id),
        ap50=values.ap(class_id=class_id, iou=0.5),
        ap75=values.ap(class_id=class_id, iou=0.75),
        ap_small=values.ap("small", class_id=class_id),
        ap_medium=values.ap("medium", class_id=class_id),
        ap_large=values.ap("large", class_id=class_id),
        ar100=values.ar(limit=100, class_id=class_id),
        operating_score=operating_score,
        counted=n_counted,
        precision=point.precision if point else None,
        recall=point.recall if point else None,
        f1=point.f1 if point else None,
        phantoms_per_frame=n_counted / n_frames if n_frames and not n_objects else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Values:
    """What was measured per class, size and threshold, and its means; NaN where there is no object.

    Attributes:
        protocol: The rules.
        objects: (classes, areas) objects that can be found or missed.
        precision: (classes, areas, thresholds) average precision.
        recall: (classes, limits, areas, thresholds) highest recall.
    """

    protocol: CocoProtocol
    objects: NDArray[np.int64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    @staticmethod
    def of(records: Sequence[ClassRecords], protocol: CocoProtocol) -> _Values:
        values = [item.precision_and_recall() for item in records]
        return _Values(
            protocol=protocol,
            objects=np.stack([item.objects for item in records]),
            precision=np.stack([precision for precision, _ in values]),
            recall=np.stack([recall for _, recall in values]),
        )

    def count(self, area: str) -> int | None:
        at_area = self.protocol.area_index(area)
        return None if at_area is None else int(self.objects[:, at_area].sum())

    def ap(self, area: str = "all", iou: float | None = None, class_id: int | None = None) -> float | None:
        at_area = self.protocol.area_index(area)
        level = None if iou is None else self.protocol.threshold_index(iou)
        if at_area is None or (iou is not None and level is None):
            return None
        levels = slice(None) if level is None else slice(level, level + 1)
        return _mean(self.precision[_one_or_all(class_id), at_area, levels])

    def ar(self, area: str = "all", limit: int | None = None, class_id: int | None = None) -> float | None:
        limits = self.protocol.max_detections
        at_area, limit = self.protocol.area_index(area), limits[-1] if limit is None else limit
        if at_area is None or limit not in limits:
            return None
        return _mean(self.recall[_one_or_all(class_id), limits.index(limit), at_area])


def _one_or_all(class_id: int | None) -> slice:
    return slice(None) if class_id is None else slice(class_id, class_id + 1)


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def _best_operating_scores(records: Sequence[ClassRecords]) -> tuple[float, ...]:
    best = [item.best_operating_score() for item in records]
    known = [value for value in best if value is not None]
    fallback = float(np.median(known)) if known else FALLBACK_OPERATING_SCORE
    return tuple(fallback if value is None else value for value in best)
