from __future__ import annotations

import logging
from collections import Counter, defaultdict

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tl_datasets.catalog import Catalog
from tl_datasets.duplicates import find_twins
from tl_datasets.errors import DataError, UsageError
from tl_datasets.index import index
from tl_datasets.splits import check_split, split_catalog
from tl_datasets.taxonomy import State, TimeOfDay


@pytest.fixture
def drives(make_catalog, make_frame):
    """Drives of 5 frames; every third at night, every fourth with green lights."""

    def make(number: int = 30, **options) -> Catalog:
        frames = [
            make_frame(
                f"{drive:03d}/{position}",
                (State.GREEN if drive % 4 == 0 else State.RED,),
                sequence=f"{drive:03d}",
                time_of_day=TimeOfDay.NIGHT if drive % 3 == 0 else TimeOfDay.DAYTIME,
            )
            for drive in range(number)
            for position in range(5)
        ]
        return make_catalog(*frames, **options)

    return make


def parts_of(catalog: Catalog) -> dict[str, str]:
    return dict(zip(catalog.frames["frame_id"], catalog.frames["split"], strict=True))


def counts(catalog: Catalog) -> Counter:
    return Counter(catalog.frames["split"])


def test_shares_and_sequences(drives):
    result = split_catalog(drives(), val=0.2, test=0.1)
    assert counts(result) == {"train": 105, "val": 30, "test": 15}
    assert result.frames.group_by("sequence").agg(pl.col("split").n_unique())["split"].max() == 1
    check_split(result)


def test_conditions_and_classes_are_spread(drives):
    result = split_catalog(drives(60), val=0.25, test=0.25)
    night = Counter(result.frames.filter(pl.col("time_of_day") == "night")["split"])
    assert night == {"train": 50, "val": 25, "test": 25}
    green = result.annotations.filter(pl.col("state") == "green").join(result.frames, on="frame_id")
    assert Counter(green["split"]) == pytest.approx({"train": 38, "val": 19, "test": 19}, abs=5)


def test_seed_decides_and_row_order_does_not(drives):
    catalog = drives()
    first = parts_of(split_catalog(catalog, seed=3))
    shuffled = catalog.with_frames(catalog.frames.sample(fraction=1, shuffle=True, seed=5))
    assert parts_of(split_catalog(shuffled, seed=3)) == first
    assert parts_of(split_catalog(catalog, seed=4)) != first


def test_boxes_and_argument_stay_as_they_are(drives):
    catalog = drives(10)
    before = catalog.frames.clone()
    result = split_catalog(catalog)
    assert catalog.frames.equals(before)
    assert result.annotations.equals(catalog.annotations)
    assert result.frames.drop("split").equals(catalog.frames.drop("split"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_what_belongs_together_stays_together(make_catalog, make_frame, data):
    """Sequences and identical images are joined through any chain."""
    n = data.draw(st.integers(3, 25))
    sequences = data.draw(st.lists(st.none() | st.integers(0, 6).map(str), min_size=n, max_size=n))
    hashes = data.draw(st.lists(st.integers(0, 20).map(str), min_size=n, max_size=n))
    frames = [make_frame(str(i), sequence=sequence) for i, sequence in enumerate(sequences)]
    catalog = make_catalog(*frames, hashes={str(i): key for i, key in enumerate(hashes)})
    try:
        result = split_catalog(catalog, val=0.3, test=0.2, seed=data.draw(st.integers(0, 3)))
    except DataError as error:
        assert "units" in str(error)
        return
    check_split(result)
    part = parts_of(result)
    assert set(part.values()) == {"train", "val", "test"}
    groups = defaultdict(set)
    for i in range(n):
        groups["hash", hashes[i]].add(part[str(i)])
        if sequences[i] is not None:
            groups["sequence", sequences[i]].add(part[str(i)])
    assert all(len(parts) == 1 for parts in groups.values())


def test_a_part_with_share_zero_is_not_made(drives):
    assert set(counts(split_catalog(drives(), test=0))) == {"train", "val"}


def test_few_large_sequences_still_fill_every_part(drives):
    assert counts(split_catalog(drives(3))) == {"train": 5, "val": 5, "test": 5}


def test_same_sequence_name_in_two_sources_is_two_sequences(make_catalog, make_frame):
    one = make_catalog(*(make_frame(f"a{i}", sequence="1") for i in range(4)))
    two = make_catalog(*(make_frame(f"b{i}", sequence="1") for i in range(4)))
    other = two.frames.with_columns(source=pl.lit("other"))
    both = Catalog(
        one.frames.vstack(other), one.annotations.vstack(two.annotations), {**one.roots, "other": one.roots["drawn"]}
    )
    assert counts(split_catalog(both, val=0.5, test=0)) == {"train": 4, "val": 4}
    # Split by source they stay together with what their source has.
    assert counts(split_catalog(both, val=0.5, test=0, by="source")) == {"train": 4, "val": 4}


def test_kept_parts_stay_and_draw_their_units_in(drives):
    catalog = drives(20)
    frames = catalog.frames.with_columns(
        split=pl.when(pl.col("frame_id").is_in(["003/1", "004/0"])).then(pl.lit("test")).otherwise(pl.lit("train"))
    )
    part = parts_of(split_catalog(catalog.with_frames(frames), val=0.2, test=0.1, keep=("test",)))
    held = {frame_id for frame_id, name in part.items() if name == "test"}
    assert held == {f"{drive}/{position}" for drive in ("003", "004") for position in range(5)}
    assert set(part.values()) == {"train", "val", "test"}


def test_kept_parts_that_share_a_drive_are_refused(drives):
    catalog = drives(5)
    frames = catalog.frames.with_columns(split=pl.Series(["val", "test"] * 12 + ["val"]))
    with pytest.raises(DataError, match=r"kept parts test and val share .*sequence 000"):
        split_catalog(catalog.with_frames(frames), keep=("val", "test"))


def test_assign(drives):
    result = split_catalog(drives(5), assign={"val": ["001"], "test": ["002", "003"]})
    assert counts(result) == {"train": 10, "val": 5, "test": 10}


@pytest.mark.parametrize(
    ("assign", "message"),
    [
        ({"val": ["Berlin"]}, "val is given sequence 'Berlin', which the catalog does not have; it has 000, 001"),
        ({"val": ["001"], "test": ["001"]}, "sequence '001' is given to val and to test"),
        ({"val": ["000", "001", "002"]}, "train is empty"),
        ({"val": []}, "val is empty"),
    ],
)
def test_assign_faults(drives, assign, message):
    with pytest.raises(DataError, match=message):
        split_catalog(drives(3), assign=assign)


def test_assign_refuses_to_tear_twins(drives):
    twins = {"001/0": "same", "002/3": "same"}
    catalog = drives(4, hashes=twins)
    assert find_twins(catalog) == [("001/0", "002/3")]
    with pytest.raises(DataError, match=r"byte-identical images '001/0' \(val\), '002/3' \(train\)"):
        split_catalog(catalog, assign={"val": ["001"]})
    assert counts(split_catalog(catalog, assign={"val": ["001", "002"]})) == {"train": 10, "val": 10}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val": 1.0}, "val is 1, expected"),
        ({"test": -0.1}, "test is -0.1, expected"),
        ({"val": 0.5, "test": 0.5}, "leave nothing to train on"),
        ({"by": "drive"}, "no column 'drive'"),
        ({"keep": ("tset",)}, "part 'tset', expected train, val, test"),
        ({"assign": {"dev": ["001"]}}, "part 'dev'"),
        ({"keep": ("val",), "assign": {"val": ["001"]}}, "choose one"),
    ],
)
def test_wrong_use(drives, options, message):
    with pytest.raises(UsageError, match=message):
        split_catalog(drives(4), **options)


def test_too_few_units_and_no_frames(drives, make_catalog):
    with pytest.raises(DataError, match=r"2 units .*cannot fill train, val, test; .*set a share to 0"):
        split_catalog(drives(2))
    with pytest.raises(DataError, match="no frames"):
        split_catalog(make_catalog())


def test_check_split_names_the_drive(drives):
    catalog = drives(3)
    frames = catalog.frames.with_columns(split=pl.Series(["train"] * 7 + ["val"] * 8))
    with pytest.raises(DataError, match="sequence '001' of drawn sits in train and val"):
        check_split(catalog.with_frames(frames))
    # Frames outside every part are no leak.
    frames = catalog.frames.with_columns(split=pl.Series(["train"] * 7 + [None] * 8, dtype=pl.String))
    check_split(catalog.with_frames(frames))


def test_no_sequence_at_all_is_said(make_catalog, make_frame, caplog):
    catalog = make_catalog(*(make_frame(str(i)) for i in range(10)))
    with caplog.at_level(logging.WARNING):
        result = split_catalog(catalog)
    assert "no frame has a sequence" in caplog.text
    assert counts(result) == {"train": 6, "val": 2, "test": 2}


def test_real_twins_stay_together(shared_data):
    catalog, _ = index(
        shared_data / "dtld_fridtjofs" / "raw_dataset",
        "yolo",
        labels="annotations",
        names="traffic_light",
        sequence_regex=r"^([A-Za-z]+)_",
    )
    assert len(find_twins(catalog)) == 16
    assert {tuple(frame.split("_")[0] for frame in pair) for pair in find_twins(catalog)} == {
        ("Dortmund", "Duesseldorf")
    }
    for seed in range(5):
        result = split_catalog(catalog, seed=seed)
        part = dict(result.frames.select("sequence", "split").unique().iter_rows())
        assert part["Dortmund"] == part["Duesseldorf"]
        assert set(part.values()) == {"train", "val", "test"}


def test_recordings_of_the_real_sample(shared_data):
    catalog, _ = index(shared_data / "bdd100k", "bdd100k")
    check_split(catalog)  # train and val of the sample share no recording
    result = split_catalog(catalog, val=0.2, test=0.2)
    share = {part: number / len(result) for part, number in counts(result).items()}
    assert share == pytest.approx({"train": 0.6, "val": 0.2, "test": 0.2}, abs=0.03)
    night = Counter(result.frames.filter(pl.col("time_of_day") == "night")["split"])
    assert {part: number / night.total() for part, number in night.items()} == pytest.approx(
        {"train": 0.6, "val": 0.2, "test": 0.2}, abs=0.04
    )
