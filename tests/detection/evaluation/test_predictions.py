"""Predictions files: what is read, what is refused, and that reading is the inverse of writing."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from tl_datasets.errors import AnnotationError, DataError
from tl_datasets.frame import Frame
from tl_datasets.label_space import LabelSpace, Rule
from tl_detection.detector import Detections
from tl_detection.evaluation.predictions import read_predictions, write_predictions


def frame(frame_id, path):
    return Frame(frame_id=frame_id, path=path, width_px=64, height_px=48, annotations=())


@pytest.fixture
def catalog(catalog_of):
    return catalog_of(
        [
            frame("night/7", "night/0007.png"),
            frame("eight", "day/0008.jpg"),
            frame("day/9", "day/9.png"),
            frame("a/same", "a/same.png"),
            frame("b/same", "b/same.png"),
        ]
    )


@pytest.fixture
def read(tmp_path, catalog, lights):
    """Write content and read it back as predictions; gives (row, class id, xyxy, score) of each."""

    def run(content, catalog=catalog, **options):
        path = tmp_path / "predictions.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return [
            (row, int(class_id), xyxy.tolist(), float(score))
            for row, found in enumerate(read_predictions(path, catalog, lights, **options))
            for class_id, xyxy, score in zip(found.class_id, found.xyxy, found.score, strict=True)
        ]

    return run


def result(image_id="eight", category_id="green", bbox=(1, 2, 10, 20), score=0.5):
    return {"image_id": image_id, "category_id": category_id, "bbox": list(bbox), "score": score}


def test_reading_is_the_inverse_of_writing(random_problem, tmp_path):
    problem = random_problem(4, on_grid=False)
    path = tmp_path / "predictions.json"
    write_predictions(path, problem.catalog, problem.label_space, problem.detections)
    again = read_predictions(path, problem.catalog, problem.label_space)
    assert sum(map(len, again)) > 500
    for before, after in zip(problem.detections, again, strict=True):
        for name in ("xyxy", "score", "class_id"):
            assert np.array_equal(getattr(before, name), getattr(after, name)), name


def test_what_is_written_opens_in_pycocotools(catalog, lights, tmp_path):
    path = tmp_path / "predictions.json"
    found = Detections(xyxy=[[1, 2, 11, 22]], score=[0.5], class_id=[2])
    write_predictions(path, catalog, lights, [Detections.empty(), found, *[Detections.empty()] * 3])
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(path)
    (annotation,) = coco.loadAnns(coco.getAnnIds())
    assert annotation["bbox"] == [1, 2, 10, 20]
    assert coco.loadCats(annotation["category_id"])[0]["name"] == "green"
    assert coco.loadImgs(annotation["image_id"])[0]["file_name"] == "day/0008.jpg"


@pytest.mark.parametrize(
    ("image_id", "row"),
    [
        ("night/7", 0),
        ("night/0007.png", 0),
        ("0007.png", 0),
        ("0007", 0),
        ("eight", 1),
        ("a/same", 3),
        ("b/same.png", 4),
        ("/data/images/0008.jpg", 1),
    ],
)
def test_text_names_a_frame_by_id_path_file_name_or_stem(read, image_id, row):
    assert read([result(image_id)]) == [(row, 2, [1, 2, 11, 22], 0.5)]


def test_numbers_are_looked_up_by_name_never_by_position(read, tmp_path):
    tables = {
        "images": [{"id": 30, "file_name": "0007.png"}, {"id": 1, "file_name": "day/9.png"}],
        "categories": [{"id": 1, "name": "off"}, {"id": 9, "name": "red"}, {"id": 2, "name": "tram"}],
    }
    results = [result(1, 9), result(30, 1)]
    expected = [(0, 3, [1, 2, 11, 22], 0.5), (2, 0, [1, 2, 11, 22], 0.5)]
    assert read({**tables, "annotations": results}) == expected
    coco = tmp_path / "truth.json"
    coco.write_text(json.dumps({**tables, "annotations": []}))
    assert read(results, coco=coco) == expected


def test_frames_outside_the_chosen_part_are_left_out_and_told(read, catalog, caplog):
    part = catalog.filter('frame_id == "day/9"')
    caplog.set_level("INFO")
    kept = read([result("eight"), result("day/9"), result("0007")], catalog=part, whole=catalog)
    assert kept == [(0, 2, [1, 2, 11, 22], 0.5)]
    assert "2 predictions" in caplog.text
    with pytest.raises(AnnotationError, match=r"prediction 0: image_id \"eight\": no such frame"):
        read([result("eight")], catalog=part)


def test_no_prediction_at_all_is_a_result(read):
    assert read([]) == []
    assert read({"annotations": []}) == []


IMAGES = [{"id": 1, "file_name": "day/9.png"}]
CATEGORIES = [{"id": 1, "name": "red"}, {"id": 2, "name": "tram"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[{", "line 1: broken JSON"),
        ('[\n{"image_id": }]', "line 2: broken JSON"),
        ("3", "found 3, expected a list of predictions or an object with 'annotations'"),
        ({"images": []}, "expected a list of predictions or an object with 'annotations'"),
        ([7], "prediction 0: found 7, expected an object"),
        ([{"image_id": "eight", "category_id": "red", "bbox": [0, 0, 1, 1]}], "expected an object with image_id"),
        ([result(), result("ten")], 'prediction 1: image_id "ten": no such frame in the catalog'),
        ([result("same")], 'image_id "same": 2 frames are named'),
        ([result(1)], "image_id 1 is a number, and no images define it"),
        ([result(None)], "image_id null, expected a number or text"),
        ([result(True)], "image_id true, expected a number or text"),
        ([result(category_id="Green")], 'category_id "Green": no such class in the label space; expected one of red'),
        ([result(category_id=1)], "category_id 1 is a number, and no categories name it"),
        ([result(category_id=[1])], r"category_id \[1\], expected a number or a class name"),
        ([result(bbox=(1, 2, 3))], r"bbox \[1, 2, 3\], expected \[x, y, width, height\]"),
        ([result(bbox=(1, 2, -3, 4))], "expected .x, y, width, height."),
        ([result(bbox=(1, 2, float("inf"), 4))], "in pixels, finite"),
        ([result(bbox=(1, 2, float("nan"), 4))], "in pixels, finite"),
        ([result(bbox=("1", 2, 3, 4))], "in pixels, finite"),
        ([result(bbox=(40, 2, 50, 12))], r"ends far beyond its frame of 64x48 px, and so do 1 of 1; .*corners x1"),
        ([result(score=1.5)], "prediction 0: score 1.5, expected a number from 0 to 1"),
        ([result(score=-0.1)], "expected a number from 0 to 1"),
        ([result(score=float("nan"))], "score NaN, expected a number from 0 to 1"),
        ([result(score="0.5")], "expected a number from 0 to 1"),
        ({"images": IMAGES, "categories": CATEGORIES, "annotations": [result(2, 1)]}, "2 is not among the images"),
        ({"images": IMAGES, "categories": CATEGORIES, "annotations": [result(1, 3)]}, "3: not among the categories"),
        ({"images": IMAGES, "categories": CATEGORIES, "annotations": [result(1, 2)]}, r"2 \(tram\): no such class"),
        ({"images": 4, "annotations": []}, "'images' is 4, expected a list"),
        ({"images": [{"id": 1}, {"id": 1}], "annotations": []}, "'images' has the id 1 more than once"),
        ({"images": [{"id": 1, "file_name": "x"}], "annotations": [result(1)]}, r"image_id 1 \(x\): no such frame"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(read, content, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        read(content)
    assert str(caught.value).count("\n") == 0
    assert "predictions.json" in str(caught.value)


def test_boxes_beside_their_frame_are_scored_and_told(read, caplog):
    boxes = [(10, 10, 0, 5), (64, 0, 3, 3), (-9, 0, 9, 3), (50, 40, 16, 8)]
    assert len(read([result(bbox=box) for box in boxes])) == 4
    assert "3 predictions have no area inside their frame" in caplog.text


def test_missing_and_binary_files_are_refused(tmp_path, catalog, lights):
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_predictions(tmp_path / "none.json", catalog, lights)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AnnotationError, match="not a JSON text file"):
        read_predictions(tmp_path / "binary.json", catalog, lights)


def test_writing_refuses_what_does_not_fit(tmp_path, catalog, lights):
    with pytest.raises(DataError, match="1 results for 5 frames"):
        write_predictions(tmp_path / "p.json", catalog, lights, [Detections.empty()])
    found = [Detections(xyxy=[[0, 0, 1, 1]], score=[0.5], class_id=[1])] * 5
    with pytest.raises(DataError, match="class id 1, the label space has 1 classes"):
        write_predictions(tmp_path / "p.json", catalog, LabelSpace(classes={"light": Rule()}), found)
    assert not list(tmp_path.iterdir())


def test_detections_are_checked_at_birth():
    for wrong in (
        {"xyxy": [[5, 0, 1, 1]]},
        {"xyxy": [[0, 0, 1]]},
        {"xyxy": [[0, 0, np.nan, 1]]},
        {"score": [1.5]},
        {"class_id": [-1]},
    ):
        with pytest.raises(ValueError, match="detections h"):
            Detections(**({"xyxy": [[0, 0, 1, 1]], "score": [0.5], "class_id": [0]} | wrong))
