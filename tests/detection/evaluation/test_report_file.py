"""The JSON schema of a report, as it lies in the package."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from tl_datasets.errors import DataError
from tl_detection.evaluation.all_intervals import with_intervals
from tl_detection.evaluation.report import evaluate, evaluate_whole, write_report
from tl_detection.evaluation.report_file import read_report, schema_text
from tl_detection.evaluation.results import REPORT_VERSION
from tl_detection.evaluation.slice_analyses import analyse_slices


def test_the_schema_in_the_package_is_that_of_the_report():
    stored = (files("tl_detection") / "evaluation" / "report.schema.json").read_text()
    assert stored == schema_text(), "write it anew with: python tools/write_report_schema.py"


def test_reports_follow_the_schema_and_come_back(random_problem, tmp_path):
    jsonschema = pytest.importorskip("jsonschema", reason="the judge of schemas is not installed (extra dev)")
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    judge = jsonschema.Draft202012Validator(schema)
    problem = random_problem(1)
    evaluation = evaluate_whole(problem.detections, problem.catalog, problem.label_space, by=["weather", "scene"])
    analyses = analyse_slices(evaluation, replicates=20)
    whole = analyses.put_into(with_intervals(evaluation, replicates=20))
    report = json.loads(json.dumps(whole.to_dict(), allow_nan=False))
    judge.validate(report)
    for key, value in (("report_version", REPORT_VERSION - 1), ("slices", None), ("by", [1])):
        assert not judge.is_valid(report | {key: value}), key
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert read_report(tmp_path).to_dict() == whole.to_dict()
    del report["overall"]["ap"]
    assert not judge.is_valid(report)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"report_version":', '"report_version":9'), "report of version 92, expected 2"),
        (lambda text: text.replace('"report_version":', '"version":'), "it has no report_version"),
        (lambda text: text.replace('"frames":24', '"frames":NaN', 1), "NaN is no value of a report"),
        (lambda text: text.replace('"frames":24', '"frames":"many"', 1), r"overall.frames: .*\(found 'many'\)"),
        (lambda text: text.replace("[0.5,", "[0.45,", 1), "protocol: .*expected 0.5 among them"),
        (lambda text: text[:-20], "broken JSON in line 1 .*was it cut off"),
        (lambda text: "[]", "no report of an evaluation"),
    ],
    ids=["version", "no version", "nan", "words", "rules", "cut off", "list"],
)
def test_what_is_no_report_is_refused_in_one_line(random_problem, tmp_path, change, message):
    problem = random_problem(1)
    (path, _) = write_report(evaluate(problem.detections, problem.catalog, problem.label_space, by=[]), tmp_path)
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))
    with pytest.raises(DataError, match=message) as caught:
        read_report(tmp_path)
    assert "\n" not in str(caught.value)
