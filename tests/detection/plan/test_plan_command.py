"""`tl plan` as a person uses it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.config import dump_config
from tl_detection.cli import main
from tl_detection.config import load_run_config

QUICK = ("--no-steps", "--no-lint")


@pytest.fixture
def run(tmp_path: Path, lamp_run_config) -> Path:
    """A configuration over 24 frames with a red and a green lamp each."""
    config = lamp_run_config(tmp_path, frames=24, overfit=False, batch_size=4)
    path = tmp_path / "run.yaml"
    path.write_text(dump_config(config))
    return path


def plan(run: Path, *arguments: str) -> int:
    return main(["--quiet", "plan", str(run), *arguments])


def test_real_steps(run, tmp_path, capsys, one_thread):
    out = tmp_path / "out"
    assert plan(run, "--steps", "1", "augment.scale=[0.8, 1.0]", "--out", str(out)) == 0
    printed = capsys.readouterr().out
    assert "boxes: it can be trained" in printed.replace("lamps:", "boxes:")
    assert sorted(path.name for path in out.iterdir()) == ["config.yaml", "plan.json", "plan.md"]
    sections = json.loads((out / "plan.json").read_text())["sections"]
    cost = sections["time and memory"]["values"]
    assert cost["frames_per_step"] == 4 and cost["steps_per_epoch"] == 5 and cost["micro_batch"] == 4
    assert cost["learn_s"] > 0 and cost["load_s_per_sample"] > 0 and cost["detect_s_per_frame"] > 0
    assert cost["run_s"] == pytest.approx(100 * (cost["epoch_s"] + cost["validation_s"]))
    assert cost["memory_peak_bytes"] > 0 and cost["losses"]["loss"] > 0
    # Batches of four frames with two lamps each, until there are a hundred lamps.
    starts = sections["targets"]["values"]["start"]
    assert len(starts) == 13 and all(start["lights"] == 8 for start in starts)
    assert sections["targets"]["values"]["untaught"]["one-to-one head"]["boxes"] == 104
    counted = sections["lost labels"]["values"]["counted"]
    assert (counted["samples"], counted["boxes"]) == (18, 36) and counted["broken_images"] == []
    assert load_run_config(out / "config.yaml").train.batch_size == 4
    # Nothing else was written: no run folder, no weights.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalog", "images", "out", "run.yaml"]


def test_without_reading_an_image(run, tmp_path, capsys):
    shutil.rmtree(tmp_path / "images")
    assert plan(run, *QUICK, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["verdict"] == "look at"
    assert values["sections"]["lost labels"]["values"]["counted"] is None
    assert "time and memory" not in values["sections"]


def test_strict_minds_what_is_to_be_looked_at(run, capsys):
    assert plan(run, *QUICK, "--strict") == 1
    assert "look at:" in capsys.readouterr().out


def test_a_class_without_boxes(run, capsys):
    space = "data.label_space.classes={red: {state: red}, green: {state: green}, yellow: {state: yellow}}"
    assert plan(run, *QUICK, space) == 1
    assert "stop:     class 'yellow' has no box to learn from" in capsys.readouterr().out


def test_a_leak(run, capsys):
    assert plan(run, *QUICK, "data.val=width_px > 0") == 1
    assert "stop:     frame 'frame0' is in data.train and in data.val" in capsys.readouterr().out


def test_an_unsafe_policy(run, capsys):
    steps = "augment={transforms: [{name: ChannelShuffle, p: 0.9}], lint: {lamps_per_state: 10, draws: 1}}"
    assert plan(run, "--no-steps", steps) == 1
    assert "stop:     ChannelShuffle: " in capsys.readouterr().out


def test_a_safe_policy(run, capsys):
    """Drawn lamps are measured where the frames have too few."""
    steps = "augment={transforms: [{name: RandomGamma, p: 0.5, gamma_limit: [95, 105]}], lint: {draws: 1}}"
    assert plan(run, "--no-steps", steps) == 0
    printed = capsys.readouterr().out
    assert "ok:       every step, and all together, keep the states of the lamps" in printed
    assert "percent of the lamps; measured on green " in printed


def test_lights_that_nobody_can_see(run, capsys):
    """At an eighth of their size lamps of 10 to 16 px are shown under 2 px."""
    assert plan(run, *QUICK, "augment.scale=[0.125, 0.125]") == 1
    printed = capsys.readouterr().out
    assert "stop:     " in printed and "are shown smaller than augment.min_size_px (2 px)" in printed


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.weights=nowhere.pt", "stop:     model.weights: nowhere.pt: no such weights file"),
        ("train.device=cuda:7", "stop:     device cuda:7 is asked for and "),
    ],
)
def test_what_is_missing(setting, message, run, capsys):
    assert plan(run, "--no-lint", setting) == 1
    assert message in capsys.readouterr().out


def test_a_broken_image_is_said(run, tmp_path, capsys):
    (tmp_path / "images" / "0.png").write_bytes(b"no image")
    # Measured samples go on with another frame; whether the steps do is the run's own limit.
    plan(run, "--no-lint", "--steps", "1")
    printed = capsys.readouterr().out
    assert "look at:  1 of the images behind 18 samples cannot be read: " in printed and "0.png" in printed


def test_no_box_at_all(run, tmp_path, capsys):
    catalog = Catalog.open(tmp_path / "catalog")
    Catalog(catalog.frames, catalog.annotations.clear(), catalog.roots).save(tmp_path / "empty")
    assert plan(run, *QUICK, f"data.catalog={tmp_path / 'empty'}") == 1
    assert "no class has a box among the 18 training frames" in capsys.readouterr().out


def test_a_faster_rcnn(run, capsys):
    model = "model={kind: faster_rcnn, backbone: resnet18, anchors: default, input: {width_px: 128, height_px: 64}}"
    assert plan(run, *QUICK, model) == 1
    printed = capsys.readouterr().out
    assert "anchors: default; " in printed and "model.anchors: fit  (now default)" in printed
    assert "BSD-3-Clause of torchvision" in printed


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["RUN", "--steps", "0"], 2, "--steps 0: expected 1 or more"),
        (["RUN", "--out", "images"], 1, "images: exists already"),
        (["RUN", "data.catalog=nowhere"], 1, "nowhere: not a catalog"),
        (["RUN", "model.architecture=yolo99x"], 1, "'yolo99x' is no known detector"),
        (["RUN", "train.epocs=3"], 1, "train.epocs: no such setting"),
        (["nowhere.yaml"], 1, "nowhere.yaml: "),
    ],
)
def test_plan_says_no(arguments, code, message, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--quiet", "plan", *(str(run) if word == "RUN" else word for word in arguments)]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("tl plan: ") and message in captured.err and captured.err.count("\n") == 1


def test_under_torchrun_it_says_no(run, monkeypatch, capsys):
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert plan(run) == 2
    assert capsys.readouterr().err == "tl plan: looks at one process of a run; start it without torchrun\n"
