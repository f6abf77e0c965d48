"""A wet road: darker, and a blurred mirror of what stands above it, above all of its lamps.

Water in the pores of asphalt sends light back into it: albedo falls by a third to a half (Lekner and Dorf, Applied
Optics 27, 1988). The film on top mirrors by Fresnel's law, in Schlick's form 0.02 + 0.98 (1 - sin a)^5 for a grazing
angle a: most far ahead, little before the bonnet. Grains of stone tilt the film by some degrees; along the line of
sight that moves the mirror image most, so that a lamp becomes a long upright streak.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.airlight import Colour, airlight, daylight
from tl_datasets.effects.camera_view import CameraView, paint_views, strips
from tl_datasets.effects.depth import CAMERA_HEIGHT_M
from tl_datasets.effects.glow import over_bound
from tl_datasets.effects.ground import Ground, ground_of
from tl_datasets.effects.lit_lenses import LitLens, lit_lenses
from tl_datasets.effects.road import REDUCTION, Floats
from tl_datasets.effects.scene import Effect, Scene, at
from tl_datasets.effects.texture import SIZE_PX, sample_noise, tileable_noise
from tl_datasets.effects.veil import mixed
from tl_datasets.taxonomy import Weather

# Share of the road that is covered with water, and of its albedo that is lost there.
FILM = (0.3, 0.45, 0.6, 0.78, 0.95)
ALBEDO_LOSS = (0.12, 0.2, 0.28, 0.36, 0.42)
# What stands at the roadside stands so far away: its mirror image begins below its foot.
_MIRRORED_M = 30.0
# Light of a lamp beyond what the sensor shows of it: a clipped lamp is this many times as bright, by day and by night.
_LAMP_GAIN = (3.0, 12.0)
# Light at which the mirror image has reached 63 % of white.
_WHITE = 280.0
# Brightness from which on something counts as a lamp, by night and by day.
_LAMP_LUMA = (170.0, 235.0)
# Upright blur of the mirror image, as a share of the rows between the horizon and the lower edge.
_BLUR = 0.22
# Metres of a patch of water, across and along the road.
_PATCH_M = (0.7, 2.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wetness:
    """What water on the road does to the rows from `top_px` down, at one part in REDUCTION.

    Attributes:
        top_px: First row of the view.
        kept: (h, w) share of the light of the road that is left.
        mirrored: (h, w, 3) light that is added, in grey levels.
    """

    top_px: int
    kept: Floats
    mirrored: Floats


def apply(scene: Scene, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The scene on a wet road.

    Args:
        scene: The image, its signal heads and views.
        severity: In [1, 5]; 30, 45, 60, 78, 95 % of the road are under a film of water.
        rng: Decides where the patches of water lie.

    Returns:
        (H, W, 3) uint8 RGB; what lies above the horizon or in no view is as it was.

    Raises:
        ValueError: The severity is outside 1 to 5.
    """
    at(FILM, severity)
    return paint_views(scene, lambda view: _wetted(view, severity, rng))


def _wetted(view: CameraView, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    lenses = lit_lenses(view)
    change = wetness(view, severity, airlight(view), lenses, rng)
    painted = view.image.copy()
    if change is not None:
        part = painted[change.top_px :]
        size = (part.shape[1], part.shape[0])
        factor = cv2.resize(cv2.convertScaleAbs(change.kept, alpha=255), size, interpolation=cv2.INTER_LINEAR)
        light = cv2.resize(cv2.convertScaleAbs(change.mirrored), size, interpolation=cv2.INTER_LINEAR)
        for strip in strips(size[1]):
            share = cv2.cvtColor(factor[strip], cv2.COLOR_GRAY2RGB)
            cv2.multiply(part[strip], share, dst=share, scale=1 / 255)
            cv2.add(light[strip], share, dst=part[strip])
        for lens in lenses:
            # A lamp below the horizon stands before the road.
            painted[lens.pixels] = mixed(painted[lens.pixels], view.image[lens.pixels], lens.share[..., None])
    return painted


def wetness(
    view: CameraView, severity: float, air: Colour, lenses: Iterable[LitLens], rng: np.random.Generator
) -> Wetness | None:
    """What water on the road of one view changes; None where the view shows no ground.

    Args:
        view: The frame.
        severity: In [1, 5].
        air: (3,) colour of its air.
        lenses: Its lit lenses: each has a mirror image.
        rng: Decides where the patches of water lie.
    """
    ground = ground_of(view)
    if ground is None:
        return None
    water = ground.road * _film(ground, at(FILM, severity), rng)
    sine = ground.below_px / np.hypot(ground.below_px, np.float32(view.focal_px))
    fresnel = np.float32(0.02) + np.float32(0.98) * (1 - sine) ** 5
    mirror = water * fresnel
    kept = 1 - np.float32(at(ALBEDO_LOSS, severity)) * np.maximum(water, np.float32(0.6) * ground.road)
    # What is mirrored does not enter the road.
    kept *= 1 - np.float32(0.5) * mirror
    mirrored = _mirror_image(view, ground, daylight(air), lenses, rng) * mirror[..., None]
    return Wetness(top_px=ground.top_px, kept=kept, mirrored=np.asarray(mirrored, np.float32))


def _film(ground: Ground, share: float, rng: np.random.Generator) -> Floats:
    """(h, w) how much of each pixel lies under water: patches, which melt into their mean in the distance."""
    offset = rng.uniform(0, SIZE_PX, 2).astype(np.float32)
    cells = 32
    per_patch = np.float32(SIZE_PX / cells)
    x = offset[0] + ground.right_m * (per_patch / np.float32(_PATCH_M[0]))
    y = offset[1] + np.broadcast_to(ground.ahead_m, x.shape) * (per_patch / np.float32(_PATCH_M[1]))
    noise = sample_noise(tileable_noise(cells), x, np.ascontiguousarray(y))
    # A pixel that covers more than a patch sees their mean.
    sharpness = np.clip(12 / ground.ahead_m, 0, 1)
    edge = share - 0.5
    return np.clip(0.5 + 0.7 * edge + 0.22 * noise * sharpness, 0.3 * share, 1).astype(np.float32)


def _mirror_image(
    view: CameraView, ground: Ground, day: float, lenses: Iterable[LitLens], rng: np.random.Generator
) -> Floats:
    """(h, w, 3) what the road would show if it were a mirror with ripples, 0 to 255."""
    small = view.reduced(REDUCTION)
    lamp_luma = _LAMP_LUMA[0] + day * (_LAMP_LUMA[1] - _LAMP_LUMA[0])
    gain = _LAMP_GAIN[1] + day * (_LAMP_GAIN[0] - _LAMP_GAIN[1])
    # By day the brightest is the sky, which is no lamp.
    over = over_bound(small, lamp_luma).astype(np.float32)[..., None]
    light = small * (1 + over * np.float32(gain * (1 - day) / 255))
    for lens in lenses:
        x, y = int(lens.x_px / REDUCTION), int(lens.y_px / REDUCTION)
        radius = lens.radius_px / REDUCTION
        side = max(1, round(2 * radius))
        part = light[max(0, y - side // 2) : y - side // 2 + side, max(0, x - side // 2) : x - side // 2 + side]
        part += np.float32(gain * min(1.0, (2 * radius / side) ** 2)) * lens.colour
    # Upright, the image is blurred over many rows: half of them are enough.
    right_m, ahead_m, below_px = ground.right_m[::2], ground.ahead_m[::2], ground.below_px[::2]
    height, width = right_m.shape
    shift = np.float32(2 * CAMERA_HEIGHT_M * view.focal_px / _MIRRORED_M)
    rise = np.maximum(below_px - shift, 0.25 * below_px)
    source_row = (np.float32(view.horizon_px) - rise) / REDUCTION - 0.5
    rows = np.broadcast_to(source_row, (height, width)).astype(np.float32)
    ripple = sample_noise(
        tileable_noise(64, 1),
        np.float32(rng.uniform(0, SIZE_PX)) + right_m * 20,
        np.ascontiguousarray(np.broadcast_to(rng.uniform(0, SIZE_PX) + ahead_m * 8, rows.shape), np.float32),
    )
    columns = np.broadcast_to(np.arange(width, dtype=np.float32)[None], rows.shape) * (small.shape[1] / width)
    columns = columns + ripple * np.clip(4 / ahead_m, 0, 1)
    mirrored = cv2.remap(light, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    length = 2 * max(1, round(_BLUR * height / 2)) + 1
    mirrored = cv2.blur(cv2.blur(mirrored, (1, length)), (3, length))
    # The sensor clips softly: a lamp's streak keeps its colour.
    clipped = 255 * (1 - np.exp(-mirrored / np.float32(_WHITE)))
    grown = cv2.resize(clipped, ground.road.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(grown, np.float32)


# Snow hides the road that would mirror.
WET_ROAD = Effect(apply=apply, not_in_weather=frozenset({Weather.SNOWY}))
