"""The light of lit lenses behind a veil: never duller than what is around them, as bright as they were where they clip.

200 cd from a 200 mm lens (EN 12368) are 6,000 cd/m2, where foggy air by day has 1,000 to 3,000: a lens is brighter
than any veil before it, even if a camera has shown it dull before a dark wall. What its pixels have beyond the dark
around is multiplied, by one factor for a head, in the colour of the lens, so that it keeps its hue.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.camera_view import CameraView
from tl_datasets.effects.lit_lenses import LitLens

# The strongest channel of a lens exceeds what is around by this share of what it has beyond its dark surroundings.
_LEAST_STEP = 0.7
_MOST_GAIN = 6.0


def relight(
    painted: NDArray[np.uint8],
    around: NDArray[np.float64],
    view: CameraView,
    lenses: Iterable[LitLens],
    beta_per_m: float,
    clipped_gain: float = 1.0,
) -> None:
    """Give lit lenses the light that a veil would hide, in place.

    Args:
        painted: (H, W, 3) uint8 RGB, the frame with its veil, in which lenses have that of their own distance.
        around: (3,) colour of the brightest veil.
        view: The frame before.
        lenses: Its lit lenses.
        beta_per_m: Extinction of the air.
        clipped_gain: Light of a lens as a multiple of what the frame shows of it: lost light is replaced up to that.
    """
    heads: dict[int, list[LitLens]] = {}
    for lens in lenses:
        heads.setdefault(lens.head, []).append(lens)
    for of_head in heads.values():
        through = float(np.exp(-beta_per_m * of_head[0].distance_m))
        brightest = max(of_head, key=lambda lens: float(lens.peak.max()))
        air = around * (1 - through)
        channel = int((brightest.peak - brightest.dark).argmax())
        excess = max(float(brightest.peak[channel] - brightest.dark[channel]), 1.0)
        shown = float(brightest.peak[channel]) * through + air[channel]
        missing = around[channel] + _LEAST_STEP * excess * np.sqrt(through) - shown
        gain = max(min(clipped_gain, 1 / max(through, 1e-3)), 1 + missing / (excess * max(through, 1e-3)))
        # The strongest channel alone may clip: it would lose its hue if the others did.
        peak = np.max([lens.peak for lens in of_head], axis=0)
        room = float((255 - air[channel]) / max(float(peak[channel]) * through, 1e-3))
        gain = min(gain, room, _MOST_GAIN / max(through, 0.05) if clipped_gain > 1 else _MOST_GAIN)
        if gain <= 1:
            continue
        for lens in of_head:
            # What the sensor has clipped was more coloured than the white that it shows.
            excess_px = np.maximum(view.image[lens.pixels][..., channel] - lens.dark[channel], 0)
            light = ((gain - 1) * through * excess_px * lens.share)[..., None] * (lens.colour / 255)
            part = painted[lens.pixels]
            part[:] = np.clip(np.rint(part + light), 0, 255)
