"""Light that lamps spread: around themselves in fog and snowfall, collected at a quarter of the size."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.lit_lenses import LitLens

REDUCTION = 4
# Pixels this much brighter than the air, or near the end of the range, belong to lamps (or to their mirror images).
_ABOVE_AIR, _NEAR_WHITE = 70.0, 200.0


def lamp_light(small: NDArray[np.uint8], air_luma: float) -> NDArray[np.uint8]:
    """(h, w, 3) what exceeds the brightness of any lit surface: headlights, street lamps; by day next to nothing.

    Args:
        small: (h, w, 3) uint8 frame, reduced.
        air_luma: Brightness of the air in 0..255.
    """
    over = over_bound(small, min(max(air_luma + _ABOVE_AIR, _NEAR_WHITE), 250.0))
    return np.asarray(cv2.multiply(small, cv2.cvtColor(over, cv2.COLOR_GRAY2RGB), scale=1 / 255), np.uint8)


def over_bound(small: NDArray[np.uint8], bound: float) -> NDArray[np.uint8]:
    """(h, w) how far the strongest channel is above a bound, 0 at the bound, 255 at white."""
    red, green, blue = cv2.split(small)
    share = np.clip((np.arange(256) - bound) / (255 - bound), 0, 1)
    table = np.round(255 * share).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.max(cv2.max(red, green), blue), table), np.uint8)


def add_halos(
    light: NDArray[np.float32], lenses: Iterable[LitLens], strength: Iterable[float], spread_px: float
) -> None:
    """Add the halo of each lit lens to reduced light, in place: its colour, falling exponentially with the distance.

    Args:
        light: (h, w, 3) float32, at one part in REDUCTION.
        lenses: The lenses.
        strength: Brightness of each halo at the rim of the lens, as a share of 255.
        spread_px: Distance in pixels of the frame over which a halo falls to 1 / e, added to two radii of the lens.
    """
    height, width = light.shape[:2]
    for lens, share in zip(lenses, strength, strict=True):
        scale = (spread_px + 2 * lens.radius_px) / REDUCTION
        reach = 4 * scale
        x, y = lens.x_px / REDUCTION - 0.5, lens.y_px / REDUCTION - 0.5
        left, right = max(int(x - reach), 0), min(int(x + reach) + 2, width)
        top, bottom = max(int(y - reach), 0), min(int(y + reach) + 2, height)
        if left >= right or top >= bottom or share <= 0:
            continue
        across = np.arange(left, right, dtype=np.float32) - np.float32(x)
        down = np.arange(top, bottom, dtype=np.float32) - np.float32(y)
        distance = np.sqrt(across[None] ** 2 + down[:, None] ** 2)
        fall = share * np.exp(-distance / scale) * np.clip(1 - distance / reach, 0, 1)
        light[top:bottom, left:right] += fall[..., None] * lens.colour


def blurred(light: NDArray[np.uint8], radius_px: float) -> NDArray[np.uint8]:
    """Light spread over a radius in pixels of the frame, by two box filters."""
    side = 2 * max(1, round(radius_px / REDUCTION)) + 1
    return np.asarray(cv2.blur(cv2.blur(light, (side, side)), (side, side)), np.uint8)
