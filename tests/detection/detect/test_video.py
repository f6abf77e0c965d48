"""Drawn videos: they open again, whatever size and rate the frames have."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tl_datasets.errors import ImageError
from tl_datasets.images import write_rgb
from tl_detection.detect import Taking, Writing, detect_files
from tl_detection.detect.video import VideoFile


def read_video(path: Path) -> tuple[list[np.ndarray], float, str]:
    """Frames as RGB, rate, and the name of the codec."""
    capture = cv2.VideoCapture(str(path))
    rate, codec = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode()
    frames = []
    while True:
        ok, bgr = capture.read()
        if not ok:
            break
        frames.append(bgr[..., ::-1])
    capture.release()
    return frames, rate, codec


@pytest.mark.parametrize("fps", [10.0, 29.97, 24000 / 1001, 0.5, 120.0])
def test_a_video_opens_again(fps, tmp_path):
    video = VideoFile(tmp_path / "v.mp4", (160, 120), fps)
    for number in range(12):
        video.add(np.full((120, 160, 3), (200, 40, 20 * number), np.uint8))
    assert not (tmp_path / "v.mp4").exists()  # it appears when it is whole
    video.close()
    frames, rate, codec = read_video(tmp_path / "v.mp4")
    assert (len(frames), codec) == (12, "FMP4")  # MPEG-4 Part 2
    assert rate == pytest.approx(fps, rel=0.001)
    for number, frame in enumerate(frames):
        assert np.abs(frame.mean((0, 1)) - (200, 40, 20 * number)).max() < 12  # red is red
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_frames_of_odd_and_of_other_sizes(tmp_path):
    video = VideoFile(tmp_path / "v.mp4", (161, 121), 10)
    white = [np.full((*size, 3), 255, np.uint8) for size in ((121, 161), (60, 200), (400, 100))]
    for frame in white:
        video.add(frame)
    video.close()
    frames, *_ = read_video(tmp_path / "v.mp4")
    assert {frame.shape for frame in frames} == {(122, 162, 3)}
    assert frames[0][:120, :160].min() > 200
    assert frames[1][40:80].min() > 200  # in the middle, as wide as the video
    assert frames[1][[5, 115]].max() < 50
    assert frames[2][:, 75:85].min() > 200
    assert frames[2][:, [5, 155]].max() < 50


def test_what_cannot_be_written_is_said(tmp_path):
    with pytest.raises(ImageError, match=r"there: OpenCV writes no mp4v video of 160 x 120 pixels at 10 frames"):
        VideoFile(tmp_path / "absent" / "v.mp4", (160, 120), 10, name="there")


def test_a_video_that_does_not_open_again_is_said_and_removed(tmp_path):
    video = VideoFile(tmp_path / "v.mp4", (160, 120), 10)
    video.add(np.zeros((120, 160, 3), np.uint8))
    video._n_frames += 1  # as if a full disk had lost one
    with pytest.raises(ImageError, match=r"v\.mp4: 2 frames were written, 1 can be read; is the disk full"):
        video.close()
    assert not list(tmp_path.iterdir())


def test_a_video_of_each_sequence(detector, patch_image, write_video, tmp_path):
    source = tmp_path / "in"
    for name in ("one/a.png", "one/b.png", "two/a.png", "top.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        write_rgb(source / name, patch_image())
    write_video(source / "one" / "drive.avi", 9, fps=20)
    writing = Writing(video=True, pictures=False)
    summary = detect_files(detector, [source], tmp_path / "out", writing=writing, taking=Taking(every_nth=2))
    assert summary.faults == ()
    found = {
        path.relative_to(tmp_path / "out").as_posix(): read_video(path)
        for path in sorted((tmp_path / "out").rglob("*.mp4"))
    }
    assert {name: (len(frames), rate) for name, (frames, rate, _) in found.items()} == {
        "detections.mp4": (1, 10),
        "one/detections.mp4": (2, 10),
        "one/drive.avi/detections.mp4": (5, 10),  # every second frame of 20 per second: it plays as fast as the drive
        "two/detections.mp4": (1, 10),
    }
    frame = found["one/detections.mp4"][0][0].astype(int)
    assert frame[24, 33, 0] - frame[24, 33, 1] > 100  # the lamp


def test_images_of_two_folders_are_two_videos(detector, patch_image, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_rgb(tmp_path / name / f"{name}.png", patch_image())
    sources = [tmp_path / "a" / "a.png", tmp_path / "b" / "b.png"]
    detect_files(detector, sources, tmp_path / "out", writing=Writing(video=True))
    assert {path.name for path in (tmp_path / "out").glob("*.mp4")} == {"detections.mp4", "detections-2.mp4"}


def test_a_video_that_cannot_be_written_is_a_fault_and_the_rest_is_kept(detector, image_path, tmp_path, monkeypatch):
    def refuse(*arguments, **settings):
        raise ImageError(f"{settings['name']}: no encoder")

    monkeypatch.setattr("tl_detection.detect.pictures.VideoFile", refuse)
    summary = detect_files(detector, [image_path], tmp_path / "out", writing=Writing(video=True))
    assert summary.faults == ("detections.mp4: no encoder",)
    assert (tmp_path / "out" / "frame.png").is_file()
