"""The page's numbers are those of the report and of its analyses."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import State
from tl_detection.evaluation.all_intervals import with_intervals
from tl_detection.evaluation.exact_bounds import none_bound
from tl_detection.evaluation.measures import Measure
from tl_detection.evaluation.page.collect import collect_page, collect_rows
from tl_detection.evaluation.page.model_card import format_model_card
from tl_detection.evaluation.page.rows import counted_by
from tl_detection.evaluation.page.score_sections import curves_of
from tl_detection.evaluation.page.tidy_csv import format_csv
from tl_detection.evaluation.render import format_console, format_markdown
from tl_detection.evaluation.report import evaluate_whole
from tl_detection.evaluation.report_values import reported_values
from tl_detection.evaluation.slice_analyses import OVERALL, SLICE_POINTS, analyse_slices


@pytest.fixture(scope="module")
def page(drawn):
    evaluation, _ = drawn
    analyses = analyse_slices(evaluation, replicates=20)
    return collect_page(evaluation, analyses, collect_rows(evaluation, analyses), title="trial")


def test_a_row_holds_what_the_report_says(drawn, page):
    report = drawn[0].report
    assert [row.name for row in page.rows] == [OVERALL, *(item.name for item in report.slices)]
    pairs = zip(page.rows[1:], report.slices, strict=True)
    for row, scores, intervals in [
        (page.rows[0], report.overall, report.intervals),
        *((row, item.scores, item.intervals) for row, item in pairs),
    ]:
        assert (row.frames, row.objects, row.classes_present) == (scores.frames, scores.objects, scores.classes_present)
        for key in ("ap", "ap50", "ap75"):
            assert row.values[key].value == getattr(scores, key)
            assert row.values[key].objects == scores.objects
        for item in scores.classes:
            for key in ("ap50", "recall", "precision", "f1"):
                value, interval = row.classes[item.name][key], intervals.get(f"{key}:{item.name}")
                assert value.value == getattr(item, key)
                assert value.objects == (item.counted if key == "precision" else item.objects)
                if interval is not None and value.value is not None:
                    assert value.sequences == interval.sequences
                    if interval.low < interval.high:
                        assert (value.low, value.high) == (interval.low, interval.high)


def test_rates_hold_their_counts(page):
    for row in page.rows:
        for key, unit in (("missed", 1), ("red_as_green", 1), ("phantoms", 1000)):
            value = row.values[key]
            if value.value is None:
                assert not value.objects
            else:
                assert value.value == pytest.approx(unit * value.part / value.objects)
        assert row.values["phantoms"].objects == row.frames


def test_what_is_small_is_marked(page, drawn):
    least = drawn[0].report.protocol.small_slice_objects
    assert any(row.is_small for row in page.rows)
    assert any(not row.is_small for row in page.rows)
    for row in page.rows:
        assert row.is_small == (row.objects < least or row.values["ap50"].sequences < 5)


def test_the_same_slices_are_small_wherever_they_are_shown(draw_evaluation):
    # In one long drive there are objects enough, but of one sequence.
    evaluation, _ = draw_evaluation(40, per_drive=40, by=("weather", "state"))
    analyses = analyse_slices(evaluation, replicates=5)
    report, rows = evaluation.report, collect_rows(evaluation, analyses)
    assert rows[0].objects > report.protocol.small_slice_objects
    assert all(row.is_small for row in rows)
    content = report.to_dict()
    assert content["is_small"] and all(item["is_small"] for item in content["slices"])
    names = ["overall", *(item.name for item in report.slices)]
    words = {line.split("  ")[0].split("|")[-1] for line in format_console(report).splitlines()}
    assert {f"{name}*" for name in names} <= words and not words.intersection(names)
    cells = {line.split(" | ")[0] for line in format_markdown(report).splitlines()}
    assert {f"| {name}\\*" for name in names} <= cells and not cells.intersection(f"| {name}" for name in names)
    lines = list(csv.DictReader(io.StringIO(format_csv(rows))))
    assert {line["slice"] for line in lines} == set(names)
    assert {line["is_small"] for line in lines} == {"true"}
    card = format_model_card(report, evaluation.matched.ground_truth, rows, title="x")
    assert f"Too small to conclude from: {'; '.join(names[1:])}." in card


def test_a_number_says_what_it_is_measured_on(page, drawn):
    for row, scores in zip(
        page.rows, [drawn[0].report.overall, *(item.scores for item in drawn[0].report.slices)], strict=True
    ):
        precision = row.values["precision"]
        assert precision.objects == sum(item.counted for item in scores.classes if item.precision is not None)
        assert row.values["phantoms_per_frame"].objects == scores.frames
        for item in scores.classes:
            right = None if item.recall is None else item.recall * item.objects
            if item.precision is not None:
                assert item.precision * row.classes[item.name]["precision"].objects == pytest.approx(right)
            assert row.classes[item.name]["phantoms_per_frame"].objects == scores.frames
    assert counted_by("phantoms_per_frame") == "frames"
    assert (counted_by("precision"), counted_by("recall"), counted_by("ap_small")) == (
        *("detections", "objects"),
        "objects",
    )


def test_nothing_seen_is_not_a_certain_nothing(lights, catalog_of, detections_of):
    box = (10.0, 10.0, 20.0, 40.0)
    annotation = Annotation(xyxy=box, state=State.RED)
    frames = [
        Frame(frame_id=f"{n}", path="a.png", width_px=64, height_px=48, annotations=(annotation,), sequence=f"{n}")
        for n in range(6)
    ]
    for rows, recall, low, high in (
        ([], 0, 0, none_bound(6, 0.95)),
        ([(*box, 0.9, 0)], 1, 1 - none_bound(6, 0.95), 1),
    ):
        evaluation = evaluate_whole([detections_of(rows)] * 6, catalog_of(frames), lights, by=())
        evaluation = replace(evaluation, report=with_intervals(evaluation, replicates=20))
        analyses = analyse_slices(evaluation, replicates=20)
        (row,) = collect_rows(evaluation, analyses)
        for value in (row.values["recall"], row.classes["red"]["recall"], row.classes["red"]["ap50"]):
            assert (value.value, value.low, value.high) == pytest.approx((recall, low, high), abs=1e-5)
        phantoms = row.classes["green"]["phantoms_per_frame"]
        assert (phantoms.low, phantoms.high) == pytest.approx((0, none_bound(6, 0.95)))
        assert f"{recall:.3f} ({low:.3f} to {high:.3f})" in format_markdown(evaluation.report)
        measure = Measure.parse("ap50_lower" if recall else "ap50_upper")
        (reported,) = reported_values(evaluation.report, measure)
        assert reported.value == pytest.approx(low if recall else high, abs=1e-5)


def test_single_sequences_have_rows_alone(draw_evaluation):
    evaluation, _ = draw_evaluation(70, per_drive=1, by=("weather", "sequence"))
    analyses = analyse_slices(evaluation, replicates=5)
    page = collect_page(evaluation, analyses, collect_rows(evaluation, analyses), title="trial")
    of_sequences = [row for row in page.rows if row.column == "sequence"]
    assert len(of_sequences) == 70
    assert not any(row.classes or row.name in page.curves for row in of_sequences)
    assert all(row.classes and row.name in page.curves for row in page.rows if row.column == "weather")


def test_a_curve_passes_through_its_operating_point(page):
    for name, curves in page.curves.items():
        row = next(row for row in page.rows if row.name == name)
        for class_name, curve in curves.items():
            assert curve.objects == row.classes[class_name]["recall"].objects
            if curve.operating:
                assert curve.operating[2] == pytest.approx(row.classes[class_name]["recall"].value, abs=1e-4)
                scores = [point[0] for point in curve.over_score]
                assert scores == sorted(scores, reverse=True)


def test_a_row_of_the_matrix_adds_up(page):
    matrix = page.matrices[OVERALL]
    assert matrix.labels == page.class_names
    for cells, name in zip(matrix.rows, page.class_names, strict=True):
        assert sum(cell.part for cell in cells) == cells[0].objects
        assert cells[0].objects == page.rows[0].classes[name]["recall"].objects


def test_matrix_errors_and_curves_are_those_of_the_analyses(drawn, page):
    found = analyse_slices(drawn[0], replicates=20).slices
    for name, item in found.items():
        for cells, row in zip(page.matrices[name].rows, item.lights.states.rows, strict=True):
            assert [cell.part for cell in cells] == [*(rate.part for rate in row.said), row.missed.part]
        counts, gains = page.errors[name]
        for of, number in ((counts, "count"), (gains, "gain_ap50")):
            shown = {word: value.value for word, value in of.steps}
            assert shown == {each.kind.replace("_", " "): getattr(each, number) for each in item.errors.overall.errors}
        assert counts.is_count and not gains.is_count


def test_a_long_curve_keeps_its_best_point(random_problem):
    problem = random_problem(2, 80, on_grid=False)
    evaluation = evaluate_whole(problem.detections, problem.catalog, problem.label_space, by=[])
    item = analyse_slices(evaluation, replicates=5).slices[OVERALL]
    shown = curves_of(item, evaluation.report.overall)
    for curve in item.curves.classes:
        assert len(curve.score) > SLICE_POINTS >= len(shown[curve.name].over_score) - 1
        assert max(point[3] for point in shown[curve.name].over_score) == round(max(curve.f1), 4)


def test_without_an_object_there_is_no_value(lights, catalog_of, detections_of):
    frames = [Frame(frame_id="a", path="a.png", width_px=64, height_px=48, annotations=())]
    evaluation = evaluate_whole([detections_of([(1, 1, 9, 9, 0.9, 0)])], catalog_of(frames), lights)
    analyses = analyse_slices(evaluation, replicates=5)
    page = collect_page(evaluation, analyses, collect_rows(evaluation, analyses), title="nothing")
    assert page.rows[0].values["ap50"].value is None
    assert page.rows[0].values["phantoms"].value == 1000
    assert page.rows[0].is_small
    assert {item.key for item in page.quantities} == {"phantoms", "d_ece"}
