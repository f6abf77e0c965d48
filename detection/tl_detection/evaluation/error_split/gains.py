"""What mending errors adds to AP50, in the data set and in replicates of its sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.curves import average_precision
from tl_detection.evaluation.intervals import LEAST_SEQUENCES, bounds_of
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray
from tl_detection.evaluation.replicates import Replicates, average_precisions_of_each, weights_in_blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """The records of a class as they would be without some errors.

    Attributes:
        frame_index: (D,) of each detection, by descending score.
        score: (D,) its score.
        is_right: (D,) found an object; the others are wrong.
        object_frames: (N,) frame of each object to find.
    """

    frame_index: IntArray
    score: FloatArray
    is_right: BoolArray
    object_frames: IntArray

    def ap50(self, recall_points: int) -> float | None:
        """None without an object."""
        n_objects = len(self.object_frames)
        if not n_objects:
            return None
        return average_precision(self.is_right, np.ones_like(self.is_right), n_objects, recall_points)


class GainsInReplicates:
    """AP50 of repaired records less that of the records as they are, in every replicate."""

    def __init__(self, recall_points: int, replicates: Replicates) -> None:
        self.recall_points = recall_points
        self._replicates = replicates
        self._weights = weights_in_blocks(replicates)

    def of(self, repairs: Sequence[Repaired]) -> FloatArray:
        """(repairs - 1, R) gains over the first; NaN where one of both has no value."""
        values = np.stack([self._ap50(each) for each in repairs])
        return values[1:] - values[0]

    def _ap50(self, records: Repaired) -> FloatArray:
        if not len(records.object_frames) or self._replicates.times.shape[1] < LEAST_SEQUENCES:
            return np.full(len(self._replicates.times), np.nan)
        right = records.is_right.astype(np.uint16)[None]
        return average_precisions_of_each(
            self._replicates,
            self._weights,
            records.frame_index,
            records.score,
            right,
            np.ones_like(right),
            self._replicates.total(records.object_frames)[None],
            1,
            self.recall_points,
            is_exact=False,
        )[0, 0]


def bounds_of_gain(values: FloatArray, sequences: int) -> tuple[float, float] | None:
    """The bounds of a gain from (R,) its values in replicates; None of too few sequences."""
    known = values[~np.isnan(values)]
    if sequences < LEAST_SEQUENCES or not known.size:
        return None
    return bounds_of(known, sequences)
