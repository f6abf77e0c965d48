"""What the first batch teaches: how many of its lights are given a target, by their size.

A network whose first predictions overlap no light, or whose anchors fit none, learns that everything is background, and
its loss falls nevertheless. What is counted here before the first step is what the model's own assignment gives each
light:

- positives: points, anchors or proposals that are assigned to it;
- target: of a YOLO the sum of their target scores, by which all losses of the light are weighed; of a Faster R-CNN the
  sum of their overlaps with the light.

Sizes are heights in the network's input. The two models count in files of their own: `yolo_start_check` and
`faster_rcnn_start_check`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tl_datasets.torch_dataset import Batch
from tl_detection.training.learner import Learner

# Borders of the size bins, in network pixels.
EDGES_PX = (4.0, 8.0, 12.0, 20.0, 40.0)
# Fewer lights prove nothing.
_LEAST_LIGHTS = 3
# A size is dead if fewer of its lights than this share are taught.
_DEAD_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeBin:
    """The lights of one size.

    Attributes:
        from_px: Least height in network pixels.
        to_px: Height that is too much; None = there is no limit.
        lights: How many the batch has.
        with_positive: How many have a positive.
        taught: How many have a target that is worth something.
        positives: Positives of all together.
        target: Target of all together.
    """

    from_px: float
    to_px: float | None
    lights: int
    with_positive: int
    taught: int
    positives: int
    target: float

    @property
    def is_dead(self) -> bool:
        """True if the lights of this size teach nothing."""
        return self.taught < self.lights * _DEAD_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadStart:
    """What one part of a network is taught.

    Attributes:
        name: Such as "one-to-one head".
        unit: What positives are: points, anchors or proposals.
        lack: What lights that are not taught do not have.
        bins: From small to large.
        can_fail: False where the first step need not teach anything yet.
    """

    name: str
    unit: str
    lack: str
    bins: tuple[SizeBin, ...]
    can_fail: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCheck:
    """What the first batch teaches a model.

    Attributes:
        frames: Frames of the batch.
        lights: Their lights.
        heads: The parts of the network that learn from them.
        remedy: What to change if lights have no target.
    """

    frames: int
    lights: int
    heads: tuple[HeadStart, ...]
    remedy: str

    def lines(self) -> list[str]:
        """Lines for the log."""
        if not self.lights:
            return [f"first batch: {self.frames} frames without a light; what lights are taught is not known"]
        return [
            f"first batch: {self.frames} frames, {self.lights} lights; how many are taught, by height in the network",
            *(
                f"first batch, {head.name} ({head.unit} and target of each light): "
                + ", ".join(
                    f"{_range(size.from_px, size.to_px)} {size.taught} of {size.lights} "
                    f"({size.positives / size.lights:.1f}, {size.target / size.lights:.2g})"
                    for size in head.bins
                    if size.lights
                )
                for head in self.heads
            ),
        ]

    def faults(self) -> list[str]:
        """One line for every range of sizes that teaches nothing, with the remedy; empty = the start is sound."""
        return [
            f"first batch, {head.name}: {fault}; {self.remedy}"
            for head in self.heads
            if head.can_fail
            for fault in _dead_ranges(head)
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON values, faults included."""
        return dataclasses.asdict(self) | {"faults": self.faults()}


def tally(
    height_px: NDArray[np.floating],
    positives: NDArray[np.integer],
    target: NDArray[np.floating],
    taught: NDArray[np.bool_],
    **about: Any,
) -> HeadStart:
    """Count by size.

    Args:
        height_px: (N,) of the lights, in network pixels.
        positives: (N,) positives of each light.
        target: (N,) target of each light.
        taught: (N,) whether that is worth something.
        about: The other attributes of `HeadStart`.
    """
    of_bin = np.digitize(height_px, EDGES_PX)
    edges = (0.0, *EDGES_PX, None)
    bins = []
    for number, (from_px, to_px) in enumerate(itertools.pairwise(edges)):
        rows = of_bin == number
        bins.append(
            SizeBin(
                from_px=cast(float, from_px),
                to_px=to_px,
                lights=int(rows.sum()),
                with_positive=int((positives[rows] > 0).sum()),
                taught=int(taught[rows].sum()),
                positives=int(positives[rows].sum()),
                target=float(target[rows].sum()),
            )
        )
    return HeadStart(bins=tuple(bins), **about)


def _dead_ranges(head: HeadStart) -> Iterator[str]:
    filled = [size for size in head.bins if size.lights]
    start = 0
    for end in range(len(filled) + 1):
        if end < len(filled) and filled[end].is_dead:
            continue
        dead, start = filled[start:end], end + 1
        lights = sum(size.lights for size in dead)
        if lights < _LEAST_LIGHTS:
            continue
        taught = sum(size.taught for size in dead)
        whole = len(dead) == len(filled)
        where = "" if whole else f" {_range(dead[0].from_px if end > len(dead) else 0.0, dead[-1].to_px)}"
        yield f"{taught or 'none'} of {lights} lights{where} {'have' if taught > 1 else 'has'} {head.lack}"


def _range(from_px: float, to_px: float | None) -> str:
    if to_px is None:
        return f"from {from_px:g} px"
    return f"under {to_px:g} px" if not from_px else f"{from_px:g}-{to_px:g} px"


def check_start(learner: Learner, batch: Batch) -> StartCheck:
    """Count what a batch teaches a model that is about to learn from it; see the two functions that do it."""
    losses: Any = learner.losses
    if learner.kind == "yolo":
        # The engines are imported by their own runs alone.
        from tl_detection.training.yolo_start_check import check_yolo_start

        return check_yolo_start(losses.network, losses.criterion, batch)
    from tl_detection.training.faster_rcnn_start_check import check_faster_rcnn_start

    return check_faster_rcnn_start(losses.network, batch)


@contextmanager
def untouched(network: nn.Module) -> Iterator[None]:
    """Let a network run as in training, and leave weights, statistics, modes and random numbers as they were."""
    device = next(network.parameters()).device
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    modes = [(module, module.training) for module in network.modules()]
    devices = [device] if device.type == "cuda" else []
    if not network.training:
        network.train()
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        for module, mode in modes:
            module.training = mode
