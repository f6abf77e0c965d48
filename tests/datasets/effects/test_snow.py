"""Snowfall: visibility, cover, flakes."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.effects import snow
from tl_datasets.effects.scene import Scene


def snowy(scene: Scene, severity: float, seed: int = 0) -> np.ndarray:
    return snow.apply(scene, severity, np.random.default_rng(seed)).astype(float)


@pytest.mark.parametrize(("severity", "visibility_m"), [(1, 2500), (3, 700), (5, 220)])
def test_visibility_is_where_two_percent_are_left(severity, visibility_m):
    assert np.exp(-snow.extinction_per_m(severity) * visibility_m) == pytest.approx(0.02, rel=0.01)


def test_the_road_whitens_with_severity(drawn):
    scene = Scene.of_frame(drawn.street())
    means = [np.mean([snowy(scene, severity, seed)[220:].mean() for seed in range(2)]) for severity in (1, 2, 3, 4, 5)]
    assert means[0] > scene.image[220:].mean() and (np.diff(means) > 0).all()
    assert means[4] > 150


def test_snow_at_night_is_no_brighter_than_its_light(drawn):
    scene = Scene.of_frame(drawn.street(sky=20, road=12))
    assert 15 < np.median(snowy(scene, 5)[220:]) < 80


def test_flakes_of_several_sizes_and_no_single_pixels():
    """On a black wall: blobs from one to many pixels, and most light in blobs wider than a pixel."""
    import cv2

    image = np.full((720, 1280, 3), 30, np.uint8)
    image[:200] = 220
    shown = snowy(Scene.of_frame(image, horizon=1.3), 3)[300:].mean(axis=2)
    flakes = (shown > cv2.blur(shown, (61, 61)) + 18).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(flakes)
    areas = stats[1:, cv2.CC_STAT_AREA]
    assert len(areas) > 100
    assert areas.max() > 60 and np.median(areas) >= 2
    assert areas[areas == 1].sum() < 0.2 * areas.sum()


def test_more_flakes_with_severity():
    image = np.full((360, 640, 3), 40, np.uint8)
    image[:100] = 200
    scene = Scene.of_frame(image, horizon=1.3)
    detail = [np.abs(np.diff(snowy(scene, severity)[200:], axis=1)).mean() for severity in (1, 3)]
    assert detail[1] > 1.3 * detail[0]


def test_flakes_are_a_thin_veil_over_a_lit_lens_alone(drawn):
    """The same flakes over a large lamp and the housing around it, with and without its box."""
    image = np.full((360, 640, 3), 40, np.uint8)
    image[:100] = 200
    box = drawn.head(image, 300, 120, 70, "red")
    bare = snowy(Scene.of_frame(image, horizon=1.3), 5)
    guarded = snowy(Scene.of_frame(image, np.array([box]), horizon=1.3), 5)
    lens, housing = (slice(140, 170), slice(320, 350)), (slice(200, 330), slice(300, 370))
    assert guarded[lens][..., 1].std() < 0.6 * bare[lens][..., 1].std()
    assert (guarded[housing] == bare[housing]).all()
