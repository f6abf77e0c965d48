"""Signal heads: how the housing, the lenses and their symbols look from the front, the side and behind.

A head is drawn large once per state and then painted at any size. The annotated box is the housing (from the side: with
its visors); a backplate is not part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.synthetic.atmosphere import Colour
from tl_datasets.synthetic.sprite import Sprite
from tl_datasets.synthetic.symbols import draw_symbol
from tl_datasets.taxonomy import Facing, Orientation, Pictogram, State

# Sprite pixels from one lens centre to the next.
PITCH_PX = 72
_LENS_RADIUS_PX = 0.415 * PITCH_PX
_MARGIN_PX = 22  # room around the housing for the backplate

# Colour of a burning lens: rim and centre. Hues: red 0-6, yellow 34-40, green 151-154 degrees (LED signals).
RIM: dict[str, Colour] = {"red": (228, 14, 14), "yellow": (246, 142, 4), "green": (0, 208, 116)}
CORE: dict[str, Colour] = {"red": (255, 72, 52), "yellow": (255, 190, 56), "green": (84, 255, 172)}
# The glow around a lens; it adds to the lens itself, so its yellow is a deeper one: the sum must not turn greenish.
GLOW: dict[str, Colour] = {"red": (228, 14, 14), "yellow": (240, 110, 0), "green": (0, 208, 116)}
_GLARE: dict[str, Colour] = {"red": (255, 226, 206), "yellow": (255, 250, 222), "green": (232, 255, 246)}
_DARK_LENS: dict[str, Colour] = {"red": (66, 20, 18), "yellow": (70, 52, 16), "green": (14, 46, 38)}

LIT_LENSES: dict[State, tuple[str, ...]] = {
    State.RED: ("red",),
    State.RED_YELLOW: ("red", "yellow"),
    State.YELLOW: ("yellow",),
    State.GREEN: ("green",),
    State.OFF: (),
    State.UNKNOWN: (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadModel:
    """The build of a head.

    Attributes:
        pictogram: Symbol of the lenses; a pedestrian head has two lenses, every other three.
        orientation: Vertical: red on top. Horizontal: red on the left.
        facing: The side that the camera sees.
        housing: Colour of the housing.
        pitch_m: Distance from one lens centre to the next.
        has_backplate: Whether a black plate with a light rim stands behind the housing.
        overexposure: 0..1, how far the centre of a burning lens washes out.
    """

    pictogram: Pictogram
    orientation: Orientation
    facing: Facing
    housing: Colour
    pitch_m: float
    has_backplate: bool
    overexposure: float

    @property
    def lens_colours(self) -> tuple[str, ...]:
        """Colours of the lenses in their order."""
        return ("red", "green") if self.pictogram == Pictogram.PEDESTRIAN else ("red", "yellow", "green")

    @property
    def aspects(self) -> int:
        """Number of lenses."""
        return len(self.lens_colours)

    @property
    def housing_size_m(self) -> tuple[float, float]:
        """Width and height of the box that a straight view gives."""
        width_px, height_px = _housing_size_px(self)
        return width_px * self.pitch_m / PITCH_PX, height_px * self.pitch_m / PITCH_PX

    @property
    def margin_m(self) -> float:
        """Distance from the sprite's edge to the housing."""
        return _MARGIN_PX * self.pitch_m / PITCH_PX

    @property
    def lens_radius_m(self) -> float:
        """Radius of a lens."""
        return _LENS_RADIUS_PX * self.pitch_m / PITCH_PX

    def lens_centre_m(self, colour: str) -> tuple[float, float]:
        """Place of a lens centre, right of and below the housing's top-left corner."""
        along = (self.lens_colours.index(colour) + 0.5) * self.pitch_m + _END_PX * self.pitch_m / PITCH_PX
        across = self.housing_size_m[0 if self.orientation == Orientation.VERTICAL else 1] / 2
        return (across, along) if self.orientation == Orientation.VERTICAL else (along, across)


_END_PX = 5  # housing beyond the outer lenses' pitch
_WIDTH_PX = 74
_SIDE_BODY_PX = 40
_SIDE_VISOR_PX = 30


def _housing_size_px(model: HeadModel) -> tuple[int, int]:
    length = model.aspects * PITCH_PX + 2 * _END_PX
    if model.facing in (Facing.LEFT, Facing.RIGHT):
        return _SIDE_BODY_PX + _SIDE_VISOR_PX, length
    return (_WIDTH_PX, length) if model.orientation == Orientation.VERTICAL else (length, _WIDTH_PX)


def draw_head(model: HeadModel, state: State, light: Colour) -> Sprite:
    """Draw a head.

    Args:
        model: Its build.
        state: What it shows; ignored unless the camera sees its front.
        light: Light on the housing, a factor per channel.
    """
    width, height = _housing_size_px(model)
    length = model.aspects * PITCH_PX + 2 * _END_PX
    if model.facing == Facing.FRONT:
        rgb, alpha, housing = _draw_front(model, state, light, length)
    elif model.facing == Facing.BACK:
        rgb, alpha, housing = _draw_back(model, light, length)
    else:
        rgb, alpha, housing = _draw_side(model, light, length)
    if model.orientation == Orientation.HORIZONTAL:
        # A quarter turn to the left: red, on top, comes to stand on the left.
        rgb, alpha, housing = (np.ascontiguousarray(np.rot90(part)) for part in (rgb, alpha, housing))
    if (alpha.shape[1], alpha.shape[0]) != (width + 2 * _MARGIN_PX, height + 2 * _MARGIN_PX):
        raise ValueError(f"head sprite {alpha.shape}, expected {(height, width)} and margins of {_MARGIN_PX}")
    return Sprite(rgb, alpha, housing)


def _blank(width: int, height: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    shape = (height + 2 * _MARGIN_PX, width + 2 * _MARGIN_PX)
    return np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)


def _lit(colour: Colour, light: Colour, factor: float = 1.0) -> tuple[int, int, int]:
    red, green, blue = (min(255, int(c * part * factor)) for c, part in zip(colour, light, strict=True))
    return red, green, blue


def _rounded(image: NDArray[np.uint8], box: tuple[int, int, int, int], radius: int, colour: tuple[int, ...]) -> None:
    x1, y1, x2, y2 = box  # inclusive pixels
    cv2.rectangle(image, (x1 + radius, y1), (x2 - radius, y2), colour, -1)
    cv2.rectangle(image, (x1, y1 + radius), (x2, y2 - radius), colour, -1)
    for x in (x1 + radius, x2 - radius):
        for y in (y1 + radius, y2 - radius):
            cv2.circle(image, (x, y), radius, colour, -1, cv2.LINE_AA)


def _draw_front(
    model: HeadModel, state: State, light: Colour, length: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    rgb, alpha, housing = _blank(_WIDTH_PX, length)
    m = _MARGIN_PX
    box = (m, m, m + _WIDTH_PX - 1, m + length - 1)
    if model.has_backplate:
        plate = (1, 1, rgb.shape[1] - 2, rgb.shape[0] - 2)
        _rounded(alpha, plate, 10, (255,))
        _rounded(rgb, plate, 10, _lit((205, 205, 200), light))
        _rounded(rgb, (5, 5, rgb.shape[1] - 6, rgb.shape[0] - 6), 8, _lit((17, 17, 19), light))
    _rounded(alpha, box, 9, (255,))
    _rounded(housing, box, 9, (255,))
    _rounded(rgb, box, 9, _lit(model.housing, light, 0.8))
    _rounded(rgb, (box[0] + 3, box[1] + 3, box[2] - 3, box[3] - 3), 7, _lit(model.housing, light))
    lit = LIT_LENSES[state]
    for index, colour in enumerate(model.lens_colours):
        centre = (m + _WIDTH_PX / 2, m + _END_PX + (index + 0.5) * PITCH_PX)
        if index:
            seam = round(m + _END_PX + index * PITCH_PX)
            cv2.line(rgb, (box[0] + 2, seam), (box[2] - 2, seam), _lit(model.housing, light, 0.55), 1)
        _draw_lens(rgb, centre, model, colour, colour in lit, light)
    return rgb, alpha, housing


def _draw_lens(
    rgb: NDArray[np.uint8],
    centre: tuple[float, float],
    model: HeadModel,
    colour: str,
    is_lit: bool,
    light: Colour,
) -> None:
    """Draw one lens with its visor onto the sprite."""
    radius = _LENS_RADIUS_PX
    cx, cy = centre
    fixed = (round((cx - 0.5) * 16), round((cy - 0.5) * 16))
    # The visor: a hood around the upper half, its inside dark.
    cv2.ellipse(
        rgb,
        (int(cx), int(cy) - 2),
        (int(radius) + 4, int(radius) + 4),
        0,
        165,
        375,
        _lit(model.housing, light, 1.5),
        2,
        cv2.LINE_AA,
    )
    cv2.circle(rgb, fixed, round((radius + 2) * 16), _lit((10, 10, 11), light), -1, cv2.LINE_AA, 4)

    half = int(radius) + 2
    x1, y1 = int(cx) - half, int(cy) - half
    size = 2 * half + 1
    rows = np.arange(y1, y1 + size)[:, None] + 0.5 - cy
    columns = np.arange(x1, x1 + size)[None, :] + 0.5 - cx
    distance = np.sqrt(rows**2 + columns**2) / radius
    coverage = np.clip((1 - distance) * radius + 0.5, 0, 1)
    # Glass throws headlight back: by night a dark lens is brighter than its housing.
    dark = np.array(_DARK_LENS[colour]) * np.maximum(light, 0.55)
    # Unlit glass: shaded by the visor above, a sky reflection below the middle.
    shade = (
        0.55
        + 0.45 * np.clip((rows / radius + 0.9) / 1.2, 0, 1)
        + 0.5 * np.exp(-(((rows / radius - 0.45) / 0.3) ** 2) - ((columns / radius + 0.2) / 0.5) ** 2)
    )
    glass = dark * shade[..., None]
    symbol = draw_symbol(model.pictogram, colour, size, (half + cx - int(cx), half + cy - int(cy)), radius)
    if symbol is not None:
        glass = glass * (0.45 + 0.55 * symbol[..., None])
    if is_lit:
        rim, core = np.array(RIM[colour]), np.array(CORE[colour])
        glare = np.array(_GLARE[colour])
        mix = np.clip(1.05 - distance, 0, 1)[..., None] ** 0.8
        burning = rim * (1 - mix) + core * mix
        washed = (model.overexposure * np.exp(-((distance / 0.5) ** 2)))[..., None]
        burning = burning * (1 - washed) + glare * washed
        share = coverage[..., None] if symbol is None else (coverage * symbol)[..., None]
        glass = glass * (1 - share) + burning * share
        if symbol is not None:  # stray light on the glass around the symbol
            glass = glass + 0.1 * rim * (1 - symbol[..., None])
    target = rgb[y1 : y1 + size, x1 : x1 + size]
    blended = target * (1 - coverage[..., None]) + glass * coverage[..., None]
    target[...] = np.clip(blended, 0, 255).astype(np.uint8)


def _draw_back(
    model: HeadModel, light: Colour, length: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    rgb, alpha, housing = _blank(_WIDTH_PX, length)
    m = _MARGIN_PX
    box = (m, m, m + _WIDTH_PX - 1, m + length - 1)
    if model.has_backplate:
        plate = (1, 1, rgb.shape[1] - 2, rgb.shape[0] - 2)
        _rounded(alpha, plate, 10, (255,))
        _rounded(rgb, plate, 10, _lit((88, 90, 92), light))
    for image in (alpha, housing):
        _rounded(image, box, 9, (255,))
    _rounded(rgb, box, 9, _lit(model.housing, light, 0.9))
    for index in range(model.aspects):
        top = m + _END_PX + index * PITCH_PX
        cv2.rectangle(
            rgb, (m + 12, top + 10), (m + _WIDTH_PX - 13, top + PITCH_PX - 10), _lit(model.housing, light, 1.35), -1
        )
        cv2.line(rgb, (m + 2, top), (m + _WIDTH_PX - 3, top), _lit(model.housing, light, 0.5), 2)
    return rgb, alpha, housing


def _draw_side(
    model: HeadModel, light: Colour, length: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw the housing from the side, its visors pointing left; mirrored for a head that faces right."""
    rgb, alpha, housing = _blank(_SIDE_BODY_PX + _SIDE_VISOR_PX, length)
    m = _MARGIN_PX
    body = (m + _SIDE_VISOR_PX, m, m + _SIDE_VISOR_PX + _SIDE_BODY_PX - 1, m + length - 1)
    for image in (alpha, housing):
        _rounded(image, body, 8, (255,))
    _rounded(rgb, body, 8, _lit(model.housing, light, 0.85))
    cv2.line(rgb, (body[0] + 12, m + 4), (body[0] + 12, m + length - 5), _lit(model.housing, light, 0.5), 2)
    for index in range(model.aspects):
        top = m + _END_PX + index * PITCH_PX
        visor = np.array(
            [[body[0] + 1, top + 4], [m, top + 8], [m, top + 20], [body[0] + 1, top + PITCH_PX - 12]], np.int32
        )
        for image, colour in ((alpha, (255,)), (housing, (255,)), (rgb, _lit(model.housing, light, 1.25))):
            cv2.fillPoly(image, [visor], colour, cv2.LINE_AA)
    if model.facing == Facing.RIGHT:
        rgb, alpha, housing = (np.ascontiguousarray(part[:, ::-1]) for part in (rgb, alpha, housing))
    return rgb, alpha, housing
