"""How near to its good end an interval may lie: a few sequences without a mistake do not show that there is none.

Where nothing is counted, or everything, every replicate gives the same, and an interval from 0 to 0 would say that a
rate is 0, however few sequences were looked at. Its bound is then that of Clopper and Pearson (1934) over sequences,
which are what is independent. One mistake among many cannot make surer than none: replicates of it spread by a few
mistakes at most, far below that bound. So no upper bound of mistakes lies below it, and no lower bound of what is to be
high above its counterpart; the other side, at which a detector gets nothing right, has it only where nothing is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Average precision of replicates has single precision.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a share, or another score between 0 and 1, stands on.

    Attributes:
        sequences: Sequences that hold any of what it is measured on.
        has_end: False of things of which a frame may have several, such as phantoms per frame.
    """

    sequences: int
    has_end: bool = True


def none_bound(sequences: int, level: float) -> float:
    """The upper bound of a share of which n sequences show nothing.

    It is that of the worst case: that all things of some sequences are concerned and none of the others. Roughly
    3.7 / n at the level of 0.95.
    """
    return 1 - ((1 - level) / 2) ** (1 / sequences)


def with_width(
    low: float, high: float, counted: Sequence[Counted], level: float, *, higher_is_better: bool
) -> tuple[float, float]:
    """The bounds of a score, or of the mean of several, no better than as many sequences without a mistake show.

    Args:
        low: Lower bound of what replicates gave.
        high: Upper bound.
        counted: Of each score in the mean; those without a sequence are not in it.
        level: How often such an interval shall hold the true value.
        higher_is_better: False of mistakes.

    Returns:
        Lower and upper bound. That of a mean is the mean of the scores' own.
    """
    known = [item for item in counted if item.sequences]
    if not known:
        return low, high
    width = sum(none_bound(item.sequences, level) for item in known) / len(known)
    has_end = all(item.has_end for item in known)
    if has_end and (higher_is_better or low >= 1 - _ROUNDING):
        low = min(low, 1 - width)
    if not higher_is_better or high <= _ROUNDING:
        high = max(high, width)
    return low, high
