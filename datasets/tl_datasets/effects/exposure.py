"""Over- and under-exposure by stops, in linear light.

Every surface gets its light times 2 to the power of the stops, and what passes white is clipped, as a sensor does. A
lit lamp is brighter than white already: its core is clipped, and the excess is scattered around it. So the light of the
lit pixels in signal heads is restored to `HEADROOM` times white first. Under-exposure then gives the core its colour
back; over-exposure turns it white, in steps that keep the hue, and the scattered light of the lamp's own colour makes
a rim and a halo.

What it does not do: the tone curve of a particular camera, or the local tone mapping of phones.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.camera_view import CameraView, paint_views
from tl_datasets.effects.lamp_glow import lamp_sources, spread
from tl_datasets.effects.linear_light import WHITE, to_bytes, to_linear
from tl_datasets.effects.lit_lamps import clip_to_white, find_lit, with_headroom
from tl_datasets.effects.scene import Effect, Scene, at

# Exposure error up or down, in stops. Automatic exposure leaving a tunnel is wrong by two to three for some frames.
STOPS = (0.4, 0.8, 1.2, 1.7, 2.3)
# How often white the light of a clipped lamp is thought to be.
HEADROOM = 4.0
# Scattered light, as a share of the light that passes white.
SCATTER = 0.25


def apply(scene: Scene, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Expose the frames of a scene too long or too short.

    Args:
        scene: The image, its lights and its views; padding stays as it is.
        severity: 1 to 5 = 0.4 to 2.3 stops.
        rng: Decides between too long and too short.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: The severity is outside 1 to 5.
    """
    stops = at(STOPS, severity) * (1 if rng.random() < 0.5 else -1)
    return paint_views(scene, lambda view: expose(view, stops))


def expose(view: CameraView, stops: float) -> NDArray[np.uint8]:
    """Expose a frame by stops more (or less, below 0).

    Args:
        view: The frame and its lights.
        stops: Change of the exposure.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    gain = 2.0**stops
    lamps = find_lit(view.image, view.lights_xyxy, view.lights_state)
    if not lamps:
        return to_bytes(to_linear(view.image, gain))
    exposed = to_linear(view.image, gain)
    excesses = []
    for lamp in lamps:
        light = gain * with_headroom(lamp, view.image, HEADROOM)
        strongest = light.max(axis=-1)
        excesses.append(np.maximum(strongest - 1, 0))
        mixed = clip_to_white(light)
        share = lamp.weight[..., None]
        exposed[lamp.rows_cols] = exposed[lamp.rows_cols] * (1 - share) + WHITE * mixed * share
    if gain > 1:
        glow = SCATTER * spread(lamp_sources(view, lamps, excesses))
        size = (view.width, view.height)
        wide = cv2.resize(np.minimum(glow * WHITE, WHITE).astype(np.uint16), size, interpolation=cv2.INTER_LINEAR)
        exposed = cv2.add(exposed, wide)
    return to_bytes(exposed)  # type: ignore[arg-type]


EXPOSURE = Effect(apply=apply)
