"""Where the housing of a signal head may lie inside its box, and means over its cells for all those places at once."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# A box is resized to cells of this side before it is read.
CELL_PX = 20
_CORE = 0.6  # of a cell in both directions: the lens without its rim
_END_MARGINS = (0.0, 0.06, 0.12, 0.2, 0.28)  # share of the box's length beyond the housing, at either end
_SIDE_MARGINS = (0.0, 0.1, 0.2, 0.3)  # the same for its breadth
_LOPSIDED = 0.21  # largest difference between the two side margins
_NARROWEST = 0.45  # of the box's breadth


class Windows(NamedTuple):
    """All places of a housing.

    Attributes:
        cores: (windows, cells, 4) xyxy of the middle of each cell, in pixels of the resized box.
        cells: (windows, cells, 4) xyxy of the whole cells.
        margin: (windows,) share of the box outside the housing; that beside it counts half.
    """

    cores: NDArray[np.intp]
    cells: NDArray[np.intp]
    margin: Floats


@lru_cache
def windows_of(n_lenses: int) -> Windows:
    """All places of an upright housing of so many cells, in a box of CELL_PX by that many CELL_PX."""
    width, height = CELL_PX, CELL_PX * n_lenses
    boxes = np.array(
        [
            (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
            for top, bottom in product(_END_MARGINS, repeat=2)
            for left, right in product(_SIDE_MARGINS, repeat=2)
            if 1 - left - right >= _NARROWEST and abs(left - right) <= _LOPSIDED
        ]
    )
    boxes = np.unique(np.floor(boxes + 0.5), axis=0)
    x1, y1, x2, y2 = boxes.T[:, :, None]
    cell_height = (y2 - y1) / n_lenses
    top = y1 + np.arange(n_lenses) * cell_height
    rim = (1 - _CORE) / 2
    inner_x1, inner_x2 = x1 + rim * (x2 - x1), x2 - rim * (x2 - x1)
    cores = (inner_x1 + 0 * top, top + rim * cell_height, inner_x2 + 0 * top, top + (1 - rim) * cell_height)
    cells = (x1 + 0 * top, top, x2 + 0 * top, top + cell_height)
    margin = (1 - (x2 - x1) / width) / 2 + 1 - (y2 - y1) / height
    return Windows(_whole_pixels(cores), _whole_pixels(cells), margin[:, 0])


def _whole_pixels(sides: tuple[Floats, ...]) -> NDArray[np.intp]:
    return np.floor(np.stack(sides, axis=-1) + 0.5).astype(np.intp)


def integral(values: Floats) -> Floats:
    """(H + 1, W + 1, ...) sums of everything above and left."""
    padding = ((1, 0), (1, 0)) + ((0, 0),) * (values.ndim - 2)
    return np.pad(values, padding).cumsum(axis=0).cumsum(axis=1)


def means(sums: Floats, rectangles: NDArray[np.intp]) -> Floats:
    """(windows, cells, ...) mean inside each rectangle, of the sums that `integral` gives."""
    x1, y1, x2, y2 = np.moveaxis(rectangles, -1, 0)
    area = ((x2 - x1) * (y2 - y1)).astype(np.float64)
    total = sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
    return total / area.reshape(area.shape + (1,) * (total.ndim - area.ndim))
