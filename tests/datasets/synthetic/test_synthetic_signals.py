"""Signal programmes and heads: legal order, places of the lenses, arrows, what covers what."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tl_datasets.synthetic.canvas import Canvas
from tl_datasets.synthetic.heads import HeadModel, draw_head
from tl_datasets.synthetic.signals import pedestrian_programme, vehicle_programme
from tl_datasets.taxonomy import Facing, Orientation, Pictogram, State

LEGAL = {
    (State.GREEN, State.YELLOW),
    (State.YELLOW, State.RED),
    (State.RED, State.RED_YELLOW),
    (State.RED_YELLOW, State.GREEN),
}
MODEL = HeadModel(
    pictogram=Pictogram.CIRCLE,
    orientation=Orientation.VERTICAL,
    facing=Facing.FRONT,
    housing=(34, 35, 37),
    pitch_m=0.3,
    has_backplate=False,
    overexposure=0.2,
)
DAYLIGHT = (1.0, 1.0, 1.0)


def painted(model: HeadModel, state: State, background: int = 128) -> np.ndarray:
    """The head at the size of its sprite, on grey."""
    sprite = draw_head(model, state, DAYLIGHT)
    canvas = Canvas(np.full((sprite.height_px, sprite.width_px, 3), background, np.uint8))
    canvas.sprite(sprite, 0, 0, 1, 1, (0, 0, 0), 1.0)
    return canvas.pixels


@pytest.mark.parametrize("phase", [0.12, 0.3, 0.55, 0.99])
def test_vehicle_states_follow_the_legal_order(phase):
    programme = vehicle_programme(phase, off_share=0.1)
    states = [programme.state(frame) for frame in range(120)]
    changes = {(first, second) for first, second in pairwise(states) if first != second}
    assert changes == LEGAL


def test_the_first_phases_are_dark():
    assert {vehicle_programme(0.05, 0.1).state(frame) for frame in range(60)} == {State.OFF}
    assert vehicle_programme(0.11, 0.1).state(0) != State.OFF


def test_pedestrian_signals_are_red_or_green():
    programme = pedestrian_programme(np.random.default_rng(0), is_off=False)
    assert {programme.state(frame) for frame in range(100)} == {State.RED, State.GREEN}


@pytest.mark.parametrize("orientation", [Orientation.VERTICAL, Orientation.HORIZONTAL])
@pytest.mark.parametrize(
    ("state", "place"), [(State.RED, 0), (State.YELLOW, 1), (State.GREEN, 2)], ids=["red", "yellow", "green"]
)
def test_red_is_on_top_or_on_the_left(orientation, state, place):
    image = painted(replace(MODEL, orientation=orientation), state).astype(int)
    lit = image.max(axis=2) > 200
    axis = 0 if orientation == Orientation.VERTICAL else 1
    centre = np.argwhere(lit).mean(axis=0)[axis] / image.shape[axis]
    assert place / 3 < centre < (place + 1) / 3


def test_red_yellow_lights_two_lenses_and_off_none():
    rows = np.flatnonzero((painted(MODEL, State.RED_YELLOW).max(axis=2) > 200).any(axis=1))
    assert rows.min() < MODEL.aspects * 72 / 3 and len(rows) > 90
    assert painted(MODEL, State.OFF).max() <= 130


def test_left_and_right_arrows_are_mirror_images():
    left = painted(replace(MODEL, pictogram=Pictogram.ARROW_LEFT), State.GREEN).astype(int)
    right = painted(replace(MODEL, pictogram=Pictogram.ARROW_RIGHT), State.GREEN).astype(int)
    assert np.abs(left[:, ::-1] - right)[:, 24:-24].mean() < 2.5
    assert np.abs(left - right).mean() > np.abs(left[:, ::-1] - right).mean() * 2


def test_a_left_arrow_has_its_head_on_the_left():
    image = painted(replace(MODEL, pictogram=Pictogram.ARROW_LEFT), State.GREEN)
    lit = image[:, :, 1] > 190
    heights = lit.sum(axis=0)
    first, last = np.flatnonzero(heights)[[0, -1]]
    tip, shaft = first + 0.3 * (last - first), first + 0.8 * (last - first)
    assert heights[round(tip)] > 1.5 * heights[round(shaft)]


@pytest.mark.parametrize("facing", [Facing.BACK, Facing.LEFT, Facing.RIGHT])
def test_no_lens_shows_from_behind_or_from_the_side(facing):
    assert painted(replace(MODEL, facing=facing), State.RED).max() <= 130


def test_what_is_painted_later_covers_a_head():
    canvas = Canvas(np.zeros((120, 120, 3), np.uint8))
    sprite = draw_head(MODEL, State.RED, DAYLIGHT)
    trace = canvas.sprite(sprite, 30, 20, 0.3, 0.3, (0, 0, 0), 1.0)
    assert trace is not None and trace.visible_share() == 1.0
    top, bottom = np.flatnonzero(trace.housing.any(axis=1))[[0, -1]] + trace.y1
    middle = (top + bottom + 1) / 2
    canvas.polygon([(0, middle), (120, middle), (120, 120), (0, 120)], (9, 9, 9))
    assert trace.visible_share() == pytest.approx(0.5, abs=0.03)
    canvas.sprite(sprite, 30, 20, 0.3, 0.3, (0, 0, 0), 1.0)
    assert trace.visible_share() == 0.0
