"""Box arithmetic. Inside the program a box is float pixels, `xyxy`, half-open; other layouts exist at the doors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.floating]
BoolArray = NDArray[np.bool_]

# A box that loses more than this share of its area to the image edge counts as truncated.
TRUNCATED_SHARE = 0.02


def xyxy_from_xywh(xywh: Boxes) -> Boxes:
    """Convert (N, 4) left, top, width, height to (N, 4) left, top, right, bottom."""
    xywh = np.asarray(xywh, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def xywh_from_xyxy(xyxy: Boxes) -> Boxes:
    """Convert (N, 4) left, top, right, bottom to (N, 4) left, top, width, height."""
    xyxy = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)


def xyxy_from_cxcywh(cxcywh: Boxes) -> Boxes:
    """Convert (N, 4) centre x, centre y, width, height to (N, 4) left, top, right, bottom."""
    cxcywh = np.asarray(cxcywh, dtype=np.float64).reshape(-1, 4)
    half = cxcywh[:, 2:] / 2
    return np.concatenate([cxcywh[:, :2] - half, cxcywh[:, :2] + half], axis=1)


def cxcywh_from_xyxy(xyxy: Boxes) -> Boxes:
    """Convert (N, 4) left, top, right, bottom to (N, 4) centre x, centre y, width, height."""
    xyxy = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([(xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]], axis=1)


def area(xyxy: Boxes) -> NDArray[np.float64]:
    """Area of (N, 4) boxes in square pixels, (N,); an inverted box has 0."""
    xyxy = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4)
    return np.prod(np.clip(xyxy[:, 2:] - xyxy[:, :2], 0, None), axis=1)


def clip(xyxy: Boxes, width_px: int, height_px: int) -> tuple[Boxes, BoolArray]:
    """Clip boxes to the image.

    Args:
        xyxy: (N, 4) pixels, half-open.
        width_px: Image width; x runs in [0, width_px].
        height_px: Image height; y runs in [0, height_px].

    Returns:
        (N, 4) clipped boxes, and (N,) true where more than 2% of the area was cut away.
    """
    xyxy = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4)
    clipped = np.clip(xyxy, 0, np.array([width_px, height_px, width_px, height_px], dtype=np.float64))
    return clipped, area(clipped) < (1 - TRUNCATED_SHARE) * area(xyxy)


def iou(first_xyxy: Boxes, second_xyxy: Boxes) -> NDArray[np.float64]:
    """Intersection over union of (N, 4) and (M, 4) boxes, (N, M) in [0, 1]."""
    first = np.asarray(first_xyxy, dtype=np.float64).reshape(-1, 4)
    second = np.asarray(second_xyxy, dtype=np.float64).reshape(-1, 4)
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    intersection = np.prod(np.clip(bottom_right - top_left, 0, None), axis=2)
    union = area(first)[:, None] + area(second)[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
