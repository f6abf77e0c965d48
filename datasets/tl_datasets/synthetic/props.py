"""What stands still beside the road: trees, street lamps, traffic signs, lit signs, people, and poles of signals."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.synthetic.atmosphere import Atmosphere, Colour
from tl_datasets.synthetic.camera import Camera
from tl_datasets.synthetic.canvas import Canvas, Lamp
from tl_datasets.synthetic.sprite import Sprite


@dataclass(frozen=True, slots=True, kw_only=True)
class Billboard:
    """A sprite that stands across the line of sight.

    Attributes:
        sprite: Its picture.
        x_m: Centre across the road.
        y_m: Lower edge above the road.
        z_m: Place along the road.
        height_m: Height of the picture.
        pole_m: Height of a thin pole below it; 0 for none.
        glow: Colour of its light, or None.
        strength: Strength of its light.
    """

    sprite: Sprite
    x_m: float
    y_m: float
    z_m: float
    height_m: float
    pole_m: float = 0.0
    glow: Colour | None = None
    strength: float = 0.0

    def paint_on(self, canvas: Canvas, camera: Camera, air: Atmosphere) -> None:
        """Paint it, its pole, and register its light."""
        distance = self.z_m - camera.z_m
        if distance < 3.0 or distance > 240:
            return
        column, foot, scale = camera.project_point(self.x_m, self.y_m, self.z_m)
        if self.pole_m:
            _, ground, _ = camera.project_point(self.x_m, 0.0, self.z_m)
            canvas.bar((column, foot), (column, ground), 0.07 * scale, air.shade((118, 120, 122), distance))
        zoom = self.height_m * scale / self.sprite.height_px
        share = air.transmission(distance)
        if self.glow is not None:
            share = share**0.5
        left, top = column - self.sprite.width_px * zoom / 2, foot - self.height_m * scale
        canvas.sprite(self.sprite, left, top, zoom, zoom, air.haze, share)
        if self.glow is not None:
            middle = self.y_m + self.height_m / 2
            _, mirrored, _ = camera.project_point(self.x_m, -middle, self.z_m)
            radius = 0.35 * self.height_m * scale
            canvas.add_lamp(Lamp(column, foot - self.height_m * scale / 2, radius, self.glow, self.strength, mirrored))


@dataclass(frozen=True, slots=True, kw_only=True)
class StreetLamp:
    """A lamp post with an arm over the road; `side` is -1 left or +1 right of the road."""

    x_m: float
    z_m: float
    side: int
    height_m: float
    colour: Colour

    def paint_on(self, canvas: Canvas, camera: Camera, air: Atmosphere) -> None:
        """Paint it and register its light."""
        distance = self.z_m - camera.z_m
        if distance < 4.0 or distance > 260:
            return
        metal = air.shade((96, 100, 104), distance, 0.85)
        x, ground, scale = camera.project_point(self.x_m, 0.0, self.z_m)
        _, top, _ = camera.project_point(self.x_m, self.height_m, self.z_m)
        reach = -self.side * 1.7 * scale
        canvas.bar((x, ground), (x, top), 0.15 * scale, metal)
        canvas.bar((x, top), (x + reach, top - 0.25 * scale), 0.1 * scale, metal)
        tip = (x + reach, top - 0.22 * scale)
        canvas.bar((tip[0] - 0.35 * scale, tip[1]), (tip[0] + 0.35 * scale, tip[1]), 0.16 * scale, metal)
        if air.lamps_on:
            glow = air.glow(self.colour, distance)
            below = tip[1] + 0.1 * scale
            canvas.bar((tip[0] - 0.28 * scale, below), (tip[0] + 0.28 * scale, below), 0.12 * scale, glow)
            _, mirrored, _ = camera.project_point(self.x_m, -self.height_m, self.z_m)
            strength = 1.5 if max(air.light) < 0.4 else 0.5
            canvas.add_lamp(Lamp(tip[0], below, 0.17 * scale, self.colour, strength, mirrored))


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    """A straight metal tube between two points of one plane across the road: pole, mast arm, gantry, wire."""

    start_m: tuple[float, float]
    end_m: tuple[float, float]
    z_m: float
    thickness_m: float
    colour: Colour = (92, 96, 98)

    def paint_on(self, canvas: Canvas, camera: Camera, air: Atmosphere) -> None:
        """Paint it with a lighter and a darker side."""
        distance = self.z_m - camera.z_m
        if distance < 2.5 or distance > 300:
            return
        x1, y1, scale = camera.project_point(*self.start_m, self.z_m)
        x2, y2, _ = camera.project_point(*self.end_m, self.z_m)
        width = self.thickness_m * scale
        canvas.bar((x1, y1), (x2, y2), width, air.shade(self.colour, distance, 0.8))
        if width > 3:
            shift = (-0.22 * width, 0.0) if abs(y2 - y1) > abs(x2 - x1) else (0.0, -0.22 * width)
            lighter = air.shade(self.colour, distance, 1.15)
            canvas.bar((x1 + shift[0], y1 + shift[1]), (x2 + shift[0], y2 + shift[1]), width * 0.3, lighter)


def draw_tree(air: Atmosphere, rng: np.random.Generator) -> Sprite:
    """Draw a tree: leafy, bare in snow, or a conifer; 300 px high."""
    height, width = 300, 220
    rgb = np.zeros((height, width, 3), np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    light = np.array(air.light)
    bark = tuple(int(c) for c in np.array([74, 60, 48]) * light)
    trunk = np.array([[104, 300], [116, 300], [113, 150], [107, 150]])
    for image, colour in ((rgb, bark), (alpha, (255,))):
        cv2.fillPoly(image, [trunk], colour, cv2.LINE_AA)
    kind = rng.random()
    if kind < 0.25:
        for step in range(46):
            y = 282 - step * 6
            half = (282 - step * 6) * 0.27 * rng.uniform(0.75, 1.1) + 4
            tone = np.array([38, 64, 42]) * rng.uniform(0.7, 1.2)
            if air.snow_cover and rng.random() < 0.6:
                tone = np.array([214, 220, 226]) * rng.uniform(0.5, 1.0)
            branch = np.array([[110, y - 24], [110 + half, y], [110 - half, y]], np.int32)
            cv2.fillPoly(rgb, [branch], tuple(int(min(c, 255)) for c in tone * light), cv2.LINE_AA)
            cv2.fillPoly(alpha, [branch], (255,), cv2.LINE_AA)
    elif air.snow_cover:
        _draw_branches(rgb, alpha, (110.0, 170.0), -90.0, 52.0, 7, bark, rng)
    else:
        base = np.array([[66, 92, 40], [84, 104, 44], [58, 80, 44]][int(rng.integers(3))])
        clumps = rng.uniform([58, 58], [162, 158], (9, 2))
        for index in range(520):
            clump = clumps[int(rng.integers(len(clumps)))]
            angle, radius = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
            x, y = clump[0] + 42 * radius * np.cos(angle), clump[1] + 40 * radius * np.sin(angle)
            # Light falls from above onto every clump; the inside, painted first, is dark.
            tone = base * (1.0 - 0.3 * (y - clump[1]) / 40) * (0.55 + 0.6 * index / 520) * rng.uniform(0.8, 1.2)
            centre, size = (int(x), int(y)), int(rng.integers(3, 9))
            cv2.circle(rgb, centre, size, tuple(int(min(c, 255)) for c in tone * light), -1, cv2.LINE_AA)
            cv2.circle(alpha, centre, size, (255,), -1, cv2.LINE_AA)
    return Sprite(rgb, alpha)


def _draw_branches(
    rgb: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
    start: tuple[float, float],
    degrees: float,
    length: float,
    depth: int,
    colour: tuple[int, ...],
    rng: np.random.Generator,
) -> None:
    end = (start[0] + length * np.cos(np.radians(degrees)), start[1] + length * np.sin(np.radians(degrees)))
    points = [(round(x), round(y)) for x, y in (start, end)]
    for image, value in ((rgb, colour), (alpha, (255,))):
        cv2.line(image, points[0], points[1], value, max(depth - 1, 1), cv2.LINE_AA)
    if depth > 1:
        for turn in (rng.uniform(-42, -14), rng.uniform(14, 42)):
            _draw_branches(rgb, alpha, end, degrees + turn, length * rng.uniform(0.66, 0.84), depth - 1, colour, rng)


def draw_traffic_sign(kind: int, light: Colour) -> Sprite:
    """Draw a traffic sign of 72 px: 0 speed limit, 1 give way, 2 blue disc, 3 priority, 4 no entry, 5 warning."""
    rgb = np.zeros((72, 72, 3), np.uint8)
    alpha = np.zeros((72, 72), np.uint8)

    def tone(colour: tuple[int, int, int]) -> tuple[int, ...]:
        return tuple(int(c * part) for c, part in zip(colour, light, strict=True))

    red, white, blue, black = tone((196, 24, 28)), tone((236, 236, 232)), tone((22, 70, 160)), tone((20, 20, 22))
    if kind in (0, 2, 4):
        cv2.circle(alpha, (36, 36), 34, (255,), -1, cv2.LINE_AA)
        cv2.circle(rgb, (36, 36), 35, blue if kind == 2 else red, -1)
        if kind == 0:
            cv2.circle(rgb, (36, 36), 26, white, -1, cv2.LINE_AA)
            cv2.putText(rgb, "50", (18, 46), cv2.FONT_HERSHEY_DUPLEX, 0.95, black, 2, cv2.LINE_AA)
        elif kind == 2:
            cv2.arrowedLine(rgb, (36, 58), (36, 16), white, 6, cv2.LINE_AA, 0, 0.4)
        else:
            cv2.rectangle(rgb, (12, 29), (60, 43), white, -1)
    elif kind == 3:
        for size, colour in ((34, white), (26, tone((236, 180, 20)))):
            diamond = np.array([[36, 36 - size], [36 + size, 36], [36, 36 + size], [36 - size, 36]])
            cv2.fillPoly(rgb, [diamond], colour, cv2.LINE_AA)
            cv2.fillPoly(alpha, [diamond], (255,), cv2.LINE_AA)
    else:
        flip = -1 if kind == 1 else 1
        for size, colour in ((36, red), (24, white)):
            triangle = np.array(
                [[36, 38 - flip * size], [36 + size, 38 + flip * size * 0.75], [36 - size, 38 + flip * size * 0.75]]
            )
            cv2.fillPoly(rgb, [triangle.astype(np.int32)], colour, cv2.LINE_AA)
            cv2.fillPoly(alpha, [triangle.astype(np.int32)], (255,), cv2.LINE_AA)
    return Sprite(rgb, alpha)


def draw_lit_sign(kind: int, light: Colour) -> tuple[Sprite, Colour]:
    """Draw a lit sign and give its light: 0 green cross, 1 red neon word, 2 white box, 3 amber word, 4 red disc."""
    rgb = np.zeros((80, 80, 3), np.uint8)
    alpha = np.zeros((80, 80), np.uint8)
    dark = tuple(int(30 * part) for part in light)
    if kind == 0:
        for box in ((28, 4, 52, 76), (4, 28, 76, 52)):
            cv2.rectangle(alpha, box[:2], box[2:], (255,), -1)
            cv2.rectangle(rgb, box[:2], box[2:], (10, 190, 70), -1)
        for box in ((33, 10, 47, 70), (10, 33, 70, 47)):
            cv2.rectangle(rgb, box[:2], box[2:], (130, 255, 160), -1)
        return Sprite(rgb, alpha), (20, 255, 96)
    if kind == 4:
        cv2.circle(alpha, (40, 40), 38, (255,), -1, cv2.LINE_AA)
        rgb[...] = (200, 20, 24)
        cv2.circle(rgb, (40, 40), 25, (250, 236, 228), -1, cv2.LINE_AA)
        cv2.putText(rgb, "M", (22, 56), cv2.FONT_HERSHEY_DUPLEX, 1.5, (196, 20, 24), 3, cv2.LINE_AA)
        return Sprite(rgb, alpha), (255, 80, 64)
    alpha[22:58] = 255
    rgb[22:58] = dark
    word, colour, glow = {
        1: ("OPEN", (255, 58, 52), (255, 30, 24)),
        2: ("TAXI", (40, 40, 44), (240, 236, 220)),
        3: ("FOOD", (255, 190, 60), (255, 160, 40)),
    }[kind]
    if kind == 2:
        rgb[24:56, 2:78] = (246, 242, 226)
    cv2.putText(rgb, word, (4, 48), cv2.FONT_HERSHEY_DUPLEX, 0.86, colour, 2, cv2.LINE_AA)
    return Sprite(rgb, alpha), glow


def draw_person(air: Atmosphere, rng: np.random.Generator) -> Sprite:
    """Draw a person on the pavement, 120 px high."""
    rgb = np.zeros((120, 48, 3), np.uint8)
    alpha = np.zeros((120, 48), np.uint8)
    coat = rng.uniform(20, 190, 3)
    stride = int(rng.integers(2, 10))
    parts: list[tuple[NDArray, NDArray]] = [
        (np.array([[18, 62], [25, 62], [22 - stride, 118], [15 - stride, 118]]), np.array([36, 38, 52])),
        (np.array([[22, 62], [30, 62], [33 + stride, 118], [26 + stride, 118]]), np.array([30, 32, 46])),
        (np.array([[15, 24], [33, 24], [36, 66], [12, 66]]), coat),
        (np.array([[13, 26], [17, 26], [12, 62], [7, 60]]), coat * 0.85),
        (np.array([[31, 26], [35, 26], [41, 60], [36, 62]]), coat * 0.85),
    ]
    for polygon, colour in parts:
        cv2.fillPoly(rgb, [polygon.astype(np.int32)], tuple(int(c) for c in colour * air.light), cv2.LINE_AA)
        cv2.fillPoly(alpha, [polygon.astype(np.int32)], (255,), cv2.LINE_AA)
    cv2.circle(rgb, (24, 13), 9, tuple(int(c) for c in np.array([196, 156, 130]) * air.light), -1, cv2.LINE_AA)
    cv2.ellipse(rgb, (24, 10), (9, 8), 0, 180, 360, tuple(int(c) for c in np.array([52, 40, 32]) * air.light), -1)
    cv2.circle(alpha, (24, 13), 9, (255,), -1, cv2.LINE_AA)
    return Sprite(rgb, alpha)
