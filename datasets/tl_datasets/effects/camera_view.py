"""`CameraView`: one frame inside an image, as the weather effects see it, and `paint_views`, which paints each in turn.

A mosaic holds four frames with four horizons; each gets weather of its own, and padding gets none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.scene import Scene
from tl_datasets.taxonomy import State

# A rectangle narrower than this shows nothing that weather could be seen on.
_SMALLEST_PX = 4
# Rows that are painted at a time: what lies in between stays in the processor's cache, and no memory is claimed for it.
STRIP_ROWS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraView:
    """A frame, or the part of it that is in sight. Coordinates are pixels of `image`.

    Attributes:
        image: (H, W, 3) uint8 RGB; may be a part of a larger array.
        lights_xyxy: (N, 4) boxes of its signal heads; may reach out of the image.
        horizon_px: Row of the horizon; may lie outside of the image.
        focal_px: Focal length.
        lights_state: What each head is labelled to show; None = nobody knows; empty = nobody knows of any.
    """

    image: NDArray[np.uint8]
    lights_xyxy: NDArray[np.float64]
    horizon_px: float
    focal_px: float
    lights_state: tuple[State | None, ...] = ()

    @property
    def lights_dark(self) -> NDArray[np.bool_]:
        """(N,) true for the heads that are labelled to show nothing."""
        states = self.lights_state or (None,) * len(self.lights_xyxy)
        return np.array([state is State.OFF for state in states], dtype=bool)

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.image.shape[0]

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.image.shape[1]

    def reduced(self, factor: int) -> NDArray[np.uint8]:
        """The image at one part in `factor`, a power of two, of its size in both directions; at least one pixel."""
        image, step = self.image, 2
        # Halving is several times as fast as one large step, with the same mean.
        while step <= factor:
            image = np.asarray(cv2.resize(image, self.reduced_size(step), interpolation=cv2.INTER_AREA), np.uint8)
            step *= 2
        return image

    def reduced_size(self, factor: int) -> tuple[int, int]:
        """(width, height) of the image at one part in `factor` of its size."""
        return max(1, round(self.width / factor)), max(1, round(self.height / factor))


def paint_views(scene: Scene, paint: Callable[[CameraView], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """A new image: every view painted over, what lies in no view as it was.

    Args:
        scene: The image with its views; they are cut to the image.
        paint: Gives the new pixels of a view, of the same size; called in the order of the views.
    """
    height, width = scene.image.shape[:2]
    painted = None
    for view in scene.views:
        x1, y1, x2, y2 = max(view.x1, 0), max(view.y1, 0), min(view.x2, width), min(view.y2, height)
        if x2 - x1 < _SMALLEST_PX or y2 - y1 < _SMALLEST_PX:
            continue
        lights = np.asarray(scene.lights_xyxy, np.float64).reshape(-1, 4)
        inside = (lights[:, 0] < x2) & (lights[:, 2] > x1) & (lights[:, 1] < y2) & (lights[:, 3] > y1)
        sight = CameraView(
            image=scene.image[y1:y2, x1:x2],
            lights_xyxy=lights[inside] - (x1, y1, x1, y1),
            lights_state=tuple(state for state, seen in zip(scene.lights_state, inside, strict=True) if seen),
            horizon_px=view.horizon_px - y1,
            focal_px=view.focal_px,
        )
        new = paint(sight)
        if new.shape == scene.image.shape and len(scene.views) == 1:
            return new
        if painted is None:
            painted = scene.image.copy()
        painted[y1:y2, x1:x2] = new
    return scene.image.copy() if painted is None else painted


def strips(height: int) -> list[slice]:
    """Rows 0 to height in strips of STRIP_ROWS, the last one shorter."""
    return [slice(row, min(row + STRIP_ROWS, height)) for row in range(0, height, STRIP_ROWS)]
