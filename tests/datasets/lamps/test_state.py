"""Reading the state of a lamp from its pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tl_datasets.lamps.state import READABLE, read_state
from tl_datasets.taxonomy import Orientation, State

LIT = {"red": (235, 45, 40), "yellow": (240, 190, 40), "green": (40, 220, 150), "dark": (38, 40, 38)}
# What over-exposure leaves of the three colours: a white core, and a tint that hardly shows.
PALE = {"red": (255, 215, 220), "yellow": (255, 245, 215), "green": (225, 250, 245)}
SHOWN = {
    State.RED: ("red", "dark", "dark"),
    State.RED_YELLOW: ("red", "yellow", "dark"),
    State.YELLOW: ("dark", "yellow", "dark"),
    State.GREEN: ("dark", "dark", "green"),
    State.OFF: ("dark", "dark", "dark"),
}


def head(lenses: tuple[str, ...], width: int = 20, ground=(24, 26, 25), colours=LIT) -> np.ndarray:
    """An upright housing, its lenses from top to bottom."""
    image = np.full((width * len(lenses), width, 3), ground, np.uint8)
    for cell, name in enumerate(lenses):
        centre = (width // 2, cell * width + width // 2)
        cv2.circle(image, centre, round(0.38 * width), colours.get(name, LIT[name]), -1, cv2.LINE_AA)
    return image


@pytest.mark.parametrize("width", [5, 8, 20, 100])
@pytest.mark.parametrize("state", READABLE)
def test_reads_every_state_at_every_size(state, width):
    reading = read_state(cv2.resize(head(SHOWN[state], 40), (width, 3 * width), interpolation=cv2.INTER_AREA))
    assert reading.state is state and reading.confidence > 0.8
    wrong = [other for other in READABLE if other is not state]
    assert min(reading.margin_over(other) for other in wrong) > 2 and reading.margin_over(state) == 0


@pytest.mark.parametrize("state", READABLE)
def test_over_exposed_lamps_are_read_by_their_place(state):
    reading = read_state(head(SHOWN[state], colours=PALE))
    assert reading.state is state


def test_over_exposed_to_white_has_no_hue():
    reading = read_state(head(SHOWN[State.GREEN], colours={"green": (255, 255, 255)}))
    assert reading.state is State.GREEN
    assert reading.place_against(State.RED) > 2
    assert reading.hue_against(State.RED) == reading.hue_against(State.YELLOW) == 0
    assert read_state(head(SHOWN[State.GREEN])).hue_against(State.RED) > 3


@pytest.mark.parametrize(("state", "position"), [(State.RED, 1 / 6), (State.YELLOW, 0.5), (State.GREEN, 5 / 6)])
def test_position_of_the_lit_lens(state, position):
    assert read_state(head(SHOWN[state])).lit_position == pytest.approx(position)
    assert read_state(head(SHOWN[State.RED_YELLOW])).lit_position == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("what", "crop"),
    [
        ("a dark head", head(SHOWN[State.OFF])),
        ("one colour", np.full((60, 20, 3), 90, np.uint8)),
        ("noise", np.random.default_rng(0).integers(0, 255, (60, 20, 3), dtype=np.uint8)),
        ("sky beside a wall", np.hstack([np.full((60, 9, 3), 230, np.uint8), np.full((60, 11, 3), 60, np.uint8)])),
        ("no pixels", np.zeros((0, 5, 3), np.uint8)),
    ],
)
def test_reads_nothing_where_nothing_is_lit(what, crop):
    reading = read_state(crop)
    assert reading.state is None and reading.confidence == 0 and reading.lit_position is None, what
    assert reading.margin_over(State.RED) == 0 and reading.hue_against(State.GREEN) == 0


@pytest.mark.parametrize("state", READABLE)
def test_a_loose_box_and_a_bright_ground(state):
    """A white board around the housing, half as wide again as it: brighter than the lamp, and not lit."""
    crop = np.full((84, 34, 3), 235, np.uint8)
    crop[12:72, 7:27] = head(SHOWN[state])
    assert read_state(crop).state is state


def test_without_red_yellow():
    reading = read_state(head(SHOWN[State.RED_YELLOW]), with_red_yellow=False)
    assert State.RED_YELLOW not in reading.scores and reading.margin_over(State.RED_YELLOW) == 0


def test_a_red_lamp_that_blooms_is_not_red_and_yellow():
    """A glow from the first lens to the second: brighter in the middle, of one hue."""
    crop = head(SHOWN[State.RED], 40).astype(np.float64)
    y, x = np.mgrid[0:120, 0:40]
    glow = np.exp(-(((y - 30) / 26) ** 2 + ((x - 20) / 16) ** 2))[:, :, None]
    blooming = (crop + glow * (np.array([255, 70, 60]) - crop)).astype(np.uint8)
    reading = read_state(blooming)
    assert reading.margin_over(State.RED) < 2


def test_two_lit_lenses_of_one_tint_are_no_red_and_yellow():
    def hue_of_both(upper, lower):
        reading = read_state(head(("red", "yellow", "dark"), 40, colours={"red": upper, "yellow": lower}))
        return reading.scores[State.RED_YELLOW] - reading.place_scores[State.RED_YELLOW]

    orange = (255, 170, 60)
    assert hue_of_both(orange, orange) < -1.5
    assert hue_of_both(LIT["red"], LIT["yellow"]) > -0.5


def test_red_lamp_where_green_should_be():
    """The place and the hue disagree; neither is reported with confidence as the other."""
    reading = read_state(head(("dark", "dark", "red")))
    assert reading.state is not State.RED_YELLOW
    assert reading.hue_against(State.GREEN) > 2 or reading.place_against(State.RED) > 2


@pytest.mark.parametrize("mirrored", [False, True], ids=["red on the left", "red on the right"])
@pytest.mark.parametrize("state", [State.RED, State.YELLOW, State.GREEN])
def test_horizontal_heads_are_read_by_hue_alone(state, mirrored):
    lenses = SHOWN[state][::-1] if mirrored else SHOWN[state]
    crop = np.ascontiguousarray(head(lenses).transpose(1, 0, 2))
    assert read_state(crop, Orientation.HORIZONTAL).state is state
    assert read_state(crop).state is state, "the longer side tells the orientation"


@pytest.mark.parametrize(("lenses", "state"), [(("red", "dark"), State.RED), (("dark", "green"), State.GREEN)])
def test_two_lenses(lenses, state):
    assert read_state(head(lenses), Orientation.VERTICAL, 2).state is state
    wrong = State.GREEN if state is State.RED else State.RED
    assert read_state(head(lenses, colours=PALE), Orientation.VERTICAL, 2).margin_over(wrong) > 2


@pytest.mark.parametrize("state", [State.RED, State.YELLOW, State.GREEN])
def test_a_box_around_the_lamp_has_no_place(state):
    reading = read_state(head((state.value,), 12), n_lenses=1)
    assert reading.state is state and reading.lit_position is None
    assert reading.place_against(State.GREEN if state is State.RED else State.RED) == 0


def test_blue_and_red_swapped_is_no_red():
    reading = read_state(head(SHOWN[State.RED])[:, :, ::-1])
    assert reading.state is not State.GREEN and reading.hue_against(State.RED) >= 0
    single = read_state(head(("red",), 12)[:, :, ::-1], n_lenses=1)
    assert single.state is not State.RED


def test_the_crop_is_not_changed():
    crop = head(SHOWN[State.RED])
    before = crop.copy()
    read_state(crop)
    assert (crop == before).all()


@pytest.mark.parametrize(
    ("crop", "lenses", "message"),
    [
        (np.zeros((9, 3), np.uint8), 3, r"shape \(9, 3\)"),
        (np.zeros((9, 3, 3), np.float32), 3, "type float32"),
        (np.zeros((9, 3, 3), np.uint8), 0, "0 lenses, expected 1 to 4"),
        (np.zeros((9, 3, 3), np.uint8), 5, "5 lenses, expected 1 to 4"),
    ],
)
def test_wrong_arguments(crop, lenses, message):
    with pytest.raises(ValueError, match=message):
        read_state(crop, None, lenses)
