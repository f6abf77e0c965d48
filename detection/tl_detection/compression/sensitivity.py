"""Which blocks stay in float: as few as it takes, the most sensitive first, all of it measured on frames.

A block's sensitivity is the disagreement (see `agreement`) between the float file and one in which that block alone has
lost precision. It needs no labels, and unlike average precision of a few frames it is never nothing by chance.

Blocks are kept until the whole file disagrees by less than a limit, and nothing that it will be judged by lies beyond
its own. On frames that the network learned from, average precision hardly falls: a YOLO11n trained on 266 DTLD frames
lost nothing there in int8 and 0.020 of AP50 on others, where it disagreed by 0.14 with itself in float. With the 8 most
sensitive of 35 blocks in float that became 0.05, and it took 0.82 times as long as in float, instead of 0.74.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tl_detection.compression.agreement import disagreement
from tl_detection.compression.trials import Trials
from tl_detection.detector import Image

_HARDLY_ANYTHING = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What a block costs.

    Attributes:
        block: Its name.
        disagreement: Of the float file and one in which this block alone has lost precision, 0 to 1.
    """

    block: str
    disagreement: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A choice that was tried.

    Attributes:
        kept: Blocks in float, the most sensitive first.
        disagreement: With the float file.
        excess: How far what suffers most lies beyond its limit; 0 or less = within.
        where: What that is, and in which slice.
    """

    kept: tuple[str, ...]
    disagreement: float
    excess: float
    where: str

    def is_enough(self, max_disagreement: float) -> bool:
        """Whether no more blocks need to stay in float; where hardly anything differs, what falls does so by chance."""
        return self.disagreement <= max_disagreement and (self.excess <= 0 or self.disagreement <= _HARDLY_ANYTHING)


def measure_sensitivities(
    trials: Trials,
    images: Sequence[Image],
    progress: Callable[[int, int], None] | None = None,
    *,
    without: Sequence[str] = (),
) -> tuple[Sensitivity, ...]:
    """The sensitivity of each block, the highest first; of equals the one that comes first in the file.

    Args:
        trials: Makes the files.
        images: (H, W, 3) uint8 RGB.
        progress: Called with the number of blocks done and in all.
        without: Blocks that are not asked about.
    """
    blocks = [block for block in trials.blocks if block.name not in without]
    expected = trials.detect(trials.names, images)
    found = []
    for number, block in enumerate(blocks, start=1):
        said = trials.detect(trials.names - {block.name}, images)
        found.append(Sensitivity(block=block.name, disagreement=disagreement(zip(expected, said, strict=True))))
        if progress is not None:
            progress(number, len(blocks))
    return tuple(sorted(found, key=lambda item: -item.disagreement))


def keep_until(
    rank: Callable[[], Sequence[str]],
    always: Sequence[str],
    attempt: Callable[[tuple[str, ...]], Step],
    max_disagreement: float,
) -> tuple[Step, ...]:
    """Keep more blocks in float, until it is enough.

    Args:
        rank: Gives the other blocks, the most sensitive first; asked only where it is needed, for it takes a while.
        always: Blocks that stay in float from the start.
        attempt: Tries a choice of blocks.
        max_disagreement: Limit of the disagreement.

    Returns:
        What was tried; the last is the choice. It has all blocks in float where nothing less was enough.
    """
    steps = [attempt(tuple(always))]
    if steps[-1].is_enough(max_disagreement):
        return tuple(steps)
    rest, number = rank(), 0
    while not steps[-1].is_enough(max_disagreement) and number < len(rest):
        # One by one at first; each try takes a while, and where many are needed one more or less decides nothing.
        number = min(len(rest), max(number + 1, number * 3 // 2))
        steps.append(attempt((*always, *rest[:number])))
    return tuple(steps)
