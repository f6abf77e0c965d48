from __future__ import annotations

from pathlib import Path

import pytest

from tl_datasets.errors import AnnotationError
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import declared_side, read_flag, read_number, read_whole

HERE = Place(Path("a.json"), ("image", "x" * 500, "box", 3))


def test_a_place_says_file_line_and_way():
    assert str(Place(Path("a.txt"), line=3)) == "a.txt line 3"
    assert str(Place(Path("a.json"), ("image", 7)).at("box", 3)) == "a.json image 7 box 3"
    error = Place(Path("a.json"), ("image", 7), line=2).error("no box; expected one")
    assert str(error) == "a.json line 2: image 7: no box; expected one"
    assert (error.path, error.line) == (Path("a.json"), 2)
    assert len(str(HERE)) < 200


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), (True, True), (0, False), (1.0, True), ("TRUE", True), ("0", False), (False, False)],
)
def test_flags(value, expected):
    assert read_flag(value, "occluded", HERE) is expected


@pytest.mark.parametrize("value", ["", "yes", 2, [], {}, float("nan")])
def test_what_is_no_flag(value):
    with pytest.raises(AnnotationError, match=r"occluded is .* expected true, false or null"):
        read_flag(value, "occluded", HERE)


@pytest.mark.parametrize(("value", "expected"), [(3, 3.0), ("3.5", 3.5), (-1e-9, -1e-9), (" 4 ", 4.0)])
def test_numbers(value, expected):
    assert read_number(value, "x", HERE) == expected


@pytest.mark.parametrize("value", [None, True, "", "a", float("nan"), float("inf"), "1e999", "1_9", 10**400, [], {}])
def test_what_is_no_number(value):
    with pytest.raises(AnnotationError, match=r"image x+ box 3: x is .* expected a number"):
        read_number(value, "x", HERE)


@pytest.mark.parametrize(("value", "expected"), [(3, 3), ("4", 4), (2.0, 2), (None, None), ("3.0", 3)])
def test_whole_numbers(value, expected):
    assert read_whole(value, "aspects", HERE, 1, 4) == expected


def test_a_whole_number_of_many_digits_stays_exact():
    assert read_whole("1478019969186707569", "time", HERE, 0, 2**63) == 1478019969186707569


@pytest.mark.parametrize("value", [0, 5, 1.5, "x", True, float("nan"), float("inf"), "9" * 5000, [], "²", "+-5"])
def test_what_is_no_whole_number_within_limits(value):
    with pytest.raises(AnnotationError, match=r"aspects is .* expected a whole number from 1 to 4"):
        read_whole(value, "aspects", HERE, 1, 4)


@pytest.mark.parametrize(("value", "expected"), [(1280, 1280), (1280.0, 1280), ("1280", 1280), (None, None)])
def test_sides(value, expected):
    assert declared_side(value, "width", HERE) == expected


@pytest.mark.parametrize("value", [0, -1, 1.5, "a", True, 10**9, float("nan"), [1]])
def test_what_is_no_side(value):
    with pytest.raises(AnnotationError, match=r"width is .* expected a whole number of pixels"):
        declared_side(value, "width", HERE)
