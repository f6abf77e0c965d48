"""`tl evaluate`: slices, operating scores, drives, a second annotation; and what is left beside the report."""

from __future__ import annotations

import csv
import json

import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.taxonomy import State
from tl_detection.cli import main
from tl_detection.evaluation.evaluation_folder import EvaluationFolder
from tl_detection.evaluation.prediction_parquet import write_predictions_parquet
from tl_detection.evaluation.predictions import read_prediction_table
from tl_detection.evaluation.report_file import read_report
from tl_detection.thresholds import read_thresholds


def test_the_folder_holds_a_page_a_card_a_table_and_thresholds(drives):
    out = drives.evaluate("a", "--intended-use", "To be tried out.", missed={"drive01_0"}, as_green={"drive03_1"})
    names = {path.name for path in out.iterdir()}
    assert names == {
        *("report.json", "report.md", "report.html", "report.csv", "model_card.md"),
        *("predictions.json", "frames.parquet", "thresholds.yaml"),
    }
    assert "To be tried out." in (out / "model_card.md").read_text()
    rows = list(csv.DictReader((out / "report.csv").read_text().splitlines()))
    assert {"overall", "time_of_day=night"} <= {row["slice"] for row in rows}
    report = read_report(out)
    confusion = report.analyses.lights.states
    red = confusion.rows[confusion.labels.index("red")]
    assert (red.objects, red.said[confusion.labels.index("green")].part, red.missed.part) == (42, 1, 1)
    assert read_thresholds(out / "thresholds.yaml").scores(report.class_names, "it") == report.overall.operating_scores
    out = drives.evaluate("b", "--no-html")
    assert not (out / "report.html").exists() and (out / "report.csv").exists()


def test_slices_by_expression_and_size(drives):
    out = drives.evaluate(
        *("a", "--by", "time_of_day,state", "--slice", "far at night: night & network_height_px < 13"),
        *("--slice", "green", "--input-size", "80x60"),
        missed={"drive01_0"},
    )
    report = read_report(out)
    far = next(item for item in report.slices if item.name == "far at night")
    assert far.value == "night & network_height_px < 13"
    assert (far.scores.frames, far.scores.objects) == (21, 42)
    assert far.scores.classes[0].recall == pytest.approx(20 / 21)
    green = [item.scores for item in report.slices if item.name in ("state=green", "green")]
    assert green[0] == green[1] and green[0].objects == 42 and green[0].classes[0].ap is None
    assert [curve.column for curve in report.size_curves] == ["height_px", "network_height_px"]


def test_scores_by_a_rule_are_used_and_can_be_used_again(drives):
    def evaluate(name, *more):
        predictions = drives.predictions("p", as_green={"drive00_0", "drive02_0"})
        found = json.loads(predictions.read_text())
        for item in found:
            wrong = item["bbox"][0] == 20 and item["category_id"] == "green"
            item["score"] = 0.5 if wrong else item["score"]
        # One green light is so faint that finding it costs two red ones that turn green.
        found[-1]["score"] = 0.4
        predictions.write_text(json.dumps(found))
        words = [
            str(predictions),
            "--catalog",
            str(drives.catalog),
            "--label-space",
            str(drives.folder / "lights.yaml"),
        ]
        assert main(["evaluate", *words, "--no-html", "--out", str(drives.folder / name), *more]) == 0
        return drives.folder / name

    free = read_report(evaluate("free", "--operating", "green=recall>=1"))
    assert (free.overall.classes[1].operating_score, free.overall.red_as_green.as_green) == (pytest.approx(0.4), 2)
    first = evaluate("first", "--operating", "green=red_as_green<=1/1000")
    report = read_report(first)
    point = report.operating_points[1]
    assert (point.name, point.score, point.rule) == ("green", pytest.approx(0.88), "red_as_green<=0.001")
    assert report.overall.classes[1].operating_score == point.score and report.overall.red_as_green.as_green == 0
    assert "by the rules green=red_as_green<=1/1000" in " ".join((first / "report.md").read_text().split())
    again = read_report(evaluate("again", "--thresholds", str(first / "thresholds.yaml")))
    assert again.overall.operating_scores == report.overall.operating_scores
    assert again.operating_from == "of thresholds.yaml" and again.operating_points == ()
    assert not (drives.folder / "again" / "thresholds.yaml").exists()


def test_a_rule_that_cannot_be_met_is_named_and_leaves_no_score(drives, capsys):
    out = drives.evaluate("a", "--operating", "recall>=0.99", missed={"drive01_0"})
    assert "red: recall>=0.99 cannot be met" in " ".join(capsys.readouterr().err.split())
    assert read_report(out).operating_points[0].score is None
    drives.evaluate("b", "--thresholds", str(out / "thresholds.yaml"), code=1)
    assert "classes.red: no score, its rule recall>=0.99 could not be met" in capsys.readouterr().err


def test_drives_have_seconds_where_the_frame_rate_is_given(drives):
    report = read_report(drives.evaluate("a", "--frame-rate", "2", missed={"drive01_0", "drive01_1"}))
    assert (report.drives.drives, report.drives.tracks) == (14, 28)
    lamps = [lamp for lamp in report.drives.lamps if lamp.sequence == "drive01"]
    assert [lamp.longest_miss_frames for lamp in lamps] == [2, 2]
    assert report.drives.longest_miss_s.most == pytest.approx(1.0)
    assert read_report(drives.evaluate("b")).drives.longest_miss_s.most is None


def test_a_second_annotation_stands_beside_the_score(drives, changed):
    frames = list(drives.frames)
    red, green = frames[0].annotations
    frames[0] = changed(frames[0], annotations=(changed(red, state=State.GREEN), green))
    second = drives.save(frames)
    report = read_report(drives.evaluate("a", "--second-catalog", str(second)))
    assert report.agreement.overall.states.same.part == 83
    assert [item.name for item in report.agreement.slices][:2] == ["weather=clear", "weather=rainy"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--slice", "nigth"], 2, "did you mean 'night'"),
        (["--slice", "night &"], 2, "slice 'night &'"),
        (["--slice", "network_width_px < 8"], 2, "give --input-size"),
        (["--slice", "a: night", "--slice", "a: rainy"], 2, "two slices have this name"),
        (["--slice", "overall: night"], 2, "a report calls something else 'overall'; choose another name"),
        (["--by", "wheather"], 2, "did you mean 'weather'"),
        (["--operating", "precision>=2"], 2, "precision>=2"),
        (["--operating", "blue=max_f1"], 2, "no class 'blue'"),
        (["--thresholds", "nowhere.yaml"], 1, "nowhere.yaml"),
        (["--replicates", "0"], 2, "--replicates 0"),
        (["--gallery", "-1"], 2, "--gallery -1"),
        (["--frame-rate", "0"], 2, "--frame-rate 0.0: expected frames per second"),
        (["--second-catalog", "nowhere"], 1, "nowhere: not a catalog"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(drives, capsys, words, code, message):
    out = drives.evaluate("a", *words, code=code)
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert line.startswith("tl evaluate: ") and message in line
    assert not out.exists()


def test_rules_and_thresholds_together_are_refused(drives, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "x.json", "--catalog", "c", "--operating", "max_f1", "--thresholds", "t.yaml"])
    assert "not allowed with argument" in capsys.readouterr().err


def test_the_report_in_words_has_intervals_and_sequences(drives, capsys):
    out = drives.evaluate("a", missed={"drive01_0", "drive04_1"})
    row = next(line for line in (out / "report.md").read_text().splitlines() if line.startswith("| time_of_day=night"))
    report = json.loads((out / "report.json").read_text())
    night = next(item for item in report["slices"] if item["name"] == "time_of_day=night")
    bounds = night["intervals"]["ap50"]
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[1:4] == ["21", "42", "7"]
    assert f"{night['scores']['ap50']:.3f} ({bounds['low']:.3f} to {bounds['high']:.3f})" in cells


def test_pycocotools_is_asked_for_a_second_opinion(drives, capsys):
    drives.evaluate("a", "--by", "time_of_day,state", "--backend", "pycocotools", missed={"drive01_0"})
    lines = capsys.readouterr().out.split("pycocotools ")[1].splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:4]}
    assert set(rows) == {"overall", "time_of_day=daytime", "time_of_day=night"}
    assert float(rows["overall"][1]) < 1 == float(rows["time_of_day=daytime"][1])
    assert all(float(row[4]) < 1e-12 and len(row) == 5 for row in rows.values())


def test_predictions_as_parquet_give_the_same_report(drives):
    first = drives.evaluate("a", missed={"drive01_0"}, phantoms={"drive05_1"})
    catalog, label_space = Catalog.open(drives.catalog), EvaluationFolder.open(first).label_space
    table = read_prediction_table(first / "predictions.json", catalog, label_space)
    write_predictions_parquet(drives.folder / "p.parquet", catalog, label_space, table)
    words = ["evaluate", str(drives.folder / "p.parquet"), "--catalog", str(drives.catalog), "--out", "second"]
    assert main([*words, "--label-space", str(drives.folder / "lights.yaml"), "--no-html"]) == 0
    one, other = read_report(first), read_report(drives.folder / "second")
    assert one.overall == other.overall and one.slices == other.slices and one.intervals == other.intervals


def test_names_of_slices_are_refused_before_anything_is_detected(drives, capsys):
    for words in (["--slice", "a: night", "--slice", "a: rainy"], ["--slice", "overall: night"]):
        drives.evaluate("a", *words, code=2)
        assert "predictions for" not in capsys.readouterr().err


def test_the_size_of_the_input_is_part_of_how_slices_were_scored(drives, capsys):
    by = ("--by", "network_height_px")
    first = drives.evaluate("a", *by, "--input-size", "320x240")
    other = drives.evaluate("b", *by, "--input-size", "160x120", missed={"drive01_0"})
    assert read_report(first).input_size == "320x240"
    assert "- network input: 320x240" in (first / "report.md").read_text()
    assert "- network input: 320x240" in (first / "model_card.md").read_text()
    capsys.readouterr()
    assert main(["compare", str(first), str(other)]) == 1
    assert "input_size is '320x240' in the first and '160x120' in the second" in capsys.readouterr().err
    # The slices of a predictions file are those that it was scored by.
    same = drives.evaluate("c", *by, "--input-size", "320x240", missed={"drive01_0"})
    assert main(["compare", str(first), str(same)]) == 0
    assert "network_height_px=" in capsys.readouterr().out
    rules = drives.folder / "rules.yaml"
    rules.write_text("rules: [{measure: ap50, drop_at_most: 0.9}]")
    capsys.readouterr()
    assert main(["gate", str(other), "--rules", str(rules), "--baseline", str(first)]) == 1
    assert "input_size is '320x240'" in capsys.readouterr().err
    assert main(["gate", str(same), "--rules", str(rules), "--baseline", str(first)]) == 0


def test_detectors_of_different_inputs_are_compared_where_no_slice_speaks_of_it(drives, capsys):
    first = drives.evaluate("a", "--input-size", "320x240")
    other = drives.evaluate("b", "--input-size", "160x120", missed={"drive01_0"})
    assert main(["compare", str(first), str(other)]) == 0
    by_expression = drives.evaluate("c", "--slice", "far: network_height_px < 30", "--input-size", "160x120")
    capsys.readouterr()
    assert main(["compare", str(first), str(by_expression)]) == 1
    assert "input_size" in capsys.readouterr().err
