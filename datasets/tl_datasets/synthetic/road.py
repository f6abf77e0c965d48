"""`Road` and `Crossing`: the cross-section of the street and where other streets cut it."""

from __future__ import annotations

from dataclasses import dataclass

LANE_M = 3.3
PARKING_M = 2.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """The cross-section of a road; x = 0 is the centre of the ego lane.

    Attributes:
        lanes_left: Oncoming lanes.
        lanes_ours: Lanes in the camera's direction.
        ego_lane: Index of the ego lane from the middle, 0-based.
        has_parking: Whether cars park along both kerbs.
        has_kerb: Kerb and pavement; otherwise a shoulder and grass.
        median_m: Width of the strip between the directions.
    """

    lanes_left: int
    lanes_ours: int
    ego_lane: int
    has_parking: bool
    has_kerb: bool
    median_m: float

    @property
    def centre_m(self) -> float:
        """Right edge of the middle strip: where our lanes begin."""
        return -(self.ego_lane + 0.5) * LANE_M

    @property
    def left_m(self) -> float:
        """Left edge of the road."""
        return self.centre_m - self.median_m - self.lanes_left * LANE_M - self.has_parking * PARKING_M

    @property
    def right_m(self) -> float:
        """Right edge of the road."""
        return self.centre_m + self.lanes_ours * LANE_M + self.has_parking * PARKING_M

    def our_lane_centres_m(self) -> list[float]:
        """Centres of our lanes, from the middle to the right."""
        return [self.centre_m + (index + 0.5) * LANE_M for index in range(self.lanes_ours)]

    def oncoming_lane_centres_m(self) -> list[float]:
        """Centres of the oncoming lanes, from the middle to the left."""
        return [self.centre_m - self.median_m - (index + 0.5) * LANE_M for index in range(self.lanes_left)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A cross street between two distances along the road, with its own stop line and zebra before it."""

    z1_m: float
    z2_m: float
    has_zebra: bool


def is_crossing(z_m: float, crossings: list[Crossing], room_m: float) -> bool:
    """Whether a place along the road lies within `room_m` of a cross street."""
    return any(crossing.z1_m - room_m < z_m < crossing.z2_m + room_m for crossing in crossings)
