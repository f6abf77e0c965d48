"""Low sun and its glare."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.effects.linear_light import decode_srgb
from tl_datasets.effects.low_sun import LOW_SUN
from tl_datasets.effects.scene import Scene, View
from tl_datasets.taxonomy import TimeOfDay, Weather


def road() -> np.ndarray:
    """Sky over a dark street with light marks."""
    image = np.full((720, 1280, 3), 60, np.uint8)
    image[:324] = (150, 185, 225)
    image[500:510, ::40] = 200
    return image


def sun_of(image: np.ndarray) -> tuple[float, float]:
    """Centre of the white pixels."""
    y, x = np.nonzero((image == 255).all(axis=2))
    return float(x.mean()), float(y.mean())


@pytest.mark.parametrize("seed", range(8))
def test_the_sun_stands_in_the_sky_near_the_horizon(seed):
    dazzled = LOW_SUN.apply(Scene.of_frame(road()), 3, np.random.default_rng(seed))
    x, y = sun_of(dazzled)
    assert 0 < x < 1280 and 324 - 1280 * np.tan(np.radians(15)) < y < 324


def test_behind_a_wall_there_is_no_disc():
    wall = np.full((720, 1280, 3), (110, 90, 70), np.uint8)
    dazzled = LOW_SUN.apply(Scene.of_frame(wall), 4, np.random.default_rng(0))
    assert dazzled.max() < 255 and dazzled.mean() > wall.mean()


def test_contrast_falls_with_the_severity():
    def contrast(image: np.ndarray) -> float:
        light = decode_srgb(image[600:, :, 1] / 255).mean(), decode_srgb(image[500:510, ::40, 1] / 255).mean()
        return (light[1] - light[0]) / (light[1] + light[0])

    images = [LOW_SUN.apply(Scene.of_frame(road()), s, np.random.default_rng(0)) for s in (1, 2, 3, 4, 5)]
    contrasts = [contrast(road())] + [contrast(image) for image in images]
    assert (np.diff(contrasts) < 0).all() and contrasts[-1] < 0.75 * contrasts[0]


def test_glare_falls_away_from_the_sun():
    black = road()
    black[324:] = 0
    dazzled = LOW_SUN.apply(Scene.of_frame(black), 4, np.random.default_rng(1))
    x, _ = sun_of(dazzled)
    near, far = round(x), 1279 if x < 640 else 0
    row = decode_srgb(dazzled[340:345, :, 1] / 255).mean(axis=0)
    assert row[max(0, near - 5) : near + 6].mean() > 2 * row[max(0, far - 20) : far + 20].mean() > 0


def test_the_light_is_warm():
    dazzled = LOW_SUN.apply(Scene.of_frame(np.full((360, 640, 3), 90, np.uint8)), 3, np.random.default_rng(0))
    red, green, blue = dazzled.reshape(-1, 3).mean(axis=0)
    assert red > green > blue


def test_the_sun_keeps_away_from_lamps():
    lights = np.array([[x, 150, x + 20, 200] for x in range(40, 900, 60)], float)
    for seed in range(8):
        x, y = sun_of(LOW_SUN.apply(Scene.of_frame(road(), lights), 2, np.random.default_rng(seed)))
        distance = np.hypot(lights[:, [0, 2]].mean(axis=1) - x, lights[:, [1, 3]].mean(axis=1) - y).min()
        assert distance > 1280 * np.radians(3.5)


def test_padding_stays():
    image = np.full((200, 400, 3), 114, np.uint8)
    view = View(x1=0, y1=0, x2=200, y2=200, horizon_px=90, focal_px=200)
    dazzled = LOW_SUN.apply(Scene(image=image, views=(view,)), 5, np.random.default_rng(0))
    assert (dazzled[:, 200:] == 114).all() and (dazzled[:, :200] != 114).any()


def test_the_condition_is_said():
    assert LOW_SUN.time_of_day is TimeOfDay.DAWN_DUSK and LOW_SUN.weather is None
    assert TimeOfDay.NIGHT in LOW_SUN.not_in_time_of_day
    assert {Weather.RAINY, Weather.FOGGY, Weather.SNOWY, Weather.OVERCAST} <= LOW_SUN.not_in_weather
