"""The JSON schema of a report, as it lies in the package."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from tl_detection.evaluation.all_intervals import with_intervals
from tl_detection.evaluation.report import evaluate_whole
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
