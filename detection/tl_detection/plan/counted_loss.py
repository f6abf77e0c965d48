"""How many boxes the augmentation leaves too little of, counted on real samples of the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tl_datasets.errors import ImageError
from tl_datasets.torch_dataset import FrameDataset


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedLoss:
    """What a number of samples showed.

    Attributes:
        samples: How many were drawn.
        boxes: Boxes that they show at least in part.
        vanished: Of these, boxes of which too little is left.
        interval: 95 % interval of the share; wide where few samples hold most boxes.
        broken: What is wrong with each image that could not be read.
    """

    samples: int
    boxes: int
    vanished: int
    interval: tuple[float, float]
    broken: tuple[str, ...]

    @property
    def share(self) -> float | None:
        """Vanished of all boxes; None without a box."""
        return self.vanished / self.boxes if self.boxes else None

    def contradicts(self, predicted: float) -> bool:
        """True if a predicted share is farther off than chance explains: outside of twice the interval's length."""
        if not self.boxes:
            return False
        low, high = self.interval
        return not low - (high - low) / 2 <= predicted <= high + (high - low) / 2


def count_loss(dataset: FrameDataset, samples: int, progress: Callable[[int, int], None] | None = None) -> CountedLoss:
    """Draw samples of the first epoch, without the steps that run on the finished canvas.

    Args:
        dataset: With an augmenter.
        samples: How many, spread evenly over the epoch.
        progress: Called with samples done and all.
    """
    dataset.set_epoch(0)
    positions = np.linspace(0, len(dataset) - 1, min(samples, len(dataset))).round().astype(int).tolist()
    pairs: list[tuple[int, int]] = []
    broken: dict[str, None] = {}
    for done, position in enumerate(positions, start=1):
        try:
            _, made = dataset.composed(position)
            vanished = int(made.is_vanished.sum())
            pairs.append((vanished, vanished + len(made.xyxy)))
        except ImageError as error:
            broken[str(error)] = None
        if progress is not None:
            progress(done, len(positions))
    return CountedLoss(
        samples=len(pairs),
        boxes=sum(boxes for _, boxes in pairs),
        vanished=sum(vanished for vanished, _ in pairs),
        interval=share_interval(pairs),
        broken=tuple(broken),
    )


def share_interval(pairs: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """95 % interval of the share of boxes that vanish, the boxes of one sample vanishing together or not.

    Wilson's interval for as many independent boxes as the spread between samples says that there are.

    Args:
        pairs: Vanished and all boxes of each sample.

    Returns:
        Lower and upper bound; (0, 1) without a box.
    """
    counts = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    boxes = counts[:, 1].sum()
    if not boxes:
        return 0.0, 1.0
    share = counts[:, 0].sum() / boxes
    binomial = share * (1 - share) / boxes
    between = ((counts[:, 0] - share * counts[:, 1]) ** 2).sum() / boxes**2
    independent = boxes * binomial / between if between > binomial > 0 else boxes
    z = 1.96
    centre = share + z**2 / (2 * independent)
    spread = z * math.sqrt(share * (1 - share) / independent + z**2 / (4 * independent**2))
    scale = 1 + z**2 / independent
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
