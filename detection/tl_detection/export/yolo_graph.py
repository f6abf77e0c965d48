"""The YOLO part of an exported file: what `detectors.yolo.YoloDetector` does, with fixed shapes."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import nn

from tl_detection.detectors import yolo
from tl_detection.detectors.suppression import overlap_limits
from tl_detection.export.byte_input import BYTE, take_bytes
from tl_detection.export.graph import GraphWriter
from tl_detection.export.network import trace
from tl_detection.export.postprocess import Candidates, write_suppression
from tl_detection.export.split_layers import split_layers


class YoloScores(nn.Module):
    """A network, its boxes as corners and a score per class: the form that both kinds of heads share."""

    def __init__(self, detector: yolo.YoloDetector):
        super().__init__()
        self.network = yolo.RawPrediction(detector.module)
        self.end_to_end = detector.end_to_end
        self.n_classes = len(detector.label_space)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 3, H, W) in [0, 1] to (B, A, 4) xyxy in network pixels and (B, A, C) scores."""
        raw = self.network(images)
        if self.end_to_end:
            classes = torch.arange(self.n_classes, dtype=raw.dtype)
            return raw[..., :4], torch.where(raw[..., 5:] == classes, raw[..., 4:5], 0)
        centre, half = raw[:, :2].mT, raw[:, 2:4].mT / 2
        return torch.cat([centre - half, centre + half], dim=2), raw[:, 4:].mT


class YoloCandidates(nn.Module):
    """A network and the choice of its best candidates.

    One-to-many heads: every point and class is a candidate of its own; the best ones are taken, and their boxes alone
    are decoded: the softmax over the distances of all points is a tenth of a small network's time. Logits have the
    order of their scores, so that these are the candidates that a decoded prediction gives. End-to-end heads give the
    candidates themselves.
    """

    def __init__(self, detector: yolo.YoloDetector):
        super().__init__()
        self.network = yolo.RawPrediction(detector.module)
        self.end_to_end = detector.end_to_end
        layers: Any = detector.module.model
        head = layers[-1]
        self.reg_max = int(head.reg_max)
        if not self.end_to_end:
            # The head lays its grid of points at its first call.
            with torch.no_grad():
                self.network(torch.zeros(1, 3, detector.height_px, detector.width_px))
            self.register_buffer("points", head.anchors.T.contiguous())
            self.register_buffer("strides", head.strides.T.contiguous())
            if self.reg_max > 1:  # the distance of each bin, 0, 1, 2 ... strides, as the checkpoint has them
                self.register_buffer("steps", head.dfl.conv.weight.detach().reshape(-1, 1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, 3, H, W) in [0, 1] to (B, N, 4) xyxy, (B, N) score, (B, N) class id, and (B,) a sum of what it gave.

        The sum is finite if every number is.
        """
        if self.end_to_end:
            raw = self.network(images)
            return raw[..., :4], raw[..., 4], raw[..., 5].to(torch.int64), raw.flatten(1).sum(1)
        distances, logits = self.network.undecoded(images)
        batch, n_points, n_classes = logits.shape
        total = distances.flatten(1).sum(1) + logits.flatten(1).sum(1)
        flat = logits.flatten(1)
        logit, position = flat.topk(min(yolo.MAX_CANDIDATES, flat.shape[1]))
        point = position // n_classes
        # Whole rows are copied, which single values in the place of an index are not.
        first = torch.arange(batch)[:, None] * n_points
        chosen = distances.flatten(0, 1).index_select(0, (first + point).flatten()).reshape(batch, -1, 4 * self.reg_max)
        if self.reg_max > 1:
            # As one product of two matrices: onnxruntime takes more axes for as many small products.
            shares = chosen.reshape(-1, self.reg_max).softmax(-1)
            chosen = (shares @ cast(torch.Tensor, self.steps)).reshape(batch, -1, 4)
        centre = cast(torch.Tensor, self.points)[point]
        xyxy = torch.cat([centre - chosen[..., :2], centre + chosen[..., 2:]], dim=2)
        return xyxy * cast(torch.Tensor, self.strides)[point], logit.sigmoid(), position % n_classes, total


def write_yolo(graph: GraphWriter, tensor: str, detector: yolo.YoloDetector, batch: int) -> list[Candidates]:
    """Write a YOLO with its suppression.

    Args:
        graph: Written to.
        tensor: Name of the (B, 3, H, W) float32 RGB input in [0, 255].
        detector: On the CPU, in eval mode.
        batch: B.

    Returns:
        For each frame `detector.max_detections` boxes in network pixels.
    """
    example = torch.zeros(batch, 3, detector.height_px, detector.width_px)
    module = YoloCandidates(detector)
    with torch.no_grad():
        module(example)  # the head lays its grid of points at the first call; from then on it is a constant
    model = split_layers(trace(module, [example], ["xyxy", "score", "class_id", "total"]))
    if not take_bytes(model):
        tensor = graph.op("Div", tensor, graph.constant(BYTE, np.float32))
    outputs = graph.inline(model, "network", [tensor])
    groups = detector.label_space.groups
    found = []
    for frame in range(batch):
        xyxy, score, class_id, total = (graph.row(value, frame) for value in outputs)
        kept = write_suppression(
            graph,
            Candidates(xyxy=xyxy, score=score, class_id=class_id, total=total),
            groups=groups,
            limits=overlap_limits(groups, yolo.TWIN_IOU if detector.end_to_end else yolo.NMS_IOU),
            score_threshold=yolo.SCORE_THRESHOLD,
            n_kept=detector.max_detections,
        )
        found.append(kept)
    return found


def write_raw_yolo(graph: GraphWriter, tensor: str, detector: yolo.YoloDetector, batch: int) -> tuple[str, str]:
    """Write a YOLO alone: names of its (B, A, 4) xyxy in network pixels and (B, A, C) scores."""
    example = torch.zeros(batch, 3, detector.height_px, detector.width_px)
    module = YoloScores(detector)
    with torch.no_grad():
        module(example)
    model = split_layers(trace(module, [example], ["boxes", "scores"]))
    boxes, scores = graph.inline(model, "network", [tensor])
    return boxes, scores
