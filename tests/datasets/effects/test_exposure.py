"""Over- and under-exposure."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tl_datasets.effects.camera_view import CameraView
from tl_datasets.effects.exposure import EXPOSURE, STOPS, expose
from tl_datasets.effects.linear_light import decode_srgb
from tl_datasets.effects.scene import Scene, View
from tl_datasets.lamps.state import read_state
from tl_datasets.taxonomy import State

BOX = (100, 60, 124, 132)
LENSES = {State.RED: (0, (235, 45, 40)), State.YELLOW: (1, (240, 190, 40)), State.GREEN: (2, (40, 220, 150))}
PALE = {State.RED: (255, 215, 220), State.YELLOW: (255, 245, 215), State.GREEN: (225, 250, 245)}


def street(state: State, colour: tuple[int, int, int], grey: int = 90) -> CameraView:
    """One signal head before a grey ground."""
    image = np.full((200, 320, 3), grey, np.uint8)
    x1, y1, x2, y2 = BOX
    image[y1:y2, x1:x2] = 25
    cell = LENSES[state][0]
    cv2.circle(image, (112, y1 + 24 * cell + 12), 9, colour, -1, cv2.LINE_AA)
    return CameraView(image=image, lights_xyxy=np.array([BOX], float), horizon_px=90, focal_px=1280)


def head(image: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = BOX
    return image[y1:y2, x1:x2]


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5, 2.5])
def test_a_grey_changes_by_the_stated_stops(severity):
    stops = float(np.interp(severity, (1, 2, 3, 4, 5), STOPS))
    found = set()
    for seed in range(12):
        image = np.full((20, 30, 3), 110, np.uint8)
        exposed = EXPOSURE.apply(Scene.of_frame(image), severity, np.random.default_rng(seed))
        change = np.log2(decode_srgb(exposed[5, 5, 1] / 255) / decode_srgb(110 / 255))
        assert abs(change) == pytest.approx(stops, abs=0.05)
        found.add(np.sign(change))
    assert found == {-1, 1}, "both ways"


def test_what_passes_white_is_clipped():
    image = np.full((20, 30, 3), 230, np.uint8)
    view = CameraView(image=image, lights_xyxy=np.zeros((0, 4)), horizon_px=9, focal_px=30)
    assert (expose(view, 2) == 255).all() and (expose(view, 0) == image).all()


@pytest.mark.parametrize("stops", [-2.3, -1.2, 1.2, 2.3])
@pytest.mark.parametrize("colours", [{s: c for s, (_, c) in LENSES.items()}, PALE], ids=["clean", "over-exposed"])
@pytest.mark.parametrize("state", list(LENSES))
def test_lamps_keep_their_state(state, colours, stops):
    read = read_state(head(expose(street(state, colours[state]), stops))).state
    if colours is PALE and stops > 2:
        assert read in (state, None), "white all over may be unreadable, never another state"
    else:
        assert read is state


@pytest.mark.parametrize("state", list(LENSES))
def test_an_over_exposed_lamp_has_a_pale_core_and_a_rim_of_its_colour(state):
    view = street(state, LENSES[state][1], grey=25)
    before, after = head(view.image).astype(int), head(expose(view, 2.3)).astype(int)
    row = 24 * LENSES[state][0] + 12
    core, was = after[row, 12], before[row, 12]
    assert core.max() == 255 and core.min() > was.min() + 40
    # Beside the lens, where the ground is equally dark: the light of the lamp, in the order of its channels.
    rim, plain = expose(view, 2.3)[60 + row, 98].astype(int), expose(view, 2.3)[190, 310].astype(int)
    assert (rim - plain).max() > 10
    strongest = int(np.argmax(LENSES[state][1]))
    assert np.argmax(rim - plain) == strongest
    assert (rim - plain).min() < 0.7 * (rim - plain).max()


def test_a_clipped_core_gets_its_colour_back_when_under_exposed():
    view = street(State.RED, PALE[State.RED])
    core = head(expose(view, -2.3))[12, 12].astype(int)
    assert core[0] > 120 and core[0] - core[1] > 40


def test_padding_stays():
    image = np.full((40, 80, 3), 114, np.uint8)
    view = View(x1=0, y1=0, x2=40, y2=40, horizon_px=18, focal_px=40)
    exposed = EXPOSURE.apply(Scene(image=image, views=(view,)), 5, np.random.default_rng(0))
    assert (exposed[:, 40:] == 114).all() and (exposed[:, :40] != 114).all()
