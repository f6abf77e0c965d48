"""Torchvision's Faster R-CNN without ignore areas: no background is learned from what could be a detection there.

Targets have beside torchvision's own words `ignore_xyxy` (M, 4) in network pixels, and may have `candidates` (K, C) of
boxes without a class (`faster_rcnn_box_only`). Of an image with ignore areas, with an area grown to `LEAST_PX` on each
side,

- an anchor that has no light is left out of the proposal loss if the matcher would not call it background were the
  area a light (overlap at or above the background threshold, or the best of all anchors), or if at least half of it,
  or of the box that it predicts, lies in the grown area;
- a proposal without a light is left out of the box head's loss if at least half of it lies in the grown area, or it
  overlaps the area so well that it would count as the area's;
- a predicted box in a grown area that is no light's takes no proposal's place and suppresses none: else what is said of
  an ignore area would choose the background that the box head learns from.

Anchors and proposals of lights, and the lights that are added to the proposals, stay. Where nothing is left to
learn from the losses are 0, not torchvision's mean of nothing.

Which of the anchors and proposals are learned from is drawn at random, here from numbers that the targets may bring
(`seed`): the same for a frame in whatever batch, rank or resumed run it comes. How many were drawn is kept (`sampled`),
because the means of several ranks are joined by it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import box_iou, clip_boxes_to_image

from tl_detection.training.faster_rcnn_box_only import box_head_losses, candidates_of
from tl_detection.training.ignore_areas import grow, lies_inside

# Two cells of the finest level, at stride 4: features between two cells are mixed of both.
LEAST_PX = 8.0

Targets = list[dict[str, torch.Tensor]]


def honour_ignore_areas(network: FasterRCNN, class_weights: torch.Tensor | None = None) -> None:
    """Make a network's two losses leave ignore areas out; it is changed in place, its weights and results are not.

    Without ignore areas, boxes without a class, seeds and class weights both losses are torchvision's to the last bit.

    Args:
        network: From `build_faster_rcnn`.
        class_weights: (classes + 1,) how much each counts in the box head's loss, the background first; None = alike.
    """
    # Torchvision builds both parts itself and takes no other class for them.
    proposals: Any = network.rpn
    heads: Any = network.roi_heads
    proposals.__class__, heads.__class__ = IgnoringRpn, IgnoringRoiHeads
    heads.class_weights = class_weights
    for part in (proposals, heads):
        former = part.fg_bg_sampler
        part.fg_bg_sampler = SeededSampler(former.batch_size_per_image, former.positive_fraction)


class SeededSampler(BalancedPositiveNegativeSampler):
    """Torchvision's choice of what is learned from, drawn for each image by its own seed.

    Attributes:
        seeds: One per image of the batch; None = drawn from torch's generator, as torchvision does.
        sampled: How many the last call chose, over all images; a number on the device, which nobody waits for.
    """

    seeds: list[int] | None = None
    sampled: torch.Tensor | int = 0

    def __call__(self, matched_idxs: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Choose among labels (1 and above a light's, 0 background, -1 neither) of each image.

        Returns:
            Per image a mask of the chosen lights', and one of the chosen background.
        """
        if self.seeds is None:
            positive, negative = super().__call__(matched_idxs)
        else:
            chosen = [self._choose(labels, seed) for labels, seed in zip(matched_idxs, self.seeds, strict=True)]
            positive, negative = [one for one, _ in chosen], [other for _, other in chosen]
        self.sampled = torch.stack([mask.sum() for masks in (positive, negative) for mask in masks]).sum()
        return positive, negative

    def _choose(self, labels: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator(device=labels.device).manual_seed(seed)
        wanted = int(self.batch_size_per_image * self.positive_fraction)
        positive = _some(labels >= 1, wanted, generator)
        negative = _some(labels == 0, self.batch_size_per_image - int(positive.sum()), generator)
        return positive, negative


def _some(mask: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """At most `count` of what a mask allows."""
    rows = torch.where(mask)[0]
    if len(rows) <= count:
        return mask
    keep = rows[torch.randperm(len(rows), generator=generator, device=mask.device)[:count]]
    return torch.zeros_like(mask).index_fill_(0, keep, True)


class IgnoringRpn(RegionProposalNetwork):
    """The proposal network."""

    # Of the step that is computed: areas per image, lights per image, and which predicted boxes lie in an area.
    _areas: list[torch.Tensor] | None = None
    _lights: list[torch.Tensor]
    _said_of_area: list[torch.Tensor]

    def forward(
        self, images: ImageList, features: dict[str, torch.Tensor], targets: Targets | None = None
    ) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
        """Give proposals and, in training, losses."""
        if self.training and targets is not None and any(len(target["ignore_xyxy"]) for target in targets):
            self._areas = [target["ignore_xyxy"] for target in targets]
            self._lights = [target["boxes"] for target in targets]
        _take_seeds(self.fg_bg_sampler, targets, 0)
        try:
            return super().forward(images, features, targets)
        finally:
            self._areas, self._lights, self._said_of_area = None, [], []

    def filter_proposals(
        self,
        proposals: torch.Tensor,
        objectness: torch.Tensor,
        image_shapes: list[tuple[int, int]],
        num_anchors_per_level: list[int],
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Select proposals; those said of ignore areas come last."""
        if self._areas is None:
            return super().filter_proposals(proposals, objectness, image_shapes, num_anchors_per_level)
        objectness = objectness.detach().reshape(len(proposals), -1).clone()
        self._said_of_area = []
        for number, (areas, lights, size) in enumerate(zip(self._areas, self._lights, image_shapes, strict=True)):
            xyxy = clip_boxes_to_image(proposals[number], size)
            said = is_of_area(xyxy, areas)
            self._said_of_area.append(said)
            rows = said.nonzero().flatten()
            if len(lights):
                rows = rows[box_iou(lights, xyxy[rows]).amax(0) < self.proposal_matcher.high_threshold]
            objectness[number, rows] = -torch.inf
        return super().filter_proposals(proposals, objectness, image_shapes, num_anchors_per_level)

    def assign_targets_to_anchors(
        self, anchors: list[torch.Tensor], targets: Targets
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Label anchors: 1 a light's, 0 background, -1 neither."""
        labels, lights = super().assign_targets_to_anchors(anchors, targets)
        if self._areas is None:
            return labels, lights
        for number, areas in enumerate(self._areas):
            if len(areas):
                free = self._said_of_area[number] | is_of_area(
                    anchors[number], areas, self.proposal_matcher.low_threshold, or_best=True
                )
                labels[number] = labels[number].masked_fill(free & (labels[number] == 0), -1)
        return labels, lights

    def compute_loss(
        self,
        objectness: torch.Tensor,
        pred_bbox_deltas: torch.Tensor,
        labels: list[torch.Tensor],
        regression_targets: list[torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the losses of objectness and boxes."""
        if self._areas is not None and not any(bool((label >= 0).any()) for label in labels):
            self.fg_bg_sampler.sampled = 0  # type: ignore[union-attr]
            return objectness.sum() * 0, pred_bbox_deltas.sum() * 0
        return super().compute_loss(objectness, pred_bbox_deltas, labels, regression_targets)


class IgnoringRoiHeads(RoIHeads):
    """The box head.

    Attributes:
        class_weights: See `honour_ignore_areas`.
        sampled: Proposals that the last loss was computed on.
    """

    class_weights: torch.Tensor | None = None
    sampled: int = 0
    _areas: list[torch.Tensor] | None = None

    def forward(
        self,
        features: dict[str, torch.Tensor],
        proposals: list[torch.Tensor],
        image_shapes: list[tuple[int, int]],
        targets: Targets | None = None,
    ) -> tuple[list[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
        """Give detections or, in training, losses."""
        if not self.training or targets is None:
            return super().forward(features, proposals, image_shapes, targets)
        self._areas = None
        if any(len(target["ignore_xyxy"]) for target in targets):
            self._areas = [target["ignore_xyxy"] for target in targets]
        _take_seeds(self.fg_bg_sampler, targets, 1)
        try:
            proposals, _, labels, offsets = self.select_training_samples(proposals, targets)
        finally:
            self._areas = None
        self.sampled = sum(len(each) for each in labels)
        logits, said = self.box_predictor(self.box_head(self.box_roi_pool(features, proposals, image_shapes)))
        if not self.sampled:
            return [], {"loss_classifier": logits.sum() * 0, "loss_box_reg": said.sum() * 0}
        if any(len(target.get("candidates", ())) for target in targets):
            sets = [target["candidates"] for target in targets]
            candidates = torch.cat([candidates_of(*of_image) for of_image in zip(labels, sets, strict=True)])
            losses = box_head_losses(logits, said, candidates, torch.cat(offsets), self.class_weights)
            return [], dict(zip(("loss_classifier", "loss_box_reg"), losses, strict=True))
        classifier, box_reg = fastrcnn_loss(logits, said, labels, offsets)
        if self.class_weights is not None:
            # Divided by the number of samples, not by their weights: a rare class does not make the others cheaper.
            weights = self.class_weights.to(logits)
            classifier = functional.cross_entropy(logits, torch.cat(labels), weights, reduction="sum") / self.sampled
        return [], {"loss_classifier": classifier, "loss_box_reg": box_reg}

    def assign_targets_to_proposals(
        self, proposals: list[torch.Tensor], gt_boxes: list[torch.Tensor], gt_labels: list[torch.Tensor]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Label proposals: above 0 a light's, 0 background, -1 neither."""
        lights, labels = super().assign_targets_to_proposals(proposals, gt_boxes, gt_labels)
        if self._areas is None:
            return lights, labels
        for number, areas in enumerate(self._areas):
            if len(areas):
                free = is_of_area(proposals[number], areas, self.proposal_matcher.low_threshold)
                labels[number] = labels[number].masked_fill(free & (labels[number] == 0), -1)
        return lights, labels


def _take_seeds(sampler: Any, targets: Targets | None, stream: int) -> None:
    """Give a sampler the seeds that the targets bring; the two stages draw from streams of their own."""
    seeds = None
    if targets is not None and all("seed" in target for target in targets):
        seeds = [(int(target["seed"]) + stream) % 2**63 for target in targets]
    sampler.seeds = seeds


def is_of_area(
    xyxy: torch.Tensor, areas: torch.Tensor, least_iou: float | None = None, *, or_best: bool = False
) -> torch.Tensor:
    """Say which boxes lie in a grown area with half of their own, or overlap an area well.

    Args:
        xyxy: (N, 4).
        areas: (M, 4).
        least_iou: Also those with this overlap with an area as it is; None = not asked.
        or_best: Also those that overlap an area best of all; an area that none overlaps has no best.

    Returns:
        (N,) bool.
    """
    large = grow(areas, LEAST_PX)
    # Only pairs that meet are looked at: of a hundred thousand anchors few meet any of some small areas.
    x1, y1, x2, y2 = xyxy.T.contiguous()
    meets = x1 < large[:, 2, None]
    meets &= x2 > large[:, 0, None]
    meets &= y1 < large[:, 3, None]
    meets &= y2 > large[:, 1, None]
    area, box = meets.nonzero(as_tuple=True)
    hit = lies_inside(xyxy[box], large[area])
    if least_iou is not None:
        iou = _pair_iou(xyxy[box], areas[area])
        hit |= iou >= least_iou
        if or_best:
            best = iou.new_zeros(len(areas)).scatter_reduce(0, area, iou, "amax")
            hit |= (iou == best[area]) & (iou > 0)
    found = torch.zeros(len(xyxy), dtype=torch.bool, device=xyxy.device)
    found[box[hit]] = True
    return found


def _pair_iou(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    sides = torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])
    common = sides.clamp(min=0).prod(dim=1)
    union = (one[:, 2:] - one[:, :2]).prod(dim=1) + (other[:, 2:] - other[:, :2]).prod(dim=1) - common
    return common / union
