"""Where a signal head of another frame may hang: over an existing head, beside one, or where the data has heads.

All places are pixels of the frame before any geometry. None touches another box or an ignore area, leaves the frame, or
lies lower than heads of that source do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tl_datasets.augment.labelled import Labelled
from tl_datasets.augment.lamp_bank import LampBank

Mode = Literal["replace", "beside", "free"]
Boxes = NDArray[np.float64]

# Free pixels between a new box and everything that is there.
_CLEAR_PX = 2.0
# Gap between neighbours on a signal bridge, as a share of the housing's width.
_GAPS = (0.15, 1.0)
# How far heads that hang free are moved from where the data has one: shares of the frame's width and height, and of
# their own height.
_MOVED_X, _MOVED_Y, _RESIZED = 0.1, 0.02, 0.15
# Of so many free places, the one with the most upright structure below is taken: a pole, a trunk, the edge of a house.
_FREE_PLACES = 8
# A place above nothing upright is open sky; of 255.
_LEAST_UPRIGHT = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place for the box of a donor.

    Attributes:
        mode: How it was found.
        xyxy: (4,) the place of the donor's box, in pixels of the frame.
        neighbour: The existing head that is replaced or that hangs beside it; None = free.
    """

    mode: Mode
    xyxy: Boxes
    neighbour: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceLimits:
    """How much a donor may be changed.

    Attributes:
        scale: Range of the factor of its height, in pixels of whole frames.
        aspect_tolerance: Largest relative difference of width by height.
    """

    scale: tuple[float, float]
    aspect_tolerance: float


def places(
    mode: Mode,
    frame: Labelled,
    row: int,
    bank: LampBank,
    donor: int,
    limits: PlaceLimits,
    rng: np.random.Generator,
    reduction: int = 1,
) -> Iterator[Place]:
    """Places for a donor, in the order in which they are to be tried.

    Args:
        mode: Kind of place.
        frame: The frame before any geometry.
        row: Its row in the catalog.
        bank: All donors.
        donor: The position of the donor in the bank.
        limits: How much a donor may be changed.
        rng: Decides the order and what is drawn.
        reduction: By how much the frame was reduced when it was decoded; the donor was not.
    """
    size = (bank.xyxy[donor, 2:] - bank.xyxy[donor, :2]) / reduction
    # Also what this run does not learn: no head hangs before a car.
    taken = np.concatenate([frame.xyxy, frame.ignore_xyxy, bank.catalog.boxes(row) / reduction])
    if mode == "free":
        yield from _free(frame, row, bank, size, taken, limits, rng)
        return
    heads = np.flatnonzero(bank.is_light(frame.class_id))
    head_size = frame.xyxy[heads, 2:] - frame.xyxy[heads, :2]
    scale = head_size[:, 1] / size[1]
    aspect = (head_size[:, 0] / head_size[:, 1]) / (size[0] / size[1])
    # Boxes are drawn more or less loosely; the housings themselves are compared later.
    tolerance = (1 + limits.aspect_tolerance) ** 2
    fits = (scale >= limits.scale[0]) & (scale <= limits.scale[1]) & (aspect < tolerance) & (aspect > 1 / tolerance)
    if mode == "replace":
        # Not a rare head by a common one.
        fits &= bank.counts[frame.class_id[heads]] >= bank.counts[bank.class_id[donor]]
    for head in rng.permutation(heads[fits]):
        if mode == "replace":
            others = np.concatenate([np.delete(frame.xyxy, head, axis=0), frame.ignore_xyxy])
            if is_clear(frame.xyxy[head], others, frame.image, margin_px=0):
                yield Place(mode=mode, xyxy=frame.xyxy[head], neighbour=int(head))
        else:
            yield from _beside(frame, int(head), size, taken, rng)


def is_clear(xyxy: Boxes, others: Boxes, image: NDArray[np.uint8], margin_px: float = _CLEAR_PX) -> bool:
    """Whether a box lies inside of the image and touches no other."""
    height, width = image.shape[:2]
    if xyxy[:2].min() < margin_px or xyxy[2] > width - margin_px or xyxy[3] > height - margin_px:
        return False
    near = (others[:, :2] < xyxy[2:] + margin_px) & (others[:, 2:] > xyxy[:2] - margin_px)
    return not near.all(axis=1).any()


def _beside(frame: Labelled, head: int, size: Boxes, taken: Boxes, rng: np.random.Generator) -> Iterator[Place]:
    x1, y1, x2, y2 = frame.xyxy[head]
    width = size[0] * (y2 - y1) / size[1]
    for side in rng.permutation(2):
        gap = rng.uniform(*_GAPS) * (x2 - x1)
        left = x2 + gap if side else x1 - gap - width
        xyxy = np.array([left, y1, left + width, y2])
        if is_clear(xyxy, taken, frame.image):
            yield Place(mode="beside", xyxy=xyxy, neighbour=head)


def _free(
    frame: Labelled,
    row: int,
    bank: LampBank,
    size: Boxes,
    taken: Boxes,
    limits: PlaceLimits,
    rng: np.random.Generator,
) -> Iterator[Place]:
    image = frame.image
    height, width = image.shape[:2]
    known = bank.places_of(row)
    scale = known[:, 3] * height / size[1]
    known = known[(scale >= limits.scale[0]) & (scale <= limits.scale[1])]
    if not len(known):
        return
    found = []
    for x, y, _, tall in known[rng.integers(len(known), size=_FREE_PLACES)]:
        tall *= height * rng.uniform(1 - _RESIZED, 1 + _RESIZED)
        tall = float(np.clip(tall, limits.scale[0] * size[1], limits.scale[1] * size[1]))
        half = np.array([size[0] / size[1] * tall, tall]) / 2
        y = min(y + rng.normal(0, _MOVED_Y), bank.lowest_of(row))
        centre = np.array([(x + rng.normal(0, _MOVED_X)) * width, y * height])
        xyxy = np.concatenate([centre - half, centre + half])
        if is_clear(xyxy, taken, image):
            found.append((_upright_below(image, xyxy), xyxy))
    for upright, xyxy in sorted(found, key=lambda item: -item[0]):
        if upright >= _LEAST_UPRIGHT:
            yield Place(mode="free", xyxy=xyxy)


def _upright_below(image: NDArray[np.uint8], xyxy: Boxes) -> float:
    """How strong the clearest upright edge is below a box, of 255."""
    x1, y1, x2, y2 = xyxy
    half = (x2 - x1) / 2
    columns = slice(max(0, int(x1 - half)), int(x2 + half) + 1)
    strip = image[int(y2) : int(y2 + 2 * (y2 - y1)) + 1, columns, 1]
    if min(strip.shape) < 3:
        return 0.0
    profile = strip.mean(axis=0, dtype=np.float32)
    return float(np.abs(profile[2:] - profile[:-2]).max())
