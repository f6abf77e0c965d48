"""sRGB bytes to linear light and back: light adds up and exposure multiplies there, not in the bytes of a file.

Linear light is (H, W, 3) uint16 with 65535 = the white of sRGB. All conversions are look-up tables, and OpenCV's
saturating uint16 arithmetic clips at white as a sensor does. Differences between dark bytes are 20 steps wide, so that
a frame comes back exactly.

What it does not do: undo the tone curve of a camera. Frames of data sets do not say which one they went through.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

WHITE = 65535


def decode_srgb(encoded: ArrayLike) -> NDArray[np.float64]:
    """Linear light in [0, 1] of sRGB values in [0, 1] (IEC 61966-2-1)."""
    values = np.asarray(encoded, dtype=np.float64)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encode_srgb(linear: ArrayLike) -> NDArray[np.float64]:
    """Give sRGB values in [0, 1] of linear light in [0, 1] (IEC 61966-2-1)."""
    values = np.asarray(linear, dtype=np.float64)
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * np.maximum(values, 0.0031308) ** (1 / 2.4) - 0.055)


def to_linear(image: NDArray[np.uint8], gain: float | Sequence[float] = 1.0) -> NDArray[np.uint16]:
    """Linear light of an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        gain: Factor on the light, one or one per channel; what passes white is clipped.

    Returns:
        (H, W, 3) uint16.
    """
    gains = np.asarray(gain, dtype=np.float64)
    table = np.minimum(np.rint(WHITE * _decoded().reshape(-1, 1) * gains.reshape(1, -1)), WHITE).astype(np.uint16)
    return cv2.LUT(image, table.reshape(1, 256, -1))  # type: ignore[return-value]


def to_bytes(linear: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Give the sRGB bytes of linear light."""
    return cv2.LUT(linear, _encoded())  # type: ignore[return-value]


@lru_cache
def _decoded() -> NDArray[np.float64]:
    return decode_srgb(np.arange(256) / 255)


@lru_cache
def _encoded() -> NDArray[np.uint8]:
    return np.rint(255 * encode_srgb(np.arange(WHITE + 1) / WHITE)).astype(np.uint8).reshape(1, -1)
