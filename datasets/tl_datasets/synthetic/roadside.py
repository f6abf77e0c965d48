"""Where houses, trees, lamps, signs and people stand along the road."""

from __future__ import annotations

import numpy as np

from tl_datasets.synthetic.atmosphere import Atmosphere, Colour
from tl_datasets.synthetic.buildings import Building, Front
from tl_datasets.synthetic.facades import PX_PER_M, draw_facade
from tl_datasets.synthetic.props import (
    Billboard,
    StreetLamp,
    draw_lit_sign,
    draw_person,
    draw_traffic_sign,
    draw_tree,
)
from tl_datasets.synthetic.road import Crossing, Road, is_crossing
from tl_datasets.taxonomy import Scene

_ROOFS: tuple[Colour, ...] = ((132, 62, 48), (96, 56, 46), (70, 70, 76), (150, 88, 60))
_LAMP_COLOURS: tuple[Colour, ...] = ((255, 190, 110), (255, 226, 178), (226, 236, 255))


def place_buildings(
    scene: Scene,
    road: Road,
    crossings: list[Crossing],
    z_range: tuple[float, float],
    air: Atmosphere,
    rng: np.random.Generator,
) -> list[Building]:
    """Place houses on both sides, leaving the cross streets free."""
    if scene == Scene.HIGHWAY:
        return []
    is_city = scene == Scene.CITY_STREET
    fronts = []
    for _ in range(7 if is_city else 5):
        width_m = float(rng.uniform(11, 18) if is_city else rng.uniform(8, 12))
        floors = int(rng.integers(3, 7) if is_city else rng.integers(1, 3))
        has_shops = is_city and bool(rng.random() < 0.65)
        fronts.append(Front(draw_facade(air, width_m, floors * 3.2 + 0.8, has_shops, rng)))
    buildings = []
    sunny_side = int(rng.choice([-1, 1]))
    for side in (-1, 1):
        z = z_range[0]
        edge = road.left_m if side < 0 else road.right_m
        previous: Building | None = None
        while z < z_range[1]:
            front = fronts[int(rng.integers(len(fronts)))]
            length = front.width_px / PX_PER_M * float(rng.uniform(0.9, 1.15))
            if any(crossing.z1_m - 2 < z + length and z < crossing.z2_m + 2 for crossing in crossings):
                z += 3.0
                previous = None
                continue
            setback = float(rng.choice([0.0, 0.0, 0.6])) if is_city else float(rng.uniform(3.0, 7.0))
            brightness = 1.0 if not air.sun else 1.0 + air.sun * (0.08 if side == sunny_side else -0.34)
            if rng.random() < (0.93 if is_city else 0.82):
                x = edge + side * ((3.8 if is_city else 2.6) + setback)
                height = front.height_px / PX_PER_M
                hides_flank = (
                    is_city
                    and previous is not None
                    and z - previous.z2_m < 0.1
                    and previous.height_m >= height
                    and side * (x - previous.x_m) >= 0
                )
                previous = Building(
                    side=side,
                    x_m=x,
                    z1_m=z,
                    z2_m=z + length,
                    height_m=height,
                    depth_m=12.0 if is_city else 8.0,
                    front=front,
                    hides_flank=hides_flank,
                    brightness=brightness,
                    roof=None if is_city else _ROOFS[int(rng.integers(len(_ROOFS)))],
                )
                buildings.append(previous)
            z += length + (0.0 if is_city and rng.random() < 0.8 else float(rng.uniform(2, 9)))
    return buildings


def place_street_lamps(
    scene: Scene, road: Road, crossings: list[Crossing], z_range: tuple[float, float], rng: np.random.Generator
) -> list[StreetLamp]:
    """Place street lamps at even distances."""
    if scene == Scene.HIGHWAY and rng.random() < 0.5:
        return []
    colour = _LAMP_COLOURS[int(rng.integers(len(_LAMP_COLOURS)))]
    sides = [(-1,), (1,), (-1, 1)][int(rng.integers(3))]
    spacing = float(rng.uniform(24, 38))
    height = float(rng.uniform(7, 9.5)) if scene != Scene.RESIDENTIAL else float(rng.uniform(5, 6.5))
    lamps: list[StreetLamp] = []
    for side in sides:
        x = road.left_m - 0.9 if side < 0 else road.right_m + 0.9
        if scene == Scene.HIGHWAY:
            x += side * 2.0
        places = np.arange(z_range[0] + float(rng.uniform(0, spacing)), z_range[1], spacing).tolist()
        lamps.extend(
            StreetLamp(x_m=x, z_m=z, side=side, height_m=height, colour=colour)
            for z in places
            if not is_crossing(z, crossings, 1.0)
        )
    return lamps


def place_trees(
    scene: Scene,
    road: Road,
    crossings: list[Crossing],
    z_range: tuple[float, float],
    air: Atmosphere,
    rng: np.random.Generator,
) -> list[Billboard]:
    """Place trees beside the pavement, or in groups along a highway."""
    sprites = [draw_tree(air, rng) for _ in range(4)]
    count = {Scene.HIGHWAY: 70, Scene.RESIDENTIAL: 26}.get(scene, int(rng.integers(0, 16)))
    trees = []
    for _ in range(count):
        side = int(rng.choice([-1, 1]))
        edge = road.left_m if side < 0 else road.right_m
        away = {Scene.HIGHWAY: rng.uniform(7, 30), Scene.RESIDENTIAL: rng.uniform(1.4, 5.0)}.get(scene, 2.2)
        z = float(rng.uniform(*z_range))
        if not is_crossing(z, crossings, 2.0):
            height = float(rng.uniform(4.5, 8.5)) if scene != Scene.HIGHWAY else float(rng.uniform(6, 12))
            sprite = sprites[int(rng.integers(len(sprites)))]
            trees.append(Billboard(sprite=sprite, x_m=edge + side * float(away), y_m=0.0, z_m=z, height_m=height))
    return trees


def place_signs(
    scene: Scene,
    road: Road,
    crossings: list[Crossing],
    z_range: tuple[float, float],
    air: Atmosphere,
    rng: np.random.Generator,
) -> list[Billboard]:
    """Place traffic signs along the kerb and lit signs on the houses."""
    signs = []
    for _ in range(int(rng.integers(3, 9))):
        side = int(rng.choice([-1, 1, 1]))
        x = road.left_m - 0.7 if side < 0 else road.right_m + 0.7
        if scene == Scene.HIGHWAY:
            x += side * 2.4
        signs.append(
            Billboard(
                sprite=draw_traffic_sign(int(rng.integers(6)), air.light),
                x_m=x,
                y_m=2.1,
                z_m=float(rng.uniform(*z_range)),
                height_m=0.65 if scene != Scene.HIGHWAY else 0.9,
                pole_m=2.1,
            )
        )
    if scene != Scene.CITY_STREET:
        return signs
    for _ in range(int(rng.integers(3, 9))):
        side = int(rng.choice([-1, 1]))
        edge = road.left_m if side < 0 else road.right_m
        z = float(rng.uniform(*z_range))
        if is_crossing(z, crossings, 1.0):
            continue
        sprite, glow = draw_lit_sign(int(rng.integers(5)), air.light)
        signs.append(
            Billboard(
                sprite=sprite,
                x_m=edge + side * 3.2,
                y_m=float(rng.uniform(3.0, 4.5)),
                z_m=z,
                height_m=float(rng.uniform(0.8, 1.3)),
                glow=glow,
                strength=0.25,
            )
        )
    return signs


def place_people(
    road: Road, z_range: tuple[float, float], air: Atmosphere, rng: np.random.Generator
) -> list[Billboard]:
    """Place people on the pavements."""
    people = []
    for _ in range(int(rng.integers(2, 9))):
        side = int(rng.choice([-1, 1]))
        x = (road.left_m if side < 0 else road.right_m) + side * float(rng.uniform(1.0, 2.2))
        sprite = draw_person(air, rng)
        people.append(
            Billboard(
                sprite=sprite, x_m=x, y_m=0.1, z_m=float(rng.uniform(*z_range)), height_m=float(rng.uniform(1.6, 1.9))
            )
        )
    return people
