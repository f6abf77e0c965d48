"""A housing at another size, brightness and blur, and how it is blended into a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.augment.lamp_cutout import GAMMA, LEAST_STEP

Floats = NDArray[np.float32]

# Percentile of the steps between pixels that are edges. How much these steps change from pixel to pixel, as a share of
# themselves, says how blurred they are: medians of the surroundings of 139 heads of BDD100K, blurred by so many pixels.
_EDGES = 97
_BLUR_BY_SHARPNESS = (0.39, 0.57, 0.73, 0.92, 1.05), (2.0, 1.2, 0.8, 0.5, 0.0)
# Blur of a lens and sensor in pixels of their own image; a smaller copy is blurred by what it lacks.
_OPTICAL_BLUR_PX, _LEAST_BLUR_PX = 0.6, 0.2
_TO_LINEAR: Floats = ((np.arange(256) / 255) ** GAMMA).astype(np.float32)


def blur_around(image: NDArray[np.uint8], xyxy: NDArray[np.float64]) -> float:
    """How blurred the surroundings of a box are, as a standard deviation in pixels, 0 to 2; 0 = as sharp as frames are.

    Args:
        image: (H, W, 3) uint8, the whole frame.
        xyxy: (4,) the box; its own size is looked at above and below, twice that at the sides.
    """
    x1, y1, x2, y2 = xyxy.astype(int).tolist()
    width, height = x2 - x1, y2 - y1
    green = image[max(0, y1 - height) : y2 + height, max(0, x1 - 2 * width) : x2 + 2 * width, 1]
    step = np.diff(green.astype(np.float32), axis=1)
    bend = np.abs(np.diff(step, axis=1))
    if not bend.size:
        return 0.0
    clearest = float(np.percentile(np.abs(step), _EDGES))
    if clearest < LEAST_STEP:
        return 0.0
    return float(np.interp(float(np.percentile(bend, _EDGES)) / clearest, *_BLUR_BY_SHARPNESS))


def resized(pixels: NDArray[np.uint8], width_px: int, height_px: int, gain: float, blur_px: float = 0.0) -> Floats:
    """A housing at another size and brightness.

    Args:
        pixels: (h, w, 3) uint8 RGB of the housing.
        width_px: New width.
        height_px: New height.
        gain: Factor in linear light, the same for all channels; what would be brighter than white keeps its hue.
        blur_px: Blur to add, as a standard deviation in new pixels, beside what a smaller copy lacks.

    Returns:
        (height_px, width_px, 3) float32 in [0, 255].
    """
    scale = height_px / pixels.shape[0]
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    patch: NDArray[np.uint8] = cv2.resize(pixels, (width_px, height_px), interpolation=kind)  # type: ignore[assignment]
    lacking = math.hypot(_OPTICAL_BLUR_PX * math.sqrt(max(0.0, 1 - scale**2)), blur_px)
    if lacking > _LEAST_BLUR_PX:
        patch = cv2.GaussianBlur(patch, (0, 0), lacking, borderType=cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    linear = _TO_LINEAR[patch] * np.float32(gain)
    linear /= np.maximum(linear.max(axis=2, keepdims=True), 1)
    return 255 * linear ** np.float32(1 / GAMMA)


def soft_mask(width_px: int, height_px: int) -> Floats:
    """(height_px, width_px, 1) weights of a housing: 1 inside, falling to 0 within its outer one or two pixels."""
    feather = 1.0 if height_px < 40 else 2.0
    across = np.minimum(np.arange(width_px) + 0.5, np.arange(width_px)[::-1] + 0.5) / feather
    down = np.minimum(np.arange(height_px) + 0.5, np.arange(height_px)[::-1] + 0.5) / feather
    mask = np.minimum(across, 1)[None, :] * np.minimum(down, 1)[:, None]
    return mask.astype(np.float32)[:, :, None]


def seam(patch: Floats, under: NDArray[np.uint8], is_outline: Sequence[bool]) -> float:
    """How visible the rim of a patch is on what lies under it.

    Args:
        patch: (H, W, 3) in [0, 255], what is laid over.
        under: (H, W, 3) what lies under it.
        is_outline: Left, top, right and bottom side: true where patch and image have the outline of a housing, which
            may be seen.

    Returns:
        The median difference along a side, one pixel inside, of 255: the largest of the sides without outline.
    """
    difference = np.abs(patch - under).mean(axis=2)
    sides = (difference[:, 1], difference[1], difference[:, -2], difference[-2])
    return max((float(np.median(side)) for side, seen in zip(sides, is_outline, strict=True) if not seen), default=0.0)
