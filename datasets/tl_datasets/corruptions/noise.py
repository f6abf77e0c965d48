"""Noise of sensor and transmission: Gaussian, shot and impulse noise, each on every colour value on its own."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tl_datasets.corruptions.pixels import grey_levels

Image = NDArray[np.uint8]

# Standard deviation, as a share of white.
_GAUSSIAN_SCALE = (0.08, 0.12, 0.18, 0.26, 0.38)
# Photons that white gives: fewer, more noise.
_PHOTONS = (60, 25, 12, 5, 3)
# Share of the values that become black or white.
_IMPULSES = (0.03, 0.06, 0.09, 0.17, 0.27)

# Steps into which a Poisson distribution is cut; its standard deviation comes out right to 0.1 %.
_QUANTILES = 1 << 14
# More photons than any draw of 60 expected ones gives, but for one in 1e20.
_MOST_PHOTONS = 160
_16_BIT = 1 << 16


def gaussian_noise(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Noise of a sensor in low light."""
    noisy = rng.standard_normal(image.shape, dtype=np.float32)
    noisy *= 255 * _GAUSSIAN_SCALE[severity - 1]
    noisy += image
    return grey_levels(noisy)


def shot_noise(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Noise of light itself: few photons, Poisson distributed."""
    table = _photon_quantiles(_PHOTONS[severity - 1])
    place = image.astype(np.int32)
    place *= _QUANTILES
    place += rng.integers(0, _QUANTILES, image.shape, dtype=np.uint16)
    return table.take(place)


def impulse_noise(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Single values that fail to black or to white."""
    draw = rng.integers(0, _16_BIT, image.shape, dtype=np.uint16)
    half = round(_IMPULSES[severity - 1] / 2 * _16_BIT)
    noisy = image.copy()
    np.putmask(noisy, draw < half, 0)
    np.putmask(noisy, draw >= _16_BIT - half, 255)
    return noisy


@lru_cache(maxsize=len(_PHOTONS))
def _photon_quantiles(photons: int) -> NDArray[np.uint8]:
    """(256 * quantiles,) what a grey level becomes at each quantile of its number of photons; 4 MB."""
    expected = np.arange(256) / 255 * photons
    probability = np.empty((256, _MOST_PHOTONS))
    probability[:, 0] = np.exp(-expected)
    for count in range(1, _MOST_PHOTONS):
        probability[:, count] = probability[:, count - 1] * expected / count
    upto = np.round(np.cumsum(probability, axis=1) * _QUANTILES).astype(np.int64)
    upto[:, -1] = _QUANTILES
    levels = (np.minimum(np.arange(_MOST_PHOTONS) / photons, 1) * 255).astype(np.uint8)
    return np.repeat(np.tile(levels, 256), np.diff(upto, axis=1, prepend=0).ravel())
