"""Weather must not show where the label boxes are: a detector would learn the boxes instead of lights."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tl_datasets.effects.effects import EFFECTS
from tl_datasets.effects.scene import Scene
from tl_datasets.images import read_rgb
from tl_datasets.taxonomy import State

NAMES = ("fog", "rain", "lens_drops", "wet_road", "snow")
SEVERITIES = (1, 2, 3, 4, 5)

each_effect = pytest.mark.parametrize("name", NAMES)


def applied(name: str, image: np.ndarray, boxes: list | np.ndarray, severity: float) -> np.ndarray:
    scene = Scene.of_frame(image, np.array(boxes, float).reshape(-1, 4), 0.4)
    return EFFECTS[name].apply(scene, severity, np.random.default_rng(3))


def difference(name: str, image: np.ndarray, boxes: list, severity: float) -> np.ndarray:
    """(H, W) how much boxes change, in bytes."""
    with_boxes = applied(name, image, boxes, severity).astype(int)
    return np.abs(with_boxes - applied(name, image, [], severity)).max(axis=2)


def ring(box: tuple, shape: tuple, grown: float) -> np.ndarray:
    """(H, W) true on the pixels along the border of a box that has grown to all sides."""
    x1, y1, x2, y2 = (round(side) for side in (box[0] - grown, box[1] - grown, box[2] + grown, box[3] + grown))
    mask = np.zeros(shape, np.uint8)
    cv2.rectangle(mask, (x1, y1), (x2 - 1, y2 - 1), 1, 1)
    return mask.astype(bool)


@each_effect
@pytest.mark.parametrize(("sky", "road"), [(200, 80), (25, 15)], ids=["day", "night"])
def test_a_box_around_nothing_lit_changes_no_pixel(name, sky, road, drawn):
    """A dark head, sky, road, a wall, the edge of a wall, the skyline."""
    image = drawn.street(sky=sky, road=road)
    dark = drawn.head(image, 300, 60, 14, "none")
    boxes = [
        dark,
        (400, 30, 420, 90),
        (310, 250, 330, 310),
        (20, 100, 45, 160),
        (118, 90, 140, 150),
        (200, 140, 220, 190),
    ]
    for severity in SEVERITIES:
        assert not difference(name, image, boxes, severity).any(), severity


@each_effect
def test_a_head_that_is_labelled_dark_changes_no_pixel(name, drawn):
    """Its lens may catch the sun: the label knows better."""
    image = drawn.street()
    box = drawn.head(image, 300, 60, 14, "yellow")
    scene = Scene.of_frame(image, np.array([box]), lights_state=[State.OFF])
    painted = EFFECTS[name].apply(scene, 3, np.random.default_rng(0))
    assert (painted == EFFECTS[name].apply(Scene.of_frame(image), 3, np.random.default_rng(0))).all()


@each_effect
@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("colour", ["red", "green"])
def test_the_same_weather_off_the_lamp(name, severity, colour, drawn):
    """Flakes, streaks, drops and fog are those without boxes, but for the lamp, its halo and its mirror image."""
    image = drawn.street()
    box = drawn.head(image, 300, 40, 24, colour)
    changed = difference(name, image, [box], severity)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    lens = (312, 40 + 24 * ("red", "yellow", "green").index(colour) + 12)
    off_lens = np.hypot(x - lens[0], y - lens[1])
    if name == "fog":
        # The halo is faint far away and nowhere ends in a step.
        assert changed[off_lens > 40].max(initial=0) <= 30
        assert changed[off_lens > 150].max(initial=0) <= 2
    elif name in ("rain", "wet_road"):
        assert not changed[(off_lens > 16) & (y < 144)].any()
    else:
        assert not changed[off_lens > 16].any()


@each_effect
@pytest.mark.parametrize("moved", [(0, 0, 0, 0), (-3, -2, -3, -2), (3, 3, 3, 3), (-4, -4, 4, 4), (-6, -3, 2, 5)])
def test_no_step_at_the_border_of_a_box(name, moved, drawn):
    image = drawn.street()
    box = drawn.head(image, 300, 40, 24, "yellow")
    labelled = tuple(np.add(box, moved))
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    off_lens = np.hypot(x - 312, y - 76) > 12  # a moved border runs through the lamp, which may change
    for severity in SEVERITIES:
        changed = difference(name, image, [labelled], severity)
        inside, outside = (float(changed[ring(labelled, changed.shape, grown) & off_lens].mean()) for grown in (-1, 1))
        assert abs(inside - outside) < 1.0 + 0.1 * outside, severity


@each_effect
@pytest.mark.parametrize("moved", [(-3, -2, -3, -2), (3, 3, 3, 3), (-4, -4, 4, 4)])
def test_a_moved_box_changes_nothing_but_the_lamp(name, moved, drawn):
    image = drawn.street()
    box = drawn.head(image, 300, 40, 24, "red")
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    off_lens = np.hypot(x - 312, y - 52)
    for severity in (1, 3, 5):
        first = applied(name, image, [box], severity).astype(int)
        second = applied(name, image, [np.add(box, moved)], severity).astype(int)
        changed = np.abs(first - second).max(axis=2)
        # The distance follows the size of the box, so that halos and mirror images differ a little.
        assert changed[off_lens > 16].max() <= 12, severity


@each_effect
def test_real_frames_with_boxes_around_nothing_lit(name, shared_data):
    """Sky, road, walls and trees at fixed places of real frames without a lamp there."""
    root = shared_data / "dtld_fridtjofs" / "raw_dataset" / "images"
    boxes = [(100, 60, 120, 120), (1000, 30, 1030, 110), (900, 700, 930, 780), (1200, 650, 1215, 690)]
    for path in sorted(root.glob("*.jpg"))[::90]:
        image = read_rgb(path)
        for severity in (1, 3, 5):
            assert not difference(name, image, boxes, severity).any(), (path.stem, severity)


@pytest.mark.parametrize("name", ["fog", "rain", "snow"])
def test_real_lamps_show_no_border_of_their_boxes(name, shared_data):
    """Over many heads: what boxes change is as large just outside of their borders as just inside."""
    root = shared_data / "dtld_fridtjofs" / "raw_dataset"
    inside, outside = [], []
    for label in sorted((root / "annotations").glob("*.txt"))[::40]:
        image = read_rgb(root / "images" / f"{label.stem}.jpg")
        height, width = image.shape[:2]
        rows = np.array([line.split()[1:] for line in label.read_text().splitlines()], float).reshape(-1, 4)
        centre, size = rows[:, :2] * (width, height), rows[:, 2:] * (width, height)
        boxes = [tuple(box) for box in np.hstack([centre - size / 2, centre + size / 2]) if box[3] - box[1] >= 20]
        if not boxes:
            continue
        changed = difference(name, image, boxes, 3)
        for box in boxes:
            inside.append(changed[ring(box, changed.shape, -1)].mean())
            outside.append(changed[ring(box, changed.shape, 1)].mean())
    assert len(inside) >= 10
    assert np.mean(inside) < np.mean(outside) + 4
