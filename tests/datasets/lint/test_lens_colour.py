"""The colour of a lit lens."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from tl_datasets.lint.lens_colour import (
    CLEAR_DEG,
    RED_YELLOW_DEG,
    colour_of,
    fit_red_yellow,
    hue_and_chroma,
    lens_part,
)
from tl_datasets.taxonomy import State


def patch(hue_deg: float, saturation: float = 0.5, value: float = 0.8) -> np.ndarray:
    rgb = np.array(colorsys.hsv_to_rgb(hue_deg / 360 % 1, saturation, value)) * 255
    return np.full((10, 10, 3), rgb.round(), np.uint8)


@pytest.mark.parametrize("hue_deg", [-69, -30, 0, 11, 30, 60, 119, 180, 240, 289])
def test_hue_is_that_of_the_colour_circle(hue_deg):
    """The circle here is that of the hexagon's projection: exact at multiples of 30 degrees, 1.2 off between."""
    hue, chroma = hue_and_chroma(patch(hue_deg))
    assert hue == pytest.approx(hue_deg, abs=1.6)
    assert chroma == pytest.approx(0.8 * 0.5 * 255, abs=1)


def test_only_the_most_coloured_tenth_counts():
    image = np.full((20, 10, 3), 240, np.uint8)
    image[3:5] = patch(30)[0, 0]
    assert hue_and_chroma(image)[0] == pytest.approx(30, abs=1)
    assert hue_and_chroma(image[:1, :1]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("hue_deg", "chroma", "shown"),
    [
        (-60, 40, State.RED),
        (0, 40, State.RED),
        (13.9, 40, State.RED),
        (14, 40, State.YELLOW),
        (60, 40, State.YELLOW),
        (80, 40, State.GREEN),
        (190, 40, State.GREEN),
        (240, 40, None),
        (289, 40, None),
        (0, 7.9, None),
    ],
)
def test_borders(hue_deg, chroma, shown):
    assert colour_of(hue_deg, chroma) is shown


def test_the_border_is_fitted_where_there_are_enough_lamps():
    rng = np.random.default_rng(0)
    red, yellow = rng.normal(14, 3, 60).tolist(), rng.normal(34, 3, 60).tolist()
    assert 20 < fit_red_yellow(red, yellow) < 28
    assert fit_red_yellow(red[:4], yellow[:4]) == fit_red_yellow([], []) == RED_YELLOW_DEG


def test_with_one_state_alone_the_border_gives_way():
    """A camera that shows red lamps as orange, and hardly a yellow one to fit to."""
    assert fit_red_yellow([18.0] * 8, [40.0]) == pytest.approx(18 + CLEAR_DEG)
    assert fit_red_yellow([-5.0] * 8, []) == RED_YELLOW_DEG
    assert fit_red_yellow([], [8.0] * 8) == pytest.approx(8 - CLEAR_DEG)
    assert fit_red_yellow([70.0] * 8, []) == 35.0


def test_part_of_a_head():
    crop = np.arange(30, dtype=np.uint8)[:, None, None].repeat(10, axis=1).repeat(3, axis=2)
    assert lens_part(crop, 0.5, 0.2, horizontal=False)[:, 0, 0].tolist() == list(range(9, 21))
    assert lens_part(crop, 1 / 6, 0.2, horizontal=False)[:, 0, 0].tolist() == list(range(11))
    assert lens_part(crop.transpose(1, 0, 2), 5 / 6, 0.2, horizontal=True)[0, :, 0].tolist() == list(range(19, 30))
    assert lens_part(crop, None, 0.2, horizontal=False) is crop
