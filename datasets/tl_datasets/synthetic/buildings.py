"""Houses along the road: a textured front towards the road, a side towards the camera, a roof."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.synthetic.atmosphere import Atmosphere, Colour
from tl_datasets.synthetic.camera import NEAR_M, Camera
from tl_datasets.synthetic.canvas import Canvas


class Front:
    """A house front at falling resolutions: a single sample of a front full of windows would flicker."""

    def __init__(self, texture: NDArray[np.uint8]):
        self._levels: dict[tuple[int, int], NDArray[np.uint8]] = {(0, 0): texture}
        self.height_px, self.width_px = texture.shape[:2]

    def at(self, width_px: float, height_px: float) -> NDArray[np.uint8]:
        """Give the front averaged down to at most about twice a size."""
        level = (_halvings(self.width_px, width_px), _halvings(self.height_px, height_px))
        if level not in self._levels:
            size = (max(self.width_px >> level[0], 1), max(self.height_px >> level[1], 1))
            smaller = cv2.resize(self._levels[(0, 0)], size, interpolation=cv2.INTER_AREA)
            self._levels[level] = np.asarray(smaller, np.uint8)
        return self._levels[level]


def _halvings(size: int, wanted: float) -> int:
    return int(np.clip(np.log2(size / max(wanted, 1.0)) + 0.35, 0, 7))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Building:
    """A house.

    Attributes:
        side: -1 left, +1 right of the road.
        x_m: The front's place across the road.
        z1_m: Near end along the road.
        z2_m: Far end.
        height_m: Height of the walls.
        depth_m: How far it reaches away from the road.
        front: The front, lit.
        hides_flank: Whether the neighbour hides the wall that is turned to the camera.
        brightness: Share of the light on the front, from the direction of the sun.
        roof: Colour of a gable roof; None for a flat one.
    """

    side: int
    x_m: float
    z1_m: float
    z2_m: float
    height_m: float
    depth_m: float
    front: Front
    hides_flank: bool
    brightness: float
    roof: Colour | None

    def paint_on(self, canvas: Canvas, camera: Camera, air: Atmosphere) -> None:
        """Paint what the camera sees of it."""
        near = max(self.z1_m, camera.z_m + NEAR_M)
        if self.z2_m <= near + 0.3 or near - camera.z_m > 230:
            return
        distance = near - camera.z_m
        if self.z1_m >= near and not self.hides_flank:
            back = self.x_m + self.side * self.depth_m
            left, right = (back, self.x_m) if self.side < 0 else (self.x_m, back)
            corners, _ = camera.project(_upright((left, near), (right, near), self.height_m))
            self._paint_wall(canvas, corners, (0.0, 1.0), air, distance, 1.28 - 0.45 * self.brightness)
            if self.roof is not None:
                middle = (left + right) / 2
                gable, _ = camera.project(
                    [
                        (left, self.height_m, near),
                        (middle, self.height_m + self.rise_m, near),
                        (right, self.height_m, near),
                    ]
                )
                canvas.polygon(gable, air.shade((178, 168, 152), distance, 1.15 - 0.4 * self.brightness))
        share = (near - self.z1_m) / (self.z2_m - self.z1_m)
        ends = ((self.x_m, near), (self.x_m, self.z2_m))
        # Seen from the road, the near end of a front is its left end on the left side, its right end on the right.
        shown, (first, second) = ((share, 1.0), ends) if self.side < 0 else ((0.0, 1.0 - share), ends[::-1])
        corners, depth = camera.project(_upright(first, second, self.height_m))
        self._paint_wall(canvas, corners, shown, air, float(depth.mean()) * 0.9, self.brightness)
        if self.roof is not None:
            ridge_x = self.x_m + self.side * self.depth_m / 2
            top = self.height_m + self.rise_m
            slope, _ = camera.project(
                [
                    (self.x_m - self.side * 0.4, self.height_m - 0.15, near),
                    (self.x_m - self.side * 0.4, self.height_m - 0.15, self.z2_m),
                    (ridge_x, top, self.z2_m),
                    (ridge_x, top, near),
                ]
            )
            colour = (226, 230, 236) if air.snow_cover else self.roof
            canvas.polygon(slope, air.shade(colour, distance, self.brightness))

    @property
    def rise_m(self) -> float:
        """Height of the roof's ridge above the walls."""
        return 0.36 * self.depth_m

    def _paint_wall(
        self,
        canvas: Canvas,
        corners_px: NDArray[np.float64],
        shown: tuple[float, float],
        air: Atmosphere,
        distance_m: float,
        brightness: float,
    ) -> None:
        """Paint the part of the front between two shares of its width onto a quadrilateral."""
        low, high = corners_px.min(axis=0), corners_px.max(axis=0)
        if high[0] < 0 or low[0] > canvas.width_px or min(high - low) < 1:
            return
        texture = self.front.at((high[0] - low[0]) / max(shown[1] - shown[0], 1e-3), high[1] - low[1])
        width = texture.shape[1]
        texture = texture[:, int(shown[0] * width) : max(int(np.ceil(shown[1] * width)), int(shown[0] * width) + 1)]
        share = air.transmission(distance_m)
        veil = np.array(air.haze) * (1 - share)
        hazing = np.column_stack([np.eye(3) * (share * brightness), veil])
        canvas.texture(np.asarray(cv2.transform(texture, hazing), np.uint8), corners_px)


def _upright(
    left_xz: tuple[float, float], right_xz: tuple[float, float], height_m: float
) -> list[tuple[float, float, float]]:
    """Give the corners of a wall on two ground points: top-left, top-right, bottom-right, bottom-left."""
    (x1, z1), (x2, z2) = left_xz, right_xz
    return [(x1, height_m, z1), (x2, height_m, z2), (x2, 0.0, z2), (x1, 0.0, z1)]
