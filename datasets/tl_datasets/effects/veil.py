"""What a veil of droplets or flakes does to an image, strip by strip, so that no memory is claimed on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.airlight import Colour
from tl_datasets.effects.camera_view import STRIP_ROWS, CameraView, strips
from tl_datasets.effects.lit_lenses import LitLens

Floats = NDArray[np.float32]

# Side of the cells that the light of particles is given in.
CELL_PX = 16


def veiled(
    image: NDArray[np.uint8], transmission: NDArray[np.uint8], air: Colour, light: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Koschmieder's law: image * t + air * (1 - t), and light that is added.

    Args:
        image: (H, W, 3) uint8 RGB.
        transmission: (H, W) uint8, 255 = all light comes through.
        air: (3,) colour of the air.
        light: (h, w, 3) uint8 of any size, spread over the image and added.
    """
    height, width = transmission.shape
    painted = np.asarray(cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    far = np.empty((STRIP_ROWS, width, 3), np.uint8)
    far[:] = np.round(air).astype(np.uint8)
    for strip in strips(height):
        share = cv2.cvtColor(transmission[strip], cv2.COLOR_GRAY2RGB)
        part = painted[strip]
        cv2.add(part, cv2.multiply(image[strip], share, scale=1 / 255), dst=part)
        cv2.bitwise_not(share, dst=share)
        cv2.multiply(share, far[: len(share)], dst=share, scale=1 / 255)
        cv2.add(part, share, dst=part)
    return painted


def light_of_air(through: Floats, air: Colour) -> NDArray[np.uint8]:
    """(h, w, 3) uint8 air * (1 - t) for a transmission (h, w) in 0 to 1."""
    opaque = cv2.cvtColor(cv2.convertScaleAbs(through, alpha=-255, beta=255), cv2.COLOR_GRAY2RGB)
    share = np.arange(256)[:, None] / 255
    return np.asarray(cv2.LUT(opaque, np.round(share * air).astype(np.uint8).reshape(1, 256, 3)), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Particles:
    """Drops or flakes in front of everything.

    Attributes:
        opacity: (H, W) uint8.
        light: (rows, columns, 3) uint8, what they shine with, one value for CELL_PX by CELL_PX pixels.
    """

    opacity: NDArray[np.uint8]
    light: NDArray[np.uint8]


def changed(
    view: CameraView,
    kept: Floats,
    added: NDArray[np.uint8],
    lenses: Sequence[LitLens],
    beta_per_m: float,
    air: Colour,
    particles: Particles,
) -> NDArray[np.uint8]:
    """The frame times `kept` plus `added`, then particles. Lit lenses get the veil of their own distance alone.

    Args:
        view: The frame.
        kept: (h, w) share of its light that is left, 0 to 1; spread over the frame.
        added: (h, w, 3) light that is added, spread over the frame.
        lenses: The lit lenses.
        beta_per_m: Extinction of the air before them.
        air: (3,) colour of it.
        particles: What is before all of it.
    """
    size = (view.width, view.height)
    factor = cv2.convertScaleAbs(kept, alpha=255)
    factor = np.asarray(cv2.resize(factor, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    painted = np.asarray(cv2.resize(added, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    # Particles are as bright as the veil or brighter: they add the difference, and hide what is behind.
    spread = cv2.resize(particles.light, added.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    beyond = cv2.copyMakeBorder(cv2.subtract(spread, added), 1, 1, 0, 0, cv2.BORDER_REPLICATE)
    for lens in lenses:
        through = float(np.exp(-beta_per_m * lens.distance_m))
        factor[lens.pixels] = mixed(factor[lens.pixels], 255 * through, lens.share)
        painted[lens.pixels] = mixed(painted[lens.pixels], air * (1 - through), lens.share[..., None])
    buffers = np.empty((2, STRIP_ROWS, view.width, 3), np.uint8)
    grown = np.empty((STRIP_ROWS + 4, view.width, 3), np.uint8)
    left = np.empty((STRIP_ROWS, view.width), np.uint8)
    for strip in strips(view.height):
        part, opacity = painted[strip], particles.opacity[strip]
        n_rows = len(part)
        share, hidden, free = buffers[0, :n_rows], buffers[1, :n_rows], left[:n_rows]
        cv2.bitwise_not(opacity, dst=free)
        cv2.multiply(factor[strip], free, dst=free, scale=1 / 255)
        cv2.cvtColor(free, cv2.COLOR_GRAY2RGB, dst=share)
        cv2.multiply(view.image[strip], share, dst=share, scale=1 / 255)
        cv2.add(part, share, dst=part)
        rows = beyond[strip.start // 2 : -(-strip.stop // 2) + 2]
        light = grown[: 2 * len(rows)]
        cv2.resize(rows, (view.width, len(light)), dst=light, interpolation=cv2.INTER_LINEAR)
        cv2.cvtColor(opacity, cv2.COLOR_GRAY2RGB, dst=hidden)
        # The first and the last row of what was given at half the size lie outside of the strip.
        cv2.multiply(light[2 : 2 + n_rows], hidden, dst=hidden, scale=1 / 255)
        cv2.add(part, hidden, dst=part)
    return painted


def mixed(values: NDArray[np.uint8], other: float | Colour | NDArray[np.uint8], share: Floats) -> NDArray[np.uint8]:
    """Bytes in which a share of each is replaced by another value."""
    return np.round(values + share * (np.float32(1) * other - values.astype(np.float32))).astype(np.uint8)
