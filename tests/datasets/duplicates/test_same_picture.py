from __future__ import annotations

import cv2
import numpy as np
import pytest

from tl_datasets.duplicates.image_hash import grey_square
from tl_datasets.duplicates.same_picture import COPY_DIFFERENCE, SIDE_PX, picture_difference


def difference(first: np.ndarray, second: np.ndarray) -> float:
    return picture_difference(grey_square(first, SIDE_PX), grey_square(second, SIDE_PX))


def with_car(rgb: np.ndarray, x: int) -> np.ndarray:
    """A dark car of a twelfth of the width."""
    drawn = rgb.copy()
    cv2.rectangle(drawn, (x, 240), (x + 50, 280), (15, 15, 20), -1)
    return drawn


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "change",
    [
        lambda of, image: image,
        lambda of, image: of.as_jpeg(image, 30),
        lambda of, image: of.resized(image, 0.25),
        lambda of, image: of.cropped(image, 0.02),
        lambda of, image: of.cropped(image, 0.05),
        lambda of, image: of.as_jpeg(of.resized(of.cropped(image, 0.05), 0.5), 40),
        lambda of, image: np.clip(image.astype(int) + 15, 0, 255).astype(np.uint8),
    ],
    ids=["same", "quality 30", "a quarter", "2 % cropped", "5 % cropped", "cropped, half, quality 40", "brighter"],
)
def test_copies(pictures, seed, change):
    image = with_car(pictures.make(seed), 300)
    assert difference(image, change(pictures, image)) < COPY_DIFFERENCE
    assert difference(change(pictures, image), image) < COPY_DIFFERENCE


@pytest.mark.parametrize("seed", range(4))
def test_a_car_that_moved_is_another_moment(pictures, seed):
    street = pictures.make(seed)
    first, second = with_car(street, 300), with_car(street, 370)
    assert difference(first, second) > 1.5 * COPY_DIFFERENCE
    assert difference(first, pictures.cropped(second, 0.03)) > 1.5 * COPY_DIFFERENCE


def test_other_pictures_and_flat_ones(pictures):
    assert difference(pictures.make(0), pictures.make(1)) > 2 * COPY_DIFFERENCE
    flat = np.full((90, 160, 3), 90, np.uint8)
    assert difference(pictures.make(0), flat) == float("inf")
    # Much less than two thirds of the picture is no copy of it.
    assert difference(pictures.make(0), pictures.make(0)[:180, :320]) > 2 * COPY_DIFFERENCE


def test_arguments_stay_as_they_are(pictures):
    first, second = (grey_square(pictures.make(seed), SIDE_PX) for seed in (0, 0))
    before = first.copy(), second.copy()
    picture_difference(first, second)
    assert (first == before[0]).all()
    assert (second == before[1]).all()
