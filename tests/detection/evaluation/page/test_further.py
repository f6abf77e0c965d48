"""Drives, agreement, operating scores and size curves stand on the page and in the card, with their counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tl_detection.evaluation.complete import complete
from tl_detection.evaluation.label_noise.label_agreement import label_agreement
from tl_detection.evaluation.page.collect import collect_page, collect_rows
from tl_detection.evaluation.page.further import further_steps, further_tables
from tl_detection.evaluation.page.model_card import format_model_card
from tl_detection.evaluation.results import Report
from tl_detection.evaluation.slice_analyses import OVERALL


@pytest.fixture(scope="module")
def completed(drawn, lights):
    """An evaluation whose report holds everything, and its analyses."""
    evaluation, catalog = drawn
    evaluation, analyses = complete(evaluation, replicates=20, rules=["max_f1"], frame_rate_hz=10)
    agreement = label_agreement(catalog, catalog, lights, by=["weather"], replicates=20)
    return replace(evaluation, report=replace(evaluation.report, agreement=agreement)), analyses


@pytest.fixture(scope="module")
def report(completed) -> Report:
    return completed[0].report


def test_each_has_its_table(report):
    tables = {item.short: item for item in further_tables(report)}
    assert list(tables) == ["Operating scores", "Drives", "Agreement"]
    for item in tables.values():
        assert item.rows
        assert all(len(row) == len(item.header) for row in item.rows)
    assert tuple(row[0] for row in tables["Operating scores"].rows) == report.class_names
    drives = {row[0]: row for row in tables["Drives"].rows}
    assert drives["lights of which anything was said"][3] == f"{report.drives.seen.part} of {report.drives.tracks}"


def test_what_a_rule_does_not_say_stands_below_its_score(report):
    point = report.operating_points[0]
    assert further_tables(report)[0].notes == tuple(
        f"{item.name}: {item.why}" for item in report.operating_points if item.why
    ), "rules that every replicate meets need no word"
    limited = replace(point, why=None, met_in=0.9966, rule="max_f1 and red_as_green<=0.001")
    notes = further_tables(replace(report, operating_points=(limited,)))[0].notes
    assert notes[0].startswith(f"{point.name}: in 0.3% of the data sets drawn anew no score meets its rule")
    assert notes[1].startswith("A limit on red as green is a share of the annotated lights that mean stop")


def test_an_annotation_agrees_with_itself(report):
    table = further_tables(report)[2]
    said = f"AP50 of the detector {report.overall.ap50:.3f}, of the second annotation as predictions 1.000"
    assert said in table.notes[0]
    assert [row[6] for row in table.rows] == ["1.000"] * len(table.rows)


def test_recall_and_ap50_run_along_the_size(report):
    recall, ap50 = further_steps(report)
    assert (recall.title, ap50.title) == ("Recall by height", "AP50 by height")
    bins = report.size_curves[0].bins
    assert [value.value for _, value in recall.steps] == [item.recall.value for item in bins]
    assert [(value.value, value.objects) for _, value in ap50.steps] == [(item.ap50, item.objects) for item in bins]


def test_they_stand_on_the_page_and_in_the_card(completed):
    evaluation, analyses = completed
    rows = collect_rows(evaluation, analyses)
    page = collect_page(evaluation, analyses, rows, title="trial")
    assert page.tables == further_tables(evaluation.report)
    assert page.sizes[OVERALL][:2] == further_steps(evaluation.report)
    card = format_model_card(evaluation.report, evaluation.matched.ground_truth, rows, title="trial")
    for item in page.tables:
        assert f"\n## {item.title}\n" in card


def test_what_was_not_measured_has_no_table(drawn):
    assert further_tables(drawn[0].report) == further_steps(drawn[0].report) == ()


def test_frames_without_drives_have_a_word_instead(draw_evaluation):
    evaluation, _ = draw_evaluation(12, per_drive=1)
    completed, _ = complete(evaluation, replicates=5)
    (table,) = (item for item in further_tables(completed.report) if item.short == "Drives")
    assert table.rows == ()
    assert table.notes[0] == completed.report.drives.note


def test_scores_that_were_chosen_elsewhere_are_not_called_too_good(completed):
    evaluation, analyses = completed
    rows, truth = collect_rows(evaluation, analyses), evaluation.matched.ground_truth
    given = replace(evaluation.report, operating_from="of thresholds.json")
    assert "somewhat too good" in format_model_card(evaluation.report, truth, rows, title="trial")
    card = format_model_card(given, truth, rows, title="trial")
    assert "somewhat too good" not in card
    assert "operating scores from: of thresholds.json" in card
