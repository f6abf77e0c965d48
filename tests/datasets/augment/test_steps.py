"""The list `transforms`: names and arguments, what is refused, and what is written into the sample."""

from __future__ import annotations

import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tl_datasets.augment.labelled import Labelled
from tl_datasets.augment.probe import refuse_bad_geometry
from tl_datasets.augment.settings import AugmentConfig
from tl_datasets.augment.steps import Step, effect_step, one_of, run_steps
from tl_datasets.effects.scene import Effect
from tl_datasets.errors import ConfigError
from tl_datasets.taxonomy import State, TimeOfDay, Weather

PIXELS = {
    "RandomBrightnessContrast": {"brightness_limit": 0.2, "contrast_limit": 0.2},
    "RandomGamma": {"gamma_limit": [80, 125]},
    "GaussNoise": {"std_range": [0.01, 0.04]},
    "MotionBlur": {"blur_limit": [3, 5]},
    "ImageCompression": {"quality_range": [60, 95]},
    "CLAHE": {},
    "Sharpen": {},
}


@pytest.mark.parametrize("name", list(PIXELS))
def test_pixel_transforms_change_pixels_alone(name, augmenter, sample_of, squares):
    frame = squares(192, 96)
    frame = replace(frame, image=cv2.GaussianBlur(frame.image, (5, 5), 0))
    made = sample_of(augmenter(transforms=[{"name": name, "p": 1.0, **PIXELS[name]}]), [frame], 3)
    assert made.image.dtype == np.uint8 and made.image.shape == frame.image.shape
    assert not np.array_equal(made.image, frame.image)
    assert np.array_equal(made.xyxy, frame.xyxy) and np.array_equal(made.class_id, frame.class_id)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("HorizontalFlip", "mirrors the picture, .*use augment.flip_lr"),
        ("VerticalFlip", "puts signal heads upside down"),
        ("Transpose", "mirrors the picture|upside down|gives an image of shape"),
        ("RandomRotate90", "turns signal heads by up to|upside down|gives an image of shape"),
        ("D4", "mirrors the picture|upside down|gives an image of shape"),
        ("Rotate", r"turns signal heads by up to [89]\d degrees, expected at most 10|upside down"),
        ("SafeRotate", "turns signal heads|upside down|pixels are"),
        ("ElasticTransform", "drops points|pixels (are|.*px) .*boxes would not follow"),
        ("RandomGridShuffle", "pixels are not|turns|mirrors|upside down"),
        ("CoarseDropout", "drops points|pixels are not"),
    ],
)
def test_what_moves_heads_is_refused(name, message, augmenter):
    arguments = {"ElasticTransform": {"alpha": 300, "sigma": 10}}.get(name, {})
    with pytest.raises(ConfigError, match=f"augment.transforms.{name}: .*({message})"):
        augmenter(transforms=[{"name": name, "p": 0.01, **arguments}])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("RandomCrop", {"height": 10, "width": 10}), ("Resize", {"height": 50, "width": 60}), ("RandomScale", {})],
)
def test_the_size_must_stay(name, arguments, augmenter):
    with pytest.raises(ConfigError, match=rf"augment.transforms.{name}: gives an image of shape .* must stay"):
        augmenter(transforms=[{"name": name, **arguments}])


SMALL = [(32, 32), (64, 32), (96, 64), (95, 96), (150, 120)]


@pytest.mark.parametrize("size", SMALL)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("RandomCrop", {"width": "W", "height": "H"}),
        ("Resize", {"width": "W", "height": "H"}),
        ("RandomResizedCrop", {"size": ["H", "W"], "scale": [0.5, 1]}),
        ("Affine", {"scale": [0.5, 1.5], "translate_percent": [-0.2, 0.2]}),
        ("NoOp", {}),
    ],
)
def test_transforms_are_tried_at_the_size_of_the_input(name, arguments, size, augmenter):
    sides = {"W": size[0], "H": size[1]}
    given = {
        key: [sides.get(item, item) for item in value] if isinstance(value, list) else sides[value]
        for key, value in arguments.items()
    }
    assert augmenter(size=size, transforms=[{"name": name, **given}]).steps[0].name == name


@pytest.mark.parametrize("size", SMALL)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("HorizontalFlip", {}),
        ("VerticalFlip", {}),
        ("Rotate", {"limit": [12, 12]}),
        ("RandomGridShuffle", {}),
        ("CoarseDropout", {}),
    ],
)
def test_what_moves_heads_is_refused_on_small_inputs_too(name, arguments, size, augmenter):
    with pytest.raises(ConfigError, match=f"augment.transforms.{name}: (mirrors|puts|turns|pixels)"):
        augmenter(size=size, transforms=[{"name": name, **arguments}])


def test_boxes_that_stay_behind_on_a_small_input_are_met(squares):
    def shift(sample: Labelled, _: np.random.Generator) -> Labelled:
        return replace(sample, image=np.roll(sample.image, 1, axis=1))

    for size in SMALL:
        with pytest.raises(ConfigError, match=r"transforms.shift: pixels are 1.0 px from where it says"):
            refuse_bad_geometry(Step(name="shift", p=1, apply=shift), size)


@pytest.mark.parametrize("name", ["BasicTransform", "ImageOnlyTransform", "DualTransform", "Transform3D"])
def test_what_transforms_are_derived_from_is_none(name, augmenter):
    with pytest.raises(ConfigError, match=f"augment.transforms.{name}: is no transform of albumentations"):
        augmenter(transforms=[{"name": name}])


@pytest.mark.parametrize("name", ["CoarseDropout3D", "CubicSymmetry", "ToTensorV2"])
def test_transforms_of_volumes_are_refused(name, augmenter):
    with pytest.raises(ConfigError, match=f"augment.transforms.{name}: is for volumes or for other data than images"):
        augmenter(transforms=[{"name": name}])


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ({"name": "BBoxSafeRandomCrop"}, r"fails \(KeyError: 'bboxes'\)"),
        ({"name": "RandomSizedBBoxSafeCrop", "height": 96, "width": 192}, r"fails \(KeyError: 'bboxes'\)"),
        ({"name": "CropNonEmptyMaskIfExists", "height": 96, "width": 192}, r"fails \(RuntimeError: "),
        ({"name": "Downscale", "scale_range": [0.0001, 0.0001]}, r"fails \(error: OpenCV"),
    ],
)
def test_whatever_albumentations_raises_is_told_in_one_line(transform, message, augmenter, sample_of, squares):
    with pytest.raises(ConfigError, match=f"augment.transforms.{transform['name']}: {message}") as caught:
        sample_of(augmenter(transforms=[{"p": 1.0, **transform}]), [squares()])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["RandomGama", "Compose", "cv2", "__version__", "rian"])
def test_unknown_names(name, augmenter):
    with pytest.raises(ConfigError, match=f"augment.transforms.{name}: is no transform of albumentations"):
        augmenter(transforms=[{"name": name}])


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ({"name": "RandomGamma", "gamma_limit": "bright"}, r"augment.transforms.RandomGamma: "),
        ({"name": "RandomGamma", "gama_limit": [80, 120]}, r"augment.transforms.RandomGamma: .*gama_limit"),
        ({"name": "fog", "severity": 0}, r"augment.transforms.fog: severity: 0, expected a number from 1 to 5"),
        ({"name": "fog", "severity": [3, 2]}, r"fog: severity: \[3, 2\]"),
        ({"name": "fog", "severity": True}, "fog: severity: True"),
        ({"name": "fog", "severity": "high"}, "fog: severity: high"),
        ({"name": "fog", "strength": 2}, "fog: no argument strength; expected severity and p"),
        ({"name": "one_of"}, "one_of: expected a list `of`"),
        ({"name": "one_of", "of": []}, "one_of: of: expected a list of steps"),
        ({"name": "one_of", "of": [{"p": 1}]}, "one_of: of: each step needs a name"),
        ({"name": "one_of", "of": [{"name": "RandomGama"}]}, "RandomGama: is no transform"),
        ({"name": "one_of", "of": [{"name": "RandomGamma", "p": 0}]}, "one_of: of: .*p above 0"),
        ({"name": "one_of", "of": [{"name": ""}]}, "one_of: of: .*expected the name of a step, such as fog"),
        ({"name": "RandomGamma", "strict": False}, "RandomGamma: no argument strict; misspelt arguments are refused"),
        ({"name": "ToFloat"}, r"transforms.ToFloat: gives an image of float32, expected uint8"),
        ({"name": "Normalize"}, r"transforms.Normalize: gives an image of float32"),
    ],
)
def test_wrong_arguments_are_refused_with_the_name(transform, message, augmenter, sample_of, squares):
    with pytest.raises(ConfigError, match=message):
        sample_of(augmenter(transforms=[{"p": 1.0, **transform}]), [squares()])


def test_a_step_that_gives_nan_is_named(squares):
    def broken(sample: Labelled, _: np.random.Generator) -> Labelled:
        image = sample.image.astype(np.float32)
        image[3, 3] = np.nan
        return replace(sample, image=image)

    with pytest.raises(ConfigError, match=r"augment.transforms.broken: .*float32, some of them not finite"):
        Step(name="broken", p=1, apply=broken).always(squares(), np.random.default_rng(0))

    def lost(sample: Labelled, _: np.random.Generator) -> Labelled:
        return replace(sample, xyxy=sample.xyxy * np.nan)

    with pytest.raises(ConfigError, match=r"augment.transforms.lost: gives boxes that are not finite"):
        Step(name="lost", p=1, apply=lost).always(squares(), np.random.default_rng(0))


def test_steps_reach_other_processes(augmenter, sample_of, squares):
    tool = augmenter(
        transforms=[
            {"name": "GaussNoise", "p": 1},
            {"name": "Affine", "p": 1, "rotate": [-5, 5]},
            {"name": "one_of", "p": 1, "of": [{"name": "RandomGamma"}, {"name": "CLAHE"}]},
        ]
    )
    other = pickle.loads(pickle.dumps(tool))
    assert np.array_equal(sample_of(tool, [squares()]).image, sample_of(other, [squares()]).image)


def test_a_misspelt_override_is_refused(augmenter):
    with pytest.raises(ConfigError, match=r"augment.allow_unsafe: 'ToGrey' is not among .*\(ToGray\)"):
        augmenter(transforms=[{"name": "ToGray"}], allow_unsafe=["ToGrey"])
    inner = {"name": "one_of", "of": [{"name": "ToGray"}]}
    for step in (inner, {"name": "one_of", "of": [{"name": "fog"}, inner]}):
        augmenter(transforms=[step], allow_unsafe=["ToGray"])
        with pytest.raises(ConfigError, match=r"augment.allow_unsafe: 'ToGrey' is not among .*ToGray"):
            augmenter(transforms=[step], allow_unsafe=["ToGrey"])


def test_an_override_names_steps_and_no_one_of(augmenter):
    inner = {"name": "one_of", "of": [{"name": "ToGray"}]}
    with pytest.raises(ConfigError, match=r"augment.allow_unsafe: 'one_of' allows nothing.* name the steps of its"):
        augmenter(transforms=[inner], allow_unsafe=["one_of"])


def test_a_list_is_the_list_of_transforms():
    assert AugmentConfig.model_validate([{"name": "fog"}]).transforms[0].name == "fog"


def test_keys_with_nothing_behind_them():
    """`augment:` and `transforms:` alone in a line are null in YAML."""
    assert AugmentConfig.model_validate(None) == AugmentConfig()
    assert AugmentConfig.model_validate({"transforms": None, "mosaic": 0}) == AugmentConfig(transforms=(), mosaic=0)


@pytest.mark.parametrize("name", ["", "  "])
def test_a_step_has_a_name(name):
    with pytest.raises(ValueError, match=r"'.*', expected the name of a step, such as fog or RandomGamma"):
        AugmentConfig.model_validate([{"name": name}])


@pytest.mark.parametrize("scale", [[0, 1], [-1, 1], [1.5, 0.5], [1, float("inf")]])
@pytest.mark.parametrize("key", ["scale", "crop_scale"])
def test_scale_must_be_a_range(key, scale):
    with pytest.raises(ValueError, match="lower first"):
        AugmentConfig.model_validate({key: scale})


def test_what_albumentations_says_is_logged(augmenter, caplog):
    augmenter(transforms=[{"name": "ShiftScaleRotate", "rotate_limit": 5}])
    assert "augment.transforms.ShiftScaleRotate: ShiftScaleRotate is a special case of Affine" in caplog.text


# --- effects


def darker(scene, severity, rng):
    return (scene.image // (1 + severity)).astype(np.uint8)


IS_LIGHT = np.array([True, False, True])


def test_an_effect_writes_what_it_makes(squares):
    effect = Effect(apply=darker, weather=Weather.FOGGY, time_of_day=TimeOfDay.NIGHT)
    step = effect_step("gloom", 1.0, effect, (1, 1), IS_LIGHT)
    made = step.always(replace(squares(), weather="clear"), np.random.default_rng(0))
    assert (made.weather, made.time_of_day, made.made) == ("foggy", "night", ("gloom",))
    assert made.image.max() == 127


def test_an_effect_leaves_excluded_frames_alone(squares):
    effect = Effect(
        apply=darker, not_in_weather=frozenset({Weather.SNOWY}), not_in_time_of_day=frozenset({TimeOfDay.NIGHT})
    )
    step = effect_step("gloom", 1.0, effect, (1, 5), IS_LIGHT)
    for fields in ({"weather": "snowy"}, {"time_of_day": "night"}):
        frame = replace(squares(), **fields)
        assert step.always(frame, np.random.default_rng(0)) is frame
    assert step.always(replace(squares(), weather="clear"), np.random.default_rng(0)).made == ("gloom",)


def test_an_effect_knows_the_heads_and_no_other_boxes(squares):
    seen = []

    def look(scene, severity, rng):
        seen.append((scene.lights_xyxy.tolist(), severity))
        return scene.image.copy()

    frame = squares()
    effect_step("look", 1.0, Effect(apply=look), (2, 3), IS_LIGHT).always(frame, np.random.default_rng(0))
    assert seen[0][0] == frame.xyxy[[0, 2]].tolist() and 2 <= seen[0][1] <= 3


def test_an_effect_knows_what_heads_show(squares):
    seen = []

    def look(scene, severity, rng):
        seen.append(scene.lights_state)
        return scene.image.copy()

    frame = squares()
    states = (State.RED, None, State.OFF)
    for given, expected in ((states, (State.RED, State.OFF)), ((), (None, None))):
        effect_step("look", 1.0, Effect(apply=look), (2, 3), IS_LIGHT, given).always(frame, np.random.default_rng(0))
        assert seen.pop() == expected


def test_one_of_runs_one_in_proportion(squares):
    def named(name):
        return Step(name=name, p={"a": 0.6, "b": 0.2}[name], apply=lambda s, _: replace(s, made=(*s.made, name)))

    step = one_of(0.5, [named("a"), named("b")])
    assert [round(inner.p, 9) for inner in step.of] == [0.75, 0.25]
    runs = [run_steps([step], squares(), np.random.default_rng(seed)).made for seed in range(800)]
    counts = [sum(run == (name,) for run in runs) for name in "ab"]
    assert all(len(run) <= 1 for run in runs)
    assert abs(counts[0] - 300) < 45 and abs(counts[1] - 100) < 30
