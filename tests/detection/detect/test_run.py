"""`tl detect`: what is written, where, and what happens to files that do not open."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tl_datasets.errors import DataError, ImageError, UsageError
from tl_datasets.images import read_rgb, write_rgb
from tl_detection.detect import Taking, Writing, detect_files
from tl_detection.draw import STATE_COLOURS


def read_document(folder: Path) -> dict:
    return json.loads((folder / "detections.json").read_text())


def test_one_image(detector, patch_image, image_path, tmp_path):
    summary = detect_files(detector, [image_path], tmp_path / "new" / "out")
    assert (summary.n_frames, summary.n_detections, summary.faults) == (1, 1, ())
    out = tmp_path / "new" / "out"
    assert sorted(path.name for path in out.iterdir()) == ["detections.json", "frame.png"]
    document = read_document(out)
    assert document["model"] == {"engine": "red patch"}
    assert document["classes"] == [{"name": "stop", "state": "red"}, {"name": "light", "state": None}]
    assert document["frames"] == [
        {
            "file": image_path.as_posix(),
            "picture": "frame.png",
            "width_px": 160,
            "height_px": 120,
            "detections": [{"xyxy": [30, 20, 38, 36], "score": 0.75, "class": "stop", "state": "red"}],
        }
    ]
    picture = read_rgb(out / "frame.png")
    assert picture.shape == (120, 160, 3)
    np.testing.assert_array_equal(picture[20:36, 30:38], patch_image()[20:36, 30:38])  # the lamp itself stays visible
    assert (picture == STATE_COLOURS[detector.label_space.states[0]]).all(axis=2).any()
    assert not list((tmp_path / "new").glob(".*"))


def test_low_scores_are_shown_on_demand(detector, image_path, tmp_path):
    summary = detect_files(detector, [image_path], tmp_path / "out", score_threshold=0.05)
    assert summary.n_detections == 2


def test_folder_keeps_its_sub_folders(detector, patch_image, tmp_path):
    source = tmp_path / "drive"
    for name in ("a/front.jpg", "b/front.jpg", "b/deep/front.png", "top.bmp"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        write_rgb(source / name, patch_image())
    (source / "notes.txt").write_text("no image")
    summary = detect_files(detector, [source], tmp_path / "out")
    assert summary.n_frames == 4
    pictures = [frame["picture"] for frame in read_document(tmp_path / "out")["frames"]]
    # Folder by folder: the images of one follow each other.
    assert pictures == ["top.bmp.jpg", "a/front.jpg", "b/front.jpg", "b/deep/front.png"]
    assert all((tmp_path / "out" / picture).is_file() for picture in pictures)


def test_equal_names_do_not_collide(detector, patch_image, tmp_path):
    paths = []
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "frame.jpg")
        write_rgb(paths[-1], patch_image())
    detect_files(detector, [*paths, tmp_path / "one"], tmp_path / "out")
    pictures = [frame["picture"] for frame in read_document(tmp_path / "out")["frames"]]
    assert pictures == ["one-frame.jpg", "two-frame.jpg", "three-frame.jpg", "one/frame.jpg"]


@pytest.mark.parametrize(
    "name", ["detections.json", "detections.jsonl", "run.json", "detections.mp4", "detections-2.mp4"]
)
def test_a_folder_named_as_a_file_that_is_written(name, detector, patch_image, tmp_path):
    folder = tmp_path / "in" / name
    folder.mkdir(parents=True)
    write_rgb(folder / "frame.jpg", patch_image())
    detect_files(detector, [tmp_path / "in"], tmp_path / "out")
    (frame,) = read_document(tmp_path / "out")["frames"]
    assert frame["picture"] == f"{name}-pictures/frame.jpg"
    assert (tmp_path / "out" / frame["picture"]).is_file()


def test_a_link_to_an_empty_folder_is_filled(detector, image_path, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    detect_files(detector, [image_path], tmp_path / "link")
    assert (tmp_path / "real" / "detections.json").is_file()


def test_video_gives_index_and_time(detector, write_video, tmp_path):
    write_video(tmp_path / "drive.avi", 11)
    seen = []
    summary = detect_files(
        detector,
        [tmp_path / "drive.avi"],
        tmp_path / "out",
        taking=Taking(every_nth=5),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert summary.n_frames == 3
    frames = read_document(tmp_path / "out")["frames"]
    assert [(frame["frame_index"], frame["time_s"]) for frame in frames] == [(0, 0.0), (5, 0.5), (10, 1.0)]
    assert [frame["picture"] for frame in frames] == [f"drive.avi/{index:06d}.jpg" for index in (0, 5, 10)]
    assert abs(frames[2]["detections"][0]["xyxy"][0] - (16 + 80)) <= 2  # the tenth frame, not a neighbour
    assert seen[-1] == (3, 3)


def test_cut_off_video_is_reported(detector, write_video, tmp_path):
    write_video(tmp_path / "whole.avi", 40)
    data = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 3])
    try:
        summary = detect_files(detector, [tmp_path / "cut.avi"], tmp_path / "out")
    except ImageError as error:
        assert "cut.avi" in str(error)
    else:
        assert len(summary.faults) == 1
        assert "ends after" in summary.faults[0]


def test_files_that_do_not_open_are_counted_and_listed(detector, image_path, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 not an image")
    (tmp_path / "empty.mp4").write_bytes(b"")
    sources = [tmp_path / "broken.jpg", image_path, tmp_path / "empty.mp4"]
    summary = detect_files(detector, sources, tmp_path / "out")
    assert summary.n_frames == 1
    assert len(summary.faults) == 2
    assert "broken.jpg" in summary.faults[0]
    assert "empty.mp4" in summary.faults[1]
    assert read_document(tmp_path / "out")["faults"] == list(summary.faults)


def test_nothing_that_opens_is_an_error_and_leaves_nothing(detector, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(ImageError, match=r"broken\.mp4: does not open as a video"):
        detect_files(detector, [tmp_path / "broken.mp4"], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.mp4"]


@pytest.mark.parametrize("lines", [False, True])
def test_a_failing_detector_leaves_nothing(lines, detector, monkeypatch, image_path, tmp_path):
    def fail(images):
        raise RuntimeError("no memory")

    monkeypatch.setattr(detector, "detect", fail)
    with pytest.raises(RuntimeError):
        detect_files(detector, [image_path], tmp_path / "out", writing=Writing(lines=lines))
    assert [path.name for path in tmp_path.iterdir()] == ["frame.png"]


def test_refusals(detector, image_path, tmp_path):
    detector, out = detector, tmp_path / "out"
    (tmp_path / "void").mkdir()
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(DataError, match="neither image nor video"):
        detect_files(detector, [tmp_path / "void"], out)
    with pytest.raises(ImageError, match="no such file"):
        detect_files(detector, [tmp_path / "absent.png"], out)
    with pytest.raises(ImageError, match="neither image nor video by its name"):
        detect_files(detector, [tmp_path / "notes.txt"], out)
    with pytest.raises(UsageError, match="--score"):
        detect_files(detector, [image_path], out, score_threshold=1.5)
    with pytest.raises(UsageError, match="--every"):
        detect_files(detector, [image_path], out, taking=Taking(every_nth=0))
    assert not out.exists()
    out.mkdir()
    detect_files(detector, [image_path], out)  # an empty folder is as good as none
    with pytest.raises(DataError, match="exists already"):
        detect_files(detector, [image_path], out)


def read_lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "detections.jsonl").read_text().splitlines()]


def test_lines_say_what_the_document_says(detector, write_video, image_path, tmp_path):
    write_video(tmp_path / "drive.avi", 11)
    sources = [image_path, tmp_path / "drive.avi", tmp_path / "absent.jpg"]
    sources[2].write_bytes(b"no image")
    detect_files(detector, sources, tmp_path / "document", green_after=3)
    summary = detect_files(detector, sources, tmp_path / "lines", green_after=3, writing=Writing(lines=True))
    document, run = read_document(tmp_path / "document"), json.loads((tmp_path / "lines" / "run.json").read_text())
    assert read_lines(tmp_path / "lines") == document.pop("frames")
    assert len(read_lines(tmp_path / "lines")) == summary.n_frames == run.pop("frames") == 12
    assert (run.pop("ended"), run.pop("started")[:2]) == ("complete", "20")
    assert run == document
    names = {path.name for path in (tmp_path / "lines").iterdir()}
    assert names == {"detections.jsonl", "run.json", "drive.avi", "frame.png"}


def test_a_killed_run_keeps_its_lines(detector, write_video, tmp_path):
    """What is on the disk before each look of the detector is what a run that dies there leaves."""
    write_video(tmp_path / "drive.avi", 20)
    left, look = [], detector.detect

    def detect(images):
        if (tmp_path / "out").exists():
            left.append((len(read_lines(tmp_path / "out")), json.loads((tmp_path / "out" / "run.json").read_text())))
        return look(images)

    detector.detect = detect
    detect_files(detector, [tmp_path / "drive.avi"], tmp_path / "out", writing=Writing(lines=True))
    assert [count for count, _ in left] == [8, 16]  # eight frames are looked at together
    assert {run["ended"] for _, run in left} == {None}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_what_was_seen_before_a_run_ends_is_kept_with_lines_alone(error, detector, write_video, tmp_path):
    write_video(tmp_path / "drive.avi", 20)
    look, calls = detector.detect, []

    def detect(images):
        calls.append(len(images))
        if len(calls) == 3:
            raise error
        return look(images)

    detector.detect = detect
    with pytest.raises(error):
        detect_files(detector, [tmp_path / "drive.avi"], tmp_path / "document", writing=Writing(video=True))
    assert [path.name for path in tmp_path.iterdir()] == ["drive.avi"]

    calls.clear()
    writing = Writing(lines=True, video=True)
    if error is KeyboardInterrupt:
        summary = detect_files(detector, [tmp_path / "drive.avi"], tmp_path / "lines", writing=writing)
        assert summary.is_interrupted
    else:
        with pytest.raises(error):
            detect_files(detector, [tmp_path / "drive.avi"], tmp_path / "lines", writing=writing)
    run = json.loads((tmp_path / "lines" / "run.json").read_text())
    assert (run["ended"], run["frames"]) == ("failed" if error is RuntimeError else "interrupted", 16)
    assert len(read_lines(tmp_path / "lines")) == 16
    capture = cv2.VideoCapture(str(tmp_path / "lines" / "drive.avi" / "detections.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 16
    capture.release()


def test_limits_of_a_video(detector, write_video, tmp_path):
    write_video(tmp_path / "drive.avi", 20)
    for number, (taking, indices) in enumerate(
        [
            (Taking(frames=3), [0, 1, 2]),
            (Taking(frames=3, every_nth=4), [0, 4, 8]),
            (Taking(seconds=0.4), [0, 1, 2, 3]),
            (Taking(seconds=0.9, every_nth=3), [0, 3, 6]),
            (Taking(seconds=99, frames=99, every_nth=10), [0, 10]),
        ]
    ):
        seen: list[tuple[int, int | None]] = []
        out = tmp_path / str(number)
        detect_files(
            detector,
            [tmp_path / "drive.avi"],
            out,
            taking=taking,
            writing=Writing(pictures=False),
            progress=lambda done, total, seen=seen: seen.append((done, total)),
        )
        frames = read_document(out)["frames"]
        assert [frame["frame_index"] for frame in frames] == indices
        assert seen[-1] == (len(indices), len(indices))
        assert {frame["picture"] for frame in frames} == {None}
        assert [path.name for path in out.iterdir()] == ["detections.json"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Taking(frames=0), "--frames 0"),
        (lambda: Taking(seconds=0), "--seconds 0"),
        (lambda: Taking(seconds=float("nan")), "--seconds nan"),
        (lambda: Writing(fps=10), "--fps is the rate of the drawn video"),
        (lambda: Writing(fps=0, video=True), "--fps 0"),
    ],
)
def test_settings_out_of_range(make, words):
    with pytest.raises(UsageError, match=words):
        make()
