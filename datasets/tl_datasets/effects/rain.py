"""Rain: a darker sky, a veil that thickens with distance, a wet road, and drops that streak past.

- Drops have the sizes of Marshall and Palmer (Journal of Meteorology 5, 1948): N(D) = 8000 exp(-L D) per m3 and mm,
  with L = 4.1 R^-0.21 per mm for a rate R in mm/h. They fall at 9.65 - 10.3 exp(-0.6 D) m/s (Atlas, Srivastava and
  Sekhon, Reviews of Geophysics 11, 1973), so that exposure time and distance give the length of a streak.
- Drops are larger than the wavelength and take twice their cross-section from the light: the same sizes give
  beta = 2 * pi / 4 * integral N(D) D^2 dD = pi * 8000 / L^3 * 1e-6 per metre, a visibility of 4 km at 5 mm/h.
- A drop covers a pixel for its size over its way during the exposure, and shows a wide-angle image of the sky: a streak
  is faint, the fainter the longer (Garg and Nayar, International Journal of Computer Vision 75, 2007).

Drops on the lens are an effect of their own: `lens_drops`.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects import precipitation, wet_road
from tl_datasets.effects.airlight import Colour, airlight, daylight
from tl_datasets.effects.camera_view import CameraView, paint_views
from tl_datasets.effects.depth import distance_m, sky_share
from tl_datasets.effects.lit_lenses import LitLens, lit_lenses
from tl_datasets.effects.relight import relight
from tl_datasets.effects.scene import Effect, Scene, at
from tl_datasets.effects.veil import Particles, changed, light_of_air
from tl_datasets.taxonomy import Weather

# Light, moderate, heavy, heavy, violent rain (WMO: heavy from 10 mm/h, violent from 50 mm/h).
RATE_MM_H = (2.5, 7.5, 15.0, 30.0, 60.0)
_DROPS_PER_M3_MM = 8000.0
_SMALLEST_MM, _LARGEST_MM = 0.5, 6.0
# A drop is drawn as long as it is wider than this at 1280 px width; the rest is veil.
_WIDTH_PX, _REFERENCE_FOCAL_PX = 0.7, 1280.0
_NEAREST_M = 0.5
# Exposure times by day and by night, each drawn between two bounds.
_EXPOSURE_S = ((0.004, 0.01), (0.015, 0.03))
# Drops collect light of the whole sky, whose brightness the sensor clips: they shine this many times as bright as the
# air of the image, by night they catch the light of lamps.
_BRILLIANCE = 4.0
_MOST_OPAQUE = 0.45
# Share of its light that the sky and the scene lose to clouds.
_SKY_LOSS = (0.06, 0.12, 0.2, 0.27, 0.34)
_SCENE_LOSS = (0.02, 0.05, 0.08, 0.12, 0.16)
# Share of the streaks that is left over lit lenses.
_OVER_LENSES = 0.4
# Spray of tyres and drizzle between the drops thicken the veil by this factor.
_SPRAY = 1.5


def apply(scene: Scene, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The scene in rain.

    Args:
        scene: The image, its signal heads and views.
        severity: In [1, 5]; 2.5, 7.5, 15, 30, 60 mm/h.
        rng: Decides on wind, speed, exposure time, and where drops and puddles are.

    Returns:
        (H, W, 3) uint8 RGB; pixels in no view are as they were.

    Raises:
        ValueError: The severity is outside 1 to 5.
    """
    at(RATE_MM_H, severity)
    drive_m_s, wind_m_s = float(rng.uniform(0, 14)), float(rng.normal(0, 1.8))
    return paint_views(scene, lambda view: _paint(view, severity, drive_m_s, wind_m_s, rng))


def slope_per_mm(rate_mm_h: float) -> float:
    """Slope of the distribution of drop sizes by Marshall and Palmer."""
    return 4.1 * rate_mm_h**-0.21


def extinction_per_m(rate_mm_h: float) -> float:
    """Share of the light that rain takes per metre, for short ways."""
    return np.pi * _DROPS_PER_M3_MM / slope_per_mm(rate_mm_h) ** 3 * 1e-6


def fall_speed_m_s(size_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Speed of fall of drops, without wind."""
    return np.maximum(9.65 - 10.3 * np.exp(-0.6 * size_mm), 0.5)


def _paint(
    view: CameraView, severity: float, drive_m_s: float, wind_m_s: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    air = airlight(view)
    lenses = lit_lenses(view)
    wetness = wet_road.wetness(view, severity, air, lenses, rng)
    streaks = _streaks(view, at(RATE_MM_H, severity), air, (drive_m_s, wind_m_s), lenses, rng)
    return _dimmed(view, severity, air, wetness, lenses, streaks)


def _dimmed(
    view: CameraView,
    severity: float,
    air: Colour,
    wetness: wet_road.Wetness | None,
    lenses: list[LitLens],
    streaks: Particles,
) -> NDArray[np.uint8]:
    """Clouds before the sun, water on the road, the veil before everything, and streaks."""
    sky = sky_share(view, air)
    beta = _SPRAY * extinction_per_m(at(RATE_MM_H, severity))
    # Rain clouds hang low: the sky behind them shines through no more rain than a street does.
    thickness = np.minimum(distance_m(view, sky), 500) * np.float32(-beta)
    through = np.exp(thickness, out=thickness)
    dark_air = air * (1 - at(_SKY_LOSS, severity))
    added = light_of_air(through, dark_air)
    kept = through * (np.float32(1 - at(_SCENE_LOSS, severity)) - np.float32(at(_SKY_LOSS, severity)) * sky)
    if wetness is not None:
        half_top = wetness.top_px // 2
        size = (kept.shape[1], kept.shape[0] - half_top)
        mirrored = cv2.resize(cv2.convertScaleAbs(wetness.mirrored), size, interpolation=cv2.INTER_LINEAR)
        factor = cv2.cvtColor(cv2.convertScaleAbs(kept[half_top:], alpha=255), cv2.COLOR_GRAY2RGB)
        added[half_top:] = cv2.add(added[half_top:], cv2.multiply(mirrored, factor, scale=1 / 255))
        kept[half_top:] *= cv2.resize(wetness.kept, size, interpolation=cv2.INTER_LINEAR)
    painted = changed(view, kept, added, lenses, beta, dark_air, streaks)
    relight(painted, dark_air, view, lenses, beta)
    return painted


def _streaks(
    view: CameraView,
    rate_mm_h: float,
    air: Colour,
    speeds_m_s: tuple[float, float],
    lenses: list[LitLens],
    rng: np.random.Generator,
) -> Particles:
    day = daylight(air)
    shortest, longest = (night + day * (bright - night) for bright, night in zip(*_EXPOSURE_S, strict=True))
    flight = precipitation.Flight(
        exposure_s=float(rng.uniform(shortest, longest)),
        drive_m_s=speeds_m_s[0],
        wind_m_s=speeds_m_s[1],
        turbulence_m_s=0.35,
    )
    n, size_mm, distance = _drops(view, rate_mm_h, rng)
    found = precipitation.traces(view, size_mm, distance, fall_speed_m_s(size_mm), flight, rng)
    # A pixel sees the drop for this share of the exposure.
    covered = np.minimum(1, np.maximum(found.width_px, 1) / np.maximum(found.length_px, 1))
    opacity = np.minimum(_BRILLIANCE * covered * rng.uniform(0.5, 1.0, n), _MOST_OPAQUE)
    layer = precipitation.drawn(view, found, opacity)
    if view.width > 600:
        layer = np.asarray(cv2.GaussianBlur(layer, (3, 3), 0), np.uint8)
    precipitation.thinned_over_lenses(layer, lenses, _OVER_LENSES)
    light = precipitation.light_around(view, air, 0.25 + 0.45 * day, 1.1 + 0.9 * (1 - day))
    return Particles(opacity=layer, light=light)


def _drops(
    view: CameraView, rate_mm_h: float, rng: np.random.Generator
) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Number, sizes and distances of the drops that are wide enough to be drawn.

    A drop of size D is drawn up to a distance c D, so that c^3 D^3 / 3 of space is open to it per solid angle: sizes
    follow D^3 exp(-L D), a gamma distribution, and distances the cube root of an even distribution.
    """
    slope = slope_per_mm(rate_mm_h)
    metres_per_mm = _REFERENCE_FOCAL_PX * 1e-3 / _WIDTH_PX
    solid_angle = view.width * view.height / view.focal_px**2
    expected = _DROPS_PER_M3_MM * solid_angle / 3 * metres_per_mm**3 * 6 / slope**4
    n = precipitation.most(view, expected)
    size_mm = np.clip(rng.gamma(4, 1 / slope, n), _SMALLEST_MM, _LARGEST_MM)
    distance = np.maximum(metres_per_mm * size_mm * np.cbrt(rng.uniform(0, 1, n)), _NEAREST_M)
    return n, size_mm, distance


RAIN = Effect(
    apply=apply,
    weather=Weather.RAINY,
    not_in_weather=frozenset({Weather.RAINY, Weather.SNOWY, Weather.FOGGY, Weather.SANDSTORM}),
)
