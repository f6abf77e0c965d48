"""How many boxes the run's own augmentation leaves too little of, predicted from the boxes alone, without an image.

What is predicted is what `EpochStatistics` counts: of the boxes that samples show at least in part, the share that
becomes an ignore area ("vanished"), because less than `min_visible` of it is left or because it is smaller than
`min_size_px`. The geometry of `tl_datasets.augment.geometry` is evaluated at points that are spread evenly over all
that is random: scale, place of the crop, size of the tile, shift. Not predicted: pasted heads, mix-up's overlaps, and
steps of `transforms` that move boxes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tl_datasets.augment.geometry import LARGEST_TILE
from tl_datasets.augment.settings import AugmentConfig
from tl_datasets.letterbox import place
from tl_datasets.torch_dataset import LabelledFrames
from tl_detection.config import RunConfig

# Frames that are looked at, evenly spread, and random choices that are tried for each frame and way of showing it.
_FRAMES, _POINTS = 500, 64
# As `geometry.crop` draws the place of a box in its tile.
_ANCHOR_SHARES = (0.15, 0.85)
_TILES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedLoss:
    """What augmentation leaves of boxes. The shares are of the boxes that samples show at least in part.

    Attributes:
        index: (N,) row of each box in the catalog's annotations; frames beyond a few hundred are sampled evenly.
        shown: (N,) how often an average sample of the box's frame shows it.
        small: (N,) how often it does so smaller than allowed, as a whole.
        cut: (N,) how often it does so cut by an edge.
        sides_px: (N, points) smaller side of the whole box in network pixels.
        weights: (N, points) how often each of these is shown.
    """

    index: NDArray[np.int64]
    shown: NDArray[np.float64]
    small: NDArray[np.float64]
    cut: NDArray[np.float64]
    sides_px: NDArray[np.float64]
    weights: NDArray[np.float64]

    def share(self, wanted: NDArray[np.bool_] | None = None, *, of: str = "lost") -> float | None:
        """Share of the shown boxes that vanish.

        Args:
            wanted: (N,) true for the boxes to ask about; None = all.
            of: "small", "cut", or "lost" for both.

        Returns:
            A share in [0, 1]; None where none is shown.
        """
        wanted = np.ones(len(self.index), dtype=bool) if wanted is None else wanted
        shown = self.shown[wanted].sum()
        gone = {"small": self.small, "cut": self.cut, "lost": self.small + self.cut}[of]
        return float(gone[wanted].sum() / shown) if shown > 0 else None

    def share_under(self, limit_px: float, wanted: NDArray[np.bool_]) -> float | None:
        """Share of the shown boxes whose smaller side is under a limit, in network pixels."""
        weights = self.weights[wanted]
        total = weights.sum()
        return float(weights[self.sides_px[wanted] < limit_px].sum() / total) if total > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """One way in which a sample shows a frame: how often, and by which range of scales."""

    kind: str
    often: float
    scale: tuple[float, float]


def predict_loss(config: RunConfig, frames: LabelledFrames, *, mosaic: bool = True) -> PredictedLoss:
    """Predict what the augmentation of a run leaves of the boxes that it learns.

    Args:
        config: The run.
        frames: Its training frames.
        mosaic: False for the last epochs, which have no mosaic and no mix-up.
    """
    catalog, augment = frames.catalog, config.augment
    canvas = np.array([config.model.input.width_px, config.model.input.height_px], dtype=np.float64)
    lights = np.array(config.data.label_space.lights, dtype=bool)
    learned = (frames.class_id >= 0) & ~frames.ignored
    rows = np.unique(np.repeat(np.arange(len(catalog)), np.diff(catalog.offsets))[learned])
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _FRAMES)).round().astype(int)] if len(rows) else rows
    sizes = catalog.frames.select("width_px", "height_px").to_numpy().astype(np.float64)
    views = list(_views(augment, mosaic=mosaic))
    # Spread evenly over all that is random, and the same at every call.
    points = torch.quasirandom.SobolEngine(6, scramble=True, seed=0)
    found: list[tuple[NDArray, ...]] = []
    for row in rows.tolist():
        inside = slice(catalog.offsets[row], catalog.offsets[row + 1])
        index = np.flatnonzero(learned[inside]) + catalog.offsets[row]
        boxes, class_id = catalog.xyxy[index], frames.class_id[index]
        is_light = lights[class_id]
        anchors = boxes[is_light] if is_light.any() else boxes
        least = np.where(is_light, augment.min_visible, augment.min_visible_other)
        parts = [
            _seen(
                view,
                points.draw(_POINTS, dtype=torch.float64).numpy(),
                boxes,
                anchors,
                sizes[row],
                canvas,
                augment.translate,
                least,
                augment,
            )
            for view in views
        ]
        found.append((index, *(np.concatenate(columns, axis=1) for columns in zip(*parts, strict=True))))
    if not found:
        none, empty = np.zeros(0), np.zeros((0, 1))
        return PredictedLoss(
            index=np.zeros(0, dtype=np.int64), shown=none, small=none, cut=none, sides_px=empty, weights=empty
        )
    index, sides, shown, small, cut = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return PredictedLoss(
        index=index,
        shown=shown.sum(axis=1),
        small=small.sum(axis=1),
        cut=cut.sum(axis=1),
        sides_px=sides,
        weights=shown,
    )


def _views(augment: AugmentConfig, *, mosaic: bool) -> Iterator[_View]:
    """How often a frame is shown in each way, per sample of the epoch."""
    in_mosaic = augment.mosaic if mosaic else 0.0
    crop, whole = (1 - in_mosaic) * augment.crop, (1 - in_mosaic) * (1 - augment.crop)
    mixed = augment.mix_up if mosaic else 0.0
    # The three others of a mosaic keep the factor of the plan that they have themselves, which may be that of a crop.
    enlarged = (_TILES - 1) * in_mosaic * crop
    views = [
        _View(kind="tile", often=_TILES * in_mosaic - enlarged, scale=augment.scale),
        _View(kind="tile", often=enlarged, scale=augment.crop_scale),
        _View(kind="crop", often=crop * (1 + mixed), scale=augment.crop_scale),
        _View(kind="whole", often=whole + mixed * (1 - crop), scale=augment.scale),
    ]
    return (view for view in views if view.often > 0)


def _seen(
    view: _View,
    points: NDArray[np.float64],
    boxes: NDArray[np.float64],
    anchors: NDArray[np.float64],
    size: NDArray[np.float64],
    canvas: NDArray[np.float64],
    translate: float,
    least_visible: NDArray[np.float64],
    augment: AugmentConfig,
) -> tuple[NDArray[np.float64], ...]:
    """(boxes, points): smaller side of the whole box, and how often it is shown, shown too small, and shown too cut."""
    factor = view.scale[0] + points[:, 0] * (view.scale[1] - view.scale[0])
    scale = place(int(size[0]), int(size[1]), int(canvas[0]), int(canvas[1])).scale * factor
    if view.kind == "whole":
        shift = (2 * points[:, 1:3] - 1) * translate
        origin = (canvas - size * scale[:, None]) / 2 + shift * canvas
        low, high = np.zeros((len(points), 2)), np.broadcast_to(canvas, (len(points), 2))
    else:
        tile = np.ones((len(points), 2))
        if view.kind == "tile":
            tile = 1 - LARGEST_TILE + points[:, 1:3] * (2 * LARGEST_TILE - 1)
        high = tile * canvas
        scale = np.maximum(scale, (high / size).max(axis=1))
        chosen = anchors[(points[:, 3] * len(anchors)).astype(int)]
        centre = (chosen[:, :2] + chosen[:, 2:]) / 2 * scale[:, None]
        share = _ANCHOR_SHARES[0] + points[:, 4:6] * (_ANCHOR_SHARES[1] - _ANCHOR_SHARES[0])
        free = np.maximum(size * scale[:, None] - high, 0)
        origin, low = -np.clip(centre - share * high, 0, free), np.zeros_like(high)
    laid = boxes[:, None, :] * scale[None, :, None] + np.tile(origin, 2)[None]
    seen = np.clip(np.minimum(laid[..., 2:], high) - np.maximum(laid[..., :2], low), 0, None)
    sides = laid[..., 2:] - laid[..., :2]
    visible = seen.prod(axis=2) / np.maximum(sides.prod(axis=2), 1e-9)
    is_shown = visible > 0
    kept = (visible >= least_visible[:, None] - 1e-9) & (seen.min(axis=2) >= augment.min_size_px)
    too_small = is_shown & ~kept & (sides.min(axis=2) < augment.min_size_px)
    often = view.often / len(points)
    return sides.min(axis=2), is_shown * often, too_small * often, (is_shown & ~kept & ~too_small) * often
