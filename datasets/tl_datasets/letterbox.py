"""Letterbox: how a frame of any size is laid into the network's input, and how boxes come back.

The frame is scaled by one factor, centred, and the rest filled with grey. Both detectors, training, and the exported
graph follow this one rule: scaled size rounded half up, left and top padding rounded down, bilinear with half-pixel
centres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# Grey of the padding, also painted over ignore areas: it is what ultralytics' own weights were trained with.
PAD_VALUE = 114


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a frame lies in the canvas, in pixels.

    Attributes:
        scale: Canvas pixels per frame pixel.
        left: Columns of padding before the frame.
        top: Rows of padding above the frame.
        width_px: Width of the scaled frame.
        height_px: Height of the scaled frame.
    """

    scale: float
    left: int
    top: int
    width_px: int
    height_px: int

    def to_canvas(self, xyxy: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 4) boxes of the frame in canvas pixels."""
        offset = np.array([self.left, self.top, self.left, self.top], dtype=np.float64)
        return np.asarray(xyxy, dtype=np.float64).reshape(-1, 4) * self.scale + offset

    def to_frame(self, xyxy: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 4) boxes of the canvas in frame pixels, not clipped."""
        offset = np.array([self.left, self.top, self.left, self.top], dtype=np.float64)
        return (np.asarray(xyxy, dtype=np.float64).reshape(-1, 4) - offset) / self.scale


def place(frame_width_px: int, frame_height_px: int, canvas_width_px: int, canvas_height_px: int) -> Placement:
    """Find the largest centred placement of a frame in a canvas; frames smaller than the canvas are enlarged."""
    scale = min(canvas_width_px / frame_width_px, canvas_height_px / frame_height_px)
    width = min(canvas_width_px, max(1, math.floor(frame_width_px * scale + 0.5)))
    height = min(canvas_height_px, max(1, math.floor(frame_height_px * scale + 0.5)))
    return Placement(
        scale=scale,
        left=(canvas_width_px - width) // 2,
        top=(canvas_height_px - height) // 2,
        width_px=width,
        height_px=height,
    )


def letterbox(
    image: NDArray[np.uint8], canvas_width_px: int, canvas_height_px: int
) -> tuple[NDArray[np.uint8], Placement]:
    """Lay an (H, W, 3) image into a (canvas_height_px, canvas_width_px, 3) canvas.

    Returns:
        The canvas, and where the frame lies in it.
    """
    height, width = image.shape[:2]
    placement = place(width, height, canvas_width_px, canvas_height_px)
    if (placement.width_px, placement.height_px) == (canvas_width_px, canvas_height_px) == (width, height):
        return image, placement
    canvas = np.full((canvas_height_px, canvas_width_px, 3), PAD_VALUE, dtype=np.uint8)
    inside = canvas[
        placement.top : placement.top + placement.height_px, placement.left : placement.left + placement.width_px
    ]
    inside[:] = cv2.resize(image, (placement.width_px, placement.height_px), interpolation=cv2.INTER_LINEAR)
    return canvas, placement
