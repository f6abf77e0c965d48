"""The ground of one sequence: a texture seen from above, laid into perspective and lit in every frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.synthetic.atmosphere import Atmosphere
from tl_datasets.synthetic.camera import Camera
from tl_datasets.synthetic.road import Crossing, Road
from tl_datasets.synthetic.road_texture import (
    ACROSS_PX_PER_M,
    ALONG_PX_PER_M,
    HALF_WIDTH_M,
    PAINT_M,
    PERIOD_M,
    ZEBRA_M,
    draw_road_texture,
)
from tl_datasets.taxonomy import Scene

# Distance up to which each level of the texture is used, and how far it is averaged (along, across): the footprint of a
# pixel on the road grows with the square of the distance along, and linearly across.
_LEVELS = ((13.0, 1, 1), (27.0, 4, 1), (60.0, 16, 1), (1e9, 64, 3))
_LIGHT_UNIT = 200  # value of the light map that leaves a colour as it is


class Ground:
    """The ground of one sequence.

    Args:
        road: Cross-section.
        crossings: Cross streets.
        scene: Kind of road.
        air: Light and weather.
        lamps_m: (N, 2) x and z of street lamps that light the road; empty by day.
        rng: Random generator of the sequence.
    """

    def __init__(
        self,
        road: Road,
        crossings: list[Crossing],
        scene: Scene,
        air: Atmosphere,
        lamps_m: NDArray[np.float64],
        rng: np.random.Generator,
    ):
        self.road = road
        self.crossings = crossings
        self.air = air
        self._lamps_m = lamps_m
        self._pool = 0.0 if not len(lamps_m) else float(rng.uniform(0.3, 0.55))
        self._beam = 0.62 if max(air.light) < 0.3 else (0.08 if air.lamps_on else 0.0)
        texture = draw_road_texture(road, scene, air, rng)
        self._levels: list[NDArray[np.uint8]] = []
        for _, along, across in _LEVELS:
            size = (texture.shape[1] // across, texture.shape[0] // along)
            smaller = cv2.resize(texture, size, interpolation=cv2.INTER_AREA)
            self._levels.append(np.asarray(smaller, np.uint8))

    def paint(self, pixels: NDArray[np.uint8], camera: Camera) -> None:
        """Paint everything below the horizon."""
        first = max(int(np.floor(camera.horizon_px)), 0)
        rows = np.arange(first, camera.height_px) + 0.5
        depth = camera.focal_px * camera.height_m / np.maximum(rows - camera.horizon_px, 0.35)
        columns = np.arange(camera.width_px, dtype=np.float32) + 0.5 - camera.centre_px
        target = pixels[first:]
        nearest = 0.0
        for (farthest, along, across), texture in zip(_LEVELS, self._levels, strict=True):
            start, stop = np.searchsorted(-depth, [-farthest, -nearest])
            nearest = farthest
            if stop > start:
                self._paint_rows(target[start:stop], depth[start:stop], columns, camera, texture, along, across)
        self._light(target, depth, columns, camera)

    def _paint_rows(
        self,
        target: NDArray[np.uint8],
        depth: NDArray[np.float64],
        columns: NDArray[np.float32],
        camera: Camera,
        texture: NDArray[np.uint8],
        along: int,
        across: int,
    ) -> None:
        px_per_m = ACROSS_PX_PER_M / across
        scale = (depth / camera.focal_px * px_per_m).astype(np.float32)[:, None]
        offset = ((camera.x_m - camera.bend_per_m * depth**2 + HALF_WIDTH_M) * px_per_m).astype(np.float32)[:, None]
        x_map = columns[None, :] * scale
        x_map += offset
        z_m = depth + camera.z_m
        for crossing in self.crossings:
            self._mark_crossing(x_map, z_m, crossing, px_per_m)
            inside = np.flatnonzero((z_m > crossing.z1_m) & (z_m < crossing.z2_m))
            if len(inside):  # asphalt without marks: fold every x into the inside of the ego lane
                part = slice(inside[0], inside[-1] + 1)
                fold = np.float32(1.2 * px_per_m)
                x_map[part] = np.abs(np.mod(x_map[part], 2 * fold) - fold) + np.float32((HALF_WIDTH_M - 0.6) * px_per_m)
        y_map = (np.mod(z_m, PERIOD_M) * (ALONG_PX_PER_M / along)).astype(np.float32)
        y_map = np.ascontiguousarray(np.broadcast_to(y_map[:, None], x_map.shape))
        cv2.remap(texture, x_map, y_map, cv2.INTER_LINEAR, dst=target, borderMode=cv2.BORDER_REPLICATE)

    def _mark_crossing(
        self, x_map: NDArray[np.float32], z_m: NDArray[np.float64], crossing: Crossing, px_per_m: float
    ) -> None:
        """Point the rows of a zebra and of the stop line at the painted columns at the texture's edge, in place."""
        road, end = self.road, crossing.z1_m
        bands = [(end - 6.2, end - 5.7, road.centre_m + 0.1, PAINT_M)]
        if crossing.has_zebra:
            bands.append((end - 4.8, end - 1.8, road.left_m + 0.3, ZEBRA_M))
        for z1_m, z2_m, left_m, stored_m in bands:
            rows = np.flatnonzero((z_m > z1_m) & (z_m < z2_m))
            if not len(rows):
                continue
            part = x_map[rows[0] : rows[-1] + 1]
            low, high = (np.float32((x + HALF_WIDTH_M) * px_per_m) for x in (left_m, road.right_m - 0.3))
            stored = np.float32(stored_m * px_per_m) + np.mod(part - low, np.float32(px_per_m))
            np.copyto(part, stored, where=(part > low) & (part < high))

    def _light(
        self, target: NDArray[np.uint8], depth: NDArray[np.float64], columns: NDArray[np.float32], camera: Camera
    ) -> None:
        """Apply daylight, lamps and haze; computed at an eighth of the resolution."""
        n_rows, n_columns = max(len(depth) // 8, 2), max(len(columns) // 8, 2)
        row_depth = np.interp(np.linspace(0, len(depth) - 1, n_rows), np.arange(len(depth)), depth)[:, None]
        column = np.linspace(columns[0], columns[-1], n_columns)[None, :]
        light = np.empty((n_rows, n_columns, 3))
        light[...] = self.air.light
        if self._beam or self._pool:
            x_m = column * row_depth / camera.focal_px + camera.x_m - camera.bend_per_m * row_depth**2
            if self._beam:
                width = 1.3 + 0.16 * row_depth
                reach = np.exp(-(((row_depth - 9) / 22) ** 2)) + 0.25 * np.exp(-row_depth / 45)
                beam = self._beam * reach * np.exp(-(((x_m - 0.4) / width) ** 2))
                light += beam[..., None] * np.array([1.0, 0.97, 0.9])
            if self._pool:
                z_m = row_depth + camera.z_m
                pool = np.zeros((n_rows, n_columns))
                for lamp_x, lamp_z in self._lamps_m:
                    if -15 < lamp_z - camera.z_m < 130:
                        pool += np.exp(-(((x_m - lamp_x) / 5.5) ** 2) - ((z_m - lamp_z) / 7.0) ** 2)
                light += self._pool * np.minimum(pool, 1.3)[..., None] * np.array([1.0, 0.82, 0.58])
        share = np.exp(-3.9 * row_depth / self.air.visibility_m)[..., None]
        factor = np.clip(light * share * _LIGHT_UNIT, 0, 255).astype(np.uint8)
        full = cv2.resize(factor, (target.shape[1], target.shape[0]), interpolation=cv2.INTER_LINEAR)
        cv2.multiply(target, full, dst=target, scale=1 / _LIGHT_UNIT)
        veil = np.array(self.air.haze) * (1 - np.exp(-3.9 * depth / self.air.visibility_m))[:, None]
        band = np.repeat(np.clip(veil, 0, 255).astype(np.uint8)[:, None, :], target.shape[1], axis=1)
        cv2.add(target, band, dst=target)
