"""Which input size suits the lights: the smallest of the camera's aspect at which few of them are too small."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tl_datasets.letterbox import place
from tl_detection.config import STRIDE, FasterRcnnConfig
from tl_detection.plan.light_sizes import SMALL_SHARE
from tl_detection.plan.subject import Subject

# Less of the input than this is lost to padding without a word.
_PADDING = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class InputChoice:
    """An input size.

    Attributes:
        width_px: Its width.
        height_px: Its height.
        small: Share of the lights under the least size in it.
        reason: Why it is proposed; None = the configured one is kept.
    """

    width_px: int
    height_px: int
    small: float
    reason: str | None


def choose_input(subject: Subject, least_px: float) -> InputChoice:
    """Choose an input size.

    The camera is the commonest size of the frames with a light. A frame is never enlarged; a Faster R-CNN never shrinks
    one. A larger input than is needed is left as it is: it costs time and loses nothing.

    Args:
        subject: The run, with at least one light.
        least_px: Smaller side under which a light is too small.
    """
    size = subject.config.model.input
    camera = _camera(subject)
    small = _share_small(subject, size.width_px, size.height_px, least_px)
    laid = place(*camera, size.width_px, size.height_px)
    padding = 1 - laid.width_px * laid.height_px / (size.width_px * size.height_px)
    is_shrunk = isinstance(subject.config.model, FasterRcnnConfig) and laid.scale < 1 and small > 0
    whole = math.ceil(camera[0] / STRIDE) * STRIDE
    if small > SMALL_SHARE or is_shrunk:
        widths = [whole] if is_shrunk else range(STRIDE, whole + 1, STRIDE)
        reason = (
            f"a Faster R-CNN need not shrink {camera[0]}x{camera[1]} frames"
            if is_shrunk
            else f"{small:.1%} of the {subject.noun} are under {least_px:g} px at {size.width_px}x{size.height_px}"
        )
    elif padding > _PADDING:
        # As fine as it is, without the grey.
        widths = [min(whole, math.ceil(laid.width_px / STRIDE) * STRIDE)]
        reason = f"{padding:.0%} of {size.width_px}x{size.height_px} is padding for frames of {camera[0]}x{camera[1]}"
    else:
        return _kept(subject, small)
    for width in widths:
        height = math.ceil(min(width, camera[0]) * camera[1] / camera[0] / STRIDE) * STRIDE
        found = _share_small(subject, width, height, least_px)
        if found <= SMALL_SHARE or width == whole or len(widths) == 1:
            break
    else:
        return _kept(subject, small)
    if (width, height) == (size.width_px, size.height_px) or (found >= small and padding <= _PADDING and not is_shrunk):
        return _kept(subject, small)
    cost = width * height / (size.width_px * size.height_px)
    reason = f"{reason}; {found:.1%} under {least_px:g} px at {width}x{height}, {cost:.2g} times the pixels"
    if found > SMALL_SHARE:
        reason += "; the frames themselves have no more, so the rest is for a finer stride or another lens"
    return InputChoice(width_px=width, height_px=height, small=found, reason=reason)


def _kept(subject: Subject, small: float) -> InputChoice:
    size = subject.config.model.input
    return InputChoice(width_px=size.width_px, height_px=size.height_px, small=small, reason=None)


def _camera(subject: Subject) -> tuple[int, int]:
    """The commonest frame size, counted by lights."""
    sizes = _size_of_each(subject)
    found, counts = np.unique(sizes, axis=0, return_counts=True)
    width, height = found[counts.argmax()].tolist()
    return width, height


def _share_small(subject: Subject, width_px: int, height_px: int, least_px: float) -> float:
    sizes = _size_of_each(subject)
    scale = np.minimum(width_px / sizes[:, 0], height_px / sizes[:, 1])
    xyxy = subject.train.catalog.xyxy[subject.lights]
    return float(((xyxy[:, 2:] - xyxy[:, :2]).min(axis=1) * scale < least_px).mean())


def _size_of_each(subject: Subject) -> np.ndarray:
    """(lights, 2) width and height of the frame of each light."""
    catalog = subject.train.catalog
    sizes = catalog.frames.select("width_px", "height_px").to_numpy()
    return np.repeat(sizes, np.diff(catalog.offsets), axis=0)[subject.lights]
