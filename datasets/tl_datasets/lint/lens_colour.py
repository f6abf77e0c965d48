"""The colour of a lit lens, as its own pixels have it.

`lamps.state.read_state` knows red from green by their places alone, so it still reads a lamp whose hue was shifted: it
says what the head shows, not whether its colour is still the one that the label names. This module says the latter.
Within the part of the box where the lens lies, the tenth of the pixels that stand out most from the head by colour, and
half as much by brightness, is averaged; over-exposed cores have no colour, so these are the rim and the glow. By colour
alone, coloured noise and a veil of light on the dark housing would be taken for the lens. The hue of that mean is
looked up between borders.

The colours are absolute, not against the surroundings: under a tint of the whole image people still see which lamp is
red, but a network that learns from the pixels is told that a violet lamp is red.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tl_datasets.taxonomy import State

# Border of red and yellow in degrees. DTLD's 129 red and 151 yellow lamps whose lens is found: quartiles -8 to 5, and
# 16 to 41; any border from 14 to 16 parts them best, 85 % on either side on average.
RED_YELLOW_DEG = 14.0
# Yellow ends where leaves begin, green where the sky is; DTLD's greens are pale cyan, 172 to 200 degrees.
_YELLOW_GREEN_DEG, _GREEN_BLUE_DEG, _VIOLET_RED_DEG = 80.0, 235.0, 290.0
# Less colour than this (difference of the channels, of 255) is grey: noise of a JPEG decides the hue.
GREY_CHROMA = 8.0
# A lamp nearer to a border than this is flipped by noise alone and is no measure.
CLEAR_DEG, CLEAR_CHROMA = 3.0, 12.0
_MOST_COLOURED = 0.1  # share of the pixels
_LEAST_PIXELS = 3
# Of DTLD's lamps under sensor noise, 89 % keep their state with 0.5, 81 % with 0.
_BRIGHTNESS_WEIGHT = 0.5
# A border is fitted to so many lamps of both states; with one state alone it gives way to most of its lamps.
_LEAST_TO_FIT, _LEAST_TO_GIVE_WAY = 20, 5
_GIVES_WAY_TO = 0.9
_BORDERS_DEG = np.arange(0.0, 35.5, 0.5)


def lens_part(crop: NDArray[np.uint8], position: float | None, half: float, horizontal: bool) -> NDArray[np.uint8]:
    """The part of a head's box where a lens lies.

    Args:
        crop: (H, W, 3) pixels of the box.
        position: Centre of the lens along the head, 0 to 1; None = the box is around one lamp.
        half: Half the length of the part, as a share of the head's.
        horizontal: Whether the lenses stand beside each other.
    """
    if position is None:
        return crop
    length = crop.shape[1] if horizontal else crop.shape[0]
    start = max(0, int(np.floor((position - half) * length)))
    stop = max(start + 1, min(length, int(np.ceil((position + half) * length))))
    return crop[:, start:stop] if horizontal else crop[start:stop]


def hue_and_chroma(pixels: NDArray[np.uint8], head_rgb: NDArray[np.floating] | None = None) -> tuple[float, float]:
    """Hue of the tenth that stands out most, in degrees, -70 to 290, and its chroma, 0 to 255.

    Args:
        pixels: (H, W, 3) uint8 RGB, not empty.
        head_rgb: (3,) colour of the head, from which a lens stands out; None = by colour alone.
    """
    flat = pixels.reshape(-1, 3).astype(np.float64)
    excess = flat if head_rgb is None else flat - head_rgb
    brightest = excess.max(axis=1)
    standing_out = brightest - excess.min(axis=1)
    if head_rgb is not None:
        standing_out += _BRIGHTNESS_WEIGHT * np.maximum(brightest, 0)
    count = min(len(flat), max(_LEAST_PIXELS, int(_MOST_COLOURED * len(flat))))
    most = np.argpartition(standing_out, len(flat) - count)[len(flat) - count :]
    red, green, blue = flat[most].mean(axis=0).tolist()
    hue = float(np.degrees(np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)))
    return (hue + 70) % 360 - 70, max(red, green, blue) - min(red, green, blue)


def colour_of(hue_deg: float, chroma: float, red_yellow_deg: float = RED_YELLOW_DEG) -> State | None:
    """Red, yellow or green; None for grey, and for blue and violet, which no light shows."""
    if chroma < GREY_CHROMA or _GREEN_BLUE_DEG <= hue_deg < _VIOLET_RED_DEG:
        return None
    if hue_deg < red_yellow_deg:
        return State.RED
    return State.YELLOW if hue_deg < _YELLOW_GREEN_DEG else State.GREEN


def fit_red_yellow(red_deg: Sequence[float], yellow_deg: Sequence[float]) -> float:
    """The border that parts these red from these yellow lamps best: Bosch's camera shows red lamps at 15 to 30 degrees.

    Args:
        red_deg: Hues of red lamps.
        yellow_deg: Hues of yellow lamps.

    Returns:
        Degrees, 0 to 35; the default where there are too few lamps.
    """
    red, yellow = np.asarray(red_deg, dtype=np.float64), np.asarray(yellow_deg, dtype=np.float64)
    if min(len(red), len(yellow)) >= _LEAST_TO_FIT:
        right = (red[:, None] < _BORDERS_DEG).mean(axis=0) + (yellow[:, None] >= _BORDERS_DEG).mean(axis=0)
        best = _BORDERS_DEG[right == right.max()]
        return float(best[len(best) // 2])
    border = RED_YELLOW_DEG
    if _LEAST_TO_GIVE_WAY <= len(red) > len(yellow):
        border = max(border, float(np.quantile(red, _GIVES_WAY_TO)) + CLEAR_DEG)
    elif _LEAST_TO_GIVE_WAY <= len(yellow) > len(red):
        border = min(border, float(np.quantile(yellow, 1 - _GIVES_WAY_TO)) - CLEAR_DEG)
    return float(np.clip(border, _BORDERS_DEG[0], _BORDERS_DEG[-1]))
