"""What times become: percentiles, and ratios of two contenders from the same turns. Pure functions; times are in ms.

A percentile is a sample (the smallest one that at least that share of all samples does not exceed), never a value
between two. It is given only if at least one sample is slower: otherwise it would be the slowest frame by another name.
A ratio compares the medians of one turn, in which both ran within seconds of each other, so that a machine that is
busy for a while slows both; the figure is the median of these ratios over all turns, with the lowest and the highest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

PERCENTILES = (50.0, 90.0, 99.0, 99.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A figure per turn: the median over the turns, the lowest and the highest."""

    median: float
    lowest: float
    highest: float
    turns: int


def samples_needed(percent: float) -> int:
    """How many samples a percentile needs, so that at least one is slower."""
    n = math.ceil(round(100 / (100 - percent), 6))
    while _rank(percent, n) >= n:
        n += 1
    return n


def percentile(samples: Sequence[float], percent: float) -> float | None:
    """The smallest sample that at least this share of all does not exceed; None with too few samples."""
    if len(samples) < samples_needed(percent):
        return None
    return sorted(samples)[_rank(percent, len(samples)) - 1]


def _rank(percent: float, n: int) -> int:
    # Rounded first: 99.9 % of 1000 is 999.0000000000001 in floating point.
    return max(1, math.ceil(round(percent * n / 100, 6)))


def spread_of_medians(turns: Sequence[Sequence[float]]) -> Spread:
    """The median of each turn, over all turns."""
    return _spread([median(turn) for turn in turns])


def spread_of_ratios(turns: Sequence[Sequence[float]], other_turns: Sequence[Sequence[float]]) -> Spread:
    """How many times as long as the other one takes, turn by turn.

    Raises:
        ValueError: The two do not have the same number of turns.
    """
    return _spread([median(own) / median(other) for own, other in zip(turns, other_turns, strict=True)])


def _spread(values: Sequence[float]) -> Spread:
    return Spread(median=median(values), lowest=min(values), highest=max(values), turns=len(values))
