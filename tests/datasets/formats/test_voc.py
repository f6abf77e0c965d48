from __future__ import annotations

import contextlib
import io
from pathlib import Path

import globox
import pytest
import supervision

from tl_datasets.catalog import Catalog
from tl_datasets.errors import AnnotationError, DataError, ImageError, UsageError
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.formats.voc import read
from tl_datasets.formats.voc_write import write
from tl_datasets.frame import Annotation, Frame
from tl_datasets.index import index
from tl_datasets.label_maps import load_label_map
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import LabelStatus, Pictogram, State, Weather

# Verbatim from marcomarasca/SDCND-Traffic-Light-Detection, data/simulator/labels (labelImg), the size changed.
HEAD = """<annotation>
	<filename>a.png</filename>
	<source>
		<database>Unknown</database>
	</source>
	<size>
		<width>64</width>
		<height>48</height>
		<depth>3</depth>
	</size>
	<segmented>0</segmented>
"""
OBJECT = """	<object>
		<name>Green</name>
		<pose>Unspecified</pose>
		<truncated>0</truncated>
		<difficult>0</difficult>
		<bndbox>
			<xmin>24</xmin>
			<ymin>17</ymin>
			<xmax>32</xmax>
			<ymax>33</ymax>
		</bndbox>
	</object>
"""
DOCUMENT = HEAD + OBJECT + "</annotation>"


def box(x1, y1, x2, y2, name="red", more="") -> str:
    return (
        f"<object><name>{name}</name>{more}<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
    )


def document(*objects: str, size="<size><width>64</width><height>48</height></size>", more="") -> str:
    return f"<annotation>{size}{more}{''.join(objects)}</annotation>"


def attributes(**values: str) -> str:
    rows = "".join(
        f"<attribute><name>{name}</name><value>{value}</value></attribute>" for name, value in values.items()
    )
    return f"<attributes>{rows}</attributes>"


@pytest.fixture
def make(tmp_path, draw_image):
    """Write files by path; an image is drawn for every name that ends like one."""

    def fill(files: dict[str, str | None], root: Path = tmp_path / "data") -> Path:
        for name, text in files.items():
            path = root / name
            if text is None:
                draw_image(path)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        return root

    return fill


def read_all(source: Path, **options):
    report = ReadReport()
    return list(read(source, report=report, **options)), report


def first_box(frame: Frame) -> Annotation:
    assert frame.annotations
    return frame.annotations[0]


def only_annotation(source: Path, **options) -> Annotation:
    frames, _ = read_all(source, **options)
    assert len(frames) == 1
    assert len(frames[0].annotations or ()) == 1
    return first_box(frames[0])


def single(make, text: str) -> Path:
    return make({"a.png": None, "a.xml": text})


def test_a_file_of_labelimg(make):
    annotation = only_annotation(single(make, DOCUMENT))
    assert annotation == Annotation(
        xyxy=(24, 17, 32, 33), state=State.GREEN, truncated=False, occluded=None, ignore=False, source_label="Green"
    )


# Where images and files lie


@pytest.mark.parametrize(
    ("files", "options", "frame_ids"),
    [
        (["JPEGImages/a.jpg", "Annotations/a.xml"], {}, ["a"]),
        (
            ["JPEGImages/d/a.jpg", "JPEGImages/e/a.jpg", "Annotations/d/a.xml", "Annotations/e/a.xml"],
            {},
            ["d/a", "e/a"],
        ),
        (["train/a.jpg", "train/a.xml", "valid/a.jpg", "valid/a.xml"], {}, ["train/a", "valid/a"]),
        (["sim/a.jpg", "sim/labels/a.xml"], {}, ["sim/a"]),
        (["Fog/a.jpg", "Fog/Fog_PASCAL_VOC/a.xml"], {}, ["Fog/a"]),
        (["images/train/a.jpg", "labels/train/a.xml"], {}, ["train/a"]),
        (["pics/a.jpg", "marks/a.xml"], {"images": "pics", "annotations": "marks"}, ["a"]),
        (["VOC2007/JPEGImages/a.jpg", "VOC2007/Annotations/a.xml"], {}, ["VOC2007/JPEGImages/a"]),
        # The masks of the devkit are no frames.
        (["V/JPEGImages/a.jpg", "V/SegmentationClass/a.png", "V/Annotations/a.xml"], {}, ["V/JPEGImages/a"]),
        # Full-width parentheses, spaces and dots, as in S2TLD.
        (
            [
                "S2TLD（1080x1920）/JPEGImages/2020-04-04 11_10_21.323753353.jpg",
                "S2TLD（1080x1920）/Annotations/2020-04-04 11_10_21.323753353.xml",
            ],
            {},
            ["S2TLD（1080x1920）/JPEGImages/2020-04-04 11_10_21.323753353"],
        ),
        # A folder of the data may be named like one of ours.
        (
            ["JPEGImages/images/a.jpg", "JPEGImages/a.jpg", "Annotations/images/a.xml", "Annotations/a.xml"],
            {},
            ["a", "images/a"],
        ),
    ],
)
def test_layouts(make, files, options, frame_ids):
    contents = {name: None if name.endswith(("jpg", "png")) else document(box(2, 3, 9, 9)) for name in files}
    source = make(contents)
    frames, report = read_all(source, **options)
    assert [frame.frame_id for frame in frames] == frame_ids
    assert all(frame.annotations for frame in frames)
    assert {event for event, _ in report.counts} == {Event.BOX_ORIGIN}
    assert report.root is not None
    for frame in frames:
        assert (report.root / frame.path).is_file()
        assert len(report.content_hashes[frame.frame_id]) == 64


def test_each_image_gets_the_file_of_its_own_folder(make):
    source = make(
        {
            "normal_1/JPEGImages/0.jpg": None,
            "normal_1/Annotations/0.xml": document(box(2, 3, 9, 9, "red")),
            "normal_2/JPEGImages/0.jpg": None,
            "normal_2/Annotations/0.xml": document(box(2, 3, 9, 9, "green")),
        }
    )
    frames, _ = read_all(source)
    assert [first_box(frame).state for frame in frames] == [State.RED, State.GREEN]


def test_an_image_of_another_part_is_not_taken(make):
    source = make({"train/a.xml": document(), "valid/a.jpg": None, "valid/a.xml": document()})
    with pytest.raises(AnnotationError, match=r"train/a\.xml: no image 'train/a\.jpg' .*/valid/a\.jpg has its name"):
        read_all(source)


@pytest.mark.parametrize("name", ["b.1.png", "b.1", "/home/me/b.1.png", "C:\\me\\b.1.png", "../../b.1.png"])
def test_filename_is_asked_where_no_image_has_the_name_of_the_file(make, name):
    frames, report = read_all(make({"b.1.png": None, "a.xml": document(more=f"<filename>{name}</filename>")}))
    assert [(frame.frame_id, frame.annotations) for frame in frames] == [("b.1", ())]
    assert report.counts[Event.NAMES_DIFFER, "image taken by filename"] == 1


@pytest.mark.parametrize(("name", "differ"), [("b.png", 1), ("a", 0), ("a.jpg", 0), ("x/a.png", 0)])
def test_the_name_of_the_file_comes_before_filename(make, name, differ):
    frames, report = read_all(
        make({"a.png": None, "a.xml": document(more=f"<filename>{name}</filename>"), "b.png": None})
    )
    assert [frame.label_status for frame in frames] == [LabelStatus.LABELLED, LabelStatus.UNLABELLED]
    assert report.count(Event.NAMES_DIFFER) == differ


def test_images_without_a_file_are_unlabelled_unless_said_otherwise(make):
    source = make({"a.png": None, "a.xml": document(), "b.png": None})
    frames, report = read_all(source)
    assert [frame.annotations for frame in frames] == [(), None]
    assert report.count(Event.NO_LABEL_FILE) == 1
    assert [frame.annotations for frame in read_all(source, missing="negative")[0]] == [(), ()]
    (source / "a.xml").unlink()
    with pytest.raises(AnnotationError, match=r"none of 2 images has an \.xml file; set annotations=DIR, or missing="):
        read_all(source)
    assert [frame.annotations for frame in read_all(source, missing="unlabelled")[0]] == [None, None]


def test_files_without_an_image(make):
    source = make({"a.png": None, "a.xml": document(), "d/b.c.xml": document(box(2, 3, 9, 9))})
    with pytest.raises(AnnotationError, match=r"d/b\.c\.xml: no image 'd/b\.c\.jpg' in .*missing_images=drop"):
        read_all(source)
    frames, report = read_all(source, missing_images="drop")
    assert [frame.frame_id for frame in frames] == ["a"]
    assert report.counts[Event.IMAGE_MISSING, ""] == 1
    frames, report = read_all(source, missing_images="keep")
    assert [(frame.frame_id, frame.width_px, len(frame.annotations or ())) for frame in frames] == [
        ("a", 64, 0),
        ("d/b.c", 64, 1),
    ]
    assert report.count(Event.IMAGE_NOT_CHECKED) == 1


# Parts


def devkit(make, lists: dict[str, str], names=("a", "b", "c", "d")) -> dict[str, str | None]:
    files: dict[str, str | None] = {f"JPEGImages/{name}.jpg": None for name in names}
    files |= {f"Annotations/{name}.xml": document() for name in names}
    source = make({**files, **lists})
    frames, report = read_all(source)
    splits = {frame.frame_id: frame.split for frame in frames}
    return {**splits, "-": str(report.count(Event.LISTED_WITHOUT_IMAGE))}


def test_lists_of_the_devkit(make):
    lists = {
        "ImageSets/Main/train.txt": "a\n",
        "ImageSets/Main/val.txt": "b 1\n\n",
        "ImageSets/Main/trainval.txt": "a\nb\nc -1\nno such\n",
        "ImageSets/Main/car_train.txt": "d 1\n",
    }
    assert devkit(make, lists) == {"a": "train", "b": "val", "c": "trainval", "d": None, "-": "1"}


def test_lists_beside_the_folders_name_frames_or_whole_drives(make):
    names = ("near/drive 1/0.5", "near/drive 1/1", "far/2", "far/3")
    lists = {"train.txt": "near/drive 1\n", "val.txt": "far/2.jpg\n", "test.txt": "../../far/3\n"}
    found = devkit(make, lists, names)
    assert found == {names[0]: "train", names[1]: "train", names[2]: "val", names[3]: None, "-": "1"}


def test_lists_of_several_devkits(make):
    files: dict[str, str | None] = {}
    for year, part in (("VOC2007", "train"), ("VOC2012", "val")):
        files[f"{year}/JPEGImages/0.jpg"] = None
        files[f"{year}/Annotations/0.xml"] = document()
        files[f"{year}/ImageSets/Main/{part}.txt"] = "0\n"
    frames, _ = read_all(make(files))
    assert [frame.split for frame in frames] == ["train", "val"]


def test_a_split_of_the_caller_comes_first(make):
    source = make({"JPEGImages/a.jpg": None, "Annotations/a.xml": document(), "ImageSets/Main/train.txt": "a"})
    assert read_all(source, split="test")[0][0].split == "test"


def test_a_frame_in_two_parts_is_refused(make):
    with pytest.raises(AnnotationError, match=r"val\.txt line 2: 'a' is in train and in val; expected one part"):
        devkit(make, {"ImageSets/Main/train.txt": "a", "ImageSets/Main/val.txt": "b\na"})


# Boxes


@pytest.mark.parametrize(
    ("boxes", "expected", "decision"),
    [
        # The corner pixel and the whole image in both conventions.
        (((1, 1, 1, 1), (1, 1, 64, 48)), ((0, 0, 1, 1), (0, 0, 64, 48)), "1-based"),
        (((0, 0, 1, 1), (0, 0, 64, 48)), ((0, 0, 1, 1), (0, 0, 64, 48)), "0-based"),
        (((0.5, 1, 9, 9),), ((0.5, 1, 9, 9),), "0-based"),
        (((1, 3, 9, 9),), ((1, 3, 9, 9),), "0-based"),
        (((2, 3, 64, 48),), ((2, 3, 64, 48),), "0-based"),
        (((1, 3, 9, 9), (7, 7, 9, 48)), ((0, 2, 9, 9), (6, 6, 9, 48)), "1-based"),
    ],
)
def test_the_origin_is_told_from_the_boxes(make, boxes, expected, decision):
    frames, report = read_all(single(make, document(*(box(*one) for one in boxes))))
    assert tuple(annotation.xyxy for annotation in frames[0].annotations or ()) == expected
    assert report.counts == {(Event.BOX_ORIGIN, decision): 1}
    assert ("assumed" in report.lines()[0]) == (min(*expected[0]) >= 1)  # a 0 leaves no doubt


def test_the_origin_is_told_from_the_whole_set(make):
    source = make(
        {"a.png": None, "a.xml": document(box(1, 2, 64, 9)), "b.png": None, "b.xml": document(box(0, 1, 2, 3))}
    )
    assert [first_box(frame).xyxy for frame in read_all(source)[0]] == [(1, 2, 64, 9), (0, 1, 2, 3)]
    assert [first_box(frame).xyxy for frame in read_all(source, origin="1", on_bad_box="drop")[0]] == [
        (0, 1, 64, 9),
        (0, 0, 2, 3),
    ]


def test_a_declared_origin_counts_for_its_file_and_an_option_for_all(make):
    source = make(
        {
            "a.png": None,
            "a.xml": document(box(5, 5, 9, 9), more=attributes(box_origin="1")),
            "b.png": None,
            "b.xml": document(box(0, 5, 9, 9)),
        }
    )
    frames, report = read_all(source)
    assert [first_box(frame).xyxy for frame in frames] == [(4, 4, 9, 9), (0, 5, 9, 9)]
    assert report.counts == {(Event.BOX_ORIGIN, "0-based"): 1}
    assert first_box(read_all(source, origin="0")[0][0]).xyxy == (5, 5, 9, 9)


def test_a_set_without_boxes_decides_nothing(make):
    assert read_all(single(make, document()))[1].counts == {}


@pytest.mark.parametrize("size", ["", "<size/>", "<size><width>0</width><height>0.0</height><depth>0</depth></size>"])
def test_without_a_size_the_image_is_asked(make, size):
    frames, _ = read_all(single(make, document(box(2, 3, 9, 9), size=size)))
    assert (frames[0].width_px, frames[0].height_px) == (64, 48)


def test_boxes_that_leave_the_image(make):
    source = single(make, document(box(60, 2, 70, 6), box(9, 2, 5, 6), box(99, 2, 102, 6), box(1, 2, 4, 6)))
    with pytest.raises(AnnotationError, match=r"a\.xml: object 2 \(red\): box .* reversed .*on_bad_box=drop"):
        read_all(source)
    frames, report = read_all(source, on_bad_box="drop", origin="0")
    assert [(one.xyxy, one.truncated) for one in frames[0].annotations or ()] == [
        ((60, 2, 64, 6), True),
        ((1, 2, 4, 6), None),
    ]
    assert {event: n for (event, _), n in report.counts.items()} == {
        Event.BOX_CLIPPED: 1,
        Event.BOX_NO_AREA: 1,
        Event.BOX_OUTSIDE: 1,
    }


# Fields


@pytest.mark.parametrize(
    ("more", "field", "value"),
    [
        ("<difficult>1</difficult>", "ignore", True),
        ("<difficult>0.0</difficult>", "ignore", False),
        ("<truncated>1</truncated>", "truncated", True),
        ("<truncated>Unspecified</truncated>", "truncated", None),
        ("<truncated/>", "truncated", None),
        ("<occluded>1</occluded>", "occluded", True),
        ("<occluded>0</occluded>", "occluded", False),
        ("", "occluded", None),
        ("<occluded>0</occluded>" + attributes(occluded=" True "), "occluded", True),
        (attributes(state="off"), "state", State.OFF),
        (attributes(state="unknown"), "state", State.UNKNOWN),
        (attributes(state=""), "state", None),
        (attributes(pictogram="Arrow-Left"), "pictogram", Pictogram.ARROW_LEFT),
        (attributes(track_id="7"), "track_id", "7"),
        (attributes(source_label=""), "source_label", None),
        (attributes(keyframe="True", rotation="0.0"), "state", State.RED),
        ("<part><name>lens</name><bndbox><xmin>0</xmin></bndbox></part>", "xyxy", (2, 3, 9, 9)),
    ],
)
def test_fields_of_an_object(make, more, field, value):
    assert getattr(only_annotation(single(make, document(box(2, 3, 9, 9, more=more)))), field) == value


def test_constant_flags_may_be_left_aside(make):
    flags = "<truncated>0</truncated><occluded>0</occluded>"
    source = single(make, document(box(60, 2, 70, 9, more=flags)))
    assert (only_annotation(source).truncated, only_annotation(source).occluded) == (False, False)
    found = only_annotation(source, flags=False)
    assert (found.truncated, found.occluded) == (True, None)  # cut at the edge, whatever the file says


def test_parts_are_counted(make):
    part = "<part><name>lens</name><bndbox/></part>"
    frames, report = read_all(single(make, document(box(2, 3, 9, 9, more=part * 2))))
    assert (len(frames[0].annotations or ()), report.count(Event.PART_OF_OBJECT)) == (1, 2)


def test_attributes_may_be_left_aside(make):
    text = document(box(2, 3, 9, 9, more=attributes(state="Stop!")), more=attributes(weather="hail"))
    source = single(make, text)
    with pytest.raises(AnnotationError, match=r"a\.xml: attribute weather is 'hail', expected .*attributes=false"):
        read_all(source)
    frames, _ = read_all(source, attributes=False)
    assert (frames[0].weather, first_box(frames[0]).state) == (None, State.RED)


def test_names_may_have_spaces_around(make):
    assert only_annotation(single(make, document(box(2, 3, 9, 9, " red \n")))).source_label == "red"


def test_attributes_of_an_image(make):
    more = attributes(
        weather="rainy", sequence="drive 1", timestamp_ns="17", labelled_categories="traffic_light, car", split="val"
    )
    frame = read_all(single(make, document(more=more)))[0][0]
    assert (frame.weather, frame.sequence, frame.timestamp_ns, frame.split) == (Weather.RAINY, "drive 1", 17, "val")
    assert (frame.label_status, frame.labelled_categories) == (LabelStatus.PARTIAL, ("traffic_light", "car"))
    assert read_all(single(make, document(more=attributes(label_status="unlabelled"))))[0][0].annotations is None


@pytest.mark.parametrize("gap", [0, 1])
def test_a_label_that_means_nothing_in_view(make, gap):
    source = single(make, document(box(0, 0, 64 - gap, 48 - gap, "off")))
    frames, report = read_all(source, nothing_label="Off")
    assert frames[0].annotations == ()
    assert report.counts[Event.NOTHING_IN_VIEW, "off"] == 1
    # Without the option it is a dark lamp, as the label map says.
    assert only_annotation(source).state is State.OFF


def test_a_smaller_box_of_such_a_label_is_refused(make):
    source = single(make, document(box(0, 0, 64, 40, "off")))
    with pytest.raises(AnnotationError, match=r"object 1 \(off\): box \(0, 0, 64, 40\) in an image of 64x48; expected"):
        read_all(source, nothing_label="off")


# Faults


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotations/>", r"a\.xml: the document is <annotations>, expected <annotation> of Pascal VOC"),
        ("<annotation>", r"a\.xml line 1: not XML: no element found"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS pointer"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "document type definitions and entities"),
        (document("<objects>", box(1, 2, 3, 4), "</objects>"), "1 objects that are no <object> directly"),
        (document(box(1, 2, 3, 4), box(1, 2, 3, 4).replace("object>", "Object>")), "1 objects that are no <object>"),
        (document("<object><bndbox/></object>"), "object 1: no name; expected the word of its class"),
        (document("<object><name> </name></object>"), "object 1: no name"),
        (document(box(1, 2, 3, 4), "<object><name>red</name></object>"), r"object 2 \(red\): no bndbox; expected xmin"),
        (document("<object><name>red</name><bndbox/></object>"), "xmin is None, expected a number"),
        (document(box("wide", 2, 3, 4)), "xmin is 'wide', expected a number"),
        (document(box(1, 2, "nan", 4)), "xmax is 'nan', expected a number"),
        (document(box(1, 2, 3, "1e999")), "ymax is '1e999', expected a number"),
        (document(box(1, 2, 3, 4, more="<name>b</name>")), "2 elements <name>, expected one"),
        (document(box(1, 2, 3, 4, more="<difficult>maybe</difficult>")), "difficult is 'maybe', expected true, false"),
        (document(box(1, 2, 3, 4, more="<truncated>0.4</truncated>")), r"truncated is '0\.4', expected true"),
        (document(box(1, 2, 3, 4, more=attributes(state="stop"))), "attribute state is 'stop', expected one of red"),
        (document(box(1, 2, 3, 4, more="<attributes><attribute/></attributes>")), "an attribute without a name"),
        (document(more=attributes(weather="clear").replace("</attributes>", "") + attributes(weather="rainy")[12:]),
         "attribute 'weather' occurs twice"),
        (document(more=attributes(box_origin="2")), "attribute box_origin is '2', expected 0 or 1; or set origin=0"),
        (document(box(1, 2, 3, 4), more=attributes(label_status="unlabelled")), "unlabelled but it has objects"),
        (document(more=attributes(label_status="partial")), "partial; expected the attribute labelled_categories"),
        (document(size="<size><width>640</width><height>48</height></size>"), "declares 640x48 for a.png"),
        (document(size="<size><width>-5</width></size>"), "width is '-5', expected a whole number of pixels"),
        (document(box(1, 2, 3, 4, "cat"), box(1, 2, 3, 4, "cat"), box(1, 2, 3, 4, "dog")),
         r"label 'cat' \(2\), label 'dog' \(1\); write a map"),
    ],
)  # fmt: skip
def test_faults(make, text, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        read_all(single(make, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "options", "error", "message"),
    [
        (["a.png", "a.jpg", "a.xml"], {}, AnnotationError, r"a\.jpg in the same folder has the same label file"),
        (
            ["a.png", "a.xml", "labels/a.xml"],
            {},
            AnnotationError,
            r"has another file, .*expected one: remove one, or set annotations=DIR",
        ),
        (["images/a.png", "imgs/a.png", "a.xml"], {}, AnnotationError, r"could be its image; set images=DIR"),
        (["a.txt"], {}, UsageError, r"neither an image nor an \.xml file"),
        (["a.png", "a.xml"], {"images": "no"}, UsageError, "images: no folder 'no'"),
        (["a.png", "a.xml"], {"annotations": "x\0"}, UsageError, "annotations: no folder"),
    ],
)
def test_faults_of_the_layout(make, files, options, error, message):
    source = make({name: None if name.endswith(("png", "jpg")) else document() for name in files})
    with pytest.raises(error, match=message):
        read_all(source, **options)


def test_two_images_of_one_declared_id_are_refused(make):
    text = document(more=attributes(frame_id="f"))
    with pytest.raises(AnnotationError, match=r"b\.png: a\.png is the frame 'f' too"):
        read_all(make({"a.png": None, "a.xml": text, "b.png": None, "b.xml": text}))


def test_a_file_is_no_source(make):
    with pytest.raises(UsageError, match="expected a folder with images and Pascal VOC files"):
        read_all(single(make, DOCUMENT) / "a.xml")


def test_a_broken_image(make):
    source = single(make, DOCUMENT)
    (source / "a.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match="does not open as an image"):
        read_all(source)
    frames, report = read_all(source, missing_images="drop")
    assert (frames, report.count(Event.IMAGE_BROKEN)) == ([], 1)


def test_links_that_leave_the_folder_are_left_out(make, tmp_path):
    outside = make({"x.png": None, "x.xml": document(box(2, 3, 9, 9))}, tmp_path / "outside")
    source = single(make, document())
    (source / "x.png").symlink_to(outside / "x.png")
    (source / "x.xml").symlink_to(outside / "x.xml")
    frames, report = read_all(source)
    assert [frame.frame_id for frame in frames] == ["a"]
    assert report.count(Event.LINK_LEFT_OUT) == 2


# Out and in again


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("origin", ["1", "0"])
def test_a_catalog_comes_back_but_for_what_is_counted(
    random_catalog, losses_between, read_back, tmp_path, seed, origin
):
    catalog, report, out = random_catalog(seed), WriteReport(), tmp_path / "out"
    out.mkdir()
    places = write(catalog, out, report=report, origin=origin)
    again = read_back(catalog, places, out, read, out)
    assert losses_between(catalog, again) == report.to_dict()
    # Only what nobody labelled loses anything.
    labelled = WriteReport()
    write(random_catalog(seed, label_status=("labelled", "negative", "partial")), out, report=labelled)
    assert labelled.to_dict() == {}


@pytest.mark.parametrize("seed", range(2))
def test_flat_names_keep_the_ids(random_catalog, losses_between, read_back, tmp_path, seed):
    catalog, report = random_catalog(seed, label_status=("labelled", "negative", "partial")), WriteReport()
    out = tmp_path / "out"
    out.mkdir()
    places = write(catalog, out, report=report, flat=True)
    assert all(place.count("/") == 1 for place in places)
    again = read_back(catalog, places, out, read, out)
    assert losses_between(catalog, again) == report.to_dict() == {}


ODD_NAMES = [
    "../up",
    "/abs/x",
    "a b. c",
    "ü/素",
    'q"<>&',
    "CON",
    "images/a",
    "labels/a",
    "a",
    "A",
    "x__y",
    "x/y",
    "t.",
    "-1",
]


@pytest.mark.parametrize("flat", [False, True])
def test_odd_ids_and_texts(tmp_path, draw_image, losses_between, read_back, flat):
    texts = ["<&>'\"", " both ends ", "a\r\nb\tc", "素", "\x01\ufffe", ""]
    frames = [
        Frame(
            frame_id=name,
            path=draw_image(tmp_path / f"{number}.png").name,
            width_px=64,
            height_px=48,
            sequence=texts[number % len(texts)],
            split=["train", "a part", "<x>"][number % 3],
            annotations=(
                Annotation(
                    xyxy=(1.25, 2, 9, 9.1),
                    source_label=texts[number % len(texts)],
                    track_id=texts[(number + 1) % len(texts)],
                ),
            ),
        )
        for number, name in enumerate(ODD_NAMES)
    ]
    catalog, report, out = Catalog.from_frames(frames, source="odd", root=tmp_path), WriteReport(), tmp_path / "out"
    out.mkdir()
    places = write(catalog, out, report=report, flat=flat)
    again = read_back(catalog, places, out, read, out)
    assert losses_between(catalog, again) == report.to_dict()
    lossy = [number for number in range(len(frames)) if number % len(texts) in {4, 5}]
    assert report.to_dict() == {
        "box.source_label": len(lossy),
        "box.track_id": len([n for n in range(len(frames)) if (n + 1) % len(texts) in {4, 5}]),
        "frame.sequence": len(lossy),
    }


def test_an_unlabelled_frame_has_no_file(random_catalog, tmp_path):
    catalog, report = random_catalog(1, label_status=("unlabelled",)), WriteReport()
    write(catalog, tmp_path, report=report)
    assert list(tmp_path.rglob("*.xml")) == []
    assert report.losses["frame.sequence"] == len(catalog)
    assert "frame.label_status" not in report.losses


def test_lists_of_parts_are_written(random_catalog, tmp_path):
    catalog = random_catalog(3, label_status=("labelled",), split=("train", "val", "day 2"))
    write(catalog, tmp_path, report=WriteReport())
    expected = {
        part: [frame.frame_id for frame in catalog.iter_frames() if frame.split == part] for part in ("train", "val")
    }
    lists = {path.stem: path.read_text().splitlines() for path in (tmp_path / "ImageSets" / "Main").iterdir()}
    assert lists == expected


# Other libraries


def with_boxes(tmp_path: Path, draw_image, boxes) -> Catalog:
    draw_image(tmp_path / "original" / "a.png")
    frame = Frame(
        frame_id="a",
        path="a.png",
        width_px=64,
        height_px=48,
        annotations=tuple(Annotation(xyxy=one, state=State.RED) for one in boxes),
    )
    return Catalog.from_frames([frame], source="drawn", root=tmp_path / "original")


def test_globox_reads_what_we_write(tmp_path, draw_image):
    """globox takes numbers as they stand: 0-based and continuous."""
    boxes = [(0, 0, 64, 48), (1.25, 2.5, 9.75, 20.125)]
    out = tmp_path / "out"
    write(with_boxes(tmp_path, draw_image, boxes), out, report=WriteReport(), origin="0")
    theirs = globox.Annotation.from_pascal_voc(out / "Annotations" / "a.xml")
    assert theirs.image_size == (64, 48)
    for one, expected in zip(theirs.boxes, boxes, strict=True):
        assert one.label == "red"
        assert (one.xmin, one.ymin, one.xmax, one.ymax) == pytest.approx(expected, abs=0.01)


def test_supervision_reads_what_we_write(tmp_path, draw_image):
    """supervision follows the standard: 1-based and inclusive."""
    boxes = [(0, 0, 64, 48), (1.25, 2.5, 9.75, 20.125)]
    catalog, out = with_boxes(tmp_path, draw_image, boxes), tmp_path / "out"
    (place,) = write(catalog, out, report=WriteReport())
    draw_image(out / place)
    with contextlib.redirect_stderr(io.StringIO()):
        theirs = supervision.DetectionDataset.from_pascal_voc(str(out / "JPEGImages"), str(out / "Annotations"))
    assert theirs.classes == ["red"]
    (_, _, found) = next(iter(theirs))
    for one, expected in zip(found.xyxy.tolist(), boxes, strict=True):
        assert one == pytest.approx(expected, abs=0.01)


def test_we_read_what_they_write(tmp_path, draw_image):
    boxes = [(0, 0, 64, 48), (1, 2, 9, 20)]
    draw_image(tmp_path / "g" / "a.png")
    theirs = globox.Annotation("a.png", (64, 48), [globox.BoundingBox.create(label="red", coords=one) for one in boxes])
    theirs.save_pascal_voc(tmp_path / "g" / "a.xml")
    assert [one.xyxy for one in read_all(tmp_path / "g")[0][0].annotations or ()] == boxes
    catalog, out = with_boxes(tmp_path, draw_image, boxes), tmp_path / "out"
    (place,) = write(catalog, out, report=WriteReport())
    draw_image(out / place)
    with contextlib.redirect_stderr(io.StringIO()):
        dataset = supervision.DetectionDataset.from_pascal_voc(str(out / "JPEGImages"), str(out / "Annotations"))
        dataset.as_pascal_voc(str(tmp_path / "s" / "JPEGImages"), str(tmp_path / "s" / "Annotations"))
    frames, report = read_all(tmp_path / "s")
    assert [one.xyxy for one in frames[0].annotations or ()] == boxes
    assert report.counts == {(Event.BOX_ORIGIN, "1-based"): 1}


# Real frames


def test_the_simulator_frames(shared_data):
    catalog, report = index(shared_data / "udacity_simulator_voc", "voc")
    assert (len(catalog), len(catalog.annotations)) == (60, 155)
    assert dict(catalog.annotations["source_label"].value_counts().iter_rows()) == {
        "Yellow": 57,
        "Red": 52,
        "Green": 46,
    }
    assert report.counts == {(Event.BOX_ORIGIN, "1-based"): 1}
    # globox changes no number: it is the judge of all but the origin.
    folder = shared_data / "udacity_simulator_voc" / "data" / "simulator" / "labels"
    for frame in catalog.iter_frames():
        theirs = globox.Annotation.from_pascal_voc(folder / f"{Path(frame.path).stem}.xml")
        for one, two in zip(theirs.boxes, frame.annotations or (), strict=True):
            assert (one.xmin - 1, one.ymin - 1, one.xmax, one.ymax) == pytest.approx(two.xyxy, abs=0.01)


def test_real_frames_come_back(shared_data, tmp_path, losses_between, read_back):
    catalog, _ = index(shared_data / "udacity_simulator_voc", "voc")
    report = WriteReport()
    places = write(catalog, tmp_path, report=report)
    again = read_back(catalog, places, tmp_path, read, tmp_path)
    assert losses_between(catalog, again) == report.to_dict() == {}


# Junk


JUNK = [
    "",
    "-1",
    "nan",
    "inf",
    "1e999",
    "x",
    "9" * 5000,
    "../../etc/passwd",
    "/abs",
    "0x10",
    "1_0",
    "true",
    "&#0;",
    "é",
]


def test_junk_is_answered_with_one_line(make):
    """Every text of a file replaced by junk: frames, or one line that names the file."""
    more = "<occluded>1</occluded>" + attributes(state="red", aspects="3", track_id="4", occluded="true")
    text = document(
        box(2, 3, 9, 9, more=more + "<truncated>0</truncated><difficult>0</difficult>"),
        more="<filename>a.png</filename>" + attributes(weather="clear", timestamp_ns="5", box_origin="1", frame_id="a"),
    )
    source = single(make, text)
    refused = 0
    starts = [n for n, letter in enumerate(text) if letter == ">" and text[n + 1 : n + 2] not in {"<", ""}]
    assert len(starts) > 25
    names = load_label_map("traffic_light_names")
    for start in starts:
        end = text.index("<", start)
        for junk in JUNK:
            (source / "a.xml").write_text(text[: start + 1] + junk + text[end:], encoding="utf-8")
            try:
                read_all(source, label_map=names)
            except DataError as error:
                assert str(source) in str(error)
                assert "\n" not in str(error)
                refused += 1
    assert refused > 70
    (source / "a.xml").write_text(text)
    assert len(read_all(source)[0]) == 1
