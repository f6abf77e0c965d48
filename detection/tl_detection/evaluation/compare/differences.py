"""The difference of every measure between two detectors on the same frames: of all, per class and per slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tl_detection.evaluation.compare.significance import Significance, holm, judge_difference
from tl_detection.evaluation.conditions import Slice
from tl_detection.evaluation.intervals import ScoreName
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.measures import Measure
from tl_detection.evaluation.readings import value_in
from tl_detection.evaluation.replicates import Replicates, draw_replicates, sequence_numbers
from tl_detection.evaluation.report_values import EVERYWHERE, objects_measured
from tl_detection.evaluation.scores import score
from tl_detection.evaluation.slice_intervals import values_in_replicates

MEASURES: tuple[ScoreName, ...] = (
    *("ap", "ap50", "recall", "precision", "f1"),
    *("red_as_green", "phantoms_per_frame"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A detector as it is compared.

    Attributes:
        letter: A for the first, B for the second.
        matched: Its records, of the same frames as those of the others.
        operating_scores: Its own, per class: each is judged as it would be used.
    """

    letter: str
    matched: Matched
    operating_scores: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A measure of two detectors on the same frames.

    Attributes:
        first: Letter of the detector that is compared with.
        second: Letter of the other one.
        measure: Such as "ap50" or "recall:red".
        slice: Name of the slice, or `EVERYWHERE`.
        higher_is_better: False for counts of mistakes.
        first_value: None where there is none.
        second_value: None where there is none.
        difference: Second minus first; None where one of them has no value.
        significance: How sure that is; None of too few sequences.
        p_holm: p corrected for all of its `family`, of all detectors.
        frames: Frames of the slice.
        objects: That the measure is taken on; of phantoms, which need none, all of the slice.
        sequences: That hold such objects.
        is_small: Fewer objects than the protocol asks for before one may conclude.
    """

    first: str
    second: str
    measure: str
    slice: str
    higher_is_better: bool
    first_value: float | None
    second_value: float | None
    difference: float | None
    significance: Significance | None
    p_holm: float | None
    frames: int
    objects: int
    sequences: int
    is_small: bool

    @property
    def family(self) -> Literal["all frames", "classes", "slices"]:
        """The table that it stands in, and that p is corrected for: what one asks first is not drowned by the rest."""
        if self.slice != EVERYWHERE:
            return "slices"
        return "classes" if ":" in self.measure else "all frames"


def measure_differences(
    scored: Sequence[Scored],
    slices: Sequence[Slice],
    *,
    names: Sequence[ScoreName] = MEASURES,
    replicates: int,
    seed: int,
) -> tuple[Difference, ...]:
    """Compare the first detector with each of the others.

    The replicates are the same for all of them, so that what is hard for every detector cancels out.

    Args:
        scored: At least two, of the same frames.
        slices: Beside all frames and the classes.
        names: Measures to take.
        replicates: Data sets drawn.
        seed: Of the draw.
    """
    truth = scored[0].matched.ground_truth
    number = sequence_numbers(truth)
    everywhere = Slice(name=EVERYWHERE, column="", value="", frame_mask=np.ones(len(truth), np.bool_))
    found: list[Difference] = []
    for item in (everywhere, *slices):
        drawn = draw_replicates(number, item.frame_mask, replicates=replicates, seed=seed)
        found += _in_slice(scored, item, drawn, names)
    found.sort(key=lambda difference: difference.second)
    families: dict[str, list[int]] = {}
    for index, item in enumerate(found):
        families.setdefault(item.family, []).append(index)
    for members in families.values():
        sure = [found[index].significance for index in members]
        corrected = holm([None if each is None else each.p for each in sure])
        for index, p in zip(members, corrected, strict=True):
            found[index] = replace(found[index], p_holm=p)
    return tuple(found)


def _in_slice(scored: Sequence[Scored], item: Slice, drawn: Replicates, names: Sequence[ScoreName]) -> list[Difference]:
    """Every measure that has a value in any replicate; of classes only in all frames."""
    first_matched = scored[0].matched
    values = [
        {
            row.word: row
            for row in values_in_replicates(each.matched, item.select(each.matched), drawn, each.operating_scores)
        }
        for each in scored
    ]
    points = [score(item.records(each.matched), item.frame_mask, each.operating_scores) for each in scored]
    found = []
    for word, row in values[0].items():
        measure = Measure.parse(word)
        if measure.name not in names or (measure.class_name is not None and not _is_shown_by_class(measure, item)):
            continue
        class_id = measure.class_id(first_matched.ground_truth.names)
        objects = objects_measured(points[0], measure.name, class_id)
        first = value_in(points[0], measure.name, class_id)
        for other in range(1, len(scored)):
            second = value_in(points[other], measure.name, class_id)
            difference = None if first is None or second is None else second - first
            found.append(
                Difference(
                    first=scored[0].letter,
                    second=scored[other].letter,
                    measure=word,
                    slice=item.name,
                    higher_is_better=measure.higher_is_better,
                    first_value=first,
                    second_value=second,
                    difference=difference,
                    significance=None
                    if difference is None
                    else judge_difference(
                        difference,
                        values[other][word].values - row.values,
                        row.sequences,
                        higher_is_better=measure.higher_is_better,
                    ),
                    p_holm=None,
                    frames=points[0].frames,
                    objects=objects,
                    sequences=row.sequences,
                    is_small=objects < first_matched.protocol.small_slice_objects,
                )
            )
    return found


def _is_shown_by_class(measure: Measure, item: Slice) -> bool:
    return item.name == EVERYWHERE and measure.name != "phantoms_per_frame"
