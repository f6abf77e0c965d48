"""Drawn street scenes with signal heads, for the tests of the weather effects."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tl_datasets.effects.scene import Scene, View

LIT = {"red": (235, 45, 40), "yellow": (240, 190, 40), "green": (40, 220, 150)}
PLACES = {"red": 0, "yellow": 1, "green": 2}
HORIZON = 0.45


class Drawn:
    """Functions that draw scenes."""

    @staticmethod
    def street(width: int = 640, height: int = 360, sky: int = 200, road: int = 80) -> np.ndarray:
        """Sky above the horizon, walls at the sides and grey road below, with a little noise."""
        image = np.full((height, width, 3), road, np.uint8)
        horizon = round(HORIZON * height)
        image[:horizon] = sky
        image[horizon // 2 : horizon, : width // 5] = min(road + 20, 255)
        image[horizon // 2 : horizon, -width // 5 :] = min(road + 20, 255)
        noise = np.random.default_rng(0).integers(0, 6, image.shape, dtype=np.uint8)
        return cv2.add(image, noise)

    @staticmethod
    def head(image: np.ndarray, x: int, y: int, lens_px: int, colour: str) -> tuple[float, float, float, float]:
        """Draw an upright head with one lit lens; its box."""
        cv2.rectangle(image, (x, y), (x + lens_px - 1, y + 3 * lens_px - 1), (24, 26, 25), -1)
        for cell, name in enumerate(PLACES):
            shown = LIT[colour] if name == colour else (38, 40, 38)
            centre = (x + lens_px // 2, y + cell * lens_px + lens_px // 2)
            cv2.circle(image, centre, round(0.38 * lens_px), shown, -1, cv2.LINE_AA)
        return (float(x), float(y), float(x + lens_px), float(y + 3 * lens_px))

    @staticmethod
    def lit_street(sky: int = 200, road: int = 80) -> tuple[Scene, list[str]]:
        """A street of 640 x 360 with six heads of 24 and 45 px, and what they show."""
        image = Drawn.street(sky=sky, road=road)
        boxes, states = [], []
        for row, lens_px in enumerate((8, 15)):
            for column, colour in enumerate(PLACES):
                boxes.append(Drawn.head(image, 160 + 120 * column + 40 * row, 40 + 50 * row, lens_px, colour))
                states.append(colour)
        return Scene.of_frame(image, np.array(boxes)), states

    @staticmethod
    def mosaic() -> Scene:
        """Four frames of different horizons with a border of padding between and around them."""
        image = np.full((400, 500, 3), 114, np.uint8)
        places = ((10, 10, 240, 190), (250, 10, 491, 183), (10, 200, 233, 390), (250, 193, 490, 391))
        views = []
        for number, (x1, y1, x2, y2) in enumerate(places):
            image[y1:y2, x1:x2] = Drawn.street(x2 - x1, y2 - y1)
            horizon_px = y1 + (0.2 + 0.2 * number) * (y2 - y1)
            views.append(View(x1=x1, y1=y1, x2=x2, y2=y2, horizon_px=horizon_px, focal_px=float(x2 - x1)))
        return Scene(image=image, views=tuple(views))

    @staticmethod
    def outside(scene: Scene) -> np.ndarray:
        """(H, W) true where no view is."""
        free = np.ones(scene.image.shape[:2], bool)
        for view in scene.views:
            free[view.y1 : view.y2, view.x1 : view.x2] = False
        return free


@pytest.fixture
def drawn() -> type[Drawn]:
    """Functions that draw scenes."""
    return Drawn
