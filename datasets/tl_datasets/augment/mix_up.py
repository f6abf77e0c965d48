"""Mix-up that cannot lie about a light: two scenes shine through each other, each signal head shows one of them alone.

Plain mix-up lays a red lamp of one frame over a green one of the other and keeps both labels. Here a labelled box keeps
the pixels of its own frame, with a soft edge; where boxes of both frames meet, those of the first are shown and the
others become ignore areas.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from tl_datasets.augment.labelled import Labelled
from tl_datasets.boxes import area

# Around a box, in pixels: the soft edge of 3 px lies outside of it.
_MARGIN_PX = 2


def mix_up(first: Labelled, second: Labelled, share: float) -> Labelled:
    """Blend two samples of one size.

    Args:
        first: Its boxes have precedence.
        second: The other one.
        share: Weight of the first outside of boxes, in [0, 1].

    Raises:
        ValueError: The sizes differ.
    """
    if first.image.shape != second.image.shape:
        raise ValueError(f"images of {first.image.shape} and {second.image.shape}, expected one size")
    height, width = first.image.shape[:2]
    meets = _overlap(_wider(first.xyxy), _wider(second.xyxy))
    shown = ~meets
    weight = np.full((height, width), share, dtype=np.float32)
    for boxes, value in ((second.xyxy[shown], 0.0), (first.xyxy, 1.0)):
        for x1, y1, x2, y2 in _wider(boxes):
            rows = slice(max(0, int(np.floor(y1))), max(0, int(np.ceil(y2))))
            weight[rows, max(0, int(np.floor(x1))) : max(0, int(np.ceil(x2)))] = value
    weight = cv2.blur(weight, (3, 3))
    return replace(
        first,
        image=cv2.blendLinear(first.image, second.image, weight, 1 - weight),
        xyxy=np.concatenate([first.xyxy, second.xyxy[shown]]),
        class_id=np.concatenate([first.class_id, second.class_id[shown]]),
        visible=np.concatenate([first.visible, second.visible[shown]]),
        ignore_xyxy=np.concatenate([first.ignore_xyxy, second.ignore_xyxy, second.xyxy[meets]]),
        is_vanished=np.concatenate([first.is_vanished, second.is_vanished, np.ones(int(meets.sum()), dtype=bool)]),
        weather=first.weather if first.weather == second.weather else None,
        time_of_day=first.time_of_day if first.time_of_day == second.time_of_day else None,
        made=tuple(dict.fromkeys((*first.made, *second.made, "mix_up"))),
    )


def _wider(xyxy: np.ndarray) -> np.ndarray:
    return xyxy + np.array([-_MARGIN_PX, -_MARGIN_PX, _MARGIN_PX, _MARGIN_PX])


def _overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(M,) true for each second box that meets any of the first."""
    if not len(first) or not len(second):
        return np.zeros(len(second), dtype=bool)
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = area(np.concatenate([top_left, bottom_right], axis=2).reshape(-1, 4)).reshape(len(first), len(second))
    return np.asarray((common > 0).any(axis=0))
