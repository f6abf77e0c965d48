"""What holds for every effect."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from tl_datasets.effects.effects import EFFECTS
from tl_datasets.effects.scene import Scene, View

# Nothing in them is left to chance.
_WITHOUT_CHANCE = {"jpeg", "defocus"}
# They lie over the whole picture, padding included: the camera sees no views.
_WHOLE_PICTURE = {"motion_blur", "defocus", "sensor_noise", "jpeg"}

each_effect = pytest.mark.parametrize("name", sorted(EFFECTS))


def street(height: int = 180, width: int = 320, seed: int = 0) -> Scene:
    """Sky over textured ground, with one red lamp."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), (120, 110, 100), np.uint8)
    image[: round(0.4 * height)] = (190, 205, 225)
    image = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    x, y = round(0.6 * width), round(0.2 * height)
    box = np.array([[x, y, x + max(1, width // 40), y + max(1, height // 8)]], float)
    image[y : int(box[0, 3]), x : int(box[0, 2])] = 30
    image[y + 1 : y + 1 + height // 30, x : int(box[0, 2])] = (235, 45, 40)
    return Scene.of_frame(image, box)


def mosaic() -> Scene:
    """Four frames, padding between and around them."""
    image = np.full((200, 340, 3), 114, np.uint8)
    views, boxes = [], []
    for x, y in ((10, 10), (175, 10), (10, 105), (175, 105)):
        frame = street(85, 155, seed=x + y)
        image[y : y + 85, x : x + 155] = frame.image
        views.append(View(x1=x, y1=y, x2=x + 155, y2=y + 85, horizon_px=y + 38.0, focal_px=155))
        boxes.append(frame.lights_xyxy + np.array([x, y, x, y]))
    return Scene(image=image, lights_xyxy=np.concatenate(boxes), views=tuple(views))


def apply(name: str, scene: Scene, severity: float = 3, seed: int = 0) -> np.ndarray:
    return EFFECTS[name].apply(scene, severity, np.random.default_rng(seed))


def test_names():
    assert EFFECTS and all(name == name.lower() and name.isidentifier() for name in EFFECTS)


@each_effect
@pytest.mark.parametrize("severity", [1, 2, 2.5, 3, 4, 4.9, 5])
def test_gives_a_new_image_of_the_same_size(name, severity):
    scene = street(720, 1280)  # a blur of 1 px is none in a small image
    before, boxes = scene.image.copy(), scene.lights_xyxy.copy()
    changed = apply(name, scene, severity)
    assert changed.shape == before.shape and changed.dtype == np.uint8
    assert not np.shares_memory(changed, scene.image)
    assert (scene.image == before).all() and (scene.lights_xyxy == boxes).all()
    assert (changed != before).any(), "it does something"


@each_effect
def test_a_read_only_image_will_do(name):
    scene = street()
    scene.image.setflags(write=False)
    scene.lights_xyxy.setflags(write=False)
    apply(name, scene)


@each_effect
def test_decided_by_the_seed(name):
    scene = street()
    first = apply(name, scene, seed=1)
    apply(name, street(96, 128), seed=5)  # whatever is cached by now
    assert (apply(name, scene, seed=1) == first).all()
    if name not in _WITHOUT_CHANCE:
        assert any((apply(name, scene, seed=seed) != first).any() for seed in (2, 3, 4))


@each_effect
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (40, 1), (3, 5), (7, 4), (31, 57), (101, 33)])
def test_odd_sizes(name, height, width):
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    box = np.array([[0, 0, width / 2, height]])
    for severity in (1, 5):
        assert apply(name, Scene.of_frame(image, box), severity).shape == image.shape


@each_effect
@pytest.mark.parametrize(
    "box",
    [(-30, -20, 10, 20), (310, 150, 400, 300), (500, 500, 520, 540), (50, 50, 50, 50), (50.2, 50.4, 50.9, 50.6)],
    ids=["over the corner", "over the other corner", "outside", "empty", "within a pixel"],
)
def test_odd_boxes(name, box):
    image = street().image
    assert apply(name, Scene.of_frame(image, np.array([box], float))).shape == image.shape


@each_effect
def test_without_a_view(name):
    scene = Scene(image=street().image)
    changed = apply(name, scene, 5)
    assert not np.shares_memory(changed, scene.image)
    assert (changed == scene.image).all() == (name not in _WHOLE_PICTURE)


@each_effect
def test_four_views(name):
    scene = mosaic()
    changed = apply(name, scene, 5)
    padding = np.ones(scene.image.shape[:2], bool)
    for view in scene.views:
        part = (slice(view.y1, view.y2), slice(view.x1, view.x2))
        padding[part] = False
        assert (changed[part] != scene.image[part]).any()
    if name not in _WHOLE_PICTURE:
        assert (changed[padding] == 114).all()


@each_effect
def test_views_that_reach_out_of_the_image(name):
    image = street().image
    views = (
        View(x1=-200, y1=-50, x2=100, y2=90, horizon_px=-20, focal_px=400),
        View(x1=100, y1=90, x2=900, y2=500, horizon_px=600, focal_px=800),
        View(x1=400, y1=0, x2=500, y2=50, horizon_px=20, focal_px=100),
    )
    assert apply(name, Scene(image=image, views=views)).shape == image.shape


@each_effect
@pytest.mark.parametrize("severity", [0, 0.99, 5.01, 6, -1, float("nan")])
def test_severity_outside_of_1_to_5(name, severity):
    with pytest.raises(ValueError, match="expected 1 to 5"):
        apply(name, street(), severity)


@each_effect
def test_fast_enough(name):
    """The target is 25 ms on one core of its own; the bound is generous, for others may be at work."""
    scene = street(720, 1280)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        apply(name, scene)
        times = []
        for seed in range(5):
            start = time.perf_counter()
            apply(name, scene, 5, seed)
            times.append(time.perf_counter() - start)
    finally:
        cv2.setNumThreads(threads)
    assert min(times) < 0.060
