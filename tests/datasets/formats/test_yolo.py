from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tl_datasets.errors import AnnotationError, DataError, ImageError, UsageError
from tl_datasets.formats.yolo import read
from tl_datasets.index import index
from tl_datasets.read_report import Event, ReadReport

WIDTH, HEIGHT = 64, 48
NAMES = ("red", "green", "off")


@pytest.fixture
def make_folders(tmp_path, draw_image):
    """`images/<name>.png` and `labels/<name>.txt`; a text of None leaves the label file out."""

    def make(labels: dict[str, str | None], folder: str = "set", labels_folder: str = "labels") -> Path:
        root = tmp_path / folder
        for name, text in labels.items():
            draw_image(root / "images" / f"{name}.png", WIDTH, HEIGHT)
            (root / labels_folder / name).parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                (root / labels_folder / f"{name}.txt").write_text(text)
        return root

    return make


@pytest.fixture
def make_yaml(tmp_path, draw_image):
    """A data.yaml with images in `train/images` and `valid/images`."""

    def make(text: str) -> Path:
        root = tmp_path / "export"
        for part in ("train", "valid"):
            draw_image(root / part / "images" / f"{part}.png", WIDTH, HEIGHT)
            (root / part / "labels").mkdir(parents=True, exist_ok=True)
            (root / part / "labels" / f"{part}.txt").write_text("0 0.5 0.5 0.25 0.5\n")
        (root / "data.yaml").write_text(text)
        return root

    return make


def read_all(source: Path, **options):
    report = ReadReport()
    return list(read(source, report=report, **{"names": NAMES, **options})), report


def only_boxes(source: Path, **options):
    frames, report = read_all(source, **options)
    assert len(frames) == 1
    return frames[0].annotations, report


# Rows


@pytest.mark.parametrize(
    ("row", "xyxy", "events"),
    [
        ("0 0.5 0.5 0.25 0.5", (24, 12, 40, 36), []),
        ("  0\t0.5 0.5 0.25 0.5  \r", (24, 12, 40, 36), []),
        ("0.0 5e-1 .5 0.25 0.5", (24, 12, 40, 36), []),
        ("0 0.25 0.25 0.75 0.25 0.75 0.5 0.25 0.5", (16, 12, 48, 24), [Event.POLYGON_TO_BOX]),
        ("0 0.25 0.25 0.75 0.5 0.5 0.75", (16, 12, 48, 36), [Event.POLYGON_TO_BOX]),
        ("0 0.0 0.5 0.25 0.5", (0, 12, 8, 36), [Event.BOX_CLIPPED]),
        ("0 0.125 0.5 0.250001 0.5", (0, 12, 16.000032, 36), []),
    ],
    ids=["box", "blanks", "number forms", "polygon", "triangle", "leaves the image", "rounding at the edge"],
)
def test_rows(make_folders, row, xyxy, events):
    annotations, report = only_boxes(make_folders({"a": row + "\n"}))
    assert annotations is not None
    assert annotations[0].xyxy == pytest.approx(xyxy)
    assert (annotations[0].category, annotations[0].state, annotations[0].source_label) == (
        "traffic_light",
        "red",
        "red",
    )
    assert {event for event, _ in report.counts} == set(events)


def test_boxes_and_polygons_may_be_mixed_in_one_file(make_folders):
    text = "0 0.5 0.5 0.25 0.5\n\n1 0.25 0.25 0.75 0.25 0.75 0.5 0.25 0.5\n"
    annotations, report = only_boxes(make_folders({"a": text}))
    assert [annotation.state for annotation in annotations or ()] == ["red", "green"]
    assert report.count(Event.POLYGON_TO_BOX) == 1


def test_truncated_is_set_where_more_than_two_per_cent_is_cut(make_folders):
    annotations, _ = only_boxes(make_folders({"a": "0 0.0 0.5 0.25 0.5\n0 0.5 0.5 0.25 0.5\n"}))
    assert [annotation.truncated for annotation in annotations or ()] == [True, None]


def test_exact_repetitions_are_removed_and_counted(make_folders):
    text = "0 0.5 0.5 0.25 0.5\n0 0.50 0.5 0.25 0.5\n1 0.5 0.5 0.25 0.5\n"
    annotations, report = only_boxes(make_folders({"a": text}))
    assert [annotation.state for annotation in annotations or ()] == ["red", "green"]
    assert report.count(Event.BOX_DUPLICATE) == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0 0.5 0.5 0.25", "4 numbers, expected 5"),
        ("0 0.5 0.5 0.25 0.5 0.9", "6 numbers.*confidence"),
        ("0 0.5 0.5 0.25 0.5 0.9 0.1 0.2", "8 numbers"),
        ("0 0.5 0.5 nan 0.5", "NaN"),
        ("0 0.5 0.5 inf 0.5", "NaN or infinite"),
        ("0 0.5 0.5 0.25 1.02", "coordinate 1.02"),
        ("0 -0.02 0.5 0.25 0.5", "coordinate -0.02"),
        ("0 320 240 16 24", "pixels must be divided"),
        ("red 0.5 0.5 0.25 0.5", "'red'; expected numbers"),
        ("-1 0.5 0.5 0.25 0.5", "class '-1'"),
        ("1.5 0.5 0.5 0.25 0.5", "class '1.5'"),
        (f"{'x' * 5000} 0.5 0.5 0.25 0.5", r"'x{50,80}\.\.\.; expected numbers"),
        ("1" * 300 + " 0.5 0.5 0.25 0.5", "class 1{15,20}[0-9]*, expected 0 to 2"),
        ("3 0.5 0.5 0.25 0.5", r"class 3, expected 0 to 2 \(red, green, off\)"),
        ("0 0.5 0.5 0 0.5", "no area"),
        ("0 0.5 0.5 0.25 -0.005", "no area"),
    ],
)
def test_faulty_rows_name_file_and_line(make_folders, row, message):
    source = make_folders({"a": f"0 0.5 0.5 0.25 0.5\n{row}\n"})
    with pytest.raises(DataError, match=rf"a\.txt line 2: .*{message}") as caught:
        read_all(source)
    assert "\n" not in str(caught.value)


def test_boxes_without_area_may_be_dropped_and_are_counted(make_folders):
    annotations, report = only_boxes(make_folders({"a": "0 0.5 0.5 0 0.5\n0 1.005 0.5 0.001 0.1\n"}), on_bad_box="drop")
    assert annotations == ()
    assert (report.count(Event.BOX_NO_AREA), report.count(Event.BOX_OUTSIDE)) == (1, 1)


def test_classes_that_count_from_one_are_recognised(make_folders):
    source = make_folders({"a": "1 0.5 0.5 0.25 0.5\n", "b": "2 0.5 0.5 0.1 0.1\n3 0.2 0.5 0.1 0.1\n"})
    with pytest.raises(AnnotationError, match=r"b\.txt line 2: class 3.*count from 1, subtract 1"):
        read_all(source)
    source = make_folders({"a": "0 0.5 0.5 0.25 0.5\n", "b": "3 0.2 0.5 0.1 0.1\n"}, folder="other")
    with pytest.raises(AnnotationError, match="correct the row or the names"):
        read_all(source)


def test_a_file_that_is_no_text_is_named(make_folders):
    source = make_folders({"a": ""})
    (source / "labels" / "a.txt").write_bytes(b"\xff\xfe0")
    with pytest.raises(AnnotationError, match=r"a\.txt: byte 0 is not UTF-8"):
        read_all(source)


# Empty, missing, and files that belong to nothing


@pytest.mark.parametrize(
    ("missing", "status"), [(None, "unlabelled"), ("unlabelled", "unlabelled"), ("negative", "labelled")]
)
def test_an_empty_file_is_a_negative_and_a_missing_one_is_not(make_folders, missing, status):
    frames, report = read_all(make_folders({"empty": "", "missing": None}), missing=missing)
    assert [frame.label_status for frame in frames] == ["labelled", status]
    assert frames[0].annotations == ()
    assert report.count(Event.NO_LABEL_FILE) == 1


def test_no_label_file_at_all_is_a_wrong_folder_unless_said_otherwise(make_folders):
    source = make_folders({"a": None, "b": None})
    with pytest.raises(AnnotationError, match=r"none of 2 images has a label file.*labels/a\.txt.*missing=unlabelled"):
        read_all(source)
    frames, _ = read_all(source, missing="unlabelled")
    assert [frame.annotations for frame in frames] == [None, None]


def test_label_files_without_an_image_are_counted(make_folders):
    source = make_folders({"a": ""})
    (source / "labels" / "b.txt").write_text("")
    (source / "labels" / "classes.txt").write_text("red")
    _, report = read_all(source)
    assert report.count(Event.LABEL_FILE_WITHOUT_IMAGE) == 1
    assert "b.txt" in report.lines()[0]
    (source / "labels" / "deep" / "er").mkdir(parents=True)
    (source / "labels" / "deep" / "er" / "c.txt").write_text("")
    assert read_all(source)[1].count(Event.LABEL_FILE_WITHOUT_IMAGE) == 2


def test_label_files_without_an_image_in_the_parts_of_a_data_yaml(make_yaml):
    root = make_yaml("train: train/images\nval: valid\nnames: [red]")
    for part in ("train", "valid"):
        (root / part / "labels" / "deep").mkdir()
        (root / part / "labels" / "deep" / "c.txt").write_text("")
    assert read_all(root, names=None)[1].count(Event.LABEL_FILE_WITHOUT_IMAGE) == 2


def test_label_files_of_a_part_that_is_not_read_are_no_orphans(make_folders):
    """The folders of COCO in YOLO form: images/train and images/val beside labels/train and labels/val."""
    source = make_folders({"train/a": "", "val/b": ""})
    (source / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [red]")
    (source / "labels" / "val" / "c.txt").write_text("")
    for options in ({"parts": "val"}, {"parts": "train,val"}):
        _, report = read_all(source, names=None, **options)
        assert report.count(Event.LABEL_FILE_WITHOUT_IMAGE) == 1
    assert read_all(source, names=None, parts="train")[1].lines() == []
    assert read_all(source / "images" / "train")[1].lines() == []


# Links


def test_links_that_are_not_followed_are_counted(make_folders, tmp_path, draw_image):
    source = make_folders({"a": ""})
    draw_image(tmp_path / "store" / "b.png")
    (source / "images" / "b.png").symlink_to(tmp_path / "store" / "b.png")
    (source / "images" / "folder").symlink_to(tmp_path / "store")
    (source / "images" / "gone.png").symlink_to("nowhere")
    (source / "images" / "inside.png").symlink_to("a.png")
    (source / "labels" / "inside.txt").write_text("")
    frames, report = read_all(source)
    assert [frame.path for frame in frames] == ["a.png", "inside.png"]
    assert report.count(Event.LINK_LEFT_OUT) == 3
    for name in ("a.png", "inside.png"):
        (source / "images" / name).unlink()
    with pytest.raises(
        ImageError, match=r"no image in it.*3 links that leave the folder were left out, such as .*b\.png"
    ):
        read_all(source)
    (source / "data.yaml").write_text("train: images\nnames: [red]")
    with pytest.raises(AnnotationError, match=r"train: no image in 'images'.*3 links"):
        read_all(source, names=None)


def test_a_file_name_that_is_no_text(make_folders):
    source = make_folders({"a": ""})
    (source / "images" / "a.png").rename(source / "images" / os.fsdecode(b"\xff.png"))
    with pytest.raises(ImageError, match=r"udcff\.png: the file name is not UTF-8; rename the file") as caught:
        read_all(source)
    str(caught.value).encode()


# Folders


def test_label_folder_by_name_or_path(make_folders, tmp_path):
    source = make_folders({"a": "0 0.5 0.5 0.25 0.5\n"}, labels_folder="annotations")
    for labels in ("annotations", tmp_path / "set" / "annotations"):
        frames, report = read_all(source, labels=labels)
        assert len(frames[0].annotations or ()) == 1
        assert (frames[0].frame_id, frames[0].path) == ("a", "a.png")
        assert report.root == source / "images"
    with pytest.raises(UsageError, match="labels: no folder 'labls'"):
        read_all(source, labels="labls")


def test_the_last_folder_named_images_has_the_label_folder_beside_it(make_folders, draw_image):
    source = make_folders({"set/images/a": ""}, labels_folder="wrong")
    (source / "images/set/labels").mkdir()
    (source / "images/set/labels/a.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    (source / "data.yaml").write_text("train: images/set/images\nnames: [red, green]")
    for place in (source, source / "images"):
        annotations, report = only_boxes(place, names="red,green")
        assert [annotation.state for annotation in annotations or ()] == ["green"]
        assert report.lines() == []


def test_boxes_are_of_the_image_as_it_is_turned(make_folders):
    """Trainers and viewers apply the orientation; a camera that was held upright writes it."""
    source = make_folders({"a": "0 0.5 0.5 0.25 0.5\n"})
    (source / "images" / "a.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(source / "images" / "a.jpg", exif=exif)
    frames, _ = read_all(source)
    assert (frames[0].width_px, frames[0].height_px) == (HEIGHT, WIDTH)
    assert frames[0].annotations is not None
    assert frames[0].annotations[0].xyxy == (18, 16, 30, 48)


def test_label_files_beside_the_images(tmp_path, draw_image):
    draw_image(tmp_path / "x" / "deep" / "a.png", WIDTH, HEIGHT)
    (tmp_path / "x" / "deep" / "a.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    frames, _ = read_all(tmp_path / "x")
    assert (frames[0].frame_id, len(frames[0].annotations or ())) == ("deep/a", 1)


def test_two_images_that_share_a_label_file(make_folders, draw_image):
    source = make_folders({"a": ""})
    draw_image(source / "images" / "a.jpg")
    with pytest.raises(AnnotationError, match="two images named 'a'"):
        read_all(source)


@pytest.mark.parametrize(
    "names", ["red,green", "red, green", ["red", "green"], ("red", "green"), "c.txt", "c.yaml", "d.yml"]
)
def test_ways_to_give_names(make_folders, tmp_path, monkeypatch, names):
    monkeypatch.chdir(tmp_path)
    Path("c.txt").write_text("red\ngreen\n")
    Path("c.yaml").write_text("names: {0: red, 1: green, 2: off}\n")
    Path("d.yml").write_text("[red, green, off]\n")
    annotations, _ = only_boxes(make_folders({"a": "1 0.5 0.5 0.25 0.5\n"}), names=names)
    assert [annotation.state for annotation in annotations or ()] == ["green"]


@pytest.mark.parametrize("place", ["labels/classes.txt", "classes.txt", "obj.names"])
def test_names_from_the_file_of_a_labelling_tool(make_folders, place):
    source = make_folders({"a": "1 0.5 0.5 0.25 0.5\n"})
    (source / place).write_text("red\ngreen\n\n")
    annotations, report = only_boxes(source, names=None)
    assert [annotation.state for annotation in annotations or ()] == ["green"]
    assert report.lines() == []
    (source / place).write_text("red\nleft\n")
    with pytest.raises(AnnotationError, match=rf"{place}: words .*label 'left' \(1\)"):
        read_all(source, names=None)
    (source / place).write_text("red\nred\n")
    with pytest.raises(AnnotationError, match=rf"{place}: names: .*none twice"):
        read_all(source, names=None)


def test_many_names_are_no_file_name(make_folders):
    names = ",".join(["red", *(f"class{number}" for number in range(100))])
    assert only_boxes(make_folders({"a": "0 0.5 0.5 0.25 0.5\n"}), names=names)[0] is not None
    with pytest.raises(AnnotationError, match=r"label 'a.x00b'"):
        read_all(make_folders({"a": "0 0.5 0.5 0.25 0.5\n"}), names="a\0b")


def test_names_are_needed(make_folders):
    with pytest.raises(UsageError, match="names=red,green,yellow"):
        read_all(make_folders({"a": ""}), names=None)
    with pytest.raises(UsageError, match="none twice"):
        read_all(make_folders({"a": ""}), names="red,red")


def test_names_may_come_from_the_label_map(make_folders):
    source = make_folders({"a": "9 0.5 0.5 0.25 0.5\n11 0.5 0.5 0.1 0.1\n"})
    annotations, report = only_boxes(source, names=None, label_map="coco80")
    assert [annotation.category for annotation in annotations or ()] == ["traffic_light"]
    assert report.counts[Event.LABEL_DROPPED, "stop sign"] == 1


def test_an_unknown_name_matters_only_where_it_is_used(make_folders):
    source = make_folders({"a": "1 0.5 0.5 0.25 0.5\n1 0.5 0.5 0.1 0.1\n", "b": "1 0.5 0.5 0.2 0.1"})
    with pytest.raises(AnnotationError, match=r"label 'left' \(3\)"):
        read_all(source, names="red,left")
    assert len(read_all(source, names="left,red")[0]) == 2


def test_missing_and_broken_images(make_folders):
    source = make_folders({"a": ""})
    (source / "images" / "a.png").unlink()
    with pytest.raises(ImageError, match="no image in it"):
        read_all(source)
    source = make_folders({"b": ""}, folder="broken")
    (source / "images" / "b.png").write_bytes(b"PNG?")
    with pytest.raises(ImageError, match=r"b\.png: does not open"):
        read_all(source)


# data.yaml


@pytest.mark.parametrize(
    "text",
    [
        "train: train/images\nval: valid/images\nnames: [red, green, off]\nnc: 3",
        "train: ../train/images\nval: ../valid/images\nnames: {0: red, 1: green, 2: off}",
        "path: .\ntrain: [train/images]\nvalidation: valid/images\nnames: {'0': red, '1': green, '2': off}",
        "train: train.txt\nval: valid.txt\nnames: [red, green, off]\ndownload: |\n  raise SystemExit(3)",
        "train: train\nvalid: valid\nnames:\n- red\n- green\n- off\n",
        "train: train/images\nval: valid/images\nnames: [red, green, off]\nnc: '3'",
    ],
    ids=["list", "Roboflow's ../", "mapping with text keys", "list files", "folders above images", "count as text"],
)
def test_forms_of_data_yaml(make_yaml, text):
    root = make_yaml(text)
    (root / "train.txt").write_text("./train/images/train.png\n\n")
    (root / "valid.txt").write_text("valid/images/valid.png\n")
    for source in (root, root / "data.yaml"):
        frames, report = read_all(source, names=None)
        assert [(frame.frame_id, frame.split) for frame in frames] == [
            ("train/images/train", "train"),
            ("valid/images/valid", "val"),
        ]
        assert [frame.annotations[0].state for frame in frames if frame.annotations] == ["red", "red"]
        assert report.root == root


def test_off_is_a_name(make_yaml):
    for names in ("[off, no]", "{0: off, 1: on}", "{'0': Off, '1': yes}"):
        frames, _ = read_all(make_yaml(f"train: train/images\nnames: {names}"), names=None)
        assert frames[0].annotations is not None
        assert frames[0].annotations[0].state == "off"
    # A name that looks like a number is a word too.
    with pytest.raises(AnnotationError, match=r"label '7' \(1\)"):
        read_all(make_yaml("train: train/images\nnames: [7, 8]"), names=None)


def test_only_some_parts(make_yaml):
    root = make_yaml("train: gone/images\nval: valid/images\nnames: [red]")
    with pytest.raises(AnnotationError, match=r"train: no 'gone/images'.*parts="):
        read_all(root, names=None)
    frames, _ = read_all(root, names=None, parts="val")
    assert [frame.split for frame in frames] == ["val"]
    with pytest.raises(UsageError, match="no 'test'; it has train, val"):
        read_all(root, names=None, parts="test")
    root = make_yaml("train: train/images\nval: valid/images\nnames: [red]")
    for parts in (" train, val ", "val,train", ["val", "train"]):
        assert [frame.split for frame in read_all(root, names=None, parts=parts)[0]] == ["train", "val"]


def test_images_that_a_list_names_and_that_are_missing_or_broken(make_yaml):
    root = make_yaml("train: train.txt\nnames: [red]")
    (root / "train.txt").write_text("train/images/gone.png\n./train/images/train.png\nvalid/images/valid.png\n")
    (root / "valid" / "images" / "valid.png").write_bytes(b"PNG?")
    with pytest.raises(
        AnnotationError, match=r"train\.txt line 1: no image 'train/images/gone\.png'.*missing_images=drop"
    ):
        read_all(root, names=None)
    frames, report = read_all(root, names=None, missing_images="drop")
    assert [frame.path for frame in frames] == ["train/images/train.png"]
    assert (report.count(Event.IMAGE_MISSING), report.count(Event.IMAGE_BROKEN)) == (1, 1)
    assert report.examples[Event.IMAGE_MISSING] == [f"{root / 'train.txt'} line 1"]
    assert report.count(Event.NO_LABEL_FILE) == 0
    (root / "train.txt").write_text("train/images/gone.png\n")
    assert read_all(root, names=None, missing_images="drop")[0] == []


def test_a_line_with_a_leading_dot_is_relative_to_its_list(make_yaml):
    """Only such lines are; all others begin at the root."""
    root = make_yaml("train: lists/train.txt\nval: lists/val.txt\nnames: [red]")
    (root / "lists").mkdir()
    (root / "train").rename(root / "lists" / "train")
    (root / "lists" / "train.txt").write_text("./train/images/train.png\n")
    (root / "lists" / "val.txt").write_text("valid/images/valid.png\n")
    frames, _ = read_all(root, names=None)
    assert [frame.path for frame in frames] == ["lists/train/images/train.png", "valid/images/valid.png"]
    assert [len(frame.annotations or ()) for frame in frames] == [1, 1]


def test_names_of_a_data_yaml_are_no_file(make_yaml):
    """A foreign file must not make us read another one and show its lines."""
    root = make_yaml("train: train/images\nnames: /etc/hostname")
    with pytest.raises(AnnotationError, match="names: '/etc/hostname', expected a list of class names or a mapping"):
        read_all(root, names=None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: [", "not YAML"),
        ("- train", "expected a mapping"),
        ("names: [red]", "names no images"),
        ("train: train/images\nnames: [red, green]\nnc: 3", "nc is 3 but names has 2"),
        ("train: train/images\nnames: {0: red, 2: green}", r"ids \[0, 2\], expected 0 to 1"),
        ("train: train/images\nnames: {a: red}", "expected ids 0, 1, 2"),
        ("train: 3\nnames: [red]", "train: 3, expected a folder"),
        ("train: data.yaml\nnames: [red]", "neither a folder nor"),
        ("path: ..\ntrain: export/train/images\nnames: [red]", r"path '\.\.' leaves .*images=DIR"),
        ("path: /\ntrain: tmp\nnames: [red]", "leaves"),
        ("train: ../../elsewhere\nnames: [red]", "leaves|no '"),
        ("train: outside.txt\nnames: [red]", r"outside\.txt line 2: '\.\./secret\.png' leaves"),
        ("train: absent.txt\nnames: [red]", "no 'absent.txt'"),
        ("train: gone.txt\nnames: [red]", r"gone\.txt line 1: no image 'train/images/gone\.png'"),
        ("train: train/images\nval: train/images\nnames: [red]", "is in train and in val; .*parts="),
        ("train: train/images\nnc: 2", r"data\.yaml: has no class names; add names"),
        ("train: train/images\nnames: [red, null]", "names: name None, expected a text"),
        ("train: train/images\nnames: [red]\nkpt_shape: [4, 2]", "key points"),
        ("train: train/images\nval: empty\nnames: [red]", r"data\.yaml: val: no image in 'empty'.*parts="),
        ("train: [train/images, empty]\nnames: [red]", "train: no image in 'empty'"),
        ("train: empty.txt\nnames: [red]", r"train: no image in 'empty\.txt'"),
        ("train: train/images\nnames: {0: red, 0x0: green}", "occurs twice"),
        ("train: train/images\nnames: {0: red, 00: green}", r"ids \[0\], expected 0 to 1"),
        ("train: train/images\nnames: {0.5: red}", r"id 0\.5; expected ids 0, 1, 2"),
        ("train: train/images\nnames: {true: red}", "id True; expected ids 0, 1, 2"),
        ("train: train/images\nnames: [red, green]\nnc: '3'", "nc is '3' but names has 2"),
        (f"train: {'a' * 300}\nnames: [red]", "train: no 'aaa"),
        ('train: "a\\0b"\nnames: [red]', "train: no "),
        (f"path: {'a' * 300}\ntrain: train/images\nnames: [red]", "path 'aaa"),
        ('path: "a\\0b"\ntrain: train/images\nnames: [red]', "path .*no such folder"),
        ("train: train/images\nnames: !!bool maybe", "not YAML: a value does not fit its tag"),
    ],
)
def test_faults_of_data_yaml(make_yaml, draw_image, tmp_path, text, message):
    root = make_yaml(text)
    draw_image(tmp_path / "secret.png")
    draw_image(tmp_path.parent / "elsewhere" / "x.png")
    (root / "empty").mkdir()
    (root / "empty.txt").write_text("\n")
    (root / "outside.txt").write_text("train/images/train.png\n../secret.png\n")
    (root / "gone.txt").write_text("train/images/gone.png\n")
    with pytest.raises(DataError, match=message) as caught:
        read_all(root, names=None)
    assert "\n" not in str(caught.value)


# Ten levels of nine: three thousand million words, once somebody writes them out.
YAML_BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 11))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: images\nnames: [red, *a10]", r"names: name \[\[.*expected a text"),
        ("train: images\nnames: {0: *a10}", r"names: name \[\[.*expected a text"),
        ("train: images\nnames: *a10\nnc: 1", r"names: name \[\[.*expected a text"),
        ("train: images\nnames: [red]\nnc: *a10", r"nc is \[\[.*but names has 1"),
        ("train: images\nnames: [red]\npath: *a10", r"path \[\[.*expected a folder"),
        ("train: *a10\nnames: [red]", r"train: \[\[.*expected a folder"),
        ("partial: [{images: *a10, labelled_categories: [car]}]\nnames: [red]", r"partial: \[\[.*expected a folder"),
    ],
)
def test_yaml_that_grows_when_it_is_written_out(make_folders, text, message):
    source = make_folders({"a": "0 0.5 0.5 0.25 0.5\n"})
    (source / "data.yaml").write_text(YAML_BOMB + text)
    with pytest.raises(AnnotationError, match=message) as caught:
        read_all(source, names=None)
    assert len(str(caught.value)) < 500


def test_images_allows_a_root_above(make_yaml, tmp_path):
    root = make_yaml("path: ..\ntrain: export/train/images\nnames: [red]")
    frames, report = read_all(root, names=None, images=tmp_path)
    assert frames[0].path == "export/train/images/train.png"
    assert report.root == tmp_path


# obj.data of Darknet

# As CVAT 2 exports "YOLO 1.1".
OBJ_DATA = """\
classes = 2
train = data/train.txt
valid = data/valid.txt
names = data/obj.names
backup = backup/
"""


@pytest.fixture
def make_darknet(tmp_path, draw_image):
    def make(text: str = OBJ_DATA, listed: str = "data/obj_train_data/a.png\n") -> Path:
        root = tmp_path / "export"
        for place, row in (("obj_train_data/a", "1 0.5 0.5 0.25 0.5\n"), ("obj_valid_data/b", "")):
            draw_image(root / f"{place}.png", WIDTH, HEIGHT)
            (root / f"{place}.txt").write_text(row)
        (root / "obj.data").write_text(text)
        (root / "obj.names").write_text("red\noff\n")
        (root / "train.txt").write_text(listed)
        (root / "valid.txt").write_text("obj_valid_data/b.png\n")
        return root

    return make


def test_darknet_lists_say_the_part(make_darknet):
    """Its paths begin with the folder `data`, which only the working directory of Darknet has."""
    root = make_darknet()
    for source in (root, root / "obj.data"):
        catalog, report = index(source, "yolo")
        assert catalog.frames.select("frame_id", "split", "label_status").rows() == [
            ("obj_train_data/a", "train", "labelled"),
            ("obj_valid_data/b", "val", "labelled"),
        ]
        assert catalog.annotations["state"].to_list() == ["off"]
        assert (report.lines(), list(catalog.roots)) == ([], ["export"])
    assert [frame.split for frame in read_all(root, names=None, parts="valid")[0]] == ["val"]
    (root / "obj.names").unlink()
    assert len(read_all(root, names="red,off")[0]) == 2


def test_darknet_in_its_own_place(make_darknet):
    data = make_darknet()
    data.rename(data.with_name("data"))
    source = data.with_name("obj.data")
    source.write_text("train = data/train.txt\nnames = data/obj.names\n")
    frames, _ = read_all(source, names=None)
    assert [frame.path for frame in frames] == ["data/obj_train_data/a.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train data/train.txt", r"obj\.data line 1: 'train data/train\.txt', expected key = value"),
        ("train = train.txt\ntrain = valid.txt", "line 2: key 'train' occurs twice"),
        ("names = obj.names", "names no images"),
        ("train = gone.txt\nnames = obj.names", r"train: no 'gone\.txt' in"),
        ("train = train.txt\nnames = gone.names", r"names: no file 'gone\.names' in .*names=red,green"),
        ("train = train.txt\nnames = /etc/hostname", "names: path '/etc/hostname' leaves"),
        ("train = train.txt\nnames = ../secret", r"names: path '\.\./secret' leaves"),
        ("classes = 3\ntrain = train.txt\nnames = obj.names", r"classes is '3' but obj\.names has 2 names"),
        ("train = train.txt", "has no class names"),
        ("version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    ],
)
def test_faults_of_darknet_files(make_darknet, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read_all(make_darknet(text), names=None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["/etc/passwd.png", "../secret.png", "data/../../secret.png"])
def test_darknet_lists_stay_inside(make_darknet, line):
    with pytest.raises(AnnotationError, match=r"train\.txt line 1: .* leaves"):
        read_all(make_darknet(listed=f"{line}\n"), names=None)


# States in side files


@pytest.fixture
def with_states(make_folders):
    source = make_folders({"a_1": "0 0.5 0.5 0.25 0.5\n0 0.2 0.5 0.1 0.1\n", "b": ""})
    (source / "states").mkdir()
    for position, state in enumerate((4, 2)):
        (source / "states" / f"a_1_{position}.json").write_text(json.dumps({"state": state}))
    return source


def test_states_from_side_files(with_states):
    frames, _ = read_all(with_states, names="traffic_light", states="states")
    assert [annotation.state for annotation in frames[0].annotations or ()] == ["green", "red_yellow"]


def test_a_repeated_row_does_not_shift_the_states(with_states):
    row = "0 0.5 0.5 0.25 0.5\n"
    (with_states / "labels" / "a_1.txt").write_text(row + row + "0 0.2 0.5 0.1 0.1\n")
    (with_states / "states" / "a_1_2.json").write_text('{"state": 0}')
    frames, _ = read_all(with_states, names="traffic_light", states="states")
    assert [annotation.state for annotation in frames[0].annotations or ()] == ["green", "off"]


def test_faults_of_side_files(with_states):
    options = {"names": "traffic_light", "states": "states"}
    second = with_states / "states" / "a_1_1.json"
    (with_states / "states" / "a_1_2.json").write_text('{"state": 0}')
    with pytest.raises(AnnotationError, match=r"2 rows, but there is a state for one more"):
        read_all(with_states, **options)
    (with_states / "states" / "a_1_2.json").unlink()
    second.write_text('{"state": 9}')
    with pytest.raises(AnnotationError, match=r"state '9' \(1\)"):
        read_all(with_states, **options)
    second.write_text("{")
    with pytest.raises(AnnotationError, match=r"a_1_1\.json line 1: not JSON"):
        read_all(with_states, **options)
    second.write_text("[]")
    with pytest.raises(AnnotationError, match=r"a_1_1\.json: expected"):
        read_all(with_states, **options)
    second.unlink()
    with pytest.raises(AnnotationError, match=r"a_1\.txt line 2: no state file .*a_1_1\.json.*missing_state=unknown"):
        read_all(with_states, **options)
    frames, report = read_all(with_states, **options, missing_state="unknown")
    assert [annotation.state for annotation in frames[0].annotations or ()] == ["green", "unknown"]
    assert report.count(Event.STATE_MISSING) == 1
    with pytest.raises(UsageError, match="states: no folder 'stats'"):
        read_all(with_states, names="traffic_light", states="stats")


def test_states_of_images_with_one_name_lie_in_their_folders(make_folders):
    row = "0 0.5 0.5 0.25 0.5\n"
    source = make_folders({"x/a": row, "y/a": row, "b": row})
    options = {"names": "traffic_light", "states": "states"}
    for place, state in (("x/a_0", 1), ("y/a_0", 4), ("b_0", 0)):
        path = source / "states" / f"{place}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"state": state}))
    frames, _ = read_all(source, **options)
    states = {frame.frame_id: frame.annotations[0].state for frame in frames if frame.annotations}
    assert states == {"x/a": "red", "y/a": "green", "b": "off"}
    (source / "states" / "y" / "a_0.json").rename(source / "states" / "a_0.json")
    for missing_state in ("error", "unknown"):
        with pytest.raises(AnnotationError, match=r"a_0\.json: two images are named 'a'.*y/a_0\.json"):
            read_all(source, **options, missing_state=missing_state)


# Real frames


def test_dtld_sample_has_the_counts_of_its_description(shared_data):
    root = shared_data / "dtld_fridtjofs"
    catalog, report = index(
        root / "raw_dataset",
        "yolo",
        labels="annotations",
        names="traffic_light",
        states=root / "sd_train_data",
        sequence_regex=r"^([A-Za-z]+)_",
    )
    assert report.lines() == []
    assert Counter(catalog.frames["sequence"]) == {
        "Berlin": 130,
        "Bochum": 62,
        "Bremen": 56,
        "Dortmund": 132,
        "Duesseldorf": 16,
    }
    assert (np.diff(catalog.offsets) == 0).sum() == 45
    states = {"off": 5, "red": 142, "red_yellow": 125, "yellow": 158, "green": 332}
    assert Counter(catalog.annotations["state"]) == states
    heights = catalog.xyxy[:, 3] - catalog.xyxy[:, 1]
    assert np.median(heights) == pytest.approx(26, abs=0.5)


def test_dtld_boxes_and_states_equal_a_plain_reading(shared_data):
    root = shared_data / "dtld_fridtjofs"
    catalog, _ = index(
        root / "raw_dataset", "yolo", labels="annotations", names="traffic_light", states="../sd_train_data"
    )
    for row in range(0, len(catalog), 7):
        frame = catalog.frame(row)
        text = (root / "raw_dataset/annotations" / f"{frame.frame_id}.txt").read_text()
        table = np.array(text.split(), dtype=float).reshape(-1, 5)
        with Image.open(catalog.image_path(row)) as image:
            width, height = image.size
        centre, size = table[:, 1:3] * (width, height), table[:, 3:5] * (width, height)
        expected = np.hstack([centre - size / 2, centre + size / 2])
        np.testing.assert_allclose(catalog.boxes(row), expected, atol=1e-6)
        for position, annotation in enumerate(frame.annotations or ()):
            stored = json.loads((root / "sd_train_data" / f"{frame.frame_id}_{position}.json").read_text())["state"]
            assert annotation.state == ["off", "red", "red_yellow", "yellow", "green"][stored]


def test_roboflow_sample_mixes_polygons_and_boxes(shared_data, tmp_path):
    source = shared_data / "roboflow_traffic_light_kr"
    with pytest.raises(AnnotationError, match=r"label 'left' \(27\)"):
        index(source, "yolo")
    mine = tmp_path / "kr.yaml"
    mine.write_text("extends: traffic_light_names\nlabels: {left: {state: green, pictogram: arrow_left}}\n")
    catalog, report = index(source, "yolo", label_map=mine)
    assert Counter(catalog.frames["split"]) == {"train": 54, "val": 23, "test": 9}
    assert report.count(Event.POLYGON_TO_BOX) == 118
    assert Counter(catalog.annotations["source_label"]) == {"green": 81, "red": 43, "left": 27, "yellow": 8}
    heights = catalog.xyxy[:, 3] - catalog.xyxy[:, 1]
    assert np.round(np.quantile(heights, [0.05, 0.95])).tolist() == [5, 22]
    assert np.median(heights) == pytest.approx(12, abs=1)


def test_roboflow_sample_with_a_missing_part(shared_data):
    catalog, _ = index(shared_data / "roboflow_cinta_v2", "yolo", parts="val,test")
    assert Counter(catalog.annotations["state"]) == {"red": 47, "green": 27, "yellow": 12}
    assert Counter(catalog.frames["split"]) == {"val": 40, "test": 20}


def test_tuebingen_sample(shared_data):
    root = shared_data / "tuebingen_sequence"
    catalog, _ = index(
        root / "od_playground", "yolo", labels="annotations", names="traffic_light", states=root / "sd_playground"
    )
    assert (len(catalog), len(catalog.annotations)) == (20, 40)
    assert set(catalog.annotations["state"]) == {"red"}
    later, report = index(root / "input_playground", "yolo", names="traffic_light", missing="unlabelled")
    assert set(later.frames["label_status"]) == {"unlabelled"}
    assert report.count(Event.NO_LABEL_FILE) == 10


def test_coco_indices_of_a_foreign_conversion(shared_data, tmp_path):
    source = shared_data / "bdd100k" / "yolo_coco_index"
    labels = sorted(source.rglob("*.txt"))
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for path in labels:
        image = shared_data / "bdd100k" / "images" / "100k" / path.parent.name / f"{path.stem}.jpg"
        (tmp_path / "images" / image.name).write_bytes(image.read_bytes())
        (tmp_path / "labels" / path.name).write_text(path.read_text())
    catalog, _ = index(tmp_path, "yolo", label_map="coco80")
    assert len(catalog) == 102
    assert set(catalog.annotations["category"]) == {"pedestrian", "car", "bus", "truck", "traffic_light"}
