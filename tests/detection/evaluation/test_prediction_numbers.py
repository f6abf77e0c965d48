"""Numbers of a predictions file become the nearest double, as Python's own reader has them."""

from __future__ import annotations

import json
import random
from fractions import Fraction

import numpy as np
import pytest

from tl_detection.evaluation.prediction_scan import scan


def read(numbers: list[str]) -> np.ndarray | None:
    """What a list reads of the numbers as scores."""
    rows = [f'{{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": {number}}}' for number in numbers]
    found = scan(memoryview(f"[{', '.join(rows)}]".encode()))
    return None if found is None else found[3]


def halfway(rng: random.Random) -> str:
    """A number in the middle of two doubles, with as few digits as that takes."""
    below = rng.randrange(1 << 52, 1 << 53)
    middle, fives = Fraction(2 * below + 1, 2), 0
    power = rng.randrange(0, 3)
    middle /= 1 << power
    while middle.denominator > 1:
        middle, fives = middle * 10, fives + 1
    digits = str(middle.numerator)
    return f"{digits[:-fives]}.{digits[-fives:]}" if fives else f"{digits}.0"


def test_every_number_is_the_nearest_double():
    rng = random.Random(0)
    numbers = [repr(rng.random() * 10.0 ** rng.randrange(-8, 6)) for _ in range(20_000)]
    numbers += [repr(float(np.float32(rng.random()))) for _ in range(5_000)]
    numbers += [f"{rng.randrange(10**18)}e{rng.randrange(-27, 30)}" for _ in range(20_000)]
    numbers += [f"-{rng.randrange(10**9)}.{rng.randrange(10**9)}E+{rng.randrange(3)}" for _ in range(5_000)]
    numbers += [halfway(rng) for _ in range(5_000)]
    numbers += ["0.1", "0.30000000000000004", "-0.0", "0e5", "0.000e-20", "1e22", "1e23", "9007199254740993.0"]
    found = read(numbers)
    assert found is not None
    expected = np.array([json.loads(number) for number in numbers], np.float64)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "number", ["1e400", "1e-40", "12345678901234567890123.5", "0.12345678901234567890123", "01.5", "1.", ".5", "NaN"]
)
def test_what_cannot_be_read_exactly_is_left_to_another_reader(number):
    assert read(["0.5", number]) is None


@pytest.mark.parametrize("number", ["123456789012345678", "1e3", "1.0"])
def test_an_id_is_a_whole_number_that_a_double_holds(number):
    text = f'[{{"image_id": {number}, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}}]'
    assert scan(memoryview(text.encode())) is None
