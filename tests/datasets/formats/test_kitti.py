from __future__ import annotations

from pathlib import Path

import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.errors import AnnotationError, DataError, ImageError, UsageError
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.formats.kitti import read
from tl_datasets.formats.kitti_write import write
from tl_datasets.formats.yolo_write import class_name
from tl_datasets.frame import Annotation, Frame
from tl_datasets.index import index
from tl_datasets.label_maps import LabelFields, load_label_map
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import CATEGORIES, LabelStatus, Pictogram, State

# Rows of KITTI's training set, as the documents about it repeat them.
CAR = "Car 0.00 0 -1.59 586.42 199.76 662.87 266.02 1.36 1.69 3.38 0.28 2.08 17.74 -1.58"
AREA = "DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10"
SIZE_PX = (1242, 375)


def row(kind="Car", truncated="0.00", occluded="0", box="10 20 30 40", more="") -> str:
    return f"{kind} {truncated} {occluded} -10 {box} -1 -1 -1 -1000 -1000 -1000 -10{more}"


@pytest.fixture
def make(tmp_path, draw_image):
    """Write files by path; an image is drawn for every name without a text."""

    def fill(files: dict[str, str | None]) -> Path:
        root = tmp_path / "data"
        for name, text in files.items():
            path = root / name
            if text is None:
                draw_image(path, *SIZE_PX)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        return root

    return fill


def read_all(source: Path, **options):
    report = ReadReport()
    return list(read(source, report=report, **options)), report


def single(make, *rows: str) -> Path:
    return make({"image_2/000010.png": None, "label_2/000010.txt": "".join(f"{one}\n" for one in rows)})


def only_annotation(source: Path, **options) -> Annotation:
    frames, _ = read_all(source, **options)
    assert frames[0].annotations is not None
    (annotation,) = frames[0].annotations
    return annotation


def test_rows_of_kitti(make):
    frames, report = read_all(single(make, CAR, AREA))
    assert (frames[0].frame_id, frames[0].width_px, frames[0].weather, frames[0].split) == ("000010", 1242, None, None)
    assert frames[0].annotations == (
        Annotation(
            xyxy=(586.42, 199.76, 662.87, 266.02),
            category="car",
            occluded=False,
            truncated=False,
            source_label="Car",
        ),
        Annotation(xyxy=(503.89, 169.71, 590.61, 190.13), ignore=True, source_label="DontCare"),
    )
    assert report.counts == {}
    assert len(report.content_hashes["000010"]) == 64


@pytest.mark.parametrize(
    ("kind", "category", "ignore"),
    [
        ("Car", "car", False),
        ("Van", "car", False),
        ("Truck", "truck", False),
        ("Pedestrian", "pedestrian", False),
        ("Person_sitting", "other_person", False),
        ("Cyclist", "rider", False),
        ("Tram", "train", False),
        ("Misc", "other_vehicle", True),
        ("DontCare", "traffic_light", True),
        ("traffic_light", "traffic_light", False),
    ],
)
def test_types(make, kind, category, ignore):
    annotation = only_annotation(single(make, row(kind)))
    assert (annotation.category, annotation.ignore, annotation.source_label) == (category, ignore, kind)


@pytest.mark.parametrize(
    ("truncated", "occluded", "is_truncated", "is_occluded"),
    [
        ("0.00", "0", False, False),
        ("0.01", "1", True, True),
        ("1", "2", True, True),
        ("0", "3", False, None),
        ("-1", "-1", None, None),
        ("0.0", "2.0", False, True),
    ],
)
def test_truncated_and_occluded(make, truncated, occluded, is_truncated, is_occluded):
    annotation = only_annotation(single(make, row(truncated=truncated, occluded=occluded)))
    assert (annotation.truncated, annotation.occluded) == (is_truncated, is_occluded)


def test_a_score_is_left_out_and_counted(make):
    frames, report = read_all(single(make, row(), row(more=" 0.97")))
    assert len(frames[0].annotations or ()) == 2
    assert report.counts == {(Event.SCORE_LEFT_OUT, ""): 1}


def test_names_of_lights(make):
    annotation = only_annotation(single(make, row("arrow_left_red")))
    assert (annotation.state, annotation.pictogram) == (State.RED, Pictogram.ARROW_LEFT)


# Layout


@pytest.mark.parametrize(
    ("folders", "options"),
    [
        (("image_2", "label_2"), {}),
        (("training/image_2", "training/label_2"), {}),
        (("images", "labels"), {}),
        (("pics", "marks"), {"images": "pics", "labels": "marks"}),
    ],
)
def test_layouts(make, folders, options):
    images, labels = folders
    source = make({f"{images}/d/0.png": None, f"{labels}/d/0.txt": row(), f"{images}/1.jpg": None})
    frames, report = read_all(source, **options)
    assert {frame.frame_id: frame.label_status for frame in frames} == {
        "d/0": LabelStatus.LABELLED,
        "1": LabelStatus.UNLABELLED,
    }
    assert report.counts == {(Event.NO_LABEL_FILE, ""): 1}
    assert report.root == source / images
    assert report.total == 2


def test_training_and_testing(make):
    source = make(
        {
            "training/image_2/0.png": None,
            "training/image_2/1.png": None,
            "training/label_2/0.txt": "",
            "training/label_2/1.txt": row(),
            "testing/image_2/0.png": None,
            "ImageSets/train.txt": "0\n",
            "ImageSets/val.txt": "1\n7\n",
        }
    )
    frames, report = read_all(source)
    assert [(frame.frame_id, frame.split, frame.label_status) for frame in frames] == [
        ("training/image_2/0", "train", LabelStatus.LABELLED),
        ("training/image_2/1", "val", LabelStatus.LABELLED),
        ("testing/image_2/0", "test", LabelStatus.UNLABELLED),
    ]
    assert frames[0].annotations == ()
    assert report.counts == {(Event.NO_LABEL_FILE, ""): 1, (Event.LISTED_WITHOUT_IMAGE, "val"): 1}
    assert {frame.split for frame in read_all(source, split="all")[0]} == {"all"}


def test_an_image_without_a_file(make):
    source = make({"image_2/0.png": None})
    with pytest.raises(AnnotationError, match=r"none of 1 images has a label file, expected .*label_2/0\.txt; set"):
        read_all(source)
    assert read_all(source, missing="unlabelled")[0][0].annotations is None
    assert read_all(source, missing="negative")[0][0].annotations == ()


def test_a_file_without_an_image(make):
    source = make({"image_2/0.png": None, "label_2/0.txt": "", "label_2/7.txt": row()})
    with pytest.raises(AnnotationError, match=r"7\.txt: no image '7\.png' in .*missing_images=drop"):
        read_all(source)
    frames, report = read_all(source, missing_images="drop")
    assert [frame.frame_id for frame in frames] == ["0"]
    assert report.counts == {(Event.IMAGE_MISSING, ""): 1}
    with pytest.raises(AnnotationError, match="neither an image file nor a width and height"):
        read_all(source, missing_images="keep")


@pytest.mark.parametrize(
    ("files", "options", "error", "message"),
    [
        ({"a.txt": ""}, {}, UsageError, "no folder image_2 or images, nor one in training"),
        ({"images/a.png": None}, {"images": "images"}, UsageError, "one of them is given; expected both, or none"),
        ({"images/a.png": None}, {"images": "x", "labels": "y"}, UsageError, "images: no folder 'x'"),
        (
            {"image_2/a.png": None, "image_2/a.jpg": None, "label_2/a.txt": ""},
            {},
            AnnotationError,
            r"a\.jpg in the same folder has the same label file",
        ),
    ],
)
def test_faults_of_the_layout(make, files, options, error, message):
    with pytest.raises(error, match=message):
        read_all(make(files), **options)


def test_links_that_leave_the_folders_are_left_out(make, tmp_path):
    source = single(make, CAR)
    outside = make({"../outside/b.png": None, "../outside/b.txt": row()}).parent / "outside"
    make({"image_2/b.png": None})
    (source / "image_2/c.png").symlink_to(outside / "b.png")
    (source / "label_2/b.txt").symlink_to(outside / "b.txt")
    frames, report = read_all(source)
    assert [(frame.frame_id, frame.label_status) for frame in frames] == [
        ("000010", LabelStatus.LABELLED),
        ("b", LabelStatus.UNLABELLED),
    ]
    assert report.counts == {(Event.LINK_LEFT_OUT, ""): 2, (Event.NO_LABEL_FILE, ""): 1}


def test_two_images_of_one_label_file_in_sub_folders(make):
    """Each part of a deep layout has its own."""
    source = make({"images/a/0.png": None, "images/b/0.png": None, "labels/a/0.txt": CAR, "labels/b/0.txt": ""})
    assert [len(frame.annotations or ()) for frame in read_all(source)[0]] == [1, 0]


# Faults


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Car 0 0 -10 1 2 3", "line 2: 7 fields, expected 15 .* or 16 with a score$"),
        (row("traffic light"), "line 2: the type 'traffic light' has a space; write it with _"),
        (row("red traffic light", more=" 0.5"), "the type 'red traffic light' has a space"),
        (row(truncated="1.5"), r"line 2: truncated is 1\.5, expected a share from 0 to 1, or -1"),
        (row(truncated="-0.5"), r"truncated is -0\.5"),
        (row(occluded="4"), "occluded is '4', expected a whole number from -1 to 3"),
        (row(occluded="0.5"), r"occluded is '0\.5'"),
        (row(box="1 2 x 4"), "right is 'x', expected a number"),
        (row(box="1 2 nan 4"), "right is 'nan', expected a number"),
        (row(box="1 2 3 1e999"), "bottom is '1e999', expected a number"),
        (row(box="9 2 3 4"), "reversed or has no area; .*on_bad_box=drop"),
        (row(box="2000 2 2100 4"), "lies outside its image of 1242x375"),
        (row("Cat"), r"data: words that the label map 'kitti' does not know: label 'Cat' \(1\)"),
        ("version https://git-lfs.github.com/spec/v1", "2 fields, expected 15"),
    ],
)
def test_faults(make, text, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        read_all(single(make, CAR, text))
    assert "\n" not in str(caught.value)


def test_a_git_pointer(make):
    with pytest.raises(AnnotationError, match="Git LFS pointer"):
        read_all(single(make, "version https://git-lfs.github.com/spec/v1", "oid sha256:1"))


def test_bad_boxes_may_be_dropped(make):
    source = single(make, row(box="9 2 3 4"), row(box="2000 2 2100 4"), row(box="1200 2 1300 4", truncated="-1"), CAR)
    frames, report = read_all(source, on_bad_box="drop")
    assert [(one.xyxy, one.truncated) for one in frames[0].annotations or ()] == [
        ((1200, 2, 1242, 4), True),
        ((586.42, 199.76, 662.87, 266.02), False),
    ]
    assert {event: n for (event, _), n in report.counts.items()} == {
        Event.BOX_NO_AREA: 1,
        Event.BOX_OUTSIDE: 1,
        Event.BOX_CLIPPED: 1,
    }


def test_a_broken_image(make):
    source = single(make, CAR)
    (source / "image_2" / "000010.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match="does not open"):
        read_all(source)
    assert read_all(source, missing_images="drop")[0] == []


JUNK = ["-1", "nan", "inf", "1e999", "9" * 5000, "../../etc/passwd", "x\0", "1_0", "é", "1 2"]


def test_junk_is_answered_with_one_line(make):
    source = single(make, CAR)
    path, names = source / "label_2" / "000010.txt", load_label_map("kitti")
    refused = 0
    words = CAR.split()
    for place in range(len(words)):
        for junk in JUNK:
            path.write_text(" ".join([*words[:place], junk, *words[place + 1 :]]), encoding="utf-8")
            try:
                read_all(source, label_map=names)
            except DataError as error:
                assert str(source) in str(error)
                assert "\n" not in str(error)
                refused += 1
    assert refused > 90


# Out and in again


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("flat", [False, True])
def test_a_catalog_comes_back_but_for_what_is_counted(random_catalog, losses_between, read_back, tmp_path, seed, flat):
    catalog, report, out = random_catalog(seed), WriteReport(), tmp_path / "out"
    out.mkdir()
    places = write(catalog, out, report=report, flat=flat)
    again = read_back(catalog, places, out, read, out)
    assert losses_between(catalog, again) == report.to_dict()
    assert {"box.relevance", "frame.weather"} <= set(report.to_dict())
    assert ("frame.frame_id" in report.to_dict()) is flat


def test_what_kitti_has_a_place_for_comes_back(random_catalog, losses_between, read_back, tmp_path):
    absent = "relevance facing orientation aspects reflection track_id weather scene time_of_day sequence timestamp_ns "
    nothing = dict.fromkeys((absent + "condition_source fog_beta_per_m").split(), (None,))
    catalog = random_catalog(
        0,
        n_frames=40,
        category=("traffic_light",),
        ignore=(False,),
        label_status=("labelled", "negative"),
        split=("train", "val", "test", None),
        **nothing,
    )
    report, out = WriteReport(), tmp_path / "out"
    out.mkdir()
    places = write(catalog, out, report=report)
    again = read_back(catalog, places, out, read, out)
    # The source's own word is all that is lost; state, pictogram, occluded and truncated are not.
    assert losses_between(catalog, again) == report.to_dict()
    assert set(report.to_dict()) == {"box.source_label"}


@pytest.mark.parametrize("state", [*State, None])
def test_every_light_has_a_type(state):
    for pictogram in [*Pictogram, None]:
        meaning = load_label_map("kitti").label(class_name("traffic_light", state, pictogram))
        assert isinstance(meaning, LabelFields)
        assert (meaning.state, meaning.pictogram, meaning.ignore) == (state, pictogram, False)


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_has_a_type(category):
    meaning = load_label_map("kitti").label(category)
    assert isinstance(meaning, LabelFields)
    assert (meaning.category, meaning.ignore) == (category, False)


def test_an_unlabelled_frame_has_no_file_and_is_in_no_list(random_catalog, tmp_path):
    catalog, report = random_catalog(1, label_status=("unlabelled",), split=("train",)), WriteReport()
    write(catalog, tmp_path, report=report)
    assert list(tmp_path.rglob("*.txt")) == []
    assert report.losses["frame.split"] == len(catalog)


def test_the_written_rows(tmp_path, draw_image):
    """Against a reading of the columns by hand, as the devkit's readme lists them."""
    boxes = (
        Annotation(xyxy=(1.123456789, 2, 30, 40.5), state=State.RED, pictogram=Pictogram.ARROW_LEFT, occluded=True),
        Annotation(xyxy=(5, 6, 7, 8), category="traffic_sign", truncated=True, occluded=False),
        Annotation(xyxy=(9, 9, 64, 48), state=State.OFF, ignore=True),
    )
    frame = Frame(frame_id="d/a", path="a.png", width_px=64, height_px=48, annotations=boxes, split="val")
    draw_image(tmp_path / "a.png")
    out = tmp_path / "out"
    places = write(Catalog.from_frames([frame], source="s", root=tmp_path), out, report=WriteReport())
    assert places == ["training/image_2/d/a.png"]
    assert (out / "ImageSets" / "val.txt").read_text() == "d/a\n"
    rows = [line.split(" ") for line in (out / "training" / "label_2" / "d" / "a.txt").read_text().splitlines()]
    assert [len(one) for one in rows] == [15, 15, 15]
    assert [(one[0], float(one[1]), int(one[2])) for one in rows] == [
        ("arrow_left_red", -1, 1),
        ("traffic_sign", 0.5, 0),
        ("DontCare", -1, -1),
    ]
    for one, annotation in zip(rows, boxes, strict=True):
        assert tuple(map(float, one[4:8])) == annotation.xyxy


def test_kitti_itself_is_no_set_of_negatives_for_lights(make):
    source = single(make, CAR, AREA)
    catalog, report = index(source, "kitti")
    assert report.counts == {(Event.NO_LIGHT, "of KITTI itself: kitti_object"): 1}
    assert "labelled_categories" in report.lines()[0]
    catalog, report = index(source, "kitti_object")
    assert catalog.frames["label_status"].to_list() == [LabelStatus.PARTIAL]
    assert "traffic_light" not in catalog.frames["labelled_categories"].to_list()[0]
    assert report.counts == {}


def test_through_the_command_table(make):
    catalog, _ = index(single(make, CAR, AREA), "kitti", missing_images="drop")
    assert catalog.annotations["category"].to_list() == ["car", "traffic_light"]


@pytest.fixture
def mapped(tmp_path, draw_image):
    """Three training frames, of which the first and the last are of one drive, and the mapping of the devkit."""
    for number in range(3):
        draw_image(tmp_path / "kitti" / "training" / "image_2" / f"{number:06d}.png", 64, 48)
        label = tmp_path / "kitti" / "training" / "label_2" / f"{number:06d}.txt"
        label.parent.mkdir(exist_ok=True)
        label.write_text("")
    folder = tmp_path / "devkit" / "mapping"
    folder.mkdir(parents=True)
    (folder / "train_rand.txt").write_text("3,1,2\n")
    (folder / "train_mapping.txt").write_text(
        "2011_09_26 2011_09_26_drive_0005_sync 0000000109\n"
        "2011_09_26 2011_09_26_drive_0009_sync 0000000002\n"
        "2011_09_26 2011_09_26_drive_0009_sync 0000000005\n"
    )
    return tmp_path / "kitti", folder


def test_the_devkit_tells_the_drives(mapped):
    source, folder = mapped
    catalog, _ = index(source, "kitti", mapping=str(folder))
    drive = "2011_09_26_drive_{}_sync"
    assert catalog.frames["sequence"].to_list() == [drive.format("0009"), drive.format("0005"), drive.format("0009")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("train_rand.txt", "3,1", r"has 2 frames and none for '000002'"),
        ("train_rand.txt", "3,1,4", "a line number is '4', expected a whole number from 1 to 3"),
        ("train_rand.txt", "3,x,1", "a line number is 'x'"),
        ("train_mapping.txt", "2011_09_26 drive\n", r"train_mapping\.txt line 1: '2011_09_26 drive', expected date"),
    ],
)
def test_faults_of_the_mapping(mapped, name, text, message):
    source, folder = mapped
    (folder / name).write_text(text)
    with pytest.raises(AnnotationError, match=message):
        index(source, "kitti", mapping=str(folder))


def test_a_mapping_that_is_not_there(mapped, tmp_path):
    with pytest.raises(UsageError, match=r"mapping: no train_rand\.txt in"):
        index(mapped[0], "kitti", mapping=str(tmp_path))
