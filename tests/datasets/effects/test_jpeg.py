"""JPEG compression."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tl_datasets.effects.jpeg import JPEG, QUALITY
from tl_datasets.effects.scene import Scene


def test_the_image_is_that_of_the_codec(pictures):
    """Against OpenCV with red and blue exchanged by hand."""
    image = pictures.make(0)
    options = [cv2.IMWRITE_JPEG_QUALITY, 55, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422]
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), options)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    expected = decoded[..., ::-1]
    assert (JPEG.apply(Scene.of_frame(image), 3, np.random.default_rng(0)) == expected).all()


def test_each_severity_takes_more(pictures):
    image = pictures.make(1).astype(int)
    errors = []
    for severity in (1, 2, 3, 4, 5):
        compressed = JPEG.apply(Scene.of_frame(image.astype(np.uint8)), severity, np.random.default_rng(0))
        errors.append(np.abs(compressed.astype(int) - image).mean())
    assert errors == sorted(errors) and errors[-1] > 1.2 * errors[0]


def test_milder_than_the_benchmark():
    """Michaelis et al., arXiv 1907.07484: 25, 18, 15, 10, 7 are for testing."""
    assert min(QUALITY) > 25


@pytest.mark.parametrize("colour", [(235, 45, 40), (40, 220, 150), (240, 190, 40)])
def test_colours_keep_their_channels(colour):
    image = np.full((64, 64, 3), colour, np.uint8)
    compressed = JPEG.apply(Scene.of_frame(image), 5, np.random.default_rng(0))
    assert np.abs(compressed.astype(int) - colour).max() < 8
