"""The ground as a texture seen from above: asphalt, marks, kerbs, pavements, snow, shade. One period of the road."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.synthetic.atmosphere import Atmosphere
from tl_datasets.synthetic.road import LANE_M, PARKING_M, Road
from tl_datasets.synthetic.sky import fractal_noise
from tl_datasets.taxonomy import Scene

HALF_WIDTH_M = 28.0
PERIOD_M = 64.0
ACROSS_PX_PER_M = 22
ALONG_PX_PER_M = 12
# Where the texture keeps paint for stop lines and one period of a zebra, each 1 m wide, from its left edge.
PAINT_M = 0.4
ZEBRA_M = 1.8


def draw_road_texture(road: Road, scene: Scene, air: Atmosphere, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one period of the ground from above: row = distance along, column = x from -28 to 28 m; unlit colours."""
    height, width = int(PERIOD_M * ALONG_PX_PER_M), int(2 * HALF_WIDTH_M * ACROSS_PX_PER_M)

    def column(x_m: float) -> int:
        return int(np.clip(round((x_m + HALF_WIDTH_M) * ACROSS_PX_PER_M), 0, width))

    def strip(x1_m: float, x2_m: float, colour: tuple[float, float, float]) -> None:
        profile[:, column(x1_m) : column(x2_m)] = colour

    profile = np.empty((1, width, 3), np.float32)  # everything that is the same all along the road
    profile[...] = (104, 116, 74) if scene != Scene.CITY_STREET else (146, 142, 136)
    walk = 3.6 if scene == Scene.CITY_STREET else 2.2
    if road.has_kerb:
        strip(road.left_m - walk, road.right_m + walk, (156, 151, 144))
        for edge in np.arange(0, walk, 0.9):  # slabs of the pavement
            for x in (road.left_m - edge, road.right_m + edge):
                strip(x - 0.02, x + 0.03, (132, 128, 122))
        for x in (road.left_m, road.right_m):
            strip(x - 0.16, x + 0.16, (186, 184, 178))
    else:
        strip(road.left_m - 2.5, road.right_m + 2.5, (104, 103, 102))
    tone = rng.uniform(78, 102)
    asphalt = (tone, tone * 0.99, tone * 0.98)
    inner = 0.06 if road.has_kerb else 2.2
    strip(road.left_m + 0.06 - (inner - 0.06), road.right_m - 0.06 + (inner - 0.06), asphalt)
    if road.has_parking:
        for x1, x2 in ((road.left_m + 0.06, road.left_m + PARKING_M), (road.right_m - PARKING_M, road.right_m - 0.06)):
            strip(x1, x2, (tone * 1.13, tone * 1.1, tone * 1.06))
    if road.median_m > 1:
        strip(road.centre_m - road.median_m + 0.3, road.centre_m - 0.3, (98, 112, 72))
        for x in (road.centre_m - road.median_m + 0.3, road.centre_m - 0.3):
            strip(x - 0.1, x + 0.1, (180, 178, 172))
    grain = 18 * (fractal_noise(rng, height, width, 6, stretch=0.6) - 0.5)
    grain += 3.5 * rng.standard_normal((height, width), dtype=np.float32)
    for centre in road.our_lane_centres_m() + road.oncoming_lane_centres_m():
        for wheel in (-0.8, 0.8):  # polished wheel tracks
            profile[:, column(centre + wheel - 0.3) : column(centre + wheel + 0.3)] -= 6
        profile[:, column(centre - 0.2) : column(centre + 0.2)] -= 4  # oil
    ground = profile + cv2.merge([grain, grain, grain])
    if road.has_kerb:
        slab = int(0.9 * ALONG_PX_PER_M)
        ground[::slab, column(road.left_m - walk) : column(road.left_m)] -= 18
        ground[::slab, column(road.right_m) : column(road.right_m + walk)] -= 18
    _age(ground, road, column, rng)
    _mark(ground, road, column, rng)
    if road.has_kerb:
        for start, end in ((PAINT_M - 0.2, PAINT_M + 1.2), (ZEBRA_M, ZEBRA_M + 0.5)):
            ground[:, int(start * ACROSS_PX_PER_M) : int(end * ACROSS_PX_PER_M)] = (214, 214, 208)
        rest = slice(int((ZEBRA_M + 0.5) * ACROSS_PX_PER_M), int((ZEBRA_M + 1.2) * ACROSS_PX_PER_M))
        ground[:, rest] = (84, 83, 82)
    _tint(ground, road, air, column, rng)
    return np.clip(ground, 0, 255).astype(np.uint8)


def _age(ground: NDArray, road: Road, column, rng: np.random.Generator) -> None:
    """Add patches, cracks and manholes."""
    height = ground.shape[0]
    for _ in range(int(rng.integers(2, 7))):
        x, z = rng.uniform(road.left_m + 0.5, road.right_m - 2.5), int(rng.integers(0, height - 80))
        ground[z : z + int(rng.integers(20, 80)), column(x) : column(x + rng.uniform(0.6, 2.2))] += rng.uniform(-13, 9)
    for _ in range(int(rng.integers(3, 10))):
        x = column(rng.uniform(road.left_m, road.right_m))
        z = int(rng.integers(0, height))
        walk = np.cumsum(rng.normal([0, 1.5], [1.4, 2.2], (24, 2)), axis=0) + np.array([x, z])
        cv2.polylines(ground, [walk.astype(np.int32)], False, (52, 51, 50), 1, cv2.LINE_AA)
    for _ in range(int(rng.integers(1, 4))):
        centre = (column(rng.uniform(road.left_m + 1, road.right_m - 1)), int(rng.integers(20, height - 20)))
        cv2.ellipse(ground, centre, (8, 4), 0, 0, 360, (58, 56, 54), -1, cv2.LINE_AA)


def _mark(ground: NDArray, road: Road, column, rng: np.random.Generator) -> None:
    """Paint the lane marks; worn paint lets the asphalt through."""
    height = ground.shape[0]
    paint = np.zeros(ground.shape[:2], np.float32)
    period, dash = ((16, 6), (8, 4))[int(road.has_kerb)]
    dashed = (np.arange(height) / ALONG_PX_PER_M) % period < dash
    half = 0.075

    def line(x_m: float, rows: NDArray | slice) -> None:
        paint[rows, column(x_m - half) : column(x_m + half)] = 1

    for index in range(1, road.lanes_ours):
        line(road.centre_m + index * LANE_M, dashed)
    for index in range(1, road.lanes_left):
        line(road.centre_m - road.median_m - index * LANE_M, dashed)
    every = slice(None)
    if road.lanes_left and road.median_m <= 1:
        if rng.random() < 0.5:
            line(road.centre_m - road.median_m / 2, dashed)
        else:
            line(road.centre_m - road.median_m / 2 - 0.13, every)
            line(road.centre_m - road.median_m / 2 + 0.13, every)
    else:
        line(road.centre_m + 0.25, every)
    if not road.has_kerb or road.has_parking or rng.random() < 0.3:
        inset = PARKING_M if road.has_parking else 0.35
        line(road.right_m - inset, every if not road.has_parking else dashed)
        line(road.left_m + inset, every if not road.has_parking else dashed)
    wear = np.clip(0.62 + 0.5 * fractal_noise(rng, height, ground.shape[1], 6, stretch=1.0), 0, 1)
    painted = paint > 0
    share = wear[painted][:, None]
    ground[painted] += share * (np.array([232, 232, 226], np.float32) - ground[painted])


def _tint(ground: NDArray, road: Road, air: Atmosphere, column, rng: np.random.Generator) -> None:
    """Add what the weather leaves on the ground: snow with wheel tracks, wetness, the shade of houses."""
    height, width = ground.shape[:2]
    if air.snow_cover:
        cover = np.full((height, width), 0.96, np.float32)
        cover[:, column(road.left_m) : column(road.right_m)] = 0.5 * air.snow_cover
        for centre in road.our_lane_centres_m() + road.oncoming_lane_centres_m():
            for wheel in (-0.8, 0.8):
                cover[:, column(centre + wheel - 0.45) : column(centre + wheel + 0.45)] *= 0.22
        cover = cv2.GaussianBlur(cover, (0, 0), 5)
        cover += 0.45 * (fractal_noise(rng, height, width, 6, stretch=1.0) - 0.5)
        share = np.clip(cover, 0, 1)
        ground *= cv2.merge([1 - share] * 3)
        ground += cv2.merge([232 * share, 236 * share, 243 * share])
    if air.wet > 0.5:
        ground[:, column(road.left_m) : column(road.right_m)] *= 0.66
        ground *= 0.86
    if air.sun > 0.5:
        side = rng.choice([-1, 0, 1])
        if side:
            steps = np.repeat(rng.uniform(0.0, 5.5, 10), height // 10 + 1)[:height]
            edge = road.left_m if side < 0 else road.right_m
            # Never as far as the ego lane: its middle also paves the crossings.
            reach = np.array([column(side * max(side * edge - step, 0.9)) for step in steps])
            columns = np.arange(width)[None, :]
            shade = columns < reach[:, None] if side < 0 else columns > reach[:, None]
            dark = 1 - 0.42 * cv2.GaussianBlur(shade.astype(np.float32), (0, 0), 2.0)
            ground *= cv2.merge([dark, dark, dark])
