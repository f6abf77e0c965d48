"""A wet road: darker, and a mirror of lamps below the horizon only."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.effects import wet_road
from tl_datasets.effects.scene import Scene


def wet(scene: Scene, severity: float, seed: int = 0) -> np.ndarray:
    return wet_road.apply(scene, severity, np.random.default_rng(seed)).astype(float)


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_nothing_changes_above_the_horizon(severity, drawn):
    scene, _ = drawn.lit_street()
    assert (wet(scene, severity)[:162] == scene.image[:162]).all()


def test_the_road_before_the_bonnet_darkens_with_severity(drawn):
    """There it mirrors little; a sky as dark as the road leaves only the loss of albedo."""
    scene = Scene.of_frame(drawn.street(sky=80, road=80))
    means = [wet(scene, severity)[320:].mean() for severity in (1, 2, 3, 4, 5)]
    assert means[0] < scene.image[320:].mean() and (np.diff(means) < 0).all()


@pytest.mark.parametrize("colour", ["red", "green"])
def test_a_lamp_at_night_has_a_streak_below_it(colour, drawn):
    image = drawn.street(sky=20, road=12)
    box = drawn.head(image, 300, 60, 14, colour)
    with_lamp = wet(Scene.of_frame(image, np.array([box])), 4)
    dark = drawn.street(sky=20, road=12)
    drawn.head(dark, 300, 60, 14, "none")
    streak = (with_lamp - wet(Scene.of_frame(dark, np.array([box])), 4))[165:].sum(axis=2)
    columns = streak.mean(axis=0)
    assert columns.max() > 3 and 296 <= columns.argmax() <= 318
    assert columns[:250].max() < 0.1 * columns.max()
    below = (with_lamp - 12)[165:, 300:314].mean(axis=(0, 1))
    assert below.argmax() == ("red", "green").index(colour)


def test_mirrors_more_far_ahead_than_before_the_bonnet(drawn):
    scene = Scene.of_frame(drawn.street(sky=220, road=60))
    gain = wet(scene, 5) - scene.image
    assert gain[175:195, 250:390].mean() > gain[330:, 250:390].mean() + 10


def test_a_lamp_below_the_horizon_stays(drawn):
    image = drawn.street()
    box = drawn.head(image, 300, 200, 12, "yellow")
    shown = wet(Scene.of_frame(image, np.array([box])), 5)
    assert np.abs(shown[215:221, 303:309] - image[215:221, 303:309]).mean() < 4


def test_no_ground_in_sight():
    image = np.full((100, 200, 3), 90, np.uint8)
    assert (wet(Scene.of_frame(image, horizon=1.3), 5) == image).all()
