"""A mirror image exchanges left and right; twice is the identity; some classes and countries have none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_datasets.augment.labelled import Labelled
from tl_datasets.augment.mirror import flip_lr, mirrored_ids
from tl_datasets.effects.scene import View
from tl_datasets.errors import ConfigError
from tl_datasets.label_space import LabelSpace

ARROWS = LabelSpace.model_validate(
    {
        "classes": {
            "left": {"pictogram": "arrow_left"},
            "circle": {"pictogram": "circle"},
            "right": {"pictogram": "arrow_right"},
            "straight_left": {"pictogram": "arrow_straight_left"},
            "straight_right": {"pictogram": "arrow_straight_right"},
            "left_right": {"pictogram": "arrow_left_right"},
        }
    }
)


@given(st.integers(0, 2**31), st.integers(0, 6))
@settings(max_examples=30, deadline=None)
def test_flip_twice_is_identity_classes_included(seed, n):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 20, (2 * n, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 9, (2 * n, 2))], axis=1)
    sample = Labelled(
        image=rng.integers(0, 255, (30, 41, 3), dtype=np.uint8),
        xyxy=boxes[:n],
        class_id=rng.integers(0, 6, n),
        visible=rng.uniform(0.5, 1, n),
        ignore_xyxy=boxes[n:],
        is_vanished=rng.random(n) < 0.5,
        views=(View(x1=3, y1=1, x2=20, y2=30, horizon_px=11.5, focal_px=40),),
        weather="rainy",
        made=("rain",),
    )
    once = flip_lr(sample, ARROWS.mirrored)
    twice = flip_lr(once, ARROWS.mirrored)
    assert np.array_equal(twice.image, sample.image) and np.allclose(twice.xyxy, sample.xyxy, atol=1e-12)
    assert np.allclose(twice.ignore_xyxy, sample.ignore_xyxy, atol=1e-12) and twice.views == sample.views
    assert np.array_equal(twice.class_id, sample.class_id) and np.array_equal(twice.visible, sample.visible)
    assert np.array_equal(twice.is_vanished, sample.is_vanished)
    assert (twice.weather, twice.made) == ("rainy", ("rain",))
    assert (once.xyxy[:, 2:] > once.xyxy[:, :2]).all()
    assert np.array_equal(once.image, sample.image[:, ::-1])


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("left", "right"),
        ("right", "left"),
        ("circle", "circle"),
        ("straight_left", "straight_right"),
        ("straight_right", "straight_left"),
        ("left_right", "left_right"),
    ],
)
def test_a_mirrored_arrow_is_the_other_arrow(name, becomes, augmenter, sample_of, squares):
    frame = squares(192, 96)
    one = Labelled(image=frame.image, xyxy=frame.xyxy[:1], class_id=np.array([ARROWS.names.index(name)]))
    made = sample_of(augmenter(ARROWS, flip_lr=1), [one])
    assert ARROWS.names[int(made.class_id[0])] == becomes


def test_states_and_pictograms_change_places_together():
    space = LabelSpace.model_validate(
        {
            "classes": {
                "red_left": {"state": "red", "pictogram": ["arrow_left", "arrow_straight_left"]},
                "green_left": {"state": "green", "pictogram": ["arrow_left", "arrow_straight_left"]},
                "green_right": {"state": "green", "pictogram": ["arrow_straight_right", "arrow_right"]},
                "red_right": {"state": "red", "pictogram": ["arrow_right", "arrow_straight_right"]},
                "red": {"state": "red", "pictogram": [None, "circle", "arrow_left_right"]},
            }
        }
    )
    assert space.mirrored == (3, 2, 1, 0, 4)


def test_a_class_without_a_mirror_class_refuses_the_flip(augmenter):
    alone = LabelSpace.model_validate({"classes": {"left": {"pictogram": "arrow_left"}}})
    with pytest.raises(ConfigError, match=r"augment.flip_lr: class 'left' has no mirror class; set flip_lr: 0"):
        augmenter(alone, flip_lr=0.1)
    augmenter(alone, flip_lr=0)
    with pytest.raises(ValueError, match="class 0 has no mirror class"):
        flip_lr(Labelled(image=np.zeros((4, 4, 3), np.uint8), xyxy=np.ones((1, 4)), class_id=np.array([0])), (None,))


def test_a_frame_that_may_not_be_mirrored_is_not(augmenter, sample_of, squares):
    frame = squares(192, 96)
    made = sample_of(augmenter(flip_lr=1), [frame], may_flip=False)
    assert np.array_equal(made.image, frame.image)


@pytest.mark.parametrize("code", ["de", "DEU", ""])
def test_countries_are_two_letters(code, augmenter):
    with pytest.raises(ValueError, match="no_flip_countries"):
        augmenter(no_flip_countries=[code])


def test_ignore_areas_and_views_are_mirrored():
    sample = Labelled(
        image=np.zeros((30, 41, 3), np.uint8),
        xyxy=np.array([[1.0, 2, 5, 8]]),
        class_id=np.array([1]),
        ignore_xyxy=np.array([[3.5, 4, 10, 20], [30, 1, 41, 6]]),
        views=(
            View(x1=0, y1=1, x2=12, y2=30, horizon_px=11.5, focal_px=40),
            View(x1=12, y1=1, x2=38, y2=30, horizon_px=-3, focal_px=70),
        ),
    )
    made = flip_lr(sample, ARROWS.mirrored)
    assert made.xyxy.tolist() == [[36, 2, 40, 8]]
    assert made.ignore_xyxy.tolist() == [[31, 4, 37.5, 20], [0, 1, 11, 6]]
    assert made.views == (
        View(x1=29, y1=1, x2=41, y2=30, horizon_px=11.5, focal_px=40),
        View(x1=3, y1=1, x2=29, y2=30, horizon_px=-3, focal_px=70),
    )


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {
                "classes": {
                    "left": {"pictogram": "arrow_left"},
                    "red": {"state": "red"},
                    "right": {"pictogram": "arrow_right"},
                }
            },
            "state red, pictogram arrow_left is 'left', so its mirror image ought to be 'right', but is 'red'",
        ),
        (
            {
                "classes": {"left": {"pictogram": "arrow_left"}, "right": {"pictogram": "arrow_right"}},
                "ignore": [{"pictogram": "arrow_right", "state": "red"}],
            },
            "ought to be 'right', but is ignored",
        ),
        (
            {
                "classes": {"left": {"pictogram": "arrow_left"}, "right": {"pictogram": "arrow_right"}},
                "drop": [{"pictogram": "arrow_left"}],
            },
            "is dropped, so its mirror image ought to be dropped, but is 'right'",
        ),
        (
            {
                "classes": {"left": {"facing": "left"}, "right": {"facing": "right"}},
                "ignore": [{"facing": "left", "occluded": True}],
            },
            "facing left, .*is ignored, so its mirror image ought to be ignored, but is 'right'",
        ),
    ],
)
def test_rules_that_treat_the_sides_differently_refuse_the_flip(space, message, augmenter):
    with pytest.raises(ConfigError, match=f"augment.flip_lr: a lamp with .*{message}; set flip_lr: 0"):
        augmenter(LabelSpace.model_validate(space), flip_lr=0.5)
    augmenter(LabelSpace.model_validate(space), flip_lr=0)


def test_a_head_that_is_pasted_takes_no_relevance_along(augmenter):
    space = LabelSpace.model_validate({"classes": {"ours": {"relevance": "relevant"}}, "otherwise": "drop"})
    with pytest.raises(ConfigError, match=r"augment.copy_paste.p: the classes ask for relevance"):
        augmenter(space, copy_paste={"p": 0.1})
    augmenter(space)


def test_sets_of_candidates_are_mirrored_with_the_classes():
    sets = np.array([[1, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 1, 0, 1, 1, 0]], dtype=bool)
    ids = mirrored_ids(ARROWS.mirrored, sets)
    assert ids == (2, 1, 0, 4, 3, 5, 7, 6, 8)
    corner = np.arange(6.0).reshape(3, 2)
    sample = Labelled(
        image=np.zeros((9, 9, 3), np.uint8), xyxy=np.hstack([corner, corner + 2]), class_id=np.array([6, 0, 8])
    )
    assert flip_lr(sample, ids).class_id.tolist() == [7, 2, 8]
    assert mirrored_ids(ARROWS.mirrored, sets[:1])[6] is None
    assert mirrored_ids((None,), sets[:, :1]) == (None,) * 4
