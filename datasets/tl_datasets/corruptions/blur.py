"""Blur: out of focus, through frosted glass, by motion of the camera, and by zooming in during the exposure."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.corruptions.pixels import grey_levels

Image = NDArray[np.uint8]

# Radius of the disk of confusion in pixels, and the blur that softens its edge.
_DEFOCUS = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))
# Standard deviation of the blur before and after, largest displacement in pixels, rounds of displacing.
_GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
# Radius of the motion in pixels, and the standard deviation of the weights along it.
_MOTION = ((10, 3.0), (15, 5.0), (15, 8.0), (15, 12.0), (20, 15.0))
_MOTION_DEGREES = 45.0
# End and step of the zoom, which begins at 1; the end itself belongs to some by the rounding of the original.
_ZOOM = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
# Where scikit-image and scipy cut a Gaussian off, in standard deviations.
_GAUSSIAN_CUT = 4.0


def defocus_blur(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Out of focus; nothing is drawn."""
    radius, edge = _DEFOCUS[severity - 1]
    reach = max(radius, 8)
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    disk = (x**2 + y**2 <= radius**2).astype(np.float32)
    size = 3 if radius <= 8 else 5
    disk = cv2.GaussianBlur(disk / disk.sum(), (size, size), edge)
    return grey_levels(cv2.filter2D(image, cv2.CV_32F, disk))


def glass_blur(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Seen through frosted glass: every pixel shows a near one.

    The original goes from the last pixel to the first and copies a neighbour, which may be a copy already. The same
    sources are found here by following, for all pixels at once, each copy to what it was made of.
    """
    sigma, reach, rounds = _GLASS[severity - 1]
    height, width = image.shape[:2]
    blurred = grey_levels(_gaussian(image, sigma))
    if min(height, width) > 2 * reach + 1:
        for _ in range(rounds):
            sources = _displaced(height, width, reach, rng)
            blurred = blurred.reshape(-1, 3).take(sources, axis=0).reshape(image.shape)
    return grey_levels(_gaussian(blurred, sigma))


def motion_blur(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Motion of the camera during the exposure, up to 45 degrees off the horizontal."""
    radius, sigma = _MOTION[severity - 1]
    return grey_levels(blur_along(image, radius, sigma, rng.uniform(-_MOTION_DEGREES, _MOTION_DEGREES)))


def zoom_blur(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Zooming in during the exposure; nothing is drawn. Pixels move away from the centre, boxes do not."""
    factors = np.arange(1, *_ZOOM[severity - 1])
    height, width = image.shape[:2]
    total = image.astype(np.uint16)
    for factor in factors:
        top, step_y = _zoomed_axis(height, float(factor))
        left, step_x = _zoomed_axis(width, float(factor))
        matrix = np.array([[step_x, 0, left], [0, step_y, top]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        layer = cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        cv2.add(total, layer, total, dtype=cv2.CV_16U)
    return grey_levels(cv2.multiply(total, 1 / (len(factors) + 1), dtype=cv2.CV_32F))  # type: ignore[arg-type, call-overload]


def blur_along(values: NDArray, radius: int, sigma: float, degrees: float) -> NDArray[np.float32]:
    """Smear an image along a line that begins at each pixel.

    Args:
        values: (H, W) or (H, W, 3) uint8 or float32.
        radius: Half the length of the line in pixels.
        sigma: The weights fall along the line as one side of a Gaussian of this standard deviation in pixels.
        degrees: Direction of the line, clockwise from the x axis.

    Returns:
        The same shape in float32; beyond the edges the image goes on as at its edge.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    angle = math.radians(degrees)
    x, y = (np.ceil(steps * part - 0.5).astype(int) for part in (math.cos(angle), math.sin(angle)))
    kernel = np.zeros((np.ptp(y) + 1, np.ptp(x) + 1), np.float32)
    np.add.at(kernel, (y - y.min(), x - x.min()), weights / weights.sum())
    anchor = (int(-x.min()), int(-y.min()))
    return cv2.filter2D(values, cv2.CV_32F, kernel, anchor=anchor, borderType=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def _gaussian(image: Image, sigma: float) -> NDArray[np.float32]:
    size = 2 * int(_GAUSSIAN_CUT * sigma + 0.5) + 1
    floats = image.astype(np.float32)
    return cv2.GaussianBlur(floats, (size, size), sigma, borderType=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def _displaced(height: int, width: int, reach: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """(H * W,) the pixel that each pixel shows in the end."""
    own = np.arange(height * width, dtype=np.int32).reshape(height, width)
    y, x = np.divmod(np.arange((2 * reach) ** 2, dtype=np.int32), 2 * reach)
    steps = (y - reach) * width + (x - reach)
    drawn = rng.integers(0, len(steps), (height - 2 * reach, width - 2 * reach), dtype=np.uint8)
    # The last and the first rows and columns are left as they are.
    inner = (slice(reach + 1, height - reach + 1), slice(reach + 1, width - reach + 1))
    source = own.copy()
    source[inner] += steps.take(drawn)
    own, source = own.ravel(), source.ravel()
    # A source behind its pixel was itself made of another one before the pixel took from it, and that one perhaps too.
    shown = source.copy()
    pixel = np.flatnonzero(source > own)
    place = source[pixel]
    while pixel.size:
        shown[pixel] = source[place]
        goes_on = source[place] > place
        pixel, place = pixel[goes_on], source[place[goes_on]]
    return shown


def _zoomed_axis(length: int, factor: float) -> tuple[float, float]:
    """First place that is seen, and the distance of two neighbouring pixels, both in pixels of the image."""
    seen = math.ceil(length / factor)
    zoomed = round(seen * factor)
    return float((length - seen) // 2), (seen - 1) / (zoomed - 1) if zoomed > 1 else 1.0
