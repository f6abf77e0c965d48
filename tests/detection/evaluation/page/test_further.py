"""Drives, agreement and operating scores stand on the page and in the card, with their counts."""

from __future__ import annotations

import numpy as np
import pytest

from tl_detection.evaluation.drives.drive_scores import find_lamps, measure_drives
from tl_detection.evaluation.label_noise.label_agreement import label_agreement
from tl_detection.evaluation.operating.choice import choose_operating_points
from tl_detection.evaluation.operating.rules import Rule
from tl_detection.evaluation.page.collect import collect_page, collect_rows
from tl_detection.evaluation.page.further import Further
from tl_detection.evaluation.page.model_card import format_model_card
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.size_curve import measure_size_curve
from tl_detection.evaluation.slice_analyses import OVERALL, analyse_slices


@pytest.fixture(scope="module")
def further(drawn, lights) -> Further:
    evaluation, catalog = drawn
    matched = evaluation.matched
    truth = matched.ground_truth
    answers = analyse_slices(evaluation, replicates=5).answers
    selection = Selection.of_frames(matched, np.ones(len(truth), np.bool_))
    replicates = draw_replicates(sequence_numbers(truth), replicates=20)
    lamps = find_lamps(truth, frame_rate_hz=10)
    return Further(
        drives=measure_drives(truth, lamps, answers.said, selection, replicates),
        agreement=label_agreement(catalog, catalog, lights, by=["weather"], replicates=20),
        size_curves=(measure_size_curve(answers, selection, replicates),),
        operating_points=choose_operating_points(matched, answers.overlaps, selection, replicates, [Rule()] * 4),
    )


def test_each_has_its_table(drawn, further):
    tables = {item.short: item for item in further.tables(0.5)}
    assert list(tables) == ["Operating scores", "Drives", "Agreement"]
    for item in tables.values():
        assert all(len(row) == len(item.header) for row in item.rows)
    points = [row[0] for row in tables["Operating scores"].rows]
    assert points == list(drawn[0].report.class_names)
    drives = {row[0]: row for row in tables["Drives"].rows}
    assert drives["lights of which anything was said"][3] == f"{further.drives.seen.part} of {further.drives.tracks}"


def test_an_annotation_agrees_with_itself(further):
    table = further.tables(0.5)[2]
    assert "AP50 of the detector 0.500, of the second annotation as predictions 1.000" in table.notes[0]
    assert [row[6] for row in table.rows] == ["1.000"] * len(table.rows)


def test_they_stand_on_the_page_and_in_the_card(drawn, further):
    evaluation, _ = drawn
    analyses = analyse_slices(evaluation, replicates=5)
    rows = collect_rows(evaluation, analyses)
    page = collect_page(evaluation, analyses, rows, title="trial", further=further)
    assert page.tables == further.tables(evaluation.report.overall.ap50)
    assert [item.title for item in page.sizes[OVERALL]][:2] == ["Recall by height", "AP50 by height"]
    bins = further.size_curves[0].bins
    assert [value.value for _, value in page.sizes[OVERALL][0].steps] == [item.recall.value for item in bins]
    assert [value.objects for _, value in page.sizes[OVERALL][1].steps] == [item.objects for item in bins]
    card = format_model_card(evaluation.report, evaluation.matched.ground_truth, rows, title="trial", further=further)
    for item in page.tables:
        assert f"\n## {item.title}\n" in card


def test_what_was_not_measured_has_no_table():
    assert Further().tables(None) == Further().size_steps() == ()
