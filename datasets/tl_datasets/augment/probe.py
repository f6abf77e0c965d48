"""What a transform that moves pixels does to signal heads, found out by trying it on a picture of dots.

Dots with known places are drawn, the transform runs, and the dots are looked for where it says that their points went:
if they are not there to half a pixel, boxes would not follow pixels. From three dots each, the turn and the handedness
of the picture follow.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tl_datasets.augment.labelled import Labelled, Visibility
from tl_datasets.augment.steps import Step, fault

# An upright box around a head of 1 by 3 that is turned by 10 degrees is 1.5 times as wide as the head already:
# cos 10 + 3 sin 10. Real heads lean less; and the order of the lamps is read along the box.
MAX_TURN_DEG = 10.0
MAX_OFF_PX = 0.5
_DRAWS = 24
_DOT_PX = 2.0
_ARM_PX = 24
# A shorter side has room for one group of dots only.
_TWO_GROUPS_PX = 96
# Half of the window in which a dot is looked for, unless another dot is nearer than twice that.
_WINDOW_PX = 9
# A dot that is no brighter than this has gone.
_DIM = 20


_MOST_DOTS = 12
# A rule under which every dot keeps its label, and its number as its class.
EVERY_DOT = Visibility(shares=np.zeros(_MOST_DOTS), size_px=0.0)


def refuse_bad_geometry(step: Step, canvas: tuple[int, int]) -> None:
    """Try a step that moves pixels.

    Args:
        step: Moves boxes under the rule `EVERY_DOT`.
        canvas: Width and height of the samples in pixels.

    Raises:
        ConfigError: It changes the size, boxes do not follow the pixels, or it mirrors the picture, turns it by more
            than `MAX_TURN_DEG` or puts it upside down.
    """
    width, height = canvas
    dots = _places(width, height)
    sample = Labelled(
        image=_picture(dots, width, height),
        # Tiny boxes: their centres are the dots.
        xyxy=np.concatenate([dots - 0.05, dots + 0.05], axis=1),
        class_id=np.arange(len(dots)),
    )
    turn, off = 0.0, 0.0
    for draw in range(_DRAWS):
        made = step.always(sample, np.random.default_rng(draw))
        places = np.full((len(dots), 2), np.nan)
        places[made.class_id] = (made.xyxy[:, :2] + made.xyxy[:, 2:]) / 2
        for dot, right, below in places.reshape(-1, 3, 2):
            across, down = right - dot, below - dot
            if down[1] < 0 and abs(down[0]) < -down[1]:
                raise fault(step.name, "puts signal heads upside down; the order of their lamps says what they show")
            if across[0] * down[1] - across[1] * down[0] < 0:
                raise fault(step.name, "mirrors the picture, and so arrows, but not their labels; use augment.flip_lr")
            if not np.isnan(down).any():
                turn = max(turn, abs(math.degrees(math.atan2(-down[0], down[1]))))
        off = max(off, _off(made.image, places))
    if turn > MAX_TURN_DEG:
        raise fault(
            step.name,
            f"turns signal heads by up to {turn:.0f} degrees, expected at most {MAX_TURN_DEG:.0f}: the order of the "
            "lamps says what they show",
        )
    if off > MAX_OFF_PX:
        how = "are not where it says" if math.isinf(off) else f"are {off:.1f} px from where it says"
        raise fault(
            step.name, f"pixels {how}, expected {MAX_OFF_PX} px: boxes would not follow; use augment.scale and crop"
        )


def _places(width: int, height: int) -> NDArray[np.float64]:
    """(3, 6 or 12, 2): groups of a dot, one to its right, one below it; in the middle of the picture."""
    across, columns = _along(width)
    downward, rows = _along(height)
    corners = ((0, 0), (across, 0), (0, downward))
    return np.array([(x + right, y + down) for y in rows for x in columns for right, down in corners])


def _along(side: int) -> tuple[int, list[float]]:
    """The distance between the dots of a group along a side, and where groups begin."""
    shares, most = ((0.3, 0.6), 0.15) if side >= _TWO_GROUPS_PX else ((0.3,), 0.375)
    return min(_ARM_PX, int(most * side)), [round(share * side) + 0.5 for share in shares]


def _picture(dots: NDArray[np.float64], width: int, height: int) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:height, :width] + 0.5
    shown = np.zeros((height, width))
    for x, y in dots:
        shown = np.maximum(shown, np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * _DOT_PX**2)))
    return np.repeat((255 * shown).round().astype(np.uint8)[:, :, None], 3, axis=2)


def _off(image: NDArray[np.uint8], places: NDArray[np.float64]) -> float:
    """Largest distance in pixels between a place and the centre of brightness around it; infinite where it is dark."""
    height, width = image.shape[:2]
    worst = 0.0
    for dot, (x, y) in enumerate(places):
        nearest = np.nanmin(np.abs(np.delete(places, dot, axis=0) - (x, y)).max(axis=1), initial=np.inf)
        half = int(np.clip(nearest / 2, 2, _WINDOW_PX))
        # A dot at the border is cut, and its centre with it.
        if not (half < x < width - half and half < y < height - half):
            continue
        left, top = round(x) - half, round(y) - half
        window = image[top : top + 2 * half, left : left + 2 * half].astype(np.float64).max(axis=2)
        window = np.clip(window - 0.25 * window.max(), 0, None)
        if window.max() < _DIM:
            return math.inf
        rows, columns = np.mgrid[: 2 * half, : 2 * half] + 0.5
        centre = np.array([(columns * window).sum(), (rows * window).sum()]) / window.sum() + (left, top)
        worst = max(worst, float(np.hypot(*(centre - (x, y)))))
    return worst
