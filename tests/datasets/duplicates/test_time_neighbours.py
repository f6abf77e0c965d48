from __future__ import annotations

import itertools

import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.duplicates.time_neighbours import find_time_neighbours
from tl_datasets.errors import UsageError


def named(catalog: Catalog, **windows) -> set[tuple[str, str, bool]]:
    ids = catalog.frames["frame_id"]
    pairs = find_time_neighbours(catalog, **windows).tolist()
    assert all(one < other for one, other, _ in pairs)
    assert sorted({(one, other) for one, other, _ in pairs}) == [(one, other) for one, other, _ in pairs]
    return {(*sorted((ids[one], ids[other])), bool(later)) for one, other, later in pairs}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Berlin_438.jpg", "Berlin_439.jpg", True),
        ("Berlin_438.jpg", "Berlin_443.jpg", True),
        ("Berlin_438.jpg", "Berlin_444.jpg", None),
        ("Berlin_438.jpg", "Bochum_439.jpg", None),
        ("a/0009.png", "a/0010.png", True),
        ("a/0009.png", "b/0010.png", None),
        ("train/a/0009.png", "val/a/0010.png", True),
        ("images/Train/0009.png", "images/val/0009.jpg", False),
        ("left0358_j.jpg", "left0359_j.jpg", True),
        ("left0358_j.jpg", "left0359_k.jpg", None),
        ("x_12_jpg.rf.0a1b2c.jpg", "x_12_jpg.rf.ffee00.jpg", False),
        ("x_12_jpg.rf.0a1b2c.jpg", "x_13_jpg.rf.ffee00.jpg", True),
        ("b1d22449-15fb948f.jpg", "b1ee702d-525fcebf.jpg", None),
        ("street.jpg", "street.png", None),
        ("a\\7.png", "a/8.png", True),
        ("1" * 30 + "7.png", "1" * 30 + "8.png", True),
    ],
)
def test_numbers_in_names(make_catalog, make_frame, one, other, expected):
    catalog = make_catalog(make_frame("one", path=one), make_frame("other", path=other))
    assert named(catalog) == (set() if expected is None else {("one", "other", expected)})


def test_timestamps_within_a_sequence(make_catalog, make_frame):
    second = 1_000_000_000
    times = {"a": (0, "1"), "b": (second, "1"), "c": (second + 1, "1"), "d": (0, "2"), "e": (0, "1"), "f": (None, "1")}
    frames = [make_frame(name, timestamp_ns=time, sequence=drive) for name, (time, drive) in times.items()]
    expected = {("a", "b", True), ("a", "e", False), ("b", "e", True), ("b", "c", True)}
    assert named(make_catalog(*frames), seconds=1.0) == expected
    assert named(make_catalog(*reversed(frames)), seconds=1.0) == expected
    assert named(make_catalog(*frames), seconds=0) == {("a", "e", False)}


def test_without_a_sequence_the_folder_counts(make_catalog, make_frame):
    frames = [make_frame(name, path=f"{name}.png", timestamp_ns=5) for name in ("x/a", "x/b", "y/c")]
    assert named(make_catalog(*frames)) == {("x/a", "x/b", False)}


def test_against_all_pairs(make_catalog, make_frame):
    numbers = [3, 3, 4, 9, 3, 11, 8, 12, 42, 42, 42, 47, 44, 43]
    frames = [
        make_frame(f"{place}", path=f"{'ab'[place % 2]}/{number:03d}.png") for place, number in enumerate(numbers)
    ]
    # Same folder and number means the same file in real sets; here it only makes ties.
    expected = {
        (*sorted((str(one), str(other))), numbers[one] != numbers[other])
        for one, other in itertools.combinations(range(len(numbers)), 2)
        if one % 2 == other % 2 and abs(numbers[one] - numbers[other]) <= 5
    }
    assert named(make_catalog(*frames)) == expected
    assert len(expected) > 8


@pytest.mark.parametrize("windows", [{"seconds": -1.0}, {"seconds": float("nan")}, {"frames": -1}])
def test_negative_windows(make_catalog, make_frame, windows):
    with pytest.raises(UsageError, match="expected 0 or more"):
        find_time_neighbours(make_catalog(make_frame("a")), **windows)


def test_no_frames(make_catalog):
    assert find_time_neighbours(make_catalog()).shape == (0, 3)
