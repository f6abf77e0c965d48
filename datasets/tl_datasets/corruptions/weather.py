"""Weather as a picture laid over the frame: snow, frost on the lens, fog. It knows neither depth nor lights."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.corruptions.blur import blur_along
from tl_datasets.corruptions.ice import draw_ice
from tl_datasets.corruptions.pixels import grey_levels

Image = NDArray[np.uint8]

# Mean and standard deviation of the noise that flakes are made of, its magnification, the level below which there is
# no flake, radius and standard deviation of their motion in pixels, and the share of the frame that is not whitened.
_SNOW = (
    (0.1, 0.3, 3.0, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2.0, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4.0, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
_SNOW_DEGREES = (-135.0, -45.0)
# Shares of the frame and of the ice.
_FROST = ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
# Thickness, and how fast its structure fades towards small scales: the height of the fractal falls by its square.
_FOG = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))
_FOG_AMPLITUDE = 100.0
# The two finest of the fractal's scales are left out: of 255 grey levels they are less than a tenth of one.
_FOG_DOWN = 4


def snow(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Flakes, and a whitened scene."""
    mean, spread, magnification, least, radius, sigma, kept = _SNOW[severity - 1]
    height, width = image.shape[:2]
    small = (math.ceil(height / magnification), math.ceil(width / magnification))
    flakes = rng.standard_normal(small, dtype=np.float32) * np.float32(spread) + np.float32(mean)
    flakes = _stretched(flakes, height, width)
    flakes[flakes < least] = 0
    # Whole grey levels: OpenCV smears bytes at a third of the time of floats.
    layer = blur_along(cv2.convertScaleAbs(flakes, alpha=255), radius, sigma, rng.uniform(*_SNOW_DEGREES))
    layer = layer + layer[::-1, ::-1]

    grey = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY)
    white = grey * np.float32((1 - kept) * 1.5) + np.float32((1 - kept) * 127.5)
    scene = cv2.max(image.astype(np.float32) * np.float32(1 - kept), cv2.merge([white] * 3))
    scene = cv2.addWeighted(image, kept, scene, 1, 0, dtype=cv2.CV_32F)
    return grey_levels(cv2.add(scene, cv2.merge([layer] * 3)))


def frost(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Ice on the lens. The original lays photographs of ice over the frame; here the ice is drawn."""
    scene_share, ice_share = _FROST[severity - 1]
    ice = draw_ice(image.shape[0], image.shape[1], rng)
    return grey_levels(cv2.addWeighted(image, scene_share, ice, ice_share, 0, dtype=cv2.CV_32F))


def fog(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Patches of mist: a fractal of greys, whatever the distance."""
    thickness, fading = _FOG[severity - 1]
    height, width = image.shape[:2]
    brightest = float(image.max(initial=1)) / 255
    scale = brightest / (brightest + thickness)
    side = max(1 << (max(height, width) - 1).bit_length(), 2 * _FOG_DOWN)
    mist = _plasma(side // _FOG_DOWN, fading, rng)
    mist = cv2.resize(np.pad(mist, (0, 1), mode="wrap"), (0, 0), fx=_FOG_DOWN, fy=_FOG_DOWN)[:height, :width]
    mist *= np.float32(255 * thickness * scale)
    return grey_levels(cv2.addWeighted(image, scale, cv2.merge([mist] * 3), 1, 0, dtype=cv2.CV_32F))


def _stretched(values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Enlarged so that the corners stay in the corners."""
    rows, columns = values.shape
    matrix = np.array(
        [[(columns - 1) / max(width - 1, 1), 0, 0], [0, (rows - 1) / max(height - 1, 1), 0]], dtype=np.float64
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(values, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def _plasma(side: int, fading: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """(side, side) fractal of 0 to 1 by the diamond-square method; it goes on periodically. Side: a power of two."""
    heights = np.zeros((1, 1), np.float32)
    amplitude = _FOG_AMPLITUDE
    while len(heights) < side:
        n = len(heights)
        finer = np.empty((2 * n, 2 * n), np.float32)
        right, below = np.roll(heights, -1, axis=1), np.roll(heights, -1, axis=0)
        centre = (heights + right + below + np.roll(right, -1, axis=0)) / 4 + _wobble(n, amplitude, rng)
        finer[::2, ::2], finer[1::2, 1::2] = heights, centre
        finer[::2, 1::2] = (heights + right + centre + np.roll(centre, 1, axis=0)) / 4 + _wobble(n, amplitude, rng)
        finer[1::2, ::2] = (heights + below + centre + np.roll(centre, 1, axis=1)) / 4 + _wobble(n, amplitude, rng)
        heights, amplitude = finer, amplitude / fading
    heights -= heights.min()
    return heights / max(float(heights.max()), 1e-6)


def _wobble(n: int, amplitude: float, rng: np.random.Generator) -> NDArray[np.float32]:
    return (rng.random((n, n), dtype=np.float32) * 2 - 1) * np.float32(amplitude**2)
