"""Rain: its physics, streaks, veil and sky."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.effects import rain
from tl_datasets.effects.camera_view import CameraView
from tl_datasets.effects.precipitation import Flight, traces
from tl_datasets.effects.scene import Scene


def rainy(scene: Scene, severity: float, seed: int = 0) -> np.ndarray:
    return rain.apply(scene, severity, np.random.default_rng(seed)).astype(float)


def test_fall_speeds_of_atlas():
    """Measured: 4.0 m/s at 1 mm, 6.5 m/s at 2 mm, 9 m/s at 5 mm (Gunn and Kinzer)."""
    assert rain.fall_speed_m_s(np.array([1.0, 2.0, 5.0])) == pytest.approx([4.0, 6.5, 9.1], abs=0.2)


@pytest.mark.parametrize("rate_mm_h", [2.5, 10, 60])
def test_extinction_is_twice_the_cross_section_of_the_drops(rate_mm_h):
    size_mm = np.linspace(0, 20, 40_001)
    per_m3 = 8000 * np.exp(-rain.slope_per_mm(rate_mm_h) * size_mm)
    area_m2 = np.pi / 4 * size_mm**2 * 1e-6
    expected = np.trapezoid(2 * area_m2 * per_m3, size_mm)
    assert rain.extinction_per_m(rate_mm_h) == pytest.approx(expected, rel=1e-3)


def test_length_of_a_streak():
    """A drop that falls at 6 m/s for 10 ms, 2 m away, seen with 1000 px: 30 px."""
    view = CameraView(
        image=np.zeros((500, 1000, 3), np.uint8), lights_xyxy=np.zeros((0, 4)), horizon_px=250, focal_px=1000
    )
    still = Flight(exposure_s=0.01, wind_m_s=0, drive_m_s=0, turbulence_m_s=0)
    one = np.ones(1)
    found = traces(view, 2 * one, 2 * one, 6 * one, still, np.random.default_rng(0))
    assert found.length_px == pytest.approx(30 * one) and found.width_px == pytest.approx(one)
    windy = Flight(exposure_s=0.01, wind_m_s=6, drive_m_s=0, turbulence_m_s=0)
    found = traces(view, 2 * one, 2 * one, 6 * one, windy, np.random.default_rng(0))
    way = found.ends_px[0, 1] - found.ends_px[0, 0]
    assert way == pytest.approx([30, 30])


def test_driving_makes_drops_stream_away_from_the_middle():
    view = CameraView(
        image=np.zeros((500, 1000, 3), np.uint8), lights_xyxy=np.zeros((0, 4)), horizon_px=250, focal_px=1000
    )
    n = 500
    drive = Flight(exposure_s=0.01, wind_m_s=0, drive_m_s=20, turbulence_m_s=0)
    found = traces(view, np.ones(n), np.full(n, 3.0), np.zeros(n), drive, np.random.default_rng(0))
    middle = found.ends_px.mean(axis=1) - (500, 250)
    way = found.ends_px[:, 1] - found.ends_px[:, 0]
    assert ((middle * way).sum(axis=1) > 0).mean() > 0.99


def test_more_streaks_with_severity():
    """On black without any sky, all that is bright is a streak or veil."""
    image = np.full((360, 640, 3), 60, np.uint8)
    image[:100] = 200
    scene = Scene.of_frame(image)
    detail = [np.abs(np.diff(rainy(scene, severity)[200:], axis=1)).mean() for severity in (1, 2, 3, 4, 5)]
    assert (np.diff(detail[:4]) > 0).all() and detail[4] > detail[0] * 2


def test_sky_darkens_and_distance_pales(drawn):
    scene = Scene.of_frame(drawn.street())
    sky = [np.median(rainy(scene, severity)[5:60, 200:440]) for severity in (1, 3, 5)]
    assert sky[0] > sky[1] > sky[2] and sky[2] > 100
    black = drawn.street(road=0)
    pale = [np.median(rainy(Scene.of_frame(black), severity)[166:180, 250:390]) for severity in (1, 3, 5)]
    assert pale[0] < pale[1] < pale[2]


def test_streaks_are_dimmer_at_night(drawn):
    def contrast(sky: int, road: int) -> float:
        shown = rainy(Scene.of_frame(drawn.street(sky=sky, road=road)), 5)
        return float(np.quantile(shown[200:], 0.995) - np.median(shown[200:]))

    assert contrast(20, 12) < 0.6 * contrast(200, 80)
