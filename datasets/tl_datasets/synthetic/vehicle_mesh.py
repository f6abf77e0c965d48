"""The shapes of vehicles: faces in the order in which they are painted, cut from a side view and two widths."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Profile = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A kind of vehicle.

    Attributes:
        profile: Side view from the rear bumper to the front: metres from the rear, metres above the road.
        width_m: Width at the bottom.
        roof_width_m: Width at the roof.
        window_m: Lower edge of the side windows, or None for no windows.
        lamp_m: Lower edge of the rear lamps.
        rear_lamp_size_m: Width and height of a rear lamp.
        has_high_brake_lamp: Whether a third brake lamp sits below the roof.
    """

    profile: Profile
    width_m: float
    roof_width_m: float
    window_m: float | None
    lamp_m: float
    rear_lamp_size_m: tuple[float, float]
    has_high_brake_lamp: bool


BUILDS: dict[str, Build] = {
    "sedan": Build(
        profile=((0, 0.3), (0.02, 0.92), (0.65, 1.0), (1.35, 1.42), (2.6, 1.44), (3.5, 0.98), (4.45, 0.8), (4.5, 0.3)),
        width_m=1.8,
        roof_width_m=1.32,
        window_m=0.98,
        lamp_m=0.72,
        rear_lamp_size_m=(0.36, 0.15),
        has_high_brake_lamp=True,
    ),
    "hatch": Build(
        profile=((0, 0.3), (0.02, 0.95), (0.12, 1.0), (0.55, 1.46), (2.3, 1.5), (3.1, 1.0), (3.95, 0.82), (4.0, 0.3)),
        width_m=1.76,
        roof_width_m=1.34,
        window_m=1.0,
        lamp_m=0.72,
        rear_lamp_size_m=(0.2, 0.28),
        has_high_brake_lamp=True,
    ),
    "suv": Build(
        profile=((0, 0.4), (0.02, 1.08), (0.1, 1.14), (0.45, 1.68), (2.8, 1.72), (3.5, 1.15), (4.5, 1.0), (4.55, 0.4)),
        width_m=1.88,
        roof_width_m=1.54,
        window_m=1.14,
        lamp_m=0.84,
        rear_lamp_size_m=(0.2, 0.32),
        has_high_brake_lamp=True,
    ),
    "van": Build(
        profile=((0, 0.4), (0.02, 1.5), (0.05, 1.55), (0.12, 2.28), (3.9, 2.3), (4.6, 1.3), (5.2, 1.05), (5.25, 0.4)),
        width_m=2.0,
        roof_width_m=1.84,
        window_m=None,
        lamp_m=0.8,
        rear_lamp_size_m=(0.15, 0.42),
        has_high_brake_lamp=False,
    ),
    "truck": Build(
        profile=((0, 0.9), (0, 2.2), (0, 2.3), (0, 3.6), (8.5, 3.6), (8.5, 2.2), (8.5, 1.2), (8.5, 0.5)),
        width_m=2.5,
        roof_width_m=2.5,
        window_m=None,
        lamp_m=0.72,
        rear_lamp_size_m=(0.34, 0.14),
        has_high_brake_lamp=False,
    ),
    "bus": Build(
        profile=((0, 0.4), (0, 1.5), (0, 1.6), (0, 2.7), (11.8, 3.1), (12, 1.6), (12, 1.2), (12, 0.4)),
        width_m=2.55,
        roof_width_m=2.5,
        window_m=1.55,
        lamp_m=0.85,
        rear_lamp_size_m=(0.16, 0.4),
        has_high_brake_lamp=False,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A polygon of a mesh.

    Attributes:
        indices: Its points.
        material: Its colour: body, glass, pane, trim, plate, tyre, hub, shadow, lamp or high_lamp.
        factor: Share of the light that it catches.
        side: Painted only if the camera sees the left (-1) or right (1) side; 0 = always.
        smallest_px_per_m: Left out where the vehicle is smaller in the image.
    """

    indices: slice
    material: str
    factor: float
    side: int
    smallest_px_per_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Points (N, 3) in metres, right of, above and beyond the middle of the near end, and faces in painting order."""

    points_m: NDArray[np.float64]
    faces: tuple[Face, ...]
    lamps_m: tuple[tuple[float, float], ...]


@lru_cache(maxsize=32)
def build_mesh(kind: str, shows_rear: bool) -> Mesh:
    """Build the mesh of a kind of vehicle that turns its rear or its front to the camera."""
    return _MeshBuilder(BUILDS[kind], kind, shows_rear).build()


class _MeshBuilder:
    def __init__(self, build: Build, kind: str, shows_rear: bool):
        self._build = build
        self._kind = kind
        self._shows_rear = shows_rear
        self._points: list[NDArray[np.float64]] = []
        self._faces: list[Face] = []
        self._n_points = 0
        profile = np.asarray(build.profile, dtype=np.float64)
        if not shows_rear:
            profile = np.stack([profile[-1, 0] - profile[::-1, 0], profile[::-1, 1]], axis=1)
        self._profile = profile
        self._low, self._high = float(profile[:, 1].min()), float(profile[:, 1].max())
        rise = np.clip((profile[:, 1] - 0.95) / max(self._high - 0.95, 0.1), 0, 1)
        self._half = (build.width_m + (build.roof_width_m - build.width_m) * rise) / 2

    def build(self) -> Mesh:
        self._add_underside()
        self._add_sides()
        self._add_faces_across()
        lamps = self._add_near_end()
        return Mesh(points_m=np.concatenate(self._points), faces=tuple(self._faces), lamps_m=lamps)

    def _add(self, points: ArrayLike, material: str, factor: float = 1.0, side: int = 0, smallest: float = 0.0) -> None:
        array = np.asarray(points, dtype=np.float64)
        start = self._n_points
        self._n_points += len(array)
        self._points.append(array)
        indices = slice(start, self._n_points)
        self._faces.append(
            Face(indices=indices, material=material, factor=factor, side=side, smallest_px_per_m=smallest)
        )

    def _plate(self, box: tuple[float, float, float, float], material: str, factor: float = 1.0, smallest: float = 0.0):
        x1, x2, y1, y2 = box
        z = float(self._profile[0, 0]) - 0.01
        self._add([(x1, y2, z), (x2, y2, z), (x2, y1, z), (x1, y1, z)], material, factor, 0, smallest)

    def _add_underside(self) -> None:
        half, length = self._build.width_m / 2, float(self._profile[-1, 0])
        self._add([(-half, 0, 0.1), (half, 0, 0.1), (half, 0, length), (-half, 0, length)], "shadow")
        for side in (-1, 1):  # tyres below the near end
            x1, x2, y = side * (half - 0.06), side * (half - 0.27), self._low + 0.1
            self._add([(x1, 0.02, 0.4), (x2, 0.02, 0.4), (x2, y, 0.4), (x1, y, 0.4)], "tyre", smallest=8)

    def _add_sides(self) -> None:
        profile, build = self._profile, self._build
        angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        for side in (-1, 1):
            edge = np.stack([side * self._half, profile[:, 1], profile[:, 0]], axis=1)
            self._add(edge, "body", 0.74, side)
            if build.window_m is not None:
                upper = profile[:, 1] >= build.window_m - 0.01
                ring = edge[upper]
                if len(ring) >= 3:
                    if self._kind == "bus":
                        x, end = side * build.width_m / 2, float(profile[-1, 0]) - 0.5
                        ring = np.array([(x, 1.5, 0.5), (x, 2.6, 0.5), (x, 2.6, end), (x, 1.5, end)])
                    centre = ring.mean(axis=0)
                    self._add(centre + (ring - centre) * 0.9, "glass", 0.9, side, 8)
            radius = 0.34 if self._low < 0.6 else 0.48
            for along in (0.85, float(profile[-1, 0]) - 0.9):
                for share, material in ((1.05, "tyre"), (0.6, "hub")):
                    x = np.full(14, side * (build.width_m / 2 + 0.01))
                    wheel = [x, radius + share * radius * np.sin(angles), along + share * radius * np.cos(angles)]
                    self._add(np.stack(wheel, axis=1), material, 0.9, side, 8 if material == "tyre" else 20)

    def _add_faces_across(self) -> None:
        """Add the faces from the far end to the near one; those turned away from the camera are left out."""
        profile = self._profile
        for index in range(len(profile) - 2, -1, -1):
            (z1, y1), (z2, y2) = profile[index], profile[index + 1]
            if y2 < y1:
                continue
            h1, h2 = self._half[index], self._half[index + 1]
            quad = np.array([(-h1, y1, z1), (h1, y1, z1), (h2, y2, z2), (-h2, y2, z2)])
            steepness = (y2 - y1) / max(float(np.hypot(z2 - z1, y2 - y1)), 1e-6)
            is_glass = index == 2 and not (self._kind == "truck" and self._shows_rear)
            self._add(quad, "glass" if is_glass else "body", 1.1 - 0.2 * steepness)
            if is_glass:
                centre = quad.mean(axis=0)
                self._add(centre + (quad - centre) * 0.86, "pane", 1.0, 0, 14)

    def _add_near_end(self) -> tuple[tuple[float, float], ...]:
        build, low = self._build, self._low
        half = build.width_m / 2
        if self._kind == "truck" and self._shows_rear:
            self._plate((-half + 0.04, half - 0.04, 1.0, 3.5), "body", 0.95)
            self._plate((-0.02, 0.02, 1.0, 3.5), "trim", 1.0, 14)
            for x in (-0.5, 0.5):
                self._plate((x - 0.02, x + 0.02, 1.0, 3.5), "trim", 1.4, 20)
        if self._kind == "van" and self._shows_rear:
            self._plate((-0.015, 0.015, low + 0.25, 2.2), "trim", 1.0, 18)
        self._plate((-half + 0.03, half - 0.03, low, low + 0.2), "trim")
        if self._shows_rear:
            plate_y = low + 0.32
        else:
            plate_y = low + 0.06
            self._plate((-0.42, 0.42, low + 0.22, low + 0.38), "trim", 0.6, 12)  # grille
        self._plate((-0.26, 0.26, plate_y, plate_y + 0.11), "plate", 1.0, 12)
        if self._shows_rear and build.has_high_brake_lamp:
            self._plate((-0.2, 0.2, self._high - 0.16, self._high - 0.11), "high_lamp", 1.0, 12)
        width, height = build.rear_lamp_size_m if self._shows_rear else (0.34, 0.15)
        bottom = build.lamp_m if self._shows_rear else max(low + 0.3, 0.58)
        for side in (-1, 1):
            x1, x2 = sorted((side * (half - 0.05), side * (half - 0.05 - width)))
            self._plate((x1, x2, bottom, bottom + height), "lamp")
        middle = half - 0.05 - width / 2
        return ((-middle, bottom + height / 2), (middle, bottom + height / 2))
