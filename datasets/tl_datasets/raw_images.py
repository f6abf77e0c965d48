"""Raw sensor frames, 12 bits in a 16-bit file behind a colour mosaic, to 8-bit RGB.

BAYER_GRBG12 is what the DriveU toolkit does: demosaic with OpenCV's "GB" pattern (its names follow the second row of
the mosaic, so this is green-red over blue-green), then drop the lower 4 bits. The picture is linear and dark.
RCCB12 has clear pixels in place of green ones (raw BSTLD; no official conversion to colour exists). A clear pixel sees
all three colours, so green = clear - red - blue. The brightest white that a clear pixel can tell becomes white; colours
brighter than that keep their hue. A saturated clear pixel says only that green is at least so much. It is then taken to
lie between red and blue, and with blue where blue is the stronger: a bright sky is no magenta, a red lamp stays red and
a green one greenish; whether a lamp was yellow or red cannot be told there by any conversion.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.errors import ImageError
from tl_datasets.taxonomy import PixelFormat

LARGEST_12_BIT = (1 << 12) - 1
_LARGEST_8_BIT = 255
_SHIFT_TO_8_BIT = 4
# The names that Pillow gives to one channel of 16 bits.
_RAW_MODES = frozenset({"I;16", "I;16B"})
# Hot pixels may lie beyond 12 bits; a frame that was scaled to 16 bits has far more that do.
_MOST_BEYOND = 0.001
# Interpolated clear pixels above this have a saturated neighbour.
_SATURATED = 0.95 * LARGEST_12_BIT
# Raw BSTLD frames have lines of camera data above and below the picture, which are no colours.
_CAMERA_DATA_ROWS = 8


def rgb_from_raw(raw: NDArray, pixel_format: PixelFormat, path: Path | str) -> NDArray[np.uint8]:
    """Turn a raw frame into RGB.

    Args:
        raw: (H, W) uint16 as the sensor gave it; single values above 12 bits are taken as saturated.
        pixel_format: Its mosaic.
        path: The file, for messages.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: The frame is not (H, W) uint16, or its values are those of 8 or 16 bits.
    """
    if raw.ndim != 2 or raw.dtype != np.uint16:
        raise ImageError(
            f"{path}: {raw.dtype} numbers of shape {raw.shape}, expected a raw frame of one 16-bit channel "
            f"({pixel_format}); was the image converted already?"
        )
    _check_range(raw, pixel_format, path)
    raw = np.minimum(raw, LARGEST_12_BIT)
    return _rgb_from_bayer(raw) if pixel_format is PixelFormat.BAYER_GRBG12 else _rgb_from_rccb(raw)


def _check_range(raw: NDArray[np.uint16], pixel_format: PixelFormat, path: Path | str) -> None:
    rows = _CAMERA_DATA_ROWS if pixel_format is PixelFormat.RCCB12 and len(raw) > 2 * _CAMERA_DATA_ROWS else 0
    picture = raw[rows : len(raw) - rows]
    largest = int(picture.max(initial=0))
    if largest <= _LARGEST_8_BIT:
        raise ImageError(
            f"{path}: no value above {largest}, expected a raw frame of 12 bits; it would turn out nearly black: "
            "was the image converted to 8 bits already?"
        )
    if np.count_nonzero(picture > LARGEST_12_BIT) > _MOST_BEYOND * picture.size:
        raise ImageError(
            f"{path}: values up to {largest}, expected a raw frame of 12 bits (up to {LARGEST_12_BIT}); "
            "was the image scaled to 16 bits? divide it by 16"
        )


def _rgb_from_bayer(raw: NDArray[np.uint16]) -> NDArray[np.uint8]:
    return np.right_shift(cv2.cvtColor(raw, cv2.COLOR_BayerGB2RGB), _SHIFT_TO_8_BIT).astype(np.uint8)


def _rgb_from_rccb(raw: NDArray[np.uint16]) -> NDArray[np.uint8]:
    red, clear, blue = (channel.astype(np.float32) for channel in cv2.split(cv2.cvtColor(raw, cv2.COLOR_BayerBG2RGB)))
    at_least = np.where(blue > red, blue, np.sqrt(red * blue)) * (clear > _SATURATED)
    rgb = cv2.merge([red, np.maximum(clear - red - blue, at_least), blue])
    # White fills a clear pixel with three equal parts.
    rgb *= 3 * _LARGEST_8_BIT / LARGEST_12_BIT
    peak = rgb.max(axis=2, keepdims=True)
    return np.rint(rgb * np.minimum(1, _LARGEST_8_BIT / np.maximum(peak, 1))).astype(np.uint8)


def is_raw_file(path: Path | str) -> bool | None:
    """Whether an image file has one channel of 16 bits, as raw frames have; None where it does not open."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.mode in _RAW_MODES
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
