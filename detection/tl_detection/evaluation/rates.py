"""`Rate`: how many of how many, with the interval that other drives would have given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.exact_bounds import Counted, with_width
from tl_detection.evaluation.intervals import LEAST_SEQUENCES, LEVEL, bounds_of
from tl_detection.evaluation.pairs import IntArray
from tl_detection.evaluation.replicates import Replicates


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Things among others, such as reds said to be green among all reds, or phantoms per 1,000 frames.

    Attributes:
        value: part / whole, times the unit that the rate is given per; None where there is no whole.
        low: Lower bound of its 95 % bootstrap interval over sequences; None of too few sequences.
        high: Upper bound; of mistakes at least the rate of which as many sequences show nothing in 2.5 % of cases (see
            `exact_bounds`).
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
        per: 1 gives a share: what is counted is of the whole, and 1 is the highest value. 1000 gives a rate per
            thousand, which has no highest value.
        higher_is_better: False of mistakes; see `exact_bounds`.
    """

    part: IntArray
    whole: IntArray
    per: float = 1.0
    higher_is_better: bool = False


def measure_rate(
    replicates: Replicates,
    part_frames: IntArray,
    whole_frames: IntArray,
    *,
    per: float = 1.0,
    higher_is_better: bool = False,
    level: float = LEVEL,
) -> Rate:
    """A rate and its interval.

    Args:
        replicates: Drawn from the frames that are spoken of; things of other frames do not count.
        part_frames: (P,) frame of each thing that is counted.
        whole_frames: (W,) frame of each thing that it is counted among.
        per: See `Share`.
        higher_is_better: False of mistakes; see `exact_bounds`.
        level: How often such an interval shall hold the true value.
    """
    share = Share(part=part_frames, whole=whole_frames, per=per, higher_is_better=higher_is_better)
    return measure_rates(replicates, [share], level=level)[0]


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
                counted = Counted(sequences=sequences, has_end=share.per == 1)
                given = bounds_of(values, sequences, level)
                bounds = with_width(*given, [counted], level, higher_is_better=share.higher_is_better)
                low, high = (bound * share.per for bound in bounds)
        value = part / whole * share.per if whole else None
        rates.append(Rate(value=value, low=low, high=high, part=part, whole=whole, sequences=sequences))
    return rates
