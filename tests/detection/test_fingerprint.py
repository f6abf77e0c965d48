"""The fingerprint of a run: everything that decides the result changes it, and nothing else does."""

from __future__ import annotations

import json
import logging
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.config import dump_config
from tl_datasets.errors import WeightsError
from tl_detection import fingerprint as module
from tl_detection.config import RunConfig, load_run_config
from tl_detection.fingerprint import (
    PACKAGES,
    RunFingerprint,
    differences,
    remarks,
    require_same_run,
)
from tl_detection.training.data import TrainingData, prepare_data


@pytest.fixture(scope="module")
def config(lamp_run_config, tmp_path_factory) -> RunConfig:
    return lamp_run_config(tmp_path_factory.mktemp("lamps"), overfit=False)


@pytest.fixture(scope="module")
def data(config) -> TrainingData:
    return prepare_data(config)


@pytest.fixture
def fingerprint(data) -> RunFingerprint:
    return RunFingerprint.of_run(data)


def changed(config: RunConfig, **words: Any) -> RunConfig:
    """Settings by dotted key, with _ for a dot between section and word."""
    values = config.model_dump(mode="json")
    for key, value in words.items():
        section, _, word = key.partition("__")
        if word:
            values[section][word] = value
        else:
            values[section] = value
    return RunConfig.model_validate(values)


def of(data: TrainingData, **words: Any) -> RunFingerprint:
    return RunFingerprint.of_run(replace(data, config=changed(data.config, **words)))


def test_what_it_holds(fingerprint, data):
    assert len(fingerprint.short) == 12 and int(fingerprint.short, 16) >= 0
    assert fingerprint.catalog == Catalog.open(data.config.data.catalog).fingerprint
    assert fingerprint.label_space == data.label_space.fingerprint
    assert set(fingerprint.versions) == set(PACKAGES)
    assert fingerprint.config["train.lr"] == data.config.train.lr
    assert fingerprint.config["data.train"] == 'split == "train"'
    assert fingerprint.place == {"device": "cpu", "ranks": 1}
    line = fingerprint.line()
    for part in (fingerprint.short, fingerprint.catalog, fingerprint.revision, fingerprint.sources, "torch 2."):
        assert part in line
    assert "\n" not in line and line.startswith(f"fingerprint {fingerprint.short}: ")


def test_it_is_the_same_again_and_survives_json(fingerprint, data):
    again = RunFingerprint.from_dict(json.loads(json.dumps(fingerprint.to_dict())))
    assert again == fingerprint and again.short == fingerprint.short
    assert again.to_dict()["short"] == fingerprint.short
    fresh = RunFingerprint.of_run(prepare_data(data.config))
    assert fresh == fingerprint and not differences(fingerprint, fresh) and not remarks(fingerprint, fresh)


def test_the_resolved_file_that_a_run_keeps_gives_the_same(config, data, fingerprint, tmp_path):
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert RunFingerprint.of_run(replace(data, config=load_run_config(tmp_path / "config.yaml"))) == fingerprint


DECIDING = [
    {"train__lr": 0.02},
    {"train__epochs": 7},
    {"train__seed": 1},
    {"train__batch_size": 2},
    {"train__amp": "bf16"},
    {"train__class_weights": {"red": 2.0}},
    {"model__architecture": "yolo11n"},
    {"model__input": {"width_px": 64, "height_px": 64}},
    {"augment__mosaic": 0.5},
    {"augment__transforms": [{"name": "fog", "p": 0.5, "severity": [1, 3]}]},
    {"data__train": 'split == "train" and width_px > 0'},
    {"data__balance": {"cap": 3.0}},
    {"evaluate__by": ["weather"]},
]


@pytest.mark.parametrize("words", DECIDING, ids=lambda words: "-".join(words))
def test_what_decides_the_result_changes_it_and_is_refused_by_name(words, data, fingerprint):
    try:
        other = of(data, **words)
    except ValueError as error:
        pytest.fail(str(error))
    assert other.short != fingerprint.short
    key = next(iter(words)).replace("__", ".")
    found = differences(fingerprint, other)
    assert found and all(line.startswith(key) for line in found)


def test_a_difference_names_both_values(data, fingerprint):
    assert differences(fingerprint, of(data, train__lr=0.02)) == ["train.lr was 0.01, is 0.02"]
    assert differences(fingerprint, of(data, train__class_weights={"red": 2.0})) == [
        "train.class_weights was None, is not there",
        "train.class_weights.red was not there, is 2.0",
    ]


WITHOUT_INFLUENCE = [
    {"name": "other"},
    {"folder": "/elsewhere"},
    {"data__catalog": "/moved/catalog"},
    {"data__cache": {"memory_mib": 1}},
    {"data__broken_share": 0.5},
    {"augment__lint": {"draws": 9}},
    {"train__workers": 5},
    {"train__device": "auto"},
    {"train__checkpoint_minutes": 0},
    {"train__rank_timeout_s": 5},
    {"track__pictures": 0},
]


@pytest.mark.parametrize("words", WITHOUT_INFLUENCE, ids=lambda words: "-".join(words))
def test_what_changes_no_result_does_not_change_it(words, data, fingerprint):
    other = of(data, **words)
    assert other.short == fingerprint.short
    assert not differences(fingerprint, other)


def test_every_word_without_influence_is_a_word_of_the_configuration(data):
    dotted = {key for key, _ in module._flat(data.config.model_dump(mode="json"), "")}
    rcnn = {"model.weights_backbone"}
    for word in (*module._WITHOUT_INFLUENCE, *module._ROUNDING):
        assert word in rcnn or any(key == word or key.startswith(f"{word}.") for key in dotted), word


@pytest.mark.parametrize("words", [{"train__micro_batch": 1}, {"train__deterministic": True}])
def test_the_order_of_sums_may_change_and_is_said(words, data, fingerprint):
    other = of(data, **words)
    assert not differences(fingerprint, other)
    ((line),) = remarks(fingerprint, other)
    assert line.startswith(next(iter(words)).replace("__", "."))


def test_code_versions_and_place_may_change_and_are_said(fingerprint):
    other = replace(
        fingerprint,
        sources="0" * 16,
        revision="abc+",
        versions={**fingerprint.versions, "torch": "9.9"},
        place={"device": "NVIDIA H200", "ranks": 2},
    )
    assert not differences(fingerprint, other)
    said = "; ".join(remarks(fingerprint, other))
    for part in (
        f"{fingerprint.revision} ({fingerprint.sources}), is abc+ (0000",
        "is 9.9",
        "ranks was 1, is 2",
        "H200",
    ):
        assert part in said
    assert replace(other, sources=fingerprint.sources, versions=fingerprint.versions).short == fingerprint.short
    assert replace(fingerprint, sources="0" * 16).short != fingerprint.short
    assert replace(fingerprint, versions=other.versions).short != fingerprint.short
    # The same sources under another commit are the same program.
    assert not remarks(fingerprint, replace(fingerprint, revision="another"))


def test_frames_in_another_order_are_another_run(data, fingerprint, lamp_run_config):
    catalog = data.train.catalog
    turned = catalog.with_frames(catalog.frames.reverse())
    other = RunFingerprint.of_run(replace(data, train=replace(data.train, catalog=turned)))
    assert other.short != fingerprint.short
    assert differences(fingerprint, other) == ["data.catalog holds the same frames in another order"]


def test_a_box_that_moved_is_another_run(data, config, fingerprint, tmp_path):
    catalog = Catalog.open(config.data.catalog)
    moved = catalog.annotations.with_columns(pl.col("x2") + 0.5)
    Catalog(catalog.frames, moved, catalog.roots).save(tmp_path / "moved")
    other = RunFingerprint.of_run(prepare_data(changed(config, data__catalog=str(tmp_path / "moved"))))
    (line,) = differences(fingerprint, other)
    assert line == f"data.catalog has changed (its fingerprint was {fingerprint.catalog}, is {other.catalog})"


def test_the_content_of_start_weights_counts_not_their_place(data, fingerprint, tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (of(data, model__weights=str(tmp_path / name)) for name in "abc")
    assert a.short == b.short
    assert len({a.short, c.short, fingerprint.short}) == 3
    # A run that goes on does not need them any more.
    (tmp_path / "a").unlink()
    started = replace(data, config=changed(data.config, model__weights=str(tmp_path / "a")))
    assert RunFingerprint.of_run(started, started=a) == a


# --- resuming


def test_a_run_that_goes_on_unchanged_says_nothing(data, fingerprint, caplog):
    with caplog.at_level(logging.WARNING):
        assert require_same_run(Path("run"), {"fingerprint": fingerprint.to_dict()}, data) == fingerprint
    assert not caplog.messages


def test_a_run_with_another_configuration_is_refused_in_one_line(data, fingerprint):
    other = replace(data, config=changed(data.config, train__lr=0.02, train__epochs=9))
    with pytest.raises(WeightsError) as caught:
        require_same_run(Path("runs/lamps/1"), {"fingerprint": fingerprint.to_dict()}, other)
    assert str(caught.value) == (
        "runs/lamps/1: this is another run than the one that was interrupted: train.epochs was 100, is 9; "
        "train.lr was 0.01, is 0.02; put it back, or start a new run with model.weights=runs/lamps/1/weights/best.pt"
    )


def test_what_may_differ_is_a_warning(data, fingerprint, caplog):
    before = {**fingerprint.to_dict(), "versions": {**fingerprint.versions, "numpy": "1.0"}}
    with caplog.at_level(logging.WARNING):
        require_same_run(Path("run"), {"fingerprint": before}, data)
    (line,) = caplog.messages
    assert line.startswith("run goes on, perhaps to other last bits: numpy was 1.0, is ")


@pytest.mark.parametrize("meta", [{}, {"fingerprint": None}, {"fingerprint": {"short": "x"}}, {"fingerprint": "x"}])
def test_a_checkpoint_without_a_fingerprint_is_refused(meta, data):
    with pytest.raises(WeightsError, match="run: its checkpoint has no fingerprint of the run"):
        require_same_run(Path("run"), meta, data)


def test_every_part_is_in_the_dictionary(fingerprint):
    assert set(fingerprint.to_dict()) == {"short", *(field.name for field in fields(RunFingerprint))}
