"""Backbones of Faster R-CNN, cut into stages, with a feature pyramid from stride 4 on.

Nothing is ever downloaded: all weights are start values. The pyramid begins at stride 4 (P2), where small lights live.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torchvision.models import mobilenet_v3_large, mobilenet_v3_small, resnet18, resnet50
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

LEVELS = ("0", "1", "2", "3", "pool")
# The stage number of what is not of the backbone.
HEAD_STAGE = 5

MakeNorm = Callable[[int], nn.Module]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A backbone without its classifier.

    Attributes:
        stages: Names of its parts in each of five stages, from the picture on. The last part of each of the last four
            gives a level of the pyramid, at strides 4, 8, 16 and 32.
        channels: Of these four parts.
    """

    stages: tuple[tuple[str, ...], ...]
    channels: tuple[int, ...]


def _numbered(*counts: int) -> tuple[tuple[str, ...], ...]:
    """Stages of so many blocks each, which are numbered through."""
    ends = [sum(counts[: number + 1]) for number in range(len(counts))]
    return tuple(tuple(map(str, range(end - count, end))) for count, end in zip(counts, ends, strict=True))


_RESNET_STAGES = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))
BODIES = {
    "resnet50": Body(stages=_RESNET_STAGES, channels=(256, 512, 1024, 2048)),
    "resnet18": Body(stages=_RESNET_STAGES, channels=(64, 128, 256, 512)),
    # The classifier's widening to 960 and 576 channels is left out.
    "mobilenet_v3_large": Body(stages=_numbered(2, 2, 3, 6, 3), channels=(24, 40, 112, 160)),
    "mobilenet_v3_small": Body(stages=_numbered(1, 1, 2, 5, 3), channels=(16, 24, 48, 96)),
}


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm with 32 groups, or the most that divide the channels."""
    return nn.GroupNorm(math.gcd(32, channels), channels)


def norm_of_heads(model: Mapping[str, Any]) -> str | None:
    """The norm of the pyramid and, in version 2, of the box head; None = no norm.

    Args:
        model: As for `build_faster_rcnn`. Without `head_norm` it is that of the backbone; frozen statistics, which new
            parts do not have, are replaced by none in version 1 and by group norm in version 2.
    """
    if "head_norm" in model:
        return model["head_norm"]
    if model["norm"] != "frozen":
        return model["norm"]
    return "group" if model.get("version", 1) == 2 else None


def make_norm(name: str | None, eps: float | None = None) -> MakeNorm | None:
    """A norm layer by its name: group, batch, frozen, or None.

    Args:
        name: Its name.
        eps: Added to the variance of batch and frozen norms; None = torch's 1e-5.
    """
    of_batch = {} if eps is None else {"eps": eps}
    norms: dict[str | None, MakeNorm | None] = {
        None: None,
        "group": group_norm,
        "batch": partial(nn.BatchNorm2d, **of_batch),
        "frozen": partial(FrozenBatchNorm2d, **of_batch),
    }
    return norms[name]


class PyramidBackbone(nn.Module):
    """A backbone with a feature pyramid from stride 4 on.

    Attributes:
        frozen_stages: So many stages keep their statistics in training, too.
    """

    def __init__(self, name: str, body: nn.Module, out_channels: int, levels: int, norm: MakeNorm | None):
        super().__init__()
        stages, channels = BODIES[name].stages, BODIES[name].channels
        self.stages = stages
        self.frozen_stages = 0
        outputs = {parts[-1]: LEVELS[number] for number, parts in enumerate(stages[1:])}
        self.body = IntermediateLayerGetter(body, outputs)
        self.fpn = FeaturePyramidNetwork(list(channels), out_channels, extra_blocks=LastLevelMaxPool(), norm_layer=norm)
        self.out_channels = out_channels
        self.levels = LEVELS[:levels]
        # What has no part in the loss never gets a gradient; several ranks would wait for it.
        for unused in self.fpn.layer_blocks[levels:]:
            unused.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        """Give the levels that carry anchors, finest first."""
        features = self.fpn(self.body(images))
        return OrderedDict((name, features[name]) for name in self.levels)

    def freeze(self, stages: int) -> None:
        """Stop the first stages of the backbone from learning weights and statistics.

        Args:
            stages: 0 to 5.
        """
        self.frozen_stages = stages
        for part in self._frozen_parts():
            part.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> PyramidBackbone:
        """Set the mode of all but the frozen stages, which stay in evaluation."""
        super().train(mode)
        for part in self._frozen_parts():
            part.eval()
        return self

    def _frozen_parts(self) -> list[nn.Module]:
        names = {name for parts in self.stages[: self.frozen_stages] for name in parts}
        return [part for name, part in self.body.named_children() if name in names]


def build_backbone(model: Mapping[str, Any], levels: int) -> PyramidBackbone:
    """Build backbone and pyramid.

    Args:
        model: As for `build_faster_rcnn`.
        levels: How many of the pyramid's five levels carry anchors, from stride 4 on.
    """
    name, eps = model["backbone"], model.get("norm_eps")
    norm = make_norm(model["norm"], eps)
    if name.startswith("mobilenet"):
        make = mobilenet_v3_large if name == "mobilenet_v3_large" else mobilenet_v3_small
        body = make(weights=None, norm_layer=norm).features
    else:
        # A residual branch that begins at zero lets deep group-norm networks start from scratch.
        make = resnet18 if name == "resnet18" else resnet50
        body = make(weights=None, norm_layer=norm, zero_init_residual=model["norm"] == "group")
    return PyramidBackbone(name, body, int(model["fpn_channels"]), levels, make_norm(norm_of_heads(model), eps))
