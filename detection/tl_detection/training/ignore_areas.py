"""What both trainers share about ignore areas: which boxes lie in one.

An area hides something that was not labelled, or a light of which too little is left. What a detector says of it is
unknown to be right or wrong, so the predictions that a correct detection of it could come from have no part in the
loss as background. Most such areas are as small as the lights that they hide, smaller than a cell of the network;
hence they are grown to the size at which the network can place anything at all.
"""

from __future__ import annotations

import torch

# A prediction lies in an area if at least this share of its own box does.
SHARE_INSIDE = 0.5


def grow(areas: torch.Tensor, least_px: float) -> torch.Tensor:
    """Widen areas about their centres until no side is shorter than `least_px`.

    Args:
        areas: (..., 4) xyxy.
        least_px: In pixels of the areas.
    """
    centre = (areas[..., :2] + areas[..., 2:]) / 2
    half = (areas[..., 2:] - areas[..., :2]).clamp(min=least_px) / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def lies_inside(xyxy: torch.Tensor, areas: torch.Tensor) -> torch.Tensor:
    """Say which boxes lie in an area with at least `SHARE_INSIDE` of their own area.

    Args:
        xyxy: (..., 4); a box without area lies in none.
        areas: (..., 4), broadcast against the boxes.

    Returns:
        (...) bool.
    """
    width = torch.minimum(xyxy[..., 2], areas[..., 2]) - torch.maximum(xyxy[..., 0], areas[..., 0])
    height = torch.minimum(xyxy[..., 3], areas[..., 3]) - torch.maximum(xyxy[..., 1], areas[..., 1])
    own_width, own_height = xyxy[..., 2] - xyxy[..., 0], xyxy[..., 3] - xyxy[..., 1]
    common = width.clamp_(min=0) * height.clamp_(min=0)
    return (common >= SHARE_INSIDE * own_width * own_height) & (own_width > 0) & (own_height > 0)
