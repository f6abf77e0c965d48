"""The described sources that are Pascal VOC or KITTI underneath, each read from a small set in its own layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tl_datasets.errors import AnnotationError, DataError
from tl_datasets.index import index
from tl_datasets.label_maps import DROP, load_label_map
from tl_datasets.read_report import Event
from tl_datasets.taxonomy import LabelStatus

BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


# What tools write for every object without anybody looking.
FLAGS = "<truncated>0</truncated><difficult>0</difficult><occluded>0</occluded>"


def voc(*objects: tuple[str, tuple[float, float, float, float]], filename: str = "") -> str:
    rows = "".join(f"<object><name>{name}</name>{FLAGS}{BOX.format(*xyxy)}</object>" for name, xyxy in objects)
    return (
        f"<annotation><filename>{filename}</filename><size><width>64</width><height>48</height></size>{rows}"
        "</annotation>"
    )


@pytest.fixture
def make(tmp_path, draw_image):
    """Write files by path; an image is drawn for every name without a text."""

    def fill(files: dict[str, str | None]) -> Path:
        root = tmp_path / "data"
        for name, text in files.items():
            path = root / name
            if text is None:
                draw_image(path)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        return root

    return fill


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("s2tld", "voc"),
        ("dawn", "voc"),
        ("dawn_yolo", "yolo"),
        ("idd", "voc"),
        ("udacity_capstone_voc", "voc"),
        ("roboflow_voc", "voc"),
        ("dualcam", "voc"),
        ("kitti", "kitti"),
    ],
)
def test_the_reader_of_each(name, reader):
    assert load_label_map(name).format == reader


# S2TLD


def s2tld(stems: list[str], names=("red",)) -> dict[str, str | None]:
    files: dict[str, str | None] = {}
    for stem in stems:
        files[f"S2TLD（720x1280）/normal_1/JPEGImages/{stem}.jpg"] = None
        boxes = [(name, (1, 2, 9, 48)) for name in names]
        files[f"S2TLD（720x1280）/normal_1/Annotations/{stem}.xml"] = voc(*boxes, filename=f"{stem}.jpg")
    return files


def test_s2tld(make):
    stems = ["2020-04-04 11_10_21.323753353", "2020-04-04 11_10_26.323", "2020-04-04 11_10_31.324753353"]
    catalog, report = index(make(s2tld(stems, ("red", "off", "wait_on"))), "s2tld")
    folder = "S2TLD（720x1280）/normal_1/JPEGImages"
    assert catalog.frames["frame_id"].to_list() == [f"{folder}/{stem}" for stem in stems]
    # 2020-04-04 11:10:21 UTC; the third frame comes 5.001753353 s after the second.
    assert catalog.frames["timestamp_ns"].to_list() == [
        1585998621323753353,
        1585998626323000000,
        1585998631324753353,
    ]
    assert catalog.frames["sequence"].to_list() == [
        f"{folder}@1585998621323753353",
        f"{folder}@1585998621323753353",
        f"{folder}@1585998631324753353",
    ]
    assert catalog.annotations.head(3).select("state", "pictogram", "ignore").rows() == [
        ("red", None, False),
        ("off", None, False),
        ("unknown", "other", True),
    ]
    assert set(catalog.annotations.select("occluded", "truncated").rows()) == {(None, None)}
    # As they stand, although the boxes alone would look 1-based.
    assert catalog.boxes(0).tolist()[0] == [1, 2, 9, 48]
    assert report.counts == {}
    assert catalog.frames["weather"].to_list() == [None] * 3


def test_a_frame_of_s2tld_without_a_time(make, tmp_path):
    source = make(s2tld(["walk"]))
    with pytest.raises(DataError, match=r"walk\.jpg.*no time of capture.*sequence_gap_s: null"):
        index(source, "s2tld")
    own = tmp_path / "own.yaml"
    own.write_text("extends: s2tld\nframes: {sequence_gap_s: null, sequence_block_s: null}\n")
    assert index(source, str(own))[0].frames["sequence"].to_list() == [None]


# DAWN


def test_dawn(make):
    files: dict[str, str | None] = {}
    for place in ("Fog", "Rain", "Snow", "Sand"):
        files[f"{place}/{place.lower()}-001.jpg"] = None
        files[f"{place}/{place}_PASCAL_VOC/{place.lower()}-001.xml"] = voc(
            ("car", (0, 1, 9, 9)), ("person", (2, 3, 4, 5))
        )
        # The YOLO files beside them, whose ids begin at 1.
        files[f"{place}/{place}_YOLO_darknet/{place.lower()}-001.txt"] = "3 0.5 0.5 0.1 0.1\n"
    catalog, report = index(make(files), "dawn")
    assert catalog.frames.select("frame_id", "weather", "condition_source").rows() == [
        ("Fog/fog-001", "foggy", "folder"),
        ("Rain/rain-001", "rainy", "folder"),
        ("Sand/sand-001", "sandstorm", "folder"),
        ("Snow/snow-001", "snowy", "folder"),
    ]
    assert catalog.annotations["category"].to_list() == ["car", "pedestrian"] * 4
    assert report.counts == {(Event.BOX_ORIGIN, "0-based"): 1}
    assert set(catalog.frames["label_status"]) == {LabelStatus.PARTIAL}
    assert "traffic_light" not in catalog.frames["labelled_categories"].explode().to_list()


def test_one_folder_of_dawn_says_the_same(make):
    source = make({"Fog/a.jpg": None, "Fog/Fog_PASCAL_VOC/a.xml": voc(("car", (0, 1, 9, 9)))})
    catalog, _ = index(source / "Fog", "dawn")
    assert catalog.frames.select("frame_id", "weather", "condition_source").rows() == [("a", "foggy", "folder")]


def test_the_yolo_files_of_dawn_are_read_with_a_place_holder(make):
    source = make({"Fog/a.jpg": None, "Fog/Fog_YOLO_darknet/a.txt": "2 0.5 0.5 0.1 0.1\n"})
    options: dict[str, Any] = {"images": "Fog", "labels": "Fog/Fog_YOLO_darknet"}
    catalog, _ = index(source, "dawn_yolo", **options, names="nothing,person,car")
    assert catalog.annotations["category"].to_list() == ["car"]
    assert catalog.frames.select("weather", "condition_source").rows() == [("foggy", "folder")]
    assert "traffic_light" not in catalog.frames["labelled_categories"].to_list()[0]
    assert catalog.frames["label_status"].to_list() == [LabelStatus.PARTIAL]
    with pytest.raises(AnnotationError, match="they seem to count from 1"):
        index(source, "dawn_yolo", **options, names="person,car")


# IDD


def test_idd(make):
    files: dict[str, str | None] = {}
    drive = "BLR-2018-03-22_17-39-26_2"
    far, near = f"frontFar/{drive}_frontFar/000451_r", f"frontNear/{drive}_frontNear/000452_r"
    for name in (far, near, "sideLeft/drive_2/000451_r"):
        files[f"JPEGImages/{name}.jpg"] = None
        files[f"Annotations/{name}.xml"] = voc(
            ("traffic light", (1, 1, 9, 9)),
            ("autorickshaw", (2, 3, 64, 5)),
            ("vehicle fallback", (2, 3, 64, 5)),
            ("animal", (2, 3, 4, 5)),
        )
    files["JPEGImages/highquality/drive_3/1.jpg"] = None
    files["train.txt"] = f"{far}\n{near}\n"
    files["val.txt"] = "sideLeft/drive_2/000451_r\n"
    files["test.txt"] = "highquality/drive_3/1\n"
    catalog, report = index(make(files), "idd")
    assert catalog.frames.select("frame_id", "split", "sequence", "label_status").rows() == [
        (far, "train", drive, LabelStatus.LABELLED),  # the cameras of one drive are one sequence
        (near, "train", drive, LabelStatus.LABELLED),
        ("highquality/drive_3/1", "test", "drive_3", LabelStatus.UNLABELLED),
        ("sideLeft/drive_2/000451_r", "val", "drive_2", LabelStatus.LABELLED),
    ]
    assert catalog.frames["weather"].null_count() == len(catalog)
    assert catalog.annotations["category"].to_list() == ["traffic_light", "other_vehicle", "other_vehicle"] * 3
    assert report.counts == {
        (Event.BOX_ORIGIN, "1-based"): 1,
        (Event.LABEL_DROPPED, "animal"): 3,
        (Event.NO_LABEL_FILE, ""): 1,
    }


# Udacity


def test_off_of_udacity_is_an_empty_view_and_no_dark_lamp(make):
    source = make(
        {
            "a.jpg": None,
            "a.xml": voc(("off", (0, 0, 63, 47))),
            "b.jpg": None,
            "b.xml": voc(("Green", (5, 6, 7, 8))),
        }
    )
    catalog, report = index(source, "udacity_capstone_voc")
    assert catalog.frame(0).annotations == ()
    assert catalog.annotations["state"].to_list() == ["green"]
    assert report.counts[Event.NOTHING_IN_VIEW, "off"] == 1
    assert (
        catalog.frames.select("weather", "time_of_day", "condition_source").rows() == [("clear", "daytime", "text")] * 2
    )
    (source / "b.xml").write_text(voc(("off", (5, 6, 7, 8))))
    with pytest.raises(AnnotationError, match=r"b\.xml: object 1 \(off\): box .*expected the whole image"):
        index(source, "udacity_capstone_voc")
    assert load_label_map("udacity_capstone_voc").label("off") == DROP


def test_the_real_simulator_frames(shared_data):
    catalog, _ = index(shared_data / "udacity_simulator_voc", "udacity_capstone_voc")
    assert (len(catalog), len(catalog.annotations)) == (60, 155)
    assert dict(catalog.annotations["state"].value_counts().iter_rows()) == {"yellow": 57, "red": 52, "green": 46}


def test_the_real_site_frames(shared_data):
    source = shared_data / "udacity_site_voc"
    catalog, report = index(source, "udacity_capstone_voc", images="dataset_jpg", annotations="dataset_xml")
    assert (len(catalog), len(catalog.annotations)) == (6, 6)
    assert dict(catalog.annotations["state"].value_counts().iter_rows()) == {"red": 3, "green": 3}
    heights = catalog.annotations["y2"] - catalog.annotations["y1"]
    assert (heights.min(), heights.max()) == (90, 268)
    options: dict[str, Any] = {"annotations": "dataset_xml_without_image", "missing_images": "keep"}
    catalog, report = index(source, "udacity_capstone_voc", images="dataset_jpg", **options)
    assert report.counts[Event.NOTHING_IN_VIEW, "off"] == 2
    assert catalog.annotations["state"].is_in(["off"]).sum() == 0


# Roboflow


def test_roboflow(make):
    files: dict[str, str | None] = {}
    for stem in ("train/a_jpg.rf.0f1e", "train/a_jpg.rf.77aa", "valid/b_png.rf.1234", "test/c_jpg.rf.9"):
        files[f"{stem}.jpg"] = None
        files[f"{stem}.xml"] = voc(("trafficLight-RedLeft", (1, 2, 9, 9)), filename=f"{stem.rpartition('/')[2]}.jpg")
    files["README.roboflow.txt"] = "exported\n"
    catalog, _ = index(make(files), "roboflow_voc", label_map="udacity")
    assert catalog.frames.select("frame_id", "split", "sequence").rows() == [
        ("test/c_jpg.rf.9", "test", "c_jpg"),
        ("train/a_jpg.rf.0f1e", "train", "a_jpg"),
        ("train/a_jpg.rf.77aa", "train", "a_jpg"),
        ("valid/b_png.rf.1234", "val", "b_png"),
    ]
    assert set(catalog.annotations.select("state", "pictogram").rows()) == {("red", "arrow_left")}
    assert set(catalog.annotations.select("occluded", "truncated").rows()) == {(None, None)}


def test_one_part_of_roboflow_is_that_part(make):
    source = make({"valid/a_jpg.rf.1.jpg": None, "valid/a_jpg.rf.1.xml": voc(("red", (1, 2, 9, 9)))})
    assert index(source / "valid", "roboflow_voc")[0].frames["split"].to_list() == ["val"]


def test_roboflow_with_ordinary_words(make):
    source = make({"train/a.rf.1.jpg": None, "train/a.rf.1.xml": voc(("Red", (1, 2, 9, 9)), ("car", (1, 2, 9, 9)))})
    catalog, _ = index(source, "roboflow_voc")
    assert catalog.annotations.select("category", "state").rows() == [("traffic_light", "red"), ("car", None)]


# DualCam


@pytest.mark.parametrize(
    ("word", "state", "pictogram"),
    [
        ("Green", "green", None),
        ("Green-up", "green", "arrow_straight"),
        ("Green-left", "green", "arrow_left"),
        ("Green-right", "green", "arrow_right"),
        ("Red", "red", None),
        ("Red-yellow", "red_yellow", None),
        ("Yellow", "yellow", None),
        ("Empty", "off", None),
        ("Count-down", "unknown", "other"),
        ("Empty-count-down", "off", "other"),
    ],
)
def test_dualcam(make, word, state, pictogram):
    catalog, _ = index(make({"a.jpg": None, "a.xml": voc((word, (1, 2, 9, 9)))}), "dualcam")
    assert catalog.annotations.select("state", "pictogram", "ignore").rows() == [(state, pictogram, "own" in word)]
