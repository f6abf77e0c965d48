"""Cameras: a double that delivers what the test says, and, for real, devices that are not there."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import cv2
import pytest

from tl_datasets.errors import ImageError
from tl_detection.detect import Taking, Writing, detect_files

_OPEN = cv2.VideoCapture


class FakeCamera:
    """Stands for `cv2.VideoCapture` of a camera by its number: so many frames, then none. Files open as ever."""

    def __init__(self, frame, count: int):
        self.frame = frame
        self.left = count
        self.opened_as = None
        self.n_released = 0

    def __call__(self, *opened_as):
        if isinstance(opened_as[0], str):
            return _OPEN(*opened_as)
        self.opened_as = opened_as
        return self

    def isOpened(self):
        return self.frame is not None

    def read(self):
        if self.left == 0:
            return False, None
        self.left -= 1
        return True, self.frame.copy()

    def release(self):
        self.n_released += 1


@pytest.fixture
def camera(monkeypatch, patch_image) -> FakeCamera:
    """Delivers 20 frames."""
    double = FakeCamera(cv2.cvtColor(patch_image(), cv2.COLOR_RGB2BGR), 20)
    monkeypatch.setattr("tl_detection.detect.shots.cv2.VideoCapture", double)
    return double


def read_run(folder: Path) -> tuple[list[dict], dict]:
    lines = (folder / "detections.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], json.loads((folder / "run.json").read_text())


def test_a_camera_ends_after_the_frames_that_are_asked_for(camera, detector, tmp_path):
    seen = []
    taking = Taking(frames=5, every_nth=2)
    summary = detect_files(
        detector, ["camera:3"], tmp_path / "out", taking=taking, progress=lambda *done: seen.append(done)
    )
    assert (summary.n_frames, summary.n_detections, summary.faults) == (5, 5, ())
    lines, run = read_run(tmp_path / "out")
    assert [line["frame_index"] for line in lines] == [0, 2, 4, 6, 8]
    assert {(line["file"], line["picture"]) for line in lines} == {("camera:3", None)}
    times = [line["time_s"] for line in lines]
    assert times[0] == 0
    assert times == sorted(times)
    assert run["ended"] == "complete"
    # A camera fills the disk with pictures only on demand; its lines are there without being asked for.
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"detections.jsonl", "run.json"}
    assert (camera.opened_as, camera.left, camera.n_released) == ((3,), 20 - 9, 1)
    assert seen == [(number, 5) for number in range(1, 6)]


def test_seconds_end_a_camera(camera, detector, tmp_path, monkeypatch):
    clock = iter(range(100, 200))
    monkeypatch.setattr("tl_detection.detect.shots.time.monotonic", lambda: next(clock))
    summary = detect_files(detector, ["camera:0"], tmp_path / "out", taking=Taking(seconds=4))
    assert summary.n_frames == 4
    assert [line["time_s"] for line in read_run(tmp_path / "out")[0]] == [0, 1, 2, 3]


def test_pictures_and_a_video_of_a_camera(camera, detector, tmp_path):
    writing = Writing(pictures=True, video=True, fps=5)
    detect_files(detector, ["camera:0"], tmp_path / "out", taking=Taking(frames=3), writing=writing)
    names = sorted(path.name for path in (tmp_path / "out" / "camera-0").iterdir())
    assert names == ["000000.jpg", "000001.jpg", "000002.jpg", "detections.mp4"]


def test_a_camera_that_stops_is_one_line_and_keeps_what_was_seen(camera, detector, tmp_path):
    summary = detect_files(detector, ["camera:0"], tmp_path / "out")
    assert summary.n_frames == 20
    assert len(summary.faults) == 1
    assert "camera:0: stopped delivering after 20 frames" in summary.faults[0]
    lines, run = read_run(tmp_path / "out")
    assert len(lines) == 20
    assert run["faults"] == list(summary.faults)


def test_the_keyboard_ends_a_camera_and_what_was_seen_is_kept(camera, detector, tmp_path, monkeypatch):
    read = camera.read

    def read_until():
        if camera.left == 13:
            raise KeyboardInterrupt
        return read()

    monkeypatch.setattr(camera, "read", read_until)
    summary = detect_files(detector, ["camera:0"], tmp_path / "out")
    assert (summary.n_frames, summary.has_camera, summary.is_interrupted, summary.faults) == (7, True, True, ())
    lines, run = read_run(tmp_path / "out")
    assert (len(lines), run["ended"], camera.n_released) == (7, "interrupted", 1)


def test_no_frame_at_all_leaves_nothing(camera, detector, tmp_path):
    camera.left = 0
    with pytest.raises(ImageError, match="stopped delivering after 0 frames"):
        detect_files(detector, ["camera:0"], tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_memory_does_not_grow_with_the_hours(camera, detector, tmp_path):
    camera.left = 1500
    taken: list[int] = []

    def measure(done, total):
        assert total is None  # nobody knows when it ends
        if done in (500, 1500):
            taken.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        detect_files(detector, ["camera:0"], tmp_path / "out", green_after=3, progress=measure)
    finally:
        tracemalloc.stop()
    # A thousand rows of a frame's detections alone would take more than a megabyte.
    assert taken[1] - taken[0] < 50_000


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("camera:97", "camera:97: does not open as a camera"),
        ("/dev/video97", "/dev/video97: no such camera"),
        ("/dev/null", "/dev/null: does not open as a camera"),
    ],
)
def test_a_camera_that_is_not_there(name, words, detector, tmp_path, capfd):
    with pytest.raises(ImageError, match=words):
        detect_files(detector, [name], tmp_path / "out")
    assert not list(tmp_path.iterdir())
