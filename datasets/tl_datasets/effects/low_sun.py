"""Low sun ahead: the disc, the light that lens and windscreen scatter, and the long warm light.

The sun stands 2 to 14 degrees above the horizon of a frame. Around it lies veiling glare that falls with the square of
the angle, and over everything a constant share: it adds to every pixel in linear light, so dark things lose contrast
first. What faces the camera is in its own shade, and automatic exposure answers to the glare: surfaces get darker by
`SHADE_STOPS`. Dirt on the windscreen makes the glare uneven, and reflections between lenses make faint ghosts
on the other side of the picture.

A sun so low is one of dawn and dusk, so that is the time of day that the frame shows; clouds, rain, snow and fog would
hide it.

What it does not do: cast shadows, or move those that are there.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.camera_view import CameraView, paint_views
from tl_datasets.effects.lamp_glow import canvas_shape
from tl_datasets.effects.linear_light import WHITE, to_bytes, to_linear
from tl_datasets.effects.open_sky import open_sky
from tl_datasets.effects.scene import Effect, Scene, at
from tl_datasets.effects.texture import SIZE_PX, sample_noise, tileable_noise
from tl_datasets.taxonomy import TimeOfDay, Weather

ELEVATION_DEG = (2.0, 14.0)
SUN_RADIUS_DEG = 0.27
# Constant part of the glare, as a share of white: 1 % is a clean lens, 10 % a dirty windscreen.
VEIL = (0.008, 0.015, 0.028, 0.045, 0.07)
# Glare at 5 degrees from the sun, as a share of white.
GLARE = (0.05, 0.09, 0.15, 0.23, 0.34)
SHADE_STOPS = (0.15, 0.3, 0.5, 0.7, 0.9)
GHOSTS = (0.004, 0.007, 0.011, 0.016, 0.022)

# Linear RGB of the sunlight through 10 to 30 air masses, of its glare, and of what it lights.
_SUN = (1.0, 0.9, 0.74)
_WARM = (1.07, 0.99, 0.86)
_GLARE_DEG = 5.0
_CORE_DEG, _HIDDEN_CORE_DEG = 0.8, 4.0
_HIDDEN_SHARE = 0.4
_DIRT = 0.16
# The sun stands at least this far from the nearest lamp, if it can: what it covers nobody can read.
_FROM_LAMPS_DEG = 4.0
_CHOICES = 12


def apply(scene: Scene, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Put a low sun into the frames of a scene.

    Args:
        scene: The image, its lights and its views; padding stays as it is.
        severity: 1 to 5, see the tables of this module.
        rng: Decides where the sun stands and the dirt on the windscreen.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: The severity is outside 1 to 5.
    """
    at(VEIL, severity)
    return paint_views(scene, lambda view: add_sun(view, severity, rng))


def add_sun(view: CameraView, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Put a low sun into one frame; see `apply`."""
    height, width = canvas_shape(view)
    sky = cv2.resize(open_sky(view), (width, height), interpolation=cv2.INTER_AREA)
    sun_x, sun_y, free = _sun_place(view, sky, rng)  # type: ignore[arg-type]
    y = _centres(height, view.height)[:, None]
    x = _centres(width, view.width)[None]
    degree_px = view.focal_px * math.radians(1)
    squared = ((x - sun_x) ** 2 + (y - sun_y) ** 2) / np.float32(degree_px**2)
    dirt = _dirt(view, x, y, rng)
    # Behind a house there is no disc, only a wide brightness around where it stands.
    core = np.float32((free * _CORE_DEG + (1 - free) * _HIDDEN_CORE_DEG) ** 2)
    seen = _HIDDEN_SHARE + (1 - _HIDDEN_SHARE) * free
    glare = np.float32(at(GLARE, severity) * seen) * (_GLARE_DEG**2 + core) / (squared + core)
    veil = ((at(VEIL, severity) + glare) * dirt)[..., None] * np.array(_SUN, np.float32)
    veil += _ghosts(view, x, y, (sun_x, sun_y), rng) * np.float32(at(GHOSTS, severity) * free)
    small = np.minimum(veil * WHITE, WHITE).astype(np.uint16)
    light = cv2.resize(small, (view.width, view.height), interpolation=cv2.INTER_LINEAR)
    shade = np.array(_WARM) * 2.0 ** -at(SHADE_STOPS, severity)
    return to_bytes(cv2.add(to_linear(view.image, shade), light))  # type: ignore[arg-type]


def _centres(n: int, length_px: int) -> NDArray[np.float32]:
    """Coordinates of the middles of n cells that share a length."""
    return ((np.arange(n) + 0.5) * length_px / n).astype(np.float32)


def _sun_place(view: CameraView, sky: NDArray[np.float32], rng: np.random.Generator) -> tuple[float, float, float]:
    """x, y of the sun in pixels and how much of it stands free, 0 to 1.

    Of some random places it takes the freest, away from lamps.
    """
    elevation = np.radians(rng.uniform(*ELEVATION_DEG, _CHOICES))
    xs = rng.uniform(0.06, 0.94, _CHOICES) * view.width
    ys = view.horizon_px - view.focal_px * np.tan(elevation)
    rows = np.clip((ys / view.height * sky.shape[0]).astype(int), 0, sky.shape[0] - 1)
    columns = np.clip((xs / view.width * sky.shape[1]).astype(int), 0, sky.shape[1] - 1)
    free = cv2.blur(sky, (5, 5))[rows, columns]
    centres = (view.lights_xyxy[:, :2] + view.lights_xyxy[:, 2:]) / 2
    distance = np.hypot(xs[:, None] - centres[:, 0], ys[:, None] - centres[:, 1]).min(axis=1, initial=np.inf)
    is_near = distance < _FROM_LAMPS_DEG * math.radians(1) * view.focal_px
    best = int(np.argmax(free - 2 * is_near))
    return float(xs[best]), float(ys[best]), float(free[best])


def _dirt(
    view: CameraView, x: NDArray[np.float32], y: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """(h, w) how strongly each place of the windscreen scatters; mean near 1."""
    shift_x, shift_y = rng.uniform(0, SIZE_PX, 2)
    # Patches of about 6 degrees, a hand's breadth at the windscreen.
    scale = np.float32(SIZE_PX / view.focal_px)
    shape = np.broadcast_shapes(x.shape, y.shape)
    across = np.ascontiguousarray(np.broadcast_to(x * scale + np.float32(shift_x), shape))
    down = np.ascontiguousarray(np.broadcast_to(y * scale + np.float32(shift_y), shape))
    noise = sample_noise(tileable_noise(8), across, down)
    return np.clip(1 + np.float32(_DIRT) * noise, 0.5, 1.6)


def _ghosts(
    view: CameraView,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    sun: tuple[float, float],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """(h, w, 3) reflections on the line from the sun through the centre, the strongest near 1; warm, never a hue."""
    centre_x, centre_y = view.width / 2, view.height / 2
    total = np.zeros((y.shape[0], x.shape[1], 3), np.float32)
    for _ in range(int(rng.integers(2, 5))):
        along, radius = rng.uniform(0.3, 1.9), rng.uniform(0.012, 0.05) * view.focal_px
        place_x, place_y = sun[0] + along * (centre_x - sun[0]), sun[1] + along * (centre_y - sun[1])
        distance = np.sqrt((x - np.float32(place_x)) ** 2 + (y - np.float32(place_y)) ** 2)
        inside = np.clip((np.float32(radius) - distance) / np.float32(0.15 * radius) + 0.5, 0, 1)
        tint = np.array((1.0, rng.uniform(0.85, 0.97), rng.uniform(0.6, 0.9)), np.float32)
        total += inside[..., None] * tint * np.float32(rng.uniform(0.4, 1))
    return total


LOW_SUN = Effect(
    apply=apply,
    time_of_day=TimeOfDay.DAWN_DUSK,
    not_in_weather=frozenset({Weather.RAINY, Weather.SNOWY, Weather.FOGGY, Weather.OVERCAST}),
    not_in_time_of_day=frozenset({TimeOfDay.NIGHT}),
)
