"""Whether two similar frames are one picture, encoded, resized or cropped differently, or two moments of one street.

The hash cannot tell: a car that drives on sees its street zoomed, as a crop does. So one picture is laid over the other
by the affine map that fits best, and what is left is looked at where it is largest: a copy agrees everywhere, another
moment has at least one vehicle, pole or person at another place.

Measured at 128x128 grey values, largest difference of 4x4 means in grey levels (124 real frames of nine sources, each
changed five ways; against the 460 pairs of other real frames that are alike by their hash):

    JPEG quality 30                             median 1.5, 99 % 2.3, max  3.4
    a quarter of the width and height           median 2.0, 99 % 6.5, max  6.8
    2 % cropped at any side                     median 3.4, 99 % 5.9, max  7.5
    5 % cropped at any side                     median 3.2, 99 % 5.8, max 10.8
    5 % cropped, then half size and quality 40  median 3.6, 99 % 8.0, max  9.7
    different moments                           the closest 13.9 (a waiting car), then 23.6
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX = 128
# In grey levels: between the copies and the different moments of the measurement above.
COPY_DIFFERENCE = 12.0

_STEPS = ((32, 50), (64, 30), (128, 20))  # side in pixels, iterations
_BLOCK_PX = 4
# A copy whose edges are cut by a tenth at each side still shares two thirds.
_LEAST_COMMON_AREA = 0.65


def picture_difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """How much two pictures differ at the worst place after one is laid over the other.

    Args:
        first: (128, 128) uint8 of `grey_square`.
        second: The same of the other picture.

    Returns:
        Grey levels, from 0 to 255; infinite where no map lays one over the other. A difference of the mean brightness
        does not count.
    """
    warp = _register(first, second)
    if warp is None:
        return float("inf")
    size = (SIDE_PX, SIDE_PX)
    common = cv2.warpAffine(np.ones_like(second), warp, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    if common.mean() < _LEAST_COMMON_AREA:
        return float("inf")
    # Repeated at the border: black there would leak into the common area through the blur.
    laid = cv2.warpAffine(
        second, warp, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    inside = cv2.erode(common, np.ones((5, 5), np.uint8)).astype(bool)
    # Slightly blurred: a resized copy is softer at edges.
    left = cv2.GaussianBlur(first.astype(np.float32), (0, 0), 1.0) - cv2.GaussianBlur(
        laid.astype(np.float32), (0, 0), 1.0
    )
    left -= np.median(left[inside])
    left[~inside] = 0
    return float(np.abs(cv2.blur(left, (_BLOCK_PX, _BLOCK_PX)))[inside].max())


def _register(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """(2, 3) affine map from places of the first to places of the second, coarse to fine; None if there is none."""
    warp = np.eye(2, 3, dtype=np.float32)
    for side, iterations in _STEPS:
        shrink = side / SIDE_PX
        one, two = (
            image if side == SIDE_PX else cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
            for image in (first, second)
        )
        warp[:, 2] *= shrink
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, iterations, 1e-4)
        try:
            _, found = cv2.findTransformECC(one, two, warp, cv2.MOTION_AFFINE, stop, None, 5)  # type: ignore[call-overload]
        except cv2.error:  # the pictures have nothing in common, or one of them is flat
            return None
        warp = np.asarray(found, dtype=np.float32)
        warp[:, 2] /= shrink
    return warp
