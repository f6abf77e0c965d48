"""sRGB bytes to linear light and back."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.effects.linear_light import WHITE, decode_srgb, encode_srgb, to_bytes, to_linear


def test_every_byte_comes_back():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    assert (to_bytes(to_linear(image)) == image).all()


@pytest.mark.parametrize(("encoded", "linear"), [(0, 0), (0.04, 0.04 / 12.92), (0.5, 0.21404), (1, 1)])
def test_known_values(encoded, linear):
    """Half of sRGB is 21.4 % of the light (IEC 61966-2-1)."""
    assert float(decode_srgb(encoded)) == pytest.approx(linear, abs=1e-5)
    assert float(encode_srgb(linear)) == pytest.approx(encoded, abs=1e-5)


def test_gain_by_channel_and_clipping():
    linear = to_linear(np.full((2, 3, 3), 188, np.uint8), (1, 0.5, 3))
    half = decode_srgb(188 / 255) * WHITE
    assert linear.dtype == np.uint16 and linear.shape == (2, 3, 3)
    assert linear[0, 0].tolist() == [round(float(half)), round(float(half / 2)), WHITE]
