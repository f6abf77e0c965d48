from __future__ import annotations

import hashlib

import pytest

from tl_datasets.errors import DataError, ImageError, UsageError
from tl_datasets.index import FORMATS, index
from tl_datasets.read_report import Event


@pytest.fixture
def source(tmp_path, draw_image):
    """A YOLO folder with two drives."""
    for name in ("Berlin_1", "Berlin_2", "Ulm_1"):
        draw_image(tmp_path / "set" / "images" / f"{name}.png")
        (tmp_path / "set" / "labels").mkdir(exist_ok=True)
        (tmp_path / "set" / "labels" / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    return tmp_path / "set"


def test_hashes_sizes_and_names(source):
    catalog, _ = index(source, "yolo", names="red")
    assert catalog.frames["source"].unique().to_list() == ["set"]
    for row in range(len(catalog)):
        expected = hashlib.sha256(catalog.image_path(row).read_bytes()).hexdigest()
        assert catalog.frames["content_hash"][row] == expected
    assert index(source, "yolo", names="red", name="other")[0].frames["source"][0] == "other"
    assert index(source, "yolo", names="red", split="val")[0].frames["split"].to_list() == ["val"] * 3


@pytest.mark.parametrize(
    ("regex", "sequences"),
    [
        (r"^([A-Za-z]+)_", ["Berlin", "Berlin", "Ulm"]),
        (r"[A-Za-z]+", ["Berlin", "Berlin", "Ulm"]),
        (r"(\d)\.png$", ["1", "2", "1"]),
        (None, [None, None, None]),
    ],
)
def test_sequences(source, regex, sequences):
    catalog, _ = index(source, "yolo", names="red", sequence_regex=regex)
    assert catalog.frames["sequence"].to_list() == sequences


@pytest.mark.parametrize(
    ("regex", "error", "message"),
    [
        (r"^(Berlin)_", DataError, r"frame Ulm_1\.png: .*finds no sequence"),
        (r"(x*)", DataError, "finds no sequence"),
        (r"(", UsageError, "expected a regular expression"),
        (r"(a)(b)", UsageError, "2 groups"),
    ],
)
def test_sequence_faults(source, regex, error, message):
    with pytest.raises(error, match=message):
        index(source, "yolo", names="red", sequence_regex=regex)


@pytest.mark.parametrize(
    ("names", "options", "is_said"),
    [
        ("red", {}, False),
        ("car", {}, True),
        ("car", {"missing": "negative"}, True),
        ("car", {"missing": "unlabelled"}, False),
    ],
)
def test_a_set_without_a_light_is_said_to_be_one_of_negatives(source, names, options, is_said):
    if options:
        for path in (source / "labels").iterdir():
            path.unlink()
    _, report = index(source, "yolo", names=names, **options)
    assert report.count(Event.NO_LIGHT) == is_said


def test_a_set_whose_map_says_that_nobody_looked_for_lights(source, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("format: yolo\nlabels: {car: car}\nframes: {labelled_categories: [car]}\n")
    assert index(source, str(own), names="car")[1].count(Event.NO_LIGHT) == 0


def test_progress_counts_every_frame(source):
    calls = []
    index(source, "yolo", names="red", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nmaes": "red"}, "option 'nmaes': unknown to format yolo; expected .*names"),
        ({"missing": "ignore"}, "option missing=ignore: expected unlabelled or negative"),
        ({"on_bad_box": "skip"}, "option on_bad_box=skip: expected error or drop"),
        ({"report": "x"}, "option 'report'"),
    ],
)
def test_option_faults(source, options, message):
    with pytest.raises(UsageError, match=message):
        index(source, "yolo", **options)


def test_texts_from_a_command_line_are_converted(tmp_path, draw_image):
    draw_image(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(
        '{"images": [{"id": 1, "file_name": "a.png", "attributes": {"weather": "hail"}}], "annotations": []}'
    )
    assert len(index(tmp_path / "a.json", "coco", attributes="false")[0]) == 1
    with pytest.raises(UsageError, match="attributes=no: expected true or false"):
        index(tmp_path / "a.json", "coco", attributes="no")


def test_what_does_not_exist(tmp_path, source):
    with pytest.raises(UsageError, match=r"format 'nuscenes', expected one of: .*bdd100k, "):
        index(source, "nuscenes")
    for name in FORMATS:
        with pytest.raises(DataError, match="absent: no such file or folder"):
            index(tmp_path / "absent", name)


def test_an_empty_source_is_an_error(tmp_path, source):
    (tmp_path / "empty.json").write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(DataError, match="no frame in it"):
        index(tmp_path / "empty.json", "coco")


def test_where_every_frame_was_dropped_it_is_said_why(source):
    for path in (source / "images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(
        DataError, match=r"no frame in it \(3 frames dropped: image file does not open, e\.g\. .*\); exp"
    ):
        index(source, "yolo", names="red", missing_images="drop")


def test_a_broken_image_stops_the_reading_and_its_threads(source):
    (source / "images" / "Berlin_2.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"Berlin_2\.png"):
        index(source, "yolo", names="red")


def test_order_does_not_depend_on_the_threads(tmp_path, draw_image):
    names = [f"{number:03d}" for number in range(200)]
    for name in names:
        draw_image(tmp_path / "flat" / f"{name}.png", 8 + int(name) % 50, 8)
        (tmp_path / "flat" / f"{name}.txt").write_text("")
    catalog, _ = index(tmp_path / "flat", "yolo", names="red")
    assert catalog.frames["frame_id"].to_list() == names
    assert catalog.frames["width_px"].to_list() == [8 + int(name) % 50 for name in names]
