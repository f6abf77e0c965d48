"""`tl lint` as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.config import dump_config
from tl_datasets.frame import Annotation, Frame
from tl_datasets.lint.drawn_lamps import draw_lamps
from tl_datasets.taxonomy import State
from tl_detection.cli import main

STATES = (State.RED, State.GREEN)


@pytest.fixture
def run(tmp_path: Path, lamp_run_config) -> Path:
    """A configuration over 24 frames with a pale lamp each, red or green, and no transforms."""
    images = tmp_path / "images"
    images.mkdir()
    frames = []
    lamps = {state: draw_lamps(state, 24, 0, red_yellow_deg=12.0, min_height_px=20.0) for state in STATES}
    for number in range(24):
        lamp = lamps[STATES[number % 2]][number]
        cv2.imwrite(str(images / f"{number}.png"), lamp.sample.image[:, :, ::-1])
        box = Annotation(xyxy=tuple(lamp.sample.xyxy[0].tolist()), state=lamp.head.state)  # type: ignore[arg-type]
        frames.append(
            Frame(
                frame_id=f"frame{number}",
                path=f"{number}.png",
                width_px=128,
                height_px=128,
                annotations=(box,),
                sequence=f"drive{number}",
            )
        )
    Catalog.from_frames(frames, source="drawn", root=images).save(tmp_path / "catalog")
    config = lamp_run_config(tmp_path, frames=8)
    path = tmp_path / "run.yaml"
    path.write_text(dump_config(config))
    return path


def lint(run: Path, *arguments: str) -> int:
    fitting = ["model.input={width_px: 128, height_px: 128}", "data.overfit_frames=null"]
    return main(["--quiet", "lint", str(run), *fitting, *arguments])


def test_a_safe_policy(run, tmp_path, capsys):
    out = tmp_path / "out"
    steps = "augment.transforms=[{name: RandomGamma, p: 0.5, gamma_limit: [90, 110]}]"
    assert lint(run, steps, "--draws", "2", "--out", str(out)) == 0
    printed = capsys.readouterr().out
    assert "within the limits" in printed and "RandomGamma" in printed
    assert "12 real and 18 drawn lamps" in printed and "yellow" not in printed.replace("red and yellow", "")
    assert sorted(path.name for path in out.iterdir()) == ["lint.html", "lint.json", "lint.md"]
    values = json.loads((out / "lint.json").read_text())
    assert values["refused"] == [] and values["limits"]["draws"] == 2


def test_an_unsafe_policy_is_refused_by_name_until_it_is_allowed(run, capsys):
    steps = "augment.transforms=[{name: ChannelShuffle, p: 0.5}, {name: RandomGamma, p: 0.1}]"
    assert lint(run, steps, "--draws", "2") == 1
    printed = capsys.readouterr().out
    assert "refused: ChannelShuffle: " in printed and "augment.allow_unsafe: [ChannelShuffle]" in printed
    assert lint(run, steps, "augment.allow_unsafe=[ChannelShuffle]", "--draws", "2") == 0
    assert "allowed by augment.allow_unsafe: ChannelShuffle: " in capsys.readouterr().out


def test_limits_are_settings_of_the_run(run, capsys):
    steps = "augment.transforms=[{name: ToGray, p: 0.3}]"
    assert lint(run, steps, "--draws", "1") == 1
    assert lint(run, steps, "augment.lint={min_kept: 0.6, min_kept_together: 0.6}", "--draws", "1") == 0
    capsys.readouterr()


def test_nothing_to_measure(run, capsys):
    assert lint(run, "augment.transforms=[]") == 0
    assert capsys.readouterr().out == (
        "augment.transforms has no step, so there is nothing to measure: geometry alone changes no colour\n"
    )


def test_other_frames(run, tmp_path, capsys):
    catalog = Catalog.open(tmp_path / "catalog")
    catalog.filter('frame_id == "frame0"').save(tmp_path / "one")
    steps = "augment.transforms=[{name: RandomGamma, p: 0.1}]"
    assert lint(run, steps, "--catalog", str(tmp_path / "one"), "--draws", "1") == 0
    assert "red: 1 real and 29 drawn lamps" in capsys.readouterr().out


@pytest.mark.parametrize("with_run", [True, False])
def test_known_policies(with_run, run, tmp_path, capsys):
    arguments = [str(run), "model.input={width_px: 128, height_px: 128}"] if with_run else []
    options = ["--catalog", str(tmp_path / "catalog"), "--lamps", "12", "--draws", "1", "--out", str(tmp_path / "out")]
    assert main(["--quiet", "lint", *arguments, "--known-policies", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 15 and lines[-1].endswith("lint.json, lint.md, lint.html")
    assert ("red_yellow" in lines[0]) == (not with_run), "the run learns red and green alone"
    assert sum(line.endswith("refused") for line in lines) >= 8
    assert "data:image/png" in (tmp_path / "out" / "lint.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "no configuration; expected tl lint CONFIG, or tl lint --known-policies --catalog CATALOG"),
        (["--known-policies"], 2, "no configuration"),
        (["RUN", "--draws", "0"], 2, "--draws 0: expected 1 or more"),
        (["RUN", "--lamps", "-3"], 2, "--lamps -3: expected 10 or more"),
        (["RUN", "--out", "images"], 1, "images: exists already"),
        (["RUN", "--catalog", "nowhere"], 1, "nowhere: not a catalog"),
        (["RUN", "augment.transforms=[{name: Sepiaa}]"], 1, "augment.transforms.Sepiaa: is no transform"),
        (["RUN", "augment.lint.max_othr=1"], 1, "augment.lint.max_othr: no such setting"),
    ],
)
def test_lint_says_no(arguments, code, message, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--quiet", "lint", *(str(run) if word == "RUN" else word for word in arguments)]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("tl lint: ") and message in captured.err and captured.err.count("\n") == 1


def test_a_catalog_without_a_light(run, tmp_path, capsys):
    car = Annotation(xyxy=(0.0, 0.0, 20.0, 20.0), category="car")
    frame = Frame(frame_id="a", path="0.png", width_px=128, height_px=128, annotations=(car,))
    Catalog.from_frames([frame], source="cars", root=tmp_path / "images").save(tmp_path / "cars")
    steps = "augment.transforms=[{name: RandomGamma, p: 0.1}]"
    assert lint(run, steps, "--catalog", str(tmp_path / "cars")) == 1
    assert "no traffic light among the 1 boxes of 1 frames" in capsys.readouterr().err


def test_an_image_that_cannot_be_read(run, tmp_path, capsys):
    (tmp_path / "images" / "3.png").write_bytes(np.zeros(9, np.uint8).tobytes())
    assert lint(run, "augment.transforms=[{name: RandomGamma, p: 0.1}]") == 1
    assert "3.png: 9 bytes that do not decode as an image" in capsys.readouterr().err
