"""Which vehicles drive and park on the road."""

from __future__ import annotations

import numpy as np

from tl_datasets.synthetic.camera import Drive
from tl_datasets.synthetic.road import PARKING_M, Crossing, Road, is_crossing
from tl_datasets.synthetic.spec import SequenceSpec
from tl_datasets.synthetic.vehicle_mesh import BUILDS
from tl_datasets.synthetic.vehicles import PAINTS, Vehicle


def place_vehicles(
    spec: SequenceSpec, road: Road, drive: Drive, crossings: list[Crossing], rng: np.random.Generator
) -> list[Vehicle]:
    """Place traffic on every lane, and parked vehicles along the kerbs."""
    vehicles: list[Vehicle] = []
    last = spec.n_frames - 1

    def add(
        x_m: float, z_m: float, step_m: float, *, shows_rear: bool, is_parked: bool = False, big_share: float
    ) -> float:
        small = [kind for kind in BUILDS if kind not in ("truck", "bus")]
        kind = str(rng.choice(["truck", "bus"] if rng.random() < big_share else small))
        first = int(rng.integers(-10, spec.n_frames))
        brakes = (first, first + int(rng.integers(6, 30))) if rng.random() < 0.7 else None
        paint = PAINTS[int(rng.integers(len(PAINTS)))]
        if kind == "bus":
            paint = ((214, 170, 40), (176, 34, 34), (220, 222, 222))[int(rng.integers(3))]
        vehicle = Vehicle(
            kind=kind,
            paint=paint,
            x_m=x_m,
            z_m=z_m,
            step_m=step_m,
            shows_rear=shows_rear,
            is_parked=is_parked,
            brakes=brakes,
        )
        vehicles.append(vehicle)
        return vehicle.length_m

    for index, lane in enumerate(road.our_lane_centres_m()):
        is_ego = index == road.ego_lane
        z = drive.start_z_m + (float(rng.uniform(13, 36)) if is_ego else float(rng.uniform(4, 30)))
        step = drive.step_m * float(rng.uniform(0.85, 1.15))
        if is_ego:  # never nearer than 8 m to the camera
            step = max(step, drive.step_m + (8 - (z - drive.start_z_m)) / max(last, 1))
        while z < drive.start_z_m + 170:
            if rng.random() < (0.55 if is_ego else 0.7):
                z += add(
                    lane + float(rng.normal(0, 0.15)), z, step, shows_rear=True, big_share=0.04 if is_ego else 0.16
                )
            z += float(rng.uniform(7, 38))
    for lane in road.oncoming_lane_centres_m():
        step = -float(rng.uniform(0.4, 1.2)) * max(drive.step_m, 0.3)
        z = drive.start_z_m + float(rng.uniform(5, 40))
        while z < drive.start_z_m + 210:
            z += add(lane + float(rng.normal(0, 0.15)), z, step, shows_rear=False, big_share=0.12) + float(
                rng.uniform(9, 60)
            )
    if road.has_parking:
        for x, shows_rear in ((road.right_m - PARKING_M / 2, True), (road.left_m + PARKING_M / 2, False)):
            z = drive.start_z_m + float(rng.uniform(0, 8))
            while z < drive.start_z_m + 150:
                if rng.random() < 0.7 and not is_crossing(z, crossings, 9.0):
                    z += add(x, z, 0.0, shows_rear=shows_rear, is_parked=True, big_share=0.0)
                z += float(rng.uniform(0.8, 6))
    return vehicles
