"""The places of a housing, and the means over its cells."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.lamps.housing_windows import CELL_PX, integral, means, windows_of


@pytest.mark.parametrize("shape", [(60, 20), (60, 20, 3)])
def test_means_are_those_of_the_pixels(shape):
    values = np.random.default_rng(0).random(shape)
    cells = windows_of(3).cells[::29]
    found = means(integral(values), cells)
    for window, row in zip(cells, found, strict=True):
        for (x1, y1, x2, y2), mean in zip(window, row, strict=True):
            assert mean == pytest.approx(values[y1:y2, x1:x2].mean(axis=(0, 1)))


@pytest.mark.parametrize("n_lenses", [2, 3, 4])
def test_places(n_lenses):
    windows = windows_of(n_lenses)
    assert windows.cells.shape == windows.cores.shape == (len(windows.margin), n_lenses, 4)
    x1, y1, x2, y2 = np.moveaxis(windows.cells, -1, 0)
    assert (x1 >= 0).all() and (y1 >= 0).all() and (x2 <= CELL_PX).all() and (y2 <= CELL_PX * n_lenses).all()
    assert (y1[:, 1:] == y2[:, :-1]).all(), "each cell begins where the one above ends"
    inner = windows.cores
    assert (inner[..., 0] > x1).all() and (inner[..., 3] < y2).all()
    assert (inner[..., 2] > inner[..., 0]).all() and (inner[..., 3] > inner[..., 1]).all()


def test_what_lies_outside_costs_and_half_of_that_beside():
    windows = windows_of(3)
    first, last = windows.cells[:, 0], windows.cells[:, -1]
    breadth, length = (first[:, 2] - first[:, 0]) / CELL_PX, (last[:, 3] - first[:, 1]) / (3 * CELL_PX)
    assert windows.margin == pytest.approx((1 - breadth) / 2 + (1 - length))
    lopsided = np.abs(first[:, 0] - (CELL_PX - first[:, 2])) / CELL_PX
    assert lopsided.max() == pytest.approx(0.2) and breadth.min() == pytest.approx(0.5)


def test_the_whole_box_is_one_place_and_costs_nothing():
    windows = windows_of(3)
    whole = np.flatnonzero(windows.margin == 0)
    assert len(whole) == 1 and windows.margin.min() == 0
    assert windows.cells[whole[0]].tolist() == [[0, 0, 20, 20], [0, 20, 20, 40], [0, 40, 20, 60]]
    assert len(np.unique(windows.cells.reshape(len(windows.cells), -1), axis=0)) == len(windows.cells)
