"""Signalled junctions: where poles, mast arms, gantries and wires stand, and which heads hang on them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tl_datasets.synthetic.atmosphere import Colour
from tl_datasets.synthetic.camera import FOCAL_SHARE
from tl_datasets.synthetic.heads import HeadModel
from tl_datasets.synthetic.props import Beam
from tl_datasets.synthetic.road import Crossing, Road
from tl_datasets.synthetic.signals import SignalProgramme, pedestrian_programme, vehicle_programme
from tl_datasets.synthetic.spec import GOLDEN_STEP, REFERENCE_WIDTH_PX, SequenceSpec
from tl_datasets.taxonomy import Facing, Orientation, Pictogram, Relevance, Scene, State

LARGEST_HEAD_PX = 60.0
_HOUSINGS: tuple[Colour, ...] = ((34, 35, 37), (40, 58, 48), (212, 164, 28))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedHead:
    """A signal head in the world: centre at (x, y), plane at z, metres."""

    track_id: str
    model: HeadModel
    programme: SignalProgramme
    x_m: float
    y_m: float
    z_m: float
    relevance: Relevance


@dataclass(slots=True, kw_only=True)
class Junction:
    """A junction; `z_m` is the plane of its main heads.

    Attributes:
        z_m: Place along the road.
        crossing: The cross street, if there is one.
        heads: Its signal heads.
        beams: What carries them.
        nearest_gap_m: Distance at which its largest head is as high as a head may be.
    """

    z_m: float
    crossing: Crossing | None
    heads: list[PlacedHead] = field(default_factory=list)
    beams: list[Beam] = field(default_factory=list)

    @property
    def nearest_gap_m(self) -> float:
        """Distance of the camera from `z_m` at which the first head reaches `LARGEST_HEAD_PX`."""
        metres = FOCAL_SHARE * REFERENCE_WIDTH_PX / (LARGEST_HEAD_PX - 1)
        gaps = [head.model.housing_size_m[1] * metres - (head.z_m - self.z_m) for head in self.heads]
        return max(gaps, default=16.0)


def lay_out_junctions(spec: SequenceSpec, road: Road, rng: np.random.Generator) -> list[Junction]:
    """Lay out the junction that the camera drives towards and perhaps one behind it."""
    builder = _Builder(spec, road, rng)
    junctions = [builder.junction(100.0, spec.signal_phase, is_first=True)]
    if rng.random() < 0.3 * min(spec.head_density, 2.0):
        junctions.append(builder.junction(100.0 + float(rng.uniform(45, 85)), float(rng.random()), is_first=False))
    return junctions


class _Builder:
    """Places heads one after the other, naming them in their order."""

    def __init__(self, spec: SequenceSpec, road: Road, rng: np.random.Generator):
        self._spec = spec
        self._road = road
        self._rng = rng
        self._n_heads = 0
        self._n_turn_programmes = 0
        # One make of signal per sequence, as in a town.
        self._housing = _HOUSINGS[int(rng.choice(3, p=[0.62, 0.16, 0.22]))]
        self._pitch_m = float(rng.choice([0.27, 0.3, 0.34], p=[0.35, 0.35, 0.3]))
        self._has_backplate = bool(rng.random() < 0.35)
        self._horizontal = bool(rng.random() < 0.07)

    def junction(self, z_m: float, phase: float, *, is_first: bool) -> Junction:
        spec, rng, road = self._spec, self._rng, self._road
        is_far_side = bool(rng.random() < 0.4)
        depth = float(rng.uniform(8, 13))
        crossing = None
        if spec.scene != Scene.HIGHWAY and (is_first or spec.head_density > 0):
            z1 = z_m - depth - 1.5 if is_far_side else z_m + 3.5
            crossing = Crossing(z1_m=z1, z2_m=z1 + depth, has_zebra=bool(rng.random() < 0.7))
        junction = Junction(z_m=z_m, crossing=crossing)
        if spec.head_density <= 0:
            return junction
        programme = vehicle_programme(phase, spec.off_share)
        relevance = Relevance.RELEVANT if is_first else Relevance.NOT_RELEVANT
        structure = self._choose_structure()
        if structure == "poles":
            self._add_poles(junction, programme, relevance)
        else:
            self._add_overhead(junction, structure, programme, relevance)
        if spec.scene == Scene.HIGHWAY or crossing is None:
            return junction
        z_behind = crossing.z2_m + 1.0
        if rng.random() < 0.4 * spec.head_density:
            self._add_pedestrian_heads(junction, z_behind, programme.state(0) == State.OFF)
        if rng.random() < 0.4 * spec.head_density:  # what oncoming traffic sees, from behind
            self._add_oncoming(junction, z_behind, programme)
        if rng.random() < 0.3 * spec.head_density:  # what the cross street sees, from the side
            side = int(rng.choice([-1, 1]))
            x = (road.left_m - 1.6) if side < 0 else (road.right_m + 1.6)
            facing = Facing.RIGHT if side > 0 else Facing.LEFT
            z_side = crossing.z2_m + 0.6
            self._add(junction, (x, 2.9, z_side), facing, Pictogram.CIRCLE, programme, Relevance.NOT_RELEVANT)
            x_pole = x - side * 0.25
            junction.beams.append(Beam(start_m=(x_pole, 0.0), end_m=(x_pole, 3.6), z_m=z_side + 0.1, thickness_m=0.13))
        return junction

    def _choose_structure(self) -> str:
        scene = self._spec.scene
        if scene == Scene.HIGHWAY:
            return "gantry"
        names = ["poles", "mast", "wire", "gantry"]
        shares = [0.6, 0.32, 0.08, 0.0] if scene == Scene.RESIDENTIAL else [0.34, 0.4, 0.14, 0.12]
        return str(self._rng.choice(names, p=shares))

    def _pictogram(self, lane: int, n_lanes: int) -> Pictogram:
        if self._rng.random() >= self._spec.arrow_share:
            return Pictogram.CIRCLE
        if n_lanes > 1 and lane == 0:
            return Pictogram.ARROW_LEFT
        if n_lanes > 1 and lane == n_lanes - 1:
            return Pictogram.ARROW_RIGHT if self._rng.random() < 0.7 else Pictogram.ARROW_STRAIGHT_RIGHT
        choices = [Pictogram.ARROW_STRAIGHT, Pictogram.ARROW_LEFT, Pictogram.ARROW_RIGHT, Pictogram.ARROW_STRAIGHT_LEFT]
        return choices[int(self._rng.integers(len(choices)))]

    def _programme_for(self, pictogram: Pictogram, main: SignalProgramme) -> SignalProgramme:
        """Turn arrows have a programme of their own; everything else follows the main one."""
        if pictogram in (Pictogram.ARROW_LEFT, Pictogram.ARROW_RIGHT):
            self._n_turn_programmes += 1
            phase = (self._spec.signal_phase + self._n_turn_programmes * GOLDEN_STEP**2) % 1.0
            return vehicle_programme(phase, self._spec.off_share)
        return main

    def _add(
        self,
        junction: Junction,
        place_m: tuple[float, float, float],
        facing: Facing,
        pictogram: Pictogram,
        programme: SignalProgramme,
        relevance: Relevance,
        pitch_m: float | None = None,
    ) -> None:
        rng = self._rng
        horizontal = self._horizontal and facing == Facing.FRONT and pictogram == Pictogram.CIRCLE and place_m[1] > 4
        model = HeadModel(
            pictogram=pictogram,
            orientation=Orientation.HORIZONTAL if horizontal else Orientation.VERTICAL,
            facing=facing,
            housing=self._housing,
            pitch_m=self._pitch_m if pitch_m is None else pitch_m,
            has_backplate=self._has_backplate and pictogram != Pictogram.PEDESTRIAN and not horizontal,
            overexposure=float(np.clip(rng.normal(0.25, 0.25), 0, 1)),
        )
        track_id = f"{self._spec.sequence}/head{self._n_heads:02d}"
        self._n_heads += 1
        junction.heads.append(
            PlacedHead(
                track_id=track_id,
                model=model,
                programme=programme,
                x_m=place_m[0],
                y_m=place_m[1],
                z_m=place_m[2],
                relevance=relevance,
            )
        )

    def _add_poles(self, junction: Junction, main: SignalProgramme, relevance: Relevance) -> None:
        road, rng, z = self._road, self._rng, junction.z_m
        left = road.centre_m - road.median_m / 2 if road.median_m > 1 else road.left_m - 0.7
        places = [(road.right_m + 0.7, road.lanes_ours - 1)]
        if rng.random() < 0.75 * self._spec.head_density:
            places.append((left, 0))
        for x, lane in places:
            pictogram = self._pictogram(lane, road.lanes_ours)
            self._add(junction, (x, 2.95, z), Facing.FRONT, pictogram, self._programme_for(pictogram, main), relevance)
            junction.beams.append(Beam(start_m=(x, 0.0), end_m=(x, 3.7), z_m=z + 0.1, thickness_m=0.14))

    def _add_overhead(self, junction: Junction, structure: str, main: SignalProgramme, relevance: Relevance) -> None:
        road, rng, z = self._road, self._rng, junction.z_m
        lanes = road.our_lane_centres_m()
        right = road.right_m + (0.9 if road.has_kerb else 3.2)
        beam_y, head_y = 6.1, 5.6
        thickness = {"mast": 0.16, "wire": 0.05, "gantry": 0.34}[structure]
        if structure == "mast":
            left = lanes[0] - 0.4
        elif structure == "wire":
            left = road.left_m - 1.0
            head_y = 5.45
        else:
            left = road.centre_m - road.median_m / 2 if road.median_m > 1 else road.left_m - 1.2
            beam_y, head_y = 6.5, 5.75
        junction.beams.append(Beam(start_m=(left, beam_y), end_m=(right, beam_y), z_m=z + 0.15, thickness_m=thickness))
        for x in [right] if structure == "mast" else [left, right]:
            junction.beams.append(Beam(start_m=(x, 0.0), end_m=(x, beam_y + 0.2), z_m=z + 0.12, thickness_m=0.26))
        shown = [lane for lane in range(len(lanes)) if rng.random() < min(0.8 * self._spec.head_density, 1.0)]
        for lane in shown or [road.ego_lane]:
            pictogram = self._pictogram(lane, len(lanes))
            place = (lanes[lane] + float(rng.normal(0, 0.15)), head_y, z)
            junction.beams.append(
                Beam(start_m=(place[0], beam_y), end_m=(place[0], head_y), z_m=z + 0.1, thickness_m=0.07)
            )
            self._add(junction, place, Facing.FRONT, pictogram, self._programme_for(pictogram, main), relevance)
        if structure == "mast" and rng.random() < 0.5 * self._spec.head_density:
            self._add(junction, (right, 2.95, z), Facing.FRONT, Pictogram.CIRCLE, main, relevance)

    def _add_oncoming(self, junction: Junction, z_m: float, programme: SignalProgramme) -> None:
        """Hang a head for oncoming traffic, of which the camera sees the back, over the road or beside it."""
        road = self._road
        pole = road.left_m - 2.4
        x, y = pole, 3.0
        if road.lanes_left and self._rng.random() < 0.6:
            x, y = road.oncoming_lane_centres_m()[-1], 5.6
            junction.beams.append(Beam(start_m=(pole, 6.1), end_m=(x + 0.4, 6.1), z_m=z_m - 0.1, thickness_m=0.14))
        junction.beams.append(Beam(start_m=(pole, 0.0), end_m=(pole, y + 0.7), z_m=z_m - 0.1, thickness_m=0.18))
        self._add(junction, (x, y, z_m), Facing.BACK, Pictogram.CIRCLE, programme, Relevance.NOT_RELEVANT)

    def _add_pedestrian_heads(self, junction: Junction, z_m: float, is_off: bool) -> None:
        programme = pedestrian_programme(self._rng, is_off)
        for x in (self._road.right_m + 1.4, self._road.left_m - 1.4):
            if self._rng.random() < 0.7:
                self._add(
                    junction,
                    (x, 2.4, z_m),
                    Facing.FRONT,
                    Pictogram.PEDESTRIAN,
                    programme,
                    Relevance.NOT_RELEVANT,
                    pitch_m=0.27,
                )
                junction.beams.append(Beam(start_m=(x, 0.0), end_m=(x, 2.8), z_m=z_m + 0.1, thickness_m=0.12))
