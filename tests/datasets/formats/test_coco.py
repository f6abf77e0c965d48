from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from tl_datasets.catalog import Catalog
from tl_datasets.errors import AnnotationError, DataError
from tl_datasets.formats.coco import read, write, write_document
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.frame import Annotation, Frame
from tl_datasets.index import index
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import (
    Facing,
    Orientation,
    Pictogram,
    Relevance,
    Scene,
    State,
    TimeOfDay,
    Weather,
)


def document(**changes) -> dict:
    """A minimal file as found in the wild: gaps in the ids, no iscrowd, no area, no info."""
    base = {
        "images": [{"id": 100, "file_name": "a.png", "width": 64, "height": 48}],
        "annotations": [{"id": 5, "image_id": 100, "category_id": 10, "bbox": [10.12, 20.77, 3.56, 8.11]}],
        "categories": [{"id": 10, "name": "traffic light"}, {"id": 3, "name": "car"}],
    }
    return {**base, **changes}


def with_image(**fields) -> dict:
    """The minimal file with other fields of its image."""
    return document(images=[{"id": 100, "file_name": "a.png", **fields}])


def with_box(**fields) -> dict:
    """The minimal file with other fields of its box."""
    return document(annotations=[{**document()["annotations"][0], **fields}])


@pytest.fixture
def make_file(tmp_path, draw_image):
    def make(content: dict | str, images=("a.png",)) -> Path:
        for name in images:
            draw_image(tmp_path / name)
        path = tmp_path / "labels.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return make


def read_all(path: Path, **options):
    report = ReadReport()
    return list(read(path, report=report, **options)), report


def only_annotation(path: Path, **options) -> Annotation:
    frames, _ = read_all(path, **options)
    assert len(frames) == 1
    assert len(frames[0].annotations or ()) == 1
    return (frames[0].annotations or ())[0]


def test_a_minimal_file(make_file):
    annotation = only_annotation(make_file(document()))
    assert annotation.xyxy == pytest.approx((10.12, 20.77, 13.68, 28.88))
    assert (annotation.category, annotation.state, annotation.ignore) == ("traffic_light", None, False)
    assert annotation.source_label == "traffic light"


def test_ids_may_be_texts_and_paths_may_have_backslashes(make_file):
    content = document(
        images=[{"id": "x7", "file_name": "sub\\a.png"}],
        annotations=[{"image_id": "x7", "category_id": "10", "bbox": [1, 2, 3, 4]}],
    )
    frames, _ = read_all(make_file(content, ["sub/a.png"]))
    assert (frames[0].frame_id, frames[0].path, frames[0].width_px) == ("sub/a", "sub/a.png", 64)
    assert len(frames[0].annotations or ()) == 1


@pytest.mark.parametrize("key", ["iscrowd", "ignore"])
@pytest.mark.parametrize(
    ("value", "ignore"),
    [(1, True), ("1", True), (True, True), (0, False), ("0", False), ("false", False), (0.0, False), (None, False)],
)
def test_crowd_and_ignore_are_ignore_areas(make_file, key, value, ignore):
    assert only_annotation(make_file(with_box(**{key: value}))).ignore is ignore


@pytest.mark.parametrize("size", [{"width": 64.0, "height": "48"}, {"width": 64}, {"height": "48.0"}, {"width": None}])
def test_ways_to_declare_the_right_size(make_file, size):
    frames, _ = read_all(make_file(with_image(**size)))
    assert (frames[0].width_px, frames[0].height_px) == (64, 48)


@pytest.mark.parametrize("width", [0, -5, float("nan"), True, 10**12, 10**400, None])
def test_a_declared_size_that_no_image_has(make_file, width):
    path = make_file(document(images=[{"id": 100, "file_name": "gone.png", "width": width, "height": 48}]))
    with pytest.raises(DataError, match=r"width is|neither an image file nor a width"):
        read_all(path, missing_images="keep")


def test_video_id_is_the_sequence_unless_the_attributes_name_one(make_file):
    assert read_all(make_file(with_image(video_id=7)))[0][0].sequence == "7"
    assert read_all(make_file(with_image(video_id=7, attributes={"sequence": None})))[0][0].sequence == "7"
    assert read_all(make_file(with_image(video_id=7, attributes={"sequence": "s"})))[0][0].sequence == "s"


def test_the_image_root_is_found_although_the_first_image_is_missing(make_file):
    images = [{"id": 1, "file_name": "gone.png", "width": 9, "height": 8}, {"id": 2, "file_name": "a.png"}]
    path = make_file(document(images=images, annotations=[]), ["images/a.png"])
    frames, report = read_all(path, missing_images="drop")
    assert [frame.path for frame in frames] == ["a.png"]
    frames, report = read_all(path, missing_images="keep")
    assert (len(frames), list(report.content_hashes)) == (2, ["a"])


@pytest.mark.parametrize(
    "content",
    [
        with_image(attributes={"sequence": "\ud800"}),
        with_image(attributes={"split": "\ud800"}),
        with_image(attributes={"frame_id": "\ud800"}),
        with_image(video_id="\ud800"),
        with_box(track_id="\ud800"),
        with_box(attributes={"source_label": "\ud800"}),
    ],
    ids=["sequence", "split", "frame_id", "video_id", "track_id", "source_label"],
)
def test_half_a_character_is_named(make_file, content):
    with pytest.raises(DataError, match="half of a character") as caught:
        index(make_file(content), "coco")
    str(caught.value).encode()


@pytest.mark.parametrize(
    ("attributes", "state", "pictogram"),
    [
        ({}, State.RED, Pictogram.ARROW_LEFT),
        ({"state": "off"}, State.OFF, Pictogram.ARROW_LEFT),
        ({"state": None}, None, Pictogram.ARROW_LEFT),
        ({"state": "unknown", "pictogram": "circle"}, State.UNKNOWN, Pictogram.CIRCLE),
        ({"state": "Red-Yellow", "other tool's key": 5}, State.RED_YELLOW, Pictogram.ARROW_LEFT),
    ],
    ids=["by name", "off", "no such field", "unknown", "other spelling"],
)
def test_attributes_go_before_the_class_name(make_file, attributes, state, pictogram):
    content = document(categories=[{"id": 10, "name": "red_left"}])
    content["annotations"][0]["attributes"] = attributes
    annotation = only_annotation(make_file(content))
    assert (annotation.state, annotation.pictogram) == (state, pictogram)
    plain = only_annotation(make_file(content), attributes=False)
    assert (plain.state, plain.pictogram) == (State.RED, Pictogram.ARROW_LEFT)


def test_an_image_without_annotations_is_a_negative_unless_it_says_otherwise(make_file):
    images = [
        {"id": 1, "file_name": "a.png"},
        {"id": 2, "file_name": "b.png", "attributes": {"label_status": "unlabelled"}},
        {"id": 3, "file_name": "c.png", "attributes": {"labelled_categories": ["traffic_light"]}},
    ]
    frames, _ = read_all(make_file(document(images=images, annotations=[]), ["a.png", "b.png", "c.png"]))
    assert [frame.label_status for frame in frames] == ["labelled", "unlabelled", "partial"]


def test_scalabel_style_condition_keys(make_file):
    content = document()
    content["images"][0]["attributes"] = {"weather": "partly cloudy", "timeofday": "dawn/dusk", "scene": "city street"}
    frames, _ = read_all(make_file(content))
    assert (frames[0].weather, frames[0].time_of_day, frames[0].scene) == ("partly_cloudy", "dawn_dusk", "city_street")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [\n', r"labels\.json line 2: not JSON"),
        ("[]", "expected a COCO document"),
        ({"annotations": []}, "expected a COCO document"),
        (document(images=[{"file_name": "a.png"}]), "image number 0: expected an object with id and file_name"),
        (
            document(images=[{"id": 1, "file_name": "a.png"}, {"id": "1", "file_name": "b.png"}]),
            "image id 1 occurs twice",
        ),
        (document(categories=[{"id": 10, "name": "car"}] * 2), "category id 10 occurs twice"),
        (document(categories=[]), "category 10 of 1 annotations does not exist"),
        (document(categories=[{"id": 10, "name": "left"}]), r"label 'left' \(1\)"),
        (document(annotations=[{"image_id": 7, "category_id": 10, "bbox": [1, 2, 3, 4]}]), "image 7 does not exist"),
        (
            document(annotations=[{"id": 1, "image_id": 100, "category_id": 10, "bbox": [1, 2, 3]}]),
            "annotation 1: bbox",
        ),
        (document(annotations=[{"id": 1, "image_id": 100, "category_id": 10}]), "annotation 1: bbox None"),
        (with_box(bbox=[1, 2, float("nan"), 4]), "is nan, expected a number"),
        (with_box(bbox={"x": 1}), r"bbox \{'x': 1\}, expected four numbers"),
        (with_box(attributes={"aspects": 1.5}), "aspects is 1.5, expected a whole number from 1 to 4"),
        (with_image(attributes={"timestamp_ns": 1.5}), "timestamp_ns is 1.5, expected a whole number"),
        (with_image(attributes={"sequence": ["a"]}), r"sequence is \['a'\], expected a text"),
        (with_image(attributes={"sequence": ""}), "sequence is '', expected a text"),
        (
            document(annotations=[{"image_id": 100, "category_id": 10, "bbox": [9, 2, -3, 4]}]),
            "reversed or has no area",
        ),
        (
            document(annotations=[{"image_id": 100, "category_id": 10, "bbox": [9, 2, 0, 4]}]),
            "no area.*on_bad_box=drop",
        ),
        (
            document(annotations=[{"image_id": 100, "category_id": 10, "bbox": [99, 2, 3, 4]}]),
            "outside its image of 64x48",
        ),
        (document(annotations=[{"image_id": 100}]), "expected an object with image_id and category_id"),
        (document(annotations=document()["annotations"] * 2), "annotation id 5 occurs twice"),
        (document(images=[{"id": 100, "file_name": "a.png", "width": 48, "height": 64}]), "48x64.*64x48"),
        (document(images=[{"id": 100, "file_name": "b.png"}]), r"no image 'b\.png'.*images=DIR"),
        (
            document(images=[{"id": 100, "file_name": "a.png", "attributes": {"weather": "hail"}}]),
            "image 100: attribute weather is 'hail', expected one of clear",
        ),
        (
            document(images=[{"id": 100, "file_name": "a.png", "attributes": {"label_status": "unlabelled"}}]),
            "unlabelled but it has annotations",
        ),
        (with_image(attributes={"label_status": "partial"}), "partial; expected the attribute labelled_categories"),
        (
            with_image(attributes={"label_status": "labelled", "labelled_categories": ["car"]}),
            "labelled but labelled_categories names car",
        ),
        ({key: value for key, value in document().items() if key != "annotations"}, "annotations: absent, expected a"),
        (document(annotations=None), "annotations: None, expected a list"),
        (document(annotations={}), "annotations: {}, expected a list"),
        (json.dumps(document())[:-1] + ', "annotations": []}', "key 'annotations' occurs twice"),
        (with_image(width=640.0, height=480), "declares 640x480"),
        (with_image(width="640", height="480"), "declares 640x480"),
        (with_image(width=640), "declares 640x48"),
        (with_image(height=480), "declares 64x480"),
        (with_image(width=True), "width is True, expected a whole number of pixels"),
        (with_image(width=64.5), r"width is 64\.5, expected a whole number"),
        (with_image(width="wide"), "width is 'wide'"),
        (with_image(video_id=[1]), r"video_id is \[1\], expected"),
        (with_box(track_id=[1]), r"track_id is \[1\], expected a whole number, a text, or null"),
        (with_box(track_id=True), "track_id is True, expected"),
        (with_box(bbox=[True, 2, 3, 4]), "number of bbox is True, expected a number"),
        (with_box(iscrowd=[0]), r"iscrowd is \[0\], expected true, false or null"),
        (with_box(ignore="maybe"), "ignore is 'maybe'"),
        (with_box(bbox=[10**400, 1, 2, 3]), r"number of bbox is 1000.*\.\.\., expected a number"),
        (with_box(bbox=["a" * 5000, 1, 2, 3]), r"number of bbox is 'aaa.{,90}\.\.\., expected a number"),
        (with_box(bbox=[-10, 5, 10.0000001, 8]), "outside its image"),
    ],
)
def test_faults(make_file, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_all(make_file(content))
    assert "\n" not in str(caught.value)


def test_a_path_that_leaves_the_root_is_refused(make_file, tmp_path):
    path = make_file(document(images=[{"id": 100, "file_name": "../a.png"}]))
    (tmp_path / "below").mkdir()
    with pytest.raises(AnnotationError, match=r"labels\.json: image 100: .*leaves its root"):
        read_all(path, images=tmp_path / "below")


def test_bad_boxes_may_be_dropped_and_are_counted(make_file):
    boxes = [[9, 2, -3, 4], [99, 2, 3, 4], [60, 2, 10, 4], [1, 2, 3, 4]]
    content = document(annotations=[{"image_id": 100, "category_id": 10, "bbox": box} for box in boxes])
    frames, report = read_all(make_file(content), on_bad_box="drop")
    assert [annotation.xyxy for annotation in frames[0].annotations or ()] == [(60, 2, 64, 6), (1, 2, 4, 6)]
    assert [annotation.truncated for annotation in frames[0].annotations or ()] == [True, None]
    assert {event: n for (event, _), n in report.counts.items()} == {
        Event.BOX_NO_AREA: 1,
        Event.BOX_OUTSIDE: 1,
        Event.BOX_CLIPPED: 1,
    }


def test_two_images_of_one_name_are_refused(make_file):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "images/../a.png"}]
    (make_file(document()).parent / "images").mkdir()
    content = document(images=images, annotations=[])
    with pytest.raises(AnnotationError, match=r"image 2: is the frame 'a', as is image '1'; .*remove one"):
        index(make_file(content), "coco")


def test_a_folder_that_was_written_is_a_source(full_catalog, tmp_path):
    catalog, _ = full_catalog
    places = write(catalog, tmp_path, report=WriteReport())
    for row, place in enumerate(places):
        target = tmp_path / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(catalog.image_path(row).read_bytes())
    (tmp_path / "conversion.json").write_text("{}")
    again, report = index(tmp_path, "coco")
    assert (len(again), len(again.annotations), report.lines()) == (len(catalog), len(catalog.annotations), [])


def test_another_folder_is_no_source(make_file):
    folder = make_file(document()).parent
    with pytest.raises(
        AnnotationError, match=r"a folder without annotations\.json; .* one COCO file, such as .*labels\.json"
    ):
        index(folder, "coco")
    (folder / "labels.json").unlink()
    with pytest.raises(AnnotationError, match=r"without annotations\.json; expected the path of one COCO file$"):
        index(folder, "coco")


def test_scores_are_counted(make_file):
    """A detector's boxes in the form of ground truth; the list form of results is refused."""
    _, report = read_all(make_file(with_box(score=0.7)))
    assert report.count(Event.SCORE_LEFT_OUT) == 1
    assert read_all(make_file(with_box(score=None)))[1].lines() == []
    with pytest.raises(AnnotationError, match="expected a COCO document"):
        read_all(make_file(json.dumps([{"image_id": 100, "category_id": 10, "bbox": [1, 2, 3, 4], "score": 0.7}])))


@pytest.mark.parametrize(
    ("fields", "track"),
    [
        ({"track_id": 7}, "7"),
        ({"track_id": "B1_17"}, "B1_17"),
        ({"attributes": {"track_id": 0, "keyframe": True}}, "0"),
        ({"track_id": 7, "attributes": {"track_id": 8}}, "7"),
        ({"track_id": None}, None),
        ({}, None),
    ],
    ids=["number", "text", "as CVAT writes it", "both", "null", "absent"],
)
def test_tracks(make_file, fields, track):
    assert only_annotation(make_file(with_box(**fields))).track_id == track


def test_images_of_one_name_in_two_folders_are_two(make_file):
    images = [{"id": number, "file_name": f"{folder}/a.png"} for number, folder in ((1, "x"), (2, "y"))]
    frames, _ = read_all(make_file(document(images=images, annotations=[]), ["x/a.png", "y/a.png"]))
    assert [frame.frame_id for frame in frames] == ["x/a", "y/a"]


def test_missing_images(make_file):
    images = [{"id": 100, "file_name": "a.png"}, {"id": 2, "file_name": "gone.png", "width": 9, "height": 8}]
    path = make_file(document(images=images))
    with pytest.raises(AnnotationError, match=r"image 2: no image 'gone\.png' in"):
        read_all(path)
    frames, report = read_all(path, missing_images="drop")
    assert (len(frames), report.count(Event.IMAGE_MISSING)) == (1, 1)
    frames, report = read_all(path, missing_images="keep")
    assert (frames[1].width_px, report.count(Event.IMAGE_NOT_CHECKED)) == (9, 1)


# Out and in again

FULL = Annotation(
    xyxy=(1.123456789, 2.25, 7.1, 20.987654321),
    state=State.OFF,
    pictogram=Pictogram.ARROW_STRAIGHT_LEFT,
    relevance=Relevance.NOT_RELEVANT,
    facing=Facing.BACK,
    orientation=Orientation.HORIZONTAL,
    aspects=4,
    occluded=True,
    truncated=False,
    reflection=True,
    ignore=True,
    track_id="t9",
    source_label="OffLeft",
)


@pytest.fixture
def full_catalog(tmp_path, draw_image):
    root = tmp_path / "images"
    frames = [
        Frame(
            frame_id="drive 1/a",
            path="d/a.png",
            width_px=64,
            height_px=48,
            weather=Weather.FOGGY,
            scene=Scene.UNDEFINED,
            time_of_day=TimeOfDay.NIGHT,
            sequence="drive 1",
            split="test",
            timestamp_ns=2**60 + 1,
            annotations=(FULL, Annotation(xyxy=(0, 0, 64, 48), state=State.UNKNOWN), Annotation(xyxy=(3, 3, 4, 4))),
        ),
        Frame(frame_id="b", path="b.png", width_px=64, height_px=48, annotations=None),
        Frame(frame_id="c", path="c.png", width_px=64, height_px=48, annotations=()),
        Frame(
            frame_id="d",
            path="d.png",
            width_px=64,
            height_px=48,
            annotations=(Annotation(xyxy=(0.1, 0.2, 0.7, 0.9), category="car", occluded=False),),
            labelled_categories=("car", "bus"),
        ),
    ]
    for frame in frames:
        draw_image(root / frame.path)
    direct = Catalog.from_frames(frames, source="drawn", root=root)
    # Once around, so that the content hashes are known.
    path = tmp_path / "first.json"
    write_document(direct, path)
    return index(path, "coco", name="drawn", images=root)[0], frames


def test_a_catalog_comes_back(full_catalog, tmp_path):
    catalog, frames = full_catalog
    root = write_document(catalog, tmp_path / "second.json")
    again, report = index(tmp_path / "second.json", "coco", name="drawn", images=root)
    assert report.lines() == []
    assert again.frames.equals(catalog.frames)
    plain = [name for name in catalog.annotations.columns if name not in {"x1", "y1", "x2", "y2"}]
    assert again.annotations.select(plain).equals(catalog.annotations.select(plain))
    np.testing.assert_allclose(again.xyxy, catalog.xyxy, atol=1e-9)
    for frame, expected in zip(again.iter_frames(), frames, strict=True):
        assert frame.label_status == expected.label_status
        for annotation, original in zip(frame.annotations or (), expected.annotations or (), strict=True):
            assert annotation.xyxy == pytest.approx(original.xyxy, abs=1e-9)
            assert (annotation.state, annotation.pictogram) == (original.state, original.pictogram)
            assert (annotation.occluded, annotation.truncated) == (original.occluded, original.truncated)


def test_pycocotools_reads_what_we_write(full_catalog, tmp_path):
    catalog, _ = full_catalog
    write_document(catalog, tmp_path / "out.json")
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCO(str(tmp_path / "out.json"))
    assert min(judge.getAnnIds()) == 1
    assert len(judge.getImgIds()) == len(catalog)
    for position, image_id in enumerate(judge.getImgIds()):
        theirs = judge.loadAnns(judge.getAnnIds(imgIds=image_id, iscrowd=None))
        ours = catalog.frame(position).annotations or ()
        assert len(theirs) == len(ours)
        for record, annotation in zip(theirs, ours, strict=True):
            x, y, w, h = record["bbox"]
            assert (x, y, x + w, y + h) == pytest.approx(annotation.xyxy, abs=1e-9)
            assert record["area"] == pytest.approx(w * h)
            assert record["iscrowd"] == annotation.ignore
            assert judge.loadCats(record["category_id"])[0]["name"] == annotation.category


@pytest.fixture
def as_read_by_others(random_catalog, tmp_path):
    """A written data set with its images in place."""
    catalog = random_catalog(3, n_frames=20, label_status=["labelled", "negative"])
    out = tmp_path / "out"
    out.mkdir()
    places = write(catalog, out, report=WriteReport())
    for row, place in enumerate(places):
        (out / place).parent.mkdir(parents=True, exist_ok=True)
        (out / place).write_bytes(catalog.image_path(row).read_bytes())
    assert len(catalog.annotations) >= 20
    return catalog, places, out


def test_supervision_reads_the_same_boxes(as_read_by_others):
    supervision = pytest.importorskip("supervision")
    catalog, places, out = as_read_by_others
    dataset = supervision.DetectionDataset.from_coco(str(out), str(out / "annotations.json"))
    seen = 0
    for path, _, found in dataset:
        row = places.index(Path(path).relative_to(out).as_posix())
        np.testing.assert_allclose(found.xyxy.reshape(-1, 4), catalog.boxes(row), atol=0.01)
        boxes = catalog.frame(row).annotations or ()
        assert [dataset.classes[number] for number in found.class_id] == [box.category for box in boxes]
        seen += len(boxes)
    assert seen == len(catalog.annotations)


def test_globox_reads_the_same_boxes(as_read_by_others):
    globox = pytest.importorskip("globox")
    catalog, places, out = as_read_by_others
    seen = 0
    for item in globox.AnnotationSet.from_coco(out / "annotations.json"):
        row = places.index(item.image_id)
        boxes = [(box.xmin, box.ymin, box.xmax, box.ymax) for box in item.boxes]
        np.testing.assert_allclose(np.reshape(boxes, (-1, 4)), catalog.boxes(row), atol=0.01)
        assert [box.label for box in item.boxes] == [box.category for box in catalog.frame(row).annotations or ()]
        seen += len(boxes)
    assert seen == len(catalog.annotations)


def test_several_sources_share_the_folder_above(tmp_path, draw_image, make_frame):
    parts = []
    for name in ("first", "second"):
        draw_image(tmp_path / "data" / name / f"{name}.png", 100, 80)
        parts.append(Catalog.from_frames([make_frame(name)], source=name, root=tmp_path / "data" / name))
    both = Catalog(
        parts[0].frames.vstack(parts[1].frames),
        parts[0].annotations.vstack(parts[1].annotations),
        {**parts[0].roots, **parts[1].roots},
    )
    root = write_document(both, tmp_path / "out.json")
    again, _ = index(tmp_path / "out.json", "coco", images=root)
    assert again.frames["path"].to_list() == ["first/first.png", "second/second.png"]
    assert again.image_path(1).is_file()


def test_real_catalogs_come_back(shared_data, tmp_path):
    catalog, _ = index(shared_data / "bdd100k", "bdd100k")
    root = write_document(catalog, tmp_path / "bdd.json")
    again, _ = index(tmp_path / "bdd.json", "coco", name="bdd100k", images=root)
    assert again.frames.equals(catalog.frames)
    np.testing.assert_allclose(again.xyxy, catalog.xyxy, atol=1e-6)
    boxes = ["x1", "y1", "x2", "y2"]
    assert again.annotations.drop(boxes).equals(catalog.annotations.drop(boxes))


def test_an_unwritable_target_leaves_nothing(full_catalog, tmp_path):
    with pytest.raises(OSError, match="No such file"):
        write_document(full_catalog[0], tmp_path / "absent" / "out.json")
    assert not (tmp_path / "absent").exists()


def test_error_type_and_path(make_file):
    path = make_file("{")
    with pytest.raises(AnnotationError) as caught:
        read_all(path)
    assert (caught.value.path, caught.value.line) == (path, 1)


def test_a_file_of_inclusive_corners_gets_its_pixel_back(make_file):
    path = make_file(document())
    plain, inclusive = (index(path, "coco", box_convention=word)[0].xyxy[0] for word in ("continuous", "inclusive"))
    assert (inclusive - plain).tolist() == [0, 0, 1, 1]
