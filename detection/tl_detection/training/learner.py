"""What the training loop needs of a model: its network, loss, optimiser and detector. One file per engine has it.

The loop is the same for both models. A `Learner` says what is particular to one: how a batch becomes losses, which
parameters decay and learn at which rate, and what changes from step to step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, Protocol

import torch
from torch import nn

from tl_datasets.torch_dataset import Batch
from tl_detection.detector import Detector


class Losses(nn.Module, ABC):
    """A network with its loss, in one module, so that it can be wrapped for several ranks.

    Attributes:
        network: What learns; its state dict is what checkpoints keep.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    @abstractmethod
    def forward(self, batch: Batch, epoch: int) -> dict[str, torch.Tensor]:
        """Give this rank's part of the mean loss over the frames that all ranks hold at this moment.

        The parts of the ranks sum to what one device would give for all their frames together. A batch whose `counts`
        is False is there only to keep step with the other ranks: its part is 0.

        Args:
            batch: From the loader, on the CPU.
            epoch: 0-based.

        Returns:
            "loss", to be learned from, and its parts by name, without gradient; scalars.
        """


class Learner(Protocol):
    """A model that learns."""

    @property
    def kind(self) -> Literal["yolo", "faster_rcnn"]:
        """As checkpoints name it."""
        ...

    @property
    def description(self) -> dict[str, Any]:
        """What the network is built from, JSON values only."""
        ...

    @property
    def network(self) -> nn.Module:
        """On the device, with its start weights."""
        ...

    @property
    def losses(self) -> Losses:
        """The network with its loss."""
        ...

    @property
    def loss_scale(self) -> Literal["mean", "sum"]:
        """How the mean loss over a step's frames is weighted: "mean" as it is; "sum" times their number."""
        ...

    def make_optimizer(self) -> torch.optim.Optimizer:
        """Make the optimiser; every group holds its own highest rate as `initial_lr`."""
        ...

    def detector(self, network: nn.Module) -> Detector:
        """Make a detector of weights that may still learn."""
        ...

    def begin_step(self, step: int, epoch: int) -> None:
        """Set what changes from step to step, from the number of the batch (0-based, over the whole run) alone."""
        ...
