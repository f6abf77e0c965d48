"""No visible label vanishes: what is left too small or too cut becomes an ignore area."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_datasets.augment.labelled import Labelled, Visibility, keep_visible
from tl_datasets.boxes import area
from tl_datasets.label_space import LabelSpace


def one_box(box: list[float], class_id: int = 1) -> Labelled:
    image = np.full((96, 192, 3), 10, np.uint8)
    x1, y1, x2, y2 = (max(0, int(value)) for value in box)
    image[y1:y2, x1:x2] = 255
    return Labelled(image=image, xyxy=np.array([box], float), class_id=np.array([class_id]))


@pytest.mark.parametrize(
    ("what", "box", "kept", "vanished"),
    [
        ("wholly inside", [90, 40, 100, 60], 1, 0),
        ("wholly outside", [0, 0, 10, 20], 0, 0),
        ("nine tenths inside", [47, 40, 57, 60], 1, 0),
        ("eight tenths inside: a cut housing would lie", [46, 40, 56, 60], 0, 1),
        ("a sliver", [39, 40, 49, 60], 0, 1),
    ],
)
def test_a_box_is_kept_gone_or_ignored(what, box, kept, vanished, augmenter, sample_of):
    # At twice the size the canvas shows columns 48 to 144 and rows 24 to 72 of the frame.
    made = sample_of(augmenter(scale=[2, 2]), [one_box(box)])
    assert (len(made.xyxy), made.is_vanished.tolist()) == (kept, [True] * vanished), what
    # The pixels stay as they are.
    assert (made.image.max() > 200) == bool(kept + vanished), what


def test_kept_boxes_and_ignore_areas_are_cut_at_the_canvas(augmenter, sample_of):
    assert sample_of(augmenter(scale=[2, 2]), [one_box([47, 40, 57, 60])]).xyxy.tolist() == [[0, 32, 18, 72]]
    assert sample_of(augmenter(scale=[2, 2]), [one_box([42, 40, 52, 60])]).ignore_xyxy.tolist() == [[0, 32, 8, 72]]


def test_boxes_under_the_smallest_size_are_ignored(augmenter, sample_of):
    frame = one_box([90, 40, 93, 60])
    small = sample_of(augmenter(scale=[0.5, 0.5], min_size_px=2), [frame])
    assert (len(small.xyxy), small.is_vanished.tolist()) == (0, [True])
    assert small.ignore_xyxy.tolist() == [[93, 44, 94.5, 54]]
    kept = sample_of(augmenter(scale=[0.5, 0.5], min_size_px=1), [frame])
    assert (len(kept.xyxy), len(kept.ignore_xyxy)) == (1, 0)


def test_other_categories_may_be_cut_more(augmenter, sample_of):
    space = LabelSpace.model_validate({"classes": {"light": {}, "car": {"category": "car"}}})
    tool = augmenter(space, scale=[2, 2])
    assert len(sample_of(tool, [one_box([44, 40, 54, 60], class_id=1)]).xyxy) == 1
    assert len(sample_of(tool, [one_box([44, 40, 54, 60], class_id=0)]).xyxy) == 0


def test_a_box_without_area_is_no_label(augmenter, sample_of):
    made = sample_of(augmenter(min_visible=0, min_size_px=0), [one_box([-20, 40, -10, 60])])
    assert (len(made.xyxy), len(made.ignore_xyxy)) == (0, 0)


def test_two_cuts_add_up(augmenter, sample_of):
    """Three quarters of three quarters is not three quarters."""
    tool = augmenter(
        min_visible=0.7,
        scale=[2, 2],
        transforms=[{"name": "Affine", "p": 1, "translate_px": {"x": -8, "y": 0}, "rotate": 0, "scale": 1, "shear": 0}],
    )
    # Cut from 20 to 16 network pixels by the canvas, then to 8 by the transform: 0.8, then 0.4 of it.
    made = sample_of(tool, [one_box([46, 40, 56, 60])])
    assert (len(made.xyxy), made.is_vanished.tolist()) == (0, [True])


boxes = st.lists(
    st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.floats(0.5, 50), st.floats(0.5, 50)), min_size=0, max_size=8
)


@given(boxes, st.floats(0, 1), st.floats(0, 6))
@settings(max_examples=200, deadline=None)
def test_every_visible_box_is_a_label_or_an_ignore_area(drawn: Any, share: float, size: float):
    xywh = np.array(drawn, dtype=float).reshape(-1, 4)
    xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    n = len(xyxy)
    kept = keep_visible(
        Labelled(image=np.zeros((30, 40, 3), np.uint8), xyxy=xyxy, class_id=np.zeros(n, int)),
        (0, 0, 40, 30),
        Visibility(shares=np.array([share]), size_px=size),
    )
    visible = int((area(np.clip(xyxy, 0, [40, 30, 40, 30])) > 0).sum())
    assert len(kept.xyxy) + len(kept.ignore_xyxy) == visible
    assert kept.is_vanished.all() and len(kept.is_vanished) == len(kept.ignore_xyxy)
    assert (kept.visible >= share - 1e-6).all() and (kept.visible <= 1).all()


def test_mosaic_tiles_show_an_object_and_no_padding(augmenter, sample_of):
    rng = np.random.default_rng(0)
    frame = Labelled(
        image=rng.integers(150, 255, (100, 200, 3), dtype=np.uint8),
        xyxy=np.array([[5.0, 5, 15, 25]]),
        class_id=np.array([0]),
    )
    tool = augmenter(mosaic=1, scale=[0.2, 0.4])
    for seed in range(20):
        made = sample_of(tool, [frame] * 4, seed)
        assert len(made.xyxy) + made.is_vanished.sum() == 4
        assert (made.image > 140).all()


def test_the_argument_is_not_changed(augmenter, sample_of, squares):
    frame = squares()
    frame.image.setflags(write=False)
    before = frame.xyxy.copy()
    sample_of(augmenter(mosaic=1, mix_up=1, flip_lr=1, transforms=[{"name": "RandomGamma", "p": 1}]), [frame] * 5)
    assert np.array_equal(frame.xyxy, before)


def test_without_anything_to_do_the_sample_is_the_letterboxed_frame(augmenter, sample_of, squares):
    frame = squares(192, 96)
    made = sample_of(augmenter(), [frame])
    assert np.array_equal(made.image, frame.image)
    assert np.array_equal(made.xyxy, frame.xyxy) and not made.is_vanished.any()


def test_frames_without_boxes_pass(augmenter, sample_of):
    empty = Labelled(image=np.zeros((50, 70, 3), np.uint8), xyxy=np.zeros((0, 4)), class_id=np.zeros(0, np.int64))
    tool = augmenter(mosaic=0.5, mix_up=0.5, crop=0.5, flip_lr=0.5, transforms=[{"name": "Rotate", "limit": 5, "p": 1}])
    for seed in range(8):
        made = sample_of(tool, [empty] * 5, seed)
        assert made.xyxy.shape == (0, 4) and made.class_id.shape == (0,) and made.ignore_xyxy.shape == (0, 4)


def _shift(x: int) -> dict[str, Any]:
    return {"name": "Affine", "p": 1, "translate_px": {"x": x, "y": 0}, "rotate": 0, "scale": 1, "shear": 0}


@pytest.mark.parametrize(
    ("what", "transforms", "share"),
    [
        ("the canvas leaves 46 of 50 pixels", [], 0.92),
        ("45 of them are left", [_shift(-1)], 0.9),
        ("44 of them: 0.96 of what there was, but 0.88 of the box", [_shift(-2)], None),
        ("so are they in two steps", [_shift(-1), _shift(-1)], None),
    ],
)
def test_each_step_takes_its_share_of_what_was_left(what, transforms, share, augmenter, sample_of):
    made = sample_of(augmenter(scale=[2, 2], transforms=transforms), [one_box([46, 40, 71, 60])])
    if share is None:
        assert (len(made.xyxy), made.is_vanished.tolist()) == (0, [True]), what
    else:
        assert made.visible.tolist() == [pytest.approx(share, abs=1e-4)] and not len(made.ignore_xyxy), what


def test_the_canvas_takes_its_share_of_what_was_left(augmenter, sample_of):
    frame = one_box([47, 40, 72, 60])
    assert sample_of(augmenter(scale=[2, 2]), [frame]).visible.tolist() == [pytest.approx(0.96)]
    cut = sample_of(augmenter(scale=[2, 2]), [replace(frame, visible=np.array([0.92]))])
    assert (len(cut.xyxy), cut.is_vanished.tolist()) == (0, [True])
