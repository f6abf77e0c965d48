"""Rules about boxes, each with a box that breaks it and one that just does not."""

from __future__ import annotations

import polars as pl
import pytest

from tl_datasets.catalog import ANNOTATION_SCHEMA, Catalog
from tl_datasets.checks.run import check
from tl_datasets.checks.settings import CheckSettings
from tl_datasets.frame import Frame

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def boxed(tmp_path):
    """A catalog of one frame of 1000x500 with boxes given as (x1, y1, x2, y2) and further fields, without its image."""

    def make(*boxes: tuple, **fields) -> Catalog:
        frame = Frame(frame_id="f", path="f.png", width_px=1000, height_px=500, annotations=())
        catalog = Catalog.from_frames([frame], source="drawn", root=tmp_path)
        rows = [
            {
                **dict.fromkeys(ANNOTATION_SCHEMA),
                "frame_id": "f",
                "category": "traffic_light",
                "ignore": False,
                **dict(zip(("x1", "y1", "x2", "y2"), map(float, box[:4]), strict=True)),
                **fields,
                **(box[4] if len(box) > 4 else {}),
            }
            for box in boxes
        ]
        return Catalog(catalog.frames, pl.DataFrame(rows, schema=ANNOTATION_SCHEMA), catalog.roots)

    return make


GOOD = (100, 100, 120, 150)


@pytest.mark.parametrize(
    ("what", "box", "rule", "message"),
    [
        ("reversed", (120, 100, 100, 150), "box_degenerate", "expected finite x1 < x2"),
        ("a line", (100, 100, 100, 150), "box_degenerate", "expected finite"),
        ("no number", (100, NAN, 120, 150), "box_degenerate", "nan"),
        ("endless", (100, 100, INF, 150), "box_degenerate", "inf"),
        ("right of it", (1000, 100, 1020, 150), "box_outside", "lies outside 1000x500"),
        ("left of it", (-30, 100, 0, 150), "box_outside", "lies outside"),
        ("above it", (100, -60, 120, -10), "box_outside", "lies outside"),
        ("below it", (100, 500, 120, 550), "box_outside", "lies outside"),
        ("over the right edge", (990, 100, 1010, 150), "box_over_edge", "10.0 px over 1000x500"),
        ("over the top", (100, -3, 120, 50), "box_over_edge", "3.0 px over"),
        ("the whole image", (0, 0, 1000, 500), "box_whole_image", "covers 100% of the image"),
        ("most of it", (0, 0, 800, 400), "box_whole_image", "covers 64%"),
        ("too low", (100, 100, 103, 103.5), "box_size", "3.0x3.5 px in an image 500 px high"),
        ("too narrow", (100, 100, 101, 105), "box_size", "1.0x5.0 px"),
        ("too flat", (100, 100, 160, 110), "box_aspect", "6.00 times as wide as high"),
        ("too thin", (100, 100, 105, 150), "box_aspect", "0.10 times as wide as high"),
    ],
)
def test_single_boxes(what, box, rule, message, boxed, rules_of):
    findings = check(boxed(GOOD, box), images=False)
    assert rules_of(findings) == {rule: [("f", 1)]}, what
    assert message in findings.of(rule)["message"][0]


@pytest.mark.parametrize(
    ("what", "box", "fields"),
    [
        ("at the edges", (980, 450, 1000, 500), {}),
        ("over the edge by rounding", (980, 450, 1000.005, 500), {}),
        ("as low as a light may be", (100, 100, 102, 104), {}),
        ("five lenses in a row", (100, 100, 190, 120), {}),
        ("a car may fill the image", (0, 0, 1000, 500), {"category": "car"}),
        ("an ignored area too", (0, 0, 1000, 500), {"ignore": True}),
        ("a distant car", (100, 100, 103, 103), {"category": "car"}),
    ],
)
def test_what_is_no_fault(what, box, fields, boxed, rules_of):
    assert rules_of(check(boxed((*box, fields)), images=False)) == {}, what


def test_a_large_light_among_small_ones(boxed, rules_of):
    small = [(20 * number, 100, 20 * number + 10, 124) for number in range(5)]
    assert rules_of(check(boxed(*small, (400, 100, 520, 350)), images=False)) == {"box_size": [("f", 5)]}
    close_ups = [(10, 100, 110, 330), (300, 100, 400, 350), (600, 100, 720, 340)]
    assert rules_of(check(boxed(*close_ups), images=False)) == {}


@pytest.mark.parametrize(
    ("what", "first", "second", "expected"),
    [
        ("the same row twice", {"state": "red"}, {"state": "red"}, {"box_duplicate": [("f", 1)]}),
        ("another word of the source", {"source_label": "a"}, {"source_label": "b"}, {"box_duplicate": [("f", 1)]}),
        (
            "two states on one place",
            {"state": "red"},
            {"state": "green"},
            {"box_contradiction": [("f", 0), ("f", 1)]},
        ),
        ("a state and unknown", {"state": "red"}, {"state": "unknown"}, {"box_near_duplicate": [("f", 1)]}),
        ("a state and none", {"state": "red"}, {}, {"box_near_duplicate": [("f", 1)]}),
        (
            "two shapes",
            {"pictogram": "arrow_left"},
            {"pictogram": "circle"},
            {"box_contradiction": [("f", 0), ("f", 1)]},
        ),
        ("two categories", {}, {"category": "traffic_sign"}, {}),
        ("an ignore area and a light", {"ignore": True}, {}, {}),
    ],
)
def test_two_boxes_on_one_place(what, first, second, expected, boxed, rules_of):
    findings = check(boxed((*GOOD, first), (*GOOD, second)), images=False)
    assert rules_of(findings) == expected, what


def test_near_duplicates_by_overlap(boxed, rules_of):
    # 20x50 moved by d px to the right overlaps itself by (20 - d) / (20 + d): 0.82 at 2, 0.74 at 3.
    near, apart = (102, 100, 122, 150), (103, 100, 123, 150)
    findings = check(boxed(GOOD, near), images=False)
    assert rules_of(findings) == {"box_near_duplicate": [("f", 1)]}
    assert "IoU 0.82" in findings.table["message"][0]
    assert rules_of(check(boxed(GOOD, apart), images=False)) == {}
    wide = CheckSettings(near_duplicate_iou=0.7)
    assert rules_of(check(boxed(GOOD, apart), wide, images=False)) == {"box_near_duplicate": [("f", 1)]}


def test_three_on_one_place_are_two_too_many(boxed, rules_of):
    findings = check(boxed(GOOD, GOOD, GOOD), images=False)
    assert rules_of(findings) == {"box_duplicate": [("f", 1), ("f", 2)]}


def test_a_finding_carries_the_box_and_the_remedy(boxed):
    row = check(boxed(GOOD, (1000, 100, 1020, 150)), images=False).of("box_outside").row(0, named=True)
    assert (row["x1"], row["y1"], row["x2"], row["y2"]) == (1000, 100, 1020, 150)
    assert row["severity"] == "error" and row["remedy"].startswith("drop the box")


def test_boxes_beyond_all_measure_are_compared_too(boxed, rules_of):
    far = (-4e307, -4e307, 1e308, 4e307)
    assert "box_duplicate" in rules_of(check(boxed(far, far, GOOD), images=False))
