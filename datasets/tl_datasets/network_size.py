"""How large lights are in the network's input: what a detector is really asked to see.

A frame is laid into the input by `letterbox`; a box shrinks with it. Sizes are rounded to a thousandth of a frame pixel
first, so that the noise of normalised coordinates (7.999999999 for 8) does not decide on which side of a limit a light
is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.catalog import Catalog
from tl_datasets.errors import UsageError, show
from tl_datasets.letterbox import place

# Under 2 pixels a light is a speck, under 4 its lamps merge, under 8 it covers less than one cell of the finest grid
# of an ordinary detector (stride 8).
LIMITS_PX = (2, 4, 8)
# Steps of the rounding, per pixel.
STEPS_PER_PX = 1000
# A damaged annotation file may hold 1e300. Nothing is lost where such a box ends earlier, and sums, areas and whole
# numbers of steps stay exact.
FARTHEST_PX = 1e9

_PATTERN = re.compile(r"([1-9]\d{0,4})[xX]([1-9]\d{0,4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSize:
    """Size of the network's input in pixels."""

    width_px: int
    height_px: int

    def __str__(self) -> str:
        return f"{self.width_px}x{self.height_px}"

    @classmethod
    def parse(cls, text: str) -> InputSize:
        """Read WIDTHxHEIGHT.

        Raises:
            UsageError: The text is something else.
        """
        found = _PATTERN.fullmatch(text.strip())
        if found is None:
            raise UsageError(f"input size {show(text)}: expected WIDTHxHEIGHT in pixels, such as 1280x736")
        return cls(width_px=int(found[1]), height_px=int(found[2]))


# The shape of the commonest camera frame (1280x720) in strides of 32.
DEFAULT_INPUT_SIZE = InputSize(width_px=1280, height_px=736)


def near_xyxy(catalog: Catalog) -> NDArray[np.float64]:
    """(all boxes, 4) xyxy pixels, each coordinate at most FARTHEST_PX from the image's corner."""
    return _near(catalog.xyxy)


def sizes_px(catalog: Catalog) -> NDArray[np.float64]:
    """(all boxes, 2) width and height in frame pixels, to a thousandth, in the order of `catalog.annotations`."""
    return box_sizes_px(catalog.xyxy)


def network_sizes_px(catalog: Catalog, input_size: InputSize) -> NDArray[np.float64]:
    """(all boxes, 2) width and height in pixels of the network's input, in the order of `catalog.annotations`."""
    return sizes_px(catalog) * np.repeat(input_scales(catalog.frames, input_size), np.diff(catalog.offsets))[:, None]


def box_sizes_px(xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) width and height of (N, 4) boxes, to a thousandth of a pixel."""
    near = _near(xyxy)
    return np.rint((near[:, 2:] - near[:, :2]) * STEPS_PER_PX) / STEPS_PER_PX


def input_scales(frames: pl.DataFrame, input_size: InputSize) -> NDArray[np.float64]:
    """(F,) pixels of the network's input per pixel of each frame of a catalog's frames table."""
    scale_of: dict[tuple[int, int], float] = {}
    for width, height in frames.select("width_px", "height_px").unique().iter_rows():
        scale_of[width, height] = place(width, height, input_size.width_px, input_size.height_px).scale
    scales = [scale_of[size] for size in frames.select("width_px", "height_px").iter_rows()]
    return np.array(scales, dtype=np.float64)


def _near(xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(xyxy, -FARTHEST_PX, FARTHEST_PX)
