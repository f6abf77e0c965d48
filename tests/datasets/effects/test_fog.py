"""Fog: the law that it follows, the head's own distance, halos."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.effects import fog
from tl_datasets.effects.airlight import airlight
from tl_datasets.effects.camera_view import CameraView
from tl_datasets.effects.depth import HEAD_LENGTH_M
from tl_datasets.effects.scene import Scene


def foggy(scene: Scene, severity: float, seed: int = 0) -> np.ndarray:
    return fog.apply(scene, severity, np.random.default_rng(seed)).astype(float)


def air_of(scene: Scene) -> np.ndarray:
    view = scene.views[0]
    return airlight(
        CameraView(image=scene.image, lights_xyxy=scene.lights_xyxy, horizon_px=view.horizon_px, focal_px=view.focal_px)
    )


@pytest.mark.parametrize(("severity", "visibility_m"), [(1, 1000), (2, 400), (3, 200), (4, 100), (5, 50)])
def test_visibility_is_where_two_percent_are_left(severity, visibility_m):
    assert np.exp(-fog.extinction_per_m(severity) * visibility_m) == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("distance_m", [10, 20, 40])
def test_contrast_of_a_black_road_falls_by_koschmieders_law(severity, distance_m):
    image = np.full((720, 1280, 3), 220, np.uint8)
    image[324:] = 0
    scene = Scene.of_frame(image)
    row = round(324 + 1280 * 1.4 / distance_m)
    air = air_of(scene)
    # The fog is patchy: the mean over the road and over fogs counts.
    shown = np.mean([foggy(scene, severity, seed)[row, 500:780] for seed in range(6)], axis=(0, 1))
    expected = np.exp(-fog.extinction_per_m(severity) * (1280 * 1.4 / (row + 0.5 - 324)))
    assert 1 - shown / air == pytest.approx(np.full(3, expected), abs=0.03)


def test_denser_with_distance_and_with_severity(drawn):
    scene, _ = drawn.lit_street()
    # Noise of the road: its deviation falls with its contrast.
    near, far = slice(330, 355), slice(182, 200)
    contrast = []
    for severity in (1, 2, 3, 4, 5):
        shown = foggy(scene, severity)
        air = air_of(scene).mean()
        contrast.append((abs(shown[near, 200:440].mean() - air), abs(shown[far, 200:440].mean() - air)))
    by_severity = np.array(contrast)
    assert (np.diff(by_severity, axis=0) < 0).all()
    assert (by_severity[:, 1] < by_severity[:, 0]).all()


def test_the_sky_is_fog_and_the_night_stays_dark(drawn):
    day, night = Scene.of_frame(drawn.street()), Scene.of_frame(drawn.street(sky=20, road=12))
    assert foggy(day, 1)[5:60, 200:440].mean() == pytest.approx(air_of(day).mean(), abs=3)
    assert foggy(night, 5).mean() < 50


@pytest.mark.parametrize("lens_px", [8, 15, 30])
def test_a_lamp_fades_with_the_distance_that_its_head_speaks_of(lens_px, drawn):
    """Before the same fog, a lamp of a larger head keeps more of its colour; each loses it with severity."""
    step = []
    for severity in (2, 3, 4, 5):
        kept = []
        for length in (lens_px, 2 * lens_px):
            image = drawn.street()
            box = drawn.head(image, 300, 10, length, "red")
            shown = foggy(Scene.of_frame(image, np.array([box])), severity)
            y, x, reach = 10 + length // 2, 300 + length // 2, max(1, length // 5)
            lens = shown[y - reach : y + reach, x - reach : x + reach].mean(axis=(0, 1))
            kept.append(lens[0] - lens[1])
        assert kept[1] > kept[0] > 0
        step.append(kept[0])
    assert (np.diff(step) < 0).all()


@pytest.mark.parametrize("colour", ["red", "yellow", "green"])
def test_a_lamp_at_night_has_a_halo_of_its_colour(colour, drawn):
    image = drawn.street(sky=20, road=12)
    box = drawn.head(image, 300, 60, 12, colour)
    with_lamp = Scene.of_frame(image, np.array([box]))
    dark = drawn.street(sky=20, road=12)
    drawn.head(dark, 300, 60, 12, "none")
    without = Scene.of_frame(dark, np.array([box]))
    lens = 60 + 12 * ("red", "yellow", "green").index(colour) + 6
    # Beside the housing, at the height of the lens.
    beside = (slice(lens - 3, lens + 3), slice(316, 326))
    halo = (foggy(with_lamp, 4) - foggy(without, 4))[beside].mean(axis=(0, 1))
    strongest = {"red": [0], "yellow": [0, 1], "green": [1, 2]}[colour]
    assert halo[strongest[0]] > 8
    weakest = {"red": 2, "yellow": 2, "green": 0}[colour]
    assert halo[weakest] < 0.5 * halo[strongest[0]]


def test_a_lit_lens_outshines_its_veil(drawn):
    """A source of light pierces fog that hides a surface of the same colour."""
    scene, states = drawn.lit_street()
    shown = foggy(scene, 3)
    x1, y1, x2, _ = scene.lights_xyxy[states.index("red")].astype(int)
    side = x2 - x1
    lens = shown[y1 + 3 : y1 + side - 3, x1 + 3 : x2 - 3].mean(axis=(0, 1))
    through = np.exp(-fog.extinction_per_m(3) * 640 * HEAD_LENGTH_M / (3 * side))
    surface = 235 * through + air_of(scene)[0] * (1 - through)
    assert lens[0] > surface + 15
