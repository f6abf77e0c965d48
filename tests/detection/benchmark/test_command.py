"""`tl benchmark` as a user calls it: what it measures, what it leaves, and what it says to bad input."""

from __future__ import annotations

import json
import os
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tl_detection.benchmark.beside import PLAIN, TORCH, beside_contenders
from tl_detection.benchmark.prepare import Prepared
from tl_detection.cli import main


@pytest.fixture(scope="module")
def run(exported, tmp_path_factory) -> tuple[dict, str]:
    """One run of everything: the JSON and the Markdown."""
    weights, file = exported
    out = tmp_path_factory.mktemp("benchmark") / "out"
    arguments = ["--frame-size", "256x144", "--frames", "20", "--warm-up", "1", "--beside", str(weights)]
    assert main(["--quiet", "benchmark", str(file), *arguments, "--out", str(out)]) == 0
    return json.loads((out / "benchmark.json").read_text()), (out / "benchmark.md").read_text()


def test_everything_runs_beside_the_file(run):
    report = run[0]
    names = [each["name"] for each in report["contenders"]]
    assert names == ["128x96.onnx, CPU", PLAIN, "ultralytics predict, its ONNX", "ultralytics predict, .pt"]
    assert report["absent"] == []
    providers = [each["provider"] for each in report["contenders"]]
    assert providers == ["CPUExecutionProvider"] * 3 + ["torch cpu"]


def test_they_find_the_same_boxes(run):
    report = run[0]
    assert max(report["detections_per_frame"]) > 3
    for each in report["contenders"][1:]:
        assert each["agreement"]["compared"] > 10, each["name"]
        # One in a hundred may be another: scores differ in the last digits, and so does which box stays.
        assert each["agreement"]["partners"] >= 0.99 * each["agreement"]["compared"], each["name"]


def test_figures_are_those_of_the_times(run):
    for each in run[0]["contenders"]:
        times = [value for turn in each["turns_ms"] for value in turn]
        assert [len(turn) for turn in each["turns_ms"]] == [10, 10]
        assert each["p50_ms"] == sorted(times)[9]
        assert each["p90_ms"] == sorted(times)[17]
        assert each["p99_ms"] is None
        assert each["first_frame_ms"] >= each["open_ms"] > 0
        assert each["memory_peak_mb"] > each["memory_baseline_mb"] > 10
        assert 0 < each["cpu_share"] <= 1.05


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin a process to a core")
def test_each_is_pinned_to_one_core(run):
    assert {tuple(each["pinned_to"]) for each in run[0]["contenders"]} == {tuple(run[0]["method"]["cores"])}
    assert len(run[0]["method"]["cores"]) == 1


def test_the_table_says_how_it_was_measured(run):
    text = run[1]
    assert "1 thread, " in text
    assert "warm-up 1 frames, and 2 untimed ones in each turn of 10" in text
    assert "p99: - because it needs 100 frames" in text
    assert "score 0.25, IoU 0.4 across classes, 300 boxes at most" in text
    row = next(line for line in text.splitlines() if line.startswith(f"| {PLAIN}"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[4:6] == ["-", "-"]
    assert cells[-1] == "20"


def test_without_weights_the_file_is_alone(exported, capsys):
    arguments = ["--frame-size", "256x144", "--frames", "2", "--warm-up", "0", "--no-pin"]
    assert main(["--quiet", "benchmark", str(exported[1]), *arguments]) == 0
    text = capsys.readouterr().out
    assert "not pinned" in text
    assert f"- {PLAIN}: not run: no weights were given; name the file's own with --beside" in text


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--frames", "0"], 2, "--frames 0: expected 1 or more"),
        (["--warm-up", "-1"], 2, "--warm-up -1: expected 0 or more"),
        (["--threads", "0"], 2, "--threads 0: expected 1 or more"),
        (["--score", "1.5"], 2, "--score 1.5: expected a number between 0 and 1"),
        (["--frame-size", "1280"], 2, "--frame-size 1280: expected WIDTHxHEIGHT"),
        (["--frame-size", "0x720"], 2, "--frame-size 0x720: expected WIDTHxHEIGHT"),
        (["--pin", "4095"], 2, "--pin 4095: no such core here"),
        (["--threads", "4095"], 2, "--threads 4095: this process may use"),
        (["--images", "absent"], 1, "absent: no such folder"),
        (["--beside", "absent.pt"], 1, "absent.pt: no such file"),
        (["--out", "."], 1, "exists already"),
    ],
)
def test_bad_options_are_one_line(exported, capsys, arguments: list[str], code: int, expected: str):
    assert main(["benchmark", str(exported[1]), *arguments]) == code
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_a_provider_that_is_not_installed_is_refused(exported, capsys, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert main(["benchmark", str(exported[1]), "--provider", "OpenVINO"]) == 2
    assert "--provider OpenVINO: onnxruntime has CPU here" in capsys.readouterr().err


def test_files_that_are_none_of_ours_are_one_line(tmp_path: Path, capsys):
    foreign = tmp_path / "foreign.onnx"
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [out])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), str(foreign))
    (tmp_path / "cut.onnx").write_bytes(b"\x08\x08")
    for name in ("foreign.onnx", "cut.onnx", "absent.onnx"):
        assert main(["benchmark", str(tmp_path / name)]) == 1
        error = capsys.readouterr().err
        assert f"{name}: " in error
        assert error.count("\n") == 1


def test_weights_of_another_file_are_refused(exported, tmp_path: Path, capsys):
    other = tmp_path / "other.pt"
    other.write_bytes(exported[0].read_bytes() + b" ")
    assert main(["benchmark", str(exported[1]), "--beside", str(other)]) == 1
    assert "name the checkpoint that was exported" in capsys.readouterr().err


def test_a_file_for_one_size_takes_no_other(vehicle_file, capsys):
    assert main(["benchmark", str(vehicle_file(frame_size=(1920, 1080))), "--frame-size", "1280x720"]) == 2
    assert "takes frames of 1920x1080 alone" in capsys.readouterr().err


def test_a_file_of_several_frames_at_once_is_refused(vehicle_file, capsys):
    assert main(["benchmark", str(vehicle_file(batch=2))]) == 1
    assert "takes 2 frames at once" in capsys.readouterr().err


def test_beside_a_faster_rcnn_runs_torchvision():
    made = Prepared(
        kind="faster_rcnn",
        weights="best.pt",
        width_px=320,
        height_px=192,
        max_detections=40,
        end_to_end=False,
        iou=0.4,
        across_classes=True,
        same_suppression=False,
        faults={},
    )
    contenders, absent = beside_contenders(made, "CPU", 0.25, "file")
    assert [each.name for each in contenders] == [TORCH]
    assert next(each.name for each in absent) == PLAIN
