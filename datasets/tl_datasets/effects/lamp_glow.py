"""The glow around bright lamps on a clear night: light scattered in lens, windscreen and sensor.

The spread is a sum of bell curves, each twice as wide as the last, which together fall about as the square of the
distance; that is the form of veiling glare (Vos, CIE 146:2002, for the eye; Talvala et al., SIGGRAPH 2007, for camera
lenses). It is computed on a small canvas whose size follows the focal length, so that the glow of a light has the same
size in degrees whatever the resolution.

What it does not do: the halo of fog, which grows with the distance of the lamp (see tl_datasets/effects/fog.py).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.camera_view import CameraView
from tl_datasets.effects.lit_lamps import LitLamp

# Pixels of the canvas per focal length: 4 px of a frame of 1280.
_CANVAS_PER_FOCAL = 320.0
# Share of the scattered light in each bell curve; standard deviations of about 5, 11, 22, 45 and 90 px at 1280.
_SHARES = (0.44, 0.26, 0.15, 0.09, 0.06)


def canvas_shape(view: CameraView) -> tuple[int, int]:
    """(height, width) of the canvas of a view."""
    scale = min(1.0, _CANVAS_PER_FOCAL / max(view.focal_px, 1.0))
    return max(1, round(view.height * scale)), max(1, round(view.width * scale))


def lamp_sources(view: CameraView, lamps: list[LitLamp], radiances: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(h, w, 3) light of the lamps on the canvas of a view, each in its own colour.

    Args:
        view: The frame.
        lamps: Lit lamps in it.
        radiances: (h, w) light of the pixels of each lamp, 1 = white.
    """
    height, width = canvas_shape(view)
    sources = np.zeros((height, width, 3), np.float32)
    scale_y, scale_x = height / view.height, width / view.width
    for lamp, radiance in zip(lamps, radiances, strict=True):
        rows, columns = lamp.rows_cols
        y = ((np.arange(rows.start, rows.stop) + 0.5) * scale_y).astype(np.intp)
        x = ((np.arange(columns.start, columns.stop) + 0.5) * scale_x).astype(np.intp)
        light = (lamp.weight * radiance * (scale_y * scale_x))[..., None] * lamp.colour
        np.add.at(sources, (y[:, None], x[None, :]), light)
    return sources


def spread(sources: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w, 3) glow of sources on a canvas; all the light of the sources, but for edges."""
    levels = [cv2.GaussianBlur(sources, (5, 5), 1.1, borderType=cv2.BORDER_CONSTANT)]
    while len(levels) < len(_SHARES) and min(levels[-1].shape[:2]) >= 4:
        levels.append(cv2.pyrDown(levels[-1]))
    glow = levels[-1] * _SHARES[len(levels) - 1]
    for level, share in zip(levels[-2::-1], _SHARES[len(levels) - 2 :: -1], strict=True):
        size = (level.shape[1], level.shape[0])
        glow = cv2.resize(glow, size, interpolation=cv2.INTER_LINEAR) + level * share
    return glow  # type: ignore[return-value]
