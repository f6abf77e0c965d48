"""ultralytics' losses without ignore areas: the background that a detection could come from there costs nothing.

A point of the network (the centre of a cell, at every level) is free of the class loss if no light is assigned to it
and, for any ignore area of its image,

- its cell, a square of one stride, overlaps the area: it sees what lies there; or
- it lies in the area grown to `least_px`, the rule by which the assigner seeks points for a light: it would have been
  assigned to a light in the area's place; or
- at least half of the box that it predicts lies in the grown area: it speaks of what lies there.

`least_px` is the assigner's own, the stride of the second finest level. Points that a light is assigned to keep their
full loss, and what is assigned does not change. The sum that the loss is divided by is of assigned points alone, and
over all ranks: theirs are parts of one mean.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tl_datasets.errors import TrainingError
from tl_detection.distributed import sum_over_ranks
from tl_detection.training.ignore_areas import grow, lies_inside
from tl_detection.training.yolo_box_only import assign_with_candidates, join_candidates
from tl_detection.ultralytics_door import E2ELoss, v8DetectionLoss


def ignoring_criterion(network: nn.Module) -> Any:
    """Make the loss of a network, as ultralytics would, but with ignore areas.

    Its batches have beside ultralytics' own words `ignore_xyxy` (K, 4) in network pixels and `ignore_idx` (K,), the
    image that each belongs to; and may have `counts`, False where the batch has no part in the mean over all ranks, and
    `candidates` (K, C), rows of which the labels C and above name (`yolo_box_only`).

    Raises:
        TrainingError: ultralytics has another loss for this network.
    """
    usual = type(network.init_criterion())  # type: ignore[operator]
    if usual is E2ELoss:
        return E2ELoss(network, IgnoringLoss)
    if usual is v8DetectionLoss:
        return IgnoringLoss(network)
    raise TrainingError(
        f"{usual.__name__} is the loss of this network, expected that of a detector with one head or an end-to-end "
        "pair; choose another model.architecture"
    )


class IgnoringLoss(v8DetectionLoss):
    """The loss of one head. Without ignore areas and candidates in a batch it is ultralytics' to the last bit."""

    def __init__(self, model: nn.Module, tal_topk: int = 10, tal_topk2: int | None = None):
        """Take the network and the assigner's settings, as ultralytics gives them."""
        super().__init__(model, tal_topk, tal_topk2)
        # The inherited loss asks both of these in turn: which points have a light, and what each score costs.
        self.assign, self.assigner = self.assigner, self._assign  # type: ignore[assignment]
        self.cross_entropy, self.bce = self.bce, self._class_loss  # type: ignore[assignment]

    def get_assigned_targets_and_loss(
        self, preds: dict[str, torch.Tensor], batch: dict[str, Any], **assign_kwargs: Any
    ) -> tuple:
        """Compute the losses of a batch."""
        self.areas = batch["ignore_xyxy"].to(self.device)
        self.image_of_area = batch["ignore_idx"].to(self.device)
        self.sets = batch["candidates"].to(self.device) if "candidates" in batch else None
        strides: Any = self.stride
        cells = [level.shape[2] * level.shape[3] for level in preds["feats"]]
        self.cell_px = torch.cat([side.expand(count) for side, count in zip(strides, cells, strict=True)])
        assigned, loss, items = super().get_assigned_targets_and_loss(preds, batch, **assign_kwargs)
        # The inherited loss is divided by this rank's sum of target scores, of which 1 is the least.
        own, counts = self.target_sum, float(batch.get("counts", True))
        joint = sum_over_ranks(own * counts)
        factor = counts * own.clamp(min=1) / joint.clamp(min=1)
        return assigned, loss * factor, {name: value * factor for name, value in items.items()}

    def _assign(self, scores: torch.Tensor, xyxy: torch.Tensor, points: torch.Tensor, *truth: Any, **extra: Any):
        self.candidates = None
        if self.sets is None:
            assigned = self.assign(scores, xyxy, points, *truth, **extra)
        else:
            given = scores, xyxy, points, *truth
            assigned, self.candidates = assign_with_candidates(self.assign, self.sets, *given, **extra)
        self.target_sum = assigned[2].sum()
        self.free = None
        if len(self.areas):
            sees = sees_area(self.areas, points, self.cell_px, xyxy[self.image_of_area], self.assign.stride_val)
            # Counted, not set: the same image may come several times.
            count = torch.zeros(scores.shape[:2], dtype=torch.int32, device=scores.device)
            self.free = (count.index_add_(0, self.image_of_area, sees.int()) > 0) & ~assigned[3]
        return assigned

    def _class_loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss = self.cross_entropy(logits, targets)
        if self.candidates is not None:
            loss = join_candidates(loss, logits, targets, self.candidates)
        return loss if self.free is None else loss.masked_fill(self.free[..., None], 0.0)


def sees_area(
    areas: torch.Tensor, points: torch.Tensor, cell_px: torch.Tensor, xyxy: torch.Tensor, least_px: float
) -> torch.Tensor:
    """Say which points a detection of each area could come from.

    Args:
        areas: (K, 4) xyxy in network pixels.
        points: (A, 2) x, y in network pixels.
        cell_px: (A,) side of each point's cell.
        xyxy: (K, A, 4) predicted boxes of the area's image in network pixels.
        least_px: Shortest side of a grown area.

    Returns:
        (K, A) bool.
    """
    x, y, half = points[:, 0], points[:, 1], cell_px / 2
    x1, y1, x2, y2 = areas[:, :, None].unbind(1)
    seen = (x - half < x2) & (x + half > x1) & (y - half < y2) & (y + half > y1)
    large = grow(areas, least_px)
    x1, y1, x2, y2 = large[:, :, None].unbind(1)
    seen |= (x > x1) & (x < x2) & (y > y1) & (y < y2)
    return seen | lies_inside(xyxy, large[:, None])
