"""`Rate`: how many of how many, with the interval that other drives would have given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.intervals import LEAST_SEQUENCES, LEVEL
from tl_detection.evaluation.pairs import IntArray
from tl_detection.evaluation.replicates import Replicates


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Things among others, such as reds said to be green among all reds, or phantoms per 1,000 frames.

    Attributes:
        value: part / whole, times the unit that the rate is given per; None where there is no whole.
        low: Lower bound of its 95 % percentile bootstrap interval over sequences; None of too few sequences.
        high: Upper bound.
        part: How many.
        whole: Of how many.
        sequences: Sequences that hold any of the whole.
    """

    value: float | None
    low: float | None
    high: float | None
    part: int
    whole: int
    sequences: int


def measure_rate(
    replicates: Replicates, part_frames: IntArray, whole_frames: IntArray, *, per: float = 1.0, level: float = LEVEL
) -> Rate:
    """A rate and its interval.

    Args:
        replicates: Drawn from the frames that are spoken of; things of other frames do not count.
        part_frames: (P,) frame of each thing that is counted.
        whole_frames: (W,) frame of each thing that it is counted among.
        per: 1000 gives a rate per thousand.
        level: Share of the replicates' values that lie between the bounds.
    """
    part_by_sequence, whole_by_sequence = replicates.count(part_frames), replicates.count(whole_frames)
    part, whole = int(part_by_sequence.sum()), int(whole_by_sequence.sum())
    sequences = int(np.count_nonzero(whole_by_sequence))
    low = high = None
    if sequences >= LEAST_SEQUENCES:
        parts, wholes = replicates.times @ part_by_sequence, replicates.times @ whole_by_sequence
        values = parts[wholes > 0] / wholes[wholes > 0]
        if values.size:
            low, high = (float(bound) * per for bound in np.quantile(values, [(1 - level) / 2, (1 + level) / 2]))
    return Rate(
        value=part / whole * per if whole else None, low=low, high=high, part=part, whole=whole, sequences=sequences
    )
