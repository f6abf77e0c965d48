"""The sky with its clouds and the far skyline, drawn once per sequence, wider than the image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.synthetic.atmosphere import Atmosphere
from tl_datasets.taxonomy import Scene

# Room for yaw and pitch, as shares of the image width.
MARGIN_X_SHARE = 0.12
MARGIN_Y_SHARE = 0.06


def fractal_noise(rng: np.random.Generator, height: int, width: int, octaves: int, stretch: float = 1.0) -> NDArray:
    """Draw (height, width) float32 noise of several octaves, mean near 0.5, in [0, 1]."""
    rows, columns = 4, max(2, int(4 * width / height / stretch))
    noise = np.zeros((rows, columns), np.float32)
    weight, total = 1.0, 0.0
    for octave in range(octaves):
        if octave:
            rows, columns = 2 * rows, 2 * columns
            noise = cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_CUBIC)
        noise += weight * rng.random((rows, columns), dtype=np.float32)
        total += weight
        weight *= 0.55
    return np.clip(cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR) / total, 0, 1)


def draw_sky(
    air: Atmosphere, scene: Scene, width_px: int, horizon_px: float, is_night: bool, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw the sky: its last row lies on the horizon, its width leaves `MARGIN_X_SHARE` on either side."""
    width = round(width_px * (1 + 2 * MARGIN_X_SHARE))
    height = round(horizon_px + width_px * MARGIN_Y_SHARE)
    # Clouds are soft: a third of the resolution is enough.
    small = (max(height // 3, 8), max(width // 3, 8))
    down = np.linspace(0, 1, small[0], dtype=np.float32)[:, None]
    top, haze = np.array(air.sky_top, np.float32), np.array(air.haze, np.float32)
    sky = top + (haze - top) * (down**1.6)[..., None] * np.ones((1, small[1], 1), np.float32)
    noise = fractal_noise(rng, small[0], small[1], 5, stretch=2.4)
    edge = np.quantile(noise, 1 - min(air.cloud, 0.9)) if air.cloud < 1 else noise.min()
    cover = np.clip((noise - edge) / (0.22 if air.cloud < 1 else 0.6), 0, 1) * (0.85 if air.cloud < 1 else 0.7)
    cover *= (1 - 0.6 * down**3) * air.cloud_contrast
    # The underside of a cloud is darker than its upper rim.
    lower = np.roll(noise, -max(small[0] // 40, 1), axis=0)
    depth = 4.0 if air.cloud < 1 else 1.6
    tone = 1 + np.clip((noise - lower) * depth, -0.2, 0.08)
    sky += (np.array(air.cloud_light, np.float32) * tone[..., None] - sky) * cover[..., None]
    if air.sun > 0.4 and air.haze[0] > 1.3 * air.haze[2]:  # a low sun behind a clear dusk
        place = rng.uniform(0.15, 0.85) * small[1]
        distance = np.hypot(
            (np.arange(small[1]) - place)[None, :], 1.5 * (small[0] * 0.93 - np.arange(small[0]))[:, None]
        )
        glow = np.exp(-distance / (0.16 * small[1]))[..., None]
        sky += glow * (np.array([255, 224, 168], np.float32) - sky) * 0.9
    sky = cv2.resize(np.clip(sky, 0, 255), (width, height), interpolation=cv2.INTER_LINEAR)
    if is_night and air.cloud < 0.6:
        rows, columns = rng.integers(0, int(height * 0.8), 90), rng.integers(0, width, 90)
        sky[rows, columns] += rng.uniform(10, 70, (90, 1)).astype(np.float32)
    image = np.clip(sky, 0, 255).astype(np.uint8)
    _draw_skyline(image, air, scene, rng)
    return image


def _draw_skyline(image: NDArray[np.uint8], air: Atmosphere, scene: Scene, rng: np.random.Generator) -> None:
    """Draw hills or far blocks onto the sky's lower edge."""
    height, width = image.shape[:2]
    unit = width / 1600
    for depth_m, albedo in ((900.0, (96, 110, 118)), (500.0, (80, 94, 88))):
        colour = air.shade(albedo, depth_m)
        ridge = fractal_noise(rng, 8, width, 3, stretch=0.05)[4]
        rise = (ridge - 0.3) * 70 * unit
        if scene == Scene.CITY_STREET:
            starts = np.sort(rng.integers(0, width, 38))
            for start in starts:
                block_width, block_height = rng.uniform(18, 60) * unit, rng.uniform(12, 52) * unit
                top = int(height - block_height)
                cv2.rectangle(image, (int(start), top), (int(start + block_width), height), colour, -1)
                if air.lamps_on:
                    for _ in range(int(air.lit_window_share * 14)):
                        x, y = int(start + rng.uniform(2, block_width)), int(rng.uniform(top + 2, height))
                        window = air.glow((220, 190, 130), depth_m)
                        image[min(y, height - 1), min(x, width - 1)] = window
        outline = np.stack([np.arange(width), height - np.clip(rise, 2, None)], axis=1)
        shape = np.concatenate([outline, [[width - 1, height], [0, height]]]).astype(np.int32)
        cv2.fillPoly(image, [shape], colour, cv2.LINE_AA)
