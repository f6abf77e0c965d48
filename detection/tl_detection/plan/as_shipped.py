"""How many lights lose their label in ultralytics' own augmentation, predicted from the boxes alone.

The share that is predicted: of the lights of which augmented samples show at least half, those that they show without a
label. ultralytics 8.4 shrinks each frame to the input size, lays four around a random point of a canvas twice as wide
and high, scales this by a factor, shifts it, and looks at a window of the input size. A box stays only if it is wider
and higher than 2 network pixels there; its pixels stay in any case, and the network is taught that they are background.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tl_datasets.torch_dataset import LabelledFrames

# Defaults of ultralytics 8.4: scale; shift, and the point where four frames meet, in input sizes; least side of a box.
_SCALE = (0.5, 1.5)
_SHIFT = (0.4, 0.6)
_MEETING = (0.5, 1.5)
_LEAST_PX = 2.0
# Most lights that are looked at, evenly spread, and layouts that are tried with each.
_LIGHTS, _LAYOUTS = 2000, 1024


def predict_lost_as_shipped(frames: LabelledFrames, wanted: NDArray[np.bool_], input_px: int) -> float | None:
    """Share of lights that are shown without a label, with the default mosaic and scale and a square input.

    Args:
        frames: The training frames.
        wanted: (boxes,) true for the lights to ask about.
        input_px: Width and height of the input.

    Returns:
        A share in [0, 1]; None without a light.
    """
    chosen = np.flatnonzero(wanted)
    if not len(chosen):
        return None
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), _LIGHTS)).round().astype(int)]
    catalog = frames.catalog
    sizes = np.repeat(catalog.frames.select("width_px", "height_px").to_numpy(), np.diff(catalog.offsets), axis=0)
    # Spread evenly over all that is random, and the same at every call.
    points = torch.quasirandom.SobolEngine(7, scramble=True, seed=0)
    shown = lost = 0
    for size, box in zip(sizes[chosen].astype(np.float64), catalog.xyxy[chosen], strict=True):
        of_light = _shown_and_lost(size, box, float(input_px), points.draw(_LAYOUTS, dtype=torch.float64).numpy())
        shown, lost = shown + of_light[0], lost + of_light[1]
    return lost / shown if shown else None


def _shown_and_lost(
    size: NDArray[np.float64], box: NDArray[np.float64], input_px: float, points: NDArray[np.float64]
) -> tuple[int, int]:
    """In how many layouts at least half of a light is seen, and in how many of these it has no label."""
    shrink = input_px / size.max()
    scale = _between(_SCALE, points[:, :1])
    shift, meeting = (
        _between(limits, points[:, at : at + 2]) * input_px for limits, at in ((_SHIFT, 1), (_MEETING, 3))
    )
    # The frame lies to the left or right of the meeting point, and above or below it.
    origin = meeting - (points[:, 5:7] < 0.5) * size * shrink
    low, high = (np.clip(origin + corner * shrink, 0, 2 * input_px) for corner in (box[:2], box[2:]))
    whole = (high - low) * scale
    low, high = (np.clip((side - input_px) * scale + shift, 0, input_px) for side in (low, high))
    seen = high - low
    is_shown = (seen.prod(axis=1) >= 0.5 * whole.prod(axis=1)) & (seen.min(axis=1) > 0)
    return int(is_shown.sum()), int((is_shown & (seen.min(axis=1) <= _LEAST_PX)).sum())


def _between(limits: tuple[float, float], share: NDArray[np.float64]) -> NDArray[np.float64]:
    return limits[0] + share * (limits[1] - limits[0])
