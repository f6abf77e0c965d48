from __future__ import annotations

import logging
import random
from collections import Counter, defaultdict

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tl_datasets.catalog import Catalog
from tl_datasets.duplicates.find import find_twins
from tl_datasets.errors import DataError, UsageError
from tl_datasets.index import index
from tl_datasets.splits.split import check_split, split_catalog
from tl_datasets.taxonomy import State, TimeOfDay, Weather


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


def test_recordings_of_bdd100k_are_kept(shared_data):
    """Names begin with the recording; no recording of the sample is torn, whatever the seed."""
    catalog, _ = index(shared_data / "bdd100k", "bdd100k")
    recordings = catalog.frames["path"].str.extract(r"([0-9a-f]{8})-[0-9a-f]{8}\.jpg$")
    assert recordings.null_count() == 0
    assert recordings.n_unique() < len(catalog), "some recordings have several frames, or the test shows nothing"
    for seed in range(3):
        frames = split_catalog(catalog, seed=seed).frames.with_columns(recording=recordings)
        assert frames.group_by("recording").agg(pl.col("split").n_unique())["split"].max() == 1
        assert set(frames["split"]) == {"train", "val", "test"}


@pytest.fixture
def uneven(make_catalog, make_frame):
    """Drives of 1 to 30 frames, most of them clear days; a few have lights that are off or red and yellow."""

    def make(number: int) -> Catalog:
        frames = []
        for drive in range(number):
            chance = random.Random(drive)
            fields = {
                "sequence": f"{drive:04d}",
                "weather": chance.choices([Weather.CLEAR, Weather.RAINY, Weather.SNOWY], [80, 15, 5])[0],
                "time_of_day": chance.choices([TimeOfDay.DAYTIME, TimeOfDay.NIGHT], [80, 20])[0],
            }
            rare = {7: State.OFF, 11: State.RED_YELLOW}
            states = [state for every, state in rare.items() if drive % every == 0]
            for position in range(chance.randint(1, 30)):
                common = chance.choices([State.RED, State.GREEN], [60, 40])[0]
                shown = (common, *states) if position == 0 else (common,)
                frames.append(make_frame(f"{drive:04d}/{position:02d}", shown, **fields))
        return make_catalog(*frames)

    return make


def shares_by(frames: pl.DataFrame) -> dict[str, float]:
    return {part: number / len(frames) for part, number in Counter(frames["split"]).items()}


@pytest.mark.parametrize("seed", range(4))
def test_shares_hold_in_every_stratum(uneven, seed):
    """Off by at most 2 % of all frames, 5 % of a common and 12 % of a rare stratum (one drive of it in eight)."""
    result = split_catalog(uneven(120), val=0.2, test=0.2, seed=seed)
    wanted = {"train": 0.6, "val": 0.2, "test": 0.2}
    assert shares_by(result.frames) == pytest.approx(wanted, abs=0.02)
    for column, value, most in (
        ("weather", "clear", 0.05),
        ("weather", "rainy", 0.05),
        ("weather", "snowy", 0.12),
        ("time_of_day", "night", 0.05),
    ):
        assert shares_by(result.frames.filter(pl.col(column) == value)) == pytest.approx(wanted, abs=most), value
    boxes = result.annotations.join(result.frames.select("frame_id", "split"), on="frame_id")
    for state in ("off", "red_yellow"):
        assert shares_by(boxes.filter(state=state)) == pytest.approx(wanted, abs=0.12), state


@pytest.mark.parametrize("seed", range(6))
def test_a_state_of_three_drives_comes_into_three_parts(uneven, seed):
    """0, 7, 14 are off; 0, 11 are red and yellow, which is not enough for three parts."""
    result = split_catalog(uneven(20), seed=seed)
    boxes = result.annotations.join(result.frames.select("frame_id", "split"), on="frame_id")
    assert set(boxes.filter(state="off")["split"]) == {"train", "val", "test"}


def test_most_frames_stay_when_a_drive_is_added(uneven):
    """Mean over seeds; with parts filled one unit after the other a quarter of the frames would move."""
    moved = []
    for seed in range(6):
        before, after = (parts_of(split_catalog(uneven(number), seed=seed)) for number in (150, 151))
        moved.append(sum(after[frame] != part for frame, part in before.items()) / len(before))
    assert sum(moved) / len(moved) < 0.15


def test_all_frames_stay_with_like(uneven):
    former = split_catalog(uneven(60), val=0.3, test=0.1, seed=1)
    grown = uneven(90)
    result = split_catalog(grown, seed=2, like=former)
    part = parts_of(result)
    assert {frame: part[frame] for frame in parts_of(former)} == parts_of(former)
    # The former shares are those of the whole, in which the new drives even out what was uneven.
    assert shares_by(result.frames) == pytest.approx(shares_by(former.frames), abs=0.01)
    assert set(counts(result)) == {"train", "val", "test"}
    assert shares_by(split_catalog(grown, val=0.1, test=0.1, like=former).frames)["train"] > 0.65


def test_like_joins_new_frames_to_what_they_belong_to(make_catalog, make_frame):
    former = make_catalog(
        make_frame("a/1", sequence="a", split="val"),
        make_frame("b/1", sequence="b", split="test"),
        make_frame("c", split="train"),
        hashes={"c": "the street"},
    )
    grown = make_catalog(
        make_frame("a/2", sequence="a"),
        make_frame("b/1", sequence="b"),
        make_frame("c copied"),
        make_frame("d"),
        hashes={"c copied": "the street"},
    )
    part = parts_of(split_catalog(grown, like=former))
    assert (part["a/2"], part["b/1"], part["c copied"]) == ("val", "test", "train")
    assert part["d"] in {"train", "val", "test"}


def test_like_refuses_what_joins_two_parts(make_catalog, make_frame):
    former = make_catalog(
        *(make_frame(name, sequence=name, split=part) for name, part in (("a", "val"), ("b", "train"), ("c", "test")))
    )
    hashes = {"a": "one", "b": "one"}
    grown = make_catalog(*(make_frame(name, sequence=name) for name in "abc"), hashes=hashes)
    message = r"parts train and val share what belongs together: 'b' \(train, sequence b\), 'a' \(val, sequence a\)"
    with pytest.raises(DataError, match=message):
        split_catalog(grown, like=former)


def test_pairs_stay_together(drives):
    pairs = pl.DataFrame(
        {
            "frame_a": ["001/2", "002/0", "gone"],
            "frame_b": ["002/4", "003/1", "000/0"],
            "kind": ["time_neighbour", "near_identical", "identical"],
        }
    )
    for seed in range(5):
        part = parts_of(split_catalog(drives(12), seed=seed, together=pairs))
        assert part["001/0"] == part["002/0"] == part["003/0"]


def test_check_split_names_the_frames(drives):
    catalog = split_catalog(drives(6), assign={"val": ["001"], "test": ["002"]})
    pairs = pl.DataFrame(
        {
            "frame_a": ["003/0", "001/2", "000/1", "gone"],
            "frame_b": ["003/1", "002/4", "001/1", "001/0"],
            "kind": ["time_neighbour", "near_identical", "time_neighbour", "identical"],
        }
    )
    message = r"near_identical frames '001/2' \(val\) and '002/4' \(test\) sit in different parts \(and 1 more pairs\)"
    with pytest.raises(DataError, match=message):
        check_split(catalog, pairs)
    check_split(catalog, pairs[:1])
    frames = drives(3).frames.with_columns(split=pl.Series(["train"] * 7 + ["val"] * 8))
    message = r"sits in train and val: train \(2 frames, such as '001/0'\), val \(3 frames, such as '001/2'\)"
    with pytest.raises(DataError, match=message):
        check_split(catalog.with_frames(frames))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"assign": {"val": ["001"]}, "val": 0.3}, "val and test have no effect; leave them out"),
        ({"assign": {"val": ["001"]}, "test": 0.0}, "val and test have no effect"),
        ({"assign": {"val": ["001"]}, "keep": ("val",)}, "keep and assign cannot be combined"),
    ],
)
def test_arguments_that_exclude_each_other(drives, options, message):
    with pytest.raises(UsageError, match=message):
        split_catalog(drives(4), **options)


def test_like_needs_a_split_catalog(drives):
    with pytest.raises(DataError, match="the catalog to follow has no split"):
        split_catalog(drives(4), like=drives(3))
    with pytest.raises(UsageError, match="keep and like cannot be combined"):
        split_catalog(drives(4), like=split_catalog(drives(4)), keep=("val",))
    strange = drives(3).frames.with_columns(split=pl.lit("dev"))
    with pytest.raises(DataError, match="has the part 'dev', expected train, val, test"):
        split_catalog(drives(4), like=drives(3).with_frames(strange))


def test_pairs_and_parts_of_another_catalog_are_refused(drives, make_catalog, make_frame):
    foreign = pl.DataFrame({"frame_a": ["x"], "frame_b": ["y"], "kind": ["near_identical"]})
    with pytest.raises(DataError, match="none of the 1 pairs to keep together is of frames of this catalog"):
        split_catalog(drives(6), together=foreign)
    with pytest.raises(DataError, match="no frame, sequence or image of the former catalog"):
        split_catalog(drives(6), val=0.2, test=0.2, like=make_catalog(make_frame("other", split="val")))
