"""`tl-runtime`: what a technician reads, and the exit code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tl_runtime.checksum import hash_file_of, sha256_of
from tl_runtime.command import contract_lines, drawn_frames, main
from tl_runtime.session import Session
from tl_runtime.watch import CameraWatch, Health, WatchRules, check_form


def item(ap50, frames, objects, *, is_small=False):
    return {"ap50": ap50, "frames": frames, "objects": objects, "is_small": is_small}


EVALUATION = {
    "overall": item(0.7, 400, 1000),
    "slices": {
        "weather=clear": item(0.8, 200, 500),
        "weather=snowy": item(0.125, 3, 4, is_small=True),
        "weather=rainy": item(0.5, 100, 300),
        "time_of_day=night": item(0.25, 90, 200),
        "weather=foggy": item(None, 7, 0),
    },
}


def test_a_file_that_runs(vehicle_file, capsys):
    path = vehicle_file(scores={"red": 0.5, "light": 0.25}, more={"evaluation": EVALUATION})
    assert main([str(path), "--frames", "12", "--threads", "1", "--provider", "CPUExecutionProvider"]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert told.err == ""
    assert lines[0] == f"{path}: SHA-256 as in its hash file"
    assert lines[1] == "contract 2, yolo fixed, float32, run r, checkpoint abc"
    assert lines[2] == "takes RGB frames of any size, gives at most 3 lights; the network sees 64x32"
    assert lines[3] == "classes with their lowest scores: red 0.5, light 0.25"
    assert lines[4] == (
        "AP50 overall 0.700 (400 frames, 1000 lights); worst: weather=snowy 0.125 (3 frames, 4 lights, few), "
        "time_of_day=night 0.250 (90 frames, 200 lights), weather=rainy 0.500 (100 frames, 300 lights)"
    )
    assert re.fullmatch(r"onnxruntime [\d.]+, numpy [\d.]+, CPUExecutionProvider, threads 1", lines[5])
    assert re.fullmatch(r"opened in \d+ ms, with its first frame, which took [\d.]+ ms", lines[6])
    assert re.fullmatch(r"12 drawn frames: p50 [\d.]+ ms, p99 [\d.]+ ms, slowest [\d.]+ ms", lines[7])
    assert lines[8] == "health: ok 12"
    assert re.fullmatch(r"memory: now \d+ MB, at most \d+ MB", lines[9])
    assert lines[10:] == [f"{path}: runs here"]


def test_a_file_without_thresholds_and_evaluation_says_so(vehicle_file):
    lines = contract_lines(Session(vehicle_file(frame_size=(1280, 720), color_order="BGR")).contract)
    assert lines[1].startswith("takes BGR frames 1280x720, ")
    assert "(nobody chose any: tl export --thresholds): red 0.001, light 0.001" in lines[2]
    assert lines[3] == "without an evaluation: how well it detects is not known"


@pytest.mark.parametrize("evaluation", [[], "good", {"overall": None}, {"overall": {}, "slices": []}, {"slices": {}}])
def test_an_evaluation_that_cannot_be_read(evaluation, vehicle_file):
    lines = contract_lines(Session(vehicle_file(more={"evaluation": evaluation})).contract)
    assert lines[3] == "without an evaluation: how well it detects is not known"


def test_a_digest_is_given(vehicle_file, capsys):
    path = vehicle_file()
    digest = sha256_of(path.read_bytes())
    hash_file_of(path).unlink()
    assert main([str(path), "--frames", "2", "--sha256", digest]) == 0
    assert "SHA-256 as given" in capsys.readouterr().out
    assert main([str(path), "--frames", "2", "--sha256", digest[::-1]]) == 1
    assert "not the proven file" in capsys.readouterr().err


def other_hash(path: Path) -> None:
    hash_file_of(path).write_text(f"{'0' * 64}  {path.name}\n")


@pytest.mark.parametrize(
    ("damage", "arguments", "message"),
    [
        (lambda path: path.unlink(), [], "no such file"),
        (lambda path: hash_file_of(path).unlink(), [], "no hash file"),
        (other_hash, [], "not the proven file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), [], "not the proven file"),
        (lambda path: None, ["--provider", "NoSuchProvider"], "has no NoSuchProvider here"),
        (lambda path: None, ["--threads", "99999"], "expected 1 to 1024"),
        (lambda path: None, ["--sha256", "abc"], "expected 64 hex digits"),
        (lambda path: None, ["--budget", "0.0001"], r"4 of 4 frames took longer than 0.0001 ms, the slowest [\d.]+ ms"),
    ],
)
def test_what_is_wrong_is_one_line(damage, arguments, message, vehicle_file, capsys):
    path = vehicle_file()
    damage(path)
    assert main([str(path), "--frames", "4", *arguments]) == 1
    told = capsys.readouterr().err
    assert re.fullmatch(rf"tl-runtime: {re.escape(str(path))}.*{message}.*\n", told), told


def test_frames_without_a_result(vehicle_file, capsys, monkeypatch):
    import tl_runtime.command as command

    def frozen(contract, n):
        first = next(iter(drawn_frames(contract, 1)))
        return [first] * n

    monkeypatch.setattr(command, "drawn_frames", frozen)
    path = vehicle_file()
    assert main([str(path), "--frames", "5"]) == 1
    told = capsys.readouterr()
    assert "health: frozen 3, ok 2" in told.out and "runs here" not in told.out
    assert told.err == (
        f"tl-runtime: {path}: 3 of 5 frames gave no result (frozen: the same picture 3 times in a row)\n"
    )


@pytest.mark.parametrize(
    "arguments", [["--frames", "0"], ["--threads", "x"], ["--budget", "nan"], ["--budget", "-1"], []]
)
def test_arguments_that_mean_nothing(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([*(["f.onnx"] if arguments else []), *arguments])
    told = capsys.readouterr().err
    assert "number above 0" in told or "required: file" in told


@pytest.mark.parametrize("size", [None, (1, 1), (3, 700), (1280, 720)])
def test_drawn_frames_are_those_of_a_live_camera(size, vehicle_file):
    contract = Session(vehicle_file(frame_size=size)).contract
    watch = CameraWatch(WatchRules(frozen_after=2))
    width, height = size or (64, 32)
    for frame in drawn_frames(contract, 130 if width * height < 9999 else 5):
        assert check_form(frame, contract) == (Health.OK, "") and frame.shape == (height, width, 3)
        if size != (1, 1):
            assert watch.look(watch.take(frame), None, None) == (Health.OK, "")
    pair = [[frame.tobytes() for frame in drawn_frames(contract, 3)] for _ in range(2)]
    assert pair[0] == pair[1]


def test_a_terminal_without_utf8_shows_the_names_all_the_same(vehicle_file):
    classes = [
        {"id": 0, "name": "rot é 🚦", "state": "red", "pictogram": None, "group": 0},
        {"id": 1, "name": "light", "state": None, "pictogram": None, "group": 0},
    ]
    path = vehicle_file(more={"classes": classes})
    command = [sys.executable, "-m", "tl_runtime", str(path), "--frames", "2"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert (told.returncode, told.stderr) == (0, "")
    assert r"rot \xe9 \U0001f6a6 0.001" in told.stdout
