from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tl_datasets import boxes

COORDINATES = st.floats(-500, 2000, allow_nan=False, width=32)
ANY_BOXES = hnp.arrays(np.float64, st.tuples(st.integers(0, 6), st.just(4)), elements=COORDINATES)


@st.composite
def proper_boxes(draw):
    corners = draw(hnp.arrays(np.float64, st.tuples(st.integers(0, 6), st.just(2)), elements=st.floats(-50, 900)))
    sizes = draw(hnp.arrays(np.float64, corners.shape, elements=st.floats(0.5, 300)))
    return np.concatenate([corners, corners + sizes], axis=1)


@given(ANY_BOXES)
def test_layouts_come_back(xyxy):
    np.testing.assert_allclose(boxes.xyxy_from_xywh(boxes.xywh_from_xyxy(xyxy)), xyxy, atol=1e-9)
    np.testing.assert_allclose(boxes.xyxy_from_cxcywh(boxes.cxcywh_from_xyxy(xyxy)), xyxy, atol=1e-9)


@given(proper_boxes(), proper_boxes())
def test_iou_equals_torchvision(first, second):
    judge = torchvision.ops.box_iou(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    np.testing.assert_allclose(boxes.iou(first, second), judge, atol=1e-12)


def test_iou_of_boxes_without_area_is_zero():
    assert boxes.iou(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 1, 1]])) == 0


@given(proper_boxes())
def test_clip_stays_inside_and_is_idempotent(xyxy):
    clipped, _ = boxes.clip(xyxy, 640, 480)
    assert (clipped >= 0).all()
    assert (clipped[:, [0, 2]] <= 640).all()
    assert (clipped[:, [1, 3]] <= 480).all()
    again, cut = boxes.clip(clipped, 640, 480)
    np.testing.assert_array_equal(again, clipped)
    assert not cut.any()


@pytest.mark.parametrize(
    ("x1", "is_cut"),
    [(0.0, False), (-1.0, False), (-2.5, True), (-200.0, True)],
    ids=["inside", "1% outside", "2.4% outside", "wholly outside"],
)
def test_clip_reports_more_than_two_per_cent(x1, is_cut):
    _, cut = boxes.clip(np.array([[x1, 0, x1 + 100, 100]]), 640, 480)
    assert bool(cut[0]) is is_cut


def test_clip_leaves_its_argument_alone():
    xyxy = np.array([[-5.0, -5.0, 700.0, 500.0]])
    boxes.clip(xyxy, 640, 480)
    assert xyxy.tolist() == [[-5.0, -5.0, 700.0, 500.0]]


def test_empty_boxes_stay_empty():
    empty = np.zeros((0, 4))
    assert boxes.clip(empty, 10, 10)[0].shape == (0, 4)
    assert boxes.area(empty).shape == (0,)
    assert boxes.iou(empty, np.zeros((3, 4))).shape == (0, 3)
