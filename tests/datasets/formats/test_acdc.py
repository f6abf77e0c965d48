from __future__ import annotations

import json
from pathlib import Path

import pytest

from tl_datasets.errors import AnnotationError, UsageError
from tl_datasets.formats.acdc import read
from tl_datasets.index import index
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import ConditionSource, LabelStatus, TimeOfDay, Weather

# The eight categories with the ids of Cityscapes, as the label files have them.
NAMES = {24: "person", 25: "rider", 26: "car", 27: "truck", 28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle"}
FOG = "fog/train/GOPR0475/GOPR0475_frame_000247_rgb_anon.png"
NIGHT = "night/train/GOPR0351/GOPR0351_frame_000159_rgb_anon.png"
RAIN = "rain/val/GP010400/GP010400_frame_000001_rgb_anon.png"
REFERENCE = "snow/train_ref/GOPR0122/GOPR0122_frame_000161_rgb_ref_anon.png"
TEST = "snow/test/GOPR0606/GOPR0606_frame_000010_rgb_anon.png"


@pytest.fixture
def make_file(tmp_path: Path, draw_image):
    """A file below gt_detection with its images; boxes are (index of image, category id, bbox)."""

    def make(name: str, images: list[str], boxes=(), changes=None) -> Path:
        for image in images:
            draw_image(tmp_path / "rgb_anon" / image, 64, 48)
        records = [{"id": i + 1000, "file_name": name, "width": 64, "height": 48} for i, name in enumerate(images)]
        document = {"images": records, "categories": [{"id": key, "name": word} for key, word in NAMES.items()]}
        if not name.endswith("_info.json"):
            document["annotations"] = [
                {"id": n + 1, "image_id": image + 1000, "category_id": category, "bbox": bbox, "iscrowd": 0}
                for n, (image, category, bbox) in enumerate(boxes)
            ]
        path = tmp_path / "gt_detection" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**document, **(changes or {})}))
        return path

    return make


def read_all(source: Path, **options):
    report = ReadReport()
    return {frame.path: frame for frame in read(source, report=report, **options)}, report


def test_conditions_part_and_sequence_come_from_the_folders(make_file, tmp_path):
    make_file("instancesonly_train_gt_detection.json", [FOG, NIGHT], [(0, 26, [1, 2, 10, 20]), (0, 33, [5, 5, 4, 4])])
    make_file("instancesonly_val_gt_detection.json", [RAIN])
    make_file("instancesonly_train_gt_ref_detection.json", [REFERENCE], [(0, 24, [1, 2, 10, 20])])
    make_file("instancesonly_test_image_info.json", [TEST])
    make_file("fog/instancesonly_fog_train_gt_detection.json", [FOG])  # not read: the joint files are there
    for source in (tmp_path, tmp_path / "gt_detection"):
        frames, report = read_all(source)
        told = {path: (frame.weather, frame.time_of_day, frame.split, frame.sequence) for path, frame in frames.items()}
        assert told == {
            FOG: (Weather.FOGGY, None, "train", "GOPR0475"),
            NIGHT: (Weather.UNDEFINED, TimeOfDay.NIGHT, "train", "GOPR0351"),
            RAIN: (Weather.RAINY, None, "val", "GP010400"),
            REFERENCE: (Weather.UNDEFINED, TimeOfDay.UNDEFINED, "train", "GOPR0122"),
            TEST: (Weather.SNOWY, None, "test", "GOPR0606"),
        }
        assert {frame.condition_source for frame in frames.values()} == {ConditionSource.FOLDER}
        assert [(box.category, box.xyxy) for box in frames[FOG].annotations or ()] == [
            ("car", (1, 2, 11, 22)),
            ("bicycle", (5, 5, 9, 9)),
        ]
        assert (report.root, report.lines()) == (tmp_path / "rgb_anon", [])
        assert len(report.content_hashes) == 5


def test_no_frame_says_anything_about_lights(make_file, tmp_path):
    make_file("instancesonly_train_gt_detection.json", [FOG, NIGHT], [(0, 26, [1, 2, 10, 20])])
    make_file("instancesonly_test_image_info.json", [TEST])
    frames, _ = read_all(tmp_path)
    assert frames[NIGHT].annotations == ()
    assert frames[NIGHT].label_status is frames[FOG].label_status is LabelStatus.PARTIAL
    assert "traffic_light" not in frames[NIGHT].labelled_categories
    assert len(frames[NIGHT].labelled_categories) == 8
    assert (frames[TEST].annotations, frames[TEST].label_status) == (None, LabelStatus.UNLABELLED)


def test_the_other_name_of_the_list_of_the_test_part(make_file, tmp_path):
    make_file("instancesonly_test_images_info.json", [TEST])
    assert read_all(tmp_path)[0][TEST].annotations is None


def test_images_that_no_file_names_are_counted(make_file, tmp_path, draw_image):
    path = make_file("instancesonly_train_gt_detection.json", [FOG])
    for image in (REFERENCE, TEST):
        draw_image(tmp_path / "rgb_anon" / image, 64, 48)
    frames, report = read_all(tmp_path)
    assert set(frames) == {FOG}
    assert report.counts == {(Event.NO_RECORD, "snow/train_ref"): 1, (Event.NO_RECORD, "snow/test"): 1}
    assert read_all(path)[1].counts == {}  # who names one file wants that one


def test_the_rain_file_that_holds_all_conditions(make_file, tmp_path):
    make_file("fog/instancesonly_fog_train_gt_detection.json", [FOG], [(0, 26, [1, 2, 10, 20])])
    rain = make_file("rain/instancesonly_rain_train_gt_detection.json", [FOG, NIGHT])
    frames, report = read_all(tmp_path)
    assert set(frames) == {FOG, NIGHT}
    assert len(frames[FOG].annotations or ()) == 1
    assert report.counts == {(Event.FRAME_REPEATED, ""): 1}
    assert len(read_all(rain)[0]) == 2


def test_through_the_index(make_file, tmp_path):
    path = make_file("instancesonly_val_gt_detection.json", [RAIN], [(0, 26, [60, 2, 10, 20]), (0, 26, [70, 2, 1, 2])])
    catalog, report = index(path, "acdc")
    assert catalog.frames["weather"].to_list() == ["rainy"]
    assert report.to_dict().keys() == {"box_clipped", "box_outside"}
    assert index(path, "acdc", split="test")[0].frames["split"].to_list() == ["test"]
    (tmp_path / "rgb_anon" / RAIN).unlink()
    with pytest.raises(AnnotationError, match=r"image 1000: no image 'rain/val/GP010400"):
        index(path, "acdc")
    assert len(index(path, "acdc", missing_images="keep")[0]) == 1


def test_missing_images_of_a_test_part(make_file, tmp_path):
    path = make_file("instancesonly_test_image_info.json", [TEST])
    (tmp_path / "rgb_anon" / TEST).unlink()
    with pytest.raises(AnnotationError, match=r"image_info\.json: image 0: no image 'snow/test"):
        read_all(path)
    assert read_all(path, missing_images="drop")[0] == {}
    assert read_all(path, missing_images="keep")[0][TEST].width_px == 64


@pytest.mark.parametrize(
    ("name", "images", "changes", "message"),
    [
        ("instancesonly_x_gt_detection.json", ["fog/a.png"], {}, r"image 'fog/a\.png', expected a path such as \{fog,"),
        ("instancesonly_x_gt_detection.json", ["sun/train/GOPR1/a.png"], {}, "expected a path such as"),
        ("instancesonly_x_gt_detection.json", [FOG], {"annotations": None}, "annotations: None, expected a list"),
        (
            "instancesonly_x_image_info.json",
            [FOG],
            {"annotations": [1]},
            "holds annotations, expected a list of images",
        ),
        ("instancesonly_x_image_info.json", [FOG], {"images": 3}, "expected a list of images"),
        ("instancesonly_x_image_info.json", [FOG], {"images": [3]}, "image 0: 3, expected an object with file_name"),
        ("instancesonly_x_image_info.json", [FOG], {"images": [{"file_name": "../x.png"}]}, "leaves its root"),
        ("instancesonly_x_image_info.json", [FOG], {"images": [{"file_name": FOG, "width": "w"}]}, "width is 'w'"),
        ("instancesonly_x_image_info.json", [FOG], {"images": [{"file_name": FOG, "width": 5}]}, "declares 5x48"),
    ],
)
def test_faults(make_file, name, images, changes, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        read_all(make_file(name, images, changes=changes))
    assert "\n" not in str(caught.value)


def test_faults_of_folders(make_file, tmp_path):
    path = make_file("instancesonly_val_gt_detection.json", [RAIN])
    with pytest.raises(UsageError, match=r"no instancesonly_\*\.json"):
        read_all(tmp_path / "rgb_anon")
    (tmp_path / "rgb_anon").rename(tmp_path / "images")
    with pytest.raises(UsageError, match=r"no image folder; expected .*rgb_anon.*images=DIR"):
        read_all(path)
    assert len(read_all(path, images=tmp_path / "images")[0]) == 1
