from __future__ import annotations

import csv
import json
from collections import Counter

import pytest

from tl_datasets.errors import AnnotationError, DataError, ImageError, UsageError
from tl_datasets.formats.bdd100k import read
from tl_datasets.index import index
from tl_datasets.read_report import Event, ReadReport

# A frame of the 2020 release, as the toolkit's documentation publishes it, with a light added.
FRAME = {
    "name": "0a0a0b1a-7c39d841.jpg",
    "attributes": {"weather": "partly cloudy", "timeofday": "dawn/dusk", "scene": "gas stations"},
    "timestamp": 10000,
    "labels": [
        {
            "id": "71849",
            "category": "car",
            "attributes": {"occluded": True, "truncated": False, "trafficLightColor": "NA"},
            "box2d": {"x1": 555.647397, "y1": 304.228432, "x2": 574.015906, "y2": 316.474104},
        },
        {
            "id": "71850",
            "category": "traffic light",
            "attributes": {"occluded": False, "truncated": False, "trafficLightColor": "R"},
            "box2d": {"x1": 100.0, "y1": 50.0, "x2": 107.0, "y2": 68.0},
        },
        {"category": "lane/single white", "attributes": {}, "poly2d": [[1.0, 2.0, "L"]]},
    ],
}


def light(**box2d) -> dict:
    return {"category": "traffic light", "attributes": {}, "box2d": {"x1": 10, "y1": 20, "x2": 14, "y2": 30, **box2d}}


def boxes(*changes: dict) -> dict:
    """A label file of one frame, with a light per change."""
    return {"labels/det_20/det_train.json": [{**FRAME, "labels": [{**light(), **change} for change in changes]}]}


@pytest.fixture
def make_source(tmp_path, draw_image):
    """A folder as in the archive, from label documents by path, and images for the given names."""

    def make(documents: dict, images=("train/0a0a0b1a-7c39d841.jpg",), size=(1280, 720)):
        for name, document in documents.items():
            path = tmp_path / "bdd100k" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(document if isinstance(document, str) else json.dumps(document))
        for name in images:
            draw_image(tmp_path / "bdd100k" / "images" / "100k" / name, *size)
        return tmp_path / "bdd100k"

    return make


def only_frame(source, **options):
    frames = list(read(source, report=ReadReport(), **options))
    assert len(frames) == 1
    return frames[0]


def per_image_form(frame: dict) -> dict:
    labels = [{**label, "id": number} for number, label in enumerate(frame["labels"])]
    labels[0]["attributes"] = {"occluded": True, "truncated": False, "trafficLightColor": "none"}
    labels[1]["attributes"] = {"occluded": False, "truncated": False, "trafficLightColor": "red"}
    return {
        "name": frame["name"].removesuffix(".jpg"),
        "frames": [{"timestamp": 10000, "objects": labels}],
        "attributes": frame["attributes"],
    }


def old_scalabel_form(frame: dict) -> dict:
    labels = [
        {**frame["labels"][0], "poly2d": None, "box3d": None, "attributes": {"Occluded": True, "Truncated": False}},
        {**frame["labels"][1], "attributes": {"occluded": False, "truncated": False, "trafficLightColor": [3, "R"]}},
        {**frame["labels"][2], "box2d": None},
    ]
    return {**frame, "videoName": "0a0a0b1a-7c39d841", "index": 0, "labels": labels}


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("labels/det_20/det_train.json", [FRAME]),
        ("labels/bdd100k_labels_images_train.json", [FRAME]),
        ("labels/100k/train/0a0a0b1a-7c39d841.json", per_image_form(FRAME)),
        ("labels/det_20/det_train.json", {"frames": [FRAME], "groups": None, "config": None}),
        ("labels/det_20/det_train.json", [old_scalabel_form(FRAME)]),
        ("labels/train/one.json", FRAME),
    ],
    ids=["2020", "2018 combined", "2018 per image", "scalabel with config", "old scalabel", "one frame per file"],
)
def test_every_generation_gives_the_same_frame(make_source, name, document):
    report = ReadReport()
    source = make_source({name: document})
    frames = list(read(source, report=report))
    assert len(frames) == 1
    frame = frames[0]
    assert (frame.frame_id, frame.path) == ("0a0a0b1a-7c39d841", "train/0a0a0b1a-7c39d841.jpg")
    assert (frame.width_px, frame.height_px) == (1280, 720)
    assert (frame.weather, frame.scene, frame.time_of_day) == ("partly_cloudy", "gas_station", "dawn_dusk")
    assert (frame.sequence, frame.split) == ("0a0a0b1a", "train")
    car, lamp = frame.annotations or ()
    assert (car.category, car.state, car.occluded, car.truncated) == ("car", None, True, False)
    assert car.xyxy == pytest.approx((555.647397, 304.228432, 575.015906, 317.474104))
    assert (lamp.category, lamp.state, lamp.pictogram, lamp.occluded) == ("traffic_light", "red", None, False)
    assert lamp.xyxy == (100, 50, 108, 69)
    assert report.root == source / "images" / "100k"
    assert report.counts[Event.NO_BOX, "lane/single white"] == 1


@pytest.mark.parametrize(
    ("attributes", "state"),
    [
        ({"trafficLightColor": "NA"}, "unknown"),
        ({"trafficLightColor": "none"}, "unknown"),
        ({"trafficLightColor": [0, "NA"]}, "unknown"),
        ({"TrafficLightColor": "G"}, "green"),
        *(({"trafficLightColor": word}, word) for word in ("red", "yellow", "green")),
        *(({"trafficLightColor": word}, state) for word, state in (("R", "red"), ("Y", "yellow"), ("G", "green"))),
        ({"trafficLightColor": None}, None),
        ({}, None),
    ],
)
def test_state_of_a_light(make_source, attributes, state):
    source = make_source(
        {"labels/det_20/det_train.json": [{**FRAME, "labels": [{**light(), "attributes": attributes}]}]}
    )
    (lamp,) = only_frame(source).annotations or ()
    assert lamp.state == state


@pytest.mark.parametrize(
    ("word", "category"),
    [
        # 2018, and what older tools know besides; the rename table of the toolkit (det.toml).
        ("person", "pedestrian"),
        ("bike", "bicycle"),
        ("motor", "motorcycle"),
        ("van", "car"),
        ("caravan", "car"),
        # 2020. The toolkit ignores the first three in an evaluation; here they are categories of their own.
        ("other person", "other_person"),
        ("other vehicle", "other_vehicle"),
        ("trailer", "trailer"),
        *((word, word) for word in ["pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"]),
        ("traffic light", "traffic_light"),
        ("traffic sign", "traffic_sign"),
    ],
)
def test_every_category(make_source, word, category):
    (box,) = only_frame(make_source(boxes({"category": word}))).annotations or ()
    assert (box.category, box.source_label, box.ignore) == (category, word, False)


@pytest.mark.parametrize(
    ("key", "field", "words"),
    [
        ("weather", "weather", ["clear", "partly cloudy", "overcast", "rainy", "snowy", "foggy", "undefined"]),
        (
            "scene",
            "scene",
            ["city street", "highway", "residential", "parking lot", "tunnel", "gas stations", "undefined"],
        ),
        ("timeofday", "time_of_day", ["daytime", "night", "dawn/dusk", "undefined"]),
    ],
)
def test_every_condition(make_source, key, field, words):
    for word in words:
        frame = only_frame(make_source({"labels/det_20/det_train.json": [{**FRAME, "attributes": {key: word}}]}))
        expected = {"gas stations": "gas_station"}.get(word, word.replace(" ", "_").replace("/", "_"))
        assert getattr(frame, field) == expected
        assert frame.condition_source == "annotated"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("det_20/det_train.json", "train"),
        ("det_20/det_v2_val_release.json", "val"),
        ("bdd100k_labels_images_val.json", "val"),
        ("100k/train/x.json", "train"),
        ("det_20/det_training.json", None),
    ],
)
def test_the_part_is_in_the_name_of_the_label_file(make_source, name, part):
    assert only_frame(make_source({f"labels/{name}": [FRAME]})).split == part


def test_frames_of_the_tracking_sets_have_the_recording_of_their_video(make_source):
    name = "0a0a0b1a-7c39d841-0000001.jpg"
    source = make_source({"labels/det_20/det_train.json": [{**FRAME, "name": name}]}, [f"train/{name}"])
    assert only_frame(source).sequence == "0a0a0b1a"


def test_conditions_that_are_not_there_are_none(make_source):
    source = make_source({"labels/det_20/det_train.json": [{**FRAME, "attributes": {"timeofday": "undefined"}}]})
    frame = only_frame(source)
    assert (frame.weather, frame.scene, frame.time_of_day) == (None, None, "undefined")


@pytest.mark.parametrize(
    ("convention", "box", "expected"),
    [
        ("scalabel", {}, (10, 20, 15, 31)),
        ("continuous", {}, (10, 20, 14, 30)),
        ("scalabel", {"x2": 1279.5, "y2": 719.5}, (10, 20, 1280, 720)),
        ("scalabel", {"x1": -3}, (0, 20, 15, 31)),
    ],
    ids=["inclusive corner", "half-open", "last pixel of the image", "leaves the image"],
)
def test_box_conventions(make_source, convention, box, expected):
    source = make_source({"labels/det_20/det_train.json": [{**FRAME, "labels": [light(**box)]}]})
    (lamp,) = only_frame(source, box_convention=convention).annotations or ()
    assert lamp.xyxy == expected


def test_the_inclusive_pixel_at_the_edge_is_neither_clipped_nor_truncated(make_source):
    report = ReadReport()
    source = make_source({"labels/det_20/det_train.json": [{**FRAME, "labels": [light(x1=1270, x2=1279.9)]}]})
    (frame,) = read(source, report=report)
    assert frame.annotations is not None
    assert frame.annotations[0].truncated is None
    assert report.lines() == []


def test_clipping_is_counted_and_sets_truncated_where_the_source_is_silent(make_source):
    labels = [light(x1=-5), {**light(x1=-5), "attributes": {"truncated": False}}]
    source = make_source({"labels/det_20/det_train.json": [{**FRAME, "labels": labels}]})
    report = ReadReport()
    (frame,) = read(source, report=report)
    assert [annotation.truncated for annotation in frame.annotations or ()] == [True, False]
    assert report.count(Event.BOX_CLIPPED) == 2


def test_boxes_without_area_are_dropped_and_counted_as_the_official_tools_do(make_source):
    labels = [light(), light(x2=10), light(y1=40), light(x1=2000, x2=2010)]
    source = make_source({"labels/det_20/det_train.json": [{**FRAME, "labels": labels}]})
    report = ReadReport()
    (frame,) = read(source, report=report)
    assert len(frame.annotations or ()) == 1
    assert (report.count(Event.BOX_NO_AREA), report.count(Event.BOX_OUTSIDE)) == (2, 1)
    with pytest.raises(DataError, match=r"det_train.json: frame 0a0a0b1a-7c39d841.jpg label 1: box .* no area"):
        list(read(source, report=ReadReport(), on_bad_box="error"))


def test_scores_are_counted(make_source):
    """A file of predictions has the form of labels, and a score in each; it must not pass for ground truth unseen."""
    report = ReadReport()
    list(read(make_source(boxes({"score": 0.8}, {"score": None})), report=report))
    assert report.count(Event.SCORE_LEFT_OUT) == 1


def test_crowd_is_an_ignore_area(make_source):
    labels = [{**light(), "attributes": {"crowd": True}}, {**light(), "attributes": {"Crowd": False}}]
    source = make_source({"labels/det_20/det_train.json": [{**FRAME, "labels": labels}]})
    assert [annotation.ignore for annotation in only_frame(source).annotations or ()] == [True, False]


def test_negative_unlabelled_and_tags(make_source):
    names = ["b1b1b1b1-00000001.jpg", "b1b1b1b1-00000002.jpg", "b1b1b1b1-00000003.jpg", "b1b1b1b1-00000004.jpg"]
    records = [{"name": names[0], "labels": [light()]}, {"name": names[1], "labels": None}, {"name": names[2]}]
    source = make_source({"labels/det_20/det_val.json": records}, [f"val/{name}" for name in names])
    report = ReadReport()
    frames = list(read(source, report=report))
    assert [frame.label_status for frame in frames] == ["labelled"] * 3
    assert report.count(Event.NO_RECORD) == 1
    included = list(read(source, report=ReadReport(), unlabelled="include"))
    assert [(frame.frame_id, frame.label_status, frame.split) for frame in included[3:]] == [
        ("b1b1b1b1-00000004", "unlabelled", "val")
    ]
    # A file of tags has the same shape; nobody looked for lights there.
    (source / "labels" / "det_20" / "det_val.json").write_text(json.dumps([{"name": name} for name in names]))
    assert {frame.label_status for frame in read(source, report=ReadReport())} == {"unlabelled"}


def test_whether_anybody_labelled_is_decided_over_all_files(make_source):
    other = {"name": "b1b1b1b1-00000001.jpg"}
    documents = {"labels/100k/val/0.json": other, "labels/100k/val/1.json": FRAME}
    source = make_source(documents, [f"val/{FRAME['name']}", f"val/{other['name']}"])
    frames = list(read(source, report=ReadReport()))
    assert {frame.frame_id: frame.label_status for frame in frames} == {
        "b1b1b1b1-00000001": "labelled",
        "0a0a0b1a-7c39d841": "labelled",
    }
    (source / "labels/100k/val/1.json").write_text(json.dumps({"name": FRAME["name"]}))
    assert {frame.label_status for frame in read(source, report=ReadReport())} == {"unlabelled"}


@pytest.mark.parametrize(
    ("value", "flag"),
    [(True, True), (1, True), ("true", True), (0, False), ("False", False), (None, None), ([3, True], True)],
)
def test_ways_to_write_a_flag(make_source, value, flag):
    (lamp,) = only_frame(make_source(boxes({"attributes": {"occluded": value}}))).annotations or ()
    assert lamp.occluded is flag


@pytest.mark.parametrize("width", [0, -5, float("nan"), True, 10**12, 10**400, None, "wide"])
def test_a_declared_size_that_no_image_has(make_source, width):
    record = {**FRAME, "name": "gone.jpg", "size": {"width": width, "height": 720}}
    source = make_source({"labels/det_20/det_train.json": [record]})
    with pytest.raises(DataError, match=r"gone\.jpg: (width is|size )"):
        list(read(source, report=ReadReport(), missing_images="keep"))


def test_links_that_are_not_followed_are_counted(make_source, tmp_path, draw_image):
    source = make_source({"labels/det_20/det_train.json": [FRAME]}, images=("train/other.jpg",))
    draw_image(tmp_path / "store" / FRAME["name"])
    link = source / "images/100k/train" / FRAME["name"]
    link.symlink_to(tmp_path / "store" / FRAME["name"])
    with pytest.raises(AnnotationError, match=r"no image .*1 links that leave the folder"):
        list(read(source, report=ReadReport()))
    report = ReadReport()
    assert list(read(source, report=report, missing_images="drop")) == []
    assert report.count(Event.LINK_LEFT_OUT) == 1


def test_a_link_that_leads_nowhere_is_no_label_file(make_source):
    source = make_source({"labels/det_20/det_train.json": [FRAME]})
    (source / "labels/det_20/det_val.json").symlink_to("nowhere")
    with pytest.raises(AnnotationError, match=r"det_val\.json: cannot be read"):
        list(read(source, report=ReadReport()))


def test_half_a_character_in_a_name_is_named(make_source):
    source = make_source({"labels/det_20/det_train.json": [{**FRAME, "name": "\ud800.jpg"}]})
    with pytest.raises(DataError, match="half of a character"):
        index(source, "bdd100k", missing_images="keep")


def test_images_of_other_parts_are_not_taken_for_lost_records(make_source):
    names = ["train/0a0a0b1a-7c39d841.jpg", "val/b1b1b1b1-00000001.jpg", "test/c0c0c0c0-00000001.jpg"]
    source = make_source({"labels/det_20/det_train.json": [FRAME]}, names)
    assert len(list(read(source, report=ReadReport(), unlabelled="include"))) == 1


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ({"labels/det_20/det_train.json": '[\n{"name": "a.jpg"},\n{"name": }\n]'}, r"det_train.json line 3: not JSON"),
        ({"labels/det_20/det_train.json": '[\n{"name": "a.jpg", "labels": ['}, r"line 2: not JSON.*cut off"),
        ({"labels/det_20/det_train.json": '{"frames": ['}, r"line 1: not JSON"),
        ({"labels/det_20/det_train.json": "[3]"}, "record 0: expected a frame with a name"),
        ({"labels/det_20/det_train.json": "{}"}, r"expected a frame with a name"),
        ({"labels/det_20/det_train.json": [{**FRAME, "labels": {"car": 1}}]}, r"labels are dict, expected a list"),
        ({"labels/det_20/det_train.json": [{**FRAME, "labels": ["car"]}]}, r"label 0: is 'car', expected an object"),
        ({"labels/det_20/det_train.json": [{**FRAME, "labels": [light(x1="left")]}]}, r"label 0: box2d .*left"),
        ({"labels/det_20/det_train.json": [{**FRAME, "labels": [light(x1=float("nan"))]}]}, r"not finite"),
        ({"labels/det_20/det_train.json": [FRAME, FRAME]}, r"also has a record in"),
        ({"labels/det_20/det_train.json": [{**FRAME, "size": {"width": 640, "height": 720}}]}, r"640x720.*1280x720"),
        ({"labels/det_20/det_train.json": [{**FRAME, "name": "absent.jpg"}]}, r"absent.jpg: no image 'absent.jpg'"),
        (
            {"labels/det_20/det_train.json": [FRAME], "labels/bdd100k_labels_images_train.json": [FRAME]},
            r"several generations",
        ),
        ({"labels/readme.txt": "x"}, r"no .json file"),
        (boxes({"attributes": {"crowd": "maybe"}}), r"attribute crowd is 'maybe', expected true, false or null"),
        (boxes({"attributes": {"occluded": 2}}), r"attribute occluded is 2"),
        (boxes({"attributes": {"Truncated": {"a": 1}}}), r"attribute truncated is \{'a': 1\}"),
        (boxes({"attributes": []}), r"label 0: attributes are \[\], expected a mapping"),
        (boxes({"attributes": ""}), r"label 0: attributes are '', expected a mapping"),
        (boxes({"attributes": {"occluded": True, "Occluded": False}}), r"label 0: attribute 'Occluded' stands twice"),
        (boxes({"box2d": {"x1": True, "y1": 1, "x2": 2, "y2": 3}}), r"label 0: box2d \{'x1': True.*expected numbers"),
        (boxes({"box2d": {"x1": 10**400, "y1": 1, "x2": 2, "y2": 3}}), r"box2d .*\.\.\., expected numbers"),
        ({"labels/det_20/det_train.json": [{**FRAME, "attributes": []}]}, r"attributes are \[\], expected a mapping"),
        ({"labels/det_20/det_train.json": '[{"a": ' + "1" * 5000 + "}]"}, r"not usable JSON: Exceeds"),
        ({"labels/det_20/det_train.json": '[{"name": "a", "name": "b"}]'}, r"key 'name' occurs twice"),
        ({"labels/det_20/det_train.json/x.txt": ""}, r"det_train\.json: cannot be read \(Is a directory\)"),
        (
            {"labels/det_20/det_train.json": [{**FRAME, "attributes": {"weather": "hail", "scene": "moon"}}]},
            r"weather 'hail' \(1\), scene 'moon' \(1\)",
        ),
        (boxes({"attributes": {"trafficLightColor": "off"}}), r"does not know: state 'off' \(1\)"),
        (boxes({"attributes": {"trafficLightColor": False}}), r"does not know: state 'False' \(1\)"),
        (
            {"labels/det_20/det_train.json": [{**FRAME, "labels": [{**light(), "category": "tram"}] * 2}]},
            r"label 'tram' \(2\)",
        ),
    ],
)
def test_faults_are_one_line_that_says_where(make_source, documents, message):
    source = make_source(documents)
    with pytest.raises(DataError, match=message) as caught:
        list(read(source, report=ReadReport()))
    assert "\n" not in str(caught.value)


def test_images_that_are_missing(make_source):
    other = {**FRAME, "name": "0a0a0b1a-ffffffff.jpg"}
    source = make_source({"labels/det_20/det_train.json": [FRAME, other]})
    report = ReadReport()
    assert len(list(read(source, report=report, missing_images="drop"))) == 1
    assert report.count(Event.IMAGE_MISSING) == 1
    kept = list(read(source, report=report, missing_images="keep"))
    assert (kept[1].width_px, kept[1].height_px) == (1280, 720)
    assert (report.count(Event.IMAGE_NOT_CHECKED), report.count(Event.SIZE_ASSUMED)) == (1, 1)


def test_resized_images_are_counted_unless_their_size_is_declared(make_source):
    """All images of the set have 1280x720 pixels; the boxes of a half as large copy lie elsewhere."""
    source = make_source({"labels/det_20/det_train.json": [FRAME]}, size=(640, 360))
    report = ReadReport()
    (frame,) = read(source, report=report)
    assert (frame.width_px, report.counts[Event.SIZE_UNUSUAL, "640x360"]) == (640, 1)
    (source / "labels/det_20/det_train.json").write_text(json.dumps([{**FRAME, "size": {"width": 640, "height": 360}}]))
    report = ReadReport()
    assert len(list(read(source, report=report))) == 1
    assert report.count(Event.SIZE_UNUSUAL) == 0


def test_an_image_that_does_not_open_is_named(make_source):
    source = make_source({"labels/det_20/det_train.json": [FRAME]})
    (source / "images/100k/train/0a0a0b1a-7c39d841.jpg").write_bytes(b"not an image")
    with pytest.raises(ImageError, match=r"7c39d841.jpg: does not open"):
        list(read(source, report=ReadReport()))


def test_no_image_folder(make_source):
    source = make_source({"labels/det_20/det_train.json": [FRAME]}, images=())
    with pytest.raises(UsageError, match="set images=DIR"):
        read(source, report=ReadReport())


def test_a_name_in_two_folders_is_refused_unless_the_part_tells(make_source):
    names = ["train/0a0a0b1a-7c39d841.jpg", "copy/0a0a0b1a-7c39d841.jpg"]
    source = make_source({"labels/det_20/det_train.json": [FRAME]}, names)
    assert only_frame(source).path == names[0]
    source = make_source({"labels/det_20/det_train.json": [FRAME], "frames.json": [FRAME]}, names)
    with pytest.raises(DataError, match="lies in"):
        only_frame(source / "frames.json")


def test_large_files_are_read_record_by_record(make_source, monkeypatch):
    monkeypatch.setattr("tl_datasets.parsing._CHUNK_CHARS", 37)
    source = make_source({"labels/det_20/det_train.json": json.dumps([FRAME], indent=1)})
    assert len(only_frame(source).annotations or ()) == 2


# Real frames


def test_counts_of_the_sample(shared_data):
    catalog, report = index(shared_data / "bdd100k", "bdd100k")
    assert report.lines() == []
    boxes = catalog.annotations.join(catalog.frames.select("frame_id", "split"), on="frame_id")
    counted = Counter(boxes.select("split", "category").iter_rows())
    assert len(catalog) == 202
    assert {part: n for (part, word), n in counted.items() if word == "traffic_light"} == {"train": 377, "val": 128}
    assert {word: n for (part, word), n in counted.items() if part == "val"} == {
        "car": 599,
        "traffic_sign": 182,
        "traffic_light": 128,
        "pedestrian": 117,
        "truck": 32,
        "bus": 9,
        "rider": 2,
        "motorcycle": 2,
        "bicycle": 1,
    }


def test_conditions_and_recordings_of_the_sample_equal_its_table(shared_data):
    catalog, _ = index(shared_data / "bdd100k", "bdd100k")
    with (shared_data / "bdd100k" / "conditions.csv").open(encoding="utf-8", newline="") as file:
        table = {row["name"].removesuffix(".jpg"): row for row in csv.DictReader(file)}
    assert set(table) == set(catalog.frames["frame_id"])
    for position, frame in enumerate(catalog.iter_frames()):
        row = table[frame.frame_id]
        assert frame.sequence == row["recording"]
        assert frame.split == row["split"]
        assert len(catalog.boxes(position)) == int(row["boxes"])
        for name, key in (("weather", "weather"), ("scene", "scene"), ("time_of_day", "timeofday")):
            expected = row[key].replace(" ", "_").replace("/", "_") or None
            assert getattr(frame, name) == expected, frame.frame_id


@pytest.mark.parametrize(
    ("name", "frames", "boxes", "states"),
    [
        ("det_20/det_train.json", 2, 13, {"green": 2}),
        ("bdd100k_toolkit/unitest_val_bdd.json", 1, 34, {"green": 5, "unknown": 2}),
        ("bdd100k_toolkit/unitest_val_bdd_pretty.json", 1, 34, {"green": 4, "unknown": 3}),
        ("scalabel/tag_gts.json", 10, 0, {}),
        ("labels_2018", 1, 9, {}),
    ],
)
def test_verbatim_originals(shared_data, name, frames, boxes, states):
    catalog, _ = index(shared_data / "bdd100k" / "native" / name, "bdd100k", missing_images="keep")
    assert (len(catalog), len(catalog.annotations)) == (frames, boxes)
    assert Counter(catalog.annotations["state"].drop_nulls()) == states


def test_states_of_a_verbatim_original_equal_a_plain_count(shared_data):
    for name in ("unitest_val_bdd.json", "unitest_val_bdd_pretty.json"):
        path = shared_data / "bdd100k" / "native" / "bdd100k_toolkit" / name
        colours = [
            label["attributes"]["trafficLightColor"]
            for frame in json.loads(path.read_text())
            for label in frame["labels"]
            if label["category"] == "traffic light"
        ]
        plain = Counter({"G": "green", "NA": "unknown"}[c if isinstance(c, str) else c[1]] for c in colours)
        catalog, _ = index(path, "bdd100k")
        assert Counter(catalog.annotations["state"].drop_nulls()) == plain


def test_a_foreign_conversion_of_the_same_frames_agrees(shared_data):
    """Another person's YOLO files of 102 frames: their cars lie where ours lie, but for the inclusive pixel."""
    catalog, _ = index(shared_data / "bdd100k", "bdd100k", box_convention="continuous")
    rows = {frame_id: row for row, frame_id in enumerate(catalog.frames["frame_id"])}
    compared = 0
    for path in sorted((shared_data / "bdd100k" / "yolo_coco_index" / "labels").rglob("*.txt")):
        frame = catalog.frame(rows[path.stem])
        ours = sorted(
            annotation.xyxy for annotation in frame.annotations or () if annotation.category == "traffic_light"
        )
        theirs = []
        for line in path.read_text().splitlines():
            word, *numbers = line.split()
            if word == "9":
                cx, cy, w, h = (
                    float(number) * size for number, size in zip(numbers, (1280, 720, 1280, 720), strict=True)
                )
                theirs.append((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2))
        assert len(ours) == len(theirs), path
        for mine, other in zip(ours, sorted(theirs), strict=True):
            assert mine == pytest.approx(other, abs=1.5)
            compared += 1
    assert compared > 100


def test_error_types(make_source):
    source = make_source({"labels/det_20/det_train.json": '[{"name": "a.jpg"},\n 3, ]'})
    with pytest.raises(AnnotationError) as caught:
        list(read(source, report=ReadReport()))
    assert caught.value.path == source / "labels/det_20/det_train.json"
    assert caught.value.line == 2


def test_a_long_list_is_read_like_a_short_one(make_source, monkeypatch):
    source = make_source({"labels/det_20/det_train.json": [FRAME]})
    short = list(read(source, report=ReadReport()))
    monkeypatch.setattr("tl_datasets.formats.bdd100k_files._LONG", 0)
    assert list(read(source, report=ReadReport())) == short
    (source / "labels/det_20/det_train.json").write_text("[3]")
    with pytest.raises(AnnotationError, match=r"line 1: .*expected '\{'"):
        list(read(source, report=ReadReport()))
