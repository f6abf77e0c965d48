"""`Sprite`: a small picture with coverage, painted at any size and sub-pixel place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A sprite warped to image pixels: (h, w, 4) RGB premultiplied by alpha, (h, w) alpha, (h, w) housing mask."""

    rgba: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    housing: NDArray[np.uint8] | None


class Sprite:
    """A picture with coverage.

    Args:
        rgb: (h, w, 3) uint8 colours.
        alpha: (h, w) uint8 coverage.
        housing: (h, w) uint8 mask of a signal head's housing; None for any other thing.
    """

    def __init__(self, rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], housing: NDArray[np.uint8] | None = None):
        premultiplied = cv2.multiply(rgb, cv2.merge([alpha] * 3), scale=1 / 255)
        self._rgba = np.asarray(cv2.merge([premultiplied, alpha]), np.uint8)
        self._housing = housing
        self.height_px, self.width_px = alpha.shape

    @cached_property
    def _levels(self) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8] | None]]:
        """The sprite at full, half, quarter ... size, so that a small image of it is no sample of single pixels."""
        levels: list[tuple[NDArray[np.uint8], NDArray[np.uint8] | None]] = [(self._rgba, self._housing)]
        while min(levels[-1][0].shape[:2]) >= 4:
            rgba, housing = levels[-1]
            size = (math.ceil(rgba.shape[1] / 2), math.ceil(rgba.shape[0] / 2))
            mask = None if housing is None else _average(housing, size)
            levels.append((_average(rgba, size), mask))
        return levels

    def warp(self, x_px: float, y_px: float, x_scale: float, y_scale: float, width_px: int, height_px: int) -> Patch:
        """Draw the sprite into a patch.

        Args:
            x_px: Column of the sprite's left edge in the patch.
            y_px: Row of its top edge in the patch.
            x_scale: Patch pixels per sprite pixel across.
            y_scale: Patch pixels per sprite pixel down.
            width_px: Patch width.
            height_px: Patch height.
        """
        level = min(max(int(math.log2(1 / max(y_scale, 1e-6))), 0), len(self._levels) - 1)
        rgba, housing = self._levels[level]
        x_factor = x_scale * self.width_px / rgba.shape[1]
        y_factor = y_scale * self.height_px / rgba.shape[0]
        # cv2 counts from pixel centres: image + 0.5 = factor * (sprite + 0.5) + place.
        matrix = np.array(
            [[x_factor, 0, x_px + 0.5 * x_factor - 0.5], [0, y_factor, y_px + 0.5 * y_factor - 0.5]], dtype=np.float64
        )
        size = (width_px, height_px)
        warped = np.asarray(cv2.warpAffine(rgba, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)
        mask = None
        if housing is not None:
            mask = np.asarray(cv2.warpAffine(housing, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)
        return Patch(rgba=warped, alpha=np.ascontiguousarray(warped[:, :, 3]), housing=mask)


def _average(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
