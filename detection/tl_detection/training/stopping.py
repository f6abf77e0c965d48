"""Which epoch is the best, and when to stop waiting for a better one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class BestEpoch:
    """Keeps the best score.

    Attributes:
        patience: Validations without a better score after which training stops, counted in epochs; None = never.
        score: Best score so far; None before the first.
        epoch: Its epoch, 0-based.
        is_better: Says of a new and an older score whether the new one is better; None = if it is higher.
    """

    patience: int | None
    score: float | None = None
    epoch: int = -1
    is_better: Callable[[float, float], bool] | None = None

    def update(self, epoch: int, score: float | None) -> bool:
        """Take the score of an epoch (None = nothing could be scored) and say whether it is the best so far.

        The first epoch is always the best, and so is a later one while no epoch could be scored: a run leaves weights.
        """
        if self.epoch < 0 or self.score is None:
            better = True
        elif score is None:
            better = False
        else:
            better = score > self.score if self.is_better is None else self.is_better(score, self.score)
        if better:
            self.score, self.epoch = score, epoch
        return better

    def is_over(self, epoch: int) -> bool:
        """True if the best epoch lies `patience` or more epochs back."""
        return self.patience is not None and epoch - self.epoch >= self.patience
