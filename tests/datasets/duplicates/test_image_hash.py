from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.duplicates.image_hash import HASH_WORDS, count_different_bits, hash_image
from tl_datasets.images import read_rgb


def distance(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """Bits of the head and of all."""
    one, other = hash_image(first), hash_image(second)
    assert one is not None
    assert other is not None
    return int(np.bitwise_count(one[0] ^ other[0])), int(count_different_bits(one, other))


def test_shape_and_repeat(pictures):
    value = hash_image(pictures.make(0))
    assert value is not None
    assert (value.shape, value.dtype) == ((HASH_WORDS,), np.dtype(np.uint64))
    assert (hash_image(pictures.make(0)) == value).all()


def test_a_slow_wave_is_seen_by_the_head_and_a_fast_one_is_not(pictures):
    """A wave over the width is one coefficient; upside down, its sign."""
    ground = pictures.make(0, 64, 64).mean(axis=2) / 2 + 60
    for half_periods, in_head in ((2, True), (18, False)):
        wave = 40 * np.cos(np.pi * half_periods * (np.arange(64) + 0.5) / 64)
        images = [np.repeat((ground + sign * wave).astype(np.uint8)[..., None], 3, axis=2) for sign in (1, -1)]
        head, all_bits = distance(*images)
        assert (head == 1) == in_head
        assert 1 <= all_bits <= 3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("change", "most_head", "most"),
    [
        (lambda of, image: of.as_jpeg(image, 30), 4, 12),
        (lambda of, image: of.as_jpeg(image, 95), 2, 6),
        (lambda of, image: of.resized(image, 0.25), 4, 12),
        (lambda of, image: of.resized(image, 2), 4, 12),
        (lambda of, image: of.as_jpeg(of.resized(image, 0.5), 60), 4, 12),
        (lambda of, image: np.clip(image.astype(int) + 20, 0, 255).astype(np.uint8), 4, 12),
        (lambda of, image: of.cropped(image, 0.03), 14, 90),
    ],
    ids=["quality 30", "quality 95", "a quarter", "double", "half and quality 60", "brighter", "3 % cropped"],
)
def test_changes_that_leave_the_picture_as_it_is(pictures, seed, change, most_head, most):
    image = pictures.make(seed)
    head, all_bits = distance(image, change(pictures, image))
    assert head <= most_head
    assert all_bits <= most


def test_other_pictures_are_far(pictures):
    for seed in range(10):
        head, all_bits = distance(pictures.make(seed), pictures.make(seed + 100))
        assert head > 14
        assert all_bits > 90


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_of_nothing_has_no_hash(level):
    image = np.full((90, 160, 3), level, np.uint8)
    assert hash_image(image) is None
    noisy = np.clip(image + np.random.default_rng(0).normal(0, 2, image.shape), 0, 255).astype(np.uint8)
    assert hash_image(noisy) is None


def test_count_different_bits_broadcasts():
    hashes = np.zeros((3, HASH_WORDS), np.uint64)
    hashes[1, 3], hashes[2] = 0b1011, 2**64 - 1
    assert count_different_bits(hashes, hashes[0]).tolist() == [0, 3, 256]


def test_real_frames(shared_data, pictures):
    """Copies stay below what tells frames of different recordings apart, with room in between."""
    paths = sorted((shared_data / "bdd100k" / "images" / "100k" / "val").glob("*.jpg"))[:40]
    assert len(paths) == 40
    images = [read_rgb(path) for path in paths]
    for image in images:
        for change in (pictures.as_jpeg(image, 30), pictures.resized(image, 0.25)):
            assert distance(image, change)[1] <= 12
    hashes = np.stack([value for image in images if (value := hash_image(image)) is not None])
    assert len(hashes) == len(images)
    first, second = np.triu_indices(len(hashes), 1)
    assert count_different_bits(hashes[first], hashes[second]).min() > 72
