"""The table of all numbers, the model card, and the folder that they are written into."""

from __future__ import annotations

import io
from dataclasses import replace

import polars as pl
import pytest

from tl_datasets.errors import DataError
from tl_datasets.frame import Frame
from tl_detection.evaluation.page import facts
from tl_detection.evaluation.page.collect import collect_rows
from tl_detection.evaluation.page.data import Value
from tl_detection.evaluation.page.licences import UNKNOWN, licence_of_data, licence_of_model
from tl_detection.evaluation.page.model_card import format_model_card
from tl_detection.evaluation.page.tidy_csv import HEADER, format_csv
from tl_detection.evaluation.page.write import write_documents
from tl_detection.evaluation.report import evaluate_whole
from tl_detection.evaluation.slice_analyses import analyse_slices


@pytest.fixture(scope="module")
def rows(drawn):
    return collect_rows(drawn[0], analyse_slices(drawn[0], replicates=20))


@pytest.fixture(scope="module")
def card(drawn, rows) -> str:
    evaluation, _ = drawn
    return format_model_card(evaluation.report, evaluation.matched.ground_truth, rows, title="a <b> * model")


def cells(card: str, title: str) -> list[list[str]]:
    """The table below a heading, without its rule."""
    lines = card.split(f"## {title}\n\n")[1].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for number, line in enumerate(lines) if number != 1]


def test_the_table_is_read_back(rows, drawn):
    report = drawn[0].report
    table = pl.read_csv(io.StringIO(format_csv(rows)))
    assert tuple(table.columns) == HEADER
    assert not table.select("slice", "class", "measure").is_duplicated().any()
    assert table["slice"].n_unique() == 1 + len(report.slices)
    for item in report.slices:
        part = table.filter(slice=item.name, measure="ap50")
        assert part.filter(pl.col("class").is_null())["value"].item() == item.scores.ap50
        for of_class in item.scores.classes:
            line = part.filter(pl.col("class") == of_class.name).row(0, named=True)
            assert (line["value"], line["objects"]) == (of_class.ap50, of_class.objects)
            assert line["frames"] == item.scores.frames
    phantoms = table.filter(slice="overall", measure="phantoms").row(0, named=True)
    assert (phantoms["counted"], phantoms["objects"]) == ("frames", report.overall.frames)
    bounded = table.filter(pl.col("low").is_not_null())
    assert len(bounded)
    assert (bounded["low"] <= bounded["high"]).all()
    assert table.filter(pl.col("value").is_null())["low"].is_null().all()


def test_the_card_names_the_worst_conditions_first(card, rows):
    found = [row for row in cells(card, "The worst conditions first")[1:] if row[0] == "AP50"]
    values = [float(row[2]) for row in found]
    firm = [row.values["ap50"].value for row in rows[1:] if not row.is_small and "not annotated" not in row.value]
    assert values == [round(value, 3) for value in sorted(firm)[:5]]
    assert all(row[3] != "-" for row in found)
    missed = [float(row[2]) for row in cells(card, "The worst conditions first")[1:] if row[0] == "Missed"]
    firm = [row.values["missed"].value for row in rows[1:] if not row.is_small and "not annotated" not in row.value]
    assert missed == [round(value, 3) for value in sorted(firm, reverse=True)[:5]]


def test_what_was_measured_on_few_sequences_is_not_the_worst(drawn, rows):
    """A slice may be large and hold three red lights."""
    evaluation, _ = drawn
    few = Value(value=1.0, objects=3, sequences=2, part=3)
    large = next(row for row in rows[1:] if not row.is_small)
    changed = [replace(row, values={**row.values, "red_as_green": few}) if row is large else row for row in rows]
    card = format_model_card(evaluation.report, evaluation.matched.ground_truth, changed, title="x")
    found = cells(card, "The worst conditions first")[1:]
    assert large.name not in [row[1] for row in found if row[0] == "Red as green"]
    assert large.name in [row[1] for row in found if row[0] == "Missed"]


def test_a_frame_without_a_sequence_is_one_of_its_own(lights, catalog_of, detections_of):
    frames = [
        Frame(frame_id=f"{n}", path="a.png", width_px=64, height_px=48, annotations=(), sequence="a" if n < 2 else None)
        for n in range(5)
    ]
    evaluation = evaluate_whole([detections_of([])] * 5, catalog_of(frames), lights, by=())
    rows = collect_rows(evaluation, analyse_slices(evaluation, replicates=5))
    card = format_model_card(evaluation.report, evaluation.matched.ground_truth, rows, title="x")
    assert "5 frames of 4 sequences" in card
    assert f"| drawn | - | 5 | 4 | 0 | {UNKNOWN} |" in card


def test_the_protocol_names_the_slices(drawn, lights):
    evaluation, catalog = drawn
    asked = ["far: height_px < 16", "night"]
    report = evaluate_whole(evaluation.detections, catalog, lights, by=("weather",), expressions=asked).report
    rows = dict(facts.protocol(report).rows)
    assert (rows["sliced by"], rows["slices by expression"]) == ("weather", "far: height_px < 16, night")


def test_names_of_the_data_are_no_markup_in_the_card(draw_evaluation):
    evil = "<script>alert(1)</script>|`a`[b](c)"
    evaluation, _ = draw_evaluation(30, words=evil, by=("sequence",))
    report = replace(evaluation.report, model={"engine": evil, "input": "640x384"}, input_size="640x384")
    rows = collect_rows(evaluation, analyse_slices(evaluation, replicates=5))
    card = format_model_card(report, evaluation.matched.ground_truth, rows, title=evil)
    assert "<script" not in card
    assert "Too small to conclude from: sequence=&lt;script>alert(1)&lt;/script>\\|\\`a\\`\\[b\\](c)drive 0" in card
    assert "- network input: 640x384" in card


def test_the_card_holds_what_a_card_must(card, drawn):
    report = drawn[0].report
    assert card.startswith("# Model card: a &lt;b> \\* model\n")
    for title in ("Model", "Intended use", "Data that it was scored on", "Limits", "Protocol"):
        assert f"\n## {title}\n" in card
    assert len(cells(card, "Every condition")) == 2 + len(report.slices)
    assert f"| drawn | - | 80 | 14 | {report.overall.objects} | {UNKNOWN} |" in card
    assert "Nothing is known of weather partly_cloudy" in card
    assert "frames do not say their weather" in card
    assert "Not stated by its makers" in card
    assert "nan" not in card.lower().split()


def test_the_makers_words_take_the_place_of_ours(drawn, rows):
    evaluation, _ = drawn
    truth = evaluation.matched.ground_truth
    card = format_model_card(evaluation.report, truth, rows, title="x", intended_use="For the test track.")
    assert "For the test track." in card
    assert "Not stated by its makers" not in card


@pytest.mark.parametrize(
    ("source", "known"),
    [
        ("bdd100k", "commercial rights"),
        ("S2TLD", "MIT"),
        ("lisa-night", "CC BY-NC-SA 4.0"),
        ("our drives", UNKNOWN),
        ("cocoa", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_licences_are_named_where_they_are_known(source, known):
    assert known in licence_of_data(source)


def test_the_licence_of_weights_follows_from_the_engine():
    assert licence_of_model("yolo").startswith("AGPL")
    assert licence_of_model("faster_rcnn") == licence_of_model(None) == UNKNOWN


def test_documents_are_written_side_by_side(drawn, tmp_path):
    evaluation, catalog = drawn
    analyses = analyse_slices(evaluation, replicates=5)
    written = write_documents(evaluation, analyses, catalog, tmp_path / "out", title="trial", cases_per_kind=2)
    assert [path.name for path in written] == ["model_card.md", "report.csv", "report.html"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in written)
    again = write_documents(evaluation, analyses, None, tmp_path / "plain", title="trial", html=False)
    assert [path.name for path in again] == ["model_card.md", "report.csv"]
    assert again[0].read_text() == written[0].read_text()


def test_a_folder_that_cannot_be_written_is_named(drawn, tmp_path):
    evaluation, _ = drawn
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write the report"):
        write_documents(evaluation, analyse_slices(evaluation, replicates=5), None, tmp_path / "file", html=False)
