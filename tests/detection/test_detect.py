"""`tl detect`: what is written, where, and what happens to files that do not open."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tl_datasets.errors import DataError, ImageError, UsageError
from tl_datasets.images import read_rgb, write_rgb
from tl_datasets.label_space import LabelSpace
from tl_datasets.taxonomy import State
from tl_detection.detect import detect_files
from tl_detection.detector import Detections
from tl_detection.draw import STATE_COLOURS, draw_detections


class RedPatchDetector:
    """Finds the bounding box of pure red; a faint second box has a low score."""

    label_space = LabelSpace.model_validate({"classes": {"stop": {"state": "red"}, "light": {}}})

    @property
    def description(self):
        return {"engine": "red patch"}

    def detect(self, images):
        return [self._detect(image) for image in images]

    def _detect(self, image):
        rows, columns = np.nonzero((image[..., 0] > 180) & (image[..., 1:] < 90).all(axis=2))
        if not len(rows):
            return Detections.empty()
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detections(
            xyxy=np.array([box, [0, 0, 5, 5]], np.float32),
            score=np.array([0.75, 0.1], np.float32),
            class_id=np.array([0, 1]),
        )


def patch_image(x: int = 30, y: int = 20, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    image = np.full((*size, 3), 60, np.uint8)
    image[y : y + 16, x : x + 8] = (230, 20, 20)
    return image


def write_video(path: Path, count: int, fps: float = 10.0) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, (160, 120))
    assert writer.isOpened()
    for index in range(count):
        writer.write(cv2.cvtColor(patch_image(x=16 + 8 * index), cv2.COLOR_RGB2BGR))
    writer.release()


def read_document(folder: Path) -> dict:
    return json.loads((folder / "detections.json").read_text())


@pytest.fixture
def image_path(tmp_path) -> Path:
    path = tmp_path / "frame.png"
    write_rgb(path, patch_image())
    return path


def test_one_image(image_path, tmp_path):
    summary = detect_files(RedPatchDetector(), [image_path], tmp_path / "new" / "out")
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
    assert (picture == STATE_COLOURS[RedPatchDetector.label_space.states[0]]).all(axis=2).any()
    assert not list((tmp_path / "new").glob(".*"))


def test_low_scores_are_shown_on_demand(image_path, tmp_path):
    summary = detect_files(RedPatchDetector(), [image_path], tmp_path / "out", score_threshold=0.05)
    assert summary.n_detections == 2


def test_folder_keeps_its_sub_folders(tmp_path):
    source = tmp_path / "drive"
    for name in ("a/front.jpg", "b/front.jpg", "b/deep/front.png", "top.bmp"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        write_rgb(source / name, patch_image())
    (source / "notes.txt").write_text("no image")
    summary = detect_files(RedPatchDetector(), [source], tmp_path / "out")
    assert summary.n_frames == 4
    pictures = [frame["picture"] for frame in read_document(tmp_path / "out")["frames"]]
    assert pictures == ["a/front.jpg", "b/deep/front.png", "b/front.jpg", "top.bmp.jpg"]
    assert all((tmp_path / "out" / picture).is_file() for picture in pictures)


def test_equal_names_do_not_collide(tmp_path):
    paths = []
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "frame.jpg")
        write_rgb(paths[-1], patch_image())
    detect_files(RedPatchDetector(), [*paths, tmp_path / "one"], tmp_path / "out")
    pictures = [frame["picture"] for frame in read_document(tmp_path / "out")["frames"]]
    assert pictures == ["one-frame.jpg", "two-frame.jpg", "three-frame.jpg", "one/frame.jpg"]


def test_a_folder_named_as_the_list_of_detections(tmp_path):
    folder = tmp_path / "in" / "detections.json"
    folder.mkdir(parents=True)
    write_rgb(folder / "frame.jpg", patch_image())
    detect_files(RedPatchDetector(), [tmp_path / "in"], tmp_path / "out")
    (frame,) = read_document(tmp_path / "out")["frames"]
    assert frame["picture"] == "detections.json-pictures/frame.jpg"
    assert (tmp_path / "out" / frame["picture"]).is_file()


def test_a_link_to_an_empty_folder_is_filled(image_path, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    detect_files(RedPatchDetector(), [image_path], tmp_path / "link")
    assert (tmp_path / "real" / "detections.json").is_file()


def test_video_gives_index_and_time(tmp_path):
    write_video(tmp_path / "drive.avi", 11)
    seen = []
    summary = detect_files(
        RedPatchDetector(),
        [tmp_path / "drive.avi"],
        tmp_path / "out",
        every_nth=5,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert summary.n_frames == 3
    frames = read_document(tmp_path / "out")["frames"]
    assert [(frame["frame_index"], frame["time_s"]) for frame in frames] == [(0, 0.0), (5, 0.5), (10, 1.0)]
    assert [frame["picture"] for frame in frames] == [f"drive.avi/{index:06d}.jpg" for index in (0, 5, 10)]
    assert abs(frames[2]["detections"][0]["xyxy"][0] - (16 + 80)) <= 2  # the tenth frame, not a neighbour
    assert seen[-1] == (3, 3)


def test_cut_off_video_is_reported(tmp_path):
    write_video(tmp_path / "whole.avi", 40)
    data = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 3])
    try:
        summary = detect_files(RedPatchDetector(), [tmp_path / "cut.avi"], tmp_path / "out")
    except ImageError as error:
        assert "cut.avi" in str(error)
    else:
        assert len(summary.faults) == 1
        assert "ends after" in summary.faults[0]


def test_files_that_do_not_open_are_counted_and_listed(image_path, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 not an image")
    (tmp_path / "empty.mp4").write_bytes(b"")
    sources = [tmp_path / "broken.jpg", image_path, tmp_path / "empty.mp4"]
    summary = detect_files(RedPatchDetector(), sources, tmp_path / "out")
    assert summary.n_frames == 1
    assert len(summary.faults) == 2
    assert "broken.jpg" in summary.faults[0]
    assert "empty.mp4" in summary.faults[1]
    assert read_document(tmp_path / "out")["faults"] == list(summary.faults)


def test_nothing_that_opens_is_an_error_and_leaves_nothing(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(ImageError, match=r"broken\.mp4: does not open as a video"):
        detect_files(RedPatchDetector(), [tmp_path / "broken.mp4"], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.mp4"]


def test_a_failing_detector_leaves_nothing(image_path, tmp_path):
    class Failing(RedPatchDetector):
        def detect(self, images):
            raise RuntimeError("no memory")

    with pytest.raises(RuntimeError):
        detect_files(Failing(), [image_path], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["frame.png"]


def test_refusals(image_path, tmp_path):
    detector, out = RedPatchDetector(), tmp_path / "out"
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
        detect_files(detector, [image_path], out, every_nth=0)
    assert not out.exists()
    out.mkdir()
    detect_files(detector, [image_path], out)  # an empty folder is as good as none
    with pytest.raises(DataError, match="exists already"):
        detect_files(detector, [image_path], out)


@pytest.mark.parametrize("size", [(20, 30), (120, 160), (1080, 1920)])
def test_drawing_leaves_the_frame_alone_and_stays_inside(size):
    image = np.full((*size, 3), 90, np.uint8)
    before = image.copy()
    height, width = size
    detections = Detections(
        xyxy=np.array([[0, 0, 4, 8], [width - 4, height - 8, width, height], [2, 2, 6, 10]], np.float32),
        score=np.array([0.9, 0.8, 0.3], np.float32),
        class_id=np.array([0, 1, 0]),
    )
    picture = draw_detections(image, detections, ("red", "green"), ("red", "green"))
    np.testing.assert_array_equal(image, before)
    assert picture.shape == image.shape
    assert (picture != image).any()


def test_drawing_nothing_gives_the_frame():
    image = patch_image()
    np.testing.assert_array_equal(draw_detections(image, Detections.empty(), ("a",), (None,)), image)


def test_a_class_of_several_states_is_drawn_in_the_colour_of_its_name():
    image = np.zeros((60, 60, 3), np.uint8)
    box = Detections(xyxy=np.array([[20, 20, 30, 40]], np.float32), score=np.array([0.9]), class_id=np.array([0]))
    red, other = (draw_detections(image, box, (name,), (None,)) for name in ("red", "stop_light"))
    assert tuple(red[18, 25]) == STATE_COLOURS[State.RED]
    assert tuple(other[18, 25]) == STATE_COLOURS[None]
