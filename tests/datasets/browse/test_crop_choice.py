from __future__ import annotations

import polars as pl
import pytest

from tl_datasets.browse.crop_choice import choose_crops
from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation
from tl_datasets.taxonomy import State


@pytest.fixture
def catalog(make_catalog, make_frame, tmp_path) -> Catalog:
    """200 red lights of growing height in one source, 10 in another, 3 without a state, and cars."""
    reds = tuple(Annotation(xyxy=(0, 0, 5, 1 + i / 4), state=State.RED) for i in range(200))
    others = (*(Annotation(xyxy=(0, 0, 5, 9)) for _ in range(3)), Annotation(xyxy=(0, 0, 30, 9), category="car"))
    first = make_catalog(make_frame("a", annotations=reds), make_frame("b", annotations=others))
    few = tuple(Annotation(xyxy=(0, 0, 5, 1 + i), state=State.RED) for i in range(10))
    second = Catalog.from_frames([make_frame("c", annotations=few)], source="second", root=tmp_path)
    return Catalog(
        pl.concat([first.frames, second.frames]),
        pl.concat([first.annotations, second.annotations]),
        {**first.roots, **second.roots},
    )


def test_the_number_is_bounded_per_state_and_spread_over_sources(catalog):
    rows = catalog.annotations[choose_crops(catalog, per_state=40)]
    assert rows["category"].unique().to_list() == ["traffic_light"]
    assert rows["state"].value_counts().sort("state", nulls_last=True).rows() == [("red", 40), (None, 3)]
    of_frame = dict(rows.filter(pl.col("state") == "red")["frame_id"].value_counts().iter_rows())
    assert of_frame == {"a": 30, "c": 10}


def test_heights_are_spread(catalog):
    rows = catalog.annotations[choose_crops(catalog, per_state=20)].filter(
        (pl.col("state") == "red") & (pl.col("frame_id") == "a")
    )
    heights = (rows["y2"] - rows["y1"]).to_list()
    # Ten equal parts of 1 to 51 pixels, one light from each.
    assert [int((height - 1) // 5) for height in sorted(heights)] == list(range(10))


def test_the_seed_decides(catalog):
    assert choose_crops(catalog, 20, seed=1).tolist() == choose_crops(catalog, 20, seed=1).tolist()
    assert choose_crops(catalog, 20, seed=1).tolist() != choose_crops(catalog, 20, seed=2).tolist()


def test_few_lights_are_all_taken(catalog):
    assert len(choose_crops(catalog, per_state=1000)) == 213


def test_without_lights(make_catalog, make_frame):
    for empty in (make_catalog(), make_catalog(make_frame("a", ()))):
        assert choose_crops(empty).tolist() == []
