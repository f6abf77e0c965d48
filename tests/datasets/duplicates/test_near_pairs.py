from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_datasets.duplicates import near_pairs
from tl_datasets.duplicates.image_hash import HASH_BITS, HASH_WORDS, count_different_bits
from tl_datasets.duplicates.near_pairs import find_near_pairs
from tl_datasets.errors import DataError, UsageError


def by_brute_force(hashes: np.ndarray, head_distance: int, distance: int) -> dict[tuple[int, int], int]:
    """Pairs of different hashes, each the first of its equals, straight from the definition."""
    result = {}
    seen: dict[bytes, int] = {}
    first = [row for row, value in enumerate(hashes) if seen.setdefault(value.tobytes(), row) == row]
    for place, one in enumerate(first):
        for other in first[place + 1 :]:
            head = int(hashes[one, 0] ^ hashes[other, 0]).bit_count()
            bits = sum(int(a ^ b).bit_count() for a, b in zip(hashes[one], hashes[other], strict=True))
            if head <= head_distance and bits <= distance:
                result[one, other] = bits
    return result


def families(rng: np.random.Generator, number: int, most_flips: int, of: int = 10) -> np.ndarray:
    """Hashes in families of ten, each some flips away from the first of its family."""
    parents = rng.integers(0, 2**64, (-(-number // of), HASH_WORDS), dtype=np.uint64)
    bits = np.zeros((number, HASH_BITS), np.uint8)
    for row in bits:
        row[rng.permutation(HASH_BITS)[: rng.integers(0, most_flips + 1)]] = 1
    return parents.repeat(of, axis=0)[:number] ^ np.packbits(bits, axis=1, bitorder="little").view(np.uint64)


def found(result: near_pairs.NearPairs) -> dict[tuple[int, int], int]:
    pairs = [tuple(pair) for pair in result.pairs.tolist()]
    assert pairs == sorted(set(pairs)), "each pair once, in order"
    return dict(zip(pairs, result.distance.tolist(), strict=True))


@pytest.mark.parametrize("head_distance", [0, 1, 3, 4, 7, 10, 11, 15])
@pytest.mark.parametrize("search", ["each with each", "buckets"])
def test_against_brute_force(monkeypatch, search, head_distance):
    if search == "buckets":
        monkeypatch.setattr(near_pairs, "_FEW", 0)
    hashes = families(np.random.default_rng(head_distance), 300, most_flips=60)
    expected = by_brute_force(hashes, head_distance, 70)
    assert found(find_near_pairs(hashes, head_distance, 70, workers=2)) == expected
    assert head_distance < 4 or len(expected) > 50


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 63), max_size=14), min_size=2, max_size=12),
    st.integers(0, 15),
    st.integers(0, 1),
)
def test_no_near_pair_is_missed(flips, head_distance, use_buckets):
    """Heads around one another, with flips wherever hypothesis puts them."""
    heads = [np.bitwise_xor.reduce([np.uint64(0), *(np.uint64(1) << np.uint64(bit) for bit in row)]) for row in flips]
    hashes = np.zeros((len(heads), HASH_WORDS), np.uint64)
    hashes[:, 0] = heads
    few = near_pairs._FEW
    try:
        near_pairs._FEW = 0 if use_buckets else few
        assert found(find_near_pairs(hashes, head_distance, 256)) == by_brute_force(hashes, head_distance, 256)
    finally:
        near_pairs._FEW = few


def test_many_heads_in_one_bucket(monkeypatch):
    """Tiles of 8 are filled, overfilled and half filled; the order of the hashes does not matter."""
    monkeypatch.setattr(near_pairs, "_FEW", 0)
    rng = np.random.default_rng(1)
    hashes = np.zeros((200, HASH_WORDS), np.uint64)
    hashes[:, 0] = rng.integers(0, 2**16, 200).astype(np.uint64) << np.uint64(48)
    hashes[:, 1] = np.arange(200)
    expected = by_brute_force(hashes, 3, 256)
    assert found(find_near_pairs(hashes, 3, 256)) == expected
    order = rng.permutation(200)
    shuffled = find_near_pairs(hashes[order], 3, 256)
    assert {tuple(sorted(order[list(pair)].tolist())) for pair in shuffled.pairs} == set(expected)


def test_both_searches_find_the_same_among_many(monkeypatch):
    hashes = families(np.random.default_rng(2), 6000, most_flips=50)
    one = find_near_pairs(hashes, 11, 90)
    monkeypatch.setattr(near_pairs, "_FEW", 0)
    other = find_near_pairs(hashes, 11, 90, workers=3)
    assert len(one.pairs) > 10_000
    assert (one.pairs == other.pairs).all()
    assert (one.distance == count_different_bits(hashes[one.pairs[:, 0]], hashes[one.pairs[:, 1]])).all()


def test_equal_hashes_are_no_pairs_but_have_one_original():
    """As many black frames would have 5 billion pairs."""
    hashes = np.zeros((100_000, HASH_WORDS), np.uint64)
    hashes[60_000:, 3] = 1
    result = find_near_pairs(hashes)
    assert (result.original == np.repeat([0, 60_000], [60_000, 40_000])).all()
    assert found(result) == {(0, 60_000): 1}


def test_no_and_one_hash():
    for number in (0, 1):
        result = find_near_pairs(np.zeros((number, HASH_WORDS), np.uint64))
        assert result.pairs.shape == (0, 2)
        assert result.original.tolist() == list(range(number))


def test_too_many_pairs_are_refused():
    hashes = families(np.random.default_rng(3), 500, most_flips=3, of=500)
    with pytest.raises(DataError, match="more than 1,000 near pairs among 500 frames: most of them look alike"):
        find_near_pairs(hashes, max_pairs=1000)


@pytest.mark.parametrize(
    ("hashes", "head_distance", "message"),
    [
        (np.zeros((3, 4), np.int64), 11, r"shape \(3, 4\), int64: expected \(N, 4\) uint64"),
        (np.zeros((3, 1), np.uint64), 11, r"shape \(3, 1\)"),
        (np.zeros((3, 4), np.uint64), 16, "head_distance 16: expected 0 to 15"),
        (np.zeros((3, 4), np.uint64), -1, "head_distance -1"),
    ],
)
def test_wrong_use(hashes, head_distance, message):
    with pytest.raises(UsageError, match=message):
        find_near_pairs(hashes, head_distance)
