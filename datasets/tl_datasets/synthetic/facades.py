"""Textures of house fronts: windows, sills, shops, seen straight on, with the light of the sequence in them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.synthetic.atmosphere import Atmosphere

PX_PER_M = 14
_FLOOR_M = 3.2
_WALLS = (
    (168, 92, 70),
    (196, 178, 148),
    (206, 198, 184),
    (150, 146, 142),
    (184, 150, 112),
    (128, 74, 60),
    (176, 186, 192),
)
_SHOP_WORDS = ("CAFE", "BAR", "HOTEL", "PIZZA", "BOOKS", "BANK", "KIOSK", "SHOES", "BAKERY", "FLOWERS")


def draw_facade(
    air: Atmosphere, width_m: float, height_m: float, has_shops: bool, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw a house front of (height_m, width_m) at `PX_PER_M`, lit except for its lamps and windows."""
    width, height = int(width_m * PX_PER_M), int(height_m * PX_PER_M)
    wall = np.array(_WALLS[int(rng.integers(len(_WALLS)))], np.float32) * rng.uniform(0.85, 1.1)
    image = np.empty((height, width, 3), np.float32)
    image[...] = wall
    image += (
        rng.normal(0, 3, (height // 2 + 1, width // 2 + 1, 1))
        .astype(np.float32)
        .repeat(2, 0)
        .repeat(2, 1)[:height, :width]
    )
    spacing_m = float(rng.uniform(2.1, 3.4))
    window_m = (float(rng.uniform(0.45, 0.7)) * spacing_m, float(rng.uniform(1.3, 2.0)))
    n_across = max(int(width_m / spacing_m), 1)
    left_m = (width_m - n_across * spacing_m) / 2
    frame = (222, 220, 214) if rng.random() < 0.6 else (66, 60, 56)
    lit_boxes: list[tuple[int, int, int, int]] = []
    n_floors = max(int(height_m / _FLOOR_M), 1)
    for floor in range(1 if has_shops else 0, n_floors):
        base_m = height_m - floor * _FLOOR_M
        for index in range(n_across):
            x1 = int((left_m + index * spacing_m + (spacing_m - window_m[0]) / 2) * PX_PER_M)
            y2 = int((base_m - 0.8) * PX_PER_M)
            x2, y1 = int(x1 + window_m[0] * PX_PER_M), int(y2 - window_m[1] * PX_PER_M)
            cv2.rectangle(image, (x1 - 2, y1 - 2), (x2 + 2, y2 + 2), frame, -1)
            cv2.rectangle(image, (x1 - 3, y2 + 2), (x2 + 3, y2 + 4), tuple(float(c) * 0.7 for c in wall), -1)
            glass = np.array([92, 108, 124]) * rng.uniform(0.5, 1.1)
            image[y1:y2, x1:x2] = np.linspace(1.25, 0.7, y2 - y1)[:, None, None] * glass
            if rng.random() < air.lit_window_share:
                lit_boxes.append((x1, y1, x2, y2))
    if n_floors > 1:  # cornices
        for floor in (1, n_floors):
            y = int((height_m - floor * _FLOOR_M) * PX_PER_M)
            cv2.rectangle(image, (0, max(y - 3, 0)), (width, max(y + 3, 0)), tuple(float(c) * 1.12 for c in wall), -1)
    image *= np.linspace(1.02, 0.92, height, dtype=np.float32)[:, None, None]
    image *= np.array(air.light, np.float32)
    if air.lamps_on and max(air.light) < 0.4:  # street light on the lower floors
        rise = np.exp(-np.linspace(height_m, 0, height, dtype=np.float32) / 5.0)[:, None, None]
        image *= 1 + 2.0 * rise * np.array([1.0, 0.85, 0.66], np.float32)
    for x1, y1, x2, y2 in lit_boxes:
        warm = np.array([255, 206, 132]) if rng.random() < 0.75 else np.array([224, 232, 240])
        image[y1:y2, x1:x2] = warm * rng.uniform(0.5, 0.95)
        if rng.random() < 0.5:  # a curtain
            half = (x1 + x2) // 2
            image[y1:y2, x1:half] *= 0.72
        cv2.line(image, ((x1 + x2) // 2, y1), ((x1 + x2) // 2, y2), (60, 50, 40), 1)
    if has_shops:
        _draw_shops(image, air, width_m, height_m, rng)
    return np.clip(image, 0, 255).astype(np.uint8)


def _draw_shops(image: NDArray, air: Atmosphere, width_m: float, height_m: float, rng: np.random.Generator) -> None:
    """Draw shop windows, signboards and awnings along the ground floor."""
    height, width = image.shape[:2]
    light = np.array(air.light)
    top = int((height_m - _FLOOR_M) * PX_PER_M)
    x = 0
    while x < width - 30:
        shop = min(int(rng.uniform(4.5, 8) * PX_PER_M), width - x)
        burning = air.lamps_on and rng.random() < 0.75
        glass = np.array([250, 226, 176]) * rng.uniform(0.6, 0.9) if burning else np.array([70, 80, 88]) * light
        image[top + 16 : height, x : x + shop] *= 0.6
        image[top + 20 : height - 8, x + 5 : x + shop - 18] = glass
        for split in range(x + 5, x + shop - 18, 26):
            image[top + 20 : height - 8, split : split + 2] *= 0.4
        if burning:  # goods in the window
            for _ in range(8):
                gx, gy = x + int(rng.uniform(6, max(shop - 26, 7))), int(height - rng.uniform(10, 24))
                image[gy : gy + 8, gx : gx + 6] *= rng.uniform(0.3, 0.9, 3)
        board = np.array(rng.choice([(170, 30, 36), (24, 96, 62), (28, 60, 130), (36, 34, 34), (206, 160, 40)]))
        shine = 0.85 if burning else 0.0
        face = board * np.maximum(light, shine)
        image[top + 2 : top + 17, x + 3 : x + shop - 14] = face
        word = _SHOP_WORDS[int(rng.integers(len(_SHOP_WORDS)))]
        colour = tuple(float(c) for c in np.array([244, 240, 228]) * np.maximum(light, shine * 1.1))
        cv2.putText(image, word, (x + 8, top + 15), cv2.FONT_HERSHEY_DUPLEX, 0.42, colour, 1, cv2.LINE_AA)
        if rng.random() < 0.35:
            stripes = np.array([[200, 60, 52], [236, 232, 222]]) * np.maximum(light, 0.3 * burning)
            for index, start in enumerate(range(x + 3, x + shop - 14, 8)):
                image[top + 17 : top + 27, start : start + 8] = stripes[index % 2]
        x += shop
