"""Fog: Koschmieder's law over guessed distances, with lamps that pierce it and spread a halo.

    image * t + air * (1 - t),   t = exp(-beta * distance),   beta = 3.912 / visibility (2 % of the contrast left)

Fog is a visibility below 1000 m, dense fog one below 50 m (WMO's Guide to Instruments and Methods of Observation; the
handbooks of meteorological services). The air takes its brightness and a hint of its tint from the frame: white by
day, dull by night. A lit signal lens is a source of light: 200 cd from a 200 mm lens (EN 12368) are 6,000 cd/m2 where
foggy air by day has 1,000 to 3,000, so that its image stays clipped until `_LENS_LUMINANCE` times as much light is
lost. Its distance follows from the length of its housing.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.airlight import Colour, airlight, daylight
from tl_datasets.effects.camera_view import CameraView, paint_views
from tl_datasets.effects.depth import distance_m, sky_share
from tl_datasets.effects.glow import REDUCTION, add_halos, blurred, lamp_light
from tl_datasets.effects.lit_lenses import LitLens, lit_lenses
from tl_datasets.effects.relight import relight
from tl_datasets.effects.scene import Effect, Scene, at
from tl_datasets.effects.texture import sample_noise, tileable_noise
from tl_datasets.effects.veil import Floats, mixed, veiled
from tl_datasets.taxonomy import Weather

VISIBILITY_M = (1000.0, 400.0, 200.0, 100.0, 50.0)
# Koschmieder's constant: the logarithm of a contrast of 2 %.
_EXTINCTION = 3.912
# Standard deviation of the density over a street, as a share of its mean.
_PATCHINESS = 0.08
# Luminance of a lit lens against that of the brightest thing that the camera does not clip.
_LENS_LUMINANCE = 4.0
# Halo of a lens at its rim in thick fog, as a share of 255: by night, by day.
_HALO = (0.55, 0.2)
# Degrees over which a halo falls to 1 / e.
_HALO_DEGREES = 0.35
# Share of the light of other lamps that comes back as a wide glow.
_GLOW = 0.9


def apply(scene: Scene, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The scene in fog.

    Args:
        scene: The image, its signal heads and views.
        severity: In [1, 5]; visibility of 1000, 400, 200, 100, 50 m.
        rng: Decides where the fog is a little thicker.

    Returns:
        (H, W, 3) uint8 RGB; pixels in no view are as they were.

    Raises:
        ValueError: The severity is outside 1 to 5.
    """
    beta = extinction_per_m(severity)
    return paint_views(scene, lambda view: _paint(view, beta, rng))


def extinction_per_m(severity: float) -> float:
    """Beta of Koschmieder's law at a severity; visibilities between the five are read on a scale of distances."""
    return _EXTINCTION / float(np.exp(at(np.log(VISIBILITY_M).tolist(), severity)))


def _paint(view: CameraView, beta: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    air = airlight(view)
    sky = sky_share(view, air)
    transmission = _transmission(view, beta, sky, rng)
    lenses = lit_lenses(view)
    for lens in lenses:
        transmission[lens.pixels] = mixed(transmission[lens.pixels], 255 * _through(lens, beta), lens.share)
    painted = veiled(view.image, transmission, air, _glow(view, lenses, air, beta))
    relight(painted, air, view, lenses, beta, _LENS_LUMINANCE)
    return painted


def _through(lens: LitLens, beta: float) -> float:
    """Share of the light of a lens that passes the fog."""
    return float(np.exp(-beta * lens.distance_m))


def _transmission(view: CameraView, beta: float, sky: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    distance = distance_m(view, sky)
    thickness = distance * np.float32(-beta)
    noise = tileable_noise(4)
    offset = rng.uniform(0, noise.shape[0], 2)
    height, width = max(1, distance.shape[0] // 8), max(1, distance.shape[1] // 8)
    # Patches stretch along the ground: the noise is read twice as fast downwards.
    x = (offset[0] + 128 * np.arange(width) / width).astype(np.float32)
    y = (offset[1] + 256 * np.arange(height) / height).astype(np.float32)
    x, y = np.meshgrid(x, y)
    patches = 1 + np.float32(_PATCHINESS) * np.clip(sample_noise(noise, x, y), -2.5, 2.5)
    thickness *= cv2.resize(patches, distance.shape[::-1], interpolation=cv2.INTER_LINEAR)
    np.exp(thickness, out=thickness)
    small = cv2.convertScaleAbs(thickness, alpha=255)
    return np.asarray(cv2.resize(small, (view.width, view.height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _glow(view: CameraView, lenses: list[LitLens], air: Colour, beta: float) -> NDArray[np.uint8]:
    """(h, w, 3) light around lamps, reduced."""
    day = daylight(air)
    luma = float(air.mean())
    degree_px = view.focal_px * np.pi / 180
    # How much of the light is spread: nothing without fog, half of it within some hundred metres of thin fog.
    spread = 1 - np.exp(-40 * beta)
    if day < 1:
        # By day the sky outshines other lamps, and only it would be found.
        lamps = blurred(lamp_light(view.reduced(REDUCTION), luma), 1.2 * degree_px)
        light = np.float32(_GLOW * spread * (1 - day)) * lamps
    else:
        width, height = view.reduced_size(REDUCTION)
        light = np.zeros((height, width, 3), np.float32)
    through = np.array([_through(lens, beta) for lens in lenses])
    strength = (_HALO[0] + day * (_HALO[1] - _HALO[0])) * (1 - through) * through**0.35
    add_halos(light, lenses, strength.tolist(), _HALO_DEGREES * degree_px)
    return np.asarray(cv2.convertScaleAbs(light), np.uint8)


FOG = Effect(apply=apply, weather=Weather.FOGGY, not_in_weather=frozenset({Weather.FOGGY, Weather.SANDSTORM}))
