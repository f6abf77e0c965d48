"""Drops on the windscreen."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.effects import lens_drops
from tl_datasets.effects.scene import Scene


def dropped(scene: Scene, severity: float, seed: int = 0) -> np.ndarray:
    return lens_drops.apply(scene, severity, np.random.default_rng(seed)).astype(float)


def test_share_under_drops_rises_with_severity(drawn):
    scene = Scene.of_frame(drawn.street(1280, 720))
    share = [
        np.mean([(np.abs(dropped(scene, severity, seed) - scene.image).max(axis=2) > 3).mean() for seed in range(3)])
        for severity in (1, 2, 3, 4, 5)
    ]
    assert (np.diff(share) > 0).all()
    for severity, found in enumerate(share, start=1):
        assert found == pytest.approx(lens_drops.COVERED[severity - 1], rel=0.5)


def test_drops_turn_the_scene_over():
    """White above, black below: drops before the white half show black, drops before the black half show white."""
    image = np.zeros((720, 1280, 3), np.uint8)
    image[:360] = 255
    shown = dropped(Scene.of_frame(image), 5)
    assert shown[:300].min() < 60 and shown[420:].max() > 150
    assert (shown[:300] < 128).mean() > 0.01 and (shown[420:] > 128).mean() > 0.01


def test_a_lamp_shines_through_the_drop_before_it(drawn):
    """A red lens that drops lie on stays red at its own place; without its box it is hidden."""
    image = np.full((360, 640, 3), 90, np.uint8)
    boxes = np.array([drawn.head(image, 20 + 60 * n, 20 + 120 * row, 24, "red") for n in range(10) for row in range(3)])
    hidden = 0
    for seed in range(6):
        shown, bare = dropped(Scene.of_frame(image, boxes), 5, seed), dropped(Scene.of_frame(image), 5, seed)
        for x, y in boxes[:, :2].astype(int):
            lens = (slice(y + 8, y + 16), slice(x + 8, x + 16))
            covered = np.abs(bare[lens] - image[lens]).max(axis=2) > 60
            hidden += int(covered.sum())
            assert (shown[lens][covered][:, 0] - shown[lens][covered][:, 1] > 60).all()
    assert hidden > 50


def test_sizes_follow_the_focal_length(drawn):
    """The same screen seen at half the size has the same share under drops."""
    shares = []
    for size in ((1280, 720), (640, 360)):
        scene = Scene.of_frame(drawn.street(*size))
        changed = np.abs(dropped(scene, 2) - scene.image).max(axis=2) > 3
        shares.append(changed.mean())
    assert shares[1] == pytest.approx(shares[0], rel=0.6)
