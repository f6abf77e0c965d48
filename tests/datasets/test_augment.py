"""Augmentation: pixels and boxes move together, colours and directions stay true, unsafe transforms are refused."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_datasets.augment import AugmentConfig, Augmenter, Labelled, Transform, flip_lr, lamp_survival, paint
from tl_datasets.errors import ConfigError
from tl_datasets.label_space import LabelSpace
from tl_datasets.letterbox import PAD_VALUE

STATES = LabelSpace.model_validate({"classes": {"red": {"state": "red"}, "green": {"state": "green"}}})
THREE = LabelSpace.model_validate({"classes": {state: {"state": state} for state in ("red", "green", "yellow")}})
ARROWS = LabelSpace.model_validate(
    {
        "classes": {
            "left": {"pictogram": "arrow_left"},
            "circle": {"pictogram": "circle"},
            "right": {"pictogram": "arrow_right"},
            "straight_left": {"pictogram": "arrow_straight_left"},
            "straight_right": {"pictogram": "arrow_straight_right"},
        }
    }
)
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
NOTHING = {"mosaic": 0, "scale": [1, 1], "translate": 0, "flip_lr": 0}


def augmenter(space: LabelSpace = STATES, size: tuple[int, int] = (192, 96), **changed: Any) -> Augmenter:
    return Augmenter(AugmentConfig.model_validate(NOTHING | changed), space, *size)


def squares(width: int = 240, height: int = 120, seed: int = 0, only: int | None = None) -> Labelled:
    """Three squares of 24 px apart from one another, of the colours of class id 0, 1, 2 or of one of them."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), np.uint8)
    boxes, classes = [], []
    for number in range(3):
        x = number * width // 3 + int(rng.integers(6, width // 3 - 34))
        y = int(rng.integers(2, height - 28))
        classes.append(number if only is None else only)
        image[y : y + 24, x : x + 24] = COLOURS[classes[-1]]
        boxes.append([x, y, x + 24, y + 24])
    return Labelled(image=image, xyxy=np.array(boxes, float), class_id=np.array(classes))


def found_square(image: np.ndarray, near: np.ndarray, channel: int) -> np.ndarray:
    """Edges of a coloured square, to a fraction of a pixel, from the brightness of its rows and columns."""
    x1, y1, x2, y2 = np.round(near).astype(int)
    top, left = max(0, y1 - 4), max(0, x1 - 4)
    others = [axis for axis in range(3) if axis != channel]
    window = image[top : y2 + 4, left : x2 + 4].astype(float)
    # Grey padding has equal channels; the square has one.
    lit = np.clip(window[:, :, channel] - window[:, :, others].max(axis=2), 0, None) / 255
    columns, rows = lit.max(axis=0), lit.max(axis=1)
    return np.array(
        [
            left + _first_edge(columns),
            top + _first_edge(rows),
            left + len(columns) - _first_edge(columns[::-1]),
            top + len(rows) - _first_edge(rows[::-1]),
        ]
    )


def _first_edge(profile: np.ndarray) -> float:
    """Where a profile that rises from 0 to 1 crosses: its half height between pixel centres."""
    above = int(np.argmax(profile >= 0.5))
    if above == 0:
        return 0.0
    low, high = profile[above - 1], profile[above]
    return above - 0.5 + (0.5 - low) / (high - low)


GEOMETRY = {
    "nothing": {},
    "scale": {"scale": [0.6, 1.8]},
    "translate": {"translate": 0.3},
    "flip": {"flip_lr": 1},
    "mosaic": {"mosaic": 1, "scale": [0.8, 1.5]},
    "all of it": {"mosaic": 1, "scale": [0.6, 1.8], "translate": 0.2, "flip_lr": 0.5},
}


@pytest.mark.parametrize("what", list(GEOMETRY))
def test_boxes_follow_the_pixels_to_half_a_pixel(what):
    tool = augmenter(THREE, min_visible=0.0, **GEOMETRY[what])
    checked = 0
    for seed in range(40):
        # Tiles side by side have different colours, so that a square has no neighbour of its own.
        frames = [squares(seed=seed)]
        if "mosaic" in GEOMETRY[what]:
            frames = [squares(seed=10 * seed + number, only=colour) for number, colour in enumerate((0, 1, 2, 0))]
        made = tool.sample(frames, np.random.default_rng(seed))
        assert made.image.shape == (96, 192, 3)
        assert ((made.xyxy >= 0) & (made.xyxy <= [192, 96, 192, 96])).all()
        for box, class_id in zip(made.xyxy, made.class_id, strict=True):
            # A box that is cut by a tile or the canvas has an edge there, which pixels cannot show to a fraction.
            cut = (box[2] - box[0]) / (box[3] - box[1])
            if not 0.98 < cut < 1.02 or (box[2] - box[0]) < 8:
                continue
            assert np.abs(found_square(made.image, box, int(class_id)) - box).max() < 0.5, (what, seed, box)
            checked += 1
    assert checked > 40


def test_without_anything_to_do_the_sample_is_the_letterboxed_frame():
    frame = squares(192, 96)
    made = augmenter().sample([frame], np.random.default_rng(0))
    assert np.array_equal(made.image, frame.image)
    assert np.array_equal(made.xyxy, frame.xyxy) and made.vanished == 0


def test_the_argument_is_not_changed():
    frame = squares()
    before = frame.image.copy(), frame.xyxy.copy()
    augmenter(THREE, **GEOMETRY["all of it"]).sample([frame] * 4, np.random.default_rng(1))
    assert np.array_equal(frame.image, before[0]) and np.array_equal(frame.xyxy, before[1])


# --- mirror images


@given(st.integers(0, 2**31), st.integers(0, 6))
@settings(max_examples=30, deadline=None)
def test_flip_twice_is_identity_classes_included(seed, n):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 20, (n, 2))
    sample = Labelled(
        image=rng.integers(0, 255, (30, 41, 3), dtype=np.uint8),
        xyxy=np.concatenate([corner, corner + rng.uniform(1, 9, (n, 2))], axis=1),
        class_id=rng.integers(0, 5, n),
        vanished=2,
    )
    once = flip_lr(sample, ARROWS.mirrored)
    twice = flip_lr(once, ARROWS.mirrored)
    assert np.array_equal(twice.image, sample.image) and np.allclose(twice.xyxy, sample.xyxy, atol=1e-12)
    assert np.array_equal(twice.class_id, sample.class_id) and twice.vanished == 2
    assert (once.xyxy[:, 2:] > once.xyxy[:, :2]).all()


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("left", "right"),
        ("right", "left"),
        ("circle", "circle"),
        ("straight_left", "straight_right"),
        ("straight_right", "straight_left"),
    ],
)
def test_a_mirrored_arrow_is_the_other_arrow(name, becomes):
    frame = squares(192, 96)
    one = Labelled(image=frame.image, xyxy=frame.xyxy[:1], class_id=np.array([ARROWS.names.index(name)]))
    made = augmenter(ARROWS, flip_lr=1).sample([one], np.random.default_rng(0))
    assert ARROWS.names[int(made.class_id[0])] == becomes


def test_a_class_without_a_mirror_class_refuses_the_flip():
    alone = LabelSpace.model_validate({"classes": {"left": {"pictogram": "arrow_left"}}})
    with pytest.raises(ConfigError, match=r"augment.flip_lr: class 'left' has no mirror class; set flip_lr: 0"):
        augmenter(alone, flip_lr=0.1)
    augmenter(alone, flip_lr=0)


# --- what may be done to pixels

SAFE = {
    "RandomBrightnessContrast": {"brightness_limit": 0.2, "contrast_limit": 0.2},
    "RandomGamma": {"gamma_limit": [80, 125]},
    "GaussNoise": {"std_range": [0.01, 0.04]},
    "MotionBlur": {"blur_limit": [3, 5]},
    "ImageCompression": {"quality_range": [60, 95]},
    "CLAHE": {},
    "Sharpen": {},
}
UNSAFE = {
    "HueSaturationValue": {},
    "ColorJitter": {},
    "ChannelShuffle": {},
    "ChannelDropout": {},
    "ToGray": {},
    "RGBShift": {},
    "PlanckianJitter": {},
    "InvertImg": {},
    "Solarize": {},
}


@pytest.mark.parametrize("name", list(SAFE))
def test_safe_transforms_are_taken_and_change_pixels_alone(name):
    tool = augmenter(transforms=[{"name": name, "p": 1.0, **SAFE[name]}])
    frame = squares(192, 96)
    frame = Labelled(image=cv2.GaussianBlur(frame.image, (5, 5), 0), xyxy=frame.xyxy, class_id=frame.class_id)
    made = tool.sample([frame], np.random.default_rng(3))
    assert made.image.dtype == np.uint8 and made.image.shape == frame.image.shape
    assert not np.array_equal(made.image, frame.image)
    assert np.array_equal(made.xyxy, frame.xyxy) and np.array_equal(made.class_id, frame.class_id)


@pytest.mark.parametrize("name", list(UNSAFE))
def test_unsafe_transforms_are_refused_by_name(name):
    transform = {"name": name, **UNSAFE[name]}
    with pytest.raises(ConfigError, match=rf"augment.transforms.{name}: only \d+% of drawn (red|yellow|green) lamps"):
        augmenter(transforms=[{"name": "RandomGamma"}, transform])
    augmenter(transforms=[transform], allow_unsafe=[name])


def test_the_override_is_for_the_named_transform_alone():
    with pytest.raises(ConfigError, match="ToGray"):
        augmenter(transforms=[{"name": "RGBShift"}, {"name": "ToGray"}], allow_unsafe=["RGBShift"])


@pytest.mark.parametrize("name", ["HorizontalFlip", "VerticalFlip", "Rotate", "Affine", "Transpose", "RandomCrop"])
def test_geometry_is_not_left_to_albumentations(name):
    arguments = {"height": 10, "width": 10} if name == "RandomCrop" else {}
    with pytest.raises(ConfigError, match=f"augment.transforms.{name}: moves or turns signal heads"):
        augmenter(transforms=[{"name": name, **arguments}])


@pytest.mark.parametrize("name", ["RandomGama", "Compose", "cv2", "__version__"])
def test_unknown_names(name):
    with pytest.raises(ConfigError, match=f"augment.transforms.{name}: is no transform"):
        augmenter(transforms=[{"name": name}])


def test_wrong_arguments_are_refused_with_the_name():
    with pytest.raises(ConfigError, match=r"augment.transforms.RandomGamma: "):
        augmenter(transforms=[{"name": "RandomGamma", "gamma_limit": "bright"}])


def test_a_misspelt_argument_is_refused():
    with pytest.raises(ConfigError, match=r"augment.transforms.RandomGamma: .*gama_limit"):
        augmenter(transforms=[{"name": "RandomGamma", "gama_limit": [80, 120]}])


def test_survival_is_a_share_and_measured_at_full_strength():
    grey = lamp_survival(Transform(name="ToGray", p=0.01), draws=4)
    assert grey == {"red": 0.0, "yellow": 0.0, "green": 0.0}
    assert lamp_survival(Transform(name="RandomGamma", p=0.0), draws=4) == {"red": 1.0, "yellow": 1.0, "green": 1.0}


@pytest.mark.parametrize("scale", [[0, 1], [-1, 1], [1.5, 0.5]])
def test_scale_must_be_a_range(scale):
    with pytest.raises(ConfigError, match=r"augment.scale: .*lower first"):
        augmenter(scale=scale)


# --- what a crop leaves of a box


def one_box(box: list[float]) -> Labelled:
    image = np.full((96, 192, 3), 10, np.uint8)
    x1, y1, x2, y2 = (int(value) for value in box)
    image[y1:y2, x1:x2] = 255
    return Labelled(image=image, xyxy=np.array([box], float), class_id=np.array([1]))


def zoomed(box: list[float], **changed: Any) -> Labelled:
    return augmenter(scale=[2, 2], **changed).sample([one_box(box)], np.random.default_rng(0))


@pytest.mark.parametrize(
    ("what", "box", "kept", "vanished"),
    [
        ("wholly inside", [90, 40, 100, 60], 1, 0),
        ("wholly outside", [0, 0, 10, 20], 0, 0),
        ("six tenths inside", [44, 40, 54, 60], 1, 0),
        ("four tenths inside: painted over", [42, 40, 52, 60], 0, 1),
        ("a sliver", [39, 40, 49, 60], 0, 1),
    ],
)
def test_a_box_is_kept_gone_or_painted_over(what, box, kept, vanished):
    # At twice the size the canvas shows columns 48 to 144 and rows 24 to 72 of the frame.
    made = zoomed(box)
    assert (len(made.xyxy), made.vanished) == (kept, vanished), what
    # What has no label shows no lamp.
    assert (made.image.max() > 200) == bool(kept), what
    assert (made.image == PAD_VALUE).any() == bool(vanished), what


def test_a_kept_box_is_cut_at_the_canvas():
    assert zoomed([44, 40, 54, 60]).xyxy.tolist() == [[0, 32, 12, 72]]


def test_boxes_under_the_smallest_size_are_painted_over():
    frame = one_box([90, 40, 93, 60])
    small = augmenter(scale=[0.5, 0.5], min_size_px=2).sample([frame], np.random.default_rng(0))
    assert (len(small.xyxy), small.vanished) == (0, 1)
    assert small.image.max() < 200
    kept = augmenter(scale=[0.5, 0.5], min_size_px=1).sample([frame], np.random.default_rng(0))
    assert (len(kept.xyxy), kept.vanished) == (1, 0)


def test_paint_covers_every_pixel_that_the_box_touches():
    nothing = np.zeros((0, 4))
    image = np.zeros((10, 10, 3), np.uint8)
    paint(image, np.array([[1.5, 2.0, 3.2, 4.0]]), nothing)
    assert (image[2:4, 1:4] == PAD_VALUE).all()
    assert int((image == PAD_VALUE).all(axis=2).sum()) == 6
    paint(image, np.array([[-5.0, 8.5, 2.0, 20.0]]), nothing)
    assert (image[8:, :2] == PAD_VALUE).all()


def test_paint_leaves_what_is_learned():
    image = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
    before = image.copy()
    paint(image, np.array([[0.0, 0, 8, 8]]), np.array([[2.0, 2, 4, 5]]))
    assert (image[2:5, 2:4] == before[2:5, 2:4]).all()
    assert int((image == PAD_VALUE).all(axis=2).sum()) == 64 - 6


def test_a_box_without_area_is_no_label():
    frame = one_box([-20, 40, -10, 60])
    made = augmenter(scale=[1, 1], translate=0, min_visible=0, min_size_px=0).sample([frame], np.random.default_rng(0))
    assert (len(made.xyxy), made.vanished) == (0, 0)


def test_mosaic_tiles_show_an_object_and_no_padding():
    rng = np.random.default_rng(0)
    frame = Labelled(
        image=rng.integers(150, 255, (100, 200, 3), dtype=np.uint8),
        xyxy=np.array([[5.0, 5, 15, 25]]),
        class_id=np.array([0]),
    )
    tool = augmenter(mosaic=1, scale=[0.2, 0.4], min_visible=0.5)
    for seed in range(20):
        made = tool.sample([frame] * 4, np.random.default_rng(seed))
        assert len(made.xyxy) + made.vanished == 4
        painted = (made.image == PAD_VALUE).all(axis=2)
        assert painted.mean() < 0.05 if made.vanished else not painted.any()


def test_frames_without_boxes_pass():
    empty = Labelled(image=np.zeros((50, 70, 3), np.uint8), xyxy=np.zeros((0, 4)), class_id=np.zeros(0, np.int64))
    for frames in ([empty], [empty] * 4):
        made = augmenter(**GEOMETRY["all of it"]).sample(frames, np.random.default_rng(0))
        assert made.xyxy.shape == (0, 4) and made.class_id.shape == (0,)
