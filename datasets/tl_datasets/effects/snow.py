"""Snowfall: flakes from near to far, a white veil, and snow on the road.

- Visibility falls with the rate: light snow leaves 1 km and more, moderate 500 m to 1 km, heavy less than 500 m (the
  classes of the World Meteorological Organization and of the national services).
- The flakes that are drawn are those that make the veil: a flake takes twice its cross-section from the light, so that
  beta = 2 * pi / 4 * density * mean D^2 gives their number per m3. Diameters fall off exponentially (Gunn and Marshall,
  Journal of Meteorology 15, 1958).
- Flakes fall at 0.8 to 1.6 m/s whatever their size, and drift: short traces, longer where the car drives fast.
- Snow sends back 80 % of the light, asphalt a tenth to a fifth: the road becomes brighter and keeps its shadows. Wheels
  press it away in tracks.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects import precipitation
from tl_datasets.effects.airlight import Colour, airlight, daylight
from tl_datasets.effects.camera_view import CameraView, paint_views
from tl_datasets.effects.depth import distance_m, sky_share
from tl_datasets.effects.ground import Ground, ground_of
from tl_datasets.effects.lit_lenses import LitLens, lit_lenses
from tl_datasets.effects.relight import relight
from tl_datasets.effects.road import Floats
from tl_datasets.effects.scene import Effect, Scene, at
from tl_datasets.effects.texture import SIZE_PX, sample_noise, tileable_noise
from tl_datasets.effects.veil import Particles, changed, light_of_air
from tl_datasets.taxonomy import Weather

VISIBILITY_M = (2500.0, 1200.0, 700.0, 400.0, 220.0)
# Mean diameter of all flakes; wet, heavy snow has larger ones.
FLAKE_MM = (1.0, 1.15, 1.3, 1.5, 1.8)
# Share of the road under snow.
COVER = (0.08, 0.25, 0.5, 0.72, 0.88)
_EXTINCTION = 3.912
# A flake is drawn if it is wider than this at 1280 px width; the rest is veil.
_WIDTH_PX, _REFERENCE_FOCAL_PX = 1.1, 1280.0
_NEAREST_M, _LARGEST_MM = 0.6, 16.0
_FALL_M_S = (0.8, 1.6)
# Exposure times by day and by night, each drawn between two bounds.
_EXPOSURE_S = ((0.001, 0.004), (0.006, 0.012))
_OPACITY = 0.95
# Wider flakes are so near that they are out of focus.
_BLURRED_PX = 5.0
# Share of the flakes that is left over lit lenses.
_OVER_LENSES = 0.3
# Albedo of snow over that of road.
_ALBEDO_GAIN = 4.5
_SNOW_WHITE = 235.0
# Half the distance between the tracks of a vehicle, half the width of a track, and the width of a lane.
_TRACK_M, _TRACK_HALF_WIDTH_M, _LANE_M = 0.75, 0.22, 3.5


def apply(scene: Scene, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The scene in snowfall.

    Args:
        scene: The image, its signal heads and views.
        severity: In [1, 5]; visibility of 2500, 1200, 700, 400, 220 m and 8, 25, 50, 72, 88 % of the road under snow.
        rng: Decides on wind, speed and exposure time, and where flakes and snow lie.

    Returns:
        (H, W, 3) uint8 RGB; pixels in no view are as they were.

    Raises:
        ValueError: The severity is outside 1 to 5.
    """
    at(COVER, severity)
    drive_m_s, wind_m_s = float(rng.uniform(0, 12)), float(rng.normal(0, 1.0))
    return paint_views(scene, lambda view: _paint(view, severity, drive_m_s, wind_m_s, rng))


def extinction_per_m(severity: float) -> float:
    """Beta of Koschmieder's law at a severity."""
    return _EXTINCTION / float(np.exp(at(np.log(VISIBILITY_M).tolist(), severity)))


def _paint(
    view: CameraView, severity: float, drive_m_s: float, wind_m_s: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    air = airlight(view)
    day = daylight(air)
    shortest, longest = (night + day * (bright - night) for bright, night in zip(*_EXPOSURE_S, strict=True))
    flight = precipitation.Flight(
        exposure_s=float(rng.uniform(shortest, longest)),
        drive_m_s=drive_m_s,
        wind_m_s=wind_m_s,
        turbulence_m_s=0.5,
    )
    lenses = lit_lenses(view)
    layer = _flakes(view, severity, flight, rng)
    precipitation.thinned_over_lenses(layer, lenses, _OVER_LENSES)
    light = precipitation.light_around(view, air, 0.3 + 0.6 * day, 1.1 + 2.4 * (1 - day))
    return _covered(view, severity, air, lenses, Particles(opacity=layer, light=light), rng)


def _covered(
    view: CameraView,
    severity: float,
    air: Colour,
    lenses: list[LitLens],
    flakes: Particles,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Snow on the road, then the veil before everything, then flakes."""
    sky = sky_share(view, air)
    beta = extinction_per_m(severity)
    thickness = distance_m(view, sky) * np.float32(-beta)
    kept = np.exp(thickness, out=thickness)
    added = light_of_air(kept, air)
    ground = ground_of(view)
    if ground is not None:
        half_top = ground.top_px // 2
        size = (kept.shape[1], kept.shape[0] - half_top)
        cover = cv2.resize(_cover(ground, at(COVER, severity), rng), size, interpolation=cv2.INTER_LINEAR)
        lying = cv2.resize(_snow_colour(view, ground, air), size, interpolation=cv2.INTER_LINEAR)
        weight = cv2.cvtColor(cv2.convertScaleAbs(cover * kept[half_top:], alpha=255), cv2.COLOR_GRAY2RGB)
        added[half_top:] = cv2.add(added[half_top:], cv2.multiply(lying, weight, scale=1 / 255))
        kept[half_top:] *= 1 - cover
    painted = changed(view, kept, added, lenses, beta, air, flakes)
    relight(painted, air, view, lenses, beta)
    return painted


def _cover(ground: Ground, share: float, rng: np.random.Generator) -> Floats:
    """(h, w) 0 to 1, how much snow hides the ground: patches, and tracks of wheels in each lane."""
    offset = rng.uniform(0, SIZE_PX, 2).astype(np.float32)
    lane = np.float32(rng.uniform(-0.5, 0.5))
    x = offset[0] + ground.right_m * np.float32(8.0)
    y = np.ascontiguousarray(np.broadcast_to(offset[1] + ground.ahead_m * np.float32(3.0), x.shape), np.float32)
    patches = sample_noise(tileable_noise(32), x, y) * np.clip(15 / ground.ahead_m, 0, 1)
    beside_lane = np.mod(ground.right_m - lane + np.float32(_LANE_M / 2), np.float32(_LANE_M)) - np.float32(_LANE_M / 2)
    beside_track = np.abs(np.abs(beside_lane) - np.float32(_TRACK_M)) / np.float32(_TRACK_HALF_WIDTH_M)
    tracks = np.clip(1.6 - beside_track, 0, 1)
    depth = share * 1.35 + 0.2 * patches - 0.5 * tracks * (1 - 0.5 * share) * np.clip(1 + 0.5 * patches, 0, 1) - 0.1
    return (np.clip(depth, 0, 0.94) * ground.road).astype(np.float32)


def _snow_colour(view: CameraView, ground: Ground, air: Colour) -> NDArray[np.uint8]:
    """(h, w, 3) the colour of snow where road is: as bright as the light on the road makes it, a little blue."""
    height, width = ground.road.shape
    small = cv2.resize(view.image[ground.top_px :], (width, height), interpolation=cv2.INTER_AREA)
    luma = cv2.blur(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), (5, 5))
    brightest = min(_SNOW_WHITE, 1.05 * float(air.mean()) + 60)
    table = brightest * (1 - np.exp(-_ALBEDO_GAIN * np.arange(256) / brightest))
    tint = np.array([0.97, 0.985, 1.0])
    table = np.round(np.maximum(table, np.arange(256))[:, None] * tint).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.cvtColor(luma, cv2.COLOR_GRAY2RGB), table.reshape(1, 256, 3)), np.uint8)


def _flakes(
    view: CameraView, severity: float, flight: precipitation.Flight, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """(H, W) opacity of the flakes that are wide enough to be drawn.

    As with rain, sizes of the drawn follow D^3 exp(-D / mean), and distances the cube root of an even distribution.
    """
    mean_mm = at(FLAKE_MM, severity)
    # Mean of D^2 of an exponential distribution: twice the square of its mean.
    per_m3 = extinction_per_m(severity) / (np.pi / 2 * 2 * mean_mm**2 * 1e-6)
    metres_per_mm = _REFERENCE_FOCAL_PX * 1e-3 / _WIDTH_PX
    solid_angle = view.width * view.height / view.focal_px**2
    n = precipitation.most(view, per_m3 * solid_angle / 3 * metres_per_mm**3 * 6 * mean_mm**3)
    size_mm = np.minimum(rng.gamma(4, mean_mm, n), _LARGEST_MM)
    distance = np.maximum(metres_per_mm * size_mm * np.cbrt(rng.uniform(0, 1, n)), _NEAREST_M)
    found = precipitation.traces(view, size_mm, distance, rng.uniform(*_FALL_M_S, n), flight, rng)
    covered = np.minimum(1, np.maximum(found.width_px, 1) / np.maximum(found.length_px, 1))
    opacity = _OPACITY * covered * rng.uniform(0.55, 1.0, n)
    is_blurred = found.width_px > _BLURRED_PX * view.focal_px / _REFERENCE_FOCAL_PX
    far = precipitation.drawn(view, found, np.where(is_blurred, 0, opacity))
    far = cv2.GaussianBlur(far, (3, 3), 0)
    near = precipitation.drawn(view, found, np.where(is_blurred, opacity, 0), reduction=2)
    side = 2 * max(1, round(view.focal_px / _REFERENCE_FOCAL_PX)) + 1
    near = cv2.blur(cv2.blur(near, (side, side)), (side, side))
    return np.asarray(cv2.max(far, cv2.resize(near, far.shape[::-1], interpolation=cv2.INTER_LINEAR)), np.uint8)


SNOW = Effect(
    apply=apply,
    weather=Weather.SNOWY,
    not_in_weather=frozenset({Weather.SNOWY, Weather.RAINY, Weather.FOGGY, Weather.SANDSTORM}),
)
