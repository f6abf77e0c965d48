"""From a detector and images to files."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, ImageError, UsageError
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_rgb
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.network_size import InputSize
from tl_datasets.taxonomy import State, TimeOfDay, Weather
from tl_detection.detector import Detections
from tl_detection.evaluation.all_intervals import with_intervals
from tl_detection.evaluation.render import format_markdown
from tl_detection.evaluation.report import collect_detections, evaluate, evaluate_whole, format_console, write_report
from tl_detection.evaluation.slice_analyses import analyse_slices
from tl_detection.evaluation.value_text import markdown_text

COLOURS = {State.RED: (250, 0, 0), State.GREEN: (0, 250, 0)}


class ColourDetector:
    """Finds the one red or green rectangle of an image."""

    def __init__(self, label_space):
        self.label_space = label_space
        self.description = {"engine": "colours", "weights": "none"}
        self.batches = []

    def detect(self, images):
        self.batches.append(len(images))
        return [self._detect(image) for image in images]

    def _detect(self, image):
        rows = []
        for class_id, name in ((0, State.RED), (2, State.GREEN)):
            ys, xs = np.nonzero((image == COLOURS[name]).all(axis=2))
            if len(ys):
                rows.append(((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), class_id))
        return Detections(
            xyxy=np.array([box for box, _ in rows], np.float32).reshape(-1, 4),
            score=np.full(len(rows), 0.9),
            class_id=np.array([class_id for _, class_id in rows], np.int64),
        )


@pytest.fixture
def drawn(tmp_path):
    """Five images of which the last is unlabelled; at night a light is drawn green and annotated red."""
    frames = []
    for index in range(5):
        night = index == 1
        annotated, shown = (State.RED, State.GREEN) if night else (State.RED, State.RED)
        image = np.full((40, 60, 3), 30, np.uint8)
        image[10:20, 5 + index : 9 + index] = COLOURS[shown]
        write_rgb(tmp_path / f"{index}.png", image)
        frames.append(
            Frame(
                frame_id=f"{index}",
                path=f"{index}.png",
                width_px=60,
                height_px=40,
                annotations=None if index == 4 else (Annotation(xyxy=(5 + index, 10, 9 + index, 20), state=annotated),),
                weather=Weather.RAINY if index < 2 else None,
                time_of_day=TimeOfDay.NIGHT if night else TimeOfDay.DAYTIME,
            )
        )
    return Catalog.from_frames(frames, source="drawn", root=tmp_path)


def test_a_detector_is_scored_per_condition(drawn, lights):
    detector, seen = ColourDetector(lights), []
    report = evaluate(detector, drawn, lights, progress=lambda *done: seen.append(done), batch_size=3)
    assert detector.batches == [3, 1], "the unlabelled frame is not looked at"
    assert seen == [(3, 4), (4, 4)]
    assert report.frames_unlabelled == 1
    names = [item.name for item in report.slices]
    assert names == [
        *("weather=rainy", "weather=not annotated", "scene=not annotated"),
        *("time_of_day=daytime", "time_of_day=night"),
    ]
    by_name = {item.name: item.scores for item in report.slices}
    assert by_name["time_of_day=daytime"].ap == pytest.approx(1)
    assert by_name["time_of_day=night"].ap == 0
    assert by_name["weather=rainy"].red_as_green.as_green == 1
    assert report.overall.red_as_green.objects == 4
    assert all(item.is_small for item in report.slices)


def test_detections_score_like_the_detector_that_made_them(drawn, lights):
    detections = collect_detections(ColourDetector(lights), drawn)
    assert len(detections) == len(drawn)
    by_list = evaluate(detections, drawn, lights, model=ColourDetector(lights).description)
    assert by_list == evaluate(ColourDetector(lights), drawn, lights)


def test_report_files_are_whole_and_speak_of_their_source(drawn, lights, tmp_path):
    report = evaluate(ColourDetector(lights), drawn, lights, by=["time_of_day"])
    out = tmp_path / "new" / "folder"
    paths = write_report(report, out)
    assert sorted(path.name for path in out.iterdir()) == ["report.json", "report.md"]
    content = json.loads(paths[0].read_text())
    assert content["catalog_fingerprint"] == drawn.fingerprint
    assert content["label_space_fingerprint"] == lights.fingerprint
    assert content["model"] == {"engine": "colours", "weights": "none"}
    assert content["protocol"]["max_detections"] == [1, 10, 100]
    assert content["overall"]["ap"] == report.overall.ap
    assert content["overall"]["ap_large"] is None
    assert [item["scores"]["objects"] for item in content["slices"]] == [3, 1]
    markdown = paths[1].read_text()
    assert "| time_of_day=night\\* | 1 | 1 |" in markdown
    assert write_report(report, tmp_path / "again")[0].read_bytes() == paths[0].read_bytes()


def test_tables_show_a_dash_where_there_is_no_value(drawn, lights):
    report = evaluate(ColourDetector(lights), drawn, lights, by=["time_of_day"])
    lines = format_console(report).splitlines()
    rows = {line.split("  ")[0]: line.split() for line in reversed(lines)}  # the first table that has the row
    assert rows["yellow"][1:5] == ["0", "-", "-", "-"]
    assert rows["time_of_day=night*"][1:7] == ["1", "1", "1", "1/4", "0.000", "0.000"]
    assert rows["time_of_day=night*"][-3:] == ["1", "of", "1"]
    text = "\n".join(lines)
    assert "nan" not in text.lower() and "None" not in text and "-1" not in text


def test_frames_without_any_object_give_a_report_without_values(drawn, lights, caplog):
    red = drawn.filter('time_of_day == "night"')
    only_off = LabelSpace(classes={"off": Rule(state=["off"])}, otherwise="drop")
    report = evaluate([Detections.empty()], red, only_off)
    assert report.overall.ap is None and report.overall.frames == 1
    assert "hold no object" in caplog.text


@pytest.mark.parametrize(
    ("part", "message"),
    [('weather == "snowy"', "the catalog has no frame"), ('frame_id == "4"', r"none of the 1 frames .*1 unlabelled")],
)
def test_nothing_to_score_is_an_error(drawn, lights, part, message):
    catalog = drawn.filter(part)
    with pytest.raises(DataError, match=message):
        evaluate([Detections.empty()] * len(catalog), catalog, lights)


def test_what_does_not_fit_is_refused(drawn, lights, tmp_path):
    with pytest.raises(DataError, match="2 results for the 5 frames"):
        evaluate([Detections.empty()] * 2, drawn, lights)
    with pytest.raises(UsageError, match="no column 'rain'"):
        evaluate(ColourDetector(lights), drawn, lights, by=["rain"])
    other = LabelSpace(classes={"light": Rule()})
    with pytest.raises(DataError, match="knows the classes light, the label space has red"):
        evaluate(ColourDetector(other), drawn, lights)
    write_rgb(tmp_path / "2.png", np.zeros((60, 40, 3), np.uint8))
    with pytest.raises(ImageError, match=r"2\.png: 40x60 pixels, the catalog says 60x40"):
        evaluate(ColourDetector(lights), drawn, lights)
    (tmp_path / "file").write_text("")
    report = evaluate([Detections.empty()] * 5, drawn, lights)
    with pytest.raises(DataError, match="cannot write the report"):
        write_report(report, tmp_path / "file")


def test_a_detector_that_loses_results_is_refused(drawn, lights):
    detector = ColourDetector(lights)
    detector.detect = lambda images: [Detections.empty()]
    with pytest.raises(DataError, match="1 results for 4 images"):
        evaluate(detector, drawn, lights)


def test_evaluation_needs_no_torch():
    modules = ("report", "predictions")
    code = ";".join(f"import tl_detection.evaluation.{name}" for name in modules)
    code += ";import sys;print([name for name in ('torch','ultralytics','pycocotools') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_slices_of_objects_and_expressions_are_scored_as_cocos_sizes_are(random_problem):
    problem = random_problem(5, 40)
    evaluation = evaluate_whole(
        problem.detections,
        problem.catalog,
        problem.label_space,
        by=["area_px2", "state"],
        expressions=["small ones: area_px2 <= 1024"],
    )
    report = evaluation.report
    small = next(item for item in report.slices if item.name == "small ones")
    assert small.value == "area_px2 <= 1024"
    assert small.scores.ap == pytest.approx(report.overall.ap_small, abs=1e-12)
    assert small.scores.objects == report.overall.objects_small
    measured = with_intervals(evaluation, replicates=30)
    small = next(item for item in measured.slices if item.name == "small ones")
    assert small.intervals["ap"].low == pytest.approx(measured.intervals["ap_small"].low, abs=1e-12)
    assert small.intervals["ap"].low < small.intervals["ap"].high
    red = next(item for item in report.slices if item.name == "state=red")
    assert red.scores.objects == report.overall.classes[0].objects
    assert red.scores.classes[1].ap is None
    assert [item.name for item in report.slices] == [item.name for item in evaluation.slices]


def test_two_slices_of_one_name_are_refused(random_problem):
    problem = random_problem(5)
    with pytest.raises(UsageError, match="two slices have this name"):
        evaluate_whole(
            problem.detections, problem.catalog, problem.label_space, by=[], expressions=["a: night", "a: rainy"]
        )


def test_a_catalog_without_conditions_says_so(problem_of):
    problem = problem_of([(0, 0, 10, 10)], [(0, 0, 10, 10, 0.9)])
    text = format_console(evaluate(problem.detections, problem.catalog, problem.label_space, by=["weather", "source"]))
    assert "No frame says its weather: there is nothing to tell conditions apart by." in text
    assert "its weather, source" not in text


def test_names_of_the_data_are_no_markup_in_any_text(random_problem, capsys):
    problem = random_problem(1)
    evil = "<img src=x onerror=alert(1)>|`a`[b](c)\x1b[2J\n# d"
    names = pl.Series([evil] * len(problem.catalog))
    catalog = problem.catalog.with_frames(problem.catalog.frames.with_columns(sequence=names))
    report = evaluate(problem.detections, catalog, problem.label_space, by=["sequence"], model={"weights": evil})
    markdown, text = format_markdown(report), format_console(report)
    assert "<img" not in markdown and "\n# d" not in markdown and "(c)" in markdown
    cell = next(line for line in markdown.splitlines() if line.startswith("| sequence="))
    assert cell.startswith("| sequence=&lt;img src=x onerror=alert(1)>\\|\\`a\\`\\[b\\](c)")
    assert f"- weights: {markdown_text(evil)}" in markdown
    assert "\x1b" not in text
    table = text.split("\n\n")[1].splitlines()
    assert len(table) == 3 + 2, "a name of two lines is one row"


def test_every_table_of_the_written_report_has_intervals(random_problem):
    problem = random_problem(5, 40)
    evaluation = evaluate_whole(problem.detections, problem.catalog, problem.label_space, by=["scene"])
    report = with_intervals(evaluation, replicates=30)
    tables = {part.splitlines()[0]: part.splitlines() for part in format_markdown(report).split("\n## ")[1:]}

    def cells(title, row):
        lines = next(lines for name, lines in tables.items() if name.startswith(title))
        header, found = lines[2], next(line for line in lines if line.startswith(f"| {row}"))
        return dict(zip(*([cell.strip() for cell in line.split(" | ")] for line in (header, found)), strict=True))

    def words(value, intervals, name):
        return f"{value:.3f} ({intervals[name].low:.3f} to {intervals[name].high:.3f})"

    assert len(report.intervals) > 20
    tunnel = next(item for item in report.slices if item.value == "tunnel")
    for row, scores, intervals in (
        ("overall", report.overall, report.intervals),
        ("scene=tunnel", tunnel.scores, tunnel.intervals),
    ):
        assert cells("By size", row)["AP small"] == words(scores.ap_small, intervals, "ap_small")
        red = scores.classes[0]
        for name in ("ap", "ap50"):
            found = cells(f"{name.upper()} by class and condition", row)["red"]
            assert found == f"{words(getattr(red, name), intervals, f'{name}:red')} of {red.objects}"
    red = report.overall.classes[0]
    found = cells("By class, all frames", "red")
    assert found["recall"] == words(red.recall, report.intervals, "recall:red")
    assert (found["objects"], found["sequences"]) == (str(red.objects), str(report.intervals["ap:red"].sequences))
    assert found["detections"] == str(red.counted)
    brief = format_console(report)
    assert "AP with its 95 % interval" not in brief


def test_red_as_green_in_words_is_that_of_the_page(random_problem):
    """A green box that found a green lamp and overlaps a red one, too, speaks of one of them everywhere."""
    problem = random_problem(5, 60)
    evaluation = evaluate_whole(problem.detections, problem.catalog, problem.label_space, by=[])
    report = analyse_slices(evaluation, replicates=20).put_into(with_intervals(evaluation, replicates=20))
    rate = report.analyses.lights.red_as_green.rate
    assert report.overall.red_as_green.as_green == rate.part > 0
    row = next(line for line in format_markdown(report).splitlines() if line.startswith("| overall"))
    assert row.endswith(f"| {rate.part} of {rate.whole} ({rate.low:.3f} to {rate.high:.3f}) |")
    row = next(line for line in format_console(report).splitlines() if line.startswith("overall"))
    assert row.endswith(f"  {rate.part} of {rate.whole}")


def test_the_size_of_the_input_is_kept_and_shown(random_problem):
    problem = random_problem(1)
    size = InputSize.parse("1280x736")
    report = evaluate_whole(
        *(problem.detections, problem.catalog, problem.label_space), by=["network_height_px"], input_size=size
    ).report
    assert report.input_size == "1280x736" == report.to_dict()["input_size"]
    assert "- network input: 1280x736" in format_markdown(report)
    assert evaluate(problem.detections, problem.catalog, problem.label_space).input_size is None
