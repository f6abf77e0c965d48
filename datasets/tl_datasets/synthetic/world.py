"""`World`: everything that stands and drives in one sequence, laid out at random from its spec."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tl_datasets.synthetic.atmosphere import Atmosphere, Colour, atmosphere
from tl_datasets.synthetic.buildings import Building
from tl_datasets.synthetic.camera import Drive
from tl_datasets.synthetic.ground import Ground
from tl_datasets.synthetic.junction import Junction, PlacedHead, lay_out_junctions
from tl_datasets.synthetic.props import (
    Beam,
    Billboard,
    StreetLamp,
)
from tl_datasets.synthetic.road import Road
from tl_datasets.synthetic.roadside import place_buildings, place_people, place_signs, place_street_lamps, place_trees
from tl_datasets.synthetic.sky import draw_sky
from tl_datasets.synthetic.spec import SequenceSpec
from tl_datasets.synthetic.traffic import place_vehicles
from tl_datasets.synthetic.vehicles import PAINTS, Vehicle
from tl_datasets.synthetic.weather import Precipitation
from tl_datasets.taxonomy import Scene, TimeOfDay

# The street is built from behind the camera's start to here ahead of the junction.
_BUILT_AHEAD_M = 190.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """A laid-out sequence.

    Attributes:
        air: Light and weather.
        drive: The camera's way.
        ground: Road texture.
        sky: (h, w, 3) sky; its last row is the horizon.
        buildings: Houses, far ones first.
        props: Things that stand still.
        vehicles: Things that drive or park.
        heads: Signal heads.
        precipitation: Rain, snow and drops.
        bonnet: Colour of the own car's bonnet at the lower edge, or None.
    """

    air: Atmosphere
    drive: Drive
    ground: Ground
    sky: NDArray[np.uint8]
    buildings: tuple[Building, ...]
    props: tuple[Beam | Billboard | StreetLamp, ...]
    vehicles: tuple[Vehicle, ...]
    heads: tuple[PlacedHead, ...]
    precipitation: Precipitation
    bonnet: Colour | None


def lay_out_world(spec: SequenceSpec) -> World:
    """Lay out a sequence; the same spec gives the same world."""
    rng = spec.generator()
    # Sky and rain draw as many numbers as the image has room for; on streams of their own they leave the layout alone.
    sky_rng, rain_rng = rng.spawn(2)
    air = atmosphere(spec.weather, spec.time_of_day, rng)
    road = _draw_road(spec.scene, rng)
    junctions = lay_out_junctions(spec, road, rng)
    drive = _plan_drive(spec, junctions, rng)
    crossings = [junction.crossing for junction in junctions if junction.crossing is not None]
    z_range = (drive.start_z_m - 2.0, max(j.z_m for j in junctions) + _BUILT_AHEAD_M)
    lamps = place_street_lamps(spec.scene, road, crossings, z_range, rng)
    pools = np.array([(lamp.x_m - lamp.side * 1.7, lamp.z_m) for lamp in lamps]).reshape(-1, 2)
    is_night = spec.time_of_day == TimeOfDay.NIGHT
    ground = Ground(road, crossings, spec.scene, air, pools if is_night else pools[:0], rng)
    buildings = place_buildings(spec.scene, road, crossings, z_range, air, rng)
    props: list[Beam | Billboard | StreetLamp] = [*lamps]
    props += [beam for junction in junctions for beam in junction.beams]
    props += place_trees(spec.scene, road, crossings, z_range, air, rng)
    props += place_signs(spec.scene, road, crossings, z_range, air, rng)
    if spec.scene != Scene.HIGHWAY:
        props += place_people(road, z_range, air, rng)
    horizon_px = drive.camera(spec, 0, np.zeros(2)).horizon_px
    return World(
        air=air,
        drive=drive,
        ground=ground,
        sky=draw_sky(air, spec.scene, spec.width_px, horizon_px, is_night, sky_rng),
        buildings=tuple(sorted(buildings, key=lambda building: -building.z2_m)),
        props=tuple(props),
        vehicles=tuple(place_vehicles(spec, road, drive, crossings, rng)),
        heads=tuple(head for junction in junctions for head in junction.heads),
        precipitation=Precipitation(air, spec.width_px, spec.height_px, rain_rng),
        bonnet=PAINTS[int(rng.integers(len(PAINTS)))] if rng.random() < 0.4 else None,
    )


def _draw_road(scene: Scene, rng: np.random.Generator) -> Road:
    if scene == Scene.HIGHWAY:
        lanes = int(rng.integers(2, 4))
        return Road(
            lanes_left=lanes,
            lanes_ours=lanes,
            ego_lane=int(rng.integers(lanes)),
            has_parking=False,
            has_kerb=False,
            median_m=float(rng.uniform(3, 6)),
        )
    if scene == Scene.RESIDENTIAL:
        return Road(
            lanes_left=1, lanes_ours=1, ego_lane=0, has_parking=bool(rng.random() < 0.6), has_kerb=True, median_m=0.0
        )
    lanes = int(rng.integers(1, 4))
    return Road(
        lanes_left=int(rng.integers(1, 3)),
        lanes_ours=lanes,
        ego_lane=int(rng.integers(lanes)),
        has_parking=bool(rng.random() < 0.4),
        has_kerb=True,
        median_m=float(rng.choice([0.0, 0.0, 2.4])),
    )


def _plan_drive(spec: SequenceSpec, junctions: list[Junction], rng: np.random.Generator) -> Drive:
    """Drive towards the first junction and stop where its largest head is about 60 reference pixels high."""
    first = junctions[0]
    end_gap = first.nearest_gap_m + float(rng.gamma(1.6, 5.0))
    travel = min((spec.n_frames - 1) * float(rng.uniform(0.5, 1.7)), 46.0)
    return Drive(
        start_z_m=first.z_m - end_gap - travel,
        step_m=travel / max(spec.n_frames - 1, 1),
        height_m=float(rng.uniform(1.25, 1.6)),
        sway_m=float(rng.uniform(0.0, 0.25)),
        yaw_rad=float(rng.uniform(0.002, 0.012)),
        yaw_offset_rad=float(np.clip(rng.normal(0, 0.035), -0.08, 0.08)),
        pitch_rad=float(rng.uniform(0.0005, 0.003)),
        pitch_offset_rad=float(np.clip(rng.normal(0, 0.02), -0.05, 0.05)),
        phase_rad=float(rng.uniform(0, 2 * np.pi)),
        bend_per_m=float(rng.normal(0, 0.00022)) if spec.scene != Scene.RESIDENTIAL else float(rng.normal(0, 0.0001)),
    )
