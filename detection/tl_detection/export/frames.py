"""The frames that an exported file is compared on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError
from tl_detection.detector import Image

# Sizes that no camera gives, for files that take any.
_ODD_SIZES = ((1279, 719), (517, 333), (97, 401))
_LIT = {0.2: (235, 45, 40), 0.5: (250, 200, 30), 0.8: (40, 225, 160)}


def choose_frames(catalog: Catalog, n_frames: int) -> list[int]:
    """Rows of a catalog, spread evenly over it; all of them where there are fewer."""
    return np.unique(np.linspace(0, len(catalog) - 1, min(n_frames, len(catalog))).round().astype(int)).tolist()


def open_frames(folder: Path, where: str | None) -> Catalog:
    """The frames of a catalog that a filter leaves.

    Raises:
        DataError: The catalog cannot be used, or has no such frame.
    """
    catalog = Catalog.open(folder)
    if where is not None:
        catalog = catalog.filter(where)
    if not len(catalog):
        raise DataError(f"{folder}: no frame to compare on with the filter {where!r}; choose another catalog")
    return catalog


def sizes_of(catalog: Catalog) -> dict[tuple[int, int], int]:
    """How many frames have which width and height, the most frequent first."""
    counted = catalog.frames.group_by("width_px", "height_px").len("n").sort("n", "width_px", descending=True)
    return {(int(width), int(height)): int(n) for width, height, n in counted.iter_rows()}


def of_size(catalog: Catalog, size: tuple[int, int]) -> Catalog:
    """The frames of one size."""
    return catalog.filter(f"width_px == {size[0]} & height_px == {size[1]}")


def drawn_frames(width_px: int, height_px: int, frame_size: tuple[int, int] | None) -> list[Image]:
    """Frames with noise, edges and many signal heads; where the file takes any size, in odd ones, too.

    Args:
        width_px: Width of the network's input.
        height_px: Height of the network's input.
        frame_size: Width and height that the file takes; None = any.
    """
    rng = np.random.default_rng(0)

    def patches(width: int, height: int) -> Image:
        coarse = rng.integers(0, 256, ((height + 23) // 24, (width + 23) // 24, 3), dtype=np.uint8)
        return coarse.repeat(24, axis=0).repeat(24, axis=1)[:height, :width]

    width, height = frame_size or (width_px, height_px)
    sizes = [(width, height), *(() if frame_size else _ODD_SIZES)]
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return [noise, _many_heads(width, height, rng), *(patches(*size) for size in sizes)]


def plain_frames(width_px: int, height_px: int, frame_size: tuple[int, int] | None) -> list[Image]:
    """Frames with nothing to see: black, white and grey; where the file takes any size, in several."""
    sizes = [frame_size] * 3 if frame_size else [(width_px, height_px), (1279, 719), (1, 1)]
    return [
        np.full((height, width, 3), value, np.uint8)
        for (width, height), value in zip(sizes, (0, 255, 114), strict=True)
    ]


def _many_heads(width_px: int, height_px: int, rng: np.random.Generator) -> Image:
    """A grey frame full of signal heads of 8 to 24 px width, each with one lit lens."""
    image = cv2.GaussianBlur(rng.integers(60, 130, (height_px, width_px, 3), dtype=np.uint8), (0, 0), 3)
    cell_width, cell_height = 44, 84
    for top in range(6, height_px - cell_height, cell_height):
        for left in range(6, width_px - cell_width, cell_width):
            width = int(rng.integers(8, 25))
            cv2.rectangle(image, (left, top), (left + width, top + 3 * width), (18, 18, 20), -1)
            place = list(_LIT)[int(rng.integers(0, 3))]
            centre = left + width // 2, top + round(3 * width * place)
            cv2.circle(image, centre, max(2, round(width * 0.36)), _LIT[place], -1, cv2.LINE_AA)
    return np.asarray(image, np.uint8)
