"""What holds for every corruption, and what each of them is known for."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tl_datasets.corruptions import blur, weather
from tl_datasets.corruptions.corruptions import CORRUPTIONS, MOVES_PIXELS, SEVERITIES, corrupt
from tl_datasets.corruptions.ice import draw_ice
from tl_datasets.corruptions.pixels import grey_levels
from tl_datasets.errors import UsageError

DRAWN_BY_NOTHING = {"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression"}


@pytest.fixture(scope="module")
def street() -> np.ndarray:
    """A picture with flat ground, edges and fine structure."""
    rng = np.random.default_rng(3)
    image = cv2.GaussianBlur(rng.integers(60, 190, (180, 320, 3), dtype=np.uint8), (0, 0), 1.5)
    image[:60] = (150, 180, 220)
    for left in range(10, 300, 40):
        cv2.rectangle(image, (left, 40), (left + 12, 70), (22, 22, 24), -1)
        cv2.circle(image, (left + 6, 47), 4, (230, 40, 40), -1)
    return image


def difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(int) - second).mean())


def alikeness(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two images."""
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def test_the_fifteen():
    assert list(CORRUPTIONS) == [
        *("gaussian_noise", "shot_noise", "impulse_noise"),
        *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
        *("snow", "frost", "fog", "brightness"),
        *("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
    ]
    assert set(CORRUPTIONS) >= MOVES_PIXELS


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_same_seed_same_image_and_the_argument_is_kept(name: str, street: np.ndarray):
    before = street.copy()
    made = [corrupt(street, name, 3, np.random.default_rng(seed)) for seed in (5, 5, 6)]
    assert (street == before).all()
    assert made[0].shape == street.shape
    assert made[0].dtype == np.uint8
    assert (made[0] == made[1]).all()
    assert (made[0] == made[2]).all() == (name in DRAWN_BY_NOTHING)
    assert not np.shares_memory(made[0], street)


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name != "frost"])
def test_worse_with_severity(name: str, street: np.ndarray):
    # Means of a few draws: the direction of a blur and the thickness of a mist are drawn.
    draws = range(12 if name in {"fog", "motion_blur"} else 2)
    losses = [
        np.mean([difference(corrupt(street, name, severity, np.random.default_rng(i)), street) for i in draws])
        for severity in SEVERITIES
    ]
    assert losses[0] > 0.5
    assert losses[4] > 1.1 * losses[0]
    # No more than this is monotone: glass blur and snow have exceptions in their tables.
    assert max(losses[:2]) < max(losses[3:])


def test_ever_less_of_the_frame_is_seen_through_frost(street: np.ndarray):
    seen = [
        np.mean([alikeness(corrupt(street, "frost", severity, np.random.default_rng(i)), street) for i in range(8)])
        for severity in SEVERITIES
    ]
    assert seen == sorted(seen, reverse=True)
    assert seen[4] < 0.8 * seen[0]


@pytest.mark.parametrize("shape", [(720, 1280), (33, 47), (32, 32), (7, 5), (1, 1), (40, 2)])
def test_any_size(shape: tuple[int, int]):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for name in CORRUPTIONS if max(shape) < 100 else ("zoom_blur", "fog", "snow"):
        for severity in (1, 5):
            assert corrupt(image, name, severity).shape == image.shape


@pytest.mark.parametrize("level", [0, 255])
def test_a_black_and_a_white_frame(level: int):
    image = np.full((40, 60, 3), level, np.uint8)
    for name in CORRUPTIONS:
        made = corrupt(image, name, 5)
        if name not in {"gaussian_noise", "shot_noise", "impulse_noise", "snow", "frost", "fog", "brightness"}:
            assert (made == level).all(), name


def test_a_view_into_a_larger_image_is_the_same_as_a_copy(street: np.ndarray):
    view = street[20:100, 30:200]
    for name in CORRUPTIONS:
        assert (corrupt(view, name, 2) == corrupt(view.copy(), name, 2)).all(), name


@pytest.mark.parametrize(
    ("name", "severity", "message"),
    [
        ("rain", 1, "corruption 'rain': unknown; expected gaussian_noise, .*jpeg_compression"),
        ("fog", 0, "severity 0: expected a whole number from 1 to 5"),
        ("fog", 6, "severity 6: expected"),
        ("fog", 2.5, r"severity 2\.5: expected a whole number"),
    ],
)
def test_refused(name: str, severity: int, message: str, street: np.ndarray):
    with pytest.raises(UsageError, match=message):
        corrupt(street, name, severity)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), "u1")]
)
def test_no_rgb_image(image: np.ndarray):
    with pytest.raises(ValueError, match=r"expected \(H, W, 3\) uint8"):
        corrupt(image, "fog", 1)


def test_grey_levels_cut_fractions_off_and_clip():
    values = np.array([-7.0, -0.4, 0.9, 1.0, 41.9996, 99.2, 254.99, 255.0, 300.0], np.float32)
    assert grey_levels(np.tile(values[:, None, None], (1, 1, 3)))[:, 0, 0].tolist() == [
        0,
        0,
        0,
        1,
        42,
        99,
        254,
        255,
        255,
    ]


def test_shot_noise_has_the_moments_of_a_poisson_distribution():
    grey = np.full((300, 400, 3), 102, np.uint8)  # 0.4 of white: 24 of 60 photons
    made = corrupt(grey, "shot_noise", 1).astype(float)
    # Fractions are cut off, half a grey level on average.
    assert made.mean() == pytest.approx(101.5, abs=0.3)
    assert made.std() == pytest.approx(255 * np.sqrt(24) / 60, rel=0.01)
    photons = np.round(made / 255 * 60)
    skew = ((photons - photons.mean()) ** 3).mean() / photons.std() ** 3
    assert skew == pytest.approx(1 / np.sqrt(24), abs=0.03)


def test_gaussian_and_impulse_noise_by_their_numbers():
    grey = np.full((300, 400, 3), 128, np.uint8)
    assert corrupt(grey, "gaussian_noise", 1).astype(float).std() == pytest.approx(0.08 * 255, rel=0.01)
    impulses = corrupt(grey, "impulse_noise", 5)
    assert (impulses == 0).mean() == pytest.approx(0.135, abs=0.003)
    assert (impulses == 255).mean() == pytest.approx(0.135, abs=0.003)
    # Each colour fails on its own.
    assert ((impulses != 128).sum(axis=2) == 1).mean() == pytest.approx(3 * 0.27 * 0.73**2, abs=0.01)


def test_motion_smears_along_a_line_that_begins_at_the_pixel():
    image = np.zeros((101, 101), np.uint8)
    image[50, 50] = 255
    smeared = blur.blur_along(image, radius=10, sigma=3.0, degrees=30.0)
    steps = np.arange(21)
    weights = np.exp(-(steps**2) / 18)
    weights /= weights.sum()
    expected = np.zeros((101, 101))
    # What lies at a step along the line is seen at the pixel, so the point is seen that far before.
    for step, weight in zip(steps, weights, strict=True):
        y, x = (int(np.ceil(step * part - 0.5)) for part in (np.sin(np.pi / 6), np.cos(np.pi / 6)))
        expected[50 - y, 50 - x] += 255 * weight
    assert np.abs(smeared - expected).max() < 1e-3
    assert blur.blur_along(np.full((9, 30), 77, np.uint8), 20, 15.0, -120.0) == pytest.approx(77, abs=1e-3)


def test_glass_takes_every_pixel_from_where_the_original_does():
    height, width, reach = 23, 31, 3
    found = blur._displaced(height, width, reach, np.random.default_rng(8)).reshape(height, width)
    drawn = np.random.default_rng(8).integers(0, 36, (height - 6, width - 6), dtype=np.uint8)
    # The original's loop: from the last pixel to the first, each becomes a copy of a near one.
    image = np.arange(height * width).reshape(height, width)
    for y in range(height - reach, reach, -1):
        for x in range(width - reach, reach, -1):
            step_y, step_x = divmod(int(drawn[y - reach - 1, x - reach - 1]), 2 * reach)
            image[y, x] = image[y + step_y - reach, x + step_x - reach]
    assert (found == image).all()


def test_zoom_smears_away_from_the_centre():
    image = np.zeros((121, 201, 3), np.uint8)
    image[60, 100] = image[20, 30] = 255
    made = corrupt(image, "zoom_blur", 5)[..., 0]
    rows, columns = np.nonzero(made)
    corner = (rows < 55) & (columns < 90)
    assert rows[corner].max() <= 21
    assert columns[corner].max() <= 31
    assert columns[corner].min() < 12
    assert np.abs(rows[~corner] - 60).max() <= 2


def test_brightness_keeps_hue_and_saturation():
    image = np.array([[[100, 50, 0], [0, 0, 0], [255, 10, 10], [200, 200, 200]]], np.uint8)
    made = corrupt(image, "brightness", 5)[0].tolist()  # the value rises by 127.5
    assert made == [[227, 113, 0], [127, 127, 127], [255, 10, 10], [255, 255, 255]]


def test_contrast_pulls_each_colour_to_its_own_mean():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, :, 0], image[:, :, 1] = 200, 80
    made = corrupt(image, "contrast", 1)
    assert made[..., 1].tolist() == [[80, 80], [80, 80]]
    assert made[..., 0].tolist() == [[140, 140], [60, 60]]


def test_elastic_shifts_are_a_pixel_or_two():
    shifts = np.stack([np.hypot(*(np.asarray(field) for field in _shift_fields(severity))) for severity in SEVERITIES])
    deviations = np.sqrt((shifts**2).mean(axis=(1, 2)))
    # Uniform noise of +-3.6 px over Gaussians of 7.2 and 12.8 px: 0.061 px per axis, times the factor.
    assert deviations == pytest.approx(0.061 * np.sqrt(2) * np.array([12.5, 16.25, 21.25, 25, 30]), rel=0.08)


def _shift_fields(severity: int) -> tuple[np.ndarray, np.ndarray]:
    from tl_datasets.corruptions.digital import _shifts

    rng = np.random.default_rng(severity)
    return _shifts(720, 1280, severity, rng), _shifts(720, 1280, severity, rng)


def test_the_mist_is_a_fractal_of_the_whole_range():
    mists = {fading: weather._plasma(256, fading, np.random.default_rng(1)) for fading in (2.0, 1.4)}
    for mist in mists.values():
        assert (mist.min(), mist.max()) == (0.0, pytest.approx(1.0))
    rough = {fading: np.abs(np.diff(mist, axis=0)).mean() / mist.std() for fading, mist in mists.items()}
    assert rough[1.4] > 1.5 * rough[2.0]
    # It goes on periodically: its edges fit together.
    smooth = mists[2.0]
    assert np.abs(smooth[0] - smooth[-1]).max() < 4 * np.abs(np.diff(smooth, axis=0)).max()


def test_the_ice_has_the_brightness_of_the_photographs():
    ice = np.stack([draw_ice(180, 320, np.random.default_rng(seed)) for seed in range(60)])
    # Mean of the five photographs of the original, of which the brightest is there twice: 145.9, 167.2, 178.7.
    assert ice.mean(axis=(0, 1, 2)) == pytest.approx([145.9, 167.2, 178.7], rel=0.1)
    assert len({tuple(np.round(picture.mean(axis=(0, 1)), -1)) for picture in ice}) == 4
