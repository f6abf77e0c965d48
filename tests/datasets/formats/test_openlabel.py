from __future__ import annotations

import copy
import json
import math
import random
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tl_datasets.errors import AnnotationError, TlError, UsageError
from tl_datasets.formats import openlabel
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_maps import load_label_map
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import ConditionSource, Scene, State, TimeOfDay, Weather

SIZE = (64, 48)


def camera(uri: str | None = None, name: str = "camera", **more: Any) -> dict[str, Any]:
    return {"streams": {name: {**({} if uri is None else {"uri": uri}), **more}}}


def data(*val: float, **attributes: Any) -> dict[str, Any]:
    """Object data with one box of centre and size, and text, number or flag attributes."""
    typed: dict[str, list] = {}
    for name, value in attributes.items():
        kind = "boolean" if isinstance(value, bool) else "num" if isinstance(value, int) else "text"
        typed.setdefault(kind, []).append({"name": name, "val": value})
    return {"object_data": {"bbox": [{"name": "shape", "val": list(val), "attributes": typed}]}}


# A drive of two frames: what tools write, with the words of the standard and ours.
DRIVE = {
    "openlabel": {
        "metadata": {"schema_version": "1.0.0", "annotator": "A"},
        "ontologies": {"0": "https://openlabel.asam.net/V1-0-0/ontologies/"},
        "resources": {"0": "a/1.png", "1": "a/2.png", "2": "map.xodr"},
        "streams": {
            "front": {
                "type": "camera",
                "stream_properties": {"intrinsics_pinhole": {"width_px": 64, "height_px": 48}},
            },
            "top": {"type": "lidar", "uri": "top.pcd"},
        },
        "objects": {
            "0": {
                "name": "light",
                "type": "TrafficLight",
                "ontology_uid": "0",
                "frame_intervals": [{"frame_start": 3, "frame_end": 4}],
                "object_data": {"text": [{"name": "relevance", "val": "relevant"}]},
                "object_data_pointers": {"shape": {"type": "bbox", "frame_intervals": []}},
            },
            "1": {"name": "sign", "type": "traffic sign"},
        },
        "frames": {
            "3": {
                "frame_properties": {"timestamp": "2021-01-01", **camera("a/1.png", "front")},
                "objects": {"0": data(20, 15, 10, 20, state="red", occluded=True, aspects=3, colour="bright")},
            },
            "4": {
                "frame_properties": camera("a/2.png", "front"),
                "objects": {"0": data(21, 15, 10, 20), "1": data(40, 20, 4, 4)},
            },
        },
        "tags": {
            "0": {"type": "weather", "resource_uid": {"0": "1"}, "tag_data": {"text": [{"name": "v", "val": "rainy"}]}},
            "1": {"type": "time_of_day", "resource_uid": {"1": "2", "0": "1"}, "tag_data": "night"},
            "2": {"type": "tunnel", "ontology_uid": "0"},
        },
    }
}


@pytest.fixture
def read(tmp_path, draw_image):
    """Write a document and images of 64x48 beside it, and read it."""

    def run(document: Any, *names: str, file: str = "scene.json", **options) -> tuple[list[Frame], ReadReport]:
        for name in names or ("a/1.png", "a/2.png"):
            if not (tmp_path / "set" / name).exists():
                draw_image(tmp_path / "set" / name, *SIZE)
        path = tmp_path / "set" / file
        path.write_text(json.dumps(document), encoding="utf-8")
        report = ReadReport()
        return list(openlabel.read(path, report=report, **options)), report

    return run


def changed(*path: Any, value: Any, of: Any = DRIVE) -> Any:
    """The drive with one place replaced."""
    document = copy.deepcopy(of)
    node = document["openlabel"]
    for key in path[:-1]:
        node = node.setdefault(key, {}) if isinstance(node, dict) else node[key]
    node[path[-1]] = value
    return document


def test_a_drive(read):
    frames, report = read(DRIVE)
    assert [frame.frame_id for frame in frames] == ["a/1", "a/2"]
    assert [frame.sequence for frame in frames] == ["scene", "scene"]
    one, two = frames
    (light,) = one.annotations
    assert light.xyxy == (15, 5, 25, 25)
    assert (light.category, light.source_label, light.track_id) == ("traffic_light", "TrafficLight", "0")
    assert (light.state, light.occluded, light.aspects, light.relevance) == (State.RED, True, 3, "relevant")
    assert [(box.xyxy, box.category, box.track_id) for box in two.annotations] == [
        ((16, 5, 26, 25), "traffic_light", "0"),
        ((38, 18, 42, 22), "traffic_sign", None),
    ]
    assert (two.annotations[0].state, two.annotations[0].relevance) == (None, "relevant")
    assert (one.weather, one.time_of_day, one.scene) == (Weather.RAINY, TimeOfDay.NIGHT, Scene.TUNNEL)
    assert (two.weather, two.time_of_day, two.scene) == (None, TimeOfDay.NIGHT, Scene.TUNNEL)
    assert one.condition_source is ConditionSource.ANNOTATED
    assert report.total == 2
    assert not report.counts
    assert set(report.content_hashes) == {"a/1", "a/2"}


def test_options(read):
    bare = read(DRIVE, attributes=False)[0][0]
    assert (bare.weather, bare.annotations[0].state, bare.sequence) == (None, None, "scene")
    assert read(DRIVE, split="val")[0][1].split == "val"
    empty = changed("frames", "3", "objects", value={})
    assert read(empty)[0][0].annotations == ()
    assert read(empty, empty="unlabelled")[0][0].annotations is None
    missing = changed("frames", "3", "frame_properties", value=camera("a/9.png", "front"))
    assert len(read(missing, missing_images="drop")[0]) == 1
    kept = read(missing, missing_images="keep")[0][0]
    assert (kept.path, kept.width_px) == ("a/9.png", 64)
    reversed_box = changed("frames", "3", "objects", "0", value=data(5, 5, -2, 2))
    assert read(reversed_box, on_bad_box="drop")[0][0].annotations == ()


def test_a_box_is_centre_and_size(read):
    """Read as top-left and size, the box would lie elsewhere: the most common mistake with this format."""
    frames, _ = read(changed("frames", "3", "objects", "0", value=data(20.5, 15.25, 3, 4.5)))
    assert frames[0].annotations[0].xyxy == (19, 13, 22, 17.5)


ROW = math.sqrt(2) / 2
SHAPES = [
    ({"rbbox": [{"name": "r", "val": [20, 20, 10, 4, math.pi / 2]}]}, (18, 15, 22, 25), Event.ROTATED_TO_BOX),
    ({"rbbox": [{"name": "r", "val": [20, 20, 10, 10, -math.pi / 4]}]},
     (20 - 10 * ROW, 20 - 10 * ROW, 20 + 10 * ROW, 20 + 10 * ROW), Event.ROTATED_TO_BOX),
    ({"poly2d": [{"name": "p", "val": [1, 2, 9, 3, 4, 8.5], "mode": "MODE_POLY2D_ABSOLUTE", "closed": True}]},
     (1, 2, 9, 8.5), Event.POLYGON_TO_BOX),
    ({"poly2d": [{"name": "p", "val": ["1", "a"], "mode": "MODE_POLY2D_SRF6DCC", "closed": True}]}, None, Event.NO_BOX),
    ({"cuboid": [{"name": "c", "val": [0] * 9}]}, None, Event.NO_BOX),
    ({}, None, Event.NO_BOX),
    ({"bbox": [{"name": "b", "val": [20, 20, 2, 2]}], "cuboid": [{"name": "c", "val": [0] * 9}]},
     (19, 19, 21, 21), None),
    ({"bbox": [{"name": "b", "val": [20, 20, 2, 2]}], "poly2d": [{"name": "p", "val": [1, 1, 2, 2, 3, 1]}]},
     (19, 19, 21, 21), None),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "xyxy", "event"), SHAPES)
def test_shapes(read, shape, xyxy, event):
    frames, report = read(changed("frames", "3", "objects", "0", value={"object_data": shape}))
    boxes = frames[0].annotations
    assert [box.xyxy for box in boxes] == ([] if xyxy is None else [pytest.approx(xyxy)])
    assert {kind for kind, _ in report.counts} == ({event} if event else set())


def test_what_is_said_of_an_object_as_a_whole_holds_in_its_intervals(read):
    document = copy.deepcopy(DRIVE)
    root = document["openlabel"]
    static = {"type": "TrafficLight", "name": "x", **data(10, 10, 4, 4, state="green")}
    root["objects"] |= {
        "2": {**static, "frame_intervals": [{"frame_start": 4, "frame_end": 4}]},
        "3": static,
        "4": {**static, "frame_intervals": [{"frame_start": 3, "frame_end": 4}]},
    }
    root["frames"]["4"]["objects"]["4"] = {"object_data": {"text": [{"name": "state", "val": "off"}]}}
    one, two = read(document)[0]
    found = [(box.track_id, box.state) for box in one.annotations]
    assert found == [("0", State.RED), (None, State.GREEN), ("4", State.GREEN)]
    found = [(box.track_id, box.state) for box in two.annotations]
    # What the frame says of object 4 comes before what holds always; its shape is that of the object.
    assert found == [("0", None), (None, None), ("4", State.OFF), (None, State.GREEN), (None, State.GREEN)]


def test_frames_that_only_intervals_name(read):
    """The drive has a frame 5 in which nothing was seen: it is a true negative, once its image is known."""
    document = changed("frame_intervals", value=[{"frame_start": 3, "frame_end": 5}])
    with pytest.raises(AnnotationError, match=r"frame 5: names no image; expected frame_properties.streams"):
        read(document)
    frames, _ = read(document, "a/1.png", "a/2.png", "a/00005.png", frame_names="a/%05d.png")
    assert [(frame.path, len(frame.annotations)) for frame in frames][2] == ("a/00005.png", 0)


def one_image(**more: Any) -> dict[str, Any]:
    objects = {"7": {"name": "x", "type": "red", **data(10, 10, 4, 4)}}
    return {"openlabel": {"metadata": {"schema_version": "1.0.0"}, "objects": objects, **more}}


@pytest.mark.parametrize(
    "more",
    [
        {"streams": {"camera": {"type": "camera", "uri": "a/1.png"}}},
        {"resources": {"0": "a/1.png"}},
        {},
    ],
)
def test_a_file_of_one_image(read, more):
    frames, _ = read(one_image(**more), "a/1.png", "a/2.png", file="1.json")
    assert [frame.path for frame in frames] == ["a/1.png"]
    (light,) = frames[0].annotations
    assert (light.state, light.track_id, frames[0].sequence) == (State.RED, None, None)


def test_images_named_by_a_pattern(read):
    document = changed("streams", "front", value={"uri": "v/%03d.png"})
    for frame in document["openlabel"]["frames"].values():
        frame.pop("frame_properties")
    frames, _ = read(document, "v/003.png", "v/004.png")
    assert [frame.path for frame in frames] == ["v/003.png", "v/004.png"]
    document["openlabel"]["streams"]["front"]["uri"] = "drive.mp4"
    frames, _ = read(document, "v/003.png", "v/004.png", frame_names="v/%03d.png")
    assert [frame.path for frame in frames] == ["v/003.png", "v/004.png"]
    with pytest.raises(AnnotationError, match="frame 3: names no image"):
        read(document)
    for pattern, message in (("v/%03d", "no suffix"), ("v", "expected one number"), ("%s.png", "expected one number")):
        with pytest.raises(UsageError, match=message):
            read(document, frame_names=pattern)


def test_several_cameras(read):
    document = changed("streams", "rear", value={"type": "camera", "uri": "r/%d.png"})
    second = {"name": "rear", "val": [5, 5, 2, 2], "coordinate_system": "rear"}
    document["openlabel"]["frames"]["3"]["objects"]["0"]["object_data"]["bbox"].append(second)
    with pytest.raises(
        AnnotationError, match=r"has 2 camera streams, 'front, rear'; expected one: choose it with stream="
    ):
        read(document)
    front, report = read(document, stream="front")
    assert [frame.path for frame in front] == ["a/1.png", "a/2.png"]
    assert len(front[0].annotations) == 1
    assert report.count(Event.OTHER_STREAM) == 1
    rear, _ = read(document, "r/3.png", "r/4.png", stream="rear")
    assert [frame.path for frame in rear] == ["r/3.png", "r/4.png"]
    with pytest.raises(AnnotationError, match="has no camera stream 'left'; expected one of 'front, rear'"):
        read(document, stream="left")


def test_a_folder_is_read_file_by_file(read, tmp_path):
    read(DRIVE)
    other = copy.deepcopy(DRIVE)
    for frame, name in zip(other["openlabel"]["frames"].values(), ("b/1.png", "b/2.png"), strict=True):
        frame["frame_properties"] = camera(name, "front")
    read(other, "b/1.png", "b/2.png", file="two.json")
    (tmp_path / "set" / "conversion.json").write_text("{}")
    frames = list(openlabel.read(tmp_path / "set", report=ReadReport()))
    assert [(frame.frame_id, frame.sequence) for frame in frames] == [
        ("a/1", "scene"),
        ("a/2", "scene"),
        ("b/1", "two"),
        ("b/2", "two"),
    ]
    (tmp_path / "set" / "three.json").write_text(json.dumps(DRIVE))
    with pytest.raises(AnnotationError, match=r"two.json|frame 'a/1', as is another"):
        list(openlabel.read(tmp_path / "set", report=ReadReport()))
    (tmp_path / "none").mkdir()
    with pytest.raises(AnnotationError, match="has no JSON file"):
        openlabel.read(tmp_path / "none", report=ReadReport())


def test_tags_that_say_nothing_are_counted(read):
    _, report = read(changed("tags", "9", value={"type": "MotionDrive", "tag_data": "x"}))
    assert report.to_dict()["tag_left_out"]["details"] == {"MotionDrive": 2}


FAULTS = [
    ([], "has no object 'openlabel'"),
    ({"vcd": {}}, "has no object 'openlabel'; expected a file of OpenLABEL 1.0"),
    (changed("metadata", "schema_version", value="0.3.0"), "schema_version is '0.3.0', expected 1.0.0"),
    (changed("frames", value=[]), r"frames is \[\], expected an object"),
    (changed("frames", "x", value={}), "number of a frame is 'x', expected a whole number"),
    (changed("frames", "03", value={}), "frame '03' occurs twice"),
    (changed("frames", "3", "objects", "9", value={}), "frame 3 object 9: is not among the objects"),
    (changed("objects", "0", "type", value=None), "frame 3 object 0: type is None, expected the word of a class"),
    (changed("objects", "0", "type", value="Lamp"), r"does not know: label 'Lamp' \(2\)"),
    (changed("frames", "3", "objects", "0", value=data(1, 2, 3)), r"val of bbox is \[1, 2, 3\], expected 4 numbers"),
    (changed("frames", "3", "objects", "0", value=data(1, 2, 3, "x")), "val of bbox is 'x', expected a number"),
    (changed("frames", "3", "objects", "0", value=data(1, 2, 3, math.inf)), "val of bbox is inf, expected a number"),
    (changed("frames", "3", "objects", "0", value=data(9, 9, -3, 3)), "is reversed or has no area"),
    (changed("frames", "3", "objects", "0", value=data(90, 9, 3, 3)), "lies outside its image of 64x48"),
    (changed("frames", "3", "objects", "0", value=data(9, 9, 3, 3, state="violet")), "attribute state is 'violet'"),
    (changed("frames", "3", "objects", "0", value={"object_data": {"rbbox": [{"val": [1, 2, 3, 4]}]}}),
     "expected 5 numbers"),
    (changed("frames", "3", "objects", "0", value={"object_data": {"poly2d": [{"val": [1, 2, 3, 4]}]}}),
     "three or more"),
    (changed("frames", "3", "objects", "0", value={"object_data": {"text": [{"name": "state"}]}}),
     "'state' has no val"),
    (changed("frames", "3", "objects", "0", value={"object_data": {"bbox": {}}}), r"bbox is \{\}, expected a list"),
    (changed("frames", "3", "frame_properties", value=camera("../a.png", "front")), "leaves its root|no image"),
    (changed("frames", "3", "frame_properties", value=camera("/etc/passwd", "front")), "leaves its root|no image"),
    (changed("frames", "3", "frame_properties", value=camera("a/9.png", "front")), "frame 3: no image 'a/9.png' in"),
    (changed("frames", "3", "frame_properties", value=camera("a/2.png", "front")), "is the frame 'a/2', as is another"),
    (changed("frames", "3", "frame_properties", value=camera("", "front")), "uri is '', expected the path of an image"),
    (changed("frames", "3", "frame_properties", value=camera("a/1.png", "front", stream_properties={"width": 65})),
     "declares 65x48 for a/1.png, which is 64x48"),
    (changed("frames", "3", "frame_properties", "split", value=["a"]), "attribute split is"),
    (changed("frames", "3", "frame_properties", "label_status", value="unlabelled"), "something is drawn"),
    (changed("frame_intervals", value=[{"frame_start": 5, "frame_end": 4}]),
     "frame interval .* expected frame_start up to"),
    (changed("frame_intervals", value=[{"frame_start": 0, "frame_end": 10**9}]), "of more than 1000000 frames"),
    (changed("tags", "0", "type", value=3), "tag 0: type is 3, expected a word"),
    (changed("tags", "0", "tag_data", value="violet"), "attribute weather is 'violet', expected one of"),
    (changed("tags", "5", value={"type": "weather", "tag_data": "snowy"}), "weather is 'rainy' and 'snowy'"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "message"), FAULTS)
def test_faults(read, document, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        read(document)
    assert "\n" not in str(caught.value)


def test_no_file_of_json(tmp_path):
    (tmp_path / "a.json").write_text("<annotations/>")
    with pytest.raises(AnnotationError, match="not JSON"):
        openlabel.read(tmp_path / "a.json", report=ReadReport())


@pytest.mark.parametrize("seed", range(6))
def test_written_files_come_back_whole(random_catalog, read_back, losses_between, tmp_path, seed):
    """Also where a track has several categories, or stands twice in a frame."""
    catalog = random_catalog(seed)
    out = tmp_path / "written"
    out.mkdir()
    report = WriteReport()
    places = openlabel.write(catalog, out, report=report)
    assert [path.name for path in sorted(out.iterdir())] == [f"scene_{n:06d}.json" for n in range(3)]
    again = read_back(catalog, places, out, openlabel.read, out)
    assert losses_between(catalog, again) == report.to_dict() == {}


ODD_IDS = ["a b", 'a"<&>', "../../x", "/abs", "Ä ß", "a?b", " a", "a", "x\u0001y", "a\nb", "100%d", ""]


def test_odd_texts_survive_or_are_counted(make_catalog, draw_image, read_back, losses_between, tmp_path):
    texts = ["null", "", " x ", "a\x01b", "<&>\"'", "a\nb", None]
    frames = []
    for number, frame_id in enumerate(ODD_IDS):
        boxes = tuple(Annotation(xyxy=(1 / 3, 2e-7, 10, 12.1), source_label=text, track_id=text) for text in texts)
        sequence, split = texts[number % len(texts)], texts[(number + 1) % len(texts)]
        draw_image(tmp_path / f"{number}.png", *SIZE)
        frames.append(
            Frame(
                frame_id=frame_id,
                path=f"{number}.png",
                width_px=64,
                height_px=48,
                sequence=sequence,
                split=split,
                annotations=boxes,
            )
        )
    hashes = {frame.frame_id: sha256((tmp_path / frame.path).read_bytes()).hexdigest() for frame in frames}
    catalog = make_catalog(*frames, hashes=hashes)
    out = tmp_path / "written"
    out.mkdir()
    report = WriteReport()
    places = openlabel.write(catalog, out, report=report)
    again = read_back(catalog, places, out, openlabel.read, out)
    assert losses_between(catalog, again) == report.to_dict()
    assert report.losses["frame.frame_id"] == 1
    assert report.losses["box.source_label"] == len(ODD_IDS)


def written(catalog, out: Path) -> list[dict[str, Any]]:
    openlabel.write(catalog, out, report=WriteReport())
    return [json.loads(path.read_text())["openlabel"] for path in sorted(out.glob("*.json"))]


def test_an_independent_reading_agrees(random_catalog, tmp_path):
    """By the words of the schema alone: centre, width and height; tags lead to images through resources."""
    catalog = random_catalog(5)
    frames = {frame.frame_id: frame for frame in catalog.iter_frames()}
    n_boxes = n_tags = 0
    for root in written(catalog, tmp_path):
        for number, record in root["frames"].items():
            uri = record["frame_properties"]["streams"]["camera"]["uri"]
            frame = frames[uri.removeprefix("images/").removesuffix(".png")]
            for own, (uid, seen) in zip(frame.annotations or (), record.get("objects", {}).items(), strict=True):
                x, y, w, h = seen["object_data"]["bbox"][0]["val"]
                assert (x - w / 2, y - h / 2, x + w / 2, y + h / 2) == pytest.approx(own.xyxy, abs=0.01)
                kind = re.sub("(?<=[a-z])(?=[A-Z])", "_", root["objects"][uid]["type"]).lower()
                assert kind == own.category
                spans = root["objects"][uid]["frame_intervals"]
                assert any(span["frame_start"] <= int(number) <= span["frame_end"] for span in spans)
                n_boxes += 1
            words = {
                tag["type"]: tag["tag_data"]["text"][0]["val"]
                for tag in root["tags"].values()
                if uri in {root["resources"][uid] for uid in tag["resource_uid"]}
            }
            own_words = {name: getattr(frame, name) for name in ("weather", "scene", "time_of_day")}
            assert words == {name: word for name, word in own_words.items() if word is not None}
            n_tags += len(words)
    assert n_boxes == len(catalog.annotations)
    assert n_tags > 10


UID = re.compile(r"-?[0-9]+")
# Of the schema 1.0.0: what each kind of object may hold, where it allows nothing else, and what it must hold.
ALLOWED = {
    "root": {"metadata", "ontologies", "resources", "tags", "streams", "objects", "frames", "frame_intervals"},
    "object": {"name", "type", "ontology_uid", "frame_intervals", "object_data", "resource_uid", "coordinate_system"},
    "frame": {"frame_properties", "objects"},
    "stream": {"type", "uri", "description", "stream_properties"},
    "object_data": {"bbox", "text", "num", "boolean", "vec"},
    "attributes": {"text", "num", "boolean", "vec"},
    "frame_interval": {"frame_start", "frame_end"},
    "tag_data": {"text", "num", "boolean", "vec"},
}
TYPES = {"text": str, "num": (int, float), "boolean": bool}


def check(kind: str, record: dict[str, Any], *required: str) -> None:
    assert set(record) <= ALLOWED[kind], kind
    assert set(required) <= set(record), kind


def check_typed(record: dict[str, list]) -> None:
    for kind, items in record.items():
        for item in items:
            assert isinstance(item["name"], str)
            assert isinstance(item["val"], TYPES[kind])
            assert kind == "boolean" or not isinstance(item["val"], bool)


def check_structure(root: dict[str, Any]) -> None:
    """The facts of the schema 1.0.0 that concern what we write."""
    check("root", root, "metadata")
    assert root["metadata"]["schema_version"] == "1.0.0"
    for part in ("ontologies", "resources", "tags", "objects", "frames"):
        assert all(UID.fullmatch(uid) for uid in root[part]), part
    assert all(isinstance(text, str) for part in ("ontologies", "resources") for text in root[part].values())
    for stream in root["streams"].values():
        check("stream", stream)
        assert stream["type"] in {"camera", "lidar", "radar", "gps_imu", "other"}
    for span in [
        *root["frame_intervals"],
        *(span for item in root["objects"].values() for span in item["frame_intervals"]),
    ]:
        check("frame_interval", span)
        assert 0 <= span["frame_start"] <= span["frame_end"] < len(root["frames"])
    for item in root["objects"].values():
        check("object", item, "name", "type")
        assert isinstance(item["name"], str)
        assert item["ontology_uid"] in root["ontologies"]
    for tag in root["tags"].values():
        assert isinstance(tag["type"], str)
        assert set(tag["resource_uid"]) <= set(root["resources"])
        check("tag_data", tag["tag_data"])
        check_typed(tag["tag_data"])
    for frame in root["frames"].values():
        check("frame", frame)
        for stream in frame["frame_properties"]["streams"].values():
            check("stream", stream)
        for uid, seen in frame.get("objects", {}).items():
            assert uid in root["objects"]
            assert set(seen) == {"object_data"}
            check("object_data", seen["object_data"])
            for box in seen["object_data"]["bbox"]:
                assert isinstance(box["name"], str)
                assert len(box["val"]) == 4
                check("attributes", box["attributes"])
                check_typed(box["attributes"])


@pytest.mark.parametrize("seed", range(3))
def test_what_we_write_has_the_structure_of_the_standard(random_catalog, tmp_path, seed):
    roots = written(random_catalog(seed), tmp_path)
    assert len(roots) == 3
    for root in roots:
        check_structure(root)


def test_frames_without_a_sequence_are_divided_into_files(make_catalog, tmp_path, monkeypatch):
    monkeypatch.setattr("tl_datasets.formats.openlabel_write._ALONE_PER_FILE", 2)
    frames = [
        Frame(
            frame_id=f"{n}",
            path=f"{n}.png",
            width_px=64,
            height_px=48,
            annotations=None,
            sequence="s" if n == 2 else None,
        )
        for n in range(6)
    ]
    roots = written(make_catalog(*frames), tmp_path)
    assert [len(root["frames"]) for root in roots] == [2, 1, 2, 1]
    assert [root["metadata"].get("name") for root in roots] == [None, "s", None, None]
    again = list(openlabel.read(tmp_path, report=ReadReport(), missing_images="keep"))
    assert {frame.frame_id: (frame.sequence, frame.annotations) for frame in again} == {
        f"{n}": ("s" if n == 2 else None, None) for n in range(6)
    }


JUNK = [None, -1, math.nan, "", "../../etc/passwd", "9" * 5000, 2**70, [], [None], {}, {"a": 1}, True]


def places(node: Any, place: tuple = ()):
    yield place
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from places(child, (*place, key))


def test_junk_is_answered_with_one_line(read, tmp_path):
    rng = random.Random(0)
    options = {"label_map": load_label_map("traffic_light_names")}
    refused = 0
    for place in list(places(DRIVE))[1:]:
        for junk in rng.sample(JUNK, 2):
            document = copy.deepcopy(DRIVE)
            node = document
            for key in place[:-1]:
                node = node[key]
            node[place[-1]] = junk
            try:
                read(document, **options)
            except TlError as error:
                assert "\n" not in str(error), place
                refused += 1
    assert refused > 80
    assert len(read(DRIVE, **options)[0]) == 2


def test_the_catalog_of_real_frames_comes_back(shared_data: Path, read_back, losses_between, tmp_path):
    from tl_datasets.index import index

    catalog = index(shared_data / "bdd100k", "bdd100k")[0]
    catalog = catalog.with_frames(catalog.frames.head(40))
    report = WriteReport()
    places = openlabel.write(catalog, tmp_path, report=report)
    again = read_back(catalog, places, tmp_path, openlabel.read, tmp_path)
    assert losses_between(catalog, again) == report.to_dict() == {}
