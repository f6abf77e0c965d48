"""A short drawn drive through the command: a detector that takes red for green now and then, and what is told of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace
from tl_datasets.synthetic import SequenceSpec, render_sequence
from tl_datasets.taxonomy import Facing, State, TimeOfDay, Weather
from tl_detection.cli import main
from tl_detection.detector import Detections

CLASSES = ("red", "red_yellow", "yellow", "green")
# Begins with red; a cycle is over after 46 frames. The camera drives 30 m towards the lights.
SPEC = SequenceSpec(
    sequence="drive",
    seed=5,
    n_frames=60,
    weather=Weather.CLEAR,
    time_of_day=TimeOfDay.DAYTIME,
    width_px=640,
    height_px=360,
    arrow_share=0.0,
    off_share=0.0,
    signal_phase=0.51,
)


class ErringDetector:
    """Sees what is there, in the order of the drive: but two frames of four every light is green to it, whatever it
    shows, and every thirteenth frame it sees nothing."""

    label_space = LabelSpace.model_validate({"classes": {name: {"state": name} for name in CLASSES}})
    description = {"engine": "erring"}  # noqa: RUF012

    def __init__(self, frames: Sequence[Frame]):
        self.seen = [self.look(number, frame) for number, frame in enumerate(frames)]
        self.next = 0

    @staticmethod
    def look(number: int, frame: Frame) -> Detections:
        lights = [] if number % 13 == 12 else lights_of(frame)
        errs = number % 4 in (0, 1)
        return Detections(
            xyxy=np.array([light.xyxy for light in lights], np.float32).reshape(-1, 4),
            score=np.full(len(lights), 0.9, np.float32),
            class_id=np.array([CLASSES.index("green" if errs else str(light.state)) for light in lights], np.int64),
        )

    def detect(self, images):
        self.next += len(images)
        return self.seen[self.next - len(images) : self.next]


def lights_of(frame: Frame) -> list[Annotation]:
    return [
        light
        for light in frame.annotations or ()
        if light.facing == Facing.FRONT and light.state is not None and str(light.state) in CLASSES
    ]


@pytest.fixture(scope="module")
def drive(tmp_path_factory) -> tuple[Path, list[Frame]]:
    """The drive as a video, and what is in its frames."""
    path = tmp_path_factory.mktemp("drive") / "drive.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (SPEC.width_px, SPEC.height_px))
    frames = []
    for frame, image in render_sequence(SPEC):
        frames.append(frame)
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return path, frames


def test_a_drive_is_never_told_to_be_green_where_it_is_red(drive, tmp_path, monkeypatch, capsys):
    path, frames = drive
    states = [str(lights_of(frame)[-1].state) for frame in frames if lights_of(frame)]
    assert [state for state, before in zip(states, [None, *states], strict=False) if state != before] == [
        *("red", "red_yellow", "green", "yellow", "red")
    ]
    monkeypatch.setattr("tl_detection.detectors.load.load_detector", lambda *_: ErringDetector(frames))
    out = tmp_path / "seen"
    assert main(["detect", "model.onnx", str(path), "--out", str(out), "--smooth", "--video", "--no-pictures"]) == 0
    assert "60 frames" in capsys.readouterr().out
    document = json.loads((out / "detections.json").read_text())
    assert document["smoothing"] == {"green_after": 3}

    errors, held, right = 0, 0, 0
    for frame, row in zip(frames, document["frames"], strict=True):
        told = row["detections"]
        assert row["picture"] is None
        for light, one in zip(lights_of(frame) if told else [], told, strict=True):
            is_green = light.state is State.GREEN
            errors += one["state"] == "green" and not is_green
            held += one["is_held"]
            right += one["smoothed_state"] == "green" and is_green
            # A mistaken frame of red right before it turns green shortens the wait: it is green by then.
            assert one["smoothed_state"] != "green" or is_green, (row["frame_index"], light)
            assert one["is_held"] == (one["class"] != one["smoothed_class"])
    assert errors > 30  # the detector said green of a light that was not
    assert held > 30
    assert right > 10  # and green is told where it is green
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.*")} == {
        "detections.json",
        "drive.mp4",
        "drive.mp4/detections.mp4",
    }
    _look_at_the_video(out / "drive.mp4" / "detections.mp4", document["frames"])


def _look_at_the_video(path: Path, rows: list[dict]) -> None:
    """The outline of a light that is held red is red in the video, of one that is green it is green."""
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == 10
    looked_at = {"red": 0, "green": 0}
    for row in rows:
        ok, bgr = capture.read()
        assert ok
        for one in row["detections"]:
            state, (x1, y1, _, y2) = one["smoothed_state"], (round(value) for value in one["xyxy"])
            if state not in looked_at or y2 - y1 < 16:
                continue
            # The outline's left side; the video codes two pixels' colour as one.
            column = bgr[y1:y2, max(x1 - 4, 0) : x1].astype(int)
            redness = column[..., 2] - column[..., 1]
            looked_at[state] += bool(redness.max() > 60 if state == "red" else redness.min() < -60)
    assert not capture.read()[0]
    capture.release()
    assert looked_at["red"] > 20
    assert looked_at["green"] > 5


def test_without_smoothing_there_are_neither_tracks_nor_held_states(drive, tmp_path, monkeypatch):
    path, frames = drive
    monkeypatch.setattr("tl_detection.detectors.load.load_detector", lambda *_: ErringDetector(frames))
    out = tmp_path / "seen"
    assert main(["detect", "model.onnx", str(path), "--out", str(out), "--no-pictures", "--frames", "9"]) == 0
    document = json.loads((out / "detections.json").read_text())
    assert document["smoothing"] is None
    assert {key for row in document["frames"] for one in row["detections"] for key in one} == {
        *("xyxy", "score", "class", "state")
    }


def test_a_longer_wait_and_a_broken_image_between(tmp_path, monkeypatch):
    """A folder of images is one drive; a file of it that does not open begins the count anew."""
    light = Annotation(xyxy=(20, 20, 30, 45), state=State.GREEN, facing=Facing.FRONT)
    frames = [
        Frame(frame_id=str(number), path=f"{number}.png", width_px=80, height_px=60, annotations=(light,))
        for number in range(60)
    ]
    monkeypatch.setattr(
        ErringDetector,
        "look",
        staticmethod(
            lambda number, frame: Detections(xyxy=np.array([light.xyxy]), score=np.array([0.9]), class_id=np.array([3]))
        ),
    )
    monkeypatch.setattr("tl_detection.detectors.load.load_detector", lambda *_: ErringDetector(frames))
    for folder, count in (("a", 9), ("b", 3)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            cv2.imwrite(str(tmp_path / folder / f"{number}.png"), np.zeros((60, 80, 3), np.uint8))
    (tmp_path / "a" / "5.png").write_bytes(b"broken")
    arguments = ["detect", "model", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--smooth", "--green-after", "2", "--jsonl"]) == 1
    lines = [json.loads(line) for line in (tmp_path / "out" / "detections.jsonl").read_text().splitlines()]
    told = {line["picture"]: line["detections"][0]["smoothed_state"] for line in lines}
    assert [told.get(f"a/{number}.png", "broken") for number in range(9)] == [
        *(None, "green", "green", "green", "green", "broken", None, "green", "green")
    ]
    assert [told[f"b/{number}.png"] for number in range(3)] == [None, "green", "green"]
