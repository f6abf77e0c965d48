"""The frames that an exported file is compared on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError
from tl_detection.detector import Image


def choose_frames(folder: Path, where: str | None, n_frames: int) -> tuple[Catalog, list[int]]:
    """Choose frames of a catalog, spread evenly over it.

    Args:
        folder: The catalog.
        where: Which of its frames; None = all.
        n_frames: How many at most.

    Returns:
        The catalog that was chosen from, and the rows of the frames in it.

    Raises:
        DataError: The catalog cannot be used, or has no such frame.
    """
    catalog = Catalog.open(folder)
    if where is not None:
        catalog = catalog.filter(where)
    if not len(catalog):
        raise DataError(f"{folder}: no frame to compare on with the filter {where!r}; choose another catalog")
    rows = np.unique(np.linspace(0, len(catalog) - 1, min(n_frames, len(catalog))).round().astype(int))
    return catalog, rows.tolist()


def drawn_frames(width_px: int, height_px: int) -> list[Image]:
    """Frames of sizes that no camera gives, with edges and noise.

    Args:
        width_px: Width of the network's input.
        height_px: Height of the network's input.
    """
    rng = np.random.default_rng(0)

    def patches(width: int, height: int) -> Image:
        coarse = rng.integers(0, 256, ((height + 23) // 24, (width + 23) // 24, 3), dtype=np.uint8)
        return coarse.repeat(24, axis=0).repeat(24, axis=1)[:height, :width]

    sizes = ((width_px, height_px), (1279, 719), (517, 333), (97, 401))
    noise = rng.integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
    return [noise, *(patches(width, height) for width, height in sizes)]


def plain_frames(width_px: int, height_px: int) -> list[Image]:
    """Frames with nothing to see: black in the network's size, white in another, and a single pixel."""
    return [
        np.zeros((height_px, width_px, 3), np.uint8),
        np.full((719, 1279, 3), 255, np.uint8),
        np.full((1, 1, 3), 114, np.uint8),
    ]
