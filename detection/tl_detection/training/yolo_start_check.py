"""What the first batch teaches a YOLO: read where ultralytics' assigner gives its targets to the loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tl_datasets.torch_dataset import Batch
from tl_detection.training.start_check import HeadStart, StartCheck, tally, untouched
from tl_detection.training.yolo import to_ultralytics
from tl_detection.training.yolo_ignore import IgnoringLoss
from tl_detection.ultralytics_door import E2ELoss

# All losses of a light are weighed by its target, about 1 for a light that is well predicted. Less than a hundredth of
# that is nothing beside the background, which is learned at the same time.
LEAST_TARGET = 0.01


def check_yolo_start(module: nn.Module, criterion: Any, batch: Batch) -> StartCheck:
    """Count what a batch teaches a YOLO. Weights, statistics, modes and random numbers stay as they are.

    One of several ranks calls this inside `distributed.alone`: statistics and losses would wait for the others.

    Args:
        module: From `build_yolo`, on its device, in training.
        criterion: Its loss, from `ignoring_criterion`.
        batch: From the loader.
    """
    device = next(module.parameters()).device
    data = {
        name: value.to(device) if isinstance(value, torch.Tensor) else value
        for name, value in to_ultralytics(batch).items()
    }
    images = data.pop("img").float() / 255
    if isinstance(criterion, E2ELoss):
        parts = {"one-to-many head": criterion.one2many, "one-to-one head": criterion.one2one}
    else:
        parts = {"head": criterion}
    found: dict[str, HeadStart] = {}
    hooks = [_assigner(part).register_forward_hook(_counter(name, found)) for name, part in parts.items()]
    try:
        with untouched(module), torch.autocast(device.type, enabled=False):
            criterion(module(images), data)
    finally:
        for hook in hooks:
            hook.remove()
    strides: Any = module.stride
    finest = float(strides.min())
    finer = "" if finest <= 4 else ", or use an architecture with a finer level such as yolo26n-p2"
    return StartCheck(
        frames=len(images),
        lights=len(data["cls"]),
        heads=tuple(found[name] for name in parts),
        remedy=f"enlarge model.input{finer}",
    )


def _assigner(part: Any) -> Any:
    return part.assign if isinstance(part, IgnoringLoss) else part.assigner


def _counter(name: str, found: dict[str, HeadStart]) -> Any:
    """A hook that counts what the assigner gives each light."""

    def count(_: nn.Module, given: tuple[torch.Tensor, ...], assigned: tuple[torch.Tensor, ...]) -> None:
        xyxy, is_light = given[4], given[5][..., 0] > 0
        scores, is_positive, light = assigned[2:]
        images, most = is_light.shape
        image, point = is_positive.nonzero(as_tuple=True)
        row = image * most + light[image, point].long()
        positives = torch.bincount(row, minlength=images * most).reshape(images, most)[is_light]
        target = torch.zeros(images * most, dtype=torch.float64, device=xyxy.device)
        target.index_add_(0, row, scores[image, point].sum(dim=1).double())
        target = target.reshape(images, most)[is_light].cpu().numpy()
        height = (xyxy[..., 3] - xyxy[..., 1])[is_light].cpu().numpy()
        about = {"name": name, "unit": "points", "lack": "a target"}
        found[name] = tally(height, positives.cpu().numpy(), target, target >= LEAST_TARGET, **about)

    return count
