"""What a `Measure` is in an evaluation, and whether it can ever be anything on the frames to score."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tl_datasets.catalog import Catalog
from tl_datasets.errors import UsageError
from tl_datasets.label_space import LabelSpace
from tl_detection.evaluation.conditions import NOT_ANNOTATED, Slice, slices_by
from tl_detection.evaluation.ground_truth import GroundTruth, ground_truth_from_catalog
from tl_detection.evaluation.intervals import LEAST_SEQUENCES, interval, measured_objects
from tl_detection.evaluation.measures import Measure, no_such
from tl_detection.evaluation.pairs import IntArray
from tl_detection.evaluation.protocol import COCO, CocoProtocol
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.scores import Scores, score

if TYPE_CHECKING:
    from tl_detection.evaluation.report import Evaluation

logger = logging.getLogger(__name__)

_EVERYWHERE = "all frames"
_WORST_NEEDS_OBJECTS = 20
_REPLICATES = 200
_REASONS_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a measure is in an evaluation.

    Attributes:
        value: None where nothing can be said.
        where: Name of the slice that it was read in: of `worst`, the worst one; None without a value.
    """

    value: float | None
    where: str | None


def read_measure(
    measure: Measure,
    evaluation: Evaluation,
    *,
    worst_needs_objects: int = _WORST_NEEDS_OBJECTS,
    replicates: int = _REPLICATES,
) -> Reading:
    """Read a measure off an evaluation. The same records give the same value, to the last bit.

    Args:
        measure: What to read.
        evaluation: What scoring gave.
        worst_needs_objects: Objects that a slice must have to be the worst.
        replicates: Of which the bounds are percentiles.

    Raises:
        UsageError: The class is not among those that were scored.
    """
    matched = evaluation.matched
    truth = matched.ground_truth
    scope = _Scope.of(measure, truth, matched.protocol, worst_needs_objects)
    operating_scores = evaluation.report.overall.operating_scores
    readings: list[tuple[float, str]] = []
    for item in scope.slices:
        if scope.why_silent(item) is not None:
            continue
        if measure.bound is None:
            value = value_in(_scores_of(evaluation, item), measure.name, scope.class_id)
        else:
            drawn = draw_replicates(scope.sequence_number, item.frame_mask, replicates=replicates)
            found = interval(matched, drawn, measure.name, class_id=scope.class_id, operating_scores=operating_scores)
            value = None if found is None else found.low if measure.bound == "lower" else found.high
        if value is not None:
            readings.append((value, item.name))
    if not readings:
        return Reading(value=None, where=None)
    worst = min if measure.higher_is_better else max
    value, where = worst(readings, key=lambda reading: reading[0])
    return Reading(value=value, where=where)


def check_measure(
    measure: Measure,
    catalog: Catalog,
    label_space: LabelSpace,
    *,
    worst_needs_objects: int = _WORST_NEEDS_OBJECTS,
    protocol: CocoProtocol = COCO,
) -> tuple[str, ...]:
    """Make sure that a measure can have a value on the frames to score, before anything is trained.

    Args:
        measure: What is to be read after every validation.
        catalog: The frames to score.
        label_space: The classes to score.
        worst_needs_objects: As for `read_measure`.
        protocol: The rules of the evaluation.

    Returns:
        Names of the slices that it is read in.

    Raises:
        UsageError: A class or the value of a column does not occur, or nothing can be said of the frames that are left.
        DataError: The label space does not fit the catalog.
    """
    truth = ground_truth_from_catalog(catalog, label_space)
    scope = _Scope.of(measure, truth, protocol, worst_needs_objects)
    for column, value in measure.where:
        present = [item.value for item in slices_by(truth, [column])]
        if value not in present:
            raise no_such(str(measure), f"frame to score with {column}", value, present)
    for column in (part for cross in measure.worst_over for part in cross.split("*")):
        if all(value is None for value in truth.conditions[column]):
            raise UsageError(f"measure {measure}: no frame to score says its {column}; leave it out of worst(...)")
    why = {item.name: scope.why_silent(item) for item in scope.slices}
    silent = {name: reason for name, reason in why.items() if reason is not None}
    if len(silent) == len(why):
        raise UsageError(
            f"measure {measure}: the frames to score give it no value ({_listed(silent)}); choose another measure"
        )
    if silent:
        logger.info("%s leaves out %s", measure, _listed(silent))
    if not measure.higher_is_better:
        logger.warning("%s is at its best for a detector that finds nothing; f1 and ap50 are not", measure)
    return tuple(name for name, reason in why.items() if reason is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """What a measure is measured on, whatever is detected."""

    measure: Measure
    truth: GroundTruth
    protocol: CocoProtocol
    worst_needs_objects: int
    class_id: int | None
    sequence_number: IntArray
    slices: list[Slice]

    @staticmethod
    def of(measure: Measure, truth: GroundTruth, protocol: CocoProtocol, worst_needs_objects: int) -> _Scope:
        return _Scope(
            measure=measure,
            truth=truth,
            protocol=protocol,
            worst_needs_objects=worst_needs_objects,
            class_id=measure.class_id(truth.names),
            sequence_number=sequence_numbers(truth),
            slices=_slices(measure, truth),
        )

    def why_silent(self, item: Slice) -> str | None:
        """Why nothing can be said in a slice; None where something can."""
        if not item.frame_mask.any():
            return "no frame"
        if self.measure.name == "phantoms_per_frame":
            return self._why_no_phantoms(item)
        if self.measure.name == "red_as_green" and not (any(self.truth.means_stop) and any(self.truth.means_go)):
            return "it needs a class of red and red_yellow alone, and one of green alone"
        in_slice = item.frame_mask[self.truth.frame_index]
        is_measured = measured_objects(self.truth, self.protocol, self.measure.name, self.class_id) & in_slice
        n_objects = int(is_measured.sum())
        if not n_objects:
            return "no object that it is measured on"
        return self._why_too_few(n_objects, self.truth.frame_index[is_measured])

    def _why_no_phantoms(self, item: Slice) -> str | None:
        is_object = ~self.truth.is_ignored & item.frame_mask[self.truth.frame_index]
        classes = range(len(self.truth.names)) if self.class_id is None else [self.class_id]
        if np.isin(classes, self.truth.class_id[is_object]).all():
            return "phantoms are detections of a class without any object"
        return self._why_too_few(int(is_object.sum()), np.flatnonzero(item.frame_mask))

    def _why_too_few(self, n_objects: int, frame_index: IntArray) -> str | None:
        if self.measure.worst_over and n_objects < self.worst_needs_objects:
            return f"{n_objects} objects, worst_needs_objects is {self.worst_needs_objects}"
        n_sequences = len(np.unique(self.sequence_number[frame_index]))
        if self.measure.bound is not None and n_sequences < LEAST_SEQUENCES:
            return f"sequences with an object: {n_sequences}, an interval needs {LEAST_SEQUENCES}"
        return None


def _listed(reasons: Mapping[str, str]) -> str:
    shown = [f"{name}: {reason}" for name, reason in list(reasons.items())[:_REASONS_SHOWN]]
    return "; ".join([*shown, *([f"and {len(reasons) - len(shown)} more"] if len(reasons) > len(shown) else [])])


def _slices(measure: Measure, truth: GroundTruth) -> list[Slice]:
    if measure.worst_over:
        return slices_by(truth, measure.worst_over)
    mask = np.ones(len(truth), np.bool_)
    for column, value in measure.where:
        wanted = None if value == NOT_ANNOTATED else value
        mask &= np.array([found == wanted for found in truth.conditions[column]], np.bool_)
    return [
        Slice(
            name=", ".join(f"{column}={value}" for column, value in measure.where) or _EVERYWHERE,
            column="*".join(column for column, _ in measure.where),
            value="*".join(value for _, value in measure.where),
            frame_mask=mask,
        )
    ]


def _scores_of(evaluation: Evaluation, item: Slice) -> Scores:
    if item.name == _EVERYWHERE:
        return evaluation.report.overall
    known = {each.name: each.scores for each in evaluation.report.slices}
    if item.name in known:
        return known[item.name]
    return score(evaluation.matched, item.frame_mask, evaluation.report.overall.operating_scores)


def value_in(scores: Scores, name: str, class_id: int | None) -> float | None:
    """A score of a set of frames: of a class, or of all (None); None where there is none."""
    if name == "red_as_green":
        counts = scores.red_as_green
        return counts.as_green / counts.objects if counts is not None and counts.objects else None
    if class_id is not None:
        return getattr(scores.classes[class_id], name)
    if name in ("precision", "recall", "f1"):
        known = [value for item in scores.classes if (value := getattr(item, name)) is not None]
        return float(np.mean(known)) if known else None
    return getattr(scores, name)
