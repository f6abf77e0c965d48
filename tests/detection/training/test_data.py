"""What a run learns from is checked before the first step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, TrainingError, UsageError
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_rgb
from tl_datasets.label_space import LabelSpace
from tl_datasets.taxonomy import State, Weather
from tl_detection.config import RunConfig
from tl_detection.detector import Detections, Image
from tl_detection.fingerprint import RunFingerprint
from tl_detection.training.data import prepare_data, run_meta

CLASSES = {"red": {"state": "red"}, "green": {"state": "green"}}


def frame(name: str, split: str | None, *states: State, sequence: str | None = None, **fields: Any) -> Frame:
    boxes = tuple(Annotation(xyxy=(10.0 * i, 5.0, 10.0 * i + 6, 20.0), state=state) for i, state in enumerate(states))
    return Frame(
        **{
            "frame_id": name,
            "path": f"{name}.png",
            "width_px": 64,
            "height_px": 32,
            "annotations": boxes,
            "split": split,
            "sequence": sequence,
        }
        | fields
    )


GOOD = [
    frame("a", "train", State.RED),
    frame("b", "train", State.GREEN, State.RED),
    frame("c", "train"),
    frame("d", "val", State.RED, weather=Weather.RAINY),
    frame("e", "val", State.GREEN, weather=Weather.CLEAR),
]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., RunConfig]:
    """`make(frames, data={...}, hashes={...}, **sections)`: a catalog on disk and a run over it."""

    def config(
        frames: list[Frame],
        *,
        data: dict[str, Any] | None = None,
        hashes: dict[str, str] | None = None,
        images: bool = False,
        **sections: Any,
    ) -> RunConfig:
        known = {item.frame_id: item.frame_id for item in frames} | (hashes or {})
        Catalog.from_frames(frames, source="drawn", root=tmp_path / "images", content_hashes=known).save(
            tmp_path / "catalog"
        )
        if images:
            (tmp_path / "images").mkdir()
            for item in frames:
                write_rgb(tmp_path / "images" / item.path, np.zeros((item.height_px, item.width_px, 3), np.uint8))
        values = {
            "name": "t",
            "folder": tmp_path / "runs",
            "data": {"catalog": tmp_path / "catalog", "label_space": {"classes": CLASSES}, **(data or {})},
            "model": {"kind": "yolo", "input": {"width_px": 64, "height_px": 32}},
            **sections,
        }
        return RunConfig.model_validate(values)

    return config


def test_good_data(make, caplog):
    caplog.set_level(logging.INFO)
    data = prepare_data(make(GOOD, train={"epochs": 7, "seed": 3}))
    assert data.dataset.frame_ids == ["a", "b", "c"]
    assert data.val_catalog.frames["frame_id"].to_list() == ["d", "e"]
    assert data.train.class_id.tolist() == [0, 1, 0]
    assert (data.dataset.seed, data.dataset.epochs) == (3, 7)
    assert data.label_space.names == ("red", "green")
    assert "train: 3 frames, red 2, green 1; val: 2 frames" in caplog.text


def test_unlabelled_frames_are_left_out_and_counted(make, caplog):
    caplog.set_level(logging.INFO)
    data = prepare_data(make([*GOOD, frame("u", "train", annotations=None), frame("v", "val", annotations=None)]))
    assert "u" not in data.dataset.frame_ids and len(data.val_catalog) == 2
    assert "train: 1 frames left out (unlabelled)" in caplog.text
    assert "val: 1 frames left out (unlabelled)" in caplog.text


@pytest.mark.parametrize(
    ("what", "frames", "data", "error", "message"),
    [
        ("a class without a box", [*GOOD[:1], *GOOD[2:]], {}, TrainingError, "class 'green' has no box among the 2"),
        (
            "only ignored boxes",
            [frame("i", "train", State.RED), frame("j", "val", State.RED)],
            {"label_space": {"classes": {"red": {"state": "red"}}, "ignore": [{"state": "red"}]}},
            TrainingError,
            "class 'red' has no box",
        ),
        (
            "nothing to learn from",
            GOOD,
            {"train": 'split == "tain"'},
            TrainingError,
            "no labelled frame for data.train",
        ),
        ("nothing to score", GOOD[:3], {}, TrainingError, "no labelled frame for data.val.*tl split"),
        (
            "only unlabelled frames to score",
            [*GOOD[:3], frame("u", "val", annotations=None)],
            {},
            TrainingError,
            "no labelled frame for data.val",
        ),
        ("a frame in both parts", GOOD, {"train": "width_px > 0"}, TrainingError, "frame 'd' is in data.train and in"),
        (
            "a drive in both parts",
            [*GOOD, frame("s1", "train", sequence="drive7"), frame("s2", "val", sequence="drive7")],
            {},
            DataError,
            "sequence 'drive7' of drawn sits in train and val",
        ),
        ("a box without a rule", [*GOOD, frame("y", "train", State.YELLOW)], {}, DataError, "named by no rule"),
        ("a filter with a typo", GOOD, {"train": 'splt == "train"'}, UsageError, "splt"),
        ("no catalog", GOOD, {"catalog": "absent"}, DataError, "absent: not a catalog"),
    ],
)
def test_what_cannot_be_learned_from(what, frames, data, error, message, make):
    with pytest.raises(error, match=message) as caught:
        prepare_data(make(frames, data=data))
    assert "\n" not in str(caught.value), what


def test_identical_images_in_both_parts(make):
    with pytest.raises(DataError, match="byte-identical images"):
        prepare_data(make(GOOD, hashes={"d": "a"}))


def test_a_drive_in_train_and_test(make):
    """A score on frames of test, taken later, would be worth nothing."""
    frames = [*GOOD, frame("s1", "train", sequence="drive7"), frame("s2", "test", sequence="drive7")]
    with pytest.raises(DataError, match=r"sits in test and train: test \(1 frames, such as 's2'\), train .* 's1'"):
        prepare_data(make(frames))


def test_pairs_that_were_found_before(make, tmp_path):
    """Alike frames in two parts are refused without reading an image; alike frames of one part are not."""
    schema = {"distance": pl.Int32, "split_a": pl.String, "split_b": pl.String, "is_leak": pl.Boolean}
    pairs = pl.DataFrame({"frame_a": ["a", "b"], "frame_b": ["b", "e"], "kind": ["time_neighbour", "near_identical"]})
    pairs = pairs.with_columns(pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.items())
    (tmp_path / "found").mkdir()
    pairs.write_parquet(tmp_path / "found" / "pairs.parquet")
    config = make(GOOD, data={"duplicates": tmp_path / "found"})
    with pytest.raises(DataError, match=r"near_identical frames 'b' \(train\) and 'e' \(val\) sit in different parts"):
        prepare_data(config)
    pairs[:1].write_parquet(tmp_path / "found" / "pairs.parquet")
    assert prepare_data(config).dataset.frame_ids == ["a", "b", "c"]


def test_pairs_that_are_not_there(make):
    with pytest.raises(DataError, match=r"absent: no pairs of frames .*tl duplicates"):
        prepare_data(make(GOOD, data={"duplicates": "absent"}))


def test_the_parts_are_checked_as_the_filters_cut_them(make):
    # The catalog's own split is sound; the filters cut a drive in two.
    frames = [
        frame("a", "train", State.RED, State.GREEN, sequence="x"),
        frame("b", "train", State.RED, sequence="x"),
        frame("c", "train", State.RED, sequence="y"),
    ]
    filters = {"train": 'frame_id == "a"', "val": 'frame_id != "a"'}
    with pytest.raises(DataError, match="sequence 'x'"):
        prepare_data(make(frames, data=filters))


# --- a few frames to overfit


def test_overfit_frames_are_spread_over_those_with_a_box_and_show_every_class(make):
    frames = [frame(f"f{i:02}", "train", State.RED) if i % 2 else frame(f"f{i:02}", "train") for i in range(40)]
    frames[23] = frame("f23", "train", State.GREEN)
    data = prepare_data(make(frames, data={"overfit_frames": 4}))
    rows = [int(name[1:]) for name in data.dataset.frame_ids]
    assert len(rows) == 4 and 23 in rows and all(row % 2 for row in rows)
    assert rows == sorted(rows) and rows[0] < 10 and rows[-1] > 30
    assert data.val_catalog.frames["frame_id"].to_list() == data.dataset.frame_ids


def test_overfit_on_all_and_on_too_many(make):
    config = make(GOOD, data={"overfit_frames": 2})
    assert prepare_data(config).dataset.frame_ids == ["a", "b"]
    more = config.model_copy(update={"data": config.data.model_copy(update={"overfit_frames": 3})})
    with pytest.raises(TrainingError, match="3 frames are asked for, only 2 have a box; ask for fewer"):
        prepare_data(more)


# --- scoring and what a checkpoint says


class Oracle:
    """Finds the two boxes of every frame of `GOOD`'s second part, red where there is red."""

    def __init__(self, label_space: LabelSpace, class_id: int):
        self.label_space, self.class_id = label_space, class_id
        self.description = {"engine": "oracle"}

    def detect(self, images: list[Image]) -> list[Detections]:
        one = Detections(xyxy=np.array([[0, 5, 6, 20]]), score=np.array([0.9]), class_id=np.array([self.class_id]))
        return [one for _ in images]


def test_validation_goes_through_the_detector_interface(make):
    data = prepare_data(make(GOOD, images=True, evaluate={"by": ["weather"], "best_by": "ap"}))
    seen = []
    evaluation = data.score(Oracle(data.label_space, 0), lambda done, total: seen.append((done, total)))
    assert evaluation is not None
    report = evaluation.report
    assert seen[-1] == (2, 2)
    assert report.model == {"engine": "oracle"}
    assert {item.name for item in report.slices} == {"weather=rainy", "weather=clear"}
    reading = data.best_score(evaluation)
    assert (reading.value, reading.where) == (report.overall.ap, "all frames")
    rainy = next(item for item in report.slices if item.value == "rainy")
    assert rainy.scores.ap50 == pytest.approx(1.0)


def test_meta_names_the_run_and_its_data(make, tmp_path):
    data = prepare_data(make(GOOD))
    fingerprint = RunFingerprint.of_run(data)
    meta = run_meta(data, tmp_path / "20260101-000000", fingerprint)
    assert meta["run"] == "20260101-000000" and meta["name"] == "t"
    assert meta["fingerprint"]["short"] == fingerprint.short
    assert meta["catalog_fingerprint"] == data.fingerprint
    assert meta["label_space_fingerprint"] == data.label_space.fingerprint
    assert meta["environment"]["packages"]["torch"]
