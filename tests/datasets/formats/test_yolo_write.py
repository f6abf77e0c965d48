from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from tl_datasets.catalog import Catalog
from tl_datasets.errors import AnnotationError, DataError
from tl_datasets.formats import coco
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.formats.yolo import read
from tl_datasets.formats.yolo_write import SIDECAR, class_name, write
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_maps import LabelFields, load_label_map
from tl_datasets.label_space import LabelSpace
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import CATEGORIES, TRAFFIC_LIGHT, Pictogram, State


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "yolo"
    folder.mkdir()
    return folder


@pytest.fixture
def one_frame(tmp_path: Path, draw_image):
    """A catalog of one frame of 2048x1024 pixels with the given boxes; None = unlabelled."""

    def make(*boxes: Annotation, size: tuple[int, int] = (2048, 1024), **fields) -> Catalog:
        image = draw_image(tmp_path / "original" / "a.png", *size)
        fields = {"annotations": boxes, "frame_id": "a", "split": "train", **fields}
        frame = Frame(path="a.png", width_px=size[0], height_px=size[1], **fields)
        hashes = {frame.frame_id: hashlib.sha256(image.read_bytes()).hexdigest()}
        return Catalog.from_frames([frame], source="drawn", root=image.parent, content_hashes=hashes)

    return make


def written(catalog: Catalog, out: Path, **options) -> tuple[list[str], WriteReport]:
    report = WriteReport()
    return write(catalog, out, report=report, **options), report


def without_ignored(catalog: Catalog) -> Catalog:
    return Catalog(catalog.frames, catalog.annotations.filter(~pl.col("ignore")), catalog.roots)


# Class names


def test_every_class_name_is_unique_and_means_what_it_was_made_of():
    words = load_label_map("traffic_light_names")
    lights = itertools.product([TRAFFIC_LIGHT], [*State, None], [*Pictogram, None])
    made = {}
    for category, state, pictogram in [*lights, *((category, None, None) for category in CATEGORIES[1:])]:
        name = class_name(category, state, pictogram)
        meaning = words.label(name)
        assert isinstance(meaning, LabelFields), name
        assert (meaning.category, meaning.state, meaning.pictogram) == (category, state, pictogram), name
        assert name not in made
        made[name] = meaning
    assert len(made) == 7 * 16 + len(CATEGORIES) - 1


# There and back


@pytest.mark.parametrize("seed", range(4))
def test_losses_are_exactly_what_does_not_come_back(random_catalog, read_back, losses_between, out, seed):
    catalog = random_catalog(seed)
    places, report = written(catalog, out)
    again = read_back(catalog, places, out, read, out / "data.yaml")
    dropped = int(catalog.annotations["ignore"].sum())
    assert dropped > 0
    assert report.to_dict() == {**losses_between(without_ignored(catalog), again), "box": dropped}
    assert not {"frame.split", "frame.frame_id"} & set(report.losses)


def test_flat_names(random_catalog, read_back, losses_between, out):
    catalog = random_catalog(9, ignore=[False])
    places, report = written(catalog, out, flat=True)
    again = read_back(catalog, places, out, read, out)
    assert report.losses["frame.frame_id"] == len(catalog)
    assert report.to_dict() == losses_between(catalog, again)


@pytest.mark.parametrize("seed", range(4, 6))
def test_nothing_of_what_class_names_say_is_lost(random_catalog, read_back, losses_between, out, seed):
    catalog = random_catalog(seed, category=[TRAFFIC_LIGHT])
    places, report = written(catalog, out, ignored="keep")
    again = read_back(catalog, places, out, read, out)
    assert report.to_dict() == losses_between(catalog, again)
    assert report.losses["box.ignore"] > 0
    assert not {"box", "box.category", "box.state", "box.pictogram", "frame.label_status", "frame.split"} & set(
        report.losses
    )
    assert set(again.frames["label_status"]) == {"labelled", "unlabelled"}


def test_the_sidecar_holds_everything(random_catalog, read_back, losses_between, out):
    catalog = random_catalog(7)
    places, _ = written(catalog, out)
    again = read_back(catalog, places, out, coco.read, out / SIDECAR)
    assert losses_between(catalog, again) == {}
    (out / SIDECAR).unlink()
    written(catalog, out, sidecar=False)
    assert not (out / SIDECAR).exists()


@pytest.mark.parametrize("size", [(64, 48), (2048, 1024), (8192, 96)])
def test_boxes_come_back_to_a_millionth_of_a_pixel(one_frame, read_back, out, size):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 1, (200, 2, 2)) * size
    tiny = np.array([[[1e-6, 1e-6], [3e-6, 2e-6]], [[size[0] - 1e-5, 3.0], [size[0], 3.0001]]])
    table = np.concatenate([np.sort(corners, axis=1), tiny]).reshape(-1, 4)
    catalog = one_frame(*(Annotation(xyxy=tuple(row), state=State.RED) for row in table), size=size)
    places, _ = written(catalog, out)
    report = ReadReport()
    again = read_back(catalog, places, out, read, out)
    list(read(out, report=report))
    assert np.abs(again.xyxy - catalog.xyxy).max() < 1e-6
    assert report.lines() == []


def test_frames_that_nobody_labelled_are_kept_from_trainers(random_catalog, read_back, out):
    catalog = random_catalog(1, n_frames=24, ignore=[False], label_status=["labelled", "negative", "unlabelled"])
    places, _ = written(catalog, out)
    data = yaml.safe_load((out / "data.yaml").read_text())
    for row, place in enumerate(places):
        label = out / place.replace("images", "labels").replace(".png", ".txt")
        status, split = catalog.frames["label_status"][row], catalog.frames["split"][row]
        assert label.is_file() == (status != "unlabelled")
        part = place.split("/")[1]
        assert data[part] == f"images/{part}"
        assert (part in {"train", "val", "test"}) == (status != "unlabelled" and split is not None)
        if label.is_file():
            assert len(label.read_text().splitlines()) == len(catalog.boxes(row))
    again = read_back(catalog, places, out, read, out)
    assert again.frames["split"].to_list().count(None) == catalog.frames["split"].null_count()
    assert (again.frames["label_status"] == "unlabelled").sum() > 0


def test_a_negative_alone_and_an_unlabelled_frame_alone(one_frame, read_back, out):
    places, report = written(one_frame(), out)
    assert (out / "labels" / "train" / "a.txt").read_text() == ""
    assert read_back(one_frame(), places, out, read, out).frame(0).annotations == ()
    second = out / "second"
    second.mkdir()
    places, report = written(one_frame(annotations=None), second)
    assert places == ["images/unlabelled_train/a.png"]
    again = read_back(one_frame(), places, second, read, second)
    assert (again.frame(0).annotations, again.frame(0).split) == (None, "train")
    assert report.to_dict() == {}
    counts = ReadReport()
    assert [frame.annotations for frame in read(second, report=counts, missing="negative")] == [None]
    assert counts.lines() == []
    (second / "labels" / "unlabelled_train").mkdir(parents=True)
    (second / "labels" / "unlabelled_train" / "a.txt").write_text("")
    with pytest.raises(
        AnnotationError, match=r"unlabelled_train: images/unlabelled_train/a\.png is in an unlabelled part"
    ):
        list(read(second, report=ReadReport()))


def test_frames_of_which_something_else_was_labelled_are_kept_from_trainers(
    random_catalog, read_back, losses_between, out
):
    """Merged sources: in frames of the second one a light without a box is no background."""
    catalog = random_catalog(5, n_frames=6, label_status=["labelled"], ignore=[False], split=["train", "x"])
    lists = [[], ["car"], ["car"], ["bus", "car"], ["traffic_light"], ["traffic_light", "car"]]
    status = ["partial" if names else "labelled" for names in lists]
    frames = catalog.frames.with_columns(labelled_categories=pl.Series(lists), label_status=pl.Series(status))
    for categories, kept in (({"traffic_light", "car"}, [1, 2, 3, 4]), ({"car"}, [4]), ({"traffic_light"}, [1, 2, 3])):
        folder = out / "_".join(sorted(categories))
        folder.mkdir()
        names = pl.Series([sorted(categories)[n % len(categories)] for n in range(len(catalog.annotations))])
        changed = Catalog(frames, catalog.annotations.with_columns(category=names), catalog.roots)
        places, report = written(changed, folder)
        assert [row for row, place in enumerate(places) if place.startswith("images/partial_")] == kept
        again = read_back(changed, places, folder, read, folder)
        assert report.to_dict() == losses_between(changed, again)
        assert report.losses["frame.labelled_categories"] == 5 - len(kept)
        data = yaml.safe_load((folder / "data.yaml").read_text())
        trained = {folder for key, folder in data.items() if key in {"train", "val", "test"}}
        assert not any(
            place.startswith(tuple(f"{folder}/" for folder in trained)) for place in (places[row] for row in kept)
        )


@pytest.mark.parametrize(
    ("partial", "message"),
    [
        ("images", "partial: 'images', expected a list of images, split"),
        ("[images]", "partial: 'images', expected images, split and labelled_categories"),
        ("[{images: images/train, split: train}]", "expected images, split and labelled_categories"),
        ("[{images: x, labelled_categories: [car], extra: 1}]", "expected images, split and labelled_categories"),
        ("[{images: images/train, split: all, labelled_categories: [car]}]", "split 'all', expected train"),
        (
            "[{images: images/train, labelled_categories: []}]",
            r"labelled_categories \[\], expected a list of traffic_light",
        ),
        ("[{images: images/train, labelled_categories: [cars]}]", r"labelled_categories \['cars'\]"),
        ("[{images: images/gone, labelled_categories: [car]}]", "partial: no 'images/gone'"),
    ],
)
def test_faults_of_partial_parts(out, draw_image, partial, message):
    draw_image(out / "images" / "train" / "a.png")
    (out / "data.yaml").write_text(f"names: [red]\npartial: {partial}\n")
    with pytest.raises(AnnotationError, match=message):
        list(read(out, report=ReadReport()))


def test_other_splits_are_counted(one_frame, read_back, out, losses_between):
    catalog = one_frame(Annotation(xyxy=(1, 2, 30, 40), state=State.OFF, source_label="off"), split="extra/../x")
    places, report = written(catalog, out)
    assert places == ["images/unsplit/a.png"]
    assert report.to_dict() == {"frame.split": 1}
    assert losses_between(catalog, read_back(catalog, places, out, read, out)) == {"frame.split": 1}


def test_exact_repetitions_are_written_once_and_counted(one_frame, read_back, out):
    box = Annotation(xyxy=(1, 2, 30, 40), state=State.RED, source_label="red")
    other = Annotation(xyxy=(1, 2, 30, 40), state=State.GREEN, source_label="green")
    catalog = one_frame(box, box, other)
    places, report = written(catalog, out)
    assert report.to_dict() == {"box": 1}
    assert len(read_back(catalog, places, out, read, out).annotations) == 2


@pytest.mark.parametrize(
    "frame_id",
    ["../../x", "/etc/x", "drive images/images/0 1", "ü/ö", 'a"b<c>&', "images", "labels/a", "a.b.c", "x" * 300],
)
def test_odd_frame_ids(one_frame, read_back, losses_between, out, frame_id):
    catalog = one_frame(Annotation(xyxy=(1, 2, 30, 40), state=State.RED, source_label="red"), frame_id=frame_id)
    places, report = written(catalog, out)
    again = read_back(catalog, places, out, read, out)
    assert losses_between(catalog, again) == report.to_dict()
    assert set(report.losses) <= {"frame.frame_id"}
    assert (report.losses["frame.frame_id"] == 0) == (
        frame_id in {"drive images/images/0 1", "ü/ö", "images", "labels/a", "a.b.c"}
    )


def test_two_parts_with_one_frame_id(random_catalog, read_back, out):
    catalog = random_catalog(2, n_frames=24, label_status=["labelled"])
    places, _ = written(catalog, out)
    read_back(catalog, places, out, read, out)
    for kind, suffix in (("images", "png"), ("labels", "txt")):
        (out / kind / "train" / f"twin.{suffix}").write_bytes(b"")
        (out / kind / "val" / f"twin.{suffix}").write_bytes(b"")
    with pytest.raises(AnnotationError, match="two parts have a frame 'twin'"):
        list(read(out, report=ReadReport()))
    text = (out / "data.yaml").read_text()
    (out / "data.yaml").write_text(text.replace("below_parts", "other"))
    with pytest.raises(AnnotationError, match="frame_ids is 'other', expected below_parts"):
        list(read(out, report=ReadReport()))


# Label spaces


def test_classes_of_a_label_space(one_frame, read_back, out):
    space = LabelSpace.model_validate(
        {
            "classes": {"red": {"state": "red"}, "light": {"state": ["green", "off"]}},
            "ignore": [{"state": "unknown"}],
            "drop": [{"category": "car"}],
        }
    )
    xyxy = (1.0, 2.0, 30.0, 40.0)
    boxes = [Annotation(xyxy=xyxy, state=state, source_label="red") for state in (State.OFF, State.RED, State.UNKNOWN)]
    catalog = one_frame(*boxes, Annotation(xyxy=xyxy, category="car"))
    _, report = written(catalog, out, label_space=space)
    assert [line[0] for line in (out / "labels/train/a.txt").read_text().splitlines()] == ["1", "0"]
    assert yaml.safe_load((out / "data.yaml").read_text())["names"] == {0: "red", 1: "light"}
    # "light" means nothing to the reader's label map, so that category, state and the source's word are lost.
    assert report.to_dict() == {"box": 2, "box.category": 1, "box.source_label": 1, "box.state": 1}
    run = out.parent / "data_part.yaml"
    run.write_text(yaml.safe_dump({"data": {"label_space": space.model_dump(mode="json")}}))
    alone = out.parent / "space.yaml"
    alone.write_text(yaml.safe_dump(space.model_dump(mode="json")))
    for path in (run, str(alone)):
        assert written(catalog, out, label_space=path)[1].to_dict() == report.to_dict()
    alone.write_text("classes: {red: {state: purple}}")
    with pytest.raises(AnnotationError, match=r"space\.yaml: no label space: classes\.red\.state.*found 'purple'"):
        written(catalog, out, label_space=alone)
    with pytest.raises(DataError, match="named by no rule"):
        written(one_frame(Annotation(xyxy=xyxy)), out, label_space=space)


# What others read


def test_a_plain_yaml_reader_gets_the_names(one_frame, out):
    xyxy = (1.0, 2.0, 30.0, 40.0)
    states = [None, State.UNKNOWN, State.OFF, State.GREEN]
    written(one_frame(*(Annotation(xyxy=xyxy, state=state) for state in states)), out)
    data = yaml.safe_load((out / "data.yaml").read_text())  # turns an unquoted off into False
    assert data["names"] == {0: "green", 1: "off", 2: "unknown", 3: "traffic_light"}
    assert (data["nc"], data["train"]) == (4, "images/train")
    assert json.loads((out / SIDECAR).read_text())["images"][0]["file_name"] == "images/train/a.png"


@pytest.fixture
def as_read_by_others(random_catalog, read_back, out):
    """A written data set in one folder per part, with its images in place."""
    catalog = random_catalog(3, n_frames=20, split=["train", "val"], label_status=["labelled", "negative"])
    places, _ = written(catalog, out, flat=True)
    read_back(catalog, places, out, read, out)
    return without_ignored(catalog), places


def test_supervision_reads_the_same_boxes(as_read_by_others, out):
    supervision = pytest.importorskip("supervision")
    catalog, places = as_read_by_others
    seen = 0
    for part in ("train", "val"):
        dataset = supervision.DetectionDataset.from_yolo(
            str(out / "images" / part), str(out / "labels" / part), str(out / "data.yaml")
        )
        for path, _, found in dataset:
            row = places.index(Path(path).relative_to(out).as_posix())
            np.testing.assert_allclose(found.xyxy.reshape(-1, 4), catalog.boxes(row), atol=0.01)
            names = [dataset.classes[number] for number in found.class_id]
            boxes = catalog.frame(row).annotations or ()
            assert names == [class_name(box.category, box.state, box.pictogram) for box in boxes]
            seen += len(boxes)
    assert seen == len(catalog.annotations) >= 20


def test_globox_reads_the_same_boxes(as_read_by_others, out):
    globox = pytest.importorskip("globox")
    catalog, places = as_read_by_others
    names = yaml.safe_load((out / "data.yaml").read_text())["names"]
    seen = 0
    for part in ("train", "val"):
        found = globox.AnnotationSet.from_yolo_v5(
            out / "labels" / part, image_folder=out / "images" / part, image_extension=".png"
        )
        for item in found:
            row = places.index(f"images/{part}/{item.image_id}")
            boxes = [(box.xmin, box.ymin, box.xmax, box.ymax) for box in item.boxes]
            np.testing.assert_allclose(np.reshape(boxes, (-1, 4)), catalog.boxes(row), atol=0.01)
            assert [names[int(box.label)] for box in item.boxes] == [
                class_name(box.category, box.state, box.pictogram) for box in catalog.frame(row).annotations or ()
            ]
            seen += len(boxes)
    assert seen == len(catalog.annotations)


def test_our_own_files_read_without_a_remark(as_read_by_others, out):
    report = ReadReport()
    assert len(list(read(out, report=report))) == 20
    assert report.count(Event.LABEL_FILE_WITHOUT_IMAGE) == 0
    assert report.lines() == []
