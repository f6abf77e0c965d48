"""Cars, vans, trucks and buses with their lamps: the distractors that look most like signals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_datasets.synthetic.atmosphere import Atmosphere, Colour, Pixel
from tl_datasets.synthetic.camera import Camera
from tl_datasets.synthetic.canvas import Canvas, Lamp
from tl_datasets.synthetic.vehicle_mesh import BUILDS, build_mesh

PAINTS: tuple[Colour, ...] = (
    (226, 228, 230),
    (28, 29, 32),
    (128, 132, 138),
    (78, 82, 90),
    (160, 26, 30),
    (30, 54, 112),
    (40, 70, 60),
    (176, 168, 150),
)
_ALBEDO: dict[str, Colour] = {
    "glass": (38, 44, 52),
    "pane": (70, 80, 92),
    "trim": (44, 45, 48),
    "plate": (222, 222, 214),
    "tyre": (17, 17, 18),
    "hub": (120, 122, 126),
    "shadow": (34, 34, 36),
}
_NEAREST_M = 3.0
_FARTHEST_M = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle:
    """A vehicle on the road.

    Attributes:
        kind: A key of `vehicle_mesh.BUILDS`.
        paint: Colour of the body.
        x_m: Centre across the road.
        z_m: The end nearer to the camera, in the first frame.
        step_m: Metres that it moves per frame; negative towards the camera.
        shows_rear: Whether its rear is turned to the camera.
        is_parked: Parked vehicles burn no lamps.
        brakes: Frames in which it brakes: (first, last), or None.
    """

    kind: str
    paint: Colour
    x_m: float
    z_m: float
    step_m: float
    shows_rear: bool
    is_parked: bool
    brakes: tuple[int, int] | None

    @property
    def length_m(self) -> float:
        """Length of the vehicle."""
        return BUILDS[self.kind].profile[-1][0]

    def near_end_m(self, frame_index: int) -> float:
        """Distance along the road of the end that is nearer to the camera."""
        return self.z_m + self.step_m * frame_index

    def paint_on(self, canvas: Canvas, camera: Camera, air: Atmosphere, frame_index: int) -> None:
        """Paint the vehicle and register its lamps."""
        z_near = self.near_end_m(frame_index)
        distance = z_near - camera.z_m
        if not _NEAREST_M < distance < _FARTHEST_M:
            return
        mesh = build_mesh(self.kind, self.shows_rear)
        pixels, _ = camera.project(mesh.points_m + np.array([self.x_m, 0.0, z_near]))
        if pixels[:, 0].max() < 0 or pixels[:, 0].min() > canvas.width_px:
            return
        # Which side shows follows from where the far end lies against the near one, bends included.
        middle_near, _, scale = camera.project_point(self.x_m, 1.0, z_near)
        middle_far, _, _ = camera.project_point(self.x_m, 1.0, z_near + self.length_m)
        seen_side = -1 if middle_far < middle_near else 1
        lamp, high_lamp, glow = self._lamp_colours(air, distance, frame_index)
        colours: dict[tuple[str, float], Pixel] = {}
        px_per_m = scale / (canvas.width_px / 1280)
        for face in mesh.faces:
            if face.side not in (0, seen_side) or px_per_m < face.smallest_px_per_m:
                continue
            if face.material == "lamp":
                colour = lamp
            elif face.material == "high_lamp":
                if high_lamp is None:
                    continue
                colour = high_lamp
            else:
                key = (face.material, face.factor)
                if key not in colours:
                    colours[key] = air.shade(_ALBEDO.get(face.material, self.paint), distance, face.factor)
                colour = colours[key]
            canvas.polygon(pixels[face.indices], colour)
        if glow is not None:
            colour, strength, radius_m = glow
            for x, y in mesh.lamps_m:
                column, row, _ = camera.project_point(self.x_m + x, y, z_near)
                _, mirrored, _ = camera.project_point(self.x_m + x, -y, z_near)
                canvas.add_lamp(Lamp(column, row, radius_m * scale, colour, strength, mirrored))

    def _lamp_colours(
        self, air: Atmosphere, distance_m: float, frame_index: int
    ) -> tuple[Pixel, Pixel | None, tuple[Colour, float, float] | None]:
        """Give the colours of the lamps and the high brake lamp, and the glow: colour, strength, radius in metres."""
        burns = air.lamps_on and not self.is_parked
        if not self.shows_rear:
            if burns:
                return air.glow((255, 250, 236), distance_m), None, ((255, 240, 214), 1.4, 0.18)
            return air.shade((196, 200, 204), distance_m), None, None
        brakes = self.brakes is not None and self.brakes[0] <= frame_index <= self.brakes[1] and not self.is_parked
        if brakes:
            lit = air.glow((255, 46, 34), distance_m)
            return lit, lit, ((255, 24, 14), 1.1, 0.13)
        if burns:
            return air.glow((150, 16, 16), distance_m), None, ((255, 16, 10), 0.3, 0.11)
        return air.shade((122, 22, 24), distance_m), None, None
