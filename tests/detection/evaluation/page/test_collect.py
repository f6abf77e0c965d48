"""The page's numbers are those of the report and of its analyses."""

from __future__ import annotations

import pytest

from tl_datasets.frame import Frame
from tl_detection.evaluation.page.collect import collect_page, collect_rows
from tl_detection.evaluation.report import evaluate_whole
from tl_detection.evaluation.slice_analyses import OVERALL, analyse_slices


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
                assert value.objects == item.objects
                if interval is not None and value.value is not None:
                    assert (value.low, value.high, value.sequences) == (interval.low, interval.high, interval.sequences)


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


def test_many_objects_of_few_sequences_are_small(draw_evaluation):
    evaluation, _ = draw_evaluation(40, per_drive=40, by=("weather",))
    rows = collect_rows(evaluation, analyse_slices(evaluation, replicates=5))
    assert rows[0].objects > evaluation.report.protocol.small_slice_objects
    assert all(row.is_small for row in rows)


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


def test_without_an_object_there_is_no_value(lights, catalog_of, detections_of):
    frames = [Frame(frame_id="a", path="a.png", width_px=64, height_px=48, annotations=())]
    evaluation = evaluate_whole([detections_of([(1, 1, 9, 9, 0.9, 0)])], catalog_of(frames), lights)
    analyses = analyse_slices(evaluation, replicates=5)
    page = collect_page(evaluation, analyses, collect_rows(evaluation, analyses), title="nothing")
    assert page.rows[0].values["ap50"].value is None
    assert page.rows[0].values["phantoms"].value == 1000
    assert page.rows[0].is_small
    assert {item.key for item in page.quantities} == {"phantoms", "d_ece"}
