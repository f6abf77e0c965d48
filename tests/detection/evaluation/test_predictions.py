"""Predictions files: what is read, what is refused, and that reading is the inverse of writing."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import polars as pl
import pytest
from pycocotools.coco import COCO

from tl_datasets.errors import AnnotationError, DataError
from tl_datasets.frame import Frame
from tl_datasets.label_space import LabelSpace, Rule
from tl_detection.detector import Detections
from tl_detection.evaluation import prediction_json, prediction_scan
from tl_detection.evaluation.detection_table import DetectionTable
from tl_detection.evaluation.prediction_parquet import write_predictions_parquet
from tl_detection.evaluation.predictions import read_prediction_table, read_predictions, write_predictions


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


def test_numbers_are_kept_in_double_precision_and_widths_as_they_stand(tmp_path, catalog, lights):
    path = tmp_path / "p.json"
    box = [0.1, 0.2, 10.123456789012345, 20.3]
    path.write_text(json.dumps([result(bbox=box, score=0.123456789012345678)]))
    table = read_prediction_table(path, catalog, lights)
    assert (table.score[0], table.size_px[0].tolist()) == (0.123456789012345678, box[2:])
    assert table.xyxy[0].tolist() == [0.1, 0.2, 0.1 + box[2], 0.2 + 20.3]


@pytest.mark.parametrize("ids", [[1, 2, 1], ["a", "b", "a"]], ids=["numbers", "text"])
def test_an_id_that_occurs_twice_is_refused(read, ids):
    with pytest.raises(AnnotationError, match="stands at more than one prediction; expected unique ids"):
        read([{**result(), "id": each} for each in ids])
    assert len(read([{**result(), "id": each} for each in range(3)])) == 3


def test_an_id_that_occurs_three_times_is_one_id(read):
    with pytest.raises(AnnotationError, match='the id "a" stands at more than one prediction; expected'):
        read([{**result(), "id": each} for each in ("a", "a", "a")])
    with pytest.raises(AnnotationError, match="the id 1 stands at more than one prediction, and so do 1 more"):
        read([{**result(), "id": each} for each in (1, 2, 1, 2)])


@pytest.mark.parametrize("ids", [(2**63 + 1, -1, 2**63 + 2), (2**64 + 1, 2**64 + 2), (2**63, 2**53, 2**53 + 1)])
def test_ids_that_differ_in_the_last_of_twenty_digits_are_different(read, ids):
    assert len(read([{**result(), "id": each} for each in ids])) == len(ids)


def test_two_ids_of_one_frame_are_refused(read):
    # The catalog has no night/8: by file name, its detections would be scored on the frame of the day.
    with pytest.raises(
        AnnotationError,
        match=r"prediction 1: image_id \"night/0008.jpg\" names the frame 'eight', and so does \"day/0008.jpg\"; exp",
    ):
        read([result("day/0008.jpg"), result("night/0008.jpg")])
    images = [{"id": 1, "file_name": "left/0008.jpg"}, {"id": 2, "file_name": "right/0008.jpg"}]
    with pytest.raises(AnnotationError, match="image_id 2 names the frame 'eight', and so does 1"):
        read({"images": images, "annotations": [result(1), result(1), result(2)]})


def test_a_list_that_stands_twice_is_refused(read):
    text = json.dumps([result()])
    for content in (
        f'{{"annotations": {text}, "annotations": []}}',
        f'{{"annotations": [], "info": {{}}, "annotations": {text}}}',
    ):
        with pytest.raises(AnnotationError, match="'annotations' stands there 2 times, and only one would be read"):
            read(content)
    assert len(read(f'{{"info": {{"annotations": 3, "by": "\\"annotations\\""}}, "annotations": {text}}}')) == 1


def test_categories_of_numbers_and_words_are_told(read):
    categories = [{"id": 1, "name": "red"}, {"id": "b", "name": "green"}]
    with pytest.raises(AnnotationError, match=r'category_id 3: not among the categories; expected one of 1, "b"$'):
        read({"categories": categories, "annotations": [result(category_id=3)]})


def test_a_number_of_thousands_of_digits_is_refused_in_one_line(read):
    text = json.dumps([result(score=0.123)])
    with pytest.raises(AnnotationError, match="holds a whole number of thousands of digits"):
        read(text.replace("0.123", "9" * 5000))


def test_a_repeated_image_is_found_at_once(read):
    images = [{"id": index, "file_name": f"{index}.png"} for index in range(60_000)]
    with pytest.raises(AnnotationError, match="'images' has the id 59999 more than once"):
        read({"images": [*images, images[-1]], "annotations": []})


def test_another_label_space_is_named_as_a_whole(read):
    names = ["car", "bus", "green", "truck"]
    with pytest.raises(
        AnnotationError, match="3 of the 4 classes of the predictions do not fit: bus, car, truck; were"
    ):
        read([result(category_id=name) for name in names])
    tables = {"categories": [{"id": index, "name": name} for index, name in enumerate(names)]}
    with pytest.raises(
        AnnotationError, match=r"expected one of red, .*3 of the 4 classes of the predictions do not fit"
    ):
        read({**tables, "annotations": [result(category_id=index) for index in range(4)]})


def usual(n, **change):
    """A list of n results of numbers, as detectors write them."""
    rng = np.random.default_rng(n)
    return [
        {
            "image_id": int(rng.integers(1, 4)),
            "category_id": int(rng.integers(1, 3)),
            "bbox": np.round(rng.uniform(-1, 20, 4) * [1, 1, 0, 0] + [0, 0, 5, 1e-3], 3).tolist(),
            "score": float(np.round(rng.random(), 6)),
            **change,
        }
        for _ in range(n)
    ]


TABLES = {
    "images": [{"id": 1, "file_name": "0007.png"}, {"id": 2, "file_name": "day/9.png"}, {"id": 3, "file_name": "0008"}],
    "categories": [{"id": 1, "name": "off"}, {"id": 2, "name": "red"}],
}


@pytest.mark.parametrize("indent", [None, 1], ids=["one line", "many lines"])
@pytest.mark.parametrize("change", [{}, {"segmentation": {"size": [1, 2], "counts": "a}, {b"}}], ids=["usual", "more"])
@pytest.mark.parametrize("n", [0, 1, 2, 300])
def test_every_way_of_reading_gives_the_same(tmp_path, catalog, lights, monkeypatch, n, change, indent):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({**TABLES, "annotations": usual(n, **change)}, indent=indent))
    whole = read_prediction_table(path, catalog, lights)
    monkeypatch.setattr(prediction_json, "_PIECE", 40)
    scanned = read_prediction_table(path, catalog, lights)
    monkeypatch.setattr(prediction_scan, "scan", lambda text: None)
    in_pieces = read_prediction_table(path, catalog, lights)
    monkeypatch.setattr(prediction_json, "_fast", prediction_json._thorough)
    thorough = read_prediction_table(path, catalog, lights)
    assert len(whole) == n
    for other in (scanned, in_pieces, thorough):
        for name in ("frame_index", "class_id", "score", "xyxy", "size_px"):
            np.testing.assert_array_equal(getattr(whole, name), getattr(other, name), name)


@pytest.mark.parametrize(
    "text",
    ["0.1", "-0", "12.50", "1e-3", "1.5E+2", "123456789012.345", "0.000000000000001", "7", "1e22", "-2.5e-7"],
)
def test_a_number_is_scanned_as_python_reads_it(text):
    items = f'[{{"image_id": 1, "category_id": 2, "bbox": [{text}, 0, {text} , 1.0], "score":{text}}} ]\n'
    _, _, box, score, _ = prediction_scan.scan(memoryview(items.encode()))
    assert (score[0], box[0, 0], box[0, 2], box[0, 3]) == (float(text), float(text), float(text), 1)


@pytest.mark.parametrize(
    "change",
    [
        ('"score": 0.5', '"score": 0.123456789012345678901'),
        ('"score": 0.5', '"score": 01'),
        ('"score": 0.5', '"score": .5'),
        ('"score": 0.5', '"score": 5.'),
        ('"score": 0.5', '"score": NaN'),
        ('"score": 0.5', '"score": 1e-40'),
        ('"score": 0.5', '"score": "0.5"'),
        ('"score": 0.5', '"score": 0.5, "score": 0.6'),
        ('"score": 0.5', '"area": 3'),
        ('"image_id": 1, ', ""),
        ('"category_id": 2, ', ""),
        ('"bbox": [1, 2, 3, 4], ', ""),
        (', "score": 0.5', ""),
        ('"score": 0.5', '"score": 0.5, "id": 1, "id": 2'),
        ('"image_id": 1', '"image_id": 1.0'),
        ('"image_id": 1', '"image_\\u0069d": 1'),
        ("2, 3, 4]", "2, 3]"),
        ("2, 3, 4]", "2, 3, 4, 5]"),
        ("}]", "}"),
        ("}]", "},]"),
        ("}]", "}] x"),
        ("[{", "{"),
    ],
    ids=lambda change: change[1],
)
def test_what_is_not_of_the_usual_form_is_left_to_the_parser(change):
    text = '[{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}]'
    assert prediction_scan.scan(memoryview(text.encode())) is not None
    assert prediction_scan.scan(memoryview(text.replace(*change).encode())) is None


def test_a_fault_far_into_a_large_file_is_found(tmp_path, catalog, lights, monkeypatch):
    monkeypatch.setattr(prediction_json, "_PIECE", 400)
    results = usual(200)
    path = tmp_path / "p.json"
    for fault, message in (
        ({"score": 1.5}, "prediction 150: score 1.5, expected a number from 0 to 1"),
        ({"bbox": [1, 2, -3, 4]}, r"prediction 150: bbox \[1.0, 2.0, -3.0, 4.0\], expected \[x, y"),
        ({"bbox": [1, 2, 3]}, r"prediction 150: bbox \[1, 2, 3\], expected"),
        ({"image_id": 77}, "prediction 150: image_id 77 is not among the images"),
        ({"image_id": 0}, "prediction 150: image_id 0 is not among the images"),
        ({"category_id": 9}, "prediction 150: category_id 9: not among the categories"),
    ):
        changed = [{**each, **fault} if index == 150 else each for index, each in enumerate(results)]
        path.write_text(json.dumps({**TABLES, "annotations": changed}))
        with pytest.raises(AnnotationError, match=message):
            read_prediction_table(path, catalog, lights)
    path.write_text(json.dumps({**TABLES, "annotations": results})[:-300])
    with pytest.raises(AnnotationError, match="line 1: broken JSON"):
        read_prediction_table(path, catalog, lights)


def test_parquet_is_read_as_it_was_written(random_problem, tmp_path):
    problem = random_problem(4, on_grid=False)
    table = DetectionTable.of(problem.detections)
    path = tmp_path / "p.parquet"
    write_predictions_parquet(path, problem.catalog, problem.label_space, table)
    again = read_prediction_table(path, problem.catalog, problem.label_space)
    for name in ("frame_index", "class_id", "score"):
        np.testing.assert_array_equal(getattr(table, name), getattr(again, name))
    np.testing.assert_allclose(table.xyxy, again.xyxy, rtol=0, atol=1e-12)
    assert pl.read_parquet(path).columns == ["frame_id", "class_name", "x1", "y1", "x2", "y2", "score"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": [1.5]}, "row 0: score 1.5, expected a number from 0 to 1"),
        ({"score": [float("nan")]}, "row 0: score nan"),
        ({"score": [None]}, "row 0: no score; expected a value"),
        ({"score": ["high"]}, "a column has another type"),
        ({"x2": [0.0]}, r"row 0: box \[1.0, 2.0, 0.0, 22.0\], expected x1, y1, x2, y2"),
        ({"x1": [float("inf")]}, "row 0: box"),
        ({"frame_id": ["ten"]}, 'image_id "ten": no such frame'),
        ({"class_name": ["tram"]}, "1 of the 1 classes of the predictions do not fit: tram"),
        ({"class": ["green"], "class_name": None}, "no column 'class_name', found"),
    ],
)
def test_parquet_that_cannot_be_meant_is_refused(tmp_path, catalog, lights, change, message):
    row = {"frame_id": ["eight"], "class_name": ["green"], "x1": [1.0], "y1": [2.0], "x2": [11.0], "y2": [22.0]}
    path = tmp_path / "p.parquet"
    columns = {name: values for name, values in {**row, "score": [0.5], **change}.items() if values is not None}
    pl.DataFrame(columns, strict=False).write_parquet(path)
    with pytest.raises(AnnotationError, match=message):
        read_prediction_table(path, catalog, lights)


def test_a_parquet_file_that_is_none_is_refused(tmp_path, catalog, lights):
    (tmp_path / "p.parquet").write_text("[]")
    with pytest.raises(AnnotationError, match="not a Parquet table"):
        read_prediction_table(tmp_path / "p.parquet", catalog, lights)
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_prediction_table(tmp_path / "none.parquet", catalog, lights)


def test_the_name_of_a_parquet_file_is_no_pattern(tmp_path, catalog, lights):
    table = DetectionTable.of([Detections.empty()] * len(catalog))
    for folder in ("run[1]", "run1"):
        (tmp_path / folder).mkdir()
        write_predictions_parquet(tmp_path / folder / "p.parquet", catalog, lights, table)
    assert len(read_prediction_table(tmp_path / "run[1]" / "p.parquet", catalog, lights).score) == 0
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_prediction_table(tmp_path / "run*" / "p.parquet", catalog, lights)


def test_a_parquet_file_that_its_reader_cannot_cope_with_is_refused(tmp_path, catalog, lights, monkeypatch):
    def panic(*args, **options):
        raise pl.exceptions.PanicException("called `Option::unwrap()` on a `None` value")

    monkeypatch.setattr(pl, "read_parquet", panic)
    with pytest.raises(AnnotationError, match=r"not a Parquet table .called `Option::unwrap"):
        read_prediction_table(tmp_path / "p.parquet", catalog, lights)
