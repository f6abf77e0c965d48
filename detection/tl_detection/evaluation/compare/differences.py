"""The difference of every measure between two detectors on the same frames: of all, per class and per slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np

from tl_detection.evaluation.compare.significance import Significance, holm, judge_difference
from tl_detection.evaluation.conditions import Slice
from tl_detection.evaluation.intervals import LEAST_SEQUENCES, ScoreName
from tl_detection.evaluation.lights.answers import read_answers
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.measures import Measure
from tl_detection.evaluation.overlaps import measure_overlaps
from tl_detection.evaluation.pairs import IntArray
from tl_detection.evaluation.readings import value_in
from tl_detection.evaluation.replicates import Replicates, draw_replicates, sequence_numbers
from tl_detection.evaluation.report_values import EVERYWHERE, objects_measured
from tl_detection.evaluation.scores import Scores, score
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.slice_intervals import ReplicateValues, values_in_replicates

# What touches no object and no ignore area, of every class, per 1,000 frames: `lights.phantoms` of a report.
PHANTOMS = "phantoms"
MEASURES: tuple[ScoreName | Literal["phantoms"], ...] = (
    *("ap", "ap50", "recall", "precision", "f1"),
    *("red_as_green", "phantoms_per_frame", PHANTOMS),
)
_PER_FRAMES = 1000


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
        measure: Such as "ap50" or "recall:red"; the words of `measures`, and "phantoms" per 1,000 frames.
        slice: Name of the slice, or `EVERYWHERE`.
        higher_is_better: False for counts of mistakes.
        first_value: None where there is none.
        second_value: None where there is none.
        difference: Second minus first; None where one of them has no value, or both are means over other classes.
        significance: How sure that is; None of too few sequences.
        p_holm: p corrected for all of its `family`, of all detectors.
        frames: Frames of the slice.
        objects: That the measure is taken on; of phantoms, which need none, all of the slice.
        sequences: That hold such objects.
        is_small: Fewer objects (of "phantoms", frames) than the protocol asks for before one may conclude, or of fewer
            than `LEAST_SEQUENCES` sequences.
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
    names: Sequence[str] = MEASURES,
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
    phantoms = [
        read_answers(each.matched, measure_overlaps(each.matched), each.operating_scores).phantoms for each in scored
    ]
    found: list[Difference] = []
    for item in (everywhere, *slices):
        drawn = draw_replicates(number, item.frame_mask, replicates=replicates, seed=seed)
        taken = [_take(each, which, item, drawn) for each, which in zip(scored, phantoms, strict=True)]
        found += _in_slice(scored, item, taken, names)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """A measure of one detector in a slice.

    Attributes:
        value: None where there is none.
        replicates: The same in every replicate.
        objects: See `Difference`.
        counted: What must be enough to conclude from: the objects, or of phantoms the frames.
        classes: That a mean is over; empty where that cannot differ between detectors.
    """

    value: float | None
    replicates: ReplicateValues
    objects: int
    counted: int
    classes: frozenset[str] = frozenset()


def _take(scored: Scored, phantoms: IntArray, item: Slice, drawn: Replicates) -> dict[str, _Taken]:
    """Every measure that has a value in any replicate, by its word."""
    matched = scored.matched
    selection, names = item.select(matched), matched.ground_truth.names
    point = score(item.records(matched), item.frame_mask, scored.operating_scores)
    found = {}
    for row in values_in_replicates(matched, selection, drawn, scored.operating_scores):
        name, _, class_name = row.word.partition(":")
        class_id = names.index(class_name) if class_name else None
        objects = objects_measured(point, cast(ScoreName, name), class_id)
        found[row.word] = _Taken(
            value=value_in(point, name, class_id),
            replicates=row,
            objects=objects,
            counted=objects,
            classes=_classes_of_mean(point, row.word),
        )
    return found | _take_phantoms(scored, phantoms, selection, drawn, point.objects)


def _take_phantoms(
    scored: Scored, phantoms: IntArray, selection: Selection, drawn: Replicates, objects: int
) -> dict[str, _Taken]:
    """Phantoms of all classes and of each, as `lights.phantoms.measure_phantoms` counts them."""
    matched = scored.matched
    n_frames = int(selection.frames.sum())
    if not n_frames:
        return {}
    which = phantoms[selection.detections[phantoms]]
    of_classes = [which, *(which[matched.class_id[which] == each] for each in range(len(matched.ground_truth.names)))]
    parts = [drawn.count(matched.frame_index[part]) for part in of_classes]
    *totals, frames = drawn.totals(np.stack([*parts, drawn.count(np.flatnonzero(selection.frames))], axis=1)).T
    words = [PHANTOMS, *(f"{PHANTOMS}:{name}" for name in matched.ground_truth.names)]
    return {
        word: _Taken(
            value=len(part) / n_frames * _PER_FRAMES,
            replicates=ReplicateValues(word=word, values=total / frames * _PER_FRAMES, sequences=drawn.times.shape[1]),
            objects=objects,
            counted=n_frames,
        )
        for word, part, total in zip(words, of_classes, totals, strict=True)
    }


def _in_slice(
    scored: Sequence[Scored], item: Slice, taken: Sequence[dict[str, _Taken]], names: Sequence[str]
) -> list[Difference]:
    """The differences of every measure; of classes only in all frames."""
    protocol, n_frames = scored[0].matched.protocol, int(item.frame_mask.sum())
    found = []
    for word, first in taken[0].items():
        name, _, class_name = word.partition(":")
        if name not in names or (class_name and not (item.name == EVERYWHERE and name != "phantoms_per_frame")):
            continue
        higher_is_better = name != PHANTOMS and Measure(name=cast(ScoreName, name)).higher_is_better
        for letter, other in zip([each.letter for each in scored[1:]], taken[1:], strict=True):
            second = other[word]
            difference = None
            if first.value is not None and second.value is not None and first.classes == second.classes:
                difference = second.value - first.value
            found.append(
                Difference(
                    first=scored[0].letter,
                    second=letter,
                    measure=word,
                    slice=item.name,
                    higher_is_better=higher_is_better,
                    first_value=first.value,
                    second_value=second.value,
                    difference=difference,
                    significance=None
                    if difference is None
                    else judge_difference(
                        difference,
                        second.replicates.values - first.replicates.values,
                        first.replicates.sequences,
                        higher_is_better=higher_is_better,
                    ),
                    p_holm=None,
                    frames=n_frames,
                    objects=first.objects,
                    sequences=first.replicates.sequences,
                    is_small=first.counted < protocol.small_slice_objects
                    or first.replicates.sequences < LEAST_SEQUENCES,
                )
            )
    return found


def _classes_of_mean(point: Scores, word: str) -> frozenset[str]:
    """A class of which nothing was reported has no precision: the means of two detectors may be over other classes."""
    return frozenset(item.name for item in point.classes if item.precision is not None and word == "precision")
