"""The Faster R-CNN part of an exported file: what torchvision does in eval mode, with fixed shapes.

Torchvision chooses boxes by masks, so that an empty frame leads to arrays without rows, on which runtimes fail. Here
the number of proposals is fixed; a row that holds nothing has a score below every threshold and is dropped at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers
from torchvision.ops import MultiScaleRoIAlign, roi_align

from tl_detection.detectors.faster_rcnn import NMS_IOU, FasterRcnnDetector
from tl_detection.detectors.suppression import overlap_limits
from tl_detection.export.byte_input import BYTE
from tl_detection.export.graph import GraphWriter
from tl_detection.export.network import trace
from tl_detection.export.postprocess import NOTHING, Candidates, write_suppression

# Torchvision drops final boxes whose sides are shorter, in network pixels.
_SMALLEST_BOX_PX = 1e-2


class Proposals(nn.Module):
    """Backbone, pyramid and region proposals up to, but without, their suppression."""

    def __init__(self, network: FasterRCNN, width_px: int, height_px: int):
        super().__init__()
        self.transform, self.backbone = network.transform, network.backbone
        self.rpn = cast(RegionProposalNetwork, network.rpn)
        self.width_px, self.height_px = width_px, height_px
        example = torch.zeros(1, 3, height_px, width_px)
        with torch.no_grad():
            features = list(self.backbone(example).values())
            anchors = self.rpn.anchor_generator(ImageList(example, [(height_px, width_px)]), features)
        self.register_buffer("anchors", anchors[0])

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Propose.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Returns:
            (B, N, 4) xyxy, (B, N) score, (B, N) level, (B,) a sum of what the network gave, and the feature maps.
        """
        features = list(self.backbone(self.transform(images)[0].tensors).values())
        objectness, deltas = self.rpn.head(features)
        batch = images.shape[0]
        n_by_level = [level.shape[1] * level.shape[2] * level.shape[3] for level in objectness]
        total = sum((values.flatten(1).sum(1) for values in (*objectness, *deltas)), torch.zeros(batch))
        flat, deltas = concat_box_prediction_layers(objectness, deltas)
        anchors = cast(torch.Tensor, self.anchors)
        xyxy = self.rpn.box_coder.decode(deltas, [anchors] * batch).reshape(batch, -1, 4)
        flat = flat.reshape(batch, -1)
        best, levels, start = [], [], 0
        for level, n in enumerate(n_by_level):
            kept = min(n, self.rpn.pre_nms_top_n())
            best.append(flat[:, start : start + n].topk(kept)[1] + start)
            levels.append(torch.full((batch, kept), level, dtype=torch.int64))
            start += n
        rows = torch.cat(best, dim=1)
        xyxy = _clip(xyxy.gather(1, rows[..., None].expand(-1, -1, 4)), self.width_px, self.height_px)
        score = torch.sigmoid(flat.gather(1, rows))
        holds = _has_size(xyxy, self.rpn.min_size) & (score >= self.rpn.score_thresh)
        return xyxy, torch.where(holds, score, NOTHING), torch.cat(levels, dim=1), total, *features


class Heads(nn.Module):
    """Pooling at the proposals, and the two heads, up to the suppression of their boxes."""

    def __init__(self, network: FasterRCNN, width_px: int, height_px: int):
        super().__init__()
        self.roi_heads = cast(RoIHeads, network.roi_heads)
        self.pool = cast(MultiScaleRoIAlign, self.roi_heads.box_roi_pool)
        self.names = [name for name in network.backbone.levels if name in self.pool.featmap_names]  # type: ignore[operator, union-attr]
        self.width_px, self.height_px = width_px, height_px

    def forward(
        self, proposals: torch.Tensor, proposal_score: torch.Tensor, *features: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, P, 4), (B, P) and the pooled feature maps to the boxes of each proposal and class.

        Returns:
            (B, P * C, 4) xyxy, (B, P * C) score, (B, P * C) 0-based class id, and (B,) a sum of what the network gave,
            which is finite if every number is.
        """
        batch, n_proposals = proposal_score.shape
        flat = proposals.reshape(-1, 4)
        logits, deltas = self.roi_heads.box_predictor(self.roi_heads.box_head(self._pooled(proposals, features)))
        n_classes = logits.shape[1] - 1
        xyxy = self.roi_heads.box_coder.decode(deltas, [flat])[:, 1:].reshape(batch, -1, 4)
        xyxy = _clip(xyxy, self.width_px, self.height_px)
        score = torch.softmax(logits, -1)[:, 1:].reshape(batch, -1)
        holds = (proposal_score > NOTHING / 2)[..., None].expand(-1, -1, n_classes).flatten(1)
        holds = holds & _has_size(xyxy, _SMALLEST_BOX_PX)
        class_id = torch.arange(n_classes)[None, None].expand(batch, n_proposals, -1).flatten(1)
        total = logits.reshape(batch, -1).sum(1) + deltas.reshape(batch, -1).sum(1)
        return xyxy, torch.where(holds, score, NOTHING), class_id, total

    def _pooled(self, proposals: torch.Tensor, features: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Pool every proposal on every level and take the level that its size asks for."""
        scales, map_levels = cast(list[float], self.pool.scales), self.pool.map_levels
        frame = torch.arange(proposals.shape[0], dtype=proposals.dtype)[:, None, None].expand(-1, proposals.shape[1], 1)
        rois = torch.cat([frame, proposals], dim=2).reshape(-1, 5)
        by_level = [
            roi_align(feature, rois, self.pool.output_size, scale, self.pool.sampling_ratio)
            for feature, scale in zip(features, scales, strict=True)
        ]
        pooled = by_level[0]
        if len(by_level) > 1 and map_levels is not None:
            level = map_levels([rois[:, 1:]])[:, None, None, None]
            for number, values in enumerate(by_level[1:], start=1):
                pooled = torch.where(level == number, values, pooled)
        return pooled


def _clip(xyxy: torch.Tensor, width_px: int, height_px: int) -> torch.Tensor:
    x, y = xyxy[..., 0::2].clamp(0, width_px), xyxy[..., 1::2].clamp(0, height_px)
    return torch.stack([x, y], dim=-1).flatten(-2)


def _has_size(xyxy: torch.Tensor, side_px: float) -> torch.Tensor:
    """True where both sides have at least this length."""
    size = xyxy[..., 2:] - xyxy[..., :2]
    return (size[..., 0] >= side_px) & (size[..., 1] >= side_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Boxes:
    """Names of the values of all proposals and classes, frame by frame."""

    xyxy: str
    score: str
    class_id: str
    total: str


def _write_network(graph: GraphWriter, tensor: str, detector: FasterRcnnDetector, batch: int) -> _Boxes:
    """Write everything up to, but without, the suppression of the final boxes."""
    network = detector.network
    rpn = cast(RegionProposalNetwork, network.rpn)
    example = torch.zeros(batch, 3, detector.height_px, detector.width_px)
    with torch.no_grad():
        network.eval()(example)  # the pooling finds the scales of its levels at the first call
        first = Proposals(network, detector.width_px, detector.height_px).eval()
        features = first(example)[4:]
    level_names = [f"level_{number}" for number in range(len(features))]
    model = trace(first, [example], ["xyxy", "score", "level", "total", *level_names])
    xyxy, score, level, proposed, *maps = graph.inline(model, "proposals", [tensor])
    n_proposals = rpn.post_nms_top_n()
    levels = range(len(features))
    proposals = [
        write_suppression(
            graph,
            Candidates(
                xyxy=graph.row(xyxy, frame),
                score=graph.row(score, frame),
                class_id=graph.row(level, frame),
                total=proposed,
            ),
            groups=levels,
            limits=dict.fromkeys(levels, float(rpn.nms_thresh)),
            score_threshold=None,
            n_kept=n_proposals,
        )
        for frame in range(batch)
    ]
    second = Heads(network, detector.width_px, detector.height_px).eval()
    pooled = len(second.names)
    examples = [torch.zeros(batch, n_proposals, 4), torch.zeros(batch, n_proposals), *features[:pooled]]
    model = trace(second, examples, ["xyxy", "score", "class_id", "total"])
    first_axis = graph.constant([0], np.int64)
    stacked = [
        graph.op("Concat", *(graph.op("Unsqueeze", value, first_axis) for value in values), axis=0)
        for values in ([found.xyxy for found in proposals], [found.score for found in proposals])
    ]
    xyxy, score, class_id, total = graph.inline(model, "heads", [*stacked, *maps[:pooled]])
    return _Boxes(xyxy=xyxy, score=score, class_id=class_id, total=graph.op("Add", proposed, total))


def write_faster_rcnn(graph: GraphWriter, tensor: str, detector: FasterRcnnDetector, batch: int) -> list[Candidates]:
    """Write a Faster R-CNN with its suppressions: of proposals, of boxes of a class, and of states of a lamp.

    Args:
        graph: Written to.
        tensor: Name of the (B, 3, H, W) float32 RGB input in [0, 255].
        detector: On the CPU, in eval mode.
        batch: B.

    Returns:
        For each frame as many boxes in network pixels as the network reports at most.
    """
    roi_heads = cast(RoIHeads, detector.network.roi_heads)
    boxes = _write_network(graph, graph.op("Div", tensor, graph.constant(BYTE, np.float32)), detector, batch)
    by_class, groups = range(len(detector.label_space)), detector.label_space.groups
    results = []
    for frame in range(batch):
        found = write_suppression(
            graph,
            Candidates(
                xyxy=graph.row(boxes.xyxy, frame),
                score=graph.row(boxes.score, frame),
                class_id=graph.row(boxes.class_id, frame),
                total=graph.row(boxes.total, frame),
            ),
            groups=by_class,
            limits=dict.fromkeys(by_class, float(roi_heads.nms_thresh)),
            score_threshold=roi_heads.score_thresh,
            n_kept=roi_heads.detections_per_img,
        )
        found = write_suppression(
            graph,
            found,
            groups=groups,
            limits=overlap_limits(groups, NMS_IOU),
            score_threshold=None,
            n_kept=roi_heads.detections_per_img,
        )
        results.append(found)
    return results


def write_raw_faster_rcnn(graph: GraphWriter, tensor: str, detector: FasterRcnnDetector, batch: int) -> tuple[str, str]:
    """Write a Faster R-CNN without its last suppression: names of (B, A, 4) xyxy, network pixels, and (B, A, C) scores.

    Each proposal has a box of its own for each class, so that A is proposals times classes; a box has a score for its
    class alone, the others are 0.
    """
    boxes = _write_network(graph, tensor, detector, batch)
    classes = graph.constant(np.arange(len(detector.label_space)), np.int64)
    last = graph.constant([2], np.int64)
    is_own = graph.op("Equal", graph.op("Unsqueeze", boxes.class_id, last), classes)
    zero = graph.constant(0, np.float32)
    score = graph.op("Max", boxes.score, zero)
    return boxes.xyxy, graph.op("Where", is_own, graph.op("Unsqueeze", score, last), zero)
