"""Pictures as JPEG bytes, for a file and for TensorBoard alike."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.errors import ImageError

QUALITY = 88
# A side that JPEG can hold.
_LONGEST_PX = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg:
    """An encoded picture."""

    data: bytes
    width_px: int
    height_px: int


def encode_jpeg(image: NDArray[np.uint8]) -> Jpeg:
    """Encode (H, W, 3) uint8 RGB without colour subsampling, which would wash a lamp of a few pixels out.

    Raises:
        ImageError: The picture is larger than a JPEG can be.
    """
    height, width = image.shape[:2]
    if max(height, width) > _LONGEST_PX:
        raise ImageError(f"a picture of {width}x{height} pixels, a JPEG has at most {_LONGEST_PX} on a side")
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return Jpeg(data=data.tobytes(), width_px=width, height_px=height)
