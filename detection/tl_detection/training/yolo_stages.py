"""The stages of a YOLO's backbone: which layers learn, and at which rate.

A stage is all that lies between two halvings of the picture: P1 to P5, counted 0 to 4; neck and head are 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from tl_detection.config import BACKBONE_STAGES
from tl_detection.detectors.yolo import YoloNetwork


def stage_of(module: YoloNetwork, parameter_name: str) -> int:
    """The stage of a parameter, by its name in `module.named_parameters()`: 0 to 4, or 5 in neck and head."""
    layer = int(parameter_name.split(".")[1])
    return module.layer_stages[layer] if layer < len(module.layer_stages) else BACKBONE_STAGES


def freeze_stages(module: YoloNetwork, stages: int) -> None:
    """Let the first stages of a backbone learn nothing; see `keep_frozen_norms` for what their norms remember.

    Args:
        module: Changed in place.
        stages: How many, 0 to 5.
    """
    for layer in _frozen(module, stages):
        layer.requires_grad_(False)


def keep_frozen_norms(module: YoloNetwork, stages: int) -> None:
    """Let the norms of frozen stages use and keep the statistics that they have; to be called after `module.train()`.

    Args:
        module: Changed in place.
        stages: How many are frozen, 0 to 5.
    """
    for layer in _frozen(module, stages):
        layer.eval()


def _frozen(module: YoloNetwork, stages: int) -> Iterator[nn.Module]:
    layers: Any = module.model
    for number, stage in enumerate(module.layer_stages):
        if stage < stages:
            yield layers[number]
