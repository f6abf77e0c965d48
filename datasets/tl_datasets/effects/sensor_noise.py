"""Sensor noise: shot noise and read noise of a pixel at raised gain, in linear light.

With N electrons in a pixel the standard deviation is sqrt(N + READ_NOISE_E^2) electrons (EMVA 1288). White is
FULL_WELL_E / gain electrons, so that noise grows with the square root of the light and of the gain, and shows most in
the dark, where the sRGB curve is steep. Red and blue are amplified further by the white balance, so the noise is
slightly coloured; it is correlated over two or three pixels as bilinear demosaicing of a Bayer pattern leaves it.

What it does not do: the noise reduction of a camera, which trades noise for blotches, hot pixels, fixed patterns.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.linear_light import decode_srgb, encode_srgb
from tl_datasets.effects.scene import Effect, Scene, at

# Gain over the base sensitivity, 1 = ISO 100 or so.
GAIN = (4.0, 8.0, 15.0, 25.0, 40.0)
# Automotive sensors of 2 to 3 micrometre pixels: 8,000 to 15,000 electrons, 1 to 3 of read noise.
FULL_WELL_E = 10_000.0
READ_NOISE_E = 2.0
# Daylight white balance of common sensors, relative to green.
WHITE_BALANCE = (1.8, 1.0, 1.5)

# Linear light as int16: this is white, and sums saturate there.
_WHITE = 32767
_TILE_PX = 1024
_TILE_UNIT = 512  # one standard deviation
_SEED = 1288


def apply(scene: Scene, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Add noise to the whole image.

    Args:
        scene: The image.
        severity: 1 to 5 = gain of 4 to 40.
        rng: Decides the noise.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: The severity is outside 1 to 5.
    """
    return with_noise(scene.image, at(GAIN, severity), rng)


def with_noise(image: NDArray[np.uint8], gain: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Give an image the noise of a gain.

    Args:
        image: (H, W, 3) uint8 RGB.
        gain: Over the base sensitivity.
        rng: Decides the noise.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    light = decode_srgb(np.arange(256) / 255)
    sigma = np.rint(_WHITE * noise_sigma(light, gain)).astype(np.int16)
    # Into the same two arrays: fresh ones of this size cost more than the arithmetic.
    scaled, grain = cv2.LUT(image, sigma.reshape(1, 256, 3)), _grain(image.shape[0], image.shape[1], rng)
    cv2.multiply(scaled, grain, dst=grain, scale=1 / _TILE_UNIT)
    linear = cv2.LUT(image, np.rint(_WHITE * light).astype(np.int16).reshape(1, 256), dst=scaled)
    cv2.add(linear, grain, dst=grain)
    return cv2.LUT(grain.view(np.uint16), _encoded())  # type: ignore[return-value]


def with_even_noise(
    linear: NDArray[np.uint16], light: float, gain: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Give linear light the noise that green has at one light, everywhere: a third of the time of `with_noise`.

    Args:
        linear: (H, W, 3) uint16 linear light, 65535 = white.
        light: The light in [0, 1] at which the noise is right.
        gain: Over the base sensitivity.
        rng: Decides the noise.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    sigma = _WHITE * float(noise_sigma(np.array([light]), gain)[0, 1])
    grain = _grain(linear.shape[0], linear.shape[1], rng)
    cv2.addWeighted((linear >> 1).view(np.int16), 1, grain, sigma / _TILE_UNIT, 0, dst=grain)
    return cv2.LUT(grain.view(np.uint16), _encoded())  # type: ignore[return-value]


def noise_sigma(light: NDArray[np.float64], gain: float) -> NDArray[np.float64]:
    """(N, 3) standard deviation of linear RGB at each of N lights in [0, 1]."""
    amplified = gain * np.array(WHITE_BALANCE) / FULL_WELL_E
    return np.sqrt(np.asarray(light)[:, None] * amplified + (READ_NOISE_E * amplified) ** 2)


def _grain(height: int, width: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """(H, W, 3) noise of mean 0 and standard deviation _TILE_UNIT, from a random place of the tile."""
    tile = _tile()
    first_y, first_x = rng.integers(0, _TILE_PX, 2)
    grain = np.empty((height, width, 3), np.int16)
    for y, source_y, rows in _runs(height, int(first_y)):
        for x, source_x, columns in _runs(width, int(first_x)):
            piece = tile[source_y : source_y + rows, source_x : source_x + columns]
            grain[y : y + rows, x : x + columns] = piece
    return grain


def _runs(length: int, first: int) -> list[tuple[int, int, int]]:
    """(place, place in the tile, length) of the runs that cover a length, starting at a place of the tile."""
    runs, place = [], 0
    while place < length:
        run = min(length - place, _TILE_PX - first)
        runs.append((place, first, run))
        place, first = place + run, 0
    return runs


@lru_cache
def _tile() -> NDArray[np.int16]:
    """Noise of a Bayer sensor after demosaicing; opposite edges fit together."""
    rng = np.random.default_rng(_SEED)
    bayer = rng.standard_normal((_TILE_PX, _TILE_PX))
    wrapped = cv2.copyMakeBorder(bayer, 2, 2, 2, 2, cv2.BORDER_WRAP)
    counts = np.rint(32768 + 4000 * wrapped).clip(0, 65535).astype(np.uint16)
    rgb = cv2.cvtColor(counts, cv2.COLOR_BayerRG2RGB)[2:-2, 2:-2].astype(np.float64)
    rgb = (rgb - rgb.mean(axis=(0, 1))) / rgb.std(axis=(0, 1))
    tile = np.rint(_TILE_UNIT * rgb).astype(np.int16)
    tile.setflags(write=False)
    return tile


@lru_cache
def _encoded() -> NDArray[np.uint8]:
    """Table of the sRGB byte of linear int16 light, by its bits: what is below black is black."""
    light = np.arange(65536, dtype=np.uint16).view(np.int16).clip(0) / _WHITE
    return np.rint(255 * encode_srgb(light)).astype(np.uint8).reshape(1, -1)


SENSOR_NOISE = Effect(apply=apply)
