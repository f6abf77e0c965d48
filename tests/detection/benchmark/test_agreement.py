"""What counts as the same boxes."""

from __future__ import annotations

import pytest

from tl_detection.benchmark.agreement import compare

BOX = [0.0, 0.0, 10.0, 20.0]


def found(*rows: tuple[list[float], float, int]) -> list[dict]:
    return [{"xyxy": [row[0] for row in rows], "score": [row[1] for row in rows], "class_id": [row[2] for row in rows]}]


@pytest.mark.parametrize(
    ("own", "other", "compared", "partners"),
    [
        (found((BOX, 0.9, 0)), found((BOX, 0.9, 0)), 2, 2),
        (found((BOX, 0.9, 0)), found((BOX, 0.9, 1)), 2, 0),
        (found((BOX, 0.9, 0)), found(([0, 0, 10, 8], 0.9, 0)), 2, 0),
        (found((BOX, 0.9, 0), (BOX, 0.8, 0)), found((BOX, 0.9, 0)), 3, 2),
        (found((BOX, 0.27, 0)), found(), 0, 0),
        (found((BOX, 0.31, 0)), found((BOX, 0.26, 0)), 1, 1),
        (found((BOX, 0.9, 0), ([5, 5, 5, 9], 0.9, 0)), found((BOX, 0.9, 0)), 2, 2),
        (found(), found(), 0, 0),
    ],
    ids=[
        "equal",
        "another class",
        "too little overlap",
        "each partner is used once",
        "close to the lowest score nothing must be found",
        "a clear one may have a partner that is not",
        "what has no area is nothing",
        "nothing on both sides",
    ],
)
def test_partners(own: list[dict], other: list[dict], compared: int, partners: int):
    agreement = compare(own, other, 0.25)
    assert (agreement.compared, agreement.partners) == (compared, partners)
    assert agreement.is_same_work is (None if not compared else partners == compared)
    assert agreement.line()


def test_the_other_direction_counts_as_well():
    assert compare(found(), found((BOX, 0.9, 0)), 0.25).is_same_work is False
