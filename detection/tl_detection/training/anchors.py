"""Anchors fitted to the boxes that a run learns from, and how well a set of anchors covers them.

Torchvision's anchors begin at 32 px, while half of all lights are smaller: only about a third of real lights then have
an anchor that overlaps them by half. Sizes and ratios from quantiles of the training boxes mend that at no cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tl_datasets.letterbox import place
from tl_datasets.torch_dataset import LabelledFrames

# Input pixels per cell of the pyramid's levels, P2 to P6.
STRIDES = (4, 8, 16, 32, 64)
_AREA_QUANTILES = (0.05, 0.20, 0.40, 0.60, 0.80, 0.95)
_RATIO_QUANTILES = (0.15, 0.50, 0.85)
# A box at least this many strides long overlaps an anchor of its own size by 0.62 in the worst position.
_STRIDES_PER_SIZE = 4
_MIN_SIZE_PX = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """The anchor shapes of each pyramid level.

    Attributes:
        sizes: One tuple per level from P2 on; square root of an anchor's area in network pixels. All levels have the
            same number of sizes, because they share one head.
        ratios: Height over width; each size comes in each ratio.

    Raises:
        ValueError: Levels have different numbers of sizes, or there are more levels than the pyramid has.
    """

    sizes: tuple[tuple[float, ...], ...]
    ratios: tuple[float, ...]

    def __post_init__(self):
        if not 0 < len(self.sizes) <= len(STRIDES) or len({len(level) for level in self.sizes}) != 1:
            raise ValueError(f"anchor sizes {self.sizes}: expected 1 to {len(STRIDES)} levels with equally many sizes")

    def shapes(self, level: int) -> NDArray[np.float64]:
        """(sizes x ratios, 2) width and height in network pixels of one level's anchors."""
        size = np.array(self.sizes[level])[:, None]
        ratio = np.sqrt(np.array(self.ratios))[None, :]
        return np.stack([size / ratio, size * ratio], axis=2).reshape(-1, 2)


# Those of torchvision's Faster R-CNN.
DEFAULT_ANCHORS = Anchors(sizes=((32.0,), (64.0,), (128.0,), (256.0,), (512.0,)), ratios=(0.5, 1.0, 2.0))


def network_boxes(frames: LabelledFrames, width_px: int, height_px: int) -> NDArray[np.float64]:
    """Width and height in network pixels of all boxes that are learned, (N, 2), letterboxed and not augmented."""
    catalog = frames.catalog
    sizes = catalog.frames.select("width_px", "height_px").rows()
    scale = np.array([place(width, height, width_px, height_px).scale for width, height in sizes])
    per_box = np.repeat(scale, np.diff(catalog.offsets))
    return ((catalog.xyxy[:, 2:] - catalog.xyxy[:, :2]) * per_box[:, None])[frames.learned]


def fit_anchors(boxes: NDArray[np.floating]) -> Anchors:
    """Fit anchors to boxes.

    Each size goes to the coarsest level on which it is at least four strides long, small ones to P2. Levels with fewer
    sizes are filled up with those that suit them best.

    Args:
        boxes: (N, 2) width and height in network pixels, N at least 1.
    """
    boxes = np.maximum(np.asarray(boxes, dtype=np.float64), 1e-3)
    lengths = np.sqrt(np.quantile(boxes.prod(axis=1), _AREA_QUANTILES))
    lengths = np.unique(np.maximum(lengths, _MIN_SIZE_PX).round(1))
    ratios = np.unique(np.quantile(boxes[:, 1] / boxes[:, 0], _RATIO_QUANTILES).round(2).clip(0.05, 20))
    level_of = [max(0, sum(length >= _STRIDES_PER_SIZE * stride for stride in STRIDES) - 1) for length in lengths]
    own = [[float(size) for size, of in zip(lengths, level_of, strict=True) if of == level] for level in range(5)]
    own = own[: max(level_of) + 1]
    count = max(len(level) for level in own)
    levels = []
    for level, sizes in enumerate(own):
        suits = _STRIDES_PER_SIZE * np.sqrt(2) * STRIDES[level]
        others = sorted(
            (float(size) for size in lengths if float(size) not in sizes), key=lambda s: abs(np.log(s / suits))
        )
        levels.append(tuple(sorted([*sizes, *others[: count - len(sizes)]])))
    return Anchors(sizes=tuple(levels), ratios=tuple(float(ratio) for ratio in ratios))


def anchor_coverage(boxes: NDArray[np.floating], anchors: Anchors, positions: int = 9) -> tuple[float, float]:
    """Share of boxes that have a usable and a good anchor.

    A box may lie anywhere between the anchors' centres: its best IoU is averaged over such positions.

    Args:
        boxes: (N, 2) width and height in network pixels; of more than 2000, every n-th is looked at.
        anchors: The anchors.
        positions: Positions per axis that are tried, odd: an even number of steps over the coarsest stride may meet the
            finer grids only at their centres.

    Returns:
        Shares in [0, 1] with a mean best IoU of at least 0.5, and of at least 0.7.

    Raises:
        ValueError: `positions` is even.
    """
    if positions % 2 == 0:
        raise ValueError(f"positions: {positions}, expected an odd number")
    boxes = np.asarray(boxes, dtype=np.float64)[:: max(1, len(boxes) // 2000)]
    if not len(boxes):
        return 0.0, 0.0
    grid = (np.arange(positions) + 0.5) / positions * STRIDES[len(anchors.sizes) - 1]
    best = np.zeros((len(boxes), positions, positions))
    for level in range(len(anchors.sizes)):
        stride = STRIDES[level]
        offset = np.abs((grid + stride / 2) % stride - stride / 2)
        for shape in anchors.shapes(level):
            # (N, positions) overlap along each axis, then all pairs of positions.
            along = [
                np.clip(
                    np.minimum(
                        (boxes[:, axis, None] + shape[axis]) / 2 - offset, np.minimum(boxes[:, axis, None], shape[axis])
                    ),
                    0,
                    None,
                )
                for axis in (0, 1)
            ]
            intersection = along[0][:, :, None] * along[1][:, None, :]
            union = (boxes.prod(axis=1) + shape.prod())[:, None, None] - intersection
            best = np.maximum(best, intersection / union)
    mean = best.mean(axis=(1, 2))
    return float((mean >= 0.5).mean()), float((mean >= 0.7).mean())
