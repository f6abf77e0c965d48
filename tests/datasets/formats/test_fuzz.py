"""Label files damaged at random: the result is frames or an AnnotationError with its path, in one line, soon.

Each format gives a small sound data set (`SOUND`), whose label files are mutated: bytes, spans, lines, numbers and
words.
"""

from __future__ import annotations

import json
import random
import re
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from tl_datasets.errors import AnnotationError, ImageError
from tl_datasets.index import FORMATS
from tl_datasets.read_report import Event, ReadReport

DAMAGES = 2000
LONGEST_S = 5.0
MOST_MEMORY_KB = 500_000
JUNK = (
    b"nan", b"-inf", b"1e999", b"-1", b"0", b"9" * 400, b"1.5", b"true", b"null", b"~", b"off", b'""', b"''", b"[]",
    b"{}", b"../../etc/passwd", b"/etc/passwd", b"a\\b", b"x\x00", b"\xff\xfe", b"\xed\xa0\x80", b"&lol;", b"<a>",
    b"!!python/object:x", b"*a", b"&a", b"\xc3\xa9", b"#", b"A" * 5000, b"[" * 300, b"{\"a\":" * 300, b"- " * 300,
)  # fmt: skip
WHOLE = (
    b"",
    b"\x00" * 100,
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22ea\nsize 12345\n",
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><annotation><filename>&c;</filename></annotation>',
    b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    b"[" * 100_000,
    b"&a [*a, *a]",
    b"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
    b"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
)
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
WORD = re.compile(rb"[A-Za-z_][A-Za-z_./-]+")


class Sound(NamedTuple):
    """A small data set that can be read.

    Attributes:
        source: What the reader is given.
        files: The label files to damage.
        options: Of the reader.
    """

    source: Path
    files: list[Path]
    options: dict[str, Any]


def bdd100k(folder: Path, draw_image) -> Sound:
    draw_image(folder / "images" / "0a0a0b1a-7c39d841.png", 64, 48)
    label = {
        "id": "71849",
        "category": "traffic light",
        "attributes": {"occluded": True, "truncated": False, "trafficLightColor": "G"},
        "box2d": {"x1": 5.647397, "y1": 4.228432, "x2": 14.015906, "y2": 16.474104},
    }
    attributes = {"weather": "clear", "timeofday": "dawn/dusk", "scene": "city street"}
    path = folder / "det_val.json"
    path.write_text(
        json.dumps([{"name": "0a0a0b1a-7c39d841.png", "attributes": attributes, "timestamp": 10000, "labels": [label]}])
    )
    return Sound(path, [path], {})


def coco(folder: Path, draw_image) -> Sound:
    draw_image(folder / "a.png", 64, 48)
    box = {"id": 5, "image_id": 100, "category_id": 10, "bbox": [10.12, 20.77, 3.56, 8.11], "iscrowd": 0, "track_id": 3}
    document = {
        "images": [{"id": 100, "file_name": "a.png", "width": 64, "height": 48, "attributes": {"weather": "clear"}}],
        "annotations": [{**box, "attributes": {"state": "off", "occluded": None}}],
        "categories": [{"id": 10, "name": "traffic light"}],
    }
    path = folder / "labels.json"
    path.write_text(json.dumps(document))
    return Sound(path, [path], {})


def yolo(folder: Path, draw_image) -> Sound:
    draw_image(folder / "images" / "a.png", 64, 48)
    labels = folder / "labels" / "a.txt"
    labels.parent.mkdir()
    labels.write_text("0 0.5 0.5 0.2 0.3\n1 0.1 0.1 0.3 0.1 0.3 0.3 0.1 0.3\n")
    data = folder / "data.yaml"
    data.write_text("path: .\ntrain: images\nval: images\nnames:\n  0: red\n  1: off\n".replace("val: images\n", ""))
    return Sound(data, [labels, data], {})


def lisa(folder: Path, draw_image) -> Sound:
    """The first row of daySequence1."""
    path = folder / "Annotations" / "Annotations" / "daySequence1" / "frameAnnotationsBOX.csv"
    path.parent.mkdir(parents=True)
    video = "dayTest/daySequence1/Day1EveningShutter0.000200-Gain-0.mp4"
    path.write_text(
        "Filename;Annotation tag;Upper left corner X;Upper left corner Y;Lower right corner X;Lower right corner Y;"
        "Origin file;Origin frame number;Origin track;Origin track frame number\r\n"
        f"dayTest/daySequence1--00000.jpg;stop;706;478;718;500;{video};0;{video};0\r\n"
    )
    return Sound(path, [path], {"missing_images": "keep"})


def lara(folder: Path, draw_image) -> Sound:
    """Rows as public readers quote them."""
    path = folder / "Lara_UrbanSeq1_GroundTruth_GT.txt"
    path.write_text(
        "# Timestamp / frameindex x1 y1 x2 y2 id 'type' 'subtype'\n"
        "06:54.6118 / 5221 339 15 355 50 10 'Traffic Light' 'stop'\n"
        "06:54.6118 / 5221 342 131 348 146 35 'Traffic Light' 'ambiguous'\n"
    )
    return Sound(path, [path], {"missing_images": "keep"})


def udacity(folder: Path, draw_image) -> Sound:
    """Rows of the Autti set."""
    path = folder / "labels.csv"
    path.write_text(
        '1478019952686311006.jpg 1748 482 1818 744 1 "pedestrian"\n'
        '1478019968680240537.jpg 888 498 910 532 0 "trafficLight" "Red"\n'
    )
    return Sound(path, [path], {"missing_images": "keep"})


def udacity_capstone(folder: Path, draw_image) -> Sound:
    path = folder / "real_data_annotations.yaml"
    path.write_text(
        "- annotations:\n  - {class: green, x_width: 18.75485956035061, xmin: 647.417752023305,\n"
        "    y_height: 55.514384298637935, ymin: 417.6439297524945}\n  class: image\n  filename: left0000.png\n"
        "- annotations: []\n  class: image\n  filename: left0002.png\n"
    )
    return Sound(path, [path], {"missing_images": "keep"})


def bstld(folder: Path, draw_image) -> Sound:
    """A record as it stands in train.yaml."""
    path = folder / "train.yaml"
    drive = "2017-02-03-11-44-56_los_altos_mountain_view_traffic_lights_bag"
    path.write_text(
        "- boxes:\n  - {label: RedLeft, occluded: true, x_max: 615.5, x_min: 612.0, y_max: 360.375, y_min: 354.75}\n"
        "  - {label: 'off', occluded: false, x_max: 20.5, x_min: 12.0, y_max: 60.375, y_min: 54.75}\n"
        f"  path: ./rgb/train/{drive}/207390.png\n- boxes: []\n  path: ./rgb/train/{drive}/207391.png\n"
    )
    return Sound(path, [path], {"missing_images": "keep"})


def dtld(folder: Path, draw_image) -> Sound:
    """Version 1 and version 2 of one image."""
    image = "Berlin/Berlin1/2015-04-17_10-50-05/DE_BBBR667_2015-04-17_10-50-13-633939_k0.tiff"
    attributes = {
        "direction": "front", "relevance": "relevant", "occlusion": "not_occluded", "orientation": "vertical",
        "aspects": "three_aspects", "state": "red", "pictogram": "circle", "reflection": "not_reflected",
    }  # fmt: skip
    label = {"x": 1030, "y": 402, "w": 11, "h": 29, "unique_id": 4711, "track_id": "B1_17", "attributes": attributes}
    document = {
        "images": [{"image_path": f"/scratch/fs2/DTLD_final/{image}", "time_stamp": 1429260613.63, "labels": [label]}]
    }
    path = folder / "DTLD_train.json"
    path.write_text(json.dumps(document))
    return Sound(path, [path], {"missing_images": "keep"})


def voc(folder: Path, draw_image) -> Sound:
    draw_image(folder / "JPEGImages" / "a.png", 64, 48)
    path = folder / "Annotations" / "a.xml"
    path.parent.mkdir()
    path.write_text(
        "<annotation>\n<filename>a.png</filename>\n<size><width>64</width><height>48</height><depth>3</depth></size>\n"
        "<object><name>red</name><difficult>0</difficult><truncated>1</truncated>\n"
        "<bndbox><xmin>3</xmin><ymin>4.5</ymin><xmax>20</xmax><ymax>30</ymax></bndbox></object>\n</annotation>\n"
    )
    return Sound(folder, [path], {})


def kitti(folder: Path, draw_image) -> Sound:
    """A row of the development kit, and an area that nobody labelled."""
    draw_image(folder / "training" / "image_2" / "000000.png", 64, 48)
    path = folder / "training" / "label_2" / "000000.txt"
    path.parent.mkdir()
    path.write_text(
        "Car 0.00 0 -1.59 6.42 9.76 62.87 26.02 1.36 1.69 3.38 0.28 2.08 17.74 -1.58\n"
        "DontCare -1 -1 -10 3.55 5.60 9.10 19.39 -1 -1 -1 -1000 -1000 -1000 -10\n"
    )
    return Sound(folder, [path], {})


def cvat(folder: Path, draw_image) -> Sound:
    draw_image(folder / "images" / "a.png", 64, 48)
    path = folder / "annotations.xml"
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta><task><labels><label>'
        "<name>traffic_light</name></label></labels></task></meta>\n"
        '<image id="0" name="a.png" width="64" height="48">\n'
        '<tag label="weather"><attribute name="value">rainy</attribute></tag>\n'
        '<box label="traffic_light" occluded="1" xtl="3.5" ytl="4.0" xbr="20.25" ybr="30.0" z_order="0">\n'
        '<attribute name="state">off</attribute><attribute name="truncated">true</attribute></box>\n</image>\n'
        "</annotations>\n"
    )
    return Sound(path, [path], {})


def openlabel(folder: Path, draw_image) -> Sound:
    draw_image(folder / "a.png", 64, 48)
    box = {"name": "shape", "val": [30.0, 20.5, 12, 17], "attributes": {"text": [{"name": "state", "val": "off"}]}}
    document = {
        "openlabel": {
            "metadata": {"schema_version": "1.0.0"},
            "objects": {"1": {"name": "light1", "type": "TrafficLight"}},
            "frames": {
                "0": {
                    "frame_properties": {"streams": {"camera": {"uri": "a.png"}}},
                    "objects": {"1": {"object_data": {"bbox": [box]}}},
                }
            },
        }
    }
    path = folder / "labels.json"
    path.write_text(json.dumps(document))
    return Sound(path, [path], {})


def acdc(folder: Path, draw_image) -> Sound:
    name = "rgb_anon/fog/train/GOPR0475/GOPR0475_frame_000041_rgb_anon.png"
    draw_image(folder / name, 64, 48)
    document = {
        "images": [{"id": 1, "file_name": name.removeprefix("rgb_anon/"), "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 26, "bbox": [3, 4, 20, 10], "iscrowd": 0}],
        "categories": [{"id": 24, "name": "person"}, {"id": 26, "name": "car"}],
    }
    path = folder / "gt_detection" / "fog" / "instancesonly_fog_train_gt_detection.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(document))
    return Sound(path, [path], {})


def cityscapes(folder: Path, draw_image) -> Sound:
    draw_image(folder / "leftImg8bit" / "val" / "ulm" / "ulm_000000_000019_leftImg8bit.png", 64, 48)
    polygon = {"label": "traffic light", "polygon": [[3, 4], [10, 4], [10, 20], [3, 20]]}
    path = folder / "gtFine" / "val" / "ulm" / "ulm_000000_000019_gtFine_polygons.json"
    path.parent.mkdir(parents=True)
    path.write_text(
        json.dumps({"imgHeight": 48, "imgWidth": 64, "objects": [polygon, {**polygon, "label": "cargroup"}]})
    )
    return Sound(folder, [path], {})


SOUND: dict[str, Callable[[Path, Any], Sound]] = {
    "acdc": acdc,
    "bdd100k": bdd100k,
    "bstld": bstld,
    "cityscapes": cityscapes,
    "coco": coco,
    "cvat": cvat,
    "dtld": dtld,
    "kitti": kitti,
    "lara": lara,
    "lisa": lisa,
    "openlabel": openlabel,
    "udacity": udacity,
    "udacity_capstone": udacity_capstone,
    "voc": voc,
    "yolo": yolo,
}


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to three damages."""
    if rng.random() < 0.02:
        return rng.choice(WHOLE)
    for _ in range(rng.choice((1, 1, 2, 3))):
        start, stop = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        stop = min(stop, start + rng.choice((1, 4, 40, 400)))
        kind = rng.randrange(9)
        if kind == 0 and data:
            place = rng.randrange(len(data))
            data = data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :]
        elif kind == 1:
            data = data[:start] + data[stop:]
        elif kind == 2:
            data = data[:stop] + data[start:stop] + data[stop:]
        elif kind == 3:
            data = data[:start]
        elif kind == 4:
            data = data[:start] + rng.choice(JUNK) + data[stop:]
        elif kind == 5:
            lines = data.splitlines(keepends=True)
            rng.shuffle(lines)
            data = b"".join(lines)
        else:
            found = list((NUMBER if kind < 8 else WORD).finditer(data))
            if found:
                one = rng.choice(found)
                data = data[: one.start()] + rng.choice(JUNK) + data[one.end() :]
    return data


@pytest.mark.parametrize("name", SOUND)
def test_damaged_label_files(tmp_path, draw_image, name):
    sound = SOUND[name](tmp_path, draw_image)
    originals = {path: path.read_bytes() for path in sound.files}
    assert _read(name, sound) > 0
    memory_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = 0
    for seed in range(DAMAGES):
        rng = random.Random(seed)
        path = rng.choice(sound.files)
        path.write_bytes(mutated(originals[path], rng))
        start = time.monotonic()
        try:
            _read(name, sound)
        except AnnotationError as error:
            refused += 1
            assert "\n" not in str(error), f"seed {seed}"
            assert str(tmp_path) in str(error), f"seed {seed}: the message does not say where: {error}"
        except Exception as error:
            raise AssertionError(f"seed {seed}: {path.name} {path.read_bytes()[:300]!r}") from error
        assert time.monotonic() - start < LONGEST_S, f"seed {seed}"
        path.write_bytes(originals[path])
    assert refused > DAMAGES * 0.2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_kb < MOST_MEMORY_KB


@pytest.mark.parametrize("name", ["acdc", "bdd100k", "cityscapes", "coco", "cvat", "dtld", "openlabel", "voc"])
def test_a_file_that_is_cut_off_is_never_read_in_part(tmp_path, draw_image, name):
    """JSON and XML say where they end; lines and YAML do not."""
    sound = SOUND[name](tmp_path, draw_image)
    whole = sound.files[0].read_bytes().rstrip()
    for end in range(1, len(whole), 7):
        sound.files[0].write_bytes(whole[:end])
        with pytest.raises(AnnotationError):
            _read(name, sound)


WITH_IMAGES = ("acdc", "bdd100k", "cityscapes", "coco", "cvat", "kitti", "openlabel", "voc", "yolo")


@pytest.mark.parametrize("name", WITH_IMAGES)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "cut off|does not open"),
        (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid x\n"), "Git LFS pointer"),
        (lambda path: Image.new("1", (40_000, 25_000)).save(path), "1000000000 pixels"),
        (lambda path: path.write_bytes(b"<html>"), "does not open as an image"),
    ],
    ids=["cut off", "not fetched", "a billion pixels", "a web page"],
)
def test_hostile_images_are_named(tmp_path, draw_image, name, damage, message):
    sound = SOUND[name](tmp_path, draw_image)
    (image,) = tmp_path.rglob("*.png")
    damage(image)
    with pytest.raises(ImageError, match=message) as caught:
        _read(name, sound)
    assert image.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", WITH_IMAGES)
def test_a_link_to_an_image_outside_is_not_followed(tmp_path, tmp_path_factory, draw_image, name):
    sound = SOUND[name](tmp_path, draw_image)
    (image,) = tmp_path.rglob("*.png")
    outside = tmp_path_factory.mktemp("outside") / image.name
    image.rename(outside)
    image.symlink_to(outside)
    report = ReadReport()
    try:
        frames = list(FORMATS[name](sound.source, report=report, **sound.options))
    except (AnnotationError, ImageError) as error:
        assert re.search("leaves|link", str(error)), error
    else:
        assert not frames
        assert report.count(Event.LINK_LEFT_OUT)


def test_every_reader_is_damaged():
    assert set(SOUND) == set(FORMATS)


def _read(name: str, sound: Sound) -> int:
    return len(list(FORMATS[name](sound.source, report=ReadReport(), **sound.options)))


def test_a_label_file_that_links_outside_is_refused(tmp_path, tmp_path_factory, draw_image):
    sound = SOUND["yolo"](tmp_path, draw_image)
    labels = sound.files[0]
    inside = labels.rename(labels.with_name("kept.rows"))
    labels.symlink_to(inside)
    assert _read("yolo", sound) == 1
    labels.unlink()
    labels.symlink_to(inside.rename(tmp_path_factory.mktemp("outside") / "a.txt"))
    with pytest.raises(AnnotationError, match=r"a\.txt: is a link that leaves the data set"):
        _read("yolo", sound)
