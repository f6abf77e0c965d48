"""The pictures of predictions: each mark in its colour at its place, the frame below it left as it is."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.errors import ImageError
from tl_datasets.taxonomy import State
from tl_detection.draw import STATE_COLOURS
from tl_detection.tracking.outcomes import frame_outcome
from tl_detection.tracking.prediction_sheet import draw_prediction_sheet
from tl_detection.tracking.prediction_tile import (
    LABELLED_COLOUR,
    MISSED_COLOUR,
    RED_AS_GREEN_COLOUR,
    WIDTH_PX,
    draw_tile,
)

BAND_PX = 20
SCALE = WIDTH_PX / 320


def draw(scene, frame: int) -> np.ndarray:
    """The tile without its caption."""
    outcome = frame_outcome(scene.evaluation(), frame)
    return draw_tile(scene.catalog.read_rgb(frame), outcome, scene.label_space, "caption")[BAND_PX:]


def colours_left_of(tile: np.ndarray, left: float, middle: float) -> list[tuple[int, ...]]:
    """What is met on the way to a box from its left."""
    x, y = round(left * SCALE), round(middle * SCALE)
    return [tuple(int(value) for value in tile[y, at]) for at in range(x - 14, x)]


def test_labelled_and_detected_are_outlined_one_outside_the_other(scene):
    tile = draw(scene, 0)
    met = colours_left_of(tile, 40, 52)
    red = STATE_COLOURS[State.RED]
    assert met.index(red) < met.index(LABELLED_COLOUR)
    assert MISSED_COLOUR not in met and RED_AS_GREEN_COLOUR not in met
    assert STATE_COLOURS[State.GREEN] in colours_left_of(tile, 200, 53)
    # Inside of a box the frame is as it was.
    np.testing.assert_array_equal(tile[round(42 * SCALE), round(45 * SCALE)], (20, 20, 20))


def test_what_goes_wrong_is_marked(scene):
    tile = draw(scene, 1)
    assert MISSED_COLOUR in colours_left_of(tile, 40, 52)
    stop_as_go = colours_left_of(tile, 120, 52)
    assert stop_as_go.index(RED_AS_GREEN_COLOUR) < stop_as_go.index(STATE_COLOURS[State.GREEN])
    assert not {MISSED_COLOUR, RED_AS_GREEN_COLOUR} & set(colours_left_of(tile, 220, 52))


def test_the_places_to_look_at_are_enlarged_the_worst_first(scene):
    tile = draw(scene, 1)
    strip = tile[round(160 * SCALE) :]
    assert strip.shape == (WIDTH_PX // 6 + BAND_PX, WIDTH_PX, 3)

    def holds(place: int, colour: tuple[int, int, int]) -> bool:
        crop = strip[: WIDTH_PX // 6, place * WIDTH_PX // 6 : (place + 1) * WIDTH_PX // 6]
        return bool((crop == colour).all(axis=2).any())

    assert [holds(place, RED_AS_GREEN_COLOUR) for place in range(6)] == [True] + [False] * 5
    assert [holds(place, MISSED_COLOUR) for place in range(6)] == [False, True] + [False] * 4
    assert [holds(place, STATE_COLOURS[State.YELLOW]) for place in range(6)] == [False, False, True] + [False] * 3


@pytest.mark.parametrize(("frames", "columns", "rows"), [([0], 1, 1), ([0, 1, 2], 2, 2), ([0, 1] * 5, 3, 4)])
def test_a_sheet_has_room_for_all_frames(frames, columns, rows, scene):
    sheet = draw_prediction_sheet(scene.evaluation(), scene.catalog, scene.label_space, frames, "epoch 1")
    tile_height = BAND_PX + round(160 * SCALE) + WIDTH_PX // 6 + BAND_PX
    assert sheet.shape == (3 * BAND_PX + rows * tile_height, columns * WIDTH_PX, 3)


def test_hundreds_of_detections_are_drawn_all_the_same(scene):
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 130, (300, 2))
    table = np.column_stack([corner, corner + 8, np.full(300, 0.9), rng.integers(0, 3, 300)])
    scene.said["found"] = table.tolist()
    assert draw(scene, 0).shape[1] == WIDTH_PX


def test_an_unreadable_frame_is_named(scene):
    (next(iter(scene.catalog.roots.values())) / "found.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"found\.png"):
        draw_prediction_sheet(scene.evaluation(), scene.catalog, scene.label_space, [0], "epoch 1")
