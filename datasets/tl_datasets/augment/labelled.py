"""`Labelled`: an image with what is labelled in it, on its way through the augmentation."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tl_datasets.boxes import area
from tl_datasets.effects.scene import View


def _no_boxes() -> NDArray[np.float64]:
    return np.zeros((0, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """An image with its boxes.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        xyxy: (N, 4) float64 pixels of the image.
        class_id: (N,) int64, 0-based. A box of which only candidate classes are known has an id behind those of the
            classes: their number plus its row among the candidates.
        visible: (N,) share of each box's area that earlier steps have left, in (0, 1]; None = all of it.
        ignore_xyxy: (M, 4) areas that neither reward nor punish.
        is_vanished: (M,) true for those that are boxes of which augmentation left too little; None = none is.
        views: Which rectangle shows which frame; what lies in none is padding.
        weather: What the image shows, effects included; None where the parts differ or nobody knows.
        time_of_day: Likewise.
        made: Names of the effects that were applied, in order.

    Raises:
        ValueError: The numbers of boxes, classes and shares differ, or those of ignore areas and marks.
    """

    image: NDArray[np.uint8]
    xyxy: NDArray[np.float64]
    class_id: NDArray[np.int64]
    visible: NDArray[np.float64] = None  # type: ignore[assignment]  # filled in below
    ignore_xyxy: NDArray[np.float64] = field(default_factory=_no_boxes)
    is_vanished: NDArray[np.bool_] = None  # type: ignore[assignment]
    views: tuple[View, ...] = ()
    weather: str | None = None
    time_of_day: str | None = None
    made: tuple[str, ...] = ()

    def __post_init__(self):
        if self.visible is None:
            object.__setattr__(self, "visible", np.ones(len(self.xyxy)))
        if self.is_vanished is None:
            object.__setattr__(self, "is_vanished", np.zeros(len(self.ignore_xyxy), dtype=bool))
        counts = len(self.xyxy), len(self.class_id), len(self.visible)
        areas = len(self.ignore_xyxy), len(self.is_vanished)
        if len(set(counts)) > 1 or len(set(areas)) > 1:
            raise ValueError(f"{counts} boxes, classes and shares; {areas} ignore areas and marks: expected as many")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """What has to be left of a box for it to keep its label.

    Attributes:
        shares: (classes,) least visible share of a box's area, by class.
        size_px: Least width and height of what is visible.
    """

    shares: NDArray[np.float64]
    size_px: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of boxes that were moved.

    Attributes:
        xyxy: (K, 4) boxes that keep their label, clipped.
        index: (K,) which of the boxes they are.
        visible: (K,) their visible shares.
        ignore_xyxy: (J, 4) what is left of the ignore areas that were there, and of the other boxes.
        is_vanished: (J,) true for the latter, and for areas that were marked so before.
    """

    xyxy: NDArray[np.float64]
    index: NDArray[np.int64]
    visible: NDArray[np.float64]
    ignore_xyxy: NDArray[np.float64]
    is_vanished: NDArray[np.bool_]


def keep_visible(
    boxes: Labelled,
    bounds: tuple[float, float, float, float] | NDArray[np.float64],
    rule: Visibility,
    ignore_bounds: NDArray[np.float64] | None = None,
) -> Kept:
    """Clip moved boxes to the rectangle that shows them; one that is too small or too cut becomes an ignore area.

    Args:
        boxes: Boxes and ignore areas where they lie now, not clipped; its image does not matter.
        bounds: Left, top, right, bottom of the rectangle; or (N, 4), one for each box.
        rule: What has to be left.
        ignore_bounds: (M, 4) of the ignore areas, where `bounds` are of the boxes.
    """
    seen = _inside(boxes.xyxy, np.asarray(bounds, dtype=np.float64))
    share = np.clip(boxes.visible * area(seen) / np.maximum(area(boxes.xyxy), 1e-9), 0, 1)
    sides = (seen[:, 2:] - seen[:, :2]).min(axis=1, initial=np.inf)
    inside = area(seen) > 0
    # A box that is whole may have lost a digit in the arithmetic.
    keep = inside & (share >= rule.shares[boxes.class_id] - 1e-9) & (sides >= rule.size_px)
    areas = _inside(boxes.ignore_xyxy, np.asarray(bounds if ignore_bounds is None else ignore_bounds, dtype=np.float64))
    shown, gone = area(areas) > 0, inside & ~keep
    return Kept(
        xyxy=seen[keep],
        index=np.flatnonzero(keep),
        visible=share[keep],
        ignore_xyxy=np.concatenate([areas[shown], seen[gone]]),
        is_vanished=np.concatenate([boxes.is_vanished[shown], np.ones(int(gone.sum()), dtype=bool)]),
    )


def _inside(xyxy: NDArray[np.float64], bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.minimum(np.maximum(xyxy, bounds[..., [0, 1, 0, 1]]), bounds[..., [2, 3, 2, 3]])
