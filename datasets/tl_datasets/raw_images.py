"""Raw sensor frames, 12 bits in a 16-bit file behind a colour mosaic, to 8-bit RGB.

BAYER_GRBG12 is what the DriveU toolkit does: demosaic with OpenCV's "GB" pattern (its names follow the second row of
the mosaic, so this is green-red over blue-green), then drop the lower 4 bits. The picture is linear and dark.
RCCB12 has clear pixels in place of green ones (raw BSTLD; no official conversion to colour exists). A clear pixel sees
all three colours, so green = clear - red - blue.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.errors import ImageError
from tl_datasets.taxonomy import PixelFormat

LARGEST_12_BIT = (1 << 12) - 1
_SHIFT_TO_8_BIT = 4


def rgb_from_raw(raw: NDArray, pixel_format: PixelFormat, path: Path | str) -> NDArray[np.uint8]:
    """Turn a raw frame into RGB.

    Args:
        raw: (H, W) uint16 as the sensor gave it; values above 12 bits are taken as saturated.
        pixel_format: Its mosaic.
        path: The file, for messages.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: The frame is not (H, W) uint16.
    """
    if raw.ndim != 2 or raw.dtype != np.uint16:
        raise ImageError(
            f"{path}: {raw.dtype} numbers of shape {raw.shape}, expected a raw frame of one 16-bit channel "
            f"({pixel_format}); was the image converted already?"
        )
    raw = np.minimum(raw, LARGEST_12_BIT)
    if pixel_format is PixelFormat.BAYER_GRBG12:
        rgb = cv2.cvtColor(raw, cv2.COLOR_BayerGB2RGB)
    else:
        red, clear, blue = cv2.split(cv2.cvtColor(raw, cv2.COLOR_BayerBG2RGB))
        green = np.clip(clear.astype(np.int32) - red - blue, 0, LARGEST_12_BIT).astype(np.uint16)
        rgb = cv2.merge([red, green, blue])
    return np.right_shift(rgb, _SHIFT_TO_8_BIT).astype(np.uint8)
