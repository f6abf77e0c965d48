"""YAML configurations: what extends what, overrides, and faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from tl_datasets.config import DataConfig, dump_config, load_config, validate_config
from tl_datasets.errors import ConfigError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("what", "files", "expected"),
    [
        ("no parent", {"run.yaml": "a: 1"}, {"a": 1}),
        ("own values win", {"run.yaml": "extends: p.yaml\na: 1", "p.yaml": "a: 2\nb: 3"}, {"a": 1, "b": 3}),
        (
            "mappings are merged",
            {"run.yaml": "extends: p.yaml\ns: {a: 1}", "p.yaml": "s: {a: 2, b: 3}"},
            {"s": {"a": 1, "b": 3}},
        ),
        (
            "lists are replaced",
            {"run.yaml": "extends: p.yaml\na: [1]", "p.yaml": "a: [2, 3]"},
            {"a": [1]},
        ),
        (
            "later parents win",
            {"run.yaml": "extends: [p.yaml, q.yaml]", "p.yaml": "a: 1\nb: 1", "q.yaml": "a: 2"},
            {"a": 2, "b": 1},
        ),
        (
            "parents have parents, relative to themselves",
            {"run.yaml": "extends: parts/p.yaml", "parts/p.yaml": "extends: q.yaml\na: 1", "parts/q.yaml": "b: 2"},
            {"a": 1, "b": 2},
        ),
        (
            "another kind of model forgets the settings of the former",
            {"run.yaml": "extends: p.yaml\nmodel: {kind: b, y: 2}", "p.yaml": "model: {kind: a, x: 1}"},
            {"model": {"kind": "b", "y": 2}},
        ),
        (
            "the same kind keeps them",
            {"run.yaml": "extends: p.yaml\nmodel: {kind: a, y: 2}", "p.yaml": "model: {kind: a, x: 1}"},
            {"model": {"kind": "a", "x": 1, "y": 2}},
        ),
        (
            "classes are replaced as a whole",
            {
                "run.yaml": "extends: p.yaml\ndata: {label_space: {classes: {b: {}}}}",
                "p.yaml": "data: {label_space: {classes: {a: {}}, otherwise: drop}}",
            },
            {"data": {"label_space": {"classes": {"b": {}}, "otherwise": "drop"}}},
        ),
        ("one parent twice is no circle", {"run.yaml": "extends: [p.yaml, p.yaml]", "p.yaml": "a: 1"}, {"a": 1}),
    ],
)
def test_extends(what, files, expected, tmp_path):
    for name, text in files.items():
        write(tmp_path / name, text)
    assert load_config(tmp_path / "run.yaml") == expected, what


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["train.lr=0.5"], {"train": {"lr": 0.5, "epochs": 2}}),
        (["train.lr=0.5", "train.lr=0.7"], {"train": {"lr": 0.7, "epochs": 2}}),
        (["name=x=y"], {"train": {"lr": 0.1, "epochs": 2}, "name": "x=y"}),
        (["train.steps=[1, 2]"], {"train": {"lr": 0.1, "epochs": 2, "steps": [1, 2]}}),
        (["train.patience=null"], {"train": {"lr": 0.1, "epochs": 2, "patience": None}}),
        (["a.b.c=true"], {"train": {"lr": 0.1, "epochs": 2}, "a": {"b": {"c": True}}}),
    ],
)
def test_overrides(overrides, expected, tmp_path):
    path = write(tmp_path / "run.yaml", "train: {lr: 0.1, epochs: 2}")
    assert load_config(path, overrides) == expected


@pytest.mark.parametrize("override", ["train.lr", "=3", "train..lr=3", ".lr=3", "train.=3", "a=[1"])
def test_malformed_overrides(override, tmp_path):
    path = write(tmp_path / "run.yaml", "a: 1")
    with pytest.raises(ConfigError, match="override") as caught:
        load_config(path, [override])
    assert repr(override) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("what", "text", "message"),
    [
        ("extends itself", "extends: run.yaml", "extends itself; remove the circle"),
        ("a circle of two", "extends: p.yaml", "extends itself"),
        ("parent missing", "extends: absent.yaml", r"absent.yaml: cannot be read \(No such file"),
        ("no YAML", "a: [1", "not YAML"),
        ("a list", "- 1", "holds a list, expected a mapping"),
        ("empty", "", "holds a NoneType, expected a mapping"),
        ("extends a number", "extends: 3", "expected a file name or a list of file names"),
        ("extends a list of numbers", "extends: [3]", "expected a file name or a list of file names"),
    ],
)
def test_broken_files(what, text, message, tmp_path):
    write(tmp_path / "p.yaml", "extends: run.yaml")
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(write(tmp_path / "run.yaml", text))
    assert "\n" not in str(caught.value), what


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "run.yaml").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(ConfigError, match=r"run.yaml: byte 0 is not UTF-8"):
        load_config(tmp_path / "run.yaml")


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = Field(gt=0)
    name: str = "x"


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    part: Part
    share: float = Field(ge=0, le=1)


def test_all_faults_are_reported_at_once_with_dotted_keys():
    values: dict[str, Any] = {"part": {"size": -1, "nam": "y"}, "share": "much", "other": 1}
    with pytest.raises(ConfigError) as caught:
        validate_config(Whole, values, "run.yaml")
    faults = caught.value.faults
    assert [fault.split(":")[0] for fault in faults] == ["part.size", "part.nam", "share", "other"]
    assert faults[0].endswith("(found -1)")
    assert faults[1] == "part.nam: no such setting; check the spelling"
    assert str(caught.value).startswith("run.yaml: part.size: ") and "\n" not in str(caught.value)


def test_a_required_setting_is_named():
    with pytest.raises(ConfigError, match=r"run.yaml: part: is required; share: is required"):
        validate_config(Whole, {}, "run.yaml")


def test_long_values_are_shortened():
    with pytest.raises(ConfigError) as caught:
        validate_config(Whole, {"part": {"size": 1}, "share": "x" * 500}, "run.yaml")
    assert len(str(caught.value)) < 200


def test_what_is_dumped_loads_as_the_same(tmp_path):
    text = """
catalog: some/folder
label_space:
  classes: {red: {state: red}, off: {state: off}, "left": {pictogram: [arrow_left, null]}}
  ignore: [{state: [unknown, null]}]
overfit_frames: 20
"""
    config = validate_config(DataConfig, yaml.safe_load(text), "x")
    again = validate_config(DataConfig, load_config(write(tmp_path / "run.yaml", dump_config(config))), "y")
    assert again == config
    assert again.label_space.names == ("red", "off", "left")
    assert again.label_space.states == config.label_space.states
    assert again.label_space.fingerprint == config.label_space.fingerprint
