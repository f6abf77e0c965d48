"""Distances that are guessed from a view."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.effects.airlight import airlight
from tl_datasets.effects.camera_view import CameraView
from tl_datasets.effects.depth import (
    FARTHEST_M,
    HEAD_LENGTH_M,
    ROADSIDE_M,
    SKY_M,
    SKYLINE_M,
    distance_m,
    ground_distance_m,
    head_distance_m,
    sky_share,
)


def view_of(image: np.ndarray, boxes=(), horizon: float = 0.45, focal: float = 1.0) -> CameraView:
    return CameraView(
        image=image,
        lights_xyxy=np.array(boxes, float).reshape(-1, 4),
        horizon_px=horizon * image.shape[0],
        focal_px=focal * image.shape[1],
    )


@pytest.mark.parametrize(("rows_below", "expected_m"), [(28, 64.0), (64, 28.0), (256, 7.0)])
def test_flat_ground(rows_below, expected_m):
    view = view_of(np.zeros((720, 1280, 3), np.uint8))
    assert ground_distance_m(view, np.array([324.0 + rows_below]))[0] == pytest.approx(expected_m)
    distance = distance_m(view, np.zeros((360, 640), np.float32))
    row = (324 + rows_below) // 2
    assert distance[row, 320] == pytest.approx(expected_m, rel=0.05)


def test_no_ground_at_the_horizon_and_above():
    view = view_of(np.zeros((100, 100, 3), np.uint8))
    assert (ground_distance_m(view, np.array([45.0, 20.0, -5.0])) == FARTHEST_M).all()


def test_the_roadside_and_the_skyline_limit_sight():
    view = view_of(np.zeros((720, 1280, 3), np.uint8))
    distance = distance_m(view, np.zeros((360, 640), np.float32))
    assert distance[162, 0] == pytest.approx(1280 * ROADSIDE_M / 639, rel=0.01)
    assert distance[0, 320] == pytest.approx(1280 * SKYLINE_M / 323, rel=0.01)
    assert (np.diff(distance[:160, 320]) >= 0).all() and (np.diff(distance[165:, 320]) <= 0).all()


@pytest.mark.parametrize("box", [(10, 10, 20, 40), (10, 10, 40, 20)])
def test_a_head_by_its_longer_side(box):
    view = view_of(np.zeros((100, 300, 3), np.uint8), [box])
    assert head_distance_m(view)[0] == pytest.approx(300 * HEAD_LENGTH_M / 30)


def test_sky_by_day_and_none_by_night(drawn):
    view = view_of(drawn.street())
    sky = sky_share(view, airlight(view))
    assert sky.shape == (180, 320)
    assert sky[5:60, 100:220].min() > 0.9 and sky[90:].max() == 0
    # The walls at the sides.
    assert sky[60:75, :50].max() < 0.1
    distance = distance_m(view, sky)
    assert distance[20, 160] == pytest.approx(SKY_M, rel=0.1)
    night = view_of(drawn.street(sky=20, road=12))
    assert sky_share(night, airlight(night)).max() == 0


def test_a_bright_wall_full_of_windows_is_no_sky():
    image = np.full((360, 640, 3), 210, np.uint8)
    image[:150:12] = 60
    image[:150:12][:, ::2] = 60
    image[:150, ::14] = 50
    image[150:] = 90
    view = view_of(image)
    assert sky_share(view, airlight(view))[5:70, 20:300].mean() < 0.2
