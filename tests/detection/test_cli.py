"""The command as a person uses it: what it prints, what it leaves on disk, and how it says no."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from tl_datasets.catalog import Catalog
from tl_detection.cli import build_parser, main

RGB = {"red": (230, 40, 40), "green": (40, 220, 140)}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A YOLO data set: 12 frames of 4 drives, a lamp in each, red in even frames and green in odd ones."""
    root = tmp_path_factory.mktemp("source")
    (root / "images").mkdir()
    (root / "labels").mkdir()
    rng = np.random.default_rng(0)
    for number in range(12):
        image = rng.integers(60, 90, size=(96, 160, 3), dtype=np.uint8)
        x, y = int(rng.integers(10, 130)), int(rng.integers(10, 50))
        cv2.rectangle(image, (x, y), (x + 15, y + 35), (20, 20, 20), -1)
        colour = RGB["red"] if number % 2 == 0 else RGB["green"]
        cv2.circle(image, (x + 8, y + (8 if number % 2 == 0 else 28)), 6, colour, -1)
        stem = f"drive{number // 3}_{number:02d}"
        cv2.imwrite(str(root / "images" / f"{stem}.png"), image[:, :, ::-1])
        row = f"{number % 2} {(x + 8) / 160:.6f} {(y + 18) / 96:.6f} {16 / 160:.6f} {36 / 96:.6f}\n"
        (root / "labels" / f"{stem}.txt").write_text(row)
    return root


@pytest.fixture(scope="module")
def catalog(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source, indexed and split by the command."""
    folder = tmp_path_factory.mktemp("catalogs")
    images, labels, out = str(source / "images"), f"labels={source / 'labels'}", str(folder / "all")
    options = ["--format", "yolo", "--option", "names=red,green", "--option", labels, "--sequence", r"(drive\d)_"]
    assert main(["index", images, *options, "--out", out]) == 0
    assert main(["split", str(folder / "all"), "--val", "0.25", "--test", "0.25", "--out", str(folder / "split")]) == 0
    return folder / "split"


def run_config(catalog: Path, folder: Path, kind: str) -> Path:
    """A configuration that trains in seconds."""
    model = {"kind": "yolo", "architecture": "yolo26n"} if kind == "yolo" else {"kind": kind, "backbone": "resnet18"}
    values = {
        "name": f"tiny_{kind}",
        "folder": str(folder / "runs"),
        "data": {
            "catalog": str(catalog),
            "label_space": {"classes": {"red": {"state": "red"}, "green": {"state": "green"}}},
        },
        "augment": {"mosaic": 0, "flip_lr": 0.5},
        "model": {**model, "input": {"width_px": 160, "height_px": 96}},
        "train": {"epochs": 1, "batch_size": 4, "workers": 0, "device": "cpu", "amp": "off"},
        "evaluate": {"by": ["sequence"]},
    }
    path = folder / f"{kind}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_help_needs_no_heavy_import():
    code = (
        "import sys; from tl_detection.cli import build_parser; build_parser().format_help(); "
        "print([name for name in ('torch', 'numpy', 'polars', 'pydantic', 'cv2', 'rich') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_command_ends_its_help_with_an_example(capsys: pytest.CaptureFixture[str]):
    commands = build_parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    assert len(commands) == 25
    for name in commands:
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        text = capsys.readouterr().out
        assert f"example:\n  tl {name}" in text


def test_index_and_split_leave_catalogs(catalog: Path):
    frames = Catalog.open(catalog).frames
    assert len(frames) == 12
    assert frames["sequence"].n_unique() == 4
    assert frames.group_by("sequence").agg(parts=frames["split"].n_unique())["parts"].max() is not None
    parts_of_drive = frames.group_by("sequence").n_unique()["split"]
    assert parts_of_drive.to_list() == [1, 1, 1, 1]
    assert set(frames["split"]) == {"train", "val", "test"}


def test_draw_leaves_annotated_scenes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    size = ["--sequences", "2", "--frames", "1", "--width", "320", "--height", "180"]
    boxes = {}
    for density in ("0", "3"):
        out = tmp_path / density
        assert main(["draw", *size, "--head-density", density, "--out", str(out)]) == 0
        boxes[density] = len(json.loads((out / "annotations.json").read_text())["annotations"])
        assert f"2 frames, {boxes[density]} boxes" in capsys.readouterr().out
        assert len(list(out.rglob("*.jpg"))) == 2
    assert boxes["0"] == 0 < boxes["3"]


def test_summary_prints_counts(catalog: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["summary", str(catalog), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 12


def test_config_prints_what_can_be_run_again(catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = run_config(catalog, tmp_path, "yolo")
    assert main(["config", str(path), "train.epochs=7"]) == 0
    first = capsys.readouterr().out
    again = tmp_path / "again.yaml"
    again.write_text(first)
    assert main(["config", str(again)]) == 0
    assert capsys.readouterr().out == first
    assert yaml.safe_load(first)["train"]["epochs"] == 7


@pytest.mark.parametrize("kind", ["yolo", "faster_rcnn"])
def test_the_whole_road(kind: str, catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Train, evaluate the checkpoint, export, evaluate the exported file, detect: same scores, files in place."""
    assert main(["train", str(run_config(catalog, tmp_path, kind))]) == 0
    run = Path(capsys.readouterr().out.strip().splitlines()[-1])
    for name in ("config.yaml", "environment.json", "metrics.jsonl", "weights/best.pt", "evaluation/report.json"):
        assert (run / name).is_file(), name
    onnx = tmp_path / "lights.onnx"
    stranger = tmp_path / "stranger.pt"
    stranger.write_bytes((run / "weights" / "best.pt").read_bytes())
    assert main(["export", str(stranger), "--out", str(onnx)]) == 1
    assert "not in a run folder, so its catalog is unknown; give frames" in capsys.readouterr().err
    assert main(["export", str(run), "--out", str(onnx), "--frames", "2"]) == 0
    scores = {}
    for model in (run, onnx):
        out = tmp_path / f"scores_{model.name}"
        assert main(["evaluate", str(model), "--catalog", str(catalog), "--split", "val", "--out", str(out)]) == 0
        scores[model] = json.loads((out / "report.json").read_text())
        assert (out / "report.md").is_file()
        predictions = ["evaluate", str(out / "predictions.json"), "--catalog", str(catalog), "--split", "val"]
        assert main([*predictions, "--label-space", str(tmp_path / f"{kind}.yaml")]) == 0
    first, second = (item["overall"] for item in scores.values())
    assert first["frames"] == second["frames"] == 3
    assert first["ap50"] == pytest.approx(second["ap50"], abs=0.02)
    image = Catalog.open(catalog).image_path(0)
    assert main(["detect", str(onnx), str(image), "--out", str(tmp_path / "seen"), "--score", "0.01"]) == 0
    assert (tmp_path / "seen" / "detections.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["summary", "nowhere"], 1, ["nowhere", "not a catalog", "tl index"]),
        (["draw", "--head-density", "-1", "--out", "OUT"], 1, ["head_density is -1", "[0, 3]"]),
        (["draw", "--sequences", "0", "--out", "OUT"], 1, ["0 sequences"]),
        (["train"], 2, ["no configuration", "tl train CONFIG.yaml"]),
        (["train", "absent.yaml"], 1, ["absent.yaml", "cannot be read"]),
        (["train", "--resume", "nowhere"], 1, ["nowhere", "not a run folder"]),
        (["train", "CONFIG", "train.epoch=3"], 1, ["train.epoch", "no such setting"]),
        (["train", "CONFIG", "--overfit", "99", "train.epochs=2"], 1, ["99 frames are asked for"]),
        (["train", "CONFIG", "train.epochs=-3", "model.input.width_px=100"], 1, ["train.epochs", "model", "width_px"]),
        (["train", "CONFIG", "train.epochs"], 1, ["train.epochs", "key=value"]),
        (["train", "CONFIG", "data.train=split == 'nothing'"], 1, ["data.train", "no labelled frame"]),
        (["train", "CONFIG", "data.train=colour == 'x'"], 2, ["no column or word 'colour'"]),
        (["train", "CONFIG", "data.val=split != 'test'"], 1, ["data.train and in data.val"]),
        (["train", "CONFIG", "data.label_space.classes={yellow: {state: yellow}}"], 1, ["named by no rule", "red"]),
        (["train", "CONFIG", "evaluate.by=[wether]"], 1, ["evaluate.by", "no column 'wether'"]),
        (["train", "CONFIG", "train.schedule=step"], 1, ["train", "schedule: step needs step_epochs"]),
        (["train", "CONFIG", "data.label_space.classes.red.state=red"], 1, ["replaced as a whole"]),
        (["train", "CONFIG", "train.device=cuda:77"], 1, ["cuda:77"]),
        (["train", "CONFIG", "model.weights=absent.pt"], 1, ["absent.pt"]),
        (["train", "CONFIG", "augment.transforms=[{name: ToGray}]"], 1, ["ToGray", "lamps"]),
        (["train", "CONFIG", "augment.transforms=[{name: VerticalFlip}]"], 1, ["VerticalFlip", "upside down"]),
        (["evaluate", "absent.pt", "--catalog", "CATALOG"], 1, ["absent.pt", "no such file"]),
        (["evaluate", "absent.pt", "--catalog", "CATALOG", "--split", "vall"], 1, ["vall", "test, train, val"]),
        (["evaluate", "absent.json", "--catalog", "CATALOG"], 2, ["--label-space"]),
        (["evaluate", "absent.pt", "--catalog", "CATALOG", "--by", "wether"], 2, ["no column 'wether'"]),
        (["evaluate", "absent.pt", "--catalog", "CATALOG", "--out", "CONFIG/out"], 1, ["cannot be made in"]),
        (["draw", "--sequences", "1", "--frames", "1", "--out", "CONFIG/out"], 1, ["yolo.yaml", "check its rights"]),
        (["export", "absent.pt", "--out", "x.onnx"], 1, ["absent.pt"]),
        (["detect", "absent.onnx", "x.png", "--out", "seen"], 1, ["absent.onnx"]),
        (["split", "CATALOG", "--out", "OUT", "--val", "0.9", "--test", "0.9"], 2, ["0.9"]),
        (["split", "CATALOG", "--out", "OUT", "--assign", "val"], 2, ["--assign val", "PART=SEQUENCE"]),
        (["index", "CATALOG", "--format", "unheard", "--out", "OUT"], 2, ["unheard", "yolo"]),
        (["index", "CATALOG", "--format", "coco", "--option", "images=d", "--out", "OUT"], 2, ["give --images d"]),
        (
            ["index", "CATALOG", "--format", "coco", "--option", "progress=d", "--out", "OUT"],
            2,
            ["no option of a format"],
        ),
        (["index", "CATALOG", "--format", "yolo", "--out", "CATALOG"], 1, ["exists already"]),
    ],
)
def test_says_no_in_one_line(
    arguments: list[str],
    code: int,
    words: list[str],
    catalog: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    config = run_config(catalog, tmp_path, "yolo")
    places = {
        "CONFIG": str(config),
        "CONFIG/out": f"{config}/out",
        "CATALOG": str(catalog),
        "OUT": str(tmp_path / "out"),
    }
    assert main([places.get(word, word) for word in arguments]) == code
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith(f"tl {arguments[0]}: ")
    for word in words:
        assert word in message
    # Nothing half-written: no run, no output.
    left = {path.name for path in tmp_path.iterdir()} - {"yolo.yaml"}
    assert left == set()


def test_a_command_that_is_ended_from_outside_leaves_nothing(tmp_path: Path):
    command = [sys.executable, "-m", "tl_detection.cli", "draw", "--sequences", "300", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not list(tmp_path.rglob("*.jpg")) + list(tmp_path.rglob("*.png")) and time.monotonic() < until:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=30) == 143
    assert list(tmp_path.iterdir()) == []
