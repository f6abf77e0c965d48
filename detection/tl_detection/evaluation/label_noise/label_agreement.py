"""`LabelAgreement`: what two annotations of the same frames have in common, overall and per condition.

A detector that is scored against one annotation cannot be expected to agree with it more than a second annotator does.
So its score is read beside that of the second annotation against the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_datasets.catalog import Catalog
from tl_datasets.label_space import LabelSpace
from tl_detection.evaluation.conditions import check_columns, slices_by
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.intervals import LEAST_SEQUENCES
from tl_detection.evaluation.label_noise.box_agreement import BoxAgreement, by_category, match_labels, measure_boxes
from tl_detection.evaluation.label_noise.paired_frames import FramesLeftOut, pair_frames
from tl_detection.evaluation.label_noise.state_agreement import BoxPairs, StateAgreement, measure_states, pair_boxes
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.pairs import BoolArray, IntArray
from tl_detection.evaluation.protocol import COCO, CocoProtocol
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.scores import score

ALL_FRAMES = "all frames"


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """One annotation as predictions, judged by the other.

    Attributes:
        boxes: By category alone: is there a box?
        classes: By class: is there a box of this state?
        ap: COCO's AP of such predictions, mean over the classes that have objects; None where none has.
        ap50: At IoU 0.5.
        ap75: At IoU 0.75.
    """

    boxes: tuple[BoxAgreement, ...]
    classes: tuple[BoxAgreement, ...]
    ap: float | None
    ap50: float | None
    ap75: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementScores:
    """Agreement in some frames.

    Attributes:
        name: Such as "weather=rainy".
        frames: Frames that both have labelled.
        sequences: Their sequences.
        first_objects: Objects of the first annotation.
        second_objects: Objects of the second.
        is_small: Fewer objects in one of them than the protocol asks for before one may conclude from the numbers, or
            frames of fewer than `LEAST_SEQUENCES` sequences.
        second_as_predictions: The second annotation judged by the first: what stands beside a detector's score.
        first_as_predictions: The first judged by the second.
        states: On the boxes that both have.
    """

    name: str
    frames: int
    sequences: int
    first_objects: int
    second_objects: int
    is_small: bool
    second_as_predictions: Direction
    first_as_predictions: Direction
    states: StateAgreement


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelAgreement:
    """Agreement of two annotations.

    Attributes:
        overall: In all frames that both have labelled.
        slices: Per condition.
        only_in_first: Frames that the second annotation does not have.
        only_in_second: Frames that the first annotation does not have.
        not_labelled: Frames that both have, but one of them has not labelled, or not for all classes.
        by_path: Frames that were found by their path, since their ids differ.
    """

    overall: AgreementScores
    slices: tuple[AgreementScores, ...]
    only_in_first: FramesLeftOut
    only_in_second: FramesLeftOut
    not_labelled: FramesLeftOut
    by_path: int


def label_agreement(
    first: Catalog,
    second: Catalog,
    label_space: LabelSpace,
    *,
    by: Sequence[str] = (),
    whole: Catalog | None = None,
    protocol: CocoProtocol = COCO,
    replicates: int = 1000,
    seed: int = 0,
) -> LabelAgreement:
    """Measure how far two annotations of the same frames agree.

    Args:
        first: The annotation that detectors are scored against; conditions and sequences are taken from it.
        second: Another annotation of the same frames, or of some.
        label_space: The classes.
        by: Columns of frames to slice by (see `conditions.slices_by`).
        whole: What the first was taken from; see `pair_frames`.
        protocol: The rules.
        replicates: Data sets drawn for the intervals.
        seed: Of the draw.

    Raises:
        UsageError: A column to slice by is unknown or of objects, of which two annotations may say two things.
        DataError: They have no labelled frame in common, or a frame of two sizes.
    """
    check_columns(by, of_frames=True)
    paired = pair_frames(first, second, label_space, whole=whole)
    own, theirs = paired.first, paired.second
    own_boxes, their_boxes = by_category(own, theirs)
    measured = _Measured(
        first=own,
        second=theirs,
        pairs=pair_boxes(own_boxes, their_boxes),
        boxes=(match_labels(their_boxes, own_boxes, protocol), match_labels(own_boxes, their_boxes, protocol)),
        classes=(match_labels(theirs, own, protocol), match_labels(own, theirs, protocol)),
        sequence_number=sequence_numbers(own),
        replicates=replicates,
        seed=seed,
    )
    return LabelAgreement(
        overall=measured.scores(ALL_FRAMES, np.ones(len(own), np.bool_)),
        slices=tuple(measured.scores(item.name, item.frame_mask) for item in slices_by(own, by)),
        only_in_first=paired.only_in_first,
        only_in_second=paired.only_in_second,
        not_labelled=paired.not_labelled,
        by_path=paired.by_path,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """What is found once; pairs of records are the second annotation as predictions, then the first."""

    first: GroundTruth
    second: GroundTruth
    pairs: BoxPairs
    boxes: tuple[Matched, Matched]
    classes: tuple[Matched, Matched]
    sequence_number: IntArray
    replicates: int
    seed: int

    def scores(self, name: str, frames: BoolArray) -> AgreementScores:
        drawn = draw_replicates(self.sequence_number, frames, replicates=self.replicates, seed=self.seed)
        directions = []
        for boxes, classes in zip(self.boxes, self.classes, strict=True):
            of_classes = score(classes, frames)
            directions.append(
                Direction(
                    boxes=measure_boxes(boxes, frames, drawn),
                    classes=measure_boxes(classes, frames, drawn),
                    ap=of_classes.ap,
                    ap50=of_classes.ap50,
                    ap75=of_classes.ap75,
                )
            )
        n_objects = [int((~truth.is_ignored & frames[truth.frame_index]).sum()) for truth in (self.first, self.second)]
        return AgreementScores(
            name=name,
            frames=int(frames.sum()),
            sequences=drawn.times.shape[1],
            first_objects=n_objects[0],
            second_objects=n_objects[1],
            is_small=min(n_objects) < self.boxes[0].protocol.small_slice_objects
            or drawn.times.shape[1] < LEAST_SEQUENCES,
            second_as_predictions=directions[0],
            first_as_predictions=directions[1],
            states=measure_states(self.first, self.second, self.pairs, frames, drawn),
        )
