"""`SizeCurve`: scores over the size of the lights, and so over their distance.

A range of sizes is scored as COCO scores its area ranges: lights of other sizes are neither to be found nor wrong to be
found, and a detection that finds nothing counts in the range that its own box lies in. Every range is listed, the empty
ones without values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tl_datasets.network_size import InputSize
from tl_detection.evaluation.intervals import Interval, interval
from tl_detection.evaluation.lights.answers import MISSED, Answers
from tl_detection.evaluation.matching import Matched, match_objects
from tl_detection.evaluation.pairs import IntArray
from tl_detection.evaluation.rates import Rate, Share, measure_rates
from tl_detection.evaluation.replicates import Replicates, sequence_numbers
from tl_detection.evaluation.scores import score
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.size_bins import SizeBins, bins_of
from tl_detection.evaluation.slice_columns import columns_of_detections, columns_of_objects
from tl_detection.evaluation.slices import count_slice
from tl_detection.evaluation.stop_lights import is_stop_object


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeScores:
    """Scores of the lights in one range of sizes.

    Attributes:
        name: Such as "8-12", the upper end being outside; "48-" for the last.
        low: Where the range begins, in the unit of the curve's column.
        high: Where it ends; None = nowhere.
        objects: Its objects.
        frames: Frames that hold one.
        sequences: Sequences that hold one.
        too_small: Why nothing should be concluded from these scores; None = there is enough.
        recall: Share of the objects found, at the operating scores and IoU 0.5, as the class that they are.
        said: Share of the objects of which anything is said, be it the wrong class.
        red_as_green: Share of the objects that mean stop of which green is said; None where no class means stop or go.
        ap50: Mean over the classes that have objects in the range.
        ap50_interval: None of too few sequences.
    """

    name: str
    low: float
    high: float | None
    objects: int
    frames: int
    sequences: int
    too_small: str | None
    recall: Rate
    said: Rate
    red_as_green: Rate | None
    ap50: float | None
    ap50_interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeCurve:
    """Scores over one measure of size.

    Attributes:
        column: Such as `height_px` or `network_height_px`.
        input_size: Of the network, such as "1280x736", for sizes in its pixels; None = not known.
        bins: From the smallest lights to the largest.
    """

    column: str
    input_size: str | None
    bins: tuple[SizeScores, ...]


def measure_size_curve(
    answers: Answers,
    selection: Selection,
    replicates: Replicates,
    *,
    column: str = "height_px",
    edges: tuple[float, ...] | None = None,
    input_size: InputSize | None = None,
) -> SizeCurve:
    """Score the objects of a selection by their size.

    Args:
        answers: Records of all frames, and what is said at the operating scores.
        selection: What the curve speaks of.
        replicates: Drawn from its frames.
        column: One of `slice_columns.SIZE_COLUMNS`.
        edges: Where ranges begin, ascending, in the unit of the column; None = those of `size_bins`.
        input_size: Of the network; needed for sizes in its pixels.

    Raises:
        UsageError: The size of the network's input is needed and not known.
    """
    bins = bins_of(column) if edges is None else SizeBins(column=column, edges=edges)
    matched = answers.matched
    truth = matched.ground_truth
    of_objects = _numbers(columns_of_objects(truth, [column], input_size), bins)
    of_detections = _numbers(columns_of_detections(matched, [column], input_size), bins)
    sequence_number = sequence_numbers(truth)
    parts = []
    for number in range(len(bins)):
        part = Selection(
            frames=selection.frames,
            objects=selection.objects & (of_objects == number),
            detections=selection.detections & (of_detections == number),
        )
        parts.append(_score(answers, part, replicates, sequence_number, bins, number))
    return SizeCurve(column=column, input_size=None if input_size is None else str(input_size), bins=tuple(parts))


def _numbers(table: pl.DataFrame, bins: SizeBins) -> IntArray:
    return table.select(bins.number(bins.column).alias("bin"))["bin"].to_numpy().astype(np.int64)


def _score(
    answers: Answers, part: Selection, replicates: Replicates, sequence_number: IntArray, bins: SizeBins, number: int
) -> SizeScores:
    truth, protocol = answers.matched.ground_truth, answers.matched.protocol
    counts = count_slice(truth, part, least_objects=protocol.small_slice_objects, sequence_number=sequence_number)
    records = match_objects(answers.matched, part.objects, part.detections)
    low, high = bins.bounds(number)
    shares = [*_found(records, answers, part), *_red_as_green(answers, part)]
    recall, said, *red_as_green = measure_rates(replicates, shares)
    has_objects = counts.objects > 0
    return SizeScores(
        name=bins.name(number),
        low=low,
        high=high,
        objects=counts.objects,
        frames=counts.frames_with_objects,
        sequences=counts.sequences_with_objects,
        too_small=counts.too_small,
        recall=recall,
        said=said,
        red_as_green=red_as_green[0] if red_as_green else None,
        ap50=score(records, part.frames, answers.operating_scores).ap50 if has_objects else None,
        ap50_interval=interval(records, replicates, "ap50") if has_objects else None,
    )


def _found(records: Matched, answers: Answers, part: Selection) -> list[Share]:
    truth = records.ground_truth
    is_at_work = records.score >= np.asarray(answers.operating_scores)[records.class_id]
    found = records.object_index[is_at_work & (records.object_index >= 0)]
    found = found[part.objects[found]]
    whole = truth.frame_index[part.objects]
    is_said = part.objects & (answers.said != MISSED)
    return [
        Share(part=truth.frame_index[found], whole=whole, higher_is_better=True),
        Share(part=truth.frame_index[is_said], whole=whole, higher_is_better=True),
    ]


def _red_as_green(answers: Answers, part: Selection) -> list[Share]:
    truth = answers.matched.ground_truth
    if not any(truth.means_stop) or not any(truth.means_go):
        return []
    is_red = part.objects & is_stop_object(truth)
    says_green = (answers.said != MISSED) & np.array(truth.means_go)[answers.said]
    return [Share(part=truth.frame_index[is_red & says_green], whole=truth.frame_index[is_red])]
