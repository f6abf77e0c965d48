"""Frames at a half, a quarter or an eighth of their size, decoded at that size where the file allows it.

A JPEG is a grid of 8x8 blocks of frequencies. The lowest 4x4 of them are the picture at half the size, so the rest need
not be turned into pixels: on 1280x720 frames of BDD100K a half takes 0.30 and a quarter 0.22 of the time of the whole.
The colour of most JPEGs is stored at half the size anyway, so a half has all of it.

Geometry: pixel i of a row or column covers the pixels f*i to f*i + f - 1 of the whole frame, so that a point x of the
frame lies at x / f. Where the size is no multiple of f, the last pixel reaches beyond the edge.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.images import decode_data, jpeg_header, read_file, read_rgb
from tl_datasets.taxonomy import PixelFormat

# Factors that JPEG decoders know.
FACTORS = (1, 2, 4, 8)
# OpenCV refuses its flags for reduced colour (BGR) together with RGB; those for reduced grey are the factor alone.
_FLAGS = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}


def factor_for(scale: float) -> int:
    """The largest factor at which a frame has at least one pixel for each pixel that is made of it.

    Args:
        scale: Pixels that are made per pixel of the whole frame.
    """
    # 1280 px wide frames in an input of 640 px must not fall short of a half by the last digit of a division.
    return max((factor for factor in FACTORS if factor * scale <= 1 + 1e-6), default=1)


def reduced_size_px(width_px: int, height_px: int, factor: int) -> tuple[int, int]:
    """(width_px, height_px) of a reduced frame."""
    return -(-width_px // factor), -(-height_px // factor)


def read_rgb_reduced(path: Path | str, factor: int, pixel_format: PixelFormat | None = None) -> NDArray[np.uint8]:
    """Read an image file as RGB at a part of its size.

    Args:
        path: The file.
        factor: One of `FACTORS`; 1 = the same pixels as `read_rgb`.
        pixel_format: How a raw sensor frame is coded; None = an ordinary image.

    Returns:
        (ceil(H / factor), ceil(W / factor), 3) uint8 RGB, EXIF orientation applied. Other files than JPEG are decoded
        whole and averaged over factor x factor pixels.

    Raises:
        ImageError: As for `read_rgb`.
        ValueError: The factor is another.
    """
    if factor not in FACTORS:
        raise ValueError(f"factor {factor}, expected one of {', '.join(map(str, FACTORS))}")
    if pixel_format is None:
        data = read_file(path)
        # RGB from the decoder itself saves a pass; only for JPEG, 16-bit TIFF comes out as BGR all the same.
        if _fits_grid(jpeg_header(data), factor):
            return decode_data(data, _FLAGS[factor], path)  # type: ignore[return-value]
    whole = read_rgb(path, pixel_format)
    return whole if factor == 1 else reduce_rgb(whole, factor)


def reduce_rgb(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Average (H, W, 3) over factor x factor pixels; at the right and bottom edge the last pixels are repeated."""
    height, width = image.shape[:2]
    columns, rows = reduced_size_px(width, height, factor)
    beyond = (0, rows * factor - height, 0, columns * factor - width)
    if any(beyond):
        image = cv2.copyMakeBorder(image, *beyond, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    return cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _fits_grid(header: tuple[int, int, int] | None, factor: int) -> bool:
    """Whether a reduced decoding of a JPEG keeps the geometry: turned, its incomplete pixels may come first."""
    if header is None:
        return False
    width, height, orientation = header
    return orientation == 1 or (width % factor == 0 and height % factor == 0)
