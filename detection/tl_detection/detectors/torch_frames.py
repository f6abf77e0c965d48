"""Between frames and a torch network: the letterbox on the way in, its inverse on the way out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tl_datasets.letterbox import Placement, letterbox
from tl_detection.detector import Detections, Image


def to_batch(
    images: Sequence[Image], width_px: int, height_px: int, device: torch.device
) -> tuple[torch.Tensor, list[Placement]]:
    """Lay frames of any size into one batch.

    Returns:
        (B, 3, height_px, width_px) float32 RGB in [0, 1] on the device, and where each frame lies.
    """
    canvases, placements = zip(*(letterbox(image, width_px, height_px) for image in images), strict=True)
    stacked = torch.from_numpy(np.ascontiguousarray(np.stack(canvases).transpose(0, 3, 1, 2)))
    return stacked.to(device).float() / 255, list(placements)


def to_detections(
    xyxy: torch.Tensor, score: torch.Tensor, class_id: torch.Tensor, placement: Placement, image: Image
) -> Detections:
    """Bring boxes of the canvas into the frame's pixels, cut at its edges; boxes outside the frame vanish.

    Args:
        xyxy: (N, 4) network pixels.
        score: (N,) in [0, 1].
        class_id: (N,) 0-based.
        placement: Where the frame lies.
        image: The frame, for its size.
    """
    height, width = image.shape[:2]
    boxes = placement.to_frame(xyxy.detach().float().cpu().numpy())
    boxes = np.clip(boxes, 0, np.array([width, height, width, height], dtype=np.float64)).astype(np.float32)
    keep = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return Detections(
        xyxy=boxes[keep],
        score=score.detach().float().cpu().numpy().clip(0, 1)[keep],
        class_id=class_id.detach().cpu().numpy()[keep],
    )
