"""Bounds where replicates cannot tell: where nothing was counted, or everything, drawing again gives the same.

An interval from 0 to 0 would say that a rate is 0, however few sequences were looked at. The bound is then that of
Clopper and Pearson (1934) over sequences, which are what is independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a share or rate stands on.

    Attributes:
        part: How many things were counted.
        whole: Among how many.
        sequences: Sequences that hold any of the whole.
        has_end: True of a share, which ends at 1; False of things of which a frame may have several.
    """

    part: int
    whole: int
    sequences: int
    has_end: bool = True


def none_bound(sequences: int, level: float) -> float:
    """The upper bound of a share of which n sequences show nothing.

    It is that of the worst case: that all things of some sequences are concerned and none of the others. Roughly
    3.7 / n at the level of 0.95.
    """
    return 1 - ((1 - level) / 2) ** (1 / sequences)


def with_width(low: float, high: float, counted: Sequence[Counted], level: float) -> tuple[float, float]:
    """The bounds of a share, or of the mean of several; others than those given where none was counted, or all.

    Args:
        low: Lower bound of what replicates gave.
        high: Upper bound.
        counted: Of each share in the mean; those without a whole are not in it.
        level: How often such an interval shall hold the true value.

    Returns:
        Lower and upper bound. That of a mean is the mean of the shares' own.
    """
    known = [item for item in counted if item.whole]
    if not known:
        return low, high
    width = sum(none_bound(item.sequences, level) for item in known) / len(known)
    if not any(item.part for item in known):
        return low, width
    if all(item.has_end and item.part == item.whole for item in known):
        return 1 - width, high
    return low, high
