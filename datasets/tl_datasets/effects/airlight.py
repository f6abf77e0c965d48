"""The light that the air itself throws into the camera, estimated from a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.camera_view import CameraView

Colour = NDArray[np.float64]

# By night, a fifth of what lies above the horizon is lit walls and sky glow; lamps are less than a twentieth.
# By day the sky is the brightest there, even where houses leave little of it.
_NIGHT_QUANTILE, _DAY_QUANTILE = 0.8, 0.97
# Luma at the first quantile below which it is night, and above which it is day.
_NIGHT_LUMA, _DAY_LUMA = 80.0, 110.0
# Share of the tint of the sky that the droplets keep: they scatter all wavelengths alike.
_TINT = 0.25
# Air lit by a street at night, as a share of the mean of the frame: fog has a higher albedo than what it hides.
_STREET_LIGHT = 1.4
# A camera exposes fog below white; and no street is quite black under street lamps.
_BRIGHTEST, _DARKEST = 225.0, 14.0
# The frame is sampled at so many columns.
_SAMPLES = 80
_LUMA = np.array([0.299, 0.587, 0.114])


def airlight(view: CameraView) -> Colour:
    """(3,) RGB in 0..255 of air without end: near-white by day, the dull glow of the street by night."""
    step = max(1, round(view.width / _SAMPLES))
    small = view.image[step // 2 :: step, step // 2 :: step].astype(np.float64)
    sky_rows = int(np.clip(round(view.horizon_px / step), min(4, len(small)), len(small)))
    above = small[:sky_rows].reshape(-1, 3)
    luma = above @ _LUMA
    night_level, day_level = np.quantile(luma, (_NIGHT_QUANTILE, _DAY_QUANTILE))
    day = _share(night_level, _NIGHT_LUMA, _DAY_LUMA)
    level = night_level + day * (day_level - night_level)
    colour = above[np.abs(luma - level) <= 0.1 * level + 2].mean(axis=0)
    colour = np.maximum(colour, (1 - day) * _STREET_LIGHT * small.reshape(-1, 3).mean(axis=0))
    grey = float(colour @ _LUMA)
    colour = grey + _TINT * (colour - grey)
    limited = float(np.clip(grey, _DARKEST, _BRIGHTEST))
    return np.clip(colour + limited - grey, 0, 255)


def daylight(air: Colour) -> float:
    """How much day the colour of the air speaks of: 0 = night, 1 = day."""
    return _share(float(air @ _LUMA), _NIGHT_LUMA, 1.5 * _DAY_LUMA)


def _share(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low), 0, 1))
