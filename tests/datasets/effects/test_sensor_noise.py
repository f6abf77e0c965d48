"""Sensor noise."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.effects.linear_light import decode_srgb, encode_srgb
from tl_datasets.effects.scene import Scene
from tl_datasets.effects.sensor_noise import (
    FULL_WELL_E,
    GAIN,
    READ_NOISE_E,
    SENSOR_NOISE,
    WHITE_BALANCE,
    noise_sigma,
    with_noise,
)


def measured(grey: int, gain: float, seed: int = 0) -> np.ndarray:
    """(3,) variance of linear light that a grey area gets."""
    noisy = with_noise(np.full((200, 300, 3), grey, np.uint8), gain, np.random.default_rng(seed))
    # Without the rounding to bytes, which adds a twelfth of a step squared.
    step = decode_srgb((grey + 0.5) / 255) - decode_srgb((grey - 0.5) / 255)
    return decode_srgb(noisy / 255).reshape(-1, 3).var(axis=0) - step**2 / 12


@pytest.mark.parametrize("gain", [4, 15, 40])
@pytest.mark.parametrize("grey", [90, 128, 170, 200])
def test_variance_is_that_of_electrons(grey, gain):
    """Shot noise of N electrons and read noise, worked out by hand for each channel."""
    light = float(decode_srgb(grey / 255))
    for channel, balance in enumerate(WHITE_BALANCE):
        white_e = FULL_WELL_E / (gain * balance)
        expected = (light * white_e + READ_NOISE_E**2) / white_e**2
        assert measured(grey, gain)[channel] == pytest.approx(expected, rel=0.1)


def test_variance_grows_with_the_light_and_with_the_gain():
    assert measured(180, 8)[1] > 2 * measured(110, 8)[1]
    assert measured(128, 30)[1] == pytest.approx(3 * measured(128, 10)[1], rel=0.1)
    assert (np.diff([measured(128, gain)[1] for gain in GAIN]) > 0).all()


def test_the_dark_is_noisier_in_bytes_than_the_light():
    def spread(grey: int) -> float:
        return with_noise(np.full((100, 100, 3), grey, np.uint8), 15, np.random.default_rng(0))[..., 1].std()

    assert spread(40) > 1.3 * spread(200)


def test_the_mean_stays():
    for grey in (60, 128, 220):
        noisy = with_noise(np.full((300, 300, 3), grey, np.uint8), 8, np.random.default_rng(1))
        assert decode_srgb(noisy / 255).mean() == pytest.approx(float(decode_srgb(grey / 255)), rel=0.01)


def test_black_and_white_clip_and_nothing_wraps_around():
    for grey in (0, 255):
        noisy = SENSOR_NOISE.apply(Scene.of_frame(np.full((100, 100, 3), grey, np.uint8)), 5, np.random.default_rng(0))
        assert np.abs(noisy.astype(int) - grey).max() < 100


def test_neighbours_are_correlated_as_after_demosaicing():
    noise = with_noise(np.full((256, 256, 3), 128, np.uint8), 15, np.random.default_rng(0))[..., 0].astype(float) - 128
    near = np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]
    far = np.corrcoef(noise[:, :-5].ravel(), noise[:, 5:].ravel())[0, 1]
    assert near > 0.2 and abs(far) < 0.05


def test_larger_than_the_tile():
    noisy = with_noise(np.full((1100, 2300, 3), 128, np.uint8), 15, np.random.default_rng(0))
    assert 4 < noisy.std() < 12 and np.abs(noisy.mean(axis=(0, 2)) - 128).max() < 4


def test_sigma_in_the_middle():
    """At a gain of 16 white has 625 electrons of green: a fifth of white has 125, and 2 of read noise."""
    assert noise_sigma(np.array([0.2]), 16)[0, 1] == pytest.approx(np.sqrt(125 + 4) / 625)
    assert float(encode_srgb(0.2)) == pytest.approx(0.4845, abs=1e-3)
