"""The symbols of lenses: arrows and pedestrians, as coverage of the lens."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.taxonomy import Pictogram


def draw_symbol(
    pictogram: Pictogram, colour: str, size: int, centre_px: tuple[float, float], radius_px: float
) -> NDArray[np.float64] | None:
    """Draw the symbol of a lens as (size, size) coverage in [0, 1]; None for a full lens.

    Args:
        pictogram: The symbol.
        colour: Colour of the lens; a pedestrian stands in red and walks in green.
        size: Width and height of the result in pixels.
        centre_px: Centre of the lens in it.
        radius_px: Radius of the lens.

    Raises:
        ValueError: The pictogram has no drawing.
    """
    if pictogram == Pictogram.CIRCLE:
        return None
    mask = np.zeros((size, size), np.uint8)
    for polygon in _symbol_polygons(pictogram, colour):
        points = np.rint((polygon * radius_px + np.array(centre_px) - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(mask, [points], (255,), cv2.LINE_AA, 4)
    return mask / 255.0


_UP_ARROW = (
    (-0.15, 0.74),
    (0.15, 0.74),
    (0.15, -0.1),
    (0.5, 0.2),
    (0.62, -0.02),
    (0, -0.76),
    (-0.62, -0.02),
    (-0.5, 0.2),
    (-0.15, -0.1),
)


def _disc(x: float, y: float, radius: float) -> NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def _turn(points: tuple[tuple[float, float], ...], degrees: float) -> NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(points) @ np.array([[c, s], [-s, c]])


def _symbol_polygons(pictogram: Pictogram, colour: str) -> list[NDArray[np.float64]]:
    """Give the polygons of a symbol in units of the lens radius, y down."""
    arrows = {
        Pictogram.ARROW_STRAIGHT: [_turn(_UP_ARROW, 0)],
        Pictogram.ARROW_LEFT: [_turn(_UP_ARROW, -90)],
        Pictogram.ARROW_RIGHT: [_turn(_UP_ARROW, 90)],
        Pictogram.ARROW_STRAIGHT_LEFT: [_turn(_UP_ARROW, 0), _turn(_UP_ARROW, -90) * 0.8],
        Pictogram.ARROW_STRAIGHT_RIGHT: [_turn(_UP_ARROW, 0), _turn(_UP_ARROW, 90) * 0.8],
    }
    if pictogram in arrows:
        return arrows[pictogram]
    if pictogram != Pictogram.PEDESTRIAN:
        raise ValueError(f"pictogram {pictogram} has no drawing")
    head = _disc(0, -0.62, 0.19)
    if colour == "red":  # standing
        body = (
            (-0.34, -0.38),
            (0.34, -0.38),
            (0.34, 0.2),
            (0.2, 0.2),
            (0.2, 0.85),
            (-0.2, 0.85),
            (-0.2, 0.2),
            (-0.34, 0.2),
        )
        return [head, np.asarray(body)]
    torso = (
        (-0.16, -0.38),
        (0.2, -0.38),
        (0.48, 0.02),
        (0.36, 0.1),
        (0.16, -0.14),
        (0.14, 0.2),
        (-0.16, 0.2),
        (-0.16, -0.1),
        (-0.4, 0.1),
        (-0.48, 0.0),
    )
    front_leg = ((-0.06, 0.12), (0.16, 0.12), (0.46, 0.84), (0.2, 0.84))
    back_leg = ((-0.16, 0.12), (0.1, 0.12), (-0.22, 0.86), (-0.48, 0.8))
    return [head, np.asarray(torso), np.asarray(front_leg), np.asarray(back_leg)]
