"""Against imagecorruptions 1.1.2, on two real frames: a day and a dusk of BDD100K.

Its figures were made by `tools/measure_corruptions.py FRAMES --severities 1,3,5 --draws 24 --original`, with numpy 2.4,
scipy 1.17 and scikit-image 0.26. Where everything is decided by the image alone, ours are the same to 0.1 % (weak
defocus to 3 %: on flat ground the original's 99.99 is cut to 99); where a direction, a mist or a photograph of ice is
drawn, to what so many draws allow.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tl_datasets.corruptions.corruptions import CORRUPTIONS, corrupt
from tl_datasets.images import read_rgb

FRAMES = ("b1c66a42-6f7d68ca.jpg", "b1d7b3ac-9e14f05f.jpg")
# Mean absolute difference from the frame, mean and standard deviation in grey levels, PSNR in dB; severities 1, 3, 5.
ORIGINAL = {
    "gaussian_noise": (
        (15.826, 101.731, 71.607, 22.199),
        (32.811, 102.774, 76.616, 15.883),
        (58.579, 107.713, 88.686, 10.729),
    ),
    "shot_noise": (
        (15.028, 101.239, 71.085, 22.255),
        (31.872, 98.796, 76.084, 15.82),
        (60.419, 91.979, 91.641, 10.568),
    ),
    "impulse_noise": (
        (3.834, 103.009, 72.132, 19.949),
        (11.485, 104.539, 77.014, 15.186),
        (34.445, 109.125, 89.88, 10.416),
    ),
    "defocus_blur": (
        (2.906, 101.703, 68.698, 32.44),
        (5.005, 101.752, 67.837, 27.818),
        (7.393, 102.847, 67.537, 25.072),
    ),
    "glass_blur": (
        (3.987, 101.492, 69.024, 29.515),
        (6.686, 101.638, 68.445, 25.248),
        (7.126, 101.519, 67.436, 25.115),
    ),
    "motion_blur": (
        (4.071, 101.774, 68.999, 28.848),
        (7.692, 101.783, 68.098, 24.038),
        (10.78, 101.775, 67.122, 21.658),
    ),
    "zoom_blur": (
        (12.307, 102.278, 66.529, 20.632),
        (15.429, 102.174, 65.049, 19.327),
        (17.792, 102.123, 63.79, 18.549),
    ),
    "snow": (
        (38.653, 140.905, 70.083, 15.572),
        (61.806, 164.059, 65.927, 11.343),
        (87.943, 190.195, 54.671, 8.552),
    ),
    "frost": (
        (59.671, 161.923, 60.146, 12.357),
        (81.407, 183.252, 46.365, 9.448),
        (82.288, 183.463, 43.818, 9.296),
    ),
    "fog": (
        (44.502, 118.868, 35.543, 13.937),
        (54.326, 122.206, 33.868, 12.177),
        (58.35, 124.632, 35.335, 11.565),
    ),
    "brightness": (
        (20.898, 123.151, 68.254, 21.441),
        (55.907, 158.159, 56.591, 12.585),
        (86.694, 188.946, 44.58, 8.496),
    ),
    "contrast": (
        (35.318, 101.734, 28.181, 15.749),
        (47.124, 101.718, 14.726, 13.251),
        (55.993, 101.755, 6.026, 11.759),
    ),
    "elastic_transform": (
        (2.58, 101.957, 69.458, 31.671),
        (4.071, 101.891, 69.457, 27.735),
        (5.104, 101.946, 69.441, 26.191),
    ),
    "pixelate": (
        (1.767, 102.495, 69.365, 35.411),
        (2.89, 102.353, 69.224, 31.102),
        (3.508, 102.378, 68.977, 29.579),
    ),
    "jpeg_compression": (
        (2.841, 102.183, 69.899, 35.742),
        (3.904, 102.278, 69.692, 33.241),
        (7.085, 102.18, 69.683, 28.658),
    ),
}
# Largest relative error of the difference, absolute error of mean and deviation in grey levels, of the PSNR in dB.
EXACT, NOISE, DRAWN = (0.03, 0.15, 0.15, 0.03), (0.01, 0.3, 0.3, 0.06), (0.15, 12.0, 6.0, 1.5)
TOLERANCES = {
    **dict.fromkeys(CORRUPTIONS, EXACT),
    **dict.fromkeys(("gaussian_noise", "shot_noise", "impulse_noise"), NOISE),
    "snow": (0.015, 0.6, 0.6, 0.1),
    "glass_blur": (0.03, 0.15, 0.15, 0.1),
    "elastic_transform": (0.08, 0.5, 0.15, 0.6),
    "motion_blur": (0.06, 0.6, 0.4, 0.5),
    "fog": DRAWN,
    "frost": DRAWN,
}
DRAWS = {"motion_blur": 4, "fog": 8, "frost": 16}


@pytest.fixture(scope="module")
def frames(shared_data: Path) -> list[np.ndarray]:
    return [read_rgb(shared_data / "bdd100k" / "images" / "100k" / "val" / name) for name in FRAMES]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_figures(name: str, frames: list[np.ndarray]):
    for severity, expected in zip((1, 3, 5), ORIGINAL[name], strict=True):
        draws = range(DRAWS.get(name, 1))
        rows = [measure(frame, corrupt(frame, name, severity, _rng(draw))) for frame in frames for draw in draws]
        loss, mean, deviation, psnr = np.mean(rows, axis=0)
        off = (loss / expected[0] - 1, mean - expected[1], deviation - expected[2], psnr - expected[3])
        assert (np.abs(off) <= TOLERANCES[name]).all(), (severity, off)


def measure(frame: np.ndarray, made: np.ndarray) -> tuple[float, ...]:
    difference = cv2.absdiff(frame, made)
    mean, deviation = made.mean(), np.sqrt(np.square(made, dtype=np.float32).mean(dtype=float) - made.mean() ** 2)
    return difference.mean(), mean, deviation, cv2.PSNR(frame, made)


def _rng(draw: int) -> np.random.Generator:
    return np.random.default_rng(draw)
