"""The YOLO part of an exported file: what `detectors.yolo.YoloDetector` does, with fixed shapes."""

from __future__ import annotations

import torch
from torch import nn

from tl_detection.detectors import yolo
from tl_detection.detectors.suppression import overlap_limits
from tl_detection.export.graph import GraphWriter
from tl_detection.export.network import trace
from tl_detection.export.postprocess import Candidates, write_suppression


class YoloCandidates(nn.Module):
    """A network and the choice of its best candidates.

    One-to-many heads: every point and class is a candidate of its own; the best ones are taken. End-to-end heads give
    the candidates themselves.
    """

    def __init__(self, detector: yolo.YoloDetector):
        super().__init__()
        self.network = yolo.RawPrediction(detector.module)
        self.end_to_end = detector.end_to_end

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(1, 3, H, W) in [0, 1] to (N, 4) xyxy, (N,) score, (N,) class id."""
        raw = self.network(images)[0]
        if self.end_to_end:
            return raw[:, :4], raw[:, 4], raw[:, 5].to(torch.int64)
        scores = raw[4:].T
        n_classes = scores.shape[1]
        best = min(yolo.MAX_CANDIDATES, scores.numel())
        score, position = scores.flatten().topk(best)
        cxcywh = raw[:4].T[position // n_classes]
        centre, half = cxcywh[:, :2], cxcywh[:, 2:] / 2
        return torch.cat([centre - half, centre + half], dim=1), score, position % n_classes


def write_yolo(graph: GraphWriter, tensor: str, detector: yolo.YoloDetector) -> Candidates:
    """Write a YOLO with its suppression.

    Args:
        graph: Written to.
        tensor: Name of the (1, 3, H, W) float32 RGB input in [0, 1].
        detector: On the CPU, in eval mode.

    Returns:
        `detector.max_detections` boxes in network pixels.
    """
    example = torch.zeros(1, 3, detector.height_px, detector.width_px)
    module = YoloCandidates(detector)
    with torch.no_grad():
        module(example)  # the head lays its grid of points at the first call; from then on it is a constant
    model = trace(module, [example], ["xyxy", "score", "class_id"])
    xyxy, score, class_id = graph.inline(model, "network", [tensor])
    groups = detector.label_space.groups
    return write_suppression(
        graph,
        Candidates(xyxy=xyxy, score=score, class_id=class_id),
        groups=groups,
        limits=overlap_limits(groups, yolo.TWIN_IOU if detector.end_to_end else yolo.NMS_IOU),
        score_threshold=yolo.SCORE_THRESHOLD,
        n_kept=detector.max_detections,
    )
