from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tl_datasets.errors import AnnotationError, DataError, ImageError
from tl_datasets.formats.udacity_yaml import read
from tl_datasets.index import index
from tl_datasets.read_report import Event, ReadReport

# The first records of the list for the test site.
SNIPPET = """\
- annotations:
  - {class: green, x_width: 18.75485956035061, xmin: 647.417752023305, y_height: 55.514384298637935,
    ymin: 417.6439297524945}
  class: image
  filename: left0000.png
- annotations:
  - {class: green, x_width: 19.933736447001365, xmin: 646.5603870148317, y_height: 55.83589617681537,
    ymin: 417.32241787431707}
  class: image
  filename: left0002.png
"""


def record(name: str = "left0000.png", *boxes: str) -> str:
    listed = "".join(f"\n  - {box}" for box in boxes) or " []"
    return f"- class: image\n  filename: {name}\n  annotations:{listed}\n"


def box(word: str = "Red", x: float = 10, y: float = 20, width: float = 5, height: float = 12) -> str:
    return f"{{class: {word}, xmin: {x}, ymin: {y}, x_width: {width}, y_height: {height}}}"


@pytest.fixture
def make_source(tmp_path, draw_image):
    def make(text: str, images=("left0000.jpg",), size=(100, 80)) -> Path:
        path = tmp_path / "site" / "real_data_annotations.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        for name in images:
            draw_image(path.parent / name, *size)
        return path

    return make


def frames_of(source: Path, **options):
    report = ReadReport()
    return list(read(source, report=report, **options)), report


def test_records_of_the_list(make_source):
    source = make_source(SNIPPET, ["left0000.jpg", "left0002.jpg"], (1368, 1096))
    (first, second), report = frames_of(source)
    assert (first.frame_id, first.path, second.frame_id) == ("left0000", "left0000.jpg", "left0002")
    assert (first.width_px, first.height_px) == (1368, 1096)
    assert (first.sequence, first.split, first.label_status) == ("real_data_annotations", None, "labelled")
    (lamp,) = first.annotations
    assert lamp.xyxy == pytest.approx((647.417752023305, 417.6439297524945, 666.1726115836556, 473.15831405113244))
    assert (lamp.category, lamp.state, lamp.pictogram, lamp.source_label) == ("traffic_light", "green", None, "green")
    assert (report.total, report.lines(), report.root) == (2, [], source.parent)
    assert frames_of(source.parent)[0] == [first, second]


@pytest.mark.parametrize(
    ("word", "state"),
    [("Red", "red"), ("red", "red"), ("Yellow", "yellow"), ("Green", "green"), ("off", "off"), ("Off", "off")],
)
def test_every_word(make_source, word, state):
    (frame,), _ = frames_of(make_source(record("left0000.png", box(word))))
    assert [lamp.state for lamp in frame.annotations] == [state]


def test_unknown_words_are_reported_together(make_source):
    text = record("left0000.png", box("Blue"), box("Blue", 50), box("Pink"))
    with pytest.raises(AnnotationError, match=r"does not know: label 'Blue' \(2\), label 'Pink' \(1\)"):
        frames_of(make_source(text))


def test_an_empty_list_is_a_negative(make_source):
    (frame,), _ = frames_of(make_source(record()))
    assert frame.annotations == ()


def test_conditions_of_the_description(make_source):
    source = make_source(SNIPPET, ["left0000.jpg", "left0002.jpg"], (1368, 1096))
    told = index(source, "udacity_capstone")[0].frames.select("weather", "time_of_day", "condition_source")
    assert told.rows() == [("clear", "daytime", "text")] * 2


def test_names_in_folders_and_with_another_suffix(make_source):
    source = make_source(
        record("green/left0000.png", box()) + record("red\\left0000.png", box("Red", 50)),
        ["imgs/green/left0000.jpg", "imgs/red/left0000.jpg"],
    )
    (green, red), _ = frames_of(source)
    assert (green.path, red.path) == ("imgs/green/left0000.jpg", "imgs/red/left0000.jpg")
    source.write_text(record("left0000.png"))
    with pytest.raises(AnnotationError, match=r"record 0 left0000\.png: image .* lies in .*; set images=DIR"):
        frames_of(source)


def test_a_light_that_is_drawn_twice_is_left_out(make_source):
    text = record("left0000.png", box()) + record("left0000.png", box("red", 10.5, 20.5), box("Green", 60))
    (frame,), report = frames_of(make_source(text))
    assert [(lamp.state, lamp.xyxy) for lamp in frame.annotations] == [
        ("red", (10, 20, 15, 32)),
        ("green", (60, 20, 65, 32)),
    ]
    assert (report.total, report.count(Event.BOX_DRAWN_TWICE)) == (1, 1)


def test_a_light_with_two_states_is_refused(make_source):
    text = record("left0000.png", box()) + record("left0000.png", box("Green", 10.5))
    with pytest.raises(AnnotationError, match=r"record 1 left0000.png annotation 0: class 'Green', but .*record 0"):
        frames_of(make_source(text))


def test_two_boxes_of_one_record_are_two_lights(make_source):
    (frame,), report = frames_of(make_source(record("left0000.png", box(), box("Red", 10.5))))
    assert (len(frame.annotations), report.count(Event.BOX_DRAWN_TWICE)) == (2, 0)


def test_bad_boxes_are_counted(make_source):
    text = record("left0000.png", box(width=0), box(height=-4), box(x=200), box(x=97))
    source = make_source(text)
    (frame,), report = frames_of(source)
    assert [lamp.xyxy for lamp in frame.annotations] == [(97, 20, 100, 32)]
    counts = [report.count(event) for event in (Event.BOX_NO_AREA, Event.BOX_OUTSIDE, Event.BOX_CLIPPED)]
    assert counts == [2, 1, 1]
    with pytest.raises(AnnotationError, match=r"record 0 left0000\.png annotation 0: box .* no area"):
        frames_of(source, on_bad_box="error")


@pytest.mark.parametrize(("track", "size"), [("site", (1368, 1096)), ("simulator", (800, 600))])
def test_missing_images(make_source, track, size):
    source = make_source(record("left0000.png", box()) + record("left0007.png", box()))
    with pytest.raises(AnnotationError, match=r"record 1 left0007\.png: no image 'left0007\.png' in"):
        frames_of(source)
    (frame,), report = frames_of(source, missing_images="drop")
    assert (frame.frame_id, report.count(Event.IMAGE_MISSING)) == ("left0000", 1)
    (_, kept), report = frames_of(source, missing_images="keep", track=track)
    assert (kept.frame_id, (kept.width_px, kept.height_px)) == ("left0007", size)
    assert (report.count(Event.IMAGE_NOT_CHECKED), report.count(Event.SIZE_ASSUMED)) == (1, 1)


def test_a_broken_image(make_source):
    source = make_source(record())
    (source.parent / "left0000.jpg").write_bytes(b"no image")
    with pytest.raises(ImageError, match="does not open as an image"):
        frames_of(source)


@pytest.mark.parametrize("name", ["../left0000.png", "/etc/left0000.png", "a/../../left0000.png"])
def test_a_path_out_of_the_root_is_refused_for_kept_frames(make_source, name):
    with pytest.raises(AnnotationError, match="leaves its root"):
        frames_of(make_source(record(name), []), missing_images="keep")


def aliases(name: str = "a.png", annotation: str = box()) -> str:
    """A record in which `*m` is a list of 9**12 words by aliases of aliases, ready to be used."""
    nested = ", ".join(f"&{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]" for n in range(12))
    return f"- other: [&a [x, x, x, x, x, x, x, x, x], {nested}]\n  {record(name, annotation)[2:]}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a NoneType, expected a list of images"),
        ("a: 1", "a dict, expected a list of images"),
        ("- 1", "record 0: expected a mapping of class image"),
        (record().replace("image", "video"), "record 0: expected a mapping of class image"),
        (record().replace("[]", ""), r"record 0 left0000\.png: annotations are None, expected a list"),
        (record().replace("[]", "{}"), "annotations are a dict, expected a list"),
        (record('""'), "record 0: filename is '', expected the name of an image"),
        (record("[a]"), "record 0: filename is a list, expected the name"),
        (record("5"), "record 0: filename is 5, expected the name"),
        (record("a.png", "7"), r"record 0 a\.png annotation 0: expected a mapping of class, xmin"),
        (record("a.png", box("1")), "annotation 0: expected a mapping of class, xmin"),
        (record("a.png", "{class: Red, xmin: 1}"), "annotation 0: ymin is None, expected a number"),
        (record("a.png", box(x="[1]")), "xmin is a list, expected a number"),  # type: ignore[arg-type]
        (record("a.png", box(x=float("nan"))), "xmin is 'nan', expected a number"),
        (record("a.png", box(x=".inf")), "xmin is inf, expected a number"),  # type: ignore[arg-type]
        (record("a.png", box(x="true")), "xmin is True, expected a number"),  # type: ignore[arg-type]
        (record("a.png", box(x=10**400)), "xmin is 1000"),
        (record('"x\\0.png"'), "cannot be a file"),
        (record("x" * 400), "cannot be a file"),
        ("- [" * 5000, "not YAML"),
        (aliases("*m"), "record 0: filename is a list, expected the name of an image"),
        (aliases(annotation="*m"), "annotation 0: expected a mapping of class, xmin"),
        (aliases(annotation=box("*m")), "annotation 0: expected a mapping of class, xmin"),
        (aliases(annotation=box(x="*m")), "xmin is a list, expected a number"),  # type: ignore[arg-type]
    ],
)
def test_bad_files(make_source, text, message):
    with pytest.raises(AnnotationError, match=message) as raised:
        frames_of(make_source(text, []))
    assert "\n" not in str(raised.value)


def test_absurd_boxes_of_a_frame_that_is_there_twice(make_source):
    text = record("left0000.png", box(width=1e300, height=1e300)) * 2
    (frame,), report = frames_of(make_source(text))
    assert (len(frame.annotations), report.count(Event.BOX_CLIPPED)) == (2, 2)


def test_a_folder_needs_one_list(tmp_path):
    with pytest.raises(DataError, match=r"0 YAML files in it \(none\), expected one"):
        read(tmp_path, report=ReadReport())


def test_the_real_list(shared_data, tmp_path):
    folder = shared_data / "udacity_site_voc"
    source = folder / "real_data_annotations.yaml"
    catalog, report = index(source, "udacity_capstone", missing_images="keep")
    records = yaml.safe_load(source.read_text())
    names = {entry["filename"] for entry in records}
    assert (len(records), len(names), len(catalog)) == (187, 177, 177)
    assert report.count(Event.BOX_DRAWN_TWICE) == len(records) - len(names)
    boxes = [lamp for frame in catalog.iter_frames() for lamp in frame.annotations or ()]
    firsts = {entry["filename"]: entry["annotations"][0] for entry in reversed(records)}
    assert Counter(lamp.state for lamp in boxes) == Counter(first["class"] for first in firsts.values())
    for frame, lamp in zip(catalog.iter_frames(), boxes, strict=True):
        first = firsts[f"{frame.frame_id}.png"]
        x1, y1, x2, y2 = lamp.xyxy
        assert (x1, y1, x2 - x1, y2 - y1) == pytest.approx(
            tuple(first[key] for key in ("xmin", "ymin", "x_width", "y_height"))
        )
    # The images of the sample have another name for each frame.
    for path in (folder / "dataset_jpg").glob("*_j.jpg"):
        shutil.copy(path, tmp_path / path.name.replace("_j", ""))
    with_images, report = index(source, "udacity_capstone", images=tmp_path, missing_images="drop")
    assert [frame.path for frame in with_images.iter_frames()] == ["left0000.jpg", "left0140.jpg", "left0528.jpg"]
    assert report.count(Event.IMAGE_MISSING) == 174
