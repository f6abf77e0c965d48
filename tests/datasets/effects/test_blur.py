"""Motion blur and defocus: measured on points of light."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tl_datasets.effects.blur import DEFOCUS, DEFOCUS_RADIUS_PX, MOTION_BLUR, MOTION_PX, disc
from tl_datasets.effects.linear_light import decode_srgb
from tl_datasets.effects.scene import Scene, View


def point(height: int, width: int, x: int, y: int) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[y, x] = 255
    return image


def pan(image: np.ndarray, severity: float, seed: int = 0) -> np.ndarray:
    """Without a view there is no vanishing point, so it is always a pan."""
    return MOTION_BLUR.apply(Scene(image=image), severity, np.random.default_rng(seed))


def moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (x, y) and covariance of the light of an image."""
    light = decode_srgb(image[..., 1] / 255)
    y, x = np.nonzero(light)
    places, weights = np.stack([x, y]).astype(float), light[y, x]
    return np.average(places, axis=1, weights=weights), np.cov(places, aweights=weights, ddof=0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5, 3.5])
def test_a_point_becomes_a_line_of_the_stated_length(severity, seed):
    length = float(np.interp(severity, (1, 2, 3, 4, 5), MOTION_PX))
    centre, covariance = moments(pan(point(101, 1280, 640, 50), severity, seed))
    # The variance of an even line of n px is (n^2 - 1) / 12.
    measured = math.sqrt(12 * np.linalg.eigvalsh(covariance)[-1] + 1)
    assert measured == pytest.approx(length, abs=1.2)
    assert np.abs(centre - (640, 50)).max() <= 1


def test_mostly_horizontal():
    covariances = [moments(pan(point(101, 1280, 640, 50), 5, seed))[1] for seed in range(40)]
    assert np.mean([c[0, 0] > 3 * c[1, 1] for c in covariances]) > 0.9
    assert any(c[1, 1] > 0.2 for c in covariances), "but never exactly so"


def test_light_is_kept():
    image = np.full((60, 400, 3), 0, np.uint8)
    image[20:40, 180:220] = (200, 100, 50)
    for effect in (MOTION_BLUR, DEFOCUS):
        blurred = effect.apply(Scene(image=image), 5, np.random.default_rng(0))
        before, after = (decode_srgb(picture / 255).sum(axis=(0, 1)) for picture in (image, blurred))
        assert after == pytest.approx(before, rel=0.02)


def test_lengths_follow_the_width():
    large = math.sqrt(moments(pan(point(101, 2560, 1280, 50), 5))[1][0, 0])
    small = math.sqrt(moments(pan(point(101, 1280, 640, 50), 5))[1][0, 0])
    assert large == pytest.approx(2 * small, rel=0.15)


def test_forward_motion_streams_out_of_the_vanishing_point():
    image = np.zeros((720, 1280, 3), np.uint8)
    for x, y in ((640, 324), (1240, 324), (640, 700)):
        image[y - 1 : y + 2, x - 1 : x + 2] = 255
    scene = Scene.of_frame(image)
    seed = next(seed for seed in range(50) if np.random.default_rng(seed).random() < 0.3)
    blurred = MOTION_BLUR.apply(scene, 5, np.random.default_rng(seed))
    _, at_centre = moments(blurred[280:370, 600:680])
    side, at_side = moments(blurred[280:370, 1200:1280])
    _, at_bottom = moments(blurred[660:720, 600:680])
    assert np.diag(at_centre).max() < 1.5, "nothing moves there"
    assert math.sqrt(12 * at_side[0, 0]) == pytest.approx(14 * 600 / 640, abs=3) and at_side[1, 1] < 1.5
    assert at_bottom[1, 1] > 4 * at_bottom[0, 0]
    assert np.abs(side - (40, 44)).max() < 1.5, "boxes stay right"


def test_forward_motion_leaves_padding():
    image = np.random.default_rng(0).integers(0, 255, (100, 200, 3), dtype=np.uint8)
    view = View(x1=0, y1=0, x2=100, y2=100, horizon_px=45, focal_px=100)
    seed = next(seed for seed in range(50) if np.random.default_rng(seed).random() < 0.3)
    blurred = MOTION_BLUR.apply(Scene(image=image, views=(view,)), 5, np.random.default_rng(seed))
    assert (blurred[:, 100:] == image[:, 100:]).all() and (blurred[:, :100] != image[:, :100]).any()


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_a_point_becomes_a_disc_of_the_stated_radius(severity):
    blurred = DEFOCUS.apply(Scene(image=point(101, 1280, 640, 50)), severity, np.random.default_rng(0))
    radius = DEFOCUS_RADIUS_PX[severity - 1]
    centre, covariance = moments(blurred)
    # The variance of a disc is r^2 / 4 in each direction, and pixels add a twelfth.
    assert np.diag(covariance) == pytest.approx(radius**2 / 4 + 1 / 12, rel=0.2)
    assert np.abs(centre - (640, 50)).max() < 0.01


def test_a_wide_disc_is_laid_over_a_reduced_image():
    blurred = DEFOCUS.apply(Scene(image=point(151, 3840, 1920, 75)), 5, np.random.default_rng(0))
    _, covariance = moments(blurred)
    assert np.diag(covariance) == pytest.approx((3 * DEFOCUS_RADIUS_PX[4]) ** 2 / 4, rel=0.25)


@pytest.mark.parametrize("radius", [0.2, 0.5, 1, 2.6, 5])
def test_disc(radius):
    kernel = disc(radius)
    assert kernel.sum() == pytest.approx(1) and kernel.shape[0] % 2 == 1 and (kernel == kernel.T).all()
    full = kernel.max()
    assert 1 / full == pytest.approx(max(math.pi * radius**2, 1), rel=0.25)
