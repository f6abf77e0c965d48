"""A pinhole camera on a moving car.

World axes in metres: x to the right of the ego lane's centre, y up from the road, z along the road. Yaw and pitch are
small and act as image shifts, so that one image row of the road is one distance; a bend of the road is a sideways shift
that grows with the square of the distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tl_datasets.synthetic.spec import SequenceSpec

NEAR_M = 1.5
# Horizontal field of view 58 degrees: a 1 m high head is 60 px high at 19 m and 6 px at 192 m in a 1280 px wide image.
FOCAL_SHARE = 0.9
HORIZON_SHARE = 0.53


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """Where the camera stands and looks in one frame.

    Attributes:
        width_px: Image width.
        height_px: Image height.
        focal_px: Focal length.
        centre_px: Image column of the straight-ahead direction, yaw included.
        horizon_px: Image row of the horizon, pitch included.
        x_m: Sideways position.
        height_m: Height above the road.
        z_m: Position along the road.
        bend_per_m: The road lies `bend_per_m * distance**2` metres to the right of straight ahead.
    """

    width_px: int
    height_px: int
    focal_px: float
    centre_px: float
    horizon_px: float
    x_m: float
    height_m: float
    z_m: float
    bend_per_m: float

    def project(self, points_m: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Project (N, 3) world points to (N, 2) continuous pixels, and give their (N,) distances in metres.

        Distances are held at `NEAR_M` or more, so that points beside the camera stay finite.
        """
        points = np.asarray(points_m, dtype=np.float64)
        depth = np.maximum(points[:, 2] - self.z_m, NEAR_M)
        pixels = np.empty((len(points), 2))
        pixels[:, 0] = self.centre_px + self.focal_px * ((points[:, 0] - self.x_m) / depth + self.bend_per_m * depth)
        pixels[:, 1] = self.horizon_px - self.focal_px * (points[:, 1] - self.height_m) / depth
        return pixels, depth

    def project_point(self, x_m: float, y_m: float, z_m: float) -> tuple[float, float, float]:
        """Project one world point: column and row in continuous pixels, and pixels per metre there."""
        depth = max(z_m - self.z_m, NEAR_M)
        scale = self.focal_px / depth
        column = self.centre_px + scale * (x_m - self.x_m) + self.focal_px * self.bend_per_m * depth
        return column, self.horizon_px - scale * (y_m - self.height_m), scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """How the camera moves through a sequence.

    Attributes:
        start_z_m: Where it begins.
        step_m: Metres per frame.
        height_m: Height above the road.
        sway_m: Amplitude of the sideways wander.
        yaw_rad: Amplitude of the yaw; a constant part may be added by `yaw_offset_rad`.
        yaw_offset_rad: Constant yaw.
        pitch_rad: Amplitude of the pitch.
        pitch_offset_rad: Constant pitch, from how the camera is mounted; positive lowers the horizon.
        phase_rad: Where the wander begins.
        bend_per_m: Bend of the road.
    """

    start_z_m: float
    step_m: float
    height_m: float
    sway_m: float
    yaw_rad: float
    yaw_offset_rad: float
    pitch_rad: float
    pitch_offset_rad: float
    phase_rad: float
    bend_per_m: float

    def camera(self, spec: SequenceSpec, frame_index: int, shake: NDArray[np.float64]) -> Camera:
        """Give the camera of a frame; `shake` holds two normal numbers for the road's bumps."""
        focal_px = FOCAL_SHARE * spec.width_px
        angle = self.phase_rad + 0.13 * frame_index
        yaw = self.yaw_offset_rad + self.yaw_rad * np.sin(angle) + 0.0006 * shake[0]
        pitch = self.pitch_offset_rad + self.pitch_rad * np.sin(2.3 * angle) + 0.0007 * shake[1]
        return Camera(
            width_px=spec.width_px,
            height_px=spec.height_px,
            focal_px=focal_px,
            centre_px=spec.width_px / 2 + focal_px * float(yaw),
            horizon_px=spec.height_px * HORIZON_SHARE + focal_px * float(pitch),
            x_m=self.sway_m * float(np.sin(0.7 * angle)),
            height_m=self.height_m,
            z_m=self.start_z_m + self.step_m * frame_index,
            bend_per_m=self.bend_per_m,
        )
