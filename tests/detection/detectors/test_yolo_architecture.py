"""Descriptions of YOLO architectures: by name and from files, and what no description may hold."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tl_datasets.errors import ConfigError
from tl_detection.detectors.yolo import build_yolo
from tl_detection.detectors.yolo_architecture import (
    OWN_FOLDER,
    architecture_config,
    architectures,
    check_architecture,
)
from tl_detection.ultralytics_door import MODELS_FOLDER, Conv

# A small one whose layers fit together.
TINY: dict[str, Any] = {
    "nc": 80,
    "backbone": [[-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [16, 3, 2]]],
    "head": [[-1, 1, "C3k2", [16, False]], [[1, 3], 1, "Detect", ["nc"]]],
}


def spec(architecture: str) -> dict:
    return {"architecture": architecture, "width_px": 128, "height_px": 64, "max_detections": 100}


def write(folder: Path, description: Any, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(description))
    return path


def shipped(name: str) -> dict[str, Any]:
    return yaml.safe_load(next(MODELS_FOLDER.rglob(f"{name}.yaml")).read_text())


def with_p2(plain: dict[str, Any]) -> dict[str, Any]:
    """A head that begins at stride 4 instead of 8, by the rule of ultralytics: one step more up, and one more down."""
    first = len(plain["backbone"])
    up, down = plain["head"][:6], plain["head"][6:-1]
    finest = up[-1][2]
    p3 = first + 5
    more = [
        [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
        [[-1, 2], 1, "Concat", [1]],
        [-1, up[-1][1], finest, [128, *up[-1][3][1:]]],
        [-1, 1, "Conv", [128, 3, 2]],
        [[-1, p3], 1, "Concat", [1]],
        [-1, up[-1][1], finest, [256, *up[-1][3][1:]]],
    ]
    levels = [first + number for number in (8, 11, 14, 17)]
    return plain | {"head": [*up, *more, *down, [levels, 1, "Detect", ["nc"]]]}


@pytest.mark.parametrize("family", ["yolov8", "yolo26", "yolo11"])
def test_p2_heads_follow_one_rule(family: str):
    ours = yaml.safe_load((OWN_FOLDER / "yolo11-p2.yaml").read_text())
    made = with_p2(shipped(family))
    finer = ours if family == "yolo11" else shipped(f"{family}-p2")
    for layer in [*made["head"], *finer["head"]]:
        layer[3] = [None if value == "None" else value for value in layer[3]]
    assert made == finer


@pytest.mark.parametrize("size", "nslmx")
def test_the_models_of_this_project(size: str):
    for family in ("yolo26", "yolo11"):
        for head in ("", "-p2"):
            name = f"{family}{size}{head}"
            assert name in architectures()
            assert architecture_config(name)["scale"] == size


@pytest.mark.parametrize("name", ["yolov8n-p2", "yolov10n", "yolov9t", "yolov6n", "yolov3-tiny"])
def test_shipped_architectures_are_known(name: str):
    assert name in architectures()


def test_all_that_can_be_named_pass_the_check_and_are_json():
    assert len(architectures()) > 80
    for name in architectures():
        config = architecture_config(name)
        assert check_architecture(json.loads(json.dumps(config)), name) == config
        assert len(config.get("scales", {})) <= 1


def test_a_fine_level_has_stride_4():
    module = build_yolo(spec("yolo11n-p2"), 2)
    assert module.stride.tolist() == [4, 8, 16, 32]
    assert sum(value.numel() for value in module.parameters()) < 1.1 * sum(
        value.numel() for value in build_yolo(spec("yolo11n"), 2).parameters()
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("yolo26q", "yolo26"),
        ("yolo26n-seg", "yolo26n"),
        ("yolo26", "yolo26n"),
        ("../secret", "yolo26n"),
        ("", "yolo26n"),
    ],
    ids=["unknown size", "another task", "no size", "a path", "empty"],
)
def test_unknown_architecture(name: str, hint: str):
    with pytest.raises(ConfigError, match=r"model\.architecture: .*near names: ") as caught:
        build_yolo(spec(name), 2)
    assert hint in str(caught.value)


def test_a_file_is_as_good_as_a_name(tmp_path: Path):
    path = write(tmp_path, shipped("yolo26-p2"), "yolo26n-p2.yaml")
    assert architecture_config(str(path)) == architecture_config("yolo26n-p2")


def test_a_file_of_one_size(tmp_path: Path):
    config = architecture_config(str(write(tmp_path, TINY)))
    assert build_yolo(spec("mine") | {"architecture_config": config}, 3).stride.tolist() == [4, 8]


@pytest.mark.parametrize(
    ("name", "word", "expected"),
    [
        ("yolo11s.yaml", None, "s"),
        ("my_yolo11m_wide.yaml", None, "m"),
        ("yolo11n.yaml", "x", "x"),
        ("mine.yaml", "l", "l"),
    ],
    ids=["its name", "a part of its name", "the word beats the name", "the word alone"],
)
def test_the_size_of_a_file_with_several(name: str, word: str | None, expected: str, tmp_path: Path):
    description = shipped("yolo11") | ({"scale": word} if word else {})
    config = architecture_config(str(write(tmp_path, description, name)))
    assert config["scale"] == expected
    assert list(config["scales"]) == [expected]


def test_a_file_with_several_sizes_must_say_which(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"mine\.yaml: scales: has .*n.*, and nothing says which; add .*scale"):
        architecture_config(str(write(tmp_path, shipped("yolo11"))))


def changed(part: str, number: int, layer: Any) -> dict[str, Any]:
    description = copy.deepcopy(TINY)
    description[part][number] = layer
    return description


RUNS = "__import__('pathlib').Path('attacked').write_text('yes')"


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (TINY | {"activation": RUNS}, r"activation: .*expected such as nn\.SiLU\(\)"),
        (TINY | {"activation": f"nn.SiLU({RUNS})"}, "activation: "),
        (TINY | {"activation": f"nn.SiLU() or {RUNS}"}, "activation: "),
        (TINY | {"activation": ["nn.SiLU()"]}, "activation: "),
        (changed("backbone", 0, [-1, 1, "os.system", ["true"]]), r"backbone\.0: 'os\.system' is no layer"),
        (changed("backbone", 1, [-1, 1, "Path", ["attacked"]]), r"backbone\.1: 'Path' is no layer"),
        (changed("backbone", 1, [-1, 1, "YOLO", ["evil.pt"]]), r"backbone\.1: 'YOLO' is no layer"),
        (changed("backbone", 1, [-1, 1, "DetectionModel", ["evil.yaml"]]), r"'DetectionModel' is no layer"),
        (changed("backbone", 1, [-1, 1, "TorchVision", [16, "resnet18", "DEFAULT"]]), "'TorchVision' is no layer"),
        (changed("backbone", 1, [-1, 1, "nn.Module", []]), r"'nn\.Module' is no layer"),
        (changed("backbone", 1, [-1, 1, "torchvision.ops.misc", []]), r"'torchvision\.ops\.misc' is no layer"),
        (changed("backbone", 1, [-1, 1, "__builtins__", []]), "'__builtins__' is no layer"),
        (changed("backbone", 1, [-1, 1, ["Conv"], []]), "is no layer"),
        (changed("backbone", 1, [-1, 1, "Detect", ["nc"]]), r"backbone\.1: 'Detect' is no layer that may stand here"),
        (changed("head", 1, [[1, 3], 1, "Conv", [16]]), r"head\.1: 'Conv' is no layer .*Detect"),
        (changed("head", 1, [[1, 3], 1, "Detect", [7]]), r"head\.1: \[7\], expected \[nc\]"),
        (changed("head", 0, [-1, 1, "C3k2", [16, RUNS]]), r"head\.0: arguments .*expected a list of numbers"),
        (changed("head", 0, [-1, 1, "C3k2", [16, "layers"]]), r"head\.0: arguments "),
        (changed("head", 0, [-1, 1, "C3k2", [16, {"a": 1}]]), r"head\.0: arguments "),
        (changed("head", 0, [-1, 1, "C3k2", "16"]), r"head\.0: arguments "),
        (changed("head", 0, [-1, 1, "C3k2", [10**9]]), r"head\.0: arguments "),
        (changed("head", 0, [-1, 1, "C3k2", [float("nan")]]), r"head\.0: arguments "),
        (changed("head", 0, [-1, 10**6, "C3k2", [16]]), r"head\.0: 1000000 repeats"),
        (changed("head", 0, [-1, True, "C3k2", [16]]), r"head\.0: True repeats"),
        (changed("head", 0, [7, 1, "C3k2", [16]]), r"head\.0: takes 7, expected -1 or numbers of layers before it"),
        (changed("backbone", 0, [0, 1, "Conv", [16]]), r"backbone\.0: takes 0"),
        (changed("head", 0, ["-1", 1, "C3k2", [16]]), r"head\.0: takes '-1'"),
        (changed("head", 0, [-1, 1, "C3k2"]), r"head\.0: .*expected \[from, repeats, layer, arguments\]"),
        (changed("head", 0, "C3k2"), r"head\.0: 'C3k2', expected \[from"),
        (TINY | {"head": []}, r"head: \[\], expected a list of layers"),
        ({"nc": 3}, "backbone: None, expected a list of layers; head: None"),
        (TINY | {"backbone": [TINY["backbone"][0]] * 400}, "402 layers, expected at most 300"),
        (TINY | {"kpt_shape": [17, 3]}, "'kpt_shape': unknown"),
        (TINY | {"nc": "80"}, "nc: '80', expected a whole number"),
        (TINY | {"reg_max": 0}, "reg_max: 0, expected a whole number from 1 to 64"),
        (TINY | {"end2end": "yes"}, "end2end: 'yes', expected true or false"),
        (TINY | {"depth_multiple": -1}, "depth_multiple: -1, expected a number above 0"),
        (TINY | {"scales": {"n": [1, 1]}}, r"scales\.n: \[1, 1\], expected depth and width"),
        (TINY | {"scales": {"n": [1, 1, 99999]}}, r"scales\.n: "),
        (TINY | {"scales": {"n": [1, 1, 64]}, "scale": "q"}, "scale: 'q', expected one of the sizes"),
        (TINY | {"scales": ["n"], "scale": "n"}, "scale: 'n', expected one of the sizes"),
    ],
)
def test_what_no_description_may_hold(description: Any, message: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        architecture_config(str(write(tmp_path, description)))
    # As a stranger's checkpoint would bring it.
    with pytest.raises(ConfigError, match=message):
        build_yolo(spec("mine") | {"architecture_config": {"scale": "n", **description}}, 2)
    assert not (tmp_path / "attacked").exists()


def test_all_faults_are_told_at_once():
    description = changed("backbone", 0, [-1, 0, "Convolution", [16]]) | {"reg_max": 99}
    with pytest.raises(ConfigError) as caught:
        check_architecture(description, "mine.yaml")
    assert len(caught.value.faults) == 3
    assert "expected such as Conv" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"mine\.yaml: no such file; .*such as mine"),
        ("- 1\n", "holds a list, expected a mapping with backbone and head"),
        ("nc: [", "mine.yaml.*not YAML"),
        ("!!python/object/apply:os.system ['true']", "mine.yaml.*not YAML"),
    ],
    ids=["missing", "no mapping", "not YAML", "YAML that runs"],
)
def test_a_file_that_is_no_description(text: str | None, message: str, tmp_path: Path):
    if text is not None:
        (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        architecture_config(str(tmp_path / "mine.yaml"))


def test_layers_that_do_not_fit_together_leave_nothing_behind():
    usual = Conv.default_act
    description = TINY | {"activation": "nn.ReLU()", "head": [[[0, 2], 1, "Concat", [1]], [[3], 1, "Detect", ["nc"]]]}
    with pytest.raises(ConfigError, match=r"model\.architecture: mine: its layers do not fit together \(.*[Ss]izes"):
        build_yolo(spec("mine") | {"architecture_config": description}, 2)
    assert Conv.default_act is usual
    built = build_yolo(spec("mine") | {"architecture_config": TINY | {"activation": "nn.ReLU()"}}, 2)
    assert type(built.model[0].act).__name__ == "ReLU"
    assert Conv.default_act is usual
