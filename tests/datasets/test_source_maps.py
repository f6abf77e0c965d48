"""The label maps that describe a whole source over the YOLO, COCO or VOC reader, on data of the form of that source."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tl_datasets.convert import convert
from tl_datasets.errors import AnnotationError, DataError
from tl_datasets.index import index
from tl_datasets.label_maps import LabelFields, load_label_map, source_maps
from tl_datasets.label_space import LabelSpace
from tl_datasets.taxonomy import Pictogram, State

ROW = "0.5 0.5 0.25 0.5"


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def meanings(name: str) -> dict[str, LabelFields]:
    return {word: fields for word, fields in load_label_map(name).labels.items() if isinstance(fields, LabelFields)}


def test_these_maps_describe_sources():
    """A map that is misspelt or lost its key `format` would still load."""
    here = {"atlas", "cocotraffic", "roboflow", "roboflow_coco", "roboflow_udacity", "tlony"}
    assert here | {"roboflow_traffic_light_kr"} <= set(source_maps())


# ATLAS

# From its ATLAS_classes.yaml.
ATLAS_NAMES = """\
names:
  0: circle_green
  1: circle_red
  2: off
  3: circle_red_yellow
  4: arrow_left_green
  24: arrow_straight_right_green
"""


@pytest.fixture
def atlas(tmp_path: Path, draw_image) -> Path:
    for place, rows in {
        "train/front_medium/{}/front_medium_1700000029-999999999": f"2 {ROW}\n24 {ROW}\n",
        "train/front_tele/{}/front_tele_1700000025-000000001": "",
        "train/front_wide/{}/front_wide_1700000070-5": f"3 {ROW}\n",
        "test/front_wide/{}/front_wide_1700009000-000000000": f"16 {ROW}\n",
    }.items():
        draw_image(tmp_path / "ATLAS" / f"{place.format('images')}.jpg", 192, 120)
        put(tmp_path / "ATLAS" / f"{place.format('labels')}.txt", rows)
    put(tmp_path / "ATLAS" / "ATLAS_classes.yaml", ATLAS_NAMES)
    return tmp_path / "ATLAS"


def test_atlas_classes():
    label_map = load_label_map("atlas")
    names = label_map.class_names
    assert len(names) == len(set(names)) == 25
    for class_id, name in yaml.safe_load(ATLAS_NAMES)["names"].items():
        assert names[class_id] == ("off" if name is False else name)  # an unquoted off is false in YAML 1.1
    assert Counter(field.state for field in meanings("atlas").values()) == {
        "green": 6,
        "red": 6,
        "red_yellow": 6,
        "yellow": 6,
        "off": 1,
    }
    for name in names:
        fields = label_map.label(name)
        assert isinstance(fields, LabelFields)
        if name == "off":
            assert (fields.state, fields.pictogram) == (State.OFF, Pictogram.UNKNOWN)
        else:
            assert name == f"{fields.pictogram}_{fields.state}"


def test_atlas(atlas: Path):
    catalog, report = index(atlas, "atlas")
    assert report.lines() == []
    table = {row["path"].rpartition("/")[2]: row for row in catalog.frames.iter_rows(named=True)}
    medium, tele = table["front_medium_1700000029-999999999.jpg"], table["front_tele_1700000025-000000001.jpg"]
    assert (medium["timestamp_ns"], medium["split"]) == (1_700_000_029_999_999_999, "train")
    assert medium["sequence"] == tele["sequence"], "the cameras see the same scene"
    assert len({row["sequence"] for row in table.values()}) == 3
    assert table["front_wide_1700000070-5.jpg"]["timestamp_ns"] == 1_700_000_070_000_000_005
    assert table["front_wide_1700009000-000000000.jpg"]["split"] == "test"
    assert set(catalog.frames["label_status"]) == {"labelled"}
    assert sorted(catalog.annotations.select("state", "pictogram").rows()) == [
        ("green", "arrow_straight_left"),
        ("green", "arrow_straight_right"),
        ("off", "unknown"),
        ("red_yellow", "circle"),
    ]


def test_atlas_is_written_with_its_own_classes(atlas: Path, tmp_path: Path):
    """A label space in their order gives the class ids of the data set back."""
    catalog, _ = index(atlas, "atlas")
    space = LabelSpace.model_validate(
        {
            "classes": {
                name: {"state": str(fields.state), "pictogram": str(fields.pictogram)}
                for name, fields in meanings("atlas").items()
            }
        }
    )
    assert space.names == load_label_map("atlas").class_names
    convert(catalog, "yolo", tmp_path / "out", label_space=space)
    rows = [path.read_text().split() for path in (tmp_path / "out").rglob("*.txt")]
    assert sorted(row[0] for row in rows if row) == ["16", "2", "3"]
    again, report = index(tmp_path / "out", "atlas")
    assert report.lines() == []
    columns = ["state", "pictogram", "source_label"]
    assert sorted(again.annotations.select(columns).rows()) == sorted(catalog.annotations.select(columns).rows())


def test_atlas_with_a_name_that_tells_no_time(atlas: Path, draw_image):
    draw_image(atlas / "train" / "front_tele" / "images" / "odd.jpg")
    with pytest.raises(DataError, match=r"odd\.jpg.*no time of capture"):
        index(atlas, "atlas")


# Roboflow


def roboflow_yolo(root: Path, draw_image, names: list[str], rows: dict[str, str]) -> Path:
    for place, text in rows.items():
        part, stem = place.split("/")
        draw_image(root / part / "images" / f"{stem}.jpg")
        put(root / part / "labels" / f"{stem}.txt", text)
    put(root / "data.yaml", yaml.safe_dump({"train": "../train/images", "val": "../valid/images", "names": names}))
    return root


def test_roboflow_copies_of_an_image_are_one_sequence(tmp_path: Path, draw_image):
    rows = {"train/a_jpg.rf.01": f"0 {ROW}", "train/a_jpg.rf.02": f"0 {ROW}", "valid/b_png.rf.03": f"1 {ROW}"}
    source = roboflow_yolo(tmp_path, draw_image, ["Green-Left", "RED"], rows)
    for place in (source, source / "data.yaml"):
        catalog, _ = index(place, "roboflow")
        assert catalog.frames["sequence"].to_list() == ["a_jpg", "a_jpg", "b_png"]
        assert catalog.frames["split"].to_list() == ["train", "train", "val"]
    assert catalog.annotations.select("state", "pictogram").rows()[1:] == [("green", "arrow_left"), ("red", None)]


def test_roboflow_coco_with_its_unused_category(tmp_path: Path, draw_image):
    name = "a_jpg.rf.01.jpg"
    draw_image(tmp_path / "valid" / name)
    document = {
        "images": [{"id": 0, "file_name": name, "width": 64, "height": 48}],
        "categories": [{"id": 0, "name": "my-lights-xyz", "supercategory": "none"}, {"id": 1, "name": "off"}],
        "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0}],
    }
    put(tmp_path / "valid" / "_annotations.coco.json", json.dumps(document))
    catalog, _ = index(tmp_path / "valid" / "_annotations.coco.json", "roboflow_coco", split="val")
    assert catalog.frames.select("sequence", "split").rows() == [("a_jpg", "val")]
    assert catalog.annotations["state"].to_list() == ["off"]


def test_roboflow_udacity(tmp_path: Path, draw_image):
    names = ["biker", "car", "pedestrian", "trafficLight", "trafficLight-Green", "trafficLight-GreenLeft"]
    names += ["trafficLight-Red", "trafficLight-RedLeft", "trafficLight-Yellow", "trafficLight-YellowLeft", "truck"]
    all_classes = "".join(f"{number} {ROW}\n" for number in range(11))
    second = 10**9
    start = 1_478_019_952_686_311_006
    rows = {
        f"train/{start}_jpg.rf.0a": all_classes,
        f"train/{start}_jpg.rf.0b": "",
        f"valid/{start + second}_jpg.rf.0c": "",
        f"train/{start + 4 * second}_jpg.rf.0d": "",
        f"valid/{start + 60 * second}_jpg.rf.0e": "",
    }
    catalog, _ = index(roboflow_yolo(tmp_path, draw_image, names, rows), "roboflow_udacity")
    sequences = dict(zip(catalog.frames["path"].str.extract(r"rf\.(..)\."), catalog.frames["sequence"], strict=True))
    assert sequences["0a"] == sequences["0b"] == sequences["0c"] == sequences["0d"] != sequences["0e"]
    assert set(catalog.frames.select("weather", "time_of_day", "condition_source").rows()) == {
        ("clear", "daytime", "text")
    }
    lights = catalog.annotations.filter(catalog.annotations["category"] == "traffic_light")
    assert lights.select("state", "pictogram").rows() == [
        ("unknown", "unknown"),
        ("green", "circle"),
        ("green", "arrow_left"),
        ("red", "circle"),
        ("red", "arrow_left"),
        ("yellow", "circle"),
        ("yellow", "arrow_left"),
    ]
    others = catalog.annotations.filter(catalog.annotations["category"] != "traffic_light")
    assert others["category"].to_list() == ["rider", "car", "pedestrian", "truck"]


def test_traffic_light_kr_sample(shared_data: Path):
    source = shared_data / "roboflow_traffic_light_kr"
    with pytest.raises(AnnotationError, match=r"label 'left' \(27\)"):
        index(source, "roboflow")
    catalog, _ = index(source, "roboflow_traffic_light_kr")
    assert Counter(catalog.annotations.select("state", "pictogram").rows()) == {
        ("green", None): 81,
        ("red", None): 43,
        ("green", "arrow_left"): 27,
        ("yellow", None): 8,
    }
    train = catalog.filter('split == "train"')
    assert set(Counter(train.frames["sequence"]).values()) == {3}, "three copies of each photo"
    assert len(catalog.frames["sequence"].unique()) == 18 + 23 + 9


def test_cinta_sample(shared_data: Path):
    catalog, _ = index(shared_data / "roboflow_cinta_v2", "roboflow", parts="val, test")
    assert Counter(catalog.annotations["state"]) == {"red": 47, "green": 27, "yellow": 12}
    assert Counter(catalog.frames["split"]) == {"val": 40, "test": 20}
    assert catalog.frames["sequence"].is_unique().all()


# Others


def test_dualcam_in_its_yolo_form(tmp_path: Path, draw_image):
    states = {"Green": "green", "Red": "red", "Green-up": "green", "Empty-count-down": "off", "Count-down": "unknown"}
    states |= {"Yellow": "yellow", "Empty": "off", "Green-right": "green", "Green-left": "green"}
    states["Red-yellow"] = "red_yellow"
    draw_image(tmp_path / "images" / "0001.jpg")
    put(tmp_path / "yolo" / "0001.txt", "".join(f"{number} 0.{number}5 0.5 0.03 0.2\n" for number in range(10)))
    put(tmp_path / "yolo" / "classes.txt", "\n".join(states))
    catalog, _ = index(tmp_path, "yolo", label_map="dualcam", labels="yolo")
    assert dict(catalog.annotations.select("source_label", "state").rows()) == states


def test_tlony(tmp_path: Path, draw_image):
    names = ["red", "green", "yellow", "red+yellow", "unknown", "pedred", "pedgreen", "pedunknown"]
    assert load_label_map("tlony").class_names == tuple(names)
    draw_image(tmp_path / "train" / "images" / "a.jpg")
    put(tmp_path / "train" / "labels" / "a.txt", "".join(f"{i} {ROW}\n" for i in range(8)))
    put(tmp_path / "data.yaml", yaml.safe_dump({"train": "train/images", "names": names}))
    catalog, _ = index(tmp_path, "tlony")
    assert catalog.annotations.select("state", "pictogram").rows() == [
        *((state, None) for state in ("red", "green", "yellow", "red_yellow", "unknown")),
        *((state, "pedestrian") for state in ("red", "green", "unknown")),
    ]


def test_cocotraffic_with_its_gap_of_ids(tmp_path: Path, draw_image):
    draw_image(tmp_path / "000000000139.jpg")
    names = {10: "traffic light", 13: "stop sign", 3: "car", 92: "traffic_light_red", 93: "traffic_light_green"}
    names[94] = "traffic_light_na"
    document = {
        "images": [{"id": 139, "file_name": "000000000139.jpg", "width": 64, "height": 48}],
        "categories": [{"id": number, "name": name} for number, name in names.items()],
        "annotations": [
            {"id": n + 1, "image_id": 139, "category_id": number, "bbox": [1, 2, 3, 4], "iscrowd": 0}
            for n, number in enumerate(names)
        ],
    }
    put(tmp_path / "train.json", json.dumps(document))
    catalog, _ = index(tmp_path / "train.json", "cocotraffic")
    assert catalog.annotations.select("category", "state", "ignore").rows() == [
        ("traffic_light", None, True),
        ("car", None, False),
        ("traffic_light", "red", False),
        ("traffic_light", "green", False),
        ("traffic_light", "unknown", False),
    ]


# Names in general


@pytest.mark.parametrize(
    ("word", "state", "pictogram"),
    [
        ("Red", "red", None),
        ("RedLeft", "red", "arrow_left"),
        ("amber", "yellow", None),
        ("red+yellow", "red_yellow", None),
        ("Red-Yellow", "red_yellow", None),
        ("red_amber", "red_yellow", None),
        ("traffic_light-Green", "green", None),
        ("orange traffic light", "yellow", None),
        ("green_light", "green", None),
        ("green-forward", "green", "arrow_straight"),
        ("Green up", "green", "arrow_straight"),
        ("ped_red", "red", "pedestrian"),
        ("bike-green", "green", "bicycle"),
        ("green_u_turn", "green", "arrow_uturn"),
        ("red_left_arrow", "red", "arrow_left"),
        ("OFF", "off", None),
        ("unknown", "unknown", None),
        ("circle_unknown", "unknown", "circle"),
        ("unknown_light", None, "unknown"),
        ("pedestrian_light", None, "pedestrian"),
    ],
)
def test_names_that_say_what_they_mean(word, state, pictogram):
    fields = load_label_map("traffic_light_names").label(word)
    assert isinstance(fields, LabelFields)
    assert (fields.category, fields.state, fields.pictogram) == ("traffic_light", state, pictogram)


@pytest.mark.parametrize(
    "word", ["go", "stop", "warning", "orange", "black", "dark", "empty", "none", "left", "up", "bus_red", "light", "0"]
)
def test_names_that_may_mean_something_else_are_not_guessed(word):
    """A stop sign, a sign of danger, a fruit, a red bus, an empty picture, an arrow without a state."""
    assert load_label_map("traffic_light_names").label(word) is None


def test_no_joined_word_has_two_meanings():
    label_map = load_label_map("traffic_light_names")
    found: dict[str, set] = {}
    for state_word, state in label_map.states.items():
        for shape_word, shape in label_map.pictograms.items():
            for joined in (f"{state_word}_{shape_word}", f"{shape_word}_{state_word}"):
                found.setdefault(joined, set()).add((state, shape))
    assert len(found) > 500
    assert [word for word, pairs in found.items() if len(pairs) > 1] == []
    assert set(label_map.labels) & set(label_map.composed) == set()
