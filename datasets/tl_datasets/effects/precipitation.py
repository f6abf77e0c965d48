"""Drops and flakes in the air before a camera: where each is when the shutter opens, and where when it closes.

Particles are drawn in space, not on the image: the near ones are few, long and wide, the far ones many, short and thin,
and driving makes them stream away from the point that the car drives to. Density and size are the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.camera_view import CameraView
from tl_datasets.effects.lit_lenses import LitLens
from tl_datasets.effects.veil import CELL_PX

Floats = NDArray[np.float64]

# Fixed-point bits of the coordinates that lines are drawn with.
_SHIFT = 4
_LEVELS = 6
_WIDEST_PX = 15
# Opacity in bytes below which a trace cannot be seen.
_FAINTEST = 4.0
# A view never shows more than one particle for so many pixels: more could not be told apart, and would take time.
_PIXELS_PER_PARTICLE = 260


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """How particles move against the camera while the shutter is open.

    Attributes:
        exposure_s: How long it is open.
        wind_m_s: Speed to the right.
        drive_m_s: Speed of the camera.
        turbulence_m_s: Standard deviation of the speed to either side, and up and down.
    """

    exposure_s: float
    wind_m_s: float
    drive_m_s: float
    turbulence_m_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What the particles leave on the image, n of them.

    Attributes:
        ends_px: (n, 2, 2) both ends, (x, y) in pixels of the view.
        length_px: (n,) distance between them.
        width_px: (n,) width of the particle; below 1 it covers a part of a pixel.
    """

    ends_px: Floats
    length_px: Floats
    width_px: Floats


def traces(
    view: CameraView, size_mm: Floats, distance_m: Floats, fall_m_s: Floats, flight: Flight, rng: np.random.Generator
) -> Traces:
    """Traces of particles of given size, distance and speed of fall, evenly spread over the view."""
    n = len(size_mm)
    margin = 0.06
    x = rng.uniform(-margin, 1 + margin, n) * view.width
    y = rng.uniform(-margin, 1 + margin, n) * view.height
    px_per_m = view.focal_px / distance_m
    gust = rng.normal(0, flight.turbulence_m_s, (2, n))
    # The way that the camera drives while the shutter is open, as a share of the distance.
    nearer = np.minimum(flight.drive_m_s * flight.exposure_s / distance_m, 0.5)
    dx = px_per_m * (flight.wind_m_s + gust[0]) * flight.exposure_s + (x - view.width / 2) * nearer
    dy = px_per_m * (fall_m_s + gust[1]) * flight.exposure_s + (y - view.horizon_px) * nearer
    start = np.stack([x - dx / 2, y - dy / 2], axis=1)
    end = np.stack([x + dx / 2, y + dy / 2], axis=1)
    width = px_per_m * size_mm / 1000
    return Traces(ends_px=np.stack([start, end], axis=1), length_px=np.hypot(dx, dy), width_px=width)


def most(view: CameraView, expected: float) -> int:
    """How many particles are drawn: the expected number while the view is empty, in the end as many as it can show."""
    room = view.width * view.height / _PIXELS_PER_PARTICLE
    return int(np.ceil(room * (1 - np.exp(-expected / room))))


def drawn(view: CameraView, found: Traces, opacity: Floats, reduction: int = 1) -> NDArray[np.uint8]:
    """(H / reduction, W / reduction) uint8 layer of all traces, 255 = opaque; where they cross, the more opaque counts.

    Args:
        view: Its size counts.
        found: The traces.
        opacity: (n,) in 0 to 1 where the trace covers pixels wholly; thinner ones cover less.
        reduction: Traces that are blurred afterwards can be drawn smaller.
    """
    width, height = view.reduced_size(reduction)
    layer = np.zeros((height, width), np.uint8)
    value = 255 * np.clip(opacity, 0, 1) * np.minimum(found.width_px, 1)
    seen = value >= _FAINTEST
    if not seen.any():
        return layer
    value, points = value[seen], np.round(found.ends_px[seen] * (2**_SHIFT / reduction)).astype(np.int32)
    thickness = np.clip(np.round(found.width_px[seen] / reduction), 1, _WIDEST_PX).astype(np.intp)
    bounds = np.quantile(value, np.linspace(0, 1, _LEVELS + 1)[1:-1])
    level = np.searchsorted(bounds, value)
    for step in range(_LEVELS):
        of_level = level == step
        for wide in np.unique(thickness[of_level]):
            chosen = of_level & (thickness == wide)
            grey = float(np.round(value[chosen].mean()))
            cv2.polylines(layer, list(points[chosen]), False, grey, int(wide), cv2.LINE_AA, _SHIFT)
    return layer


def thinned_over_lenses(layer: NDArray[np.uint8], lenses: Iterable[LitLens], share: float) -> None:
    """Keep only a share of a layer over lit lenses, in place: their light outshines particles before them."""
    for lens in lenses:
        part = layer[lens.pixels]
        part[:] = np.round(part * (1 - (1 - share) * lens.share))


def light_around(view: CameraView, colour: NDArray[np.float64], share: float, gain: float) -> NDArray[np.uint8]:
    """(rows, columns, 3) light of `veil.Particles`: the air's colour, and what is bright near them.

    Args:
        view: The frame.
        colour: (3,) colour of its air.
        share: Of the air; the rest is the blurred frame.
        gain: Factor on both.
    """
    size = (-(-view.width // CELL_PX), -(-view.height // CELL_PX))
    small = cv2.blur(cv2.resize(view.image, size, interpolation=cv2.INTER_LINEAR), (7, 7))
    mixed = np.float32(gain * (1 - share)) * small + (gain * share * colour).astype(np.float32)
    return np.clip(mixed, 0, 255).astype(np.uint8)
