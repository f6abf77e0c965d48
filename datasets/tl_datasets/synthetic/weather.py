"""What lies between the scene and the stored image: glow, wet reflections, rain, snow, drops, lens and sensor."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.synthetic.atmosphere import Atmosphere
from tl_datasets.synthetic.canvas import Canvas
from tl_datasets.synthetic.spec import REFERENCE_WIDTH_PX

_GLOW_DOWN = 4  # the glow is computed at a quarter of the resolution
# Glow as Gaussians: (standard deviation in reference pixels, weight, share of the halo added to the weight).
_GLOW_LAYERS = ((4.5, 0.55, 0.0), (15.0, 1.5, 1.2), (48.0, 2.6, 5.0))
_STREAK_STEPS = 9
# A road less wet than this mirrors nothing.
SMALLEST_MIRRORING_WET = 0.3


def mirror_in_wet_road(
    pixels: NDArray[np.uint8], bare_ground: NDArray[np.uint8], horizon_px: float, wet: float
) -> None:
    """Blend the blurred mirror image of what is above the horizon into the ground, in place.

    Args:
        pixels: (H, W, 3) image with the houses.
        bare_ground: The same image before the houses were painted; where they cover the ground, nothing is mirrored.
        horizon_px: Row of the horizon.
        wet: Reflection of the road, 0..1.
    """
    height, width = pixels.shape[:2]
    horizon = int(horizon_px)
    n_rows = min(height - horizon, horizon)
    if n_rows < 8:
        return
    above = pixels[horizon - n_rows : horizon]
    small = cv2.resize(above, (width // 4, n_rows // 4), interpolation=cv2.INTER_AREA)[::-1]
    small = cv2.GaussianBlur(np.ascontiguousarray(small), (0, 0), sigmaX=1.5, sigmaY=7)
    # More at grazing incidence: a wet road far ahead is a mirror, the one before the bonnet is not.
    share = wet * (0.16 + 0.5 * np.exp(-np.linspace(0, 4.5, small.shape[0])))[:, None, None]
    small = (small * share).astype(np.uint8)
    mirrored = cv2.resize(small, (width, n_rows), interpolation=cv2.INTER_LINEAR)
    ground = pixels[horizon : horizon + n_rows]
    is_bare = (ground == bare_ground[horizon : horizon + n_rows]).all(axis=2)
    wet_ground = cv2.addWeighted(ground, 0.86, mirrored, 1.0, 0)
    cv2.copyTo(wet_ground, is_bare.view(np.uint8), ground)


def add_glow(canvas: Canvas, air: Atmosphere, horizon_px: float) -> None:
    """Add the light that lens, air and a wet road spread around the lamps."""
    scale = canvas.width_px / REFERENCE_WIDTH_PX
    height, width = max(canvas.height_px // _GLOW_DOWN, 4), max(canvas.width_px // _GLOW_DOWN, 4)
    lamps = canvas.shining_lamps()
    if not lamps:
        return
    place = np.array([(lamp.x_px, lamp.y_px) for lamp in lamps])
    # Beyond a radius of 28 reference pixels a lamp is a surface: its glow no longer grows with its area.
    radius = np.clip([lamp.radius_px / scale for lamp in lamps], 0.55, 28)
    power = np.pi * radius**2 / _GLOW_DOWN**2 * np.array([lamp.strength for lamp in lamps])
    energy = power[:, None] * np.array([lamp.colour for lamp in lamps])
    light = _splat(place, energy, height, width)
    streaks = None
    if air.wet > SMALLEST_MIRRORING_WET:
        mirrored = np.array([np.nan if lamp.reflected_y_px is None else lamp.reflected_y_px for lamp in lamps])
        wet = mirrored > horizon_px
        reach = 0.42 * (mirrored[wet] - horizon_px)
        step = np.linspace(-1, 1, _STREAK_STEPS)
        share = air.wet * 0.75 * (1 - 0.6 * np.abs(step)) / _STREAK_STEPS
        rows = mirrored[wet][:, None] + reach[:, None] * step
        points = np.stack([np.broadcast_to(place[wet, :1], rows.shape), rows], axis=-1).reshape(-1, 2)
        streaks = _splat(points, (energy[wet][:, None, :] * share[:, None]).reshape(-1, 3), height, width)
    total = np.zeros_like(light)
    for sigma, weight, halo in _GLOW_LAYERS:
        strength = air.bloom * weight + air.halo * halo * (0.35 + air.bloom)
        total += strength * _blur(light, max(sigma * scale / _GLOW_DOWN, 0.5))
    if streaks is not None:
        blurred = cv2.GaussianBlur(streaks, (0, 0), sigmaX=max(1.1 * scale, 0.4), sigmaY=max(4.0 * scale, 0.8))
        total += (0.4 + air.bloom) * 3.0 * blurred
    glow = cv2.convertScaleAbs(total[1:-1, 1:-1])
    glow = cv2.resize(glow, (canvas.width_px, canvas.height_px), interpolation=cv2.INTER_LINEAR)
    cv2.add(canvas.pixels, glow, dst=canvas.pixels)


def _blur(light: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    if sigma < 4:
        return np.asarray(cv2.GaussianBlur(light, (0, 0), sigma), np.float32)
    size = (light.shape[1], light.shape[0])
    down = int(sigma // 2)
    small = cv2.resize(light, (max(size[0] // down, 2), max(size[1] // down, 2)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), sigma / down)
    return np.asarray(cv2.resize(blurred, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _splat(place_px: NDArray[np.float64], energy: NDArray[np.float64], height: int, width: int) -> NDArray[np.float32]:
    """Collect (N, 3) energies at (N, 2) places in cells, each shared among the four nearest; a border of one cell."""
    light = np.zeros((height + 2, width + 2, 3), np.float32)
    cell = place_px / _GLOW_DOWN + 0.5
    column, row = np.floor(cell).astype(int).T
    inside = (column >= 0) & (column <= width) & (row >= 0) & (row <= height)
    cell, energy, column, row = cell[inside], energy[inside], column[inside], row[inside]
    right, down = (cell - np.stack([column, row], axis=1)).T
    for rows, columns, share in (
        (row, column, (1 - right) * (1 - down)),
        (row, column + 1, right * (1 - down)),
        (row + 1, column, (1 - right) * down),
        (row + 1, column + 1, right * down),
    ):
        np.add.at(light, (rows, columns), (energy * share[:, None]).astype(np.float32))
    return light


class Precipitation:
    """Rain streaks, flakes and drops on the windscreen of one sequence."""

    def __init__(self, air: Atmosphere, width_px: int, height_px: int, rng: np.random.Generator):
        self._air = air
        self._size = (width_px, height_px)
        scale = width_px / REFERENCE_WIDTH_PX
        self._layers: list[NDArray[np.uint8]] = []
        self._drops: list[tuple[float, float, float, float]] = []
        tall, wide = height_px + round(240 * scale), width_px + round(320 * scale)
        bright = float(np.clip(60 + 150 * max(air.light), 60, 200))
        if air.rain:
            slant = float(rng.uniform(-0.25, 0.25))
            for count, length, level, thickness in ((1500, 16, 0.22, 1), (220, 46, 0.26, 1), (30, 95, 0.17, 2)):
                layer = np.zeros((tall, wide), np.uint8)
                for _ in range(int(count * air.rain)):
                    x, y = rng.uniform(0, wide), rng.uniform(0, tall)
                    run = length * scale * rng.uniform(0.6, 1.3)
                    ends = [(int(x * 16), int(y * 16)), (int((x + slant * run) * 16), int((y + run) * 16))]
                    value = int(bright * level * rng.uniform(0.6, 1.2))
                    cv2.line(layer, ends[0], ends[1], (value,), max(round(thickness * scale), 1), cv2.LINE_AA, 4)
                self._layers.append(layer)
            for _ in range(int(rng.integers(14, 40) * air.rain)):
                self._drops.append(
                    (
                        rng.uniform(0, width_px),
                        rng.uniform(0, height_px),
                        rng.uniform(2.5, 10) * scale,
                        rng.uniform(0, 1.5),
                    )
                )
        if air.snowfall:
            for count, radius, level in ((1700, 0.9, 0.5), (260, 2.0, 0.62), (38, 4.6, 0.45)):
                layer = np.zeros((tall, wide), np.uint8)
                for _ in range(int(count * air.snowfall)):
                    centre = (int(rng.uniform(0, wide) * 16), int(rng.uniform(0, tall) * 16))
                    size = max(radius * scale * rng.uniform(0.6, 1.4), 0.5)
                    cv2.circle(
                        layer,
                        centre,
                        int(size * 16),
                        (int(bright * level * rng.uniform(0.6, 1.2)),),
                        -1,
                        cv2.LINE_AA,
                        4,
                    )
                if radius > 3:
                    layer = np.asarray(cv2.GaussianBlur(layer, (0, 0), 1.6 * scale), np.uint8)
                self._layers.append(layer)

    def paint_on(self, pixels: NDArray[np.uint8], rng: np.random.Generator) -> None:
        """Add this frame's rain or snow, in place."""
        width, height = self._size
        if self._layers:
            veil = np.zeros((height, width), np.uint8)
            for layer in self._layers:
                y, x = rng.integers(0, layer.shape[0] - height + 1), rng.integers(0, layer.shape[1] - width + 1)
                part = layer[y : y + height, x : x + width]
                np.maximum(veil, part, out=veil)
            cv2.add(pixels, cv2.merge([veil] * 3), dst=pixels)

    def wet_windscreen(
        self, pixels: NDArray[np.uint8], frame_index: int, keep_clear: list[tuple[float, float, float, float]]
    ) -> None:
        """Paint the drops on the windscreen, in place, but not over the boxes in `keep_clear`."""
        width, height = self._size
        for x, y, radius, slide in self._drops:
            row = (y + slide * frame_index * width / REFERENCE_WIDTH_PX) % height
            reach = radius + 2
            if any(x1 - reach < x < x2 + reach and y1 - reach < row < y2 + reach for x1, y1, x2, y2 in keep_clear):
                continue
            _paint_drop(pixels, x, row, radius)


def _paint_drop(pixels: NDArray[np.uint8], x: float, y: float, radius: float) -> None:
    """A drop shows the scene upside down, small and bright, with a dark lower rim."""
    half = int(np.ceil(radius))
    x1, y1, size = int(x) - half, int(y) - half, 2 * half + 1
    reach = 4 * half
    if min(x1, y1) < reach or x1 + size + reach >= pixels.shape[1] or y1 + size + reach >= pixels.shape[0]:
        return
    scene = pixels[y1 - reach : y1 + size + reach, x1 - reach : x1 + size + reach][::-1, ::-1]
    inside = cv2.resize(scene, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1] / radius
    inside *= (1.05 - 0.3 * np.clip(rows, -1, 1) * 0.6 + 0.1)[..., None]
    share = 0.72 * np.clip((1 - np.hypot(rows * 0.9, columns)) * radius * 0.8, 0, 1)[..., None]
    target = pixels[y1 : y1 + size, x1 : x1 + size]
    target[...] = np.clip(target * (1 - share) + inside * share, 0, 255).astype(np.uint8)


def expose(pixels: NDArray[np.uint8], air: Atmosphere, gain: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Apply lens blur, vignette, exposure and sensor noise; gives a new (H, W, 3) uint8 image."""
    height, width = pixels.shape[:2]
    sigma = air.blur_sigma_px * width / REFERENCE_WIDTH_PX
    if sigma > 0.3:
        kernel = 3 if sigma < 0.8 else 5
        pixels = np.asarray(cv2.GaussianBlur(pixels, (kernel, kernel), sigma), np.uint8)
    pixels = np.asarray(cv2.multiply(pixels, _vignette(width, height), scale=gain / 255), np.uint8)
    bright, dark = _noise(width, height, round(air.noise_sigma))
    y, x = rng.integers(0, bright.shape[0] - height + 1), rng.integers(0, bright.shape[1] - width + 1)
    cv2.add(pixels, bright[y : y + height, x : x + width], dst=pixels)
    return np.asarray(cv2.subtract(pixels, dark[y : y + height, x : x + width]), np.uint8)


@lru_cache(maxsize=4)
def _vignette(width: int, height: int) -> NDArray[np.uint8]:
    rows = np.linspace(-1, 1, height)[:, None] * height / width
    columns = np.linspace(-1, 1, width)[None, :]
    fall = 255 * (1 - 0.14 * np.clip(rows**2 + columns**2, 0, 1.4))
    return np.repeat(fall.astype(np.uint8)[..., None], 3, axis=2)


@lru_cache(maxsize=6)
def _noise(width: int, height: int, sigma: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw noise once: (H + 64, W + 64, 3) what it adds, and what it takes away."""
    rng = np.random.default_rng(20240229)  # the same grain for every sequence; each frame cuts it elsewhere
    tile = 512
    grey = rng.standard_normal((tile, tile), dtype=np.float32) * (0.8 * sigma)
    colour = rng.standard_normal((tile // 2, tile // 2, 3), dtype=np.float32) * (0.7 * sigma)
    noise = cv2.merge([grey, grey, grey]) + cv2.resize(colour, (tile, tile), interpolation=cv2.INTER_LINEAR)
    rounded = np.rint(noise).astype(np.int16)
    repeats = (-(-(height + 64) // tile), -(-(width + 64) // tile), 1)
    parts = (np.clip(part, 0, 255).astype(np.uint8) for part in (rounded, -rounded))
    bright, dark = (np.tile(part, repeats)[: height + 64, : width + 64] for part in parts)
    return bright, dark
