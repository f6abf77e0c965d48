from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from hashlib import sha256
from pathlib import Path

import pytest
from globox import AnnotationSet

from tl_datasets.catalog import Catalog
from tl_datasets.errors import AnnotationError, TlError, UsageError
from tl_datasets.formats import cvat
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_maps import load_label_map
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import ConditionSource, Pictogram, Scene, State, TimeOfDay, Weather

# Form of a task export, with what the tool writes around the boxes (docs.cvat.ai, XML annotation format 1.1).
TASK = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>7</id>
      <name>junctions</name>
      <size>2</size>
      <mode>annotation</mode>
      <subset>Train</subset>
      <labels><label><name>traffic_light</name><color>#fa3253</color><type>any</type></label></labels>
    </task>
    <dumped>2024-02-03 10:11:12.000000+00:00</dumped>
  </meta>
  <image id="0" name="a/1.png" width="64" height="48">
    <box label="traffic_light" source="manual" occluded="1" xtl="10.50" ytl="5.25" xbr="20.00" ybr="30.00" z_order="0">
      <attribute name="state">red</attribute>
      <attribute name="quality">good</attribute>
    </box>
    <tag label="weather" source="manual"><attribute name="value">rainy</attribute></tag>
  </image>
  <image id="1" name="a/2.png" width="64" height="48">
  </image>
</annotations>
"""
# Cut from an export of app.cvat.ai (job of ten frames): every frame is written, also between the keyframes; boxes are
# open elements; the frame after an outside mark is absent.
JOB = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <job><id>4344203</id><size>10</size><mode>interpolation</mode>
      <start_frame>0</start_frame><stop_frame>9</stop_frame>
    </job>
    <original_size><width>640</width><height>360</height></original_size>
  </meta>
  <track id="0" label="traffic_light" source="manual">
    <box frame="0" keyframe="1" outside="0" occluded="0" xtl="206.22" ytl="148.71" xbr="233.82" ybr="206.68" z_order="0">
    </box>
    <box frame="1" keyframe="0" outside="0" occluded="0" xtl="206.22" ytl="148.71" xbr="233.82" ybr="206.68" z_order="0">
    </box>
    <box frame="2" keyframe="1" outside="1" occluded="0" xtl="206.22" ytl="148.71" xbr="233.82" ybr="206.68" z_order="0">
    </box>
    <box frame="7" keyframe="1" outside="0" occluded="0" xtl="206.90" ytl="148.63" xbr="232.30" ybr="208.84" z_order="0">
    </box>
    <box frame="8" keyframe="1" outside="0" occluded="0" xtl="204.84" ytl="148.63" xbr="230.24" ybr="208.84" z_order="0">
    </box>
  </track>
</annotations>
"""  # noqa: E501


SIZE = (64, 48)
VIDEO = [f"images/frame_{number:06d}.png" for number in range(10)]


@pytest.fixture
def read_text(tmp_path, draw_image):
    """Write a file and images of 64x48 beside it, and read it."""

    def read(text: str, *names: str, size=SIZE, **options) -> tuple[list[Frame], ReadReport]:
        for name in names or ("images/a/1.png", "images/a/2.png"):
            if not (tmp_path / "set" / name).exists():
                draw_image(tmp_path / "set" / name, *size)
        (tmp_path / "set").mkdir(exist_ok=True)
        path = tmp_path / "set" / "annotations.xml"
        path.write_text(text, encoding="utf-8")
        report = ReadReport()
        return list(cvat.read(path, report=report, **options)), report

    return read


def image_of(*shapes: str, name: str = "a/1.png", meta: str = "") -> str:
    return (
        f"<annotations><version>1.1</version><meta>{meta}</meta>"
        f'<image id="0" name="{name}" width="64" height="48">{"".join(shapes)}</image></annotations>'
    )


def box(attributes: str = "", label: str = "traffic_light", xyxy=(10, 5, 20, 30), **more: object) -> str:
    extra = "".join(f' {name}="{value}"' for name, value in more.items())
    x1, y1, x2, y2 = xyxy
    return f'<box label="{label}" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"{extra}>{attributes}</box>'


def attribute(name: str, value: str) -> str:
    return f'<attribute name="{name}">{value}</attribute>'


def test_a_task_for_images(read_text):
    frames, report = read_text(TASK)
    assert [frame.frame_id for frame in frames] == ["a/1", "a/2"]
    light = Annotation(
        xyxy=(10.5, 5.25, 20, 30),
        state=State.RED,
        occluded=True,
        source_label="traffic_light",
        category="traffic_light",
    )
    assert frames[0].annotations == (light,)
    assert frames[0].weather is Weather.RAINY
    assert frames[0].condition_source is ConditionSource.ANNOTATED
    assert frames[0].split == "train"
    assert frames[0].sequence is None
    assert frames[1].annotations == ()
    assert (frames[1].weather, frames[1].condition_source) == (None, None)
    assert report.root is not None
    assert report.root.name == "images"
    assert report.total == 2
    assert set(report.content_hashes) == {"a/1", "a/2"}
    assert not report.counts


def test_options(read_text):
    assert read_text(TASK, empty="unlabelled")[0][1].annotations is None
    assert read_text(TASK, split="val")[0][0].split == "val"
    bare = read_text(TASK, attributes=False)[0][0]
    assert (bare.weather, bare.annotations[0].state, bare.annotations[0].occluded) == (None, None, True)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("images/1.png", "images/1.png"),
        ("1.png", "1.png"),
        ("a\\1.png", "images/a/1.png"),
        ("1.png", "../images/1.png"),
    ],
)
def test_where_images_lie(read_text, name, file):
    frames, report = read_text(image_of(name=name), file)
    assert (report.root / frames[0].path).samefile(report.root / name.replace("\\", "/"))


SHAPES = [
    # what, shape, field, value
    ("state in capitals", box(attribute("State", "Red-Yellow")), "state", State.RED_YELLOW),
    ("off is a dark lamp", box(attribute("state", "off")), "state", State.OFF),
    ("unknown is a word", box(attribute("state", "unknown")), "state", State.UNKNOWN),
    ("null is none", box(attribute("state", "null")), "state", None),
    ("empty is none", box(attribute("state", "")), "state", None),
    ("the label gives the state", box(label="RedLeft"), "state", State.RED),
    ("the attribute replaces it", box(attribute("state", "green"), label="RedLeft"), "state", State.GREEN),
    ("null replaces it too", box(attribute("state", "null"), label="RedLeft"), "state", None),
    ("the label gives the pictogram", box(label="RedLeft"), "pictogram", Pictogram.ARROW_LEFT),
    ("aspects", box(attribute("aspects", "3")), "aspects", 3),
    ("checkbox", box(attribute("truncated", "true")), "truncated", True),
    ("ignore", box(attribute("ignore", "true")), "ignore", True),
    ("not ignored", box(attribute("ignore", "false")), "ignore", False),
    ("track", box(attribute("track_id", "B7")), "track_id", "B7"),
    ("the switch is off", box(occluded=0), "occluded", False),
    ("the switch is on", box(occluded=1), "occluded", True),
    ("no switch", box(), "occluded", None),
    ("nobody looked", box(attribute("occluded", "null"), occluded=0), "occluded", None),
    ("the switch was set later", box(attribute("occluded", "null"), occluded=1), "occluded", True),
    ("an attribute of another project", box(attribute("occluded", "true"), occluded=0), "occluded", True),
    ("the label is the source label", box(label="RedLeft"), "source_label", "RedLeft"),
    ("but for the attribute", box(attribute("source_label", "R-L")), "source_label", "R-L"),
    ("which may be none", box(attribute("source_label", "")), "source_label", None),
    ("or the text null", box(attribute("source_label", "null")), "source_label", "null"),
    ("not turned", box(rotation=0), "xyxy", (10, 5, 20, 30)),
    ("turned by a quarter", box(rotation=90), "xyxy", pytest.approx((2.5, 12.5, 27.5, 22.5))),
    ("turned by nearly a whole", box(rotation=330, xyxy=(20, 20, 30, 30)), "xyxy",
     pytest.approx((25 - 6.830127, 25 - 6.830127, 25 + 6.830127, 25 + 6.830127))),
    ("polygon", '<polygon label="traffic_light" points="1.5,2;9,3;4,8.5"/>', "xyxy", (1.5, 2, 9, 8.5)),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "field", "value"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES])
def test_shapes(read_text, shape, field, value):
    frames, _ = read_text(image_of(shape))
    assert getattr(frames[0].annotations[0], field) == value


def test_what_has_no_box_is_counted(read_text):
    others = '<polyline label="lane" points="1,1;2,2"/><points label="p" points="1,1"/><mask label="sky" rle="1"/>'
    nested = f'<skeleton label="man">{box()}</skeleton>'
    turned = box(rotation=10) + '<polygon label="car" points="1,1;5,1;5,5"/>'
    frames, report = read_text(image_of(others, nested, turned))
    assert [item.category for item in frames[0].annotations] == ["traffic_light", "car"]
    assert report.to_dict()["no_box"]["details"] == {"lane": 1, "p": 1, "sky": 1, "man": 1}
    assert report.count(Event.POLYGON_TO_BOX) == report.count(Event.ROTATED_TO_BOX) == 1
    # An image in which something is drawn was looked at.
    assert read_text(image_of(others), empty="unlabelled")[0][0].annotations == ()


TAGS = [
    ('<tag label="weather"><attribute name="value">Partly-Cloudy</attribute></tag>',
     {"weather": Weather.PARTLY_CLOUDY}),
    ('<tag label="TimeOfDay"><attribute name="timeofday">night</attribute></tag>', {"time_of_day": TimeOfDay.NIGHT}),
    ('<tag label="rainy"/><tag label="tunnel"/>', {"weather": Weather.RAINY, "scene": Scene.TUNNEL}),
    ('<tag label="any"><attribute name="split">val</attribute><attribute name="Scene">highway</attribute></tag>',
     {"split": "val", "scene": Scene.HIGHWAY}),
    ('<tag label="frame"><attribute name="weather">null</attribute></tag>', {"weather": None}),
    ('<tag label="rainy"/><tag label="weather"><attribute name="w">rainy</attribute></tag>',
     {"weather": Weather.RAINY}),
]  # fmt: skip


@pytest.mark.parametrize(("tags", "fields"), TAGS)
def test_tags(read_text, tags, fields):
    frames, report = read_text(image_of(tags))
    assert {name: getattr(frames[0], name) for name in fields} == fields
    assert not report.counts
    assert frames[0].annotations == ()


def test_tags_that_say_nothing_are_counted(read_text):
    _, report = read_text(image_of('<tag label="blurred"/><tag label="undefined"/><tag label="weather"/>'))
    assert report.to_dict()["tag_left_out"]["details"] == {"blurred": 1, "undefined": 1, "weather": 1}


def test_words_of_tags_go_through_the_label_map(read_text, tmp_path):
    (tmp_path / "own.yaml").write_text("extends: traffic_light_names\nconditions: {weather: {drizzle: rainy}}\n")
    tags = '<tag label="weather"><attribute name="value">drizzle</attribute></tag>'
    assert read_text(image_of(tags), label_map=tmp_path / "own.yaml")[0][0].weather is Weather.RAINY
    assert read_text(image_of('<tag label="Drizzle"/>'), label_map=tmp_path / "own.yaml")[0][0].weather is Weather.RAINY
    with pytest.raises(AnnotationError, match="attribute weather is 'drizzle', expected one of clear"):
        read_text(image_of(tags))


def test_projects_and_videos_in_the_form_for_images(read_text):
    meta = (
        "<project><tasks>"
        "<task><id>1</id><name>drive A</name><mode>interpolation</mode><subset>Validation</subset></task>"
        "<task><id>2</id><name>photos</name><mode>annotation</mode></task></tasks></project>"
    )
    text = image_of(meta=meta).replace('id="0"', 'id="0" task_id="1"')
    text = text.replace(
        "</annotations>", '<image name="a/2.png" task_id="2" subset="test" width="64" height="48"/></annotations>'
    )
    one, two = read_text(text)[0]
    assert (one.sequence, one.split) == ("drive A", "val")
    assert (two.sequence, two.split) == (None, "test")
    job = "<job><id>3</id><mode>interpolation</mode></job>"
    assert read_text(image_of(meta=job))[0][0].sequence == "set"


FAULTS = [
    ("<annotations/>", "has neither an image nor a track"),
    ("<annotation><object/></annotation>", "has neither an image nor a track"),
    ("{}", "not XML"),
    (image_of(box(attribute("state", "violet"))),
     r"image a/1.png box 0: attribute state is 'violet', expected one of red"),
    (image_of(box(attribute("truncated", "maybe"))), "attribute truncated is 'maybe', expected true, false or null"),
    (image_of(box(occluded="2")), "occluded is '2', expected true, false or null"),
    (image_of(box(label="lamp") + box(label="lamp")),
     r"label map 'traffic_light_names' does not know: label 'lamp' \(2\)"),
    (image_of(box().replace('label="traffic_light"', "")), "box has no label"),
    (image_of(box().replace('xtl="10"', "")), "xtl is None, expected a number"),
    (image_of(box(xyxy=("nan", 5, 20, 30))), "xtl is 'nan', expected a number"),
    (image_of(box(rotation="1e999")), "rotation is '1e999', expected a number"),
    (image_of(box(xyxy=(20, 5, 10, 30))), "is reversed or has no area"),
    (image_of(box(xyxy=(70, 5, 90, 30))), "lies outside its image of 64x48"),
    (image_of(box(attribute("a", "1") + attribute("a", "2"))), "attribute 'a': expected a name, and each once"),
    (image_of('<polygon label="car" points="1,1;2,2"/>'), "points are '1,1;2,2', expected three or more"),
    (image_of('<tag label="rainy"/><tag label="snowy"/>'), "weather is 'rainy' and 'snowy'"),
    (image_of('<tag label="f"><attribute name="label_status">unlabelled</attribute></tag>', box()),
     "something is drawn"),
    (image_of('<tag label="f"><attribute name="label_status">partial</attribute></tag>'),
     "expected the attribute labelled"),
    (image_of(name=""), "image has no name|no image ''"),
    (image_of(name="../a.png"), "leaves its root|no image"),
    (image_of(name="/etc/passwd"), "leaves its root|no image"),
    (image_of(name="b.png"), r"annotations.xml: no image 'b.png' beside or above the file; set images=DIR"),
    (TASK.replace("2.png", "1.png"), "frame 'a/1' occurs twice"),
    (TASK.replace("2.png", "3.png"), r"image a/3.png: no image 'a/3.png' in .*; add it"),
    (TASK.replace("../annotations", "").replace('width="64"', 'width="65"'),
     "declares 65x48 for a/1.png, which is 64x48"),
    (TASK.replace('width="64"', 'width="many"'), "width is 'many', expected a whole number of pixels"),
    (TASK.replace("<size>2", "<size>two"), "meta: size is 'two', expected a whole number"),
    (TASK.replace("</annotations>", '<track id="0" label="car"/></annotations>'), "a track after images"),
    (JOB.replace("</annotations>", '<image name="a.png"/></annotations>'), "an image after tracks"),
    (JOB.replace('frame="7"', 'frame="x"'), "track 0: frame is 'x', expected a whole number"),
    (JOB.replace('frame="7"', 'frame="8"'), "track 0 frame 8: has two boxes of the track"),
    (JOB.replace('<box frame="7"', "<box"), "box has no frame"),
    (JOB.replace('frame="8"', 'frame="12"'), "has a box in frame 12, which is none of the frames of the task"),
    ('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "document type definitions and entities are refused"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_faults(read_text, text, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        read_text(
            text, *(VIDEO if "original_size" in text else ()), size=(640, 360) if "original_size" in text else SIZE
        )
    assert "\n" not in str(caught.value)


def test_bad_boxes_and_missing_images_may_be_dropped(read_text):
    frames, report = read_text(image_of(box(xyxy=(20, 5, 10, 30)), box(xyxy=(-5, 5, 10, 30))), on_bad_box="drop")
    assert [item.xyxy for item in frames[0].annotations] == [(0, 5, 10, 30)]
    assert frames[0].annotations[0].truncated is True
    assert report.count(Event.BOX_NO_AREA) == report.count(Event.BOX_CLIPPED) == 1
    assert len(read_text(TASK.replace("2.png", "3.png"), missing_images="drop")[0]) == 1
    kept = read_text(TASK.replace("2.png", "3.png"), missing_images="keep")[0][1]
    assert (kept.path, kept.width_px) == ("a/3.png", 64)


def test_sources(read_text, tmp_path):
    read_text(TASK)
    folder = tmp_path / "set"
    assert len(list(cvat.read(folder, report=ReadReport()))) == 2
    (folder / "annotations.xml").rename(folder / "task.xml")
    assert len(list(cvat.read(folder, report=ReadReport()))) == 2
    (folder / "other.xml").write_text(TASK)
    with pytest.raises(AnnotationError, match=r"no annotations.xml and 2 other XML files, expected one"):
        cvat.read(folder, report=ReadReport())
    with pytest.raises(UsageError, match="images: no folder"):
        cvat.read(folder / "task.xml", report=ReadReport(), images=tmp_path / "none")


def test_a_video_as_the_tool_writes_it(read_text):
    frames, report = read_text(JOB, *VIDEO, size=(640, 360))
    assert [len(frame.annotations) for frame in frames] == [1, 1, 0, 0, 0, 0, 0, 1, 1, 0]
    assert frames[0].annotations[0].xyxy == (206.22, 148.71, 233.82, 206.68)
    assert frames[8].annotations[0].xyxy == (204.84, 148.63, 230.24, 208.84)
    assert {box.track_id for frame in frames for box in frame.annotations} == {"0"}
    assert {frame.sequence for frame in frames} == {"set"}
    assert [frame.frame_id for frame in frames][:2] == ["frame_000000", "frame_000001"]
    assert report.total == 10


def video(*tracks: str, size: int = 10, more: str = "") -> str:
    meta = f"<task><name>drive 5</name><size>{size}</size><mode>interpolation</mode>{more}</task>"
    return f"<annotations><version>1.1</version><meta>{meta}</meta>{''.join(tracks)}</annotations>"


def test_only_keyframes(read_text):
    """Between keyframes boxes move in a straight line, and what a keyframe says holds until the next."""
    first = box(attribute("state", "red"), xyxy=(0, 0, 10, 20), frame=2, outside=0, occluded=1)
    second = box(xyxy=(8, 4, 22, 28), frame=6, outside=0, occluded=0)
    third = box(attribute("state", "green"), xyxy=(8, 4, 22, 28), frame=7, outside=0)
    last = box(xyxy=(8, 4, 22, 28), frame=9, outside=1)
    # The order of the file is not that of the frames.
    text = video(f'<track id="4" label="traffic_light">{third}{first}{last}{second}</track>')
    frames, _ = read_text(text, *VIDEO)
    assert [len(frame.annotations) for frame in frames] == [0, 0, 1, 1, 1, 1, 1, 1, 1, 0]
    boxes = [frame.annotations[0] for frame in frames[2:9]]
    assert boxes[1].xyxy == (2, 1, 13, 22)
    assert boxes[2].xyxy == (4, 2, 16, 24)
    assert [item.state for item in boxes] == [State.RED] * 5 + [State.GREEN] * 2
    assert [item.occluded for item in boxes] == [True] * 4 + [False] + [None] * 2
    assert {frame.sequence for frame in frames} == {"drive 5"}


def test_several_tracks_and_shapes(read_text):
    turned = box(xyxy=(20, 20, 30, 30), frame=0, rotation=350) + box(xyxy=(20, 20, 30, 30), frame=2, rotation=10)
    hull = '<polygon frame="1" points="1,1;4,1;4,5" outside="0"/>'
    line = '<polyline frame="1" points="1,1;4,1" outside="0"/><polyline frame="2" points="1,1;4,1" outside="1"/>'
    held = attribute("state", "off") + box(frame=1, xyxy=(1, 1, 5, 5))
    text = video(
        f'<track id="1" label="traffic_light">{turned}</track><track id="2" label="car">{hull}</track>',
        f'<track id="3" label="lane">{line}</track><track id="0" label="traffic_light">{held}</track>',
        size=3,
    )
    frames, report = read_text(text, *VIDEO[:3])
    assert [[item.track_id for item in frame.annotations] for frame in frames] == [["1"], ["1", "2", "0"], ["1"]]
    assert frames[1].annotations[0].xyxy == pytest.approx((20, 20, 30, 30))  # 350 to 10 degrees passes 0, not 180
    assert frames[1].annotations[2].state is State.OFF
    assert report.to_dict()["no_box"]["details"] == {"lane": 1}
    assert report.count(Event.ROTATED_TO_BOX) == 2
    assert report.count(Event.POLYGON_TO_BOX) == 1


def one_box(frame: int) -> str:
    return f'<track id="0" label="car">{box(frame=frame)}</track>'


@pytest.mark.parametrize(
    ("files", "more", "size", "options", "expected"),
    [
        (["b.png", "a.png", "c.png"], "", 3, {}, "b.png"),
        (["left_7.png", "left_1.png"], "<start_frame>1</start_frame><stop_frame>1</stop_frame>", 1,
         {"frame_names": "left_%d"}, "left_1.png"),
        (["x/000001.jpg", "x/000005.jpg"], "", 2, {"frame_names": "x/%06d.jpg"}, "x/000001.jpg"),
        (["frame_000000.png", "frame_000001.png", "frame_000003.png"], "", 2, {}, "frame_000001.png"),
    ],
)  # fmt: skip
def test_which_image_is_which_frame(read_text, files, more, size, options, expected):
    text = video(one_box(1), size=size, more=more)
    frames, _ = read_text(text, *(f"images/{name}" for name in files), missing_images="drop", **options)
    assert [frame.path for frame in frames if frame.annotations] == [expected]


def test_every_nth_frame(read_text):
    steps = "<start_frame>10</start_frame><stop_frame>20</stop_frame><frame_filter>step=5</frame_filter>"
    files = [f"images/frame_{number:06d}.png" for number in (10, 15, 20)]
    keys = box(frame=10, xyxy=(0, 0, 10, 10)) + box(frame=20, xyxy=(10, 0, 20, 10))
    frames, _ = read_text(video(f'<track id="0" label="car">{keys}</track>', more=steps), *files)
    assert [frame.annotations[0].xyxy[0] for frame in frames] == [0, 5, 10]


def test_videos_without_meta_or_tracks(read_text):
    frames, report = read_text(f"<annotations>{one_box(1)}</annotations>", *VIDEO[:3])
    assert [len(frame.annotations) for frame in frames] == [0, 1, 0]
    assert report.total == 3
    assert [frame.annotations for frame in read_text(video(size=3), *VIDEO[:3])[0]] == [()] * 3
    assert [frame.annotations for frame in read_text(video(size=3), *VIDEO[:3], empty="unlabelled")[0]] == [None] * 3


@pytest.mark.parametrize(
    ("files", "options", "error", "message"),
    [
        (["a.png", "b.png"], {}, AnnotationError, "speaks of 3 frames, but .* has 2 images, .* set frame_names to how"),
        (["frame_000000.png"], {}, AnnotationError, r"frame 1: no image 'frame_000001.png' in .*; add it"),
        (
            ["frame_0.png", "x/frame_00.png"],
            {},
            AnnotationError,
            "images frame_0.png and x/frame_00.png .* both frame 0",
        ),
        (["a.png"], {"frame_names": "frame"}, UsageError, "frame_names=frame: expected one number, such as frame_%06d"),
        (["a.png"], {"frame_names": "%d_%d"}, UsageError, "expected one number"),
        (["a.png"], {"frame_names": "%s"}, UsageError, "expected one number"),
    ],
)
def test_frames_without_an_image(read_text, files, options, error, message):
    with pytest.raises(error, match=message):
        read_text(video(one_box(1), size=3), *(f"images/{name}" for name in files), **options)


def test_tracks_of_several_videos_are_refused(read_text):
    tasks = "".join(f"<task><id>{n}</id><mode>interpolation</mode></task>" for n in (1, 2))
    with pytest.raises(AnnotationError, match="tracks of a project of 2 tasks; export each by itself"):
        read_text(f"<annotations><meta><project><tasks>{tasks}</tasks></project></meta>{one_box(1)}</annotations>")


def test_a_video_without_images_is_kept_on_demand(read_text):
    frames, report = read_text(JOB, "elsewhere/a.png", missing_images="keep")
    assert (frames[7].path, frames[7].width_px, frames[7].height_px) == ("frame_000007.png", 640, 360)
    assert report.count(Event.IMAGE_NOT_CHECKED) == 10


@pytest.mark.parametrize("seed", range(6))
def test_written_files_come_back_whole(random_catalog, read_back, losses_between, tmp_path, seed):
    catalog = random_catalog(seed)
    out = tmp_path / "written"
    out.mkdir()
    report = WriteReport()
    places = cvat.write(catalog, out, report=report)
    again = read_back(catalog, places, out, cvat.read, out / "annotations.xml")
    assert losses_between(catalog, again) == report.to_dict() == {}


ODD_IDS = ["a b", 'a"<&>', "../../x", "/abs", "Ä ß", "a?b", " a", "a", "x\u0001y", "a\nb", "x\ufffey", "null"]


def test_odd_texts_survive_or_are_counted(make_catalog, draw_image, read_back, losses_between, tmp_path):
    texts = ["null", "", " x ", "a\x01b", "<&>\"'", "a\nb", "a\rb", None]
    frames = [
        Frame(
            frame_id=frame_id,
            path=f"{number}.png",
            width_px=64,
            height_px=48,
            sequence=texts[number % len(texts)],
            split=texts[(number + 1) % len(texts)],
            annotations=tuple(
                Annotation(xyxy=(1 / 3, 2e-7, 10, 12.1), source_label=text, track_id=text) for text in texts
            ),
        )
        for number, frame_id in enumerate(ODD_IDS)
    ]
    for frame in frames:
        draw_image(tmp_path / frame.path)
    hashes = {frame.frame_id: sha256((tmp_path / frame.path).read_bytes()).hexdigest() for frame in frames}
    catalog = make_catalog(*frames, hashes=hashes)
    out = tmp_path / "written"
    out.mkdir()
    report = WriteReport()
    places = cvat.write(catalog, out, report=report)
    again = read_back(catalog, places, out, cvat.read, out)
    assert losses_between(catalog, again) == report.to_dict()
    assert report.losses["frame.frame_id"] == 3
    assert report.losses["box.track_id"] == 4 * len(ODD_IDS)


def test_others_read_what_we_write(random_catalog, tmp_path):
    catalog = random_catalog(3)
    cvat.write(catalog, tmp_path, report=WriteReport())
    judge = {item.image_id: item for item in AnnotationSet.from_cvat(tmp_path / "annotations.xml")}
    assert len(judge) == len(catalog)
    for frame in catalog.iter_frames():
        item = judge[f"{frame.frame_id}.png"]
        assert item.image_size == (frame.width_px, frame.height_px)
        boxes = [(box.label, *box.ltrb) for box in item.boxes]
        assert len(boxes) == len(frame.annotations or ())
        for own, (label, *ltrb) in zip(frame.annotations or (), boxes, strict=True):
            assert label == own.category
            assert ltrb == pytest.approx(own.xyxy, abs=0.01)


def test_the_task_knows_the_labels_and_attributes_in_use(random_catalog, tmp_path):
    """CVAT refuses shapes whose label or attribute the task does not have, and select values outside its list."""
    cvat.write(random_catalog(4), tmp_path, report=WriteReport())
    root = ElementTree.parse(tmp_path / "annotations.xml").getroot()
    choices: dict[tuple[str, str], list[str] | None] = {}
    for label in root.iterfind("meta/task/labels/label"):
        for item in label.iterfind("attributes/attribute"):
            is_text = item.findtext("input_type") == "text"
            choices[label.findtext("name"), item.findtext("name")] = (
                None if is_text else item.findtext("values").split("\n")
            )
    used = 0
    for image in root.iterfind("image"):
        for shape in image:
            assert shape.tag in {"box", "tag"}
            for item in shape.iterfind("attribute"):
                words = choices[shape.get("label"), item.get("name")]
                assert words is None or item.text in words
                used += 1
    assert used > 100


def test_reading_needs_memory_for_a_few_images_only(tmp_path, draw_image):
    """The file is streamed: the images that are read ahead are all that is held."""
    import tracemalloc

    draw_image(tmp_path / "images" / "a.png")
    shapes = "".join(box(attribute("state", "red")) for _ in range(20))

    def peak(n_images: int) -> int:
        one = f'<image name="%d.png" width="64" height="48">{shapes}</image>'
        path = tmp_path / f"{n_images}.xml"
        path.write_text("<annotations>" + "".join(one % number for number in range(n_images)) + "</annotations>")
        tracemalloc.start()
        number = sum(1 for _ in cvat.read(path, report=ReadReport(), missing_images="keep"))
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert number == n_images
        return held

    assert peak(400) < 1.5 * peak(200)


JUNK = [
    "",
    "nan",
    "-1",
    "1e999",
    "x",
    "9" * 5000,
    "../../etc/passwd",
    "/abs",
    "null",
    "0" * 20,
    "\u202e",
    "%d",
    "]]&gt;",
]


@pytest.mark.parametrize("text", [TASK, JOB], ids=["images", "video"])
def test_junk_is_answered_with_one_line(read_text, text):
    refused = 0
    options = {"missing_images": "keep", "label_map": load_label_map("traffic_light_names")}
    read_text(text, "elsewhere/a.png", **options)
    for turn, start in enumerate([place for place, letter in enumerate(text) if letter in '">'][:-1]):
        end = min(place for place in (text.find('"', start + 1), text.find("<", start + 1)) if place > 0)
        for junk in JUNK[turn % len(JUNK) :: len(JUNK)]:
            try:
                read_text(text[: start + 1] + junk + text[end:], "elsewhere/a.png", **options)
            except TlError as error:
                assert "\n" not in str(error)
                refused += 1
    assert refused > 25


def test_the_catalog_of_real_frames_comes_back(shared_data: Path, read_back, losses_between, tmp_path):
    from tl_datasets.index import index

    catalog, _ = index(shared_data / "bdd100k", "bdd100k")
    catalog = Catalog(catalog.frames.head(40), catalog.with_frames(catalog.frames.head(40)).annotations, catalog.roots)
    report = WriteReport()
    places = cvat.write(catalog, tmp_path, report=report)
    again = read_back(catalog, places, tmp_path, cvat.read, tmp_path)
    assert losses_between(catalog, again) == report.to_dict() == {}
