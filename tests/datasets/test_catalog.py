from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_datasets.catalog import ANNOTATION_SCHEMA, FRAME_SCHEMA, Catalog
from tl_datasets.errors import DataError, UsageError
from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import (
    CATEGORIES,
    Facing,
    Orientation,
    Pictogram,
    Relevance,
    Scene,
    State,
    TimeOfDay,
    Weather,
)

EVERYTHING = Frame(
    frame_id="a/1",
    path="a/1.png",
    width_px=100,
    height_px=80,
    labelled_categories=("traffic_light",),
    weather=Weather.RAINY,
    scene=Scene.CITY_STREET,
    time_of_day=TimeOfDay.DAWN_DUSK,
    sequence="a",
    split="val",
    timestamp_ns=1_700_000_000_123_456_789,
    annotations=(
        Annotation(
            xyxy=(1.25, 2.5, 7.123456789, 20.1),
            state=State.OFF,
            pictogram=Pictogram.ARROW_LEFT,
            relevance=Relevance.UNKNOWN,
            facing=Facing.FRONT,
            orientation=Orientation.VERTICAL,
            aspects=3,
            occluded=False,
            truncated=True,
            reflection=False,
            ignore=True,
            track_id="7",
            source_label="off_left",
        ),
        Annotation(xyxy=(0, 0, 1, 1), state=State.UNKNOWN),
        Annotation(xyxy=(0, 0, 1, 1), category="car"),
    ),
)
UNLABELLED = Frame(frame_id="b", path="b.png", width_px=10, height_px=10, annotations=None)
NEGATIVE = Frame(frame_id="c", path="c.png", width_px=10, height_px=10, annotations=())


def optional(values):
    return st.none() | st.sampled_from(list(values))


FRAMES = st.builds(
    Frame,
    frame_id=st.uuids().map(str),
    path=st.just("x.png"),
    width_px=st.integers(1, 4000),
    height_px=st.integers(1, 4000),
    weather=optional(Weather),
    scene=optional(Scene),
    time_of_day=optional(TimeOfDay),
    sequence=optional(["a", "b"]),
    timestamp_ns=st.none() | st.integers(0, 2**62),
    annotations=st.none()
    | st.lists(
        st.builds(
            Annotation,
            xyxy=st.tuples(st.floats(0, 99), st.floats(0, 99), st.floats(100, 200), st.floats(100, 200)),
            category=st.sampled_from(CATEGORIES),
            state=optional(State),
            pictogram=optional(Pictogram),
            occluded=optional([True, False]),
            ignore=st.booleans(),
        ),
        max_size=4,
    ).map(tuple),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(FRAMES, max_size=5))
def test_frames_come_back(frames):
    catalog = Catalog.from_frames(frames, source="s", root=Path("/images"))
    assert list(catalog.iter_frames()) == frames


def test_frames_come_back_from_disk(tmp_path, make_catalog):
    catalog = make_catalog(EVERYTHING, UNLABELLED, NEGATIVE)
    catalog.save(tmp_path / "catalog")
    opened = Catalog.open(tmp_path / "catalog")
    assert list(opened.iter_frames()) == [EVERYTHING, UNLABELLED, NEGATIVE]
    assert opened.fingerprint == catalog.fingerprint
    assert opened.roots == catalog.roots
    assert opened.frames["content_hash"].to_list() == ["hash of a/1", "hash of b", "hash of c"]


def test_three_kinds_of_no_stay_apart(make_catalog):
    states = make_catalog(EVERYTHING).annotations["state"].to_list()
    assert states == ["off", "unknown", None]
    assert make_catalog(EVERYTHING, UNLABELLED, NEGATIVE).frames["label_status"].to_list() == [
        "partial",
        "unlabelled",
        "labelled",
    ]


def test_an_empty_catalog_has_its_columns(tmp_path, make_catalog):
    make_catalog().save(tmp_path / "catalog")
    opened = Catalog.open(tmp_path / "catalog")
    assert len(opened) == 0
    assert opened.frames.schema == FRAME_SCHEMA
    assert opened.annotations.schema == ANNOTATION_SCHEMA


def test_boxes_of_a_frame_are_a_slice_whatever_the_order_of_the_rows(make_catalog, make_frame):
    frames = [make_frame(name, (State.RED,) * n) for name, n in (("a", 2), ("b", 0), ("c", 3))]
    catalog = make_catalog(*frames)
    shuffled = Catalog(catalog.frames, catalog.annotations.sample(fraction=1, shuffle=True, seed=1), catalog.roots)
    for index, frame in enumerate(frames):
        expected = sorted(annotation.xyxy for annotation in frame.annotations or ())
        assert sorted(map(tuple, shuffled.boxes(index).tolist())) == expected
    assert catalog.boxes(1).shape == (0, 4)


def test_many_blocks_keep_order(make_frame):
    frames = [make_frame(str(number), (State.RED,) if number % 3 else ()) for number in range(9000)]
    catalog = Catalog.from_frames(iter(frames), source="s", root=Path())
    assert catalog.frames["frame_id"].to_list() == [frame.frame_id for frame in frames]
    assert len(catalog.annotations) == 6000
    assert catalog.frame(8999) == frames[8999]


def test_hashes_that_arrive_while_reading_are_kept(make_frame):
    hashes: dict[str, str] = {}

    def frames():
        hashes["a"] = "1234"
        yield make_frame("a")

    assert Catalog.from_frames(frames(), source="s", root=Path(), content_hashes=hashes).frames["content_hash"][0] == (
        "1234"
    )


def test_filter_by_text_and_by_expression(make_catalog, make_frame):
    rain = make_frame("rain", (State.RED, State.GREEN), weather=Weather.RAINY)
    catalog = make_catalog(make_frame("none"), rain, make_frame("clear", weather=Weather.CLEAR))
    for expression in ('weather == "rainy"', "rainy & width_px > 0", pl.col("weather") == "rainy"):
        kept = catalog.filter(expression)
        assert list(kept.iter_frames()) == [rain]
    # A missing value is neither rainy nor not rainy.
    assert catalog.filter('weather != "rainy"').frames["frame_id"].to_list() == ["clear"]


def test_filter_faults(make_catalog, make_frame):
    catalog = make_catalog(make_frame("a"))
    with pytest.raises(UsageError, match=r"no column or word 'wheather'; .* did you mean 'weather'"):
        catalog.filter('wheather == "rainy"')
    with pytest.raises(UsageError, match=r"'width_px' \(a number\) cannot be compared"):
        catalog.filter('width_px == "rainy"')
    with pytest.raises(UsageError, match="weather is never 'rany'; did you mean 'rainy'"):
        catalog.filter("weather == rany")
    with pytest.raises(DataError, match="cannot be applied"):
        catalog.filter(pl.col("width_px") == "rainy")


def test_repeated_frame_id(make_catalog, make_frame):
    with pytest.raises(DataError, match="frame id 'a' occurs more than once"):
        make_catalog(make_frame("a"), make_frame("a"))


def test_box_without_frame_and_missing_column_and_root(make_catalog, make_frame):
    catalog = make_catalog(make_frame("a"))
    with pytest.raises(DataError, match="belongs to frame 'x'"):
        Catalog(catalog.frames, catalog.annotations.with_columns(frame_id=pl.lit("x")), catalog.roots)
    with pytest.raises(DataError, match="no column 'width_px'"):
        Catalog(catalog.frames.drop("width_px"), catalog.annotations, catalog.roots)
    with pytest.raises(DataError, match="no image root for source 'drawn'"):
        Catalog(catalog.frames, catalog.annotations, {})


def test_fingerprint_sees_content_not_order_or_place(make_catalog, make_frame):
    a, b = make_frame("a"), make_frame("b", (State.RED, State.GREEN))
    base = make_catalog(a, b)
    assert make_catalog(b, a).fingerprint == base.fingerprint
    assert make_catalog(a, b, root=Path("/elsewhere")).fingerprint == base.fingerprint
    others = [
        make_catalog(a),
        make_catalog(a, make_frame("b", (State.RED, State.YELLOW))),
        make_catalog(a, make_frame("b", (State.RED, State.GREEN), weather=Weather.FOGGY)),
        make_catalog(a, b, hashes={"a": "another picture"}),
    ]
    assert base.fingerprint not in {catalog.fingerprint for catalog in others}


def test_a_catalog_moves_with_its_images(tmp_path, make_frame, draw_image):
    draw_image(tmp_path / "here" / "images" / "a.png")
    catalog = Catalog.from_frames([make_frame("a")], source="s", root=tmp_path / "here" / "images")
    catalog.save(tmp_path / "here" / "catalog")
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert Catalog.open(tmp_path / "there" / "catalog").image_path(0) == tmp_path / "there" / "images" / "a.png"


def test_an_image_path_cannot_leave_its_root(make_catalog, make_frame):
    with pytest.raises(DataError, match="leaves its root"):
        make_catalog(make_frame("a", path="../../secret.png")).image_path(0)


def test_save_writes_over_nothing_and_leaves_nothing_half(tmp_path, make_catalog, make_frame, monkeypatch):
    catalog = make_catalog(make_frame("a"))
    catalog.save(tmp_path / "catalog")
    with pytest.raises(DataError, match="exists already"):
        catalog.save(tmp_path / "catalog")

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(OSError, match="disk full"):
        catalog.save(tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["catalog"]


def test_save_takes_an_empty_folder(tmp_path, make_catalog, make_frame):
    (tmp_path / "catalog").mkdir()
    make_catalog(make_frame("a")).save(tmp_path / "catalog")
    assert len(Catalog.open(tmp_path / "catalog")) == 1
    (tmp_path / "file").write_text("keep")
    with pytest.raises(DataError, match="exists already and is not an empty folder"):
        make_catalog(make_frame("a")).save(tmp_path / "file")


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ([], "catalog schema None, expected 2"),
        (5, "catalog schema None, expected 2"),
        ({"schema_version": 1}, "roots is None, expected the image folder of each source"),
        ({"schema_version": 1, "roots": ["x"]}, r"roots is \['x'\]"),
        ({"schema_version": 1, "roots": {"drawn": None}}, r"roots is \{'drawn': None\}"),
        ({"schema_version": 1, "roots": {"drawn": "a\0b"}}, "expected image folders"),
    ],
    ids=["a list", "a number", "no roots", "a list of roots", "a root of null", "a root that is no path"],
)
def test_a_catalog_json_of_another_shape(tmp_path, make_catalog, make_frame, meta, message):
    folder = make_catalog(make_frame("a")).save(tmp_path / "catalog")
    (folder / "catalog.json").write_text(json.dumps(meta))
    with pytest.raises(DataError, match=message):
        Catalog.open(folder)


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        ("frames", "weather", "hail", "frames: weather is 'hail', expected clear, "),
        ("frames", "label_status", None, "frames: label_status is None, expected labelled"),
        ("frames", "width_px", "wide", "a column of the frames table has another type"),
        ("frames", "timestamp_ns", "noon", "a column of the frames table has another type"),
        ("annotations", "state", "mauve", "annotations: state is 'mauve', expected red"),
        ("annotations", "category", "lorry", "annotations: category is 'lorry'"),
        ("annotations", "x1", "left", "a column of the annotations table has another type"),
        ("annotations", "x1", float("nan"), r"frame 'a' has the box \[nan, 5"),
        ("annotations", "x2", float("inf"), "expected finite x1 < x2"),
        ("annotations", "y1", None, "expected finite x1 < x2"),
        ("annotations", "x1", 50.0, "expected finite x1 < x2"),
    ],
)
def test_open_looks_at_the_contents(tmp_path, make_catalog, make_frame, table, column, value, message):
    folder = make_catalog(make_frame("a")).save(tmp_path / "catalog")
    path = folder / f"{table}.parquet"
    pl.read_parquet(path).with_columns(pl.lit(value).alias(column)).write_parquet(path)
    with pytest.raises(DataError, match=message) as caught:
        Catalog.open(folder)
    assert "\n" not in str(caught.value)


def test_open_says_what_is_wrong(tmp_path, make_catalog, make_frame):
    with pytest.raises(DataError, match=r"not a catalog.*tl index"):
        Catalog.open(tmp_path / "absent")
    folder = make_catalog(make_frame("a")).save(tmp_path / "catalog")
    meta = json.loads((folder / "catalog.json").read_text())
    (folder / "catalog.json").write_text(json.dumps({**meta, "schema_version": 99}))
    with pytest.raises(DataError, match="schema 99, expected 2"):
        Catalog.open(folder)
    (folder / "catalog.json").write_text("{")
    with pytest.raises(DataError, match="not a catalog"):
        Catalog.open(folder)
    (folder / "catalog.json").write_text(json.dumps(meta))
    (folder / "frames.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(DataError, match="not a catalog"):
        Catalog.open(folder)


def test_xyxy_keeps_full_precision(make_catalog):
    catalog = make_catalog(EVERYTHING)
    np.testing.assert_array_equal(catalog.xyxy[0], [1.25, 2.5, 7.123456789, 20.1])
