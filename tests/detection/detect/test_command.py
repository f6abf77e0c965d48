"""`tl detect` as a person uses it: refusals before any work, what is printed, and how it ends."""

from __future__ import annotations

import json

import pytest

from tl_detection.cli import main


@pytest.fixture(autouse=True)
def _model(monkeypatch, detector):
    def load(path, device):
        if str(path) == "absent.onnx":
            raise AssertionError("a network was loaded before the command was read")
        return detector

    monkeypatch.setattr("tl_detection.detectors.load.load_detector", load)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--green-after", "2"], 2, "--green-after is a setting of the smoothing; give --smooth, too"),
        (["--smooth", "--green-after", "0"], 2, "--green-after 0: expected 1 or more"),
        (["--frames", "0"], 2, "--frames 0: expected 1 or more"),
        (["--seconds", "-1"], 2, "--seconds -1.0: expected a number above 0"),
        (["--every", "0"], 2, "--every 0: expected 1 or more"),
        (["--fps", "10"], 2, "--fps is the rate of the drawn video; give --video, too"),
        (["--fps", "9999", "--video"], 2, "--fps 9999.0: expected 0.1 to 240"),
        (["--score", "2"], 2, "--score 2.0: expected a number from 0 to 1"),
        (["camera:97"], 1, "camera:97: does not open as a camera"),
        (["/dev/video97"], 1, "/dev/video97: no such camera"),
        (["rtsp://host/stream"], 1, "rtsp://host/stream: no such file or folder"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(arguments, code, words, image_path, tmp_path, capsys):
    source = [str(image_path), *arguments] if arguments[0].startswith("--") else arguments
    # What is wrong with the command is said before a network is loaded; what depends on its classes after that.
    model = "absent.onnx" if code == 2 and arguments[0] != "--score" else "model.onnx"
    assert main(["detect", model, *source, "--out", str(tmp_path / "out")]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"tl detect: {words}")
    assert not (tmp_path / "out").exists()


def test_a_full_folder_is_refused_before_the_model_is_loaded(image_path, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    assert main(["detect", "absent.onnx", str(image_path), "--out", str(tmp_path / "out"), "--jsonl"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("lines", "kept"), [(["--jsonl"], 8), ([], None)])
def test_the_keyboard_ends_it(lines, kept, detector, write_video, tmp_path, capsys):
    write_video(tmp_path / "drive.avi", 20)
    look, calls = detector.detect, []

    def detect(images):
        calls.append(images)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return look(images)

    detector.detect = detect
    out = tmp_path / "out"
    assert main(["detect", "model.onnx", str(tmp_path / "drive.avi"), "--out", str(out), *lines]) == 130
    captured = capsys.readouterr()
    assert "interrupted" in captured.err
    if kept is None:
        assert not out.exists()
        return
    assert captured.out == f"{out}: 8 frames, 8 detections\n"
    assert json.loads((out / "run.json").read_text())["ended"] == "interrupted"
    assert len((out / "detections.jsonl").read_text().splitlines()) == kept
