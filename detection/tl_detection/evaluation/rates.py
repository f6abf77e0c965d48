"""`Rate`: how many of how many, with the interval that other drives would have given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.intervals import LEAST_SEQUENCES, LEVEL, bounds_of
from tl_detection.evaluation.pairs import IntArray
from tl_detection.evaluation.replicates import Replicates


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Things among others, such as reds said to be green among all reds, or phantoms per 1,000 frames.

    Attributes:
        value: part / whole, times the unit that the rate is given per; None where there is no whole.
        low: Lower bound of its 95 % bootstrap interval over sequences; None of too few sequences.
        high: Upper bound. Where nothing was counted, no replicate counts anything either: then it is the rate of which
            as many sequences show nothing in 2.5 % of cases (see `none_bound`).
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRate:
    """The rate of one of several groups, such as the lamps of one size."""

    name: str
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a rate is measured on.

    Attributes:
        part: (P,) frame of each thing that is counted.
        whole: (W,) frame of each thing that it is counted among; shares of one whole may hold one and the same array,
            which is then counted once.
        per: 1000 gives a rate per thousand.
    """

    part: IntArray
    whole: IntArray
    per: float = 1.0


def measure_rate(
    replicates: Replicates, part_frames: IntArray, whole_frames: IntArray, *, per: float = 1.0, level: float = LEVEL
) -> Rate:
    """A rate and its interval.

    Args:
        replicates: Drawn from the frames that are spoken of; things of other frames do not count.
        part_frames: (P,) frame of each thing that is counted.
        whole_frames: (W,) frame of each thing that it is counted among.
        per: 1000 gives a rate per thousand.
        level: How often such an interval shall hold the true value.
    """
    return measure_rates(replicates, [Share(part=part_frames, whole=whole_frames, per=per)], level=level)[0]


def measure_rates(replicates: Replicates, shares: Sequence[Share], *, level: float = LEVEL) -> list[Rate]:
    """Many rates and their intervals, in the time that a few take; see `measure_rate`."""
    if not shares:
        return []
    column: dict[int, int] = {}
    counts: list[IntArray] = []
    for things in (side for share in shares for side in (share.part, share.whole)):
        if id(things) not in column:
            column[id(things)] = len(counts)
            counts.append(replicates.count(things))
    by_sequence = np.stack(counts, axis=1)
    drawn = replicates.totals(by_sequence)
    rates = []
    for share in shares:
        at_part, at_whole = column[id(share.part)], column[id(share.whole)]
        part, whole = int(by_sequence[:, at_part].sum()), int(by_sequence[:, at_whole].sum())
        sequences = int(np.count_nonzero(by_sequence[:, at_whole]))
        low = high = None
        if sequences >= LEAST_SEQUENCES:
            is_filled = drawn[:, at_whole] > 0
            values = drawn[is_filled, at_part] / drawn[is_filled, at_whole]
            if values.size:
                low, high = (bound * share.per for bound in bounds_of(values, sequences, level))
                high = high if part else none_bound(sequences, level) * share.per
        value = part / whole * share.per if whole else None
        rates.append(Rate(value=value, low=low, high=high, part=part, whole=whole, sequences=sequences))
    return rates


def none_bound(sequences: int, level: float = LEVEL) -> float:
    """The upper bound of a rate of which n sequences show nothing: the exact bound of Clopper and Pearson (1934).

    Sequences are what is independent, and the bound is that of the worst case: that all things of some sequences are
    concerned and none of the others. Roughly 3.7 / n at the level of 95 %.
    """
    return 1 - ((1 - level) / 2) ** (1 / sequences)
