"""Night out of day: surfaces darken, the sky goes out, lamps stay lit and glow.

Everything happens in linear light. Surfaces get what the ambient light of a street at night, the own head lamps and
street lamps leave of the daylight; the pattern of that light has a mean of one, so that the mean over the surfaces
falls by `STOPS` (less in frames that are dark by day already). The sky falls by `SKY_STOPS` more and turns colder. What
is lit inside the boxes of signal heads keeps its light and gets a glow in its own colour; small coloured lights
elsewhere (tail lamps, heads that nobody labelled) keep `OTHER_LIGHTS` of theirs. The gain of the camera goes up, and
its noise with it.

What it does not do: switch on the lamps of cars and windows, which are dark by day, or remove the shadows of the sun.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.camera_view import CameraView, paint_views
from tl_datasets.effects.lamp_glow import canvas_shape, lamp_sources, spread
from tl_datasets.effects.linear_light import WHITE, to_linear
from tl_datasets.effects.lit_lamps import clip_to_white, find_lit, with_headroom
from tl_datasets.effects.open_sky import open_sky, ramp
from tl_datasets.effects.scene import Effect, Scene, at
from tl_datasets.effects.sensor_noise import with_even_noise
from tl_datasets.taxonomy import TimeOfDay

# Fall of the mean light of surfaces, in stops (halvings). The eye of day sees 10,000 lx, a lit street has 10 lx, ten
# stops less; a camera wins more than half of that back by exposure.
STOPS = (1.6, 2.1, 2.6, 3.1, 3.6)
# Frames of cameras that expose by day for less than this mean light are lifted first, to it or by this factor.
_DAY_MEAN, _LARGEST_LIFT = 0.12, 2.0
# What the sky falls further, in stops.
SKY_STOPS = (2.6, 2.8, 3.0, 3.2, 3.4)
# Light scattered around a lamp as a share of what it sends, and how often white a clipped lamp is thought to be.
GLOW = (0.2, 0.25, 0.3, 0.36, 0.42)
HEADROOM = 6.0
# Share of the daylight that a lens reflects in the light that it shows: it is gone by night.
_PURER = 0.4
# A lamp that is dim by day comes out brighter by night; at most so much.
_LAMP_GAIN, _LAMP_LIGHT = 1.6, 0.8
OTHER_LIGHTS = (0.6, 0.55, 0.5, 0.45, 0.4)
# Gain of the camera, see tl_datasets/effects/sensor_noise.py.
GAIN = (2.0, 3.0, 4.0, 6.0, 8.0)

# Linear RGB of ambient light and sky, of LED head lamps, and of street lamps (4000 K LED, sodium); mean near 1.
_AMBIENT = (0.9, 0.97, 1.2)
_SKY = (0.75, 0.92, 1.4)
_HEAD_LAMPS = (1.05, 1.0, 0.88)
_STREET_LAMPS = ((1.06, 1.0, 0.84), (1.3, 0.98, 0.52))
# A small coloured light is this bright and this coloured, in bytes, and fills at most this share of its surroundings.
_LEAST_KEPT = 16
_LIGHT_BYTES, _LIGHT_CHROMA, _LIGHT_SHARE = (150, 200), (70, 120), 0.2
# The light of a street reaches this many times its mean.
_BRIGHTEST = 6.0
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def apply(scene: Scene, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn the frames of a scene into night.

    Args:
        scene: The image, its lights and its views; padding stays as it is.
        severity: 1 to 5 = surfaces 1.6 to 3.6 stops darker.
        rng: Decides where street lamps stand, their kind, the strength of the head lamps, and the noise.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: The severity is outside 1 to 5.
    """
    at(STOPS, severity)
    return paint_views(scene, lambda view: darken(view, severity, rng))


def darken(view: CameraView, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn one frame into night; see `apply`."""
    linear = to_linear(view.image)
    mean = float(linear[::8, ::8].mean(axis=(0, 1)) @ _LUMA) / WHITE
    lift = float(np.clip(_DAY_MEAN / max(mean, 1e-3), 1, _LARGEST_LIFT))
    stops = at(STOPS, severity) - math.log2(lift)
    unit = WHITE / _BRIGHTEST
    light = _as_uint16(_street_light(view, rng) * np.float32(2.0**-stops * unit))
    sky = open_sky(view)
    if sky.any():
        # The half-size sky is grown by a pixel: an outline that stays lit would frame every tree.
        sky = cv2.convertScaleAbs(cv2.dilate(sky, np.ones((3, 3), np.uint8)), alpha=255)
        dark = np.array(_SKY) * 2.0 ** -(stops + at(SKY_STOPS, severity)) * unit / 255
        light = cv2.resize(light, sky.shape[::-1], interpolation=cv2.INTER_LINEAR)
        open_air = cv2.LUT(sky, np.arange(255, -1, -1, dtype=np.uint16))
        cv2.multiply(light, cv2.merge([open_air] * 3), dst=light, scale=1 / 255)
        skies = np.rint(np.arange(256)[:, None] * dark).astype(np.uint16).reshape(1, 256, 3)
        cv2.add(light, cv2.LUT(cv2.merge([sky] * 3), skies), dst=light)
    size = (view.width, view.height)
    night = cv2.resize(light, size, interpolation=cv2.INTER_LINEAR)
    cv2.multiply(linear, night, dst=night, scale=1 / unit)
    _keep_other_lights(night, view, linear, at(OTHER_LIGHTS, severity))  # type: ignore[arg-type]
    lamps = find_lit(view.image, view.lights_xyxy, view.lights_state)
    if lamps:
        radiances = []
        for lamp in lamps:
            own = with_headroom(lamp, view.image, HEADROOM) * lamp.weight[..., None]
            own += _PURER * (own.max(axis=-1, keepdims=True) * lamp.colour - own)
            own *= np.clip(_LAMP_LIGHT / max(float(own.max()), 1e-3), 1, _LAMP_GAIN)
            radiances.append(own.max(axis=-1))
            shown = (WHITE * clip_to_white(own)).astype(np.uint16)
            night[lamp.rows_cols] = cv2.max(np.ascontiguousarray(night[lamp.rows_cols]), shown)
        glow = spread(lamp_sources(view, lamps, radiances)) * np.float32(at(GLOW, severity))
        cv2.add(night, cv2.resize(_as_uint16(glow * WHITE), size, interpolation=cv2.INTER_LINEAR), dst=night)
    return with_even_noise(night, mean * 2.0**-stops, at(GAIN, severity), rng)  # type: ignore[arg-type]


def _as_uint16(light: NDArray[np.float32]) -> NDArray[np.uint16]:
    return np.minimum(light, WHITE).astype(np.uint16)


def _street_light(view: CameraView, rng: np.random.Generator) -> NDArray[np.float32]:
    """(h, w, 3) pattern of the light of a street at night, with a mean luminance of 1."""
    height, width = canvas_shape(view)
    height, width = max(1, height // 4), max(1, width // 4)
    # In units of the focal length, from the vanishing point.
    y = ((np.arange(height) + 0.5) / height * view.height - view.horizon_px)[:, None] / view.focal_px
    x = ((np.arange(width) + 0.5) / width * view.width - view.width / 2)[None] / view.focal_px
    # Low beams: cut off above the horizon, brightest 20 to 30 m ahead (camera height 1.4 m), wide and flat.
    beam = np.exp(-((x - rng.uniform(-0.05, 0.1)) ** 2) / (2 * rng.uniform(0.16, 0.26) ** 2))
    beam = beam * np.clip((y + 0.005) / 0.03, 0.06, 1) * np.exp(-np.maximum(y - 0.06, 0) / 0.16)
    light = np.array(_AMBIENT) + rng.uniform(3, 7) * beam[..., None] * np.array(_HEAD_LAMPS)
    kind = np.array(_STREET_LAMPS[int(rng.integers(len(_STREET_LAMPS)))])
    for _ in range(int(rng.integers(1, 5))):
        place_x, place_y, radius = rng.uniform(-0.5, 0.5), rng.uniform(-0.16, 0.08), rng.uniform(0.06, 0.18)
        pool = np.exp(-((x - place_x) ** 2 + (y - place_y) ** 2) / (2 * radius**2))
        light = light + rng.uniform(1, 4) * pool[..., None] * kind
    return (light / (light @ _LUMA).mean()).astype(np.float32)


def _keep_other_lights(night: NDArray[np.uint16], view: CameraView, linear: NDArray[np.uint16], kept: float) -> None:
    """Give small coloured lights a share of their light back, in place."""
    size = (-(-view.width // 2), -(-view.height // 2))
    red, green, blue = cv2.split(cv2.resize(view.image, size, interpolation=cv2.INTER_AREA))
    brightest = cv2.max(red, green)
    # Green lamps are bluish; what is bluer than green is sky.
    bluer = cv2.subtract(blue, green)
    greenness = cv2.subtract(cv2.subtract(green, red), cv2.add(bluer, bluer))
    chroma = cv2.max(cv2.subtract(brightest, blue), greenness)
    lit = cv2.multiply(cv2.LUT(brightest, ramp(*_LIGHT_BYTES)), cv2.LUT(chroma, ramp(*_LIGHT_CHROMA)), scale=1 / 255)
    # Large coloured surfaces are walls, leaves and cars.
    side = 2 * max(1, round(view.focal_px / 160)) + 1
    around = cv2.blur(lit, (side, side))
    lit = cv2.multiply(lit, cv2.LUT(around, 255 - ramp(255 * _LIGHT_SHARE / 2, 255 * _LIGHT_SHARE)), scale=kept / 255)
    y, x = np.nonzero(lit > _LEAST_KEPT)
    share = lit[y, x].astype(np.float32)[:, None] / 255
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        rows, columns = np.minimum(2 * y + down, view.height - 1), np.minimum(2 * x + right, view.width - 1)
        own = (linear[rows, columns] * share).astype(np.uint16)
        night[rows, columns] = np.maximum(night[rows, columns], own)


NIGHT = Effect(apply=apply, time_of_day=TimeOfDay.NIGHT, not_in_time_of_day=frozenset({TimeOfDay.NIGHT}))
