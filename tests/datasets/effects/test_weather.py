"""What all weather effects have in common: seeds, padding, sizes, severities, and lamps that keep their state."""

from __future__ import annotations

import json
import time

import cv2
import numpy as np
import pytest

from tl_datasets.effects.effects import EFFECTS
from tl_datasets.effects.scene import Scene, View
from tl_datasets.images import read_rgb
from tl_datasets.lamps.state import read_state
from tl_datasets.taxonomy import State, Weather

NAMES = ("fog", "rain", "lens_drops", "wet_road", "snow")


def applied(name: str, scene: Scene, severity: float, seed: int = 0) -> np.ndarray:
    return EFFECTS[name].apply(scene, severity, np.random.default_rng(seed))


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_and_the_scene_stays(name, drawn):
    scene, _ = drawn.lit_street()
    before = scene.image.copy(), scene.lights_xyxy.copy()
    first = applied(name, scene, 4, seed=1)
    assert first.shape == scene.image.shape and first.dtype == np.uint8
    assert (applied(name, scene, 4, seed=1) == first).all()
    assert (applied(name, scene, 4, seed=2) != first).any()
    assert (scene.image == before[0]).all() and (scene.lights_xyxy == before[1]).all()
    assert not np.shares_memory(first, scene.image)


@pytest.mark.parametrize("name", NAMES)
def test_other_images_in_between_change_nothing(name, drawn):
    """Textures are cached; what was drawn before must not matter."""
    scene, _ = drawn.lit_street()
    first = applied(name, scene, 3)
    applied(name, drawn.mosaic(), 5, seed=9)
    assert (applied(name, scene, 3) == first).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("severity", [1, 5])
def test_padding_stays_and_every_view_changes(name, severity, drawn):
    scene = drawn.mosaic()
    free = drawn.outside(scene)
    painted = applied(name, scene, severity)
    assert (painted[free] == scene.image[free]).all()
    for view in scene.views:
        part = (slice(view.y1, view.y2), slice(view.x1, view.x2))
        assert (painted[part] != scene.image[part]).any()


@pytest.mark.parametrize("name", NAMES)
def test_without_a_view_nothing_happens(name, drawn):
    image = drawn.street()
    painted = applied(name, Scene(image=image), 5)
    assert (painted == image).all() and not np.shares_memory(painted, image)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (97, 32), (61, 400), (301, 75)])
@pytest.mark.parametrize("horizon", [-0.4, 0.0, 0.45, 0.99, 1.6])
def test_any_size_and_any_horizon(name, size, horizon):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    boxes = np.array([[-5.0, -8, 4, 9], [10, 5, 13, 14], [size[1] - 6, 3, size[1] + 9, 40], [3, 3, 3.4, 3.9]])
    for severity in (1, 5):
        painted = applied(name, Scene.of_frame(image, boxes, horizon), severity)
        assert painted.shape == image.shape and painted.dtype == np.uint8


@pytest.mark.parametrize("name", NAMES)
def test_views_beyond_the_image_are_cut(name, drawn):
    image = drawn.street(200, 120)
    views = (
        View(x1=-50, y1=-20, x2=90, y2=150, horizon_px=40, focal_px=200),
        View(x1=100, y1=0, x2=101, y2=120, horizon_px=40, focal_px=200),
        View(x1=300, y1=0, x2=400, y2=120, horizon_px=40, focal_px=200),
    )
    painted = applied(name, Scene(image=image, views=views), 3)
    assert (painted[:, :90] != image[:, :90]).any() and (painted[:, 90:] == image[:, 90:]).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("severity", [0.9, 5.01, -1])
def test_a_severity_outside_the_table(name, severity, drawn):
    scene, _ = drawn.lit_street()
    with pytest.raises(ValueError, match=rf"severity {severity}, expected 1 to 5"):
        applied(name, scene, severity)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("sky", "road"), [(200, 80), (25, 15)], ids=["day", "night"])
def test_drawn_lamps_keep_their_state(name, sky, road, drawn):
    scene, states = drawn.lit_street(sky, road)
    for severity in (1, 2, 3):
        for seed in range(3):
            painted = applied(name, scene, severity, seed)
            for (x1, y1, x2, y2), state in zip(scene.lights_xyxy.astype(int), states, strict=True):
                read = read_state(painted[y1:y2, x1:x2]).state
                assert read is not None and str(read) == state, (severity, seed, y2 - y1)


@pytest.mark.parametrize("name", NAMES)
def test_lamps_on_black_and_white_ground_do_not_become_another_state(name, drawn):
    """At the worst severities a lamp may vanish; it does not become another."""
    others = []
    for sky in (0, 255):
        scene, states = drawn.lit_street(sky, sky)
        for severity in (4, 5):
            painted = applied(name, scene, severity)
            for (x1, y1, x2, y2), state in zip(scene.lights_xyxy.astype(int), states, strict=True):
                read = read_state(painted[y1:y2, x1:x2]).state
                if read is not None and str(read) != state:
                    others.append((sky, severity, y2 - y1, state, str(read)))
    # A flake may lie just where another lens is; a stop never becomes a go, nor the other way round.
    assert len(others) <= 2, others
    assert not [other for other in others if "green" in other[3:]], others


@pytest.mark.parametrize("name", ["fog", "rain", "snow"])
def test_no_rim_of_clear_sky_around_a_head(name, drawn):
    """A box that is wider than its head: the sky inside of it looks like the sky beside it."""
    image = drawn.street()
    image[:160, 130:510] = (120, 170, 235)
    x1, y1, x2, y2 = drawn.head(image, 300, 40, 20, "red")
    scene = Scene.of_frame(image, np.array([[x1 - 8, y1, x2 + 8, y2]]))
    painted = applied(name, scene, 3).astype(float)
    inside = np.median(painted[45:95, 293:298], axis=(0, 1))
    beside = np.median(painted[45:95, 270:285], axis=(0, 1))
    assert inside == pytest.approx(beside, abs=8)


# Measured on 225 readable heads of the sample, one draw each, at severity 3: kept (another state) fog 0.92 (2 %), rain
# 0.97 (0.9 %), lens_drops 1.00 (0), wet_road 1.00 (0), snow 0.97 (0.4 %). The reader looks for a dark housing, which
# fog hides.
@pytest.mark.parametrize("name", NAMES)
def test_real_lamps_keep_their_state(name, shared_data):
    root = shared_data / "dtld_fridtjofs"
    kept = other = total = 0
    for label in sorted((root / "raw_dataset" / "annotations").glob("*.txt"))[::16]:
        image = read_rgb(root / "raw_dataset" / "images" / f"{label.stem}.jpg")
        height, width = image.shape[:2]
        rows = np.array([line.split()[1:] for line in label.read_text().splitlines()], float).reshape(-1, 4)
        centre, size = rows[:, :2] * (width, height), rows[:, 2:] * (width, height)
        boxes = np.hstack([centre - size / 2, centre + size / 2])
        states = [json.loads(path.read_text())["state"] for path in _crops(root, label.stem, len(boxes))]
        painted = applied(name, Scene.of_frame(image, boxes, 0.38), 3)
        for (x1, y1, x2, y2), state in zip(np.maximum(np.round(boxes), 0).astype(int), states, strict=True):
            true = (None, State.RED, State.RED_YELLOW, State.YELLOW, State.GREEN)[state]
            if true is None or y2 - y1 < 12 or read_state(image[y1:y2, x1:x2]).state is not true:
                continue
            read = read_state(painted[y1:y2, x1:x2]).state
            kept, other, total = kept + (read is true), other + (read not in (true, None)), total + 1
    assert total > 30
    assert kept / total >= (0.8 if name == "fog" else 0.9) and other <= 2


def _crops(root, stem, n):
    return [root / "sd_train_data" / f"{stem}_{i}.json" for i in range(n)]


def test_conditions():
    assert EFFECTS["fog"].weather is Weather.FOGGY
    assert EFFECTS["rain"].weather is Weather.RAINY
    assert EFFECTS["snow"].weather is Weather.SNOWY
    assert EFFECTS["lens_drops"].weather is None and EFFECTS["wet_road"].weather is None
    for name in ("fog", "rain", "snow"):
        assert EFFECTS[name].weather in EFFECTS[name].not_in_weather
        assert EFFECTS[name].time_of_day is None
    assert Weather.SNOWY in EFFECTS["rain"].not_in_weather
    assert Weather.SNOWY in EFFECTS["wet_road"].not_in_weather


@pytest.mark.parametrize("name", NAMES)
def test_fast_enough_for_a_loader(name, drawn):
    """25 ms are aimed at on a free core; the bound is for one that is shared."""
    image = cv2.resize(drawn.street(), (1280, 720))
    scene = Scene.of_frame(image, np.array([[300.0, 100, 320, 160], [700, 150, 712, 186]]))
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        times = []
        for seed in range(5):
            start = time.process_time()
            applied(name, scene, 5, seed)
            times.append(time.process_time() - start)
    finally:
        cv2.setNumThreads(threads)
    assert min(times) < 0.06
