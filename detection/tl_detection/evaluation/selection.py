"""`Selection`: the part of matched records that a slice speaks of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.matching import Matched, match_objects
from tl_detection.evaluation.pairs import BoolArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Frames, objects and detections that count.

    Attributes:
        frames: (F,) frames that belong to the slice.
        objects: (N,) objects, not ignore areas, that are to be found. What lies in the frames and is not chosen is
            neither to be found nor wrong to be found.
        detections: (D,) detections, in the order of the records, that count as wrong if they find nothing.
    """

    frames: BoolArray
    objects: BoolArray
    detections: BoolArray

    @staticmethod
    def of_frames(matched: Matched, frames: BoolArray) -> Selection:
        """Everything in some frames.

        Args:
            matched: Records of F frames.
            frames: (F,) the frames.
        """
        truth = matched.ground_truth
        return Selection(
            frames=frames,
            objects=frames.take(truth.frame_index) & matched.is_object,
            detections=frames.take(matched.frame_index),
        )


def records_of(matched: Matched, selection: Selection) -> Matched:
    """The records from which scores of a selection are taken, over its frames.

    These are the records themselves where it holds everything in its frames; else objects are matched once more.
    """
    everything = Selection.of_frames(matched, selection.frames)
    if np.array_equal(selection.objects, everything.objects) and np.array_equal(
        selection.detections, everything.detections
    ):
        return matched
    return match_objects(matched, selection.objects, selection.detections)
