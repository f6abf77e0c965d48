"""Optimisers of both models: which parameters decay, and which learn at which rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from tl_detection.config import BACKBONE_STAGES, TrainConfig


def make_groups(
    network: nn.Module,
    settings: TrainConfig,
    stage_of: Callable[[str], int],
    *,
    kind_of: Callable[[str, nn.Parameter], dict[str, Any]] = lambda name, parameter: {},
) -> list[dict[str, Any]]:
    """Sort the parameters that learn into groups.

    Norms and biases do not decay. A backbone stage learns at `layer_lr_decay` times the rate of the one behind it.

    Args:
        network: Its parameters with a gradient.
        settings: Rates and decay.
        stage_of: Name of a parameter -> its backbone stage from 0, or `BACKBONE_STAGES` for what lies behind.
        kind_of: Further words of a parameter's group; "lr_factor" multiplies its rate.

    Returns:
        Groups in the order of their first parameter, each with `params`, `lr`, `initial_lr` (its highest rate) and
        `weight_decay`.
    """
    groups: dict[tuple, dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        words = dict(kind_of(name, parameter))
        rate = settings.lr * settings.layer_lr_decay ** (BACKBONE_STAGES - stage_of(name)) * words.pop("lr_factor", 1.0)
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        key = (rate, decay, tuple(sorted(words.items())))
        group = groups.setdefault(key, {"params": [], "lr": rate, "initial_lr": rate, "weight_decay": decay, **words})
        group["params"].append(parameter)
    return list(groups.values())


def make_optimizer(groups: Iterable[dict[str, Any]], settings: TrainConfig) -> torch.optim.Optimizer:
    """SGD with Nesterov's momentum, or AdamW; "auto" is SGD."""
    words: dict[str, Any] = {"lr": settings.lr, "fused": True}
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, betas=(settings.momentum, 0.999), **words)
    return torch.optim.SGD(groups, momentum=settings.momentum, nesterov=settings.momentum > 0, **words)


def align_state(optimizer: torch.optim.Optimizer) -> None:
    """Lay what an optimiser remembers of each parameter out in memory as the parameter is.

    The fused steps of the CPU go through both as they lie: values in another order would move the wrong weights,
    without a word (torch 2.15).
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Give every group its own highest rate times a factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def class_weights(settings: TrainConfig, names: tuple[str, ...], boxes: list[int]) -> list[float] | None:
    """How much each class counts in the loss.

    Args:
        settings: "balanced" weighs a class by the inverse square root of its boxes, with a mean of 1 over the classes
            that have any, and gives 1 to those that have none.
        names: Classes by id.
        boxes: Training boxes of each.

    Returns:
        One weight per class, None = all alike.
    """
    wanted = settings.class_weights
    if wanted is None:
        return None
    if wanted != "balanced":
        return [float(wanted.get(name, 1.0)) for name in names]
    raw = [count**-0.5 if count else 0.0 for count in boxes]
    mean = sum(raw) / max(1, sum(count > 0 for count in boxes))
    return [value / mean if value else 1.0 for value in raw]
