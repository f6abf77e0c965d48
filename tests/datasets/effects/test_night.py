"""Night out of day."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tl_datasets.effects.linear_light import decode_srgb
from tl_datasets.effects.night import NIGHT, SKY_STOPS, STOPS
from tl_datasets.effects.scene import Scene, View
from tl_datasets.lamps.state import read_state
from tl_datasets.taxonomy import State, TimeOfDay

LUMA = np.array([0.2126, 0.7152, 0.0722])
BOX = (600, 150, 624, 222)
LENSES = {State.RED: (0, (235, 45, 40)), State.YELLOW: (1, (240, 190, 40)), State.GREEN: (2, (40, 220, 150))}


def luminance(image: np.ndarray) -> np.ndarray:
    return decode_srgb(image / 255) @ LUMA


def street(state: State | None, ground: int = 128) -> Scene:
    """One signal head before a wall."""
    image = np.full((720, 1280, 3), ground, np.uint8)
    x1, y1, x2, y2 = BOX
    image[y1:y2, x1:x2] = 25
    for lens in range(3):
        cv2.circle(image, (612, y1 + 24 * lens + 12), 9, (42, 44, 42), -1, cv2.LINE_AA)
    if state is not None:
        cell, colour = LENSES[state]
        cv2.circle(image, (612, y1 + 24 * cell + 12), 9, colour, -1, cv2.LINE_AA)
    return Scene.of_frame(image, np.array([BOX], float))


def head(image: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = BOX
    return image[y1:y2, x1:x2]


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5, 1.5])
def test_surfaces_fall_by_the_stated_stops(severity):
    """A wall that is no sky: warmer than grey. Noise that is cut off at black lifts the mean a little."""
    image = np.full((360, 640, 3), (150, 130, 100), np.uint8)
    stops = float(np.interp(severity, (1, 2, 3, 4, 5), STOPS))
    for seed in range(3):
        night = NIGHT.apply(Scene.of_frame(image), severity, np.random.default_rng(seed))
        fall = np.log2(luminance(image).mean() / luminance(night).mean())
        assert fall == pytest.approx(stops, abs=0.2)


def test_the_sky_falls_further_and_turns_colder():
    image = np.full((360, 640, 3), (150, 130, 100), np.uint8)
    image[:120] = (215, 220, 225)
    night = NIGHT.apply(Scene.of_frame(image), 3, np.random.default_rng(0))
    sky, wall = luminance(night[:110]).mean(), luminance(night[120:]).mean()
    assert np.log2(luminance(image[:110]).mean() / sky) == pytest.approx(STOPS[2] + SKY_STOPS[2], abs=0.5)
    assert sky < 0.5 * wall
    red, _, blue = night[:110].reshape(-1, 3).mean(axis=0)
    assert blue > red + 3


def test_frames_that_are_dark_by_day_are_not_made_black():
    image = np.full((360, 640, 3), (70, 65, 60), np.uint8)
    night = NIGHT.apply(Scene.of_frame(image), 3, np.random.default_rng(0))
    fall = np.log2(luminance(image).mean() / luminance(night).mean())
    assert fall == pytest.approx(STOPS[2] - 1, abs=0.25)


@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("state", list(LENSES))
def test_a_lamp_keeps_its_state_and_its_light(state, severity):
    scene = street(state)
    night = NIGHT.apply(scene, severity, np.random.default_rng(1))
    assert read_state(head(night)).state is state
    row = 24 * LENSES[state][0] + 12
    core = (slice(row - 3, row + 4), slice(9, 16))
    assert luminance(head(night)[core]).mean() > 0.7 * luminance(head(scene.image)[core]).mean()


@pytest.mark.parametrize("state", list(LENSES))
def test_a_halo_of_its_colour_appears(state):
    """Against the same head with a dark lamp, beside the box."""
    lit, dark = (decode_srgb(NIGHT.apply(street(shown), 5, np.random.default_rng(2)) / 255) for shown in (state, None))
    row = BOX[1] + 24 * LENSES[state][0] + 12
    near = (lit - dark)[row - 4 : row + 5, 628:636].mean(axis=(0, 1))
    far = (lit - dark)[row - 4 : row + 5, 668:676].mean(axis=(0, 1))
    assert near.max() > 0.008 and near.max() > 5 * far.max()
    assert np.argmax(near) == np.argmax(LENSES[state][1])


def test_a_dark_head_stays_dark():
    night = NIGHT.apply(street(None), 3, np.random.default_rng(0))
    assert read_state(head(night)).state is None and luminance(head(night)).mean() < 0.02


def test_small_coloured_lights_keep_some_light_and_walls_do_not():
    image = np.full((720, 1280, 3), 90, np.uint8)
    image[500:506, 400:408] = (250, 60, 50)
    image[400:600, 800:1100] = (250, 60, 50)
    night = luminance(NIGHT.apply(Scene.of_frame(image), 4, np.random.default_rng(0)))
    assert night[501:505, 402:406].mean() > 1.4 * night[450:550, 900:1000].mean()


def test_lights_and_padding_in_a_mosaic():
    image = np.full((400, 800, 3), 114, np.uint8)
    view = View(x1=0, y1=0, x2=400, y2=400, horizon_px=180, focal_px=400)
    night = NIGHT.apply(Scene(image=image, views=(view,)), 3, np.random.default_rng(0))
    assert (night[:, 400:] == 114).all() and night[:, :400].mean() < 60


def test_half_the_size_looks_alike():
    """The same frame at half the size, against the night of the whole reduced."""
    scene = street(State.GREEN)
    small = cv2.resize(scene.image, (640, 360), interpolation=cv2.INTER_AREA)
    own = NIGHT.apply(Scene.of_frame(np.asarray(small, np.uint8), scene.lights_xyxy / 2), 3, np.random.default_rng(3))
    whole = NIGHT.apply(scene, 3, np.random.default_rng(3))
    reduced = cv2.resize(whole, (640, 360), interpolation=cv2.INTER_AREA)
    difference = cv2.blur(own, (9, 9)).astype(int) - cv2.blur(reduced, (9, 9))
    assert np.abs(difference).mean() < 4 and np.abs(difference).max() < 30


def test_the_condition_is_said():
    assert NIGHT.time_of_day is TimeOfDay.NIGHT and TimeOfDay.NIGHT in NIGHT.not_in_time_of_day


def empty_box(kind: str) -> Scene:
    """A box around something bright that is no lamp."""
    image = np.full((360, 640, 3), 120, np.uint8)
    if kind == "white board":
        image[80:150, 290:330] = 245
    elif kind == "sky corner":
        image[:110, :312] = (225, 235, 245)
    return Scene.of_frame(image, np.array([[300.0, 90.0, 324.0, 152.0]]))


@pytest.mark.parametrize("kind", ["grey wall", "white board", "sky corner"])
@pytest.mark.parametrize("severity", [1, 5])
def test_a_box_around_nothing_lit_leaves_no_trace(kind, severity):
    scene = empty_box(kind)
    with_box = NIGHT.apply(scene, severity, np.random.default_rng(4))
    without = NIGHT.apply(Scene.of_frame(scene.image), severity, np.random.default_rng(4))
    assert (with_box == without).all()


def test_a_head_that_is_known_to_be_dark_is_not_lit():
    scene = street(State.RED)
    dark = Scene.of_frame(scene.image, scene.lights_xyxy, lights_state=[State.OFF])
    night = NIGHT.apply(dark, 3, np.random.default_rng(4))
    without = NIGHT.apply(Scene.of_frame(scene.image), 3, np.random.default_rng(4))
    assert (night == without).all()
    assert (night != NIGHT.apply(scene, 3, np.random.default_rng(4))).any()


def test_one_word_per_head_says_what_it_shows():
    with pytest.raises(ValueError, match="lights_state: 2 words for 1 heads"):
        Scene.of_frame(street(None).image, np.array([BOX], float), lights_state=[State.OFF, None])
