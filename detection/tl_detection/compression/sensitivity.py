"""Which blocks stay in float: as few as it takes, the most sensitive first, all of it measured on frames.

A block's sensitivity is the disagreement (see `agreement`) between the float file and one in which that block alone has
lost precision. It needs no labels, and unlike average precision of a few frames it is never nothing by chance. When to
stop is decided by average precision, for that is what the file is judged by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tl_detection.compression.agreement import disagreement
from tl_detection.compression.trials import Trials
from tl_detection.detector import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What a block costs.

    Attributes:
        block: Its name.
        disagreement: Of the float file and one in which this block alone has lost precision, 0 to 1.
    """

    block: str
    disagreement: float


@dataclass(frozen=True, slots=True)
class Step:
    """A choice that was tried.

    Attributes:
        kept: Blocks in float, the most sensitive first.
        excess: How far what suffers most lies beyond its limit; 0 or less = within.
        where: What that is, and in which slice.
    """

    kept: tuple[str, ...]
    excess: float
    where: str


def measure_sensitivities(
    trials: Trials, images: Sequence[Image], progress: Callable[[int, int], None] | None = None
) -> tuple[Sensitivity, ...]:
    """The sensitivity of each block, the highest first; of equals the one that comes first in the file."""
    expected = trials.detect(trials.names, images)
    found = []
    for number, block in enumerate(trials.blocks, start=1):
        said = trials.detect(trials.names - {block.name}, images)
        found.append(Sensitivity(block=block.name, disagreement=disagreement(zip(expected, said, strict=True))))
        if progress is not None:
            progress(number, len(trials.blocks))
    return tuple(sorted(found, key=lambda item: -item.disagreement))


def keep_until(
    rank: Callable[[], Sequence[str]], always: Sequence[str], excess: Callable[[Sequence[str]], tuple[float, str]]
) -> tuple[Step, ...]:
    """Keep more blocks in float, until nothing lies beyond its limit.

    Args:
        rank: Gives all blocks, the most sensitive first; asked only where it is needed, for it takes a while.
        always: Blocks that stay in float from the start.
        excess: Gives how far a choice of blocks lies beyond the limits, and in what.

    Returns:
        What was tried; the last is the choice. It has all blocks in float where nothing less was enough.
    """
    steps = [Step(tuple(always), *excess(always))]
    if steps[-1].excess <= 0:
        return tuple(steps)
    rest, number = [block for block in rank() if block not in always], 0
    while steps[-1].excess > 0 and number < len(rest):
        # One by one at first; each try takes a while, and where many are needed one more or less decides nothing.
        number = min(len(rest), max(number + 1, number * 3 // 2))
        kept = (*always, *rest[:number])
        steps.append(Step(kept, *excess(kept)))
    return tuple(steps)
