"""`Comparison`: everything that is to be said about two or more evaluations of the same frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tl_datasets.network_size import InputSize
from tl_detection.evaluation.compare.changes import Changes, find_changes
from tl_detection.evaluation.compare.differences import Difference, measure_differences
from tl_detection.evaluation.compare.inputs import Compared
from tl_detection.evaluation.conditions import Slice, slices_by
from tl_detection.evaluation.intervals import LEAST_SEQUENCES, LEVEL
from tl_detection.evaluation.replicates import sequence_numbers
from tl_detection.evaluation.results import CatalogPart, IntervalMethod, SliceScores
from tl_detection.evaluation.same_protocol import scores_are_given
from tl_detection.evaluation.slices import EXPRESSION, check_slice_names, parse_slice, slice_by_expression

COMPARISON_VERSION = 1
REPLICATES = 1000
# In compare.json; the totals count all of them.
_FRAMES_LISTED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedModel:
    """An evaluation that was compared.

    Attributes:
        letter: A, B ... in the order given; A is what the others are compared with.
        path: Its folder.
        model: What made the detections.
        operating_scores: Per class, from which its detections count for precision, recall and the like.
        operating_from: How these came about.
        scores_are_given: They were not chosen on these frames.
        software: Versions of what scored it.
    """

    letter: str
    path: str
    model: Mapping[str, str]
    operating_scores: Mapping[str, float]
    operating_from: str
    scores_are_given: bool
    software: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Differences of two or more evaluations.

    Attributes:
        models: What was compared.
        differences: Of every measure: all frames first, then classes, then slices.
        changes: Of each model but the first: what it finds and the first does not, and the other way round.
        method: How the replicates were drawn.
        by: What the frames were sliced by.
        expressions: Further slices.
        protocol: The rules.
        class_names: Class names by id.
        label_space_fingerprint: Of the label space.
        catalog: Where the frames are, as the first report names them.
        catalog_fingerprint: Of the frames compared on.
        frames: Frames compared on.
        objects: Objects in them.
        sequences: Sequences of them.
        warnings: In what the evaluations were not scored alike.
    """

    models: tuple[ComparedModel, ...]
    differences: tuple[Difference, ...]
    changes: tuple[Changes, ...]
    method: IntervalMethod
    by: tuple[str, ...]
    expressions: tuple[str, ...]
    protocol: Mapping[str, Any]
    class_names: tuple[str, ...]
    label_space_fingerprint: str
    catalog: CatalogPart | None
    catalog_fingerprint: str
    frames: int
    objects: int
    sequences: int
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; no value is None."""
        values = {"comparison_version": COMPARISON_VERSION, **asdict(self)}
        for change in values["changes"]:
            for name in ("worse", "better"):
                change[name] = change[name][:_FRAMES_LISTED]
        return values


def compare(
    compared: Compared,
    *,
    by: Sequence[str] | None = None,
    expressions: Sequence[str] | None = None,
    input_size: InputSize | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Comparison:
    """Compare evaluations of the same frames.

    Args:
        compared: From `open_compared`.
        by: Columns to slice by (see `conditions.slices_by`); None = as the first report.
        expressions: Further slices (see `slices.slice_by_expression`); None = as the first report, if `by` is, too.
        input_size: Of the network, for slices by size in its pixels; None = as in the first report, or as its
            detector says.
        replicates: Of the paired bootstrap over sequences.
        seed: Of the draw.

    Raises:
        UsageError: A column to slice by is unknown, or an expression cannot be read.
    """
    first, truth = compared.folders[0].report, compared.truth
    if expressions is None:
        of_first = [_expression_of(item) for item in first.slices if item.column == EXPRESSION]
        expressions = of_first if by is None else []
    by = first.by if by is None else tuple(by)
    slices = _slices(compared, by, expressions, input_size)
    differences = measure_differences(compared.scored, slices, replicates=replicates, seed=seed)
    return Comparison(
        models=tuple(
            ComparedModel(
                letter=scored.letter,
                path=str(folder.path),
                model=folder.report.model,
                operating_scores=dict(zip(truth.names, scored.operating_scores, strict=True)),
                operating_from=folder.report.operating_from,
                scores_are_given=scores_are_given(folder.report),
                software=folder.report.software,
            )
            for folder, scored in zip(compared.folders, compared.scored, strict=True)
        ),
        differences=differences,
        changes=tuple(find_changes(compared.scored[0], other) for other in compared.scored[1:]),
        method=IntervalMethod(replicates=replicates, seed=seed, level=LEVEL, least_sequences=LEAST_SEQUENCES),
        by=by,
        expressions=tuple(expressions),
        protocol=first.protocol.to_dict(),
        class_names=truth.names,
        label_space_fingerprint=first.label_space_fingerprint,
        catalog=first.catalog,
        catalog_fingerprint=compared.catalog.fingerprint,
        frames=len(truth),
        objects=int((~truth.is_ignored).sum()),
        sequences=len(np.unique(sequence_numbers(truth))),
        warnings=compared.warnings,
    )


def _expression_of(item: SliceScores) -> str:
    """The text that gives a slice by an expression again; one without a name is called what it says."""
    return item.value if parse_slice(item.value)[0] == item.name else f"{item.name}: {item.value}"


def _slices(
    compared: Compared, by: Sequence[str], expressions: Sequence[str], input_size: InputSize | None
) -> list[Slice]:
    """Slices by column, then by expression."""
    first = compared.folders[0].report
    said = first.input_size or first.model.get("input")
    if input_size is None and said is not None:
        input_size = InputSize.parse(said)
    slices = slices_by(compared.truth, by, input_size=input_size)
    slices += [slice_by_expression(compared.truth, text, input_size=input_size) for text in expressions]
    check_slice_names(slices)
    return slices
