"""Exponential moving average of a model's weights, with a ramp so that short runs are averaged too."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


class Ema(Generic[Model]):
    """Keeps the moving average of a model.

    The decay rises as decay * (1 - exp(-updates / tau)): early averages forget the start values quickly.

    Attributes:
        model: A copy of the model that holds the average; never trained.
        updates: Number of updates so far.
    """

    def __init__(self, model: Model, decay: float, total_updates: int):
        """Start the average at the model's present weights.

        Args:
            model: The model that learns.
            decay: Highest decay.
            total_updates: Updates of the whole run; the ramp is fitted to them.
        """
        self.model: Model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.tau = ramp(decay, total_updates)
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the model's weights after a step."""
        self.updates += 1
        decay = self.decay * (1 - math.exp(-self.updates / self.tau))
        new = model.state_dict()
        for name, average in self.model.state_dict().items():
            if average.dtype.is_floating_point:
                average.lerp_(new[name].detach().to(average.dtype), 1 - decay)
            else:
                average.copy_(new[name])


def ramp(decay: float, total_updates: int) -> float:
    """Number of updates over which the decay rises.

    At the end of a run the average reaches back over at most a twentieth of it, and never further than `decay` says;
    a long run has the usual ramp (2000 updates for a decay of 0.999).
    """
    return max(1.0, min(2 / (1 - decay), total_updates / math.log(max(total_updates / 20, math.e))))
