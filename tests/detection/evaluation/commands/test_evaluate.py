"""`tl evaluate`: what it leaves for a later comparison, and what is new since the evaluation before."""

from __future__ import annotations

import json

import polars as pl
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation
from tl_datasets.taxonomy import State, Weather
from tl_detection.cli import main
from tl_detection.evaluation.evaluation_folder import EvaluationFolder
from tl_detection.evaluation.report_file import read_report


def test_the_folder_holds_what_a_comparison_needs(drives):
    out = drives.evaluate("a", "--by", "weather,time_of_day", "--where", "weather != 'foggy'", missed={"drive01_0"})
    assert {path.name for path in out.iterdir()} >= {"report.json", "report.md", "predictions.json", "frames.parquet"}
    folder = EvaluationFolder.open(out)
    report = folder.report
    assert (report.catalog.path, report.catalog.where) == (str(drives.catalog), "weather != 'foggy'")
    assert report.catalog.split is None
    assert folder.label_space.fingerprint == report.label_space_fingerprint
    assert report.interval_method.replicates == 1000 and report.interval_method.seed == 0
    assert report.sequences == 14
    assert {item.name: item.sequences for item in report.slices} == {
        "weather=clear": 9,
        "weather=rainy": 5,
        "time_of_day=daytime": 7,
        "time_of_day=night": 7,
    }
    recall = report.overall.classes[0].recall
    interval = report.intervals["recall:red"]
    assert interval.low <= recall <= interval.high and interval.low < interval.high
    night = report.slices[3]
    assert night.intervals["recall"].high == 1 == report.slices[2].intervals["recall"].high
    table = folder.frames()
    assert table["frame_id"].to_list() == [frame.frame_id for frame in drives.frames]
    assert table["boxes"].list.len().to_list() == [2] * len(drives.frames)


def test_a_report_is_read_as_it_was_written(drives):
    out = drives.evaluate("a", phantoms={"drive02_1"})
    report = read_report(out)
    assert read_report(out / "report.json") == report
    assert json.loads(json.dumps(report.to_dict())) == json.loads((out / "report.json").read_text())


def test_says_what_is_new_since_the_evaluation_before(drives, drive_frames, changed, capsys):
    before = drives.evaluate("before", missed={"drive00_0"})
    kept = [frame for frame in drives.frames if frame.sequence != "drive13"]
    first, second, third = kept[:3]
    (red, green), moved = first.annotations, Annotation(xyxy=(90.0, 30.0, 100.0, 54.0), state=State.RED)
    now = [
        changed(first, annotations=(changed(red, state=State.GREEN), green)),
        changed(second, annotations=(*second.annotations, moved)),
        changed(third, weather=Weather.SNOWY),
        *kept[3:],
        *drive_frames(6, 2, first=20),
    ]
    # The order of frames and boxes changes nothing.
    now = [changed(frame, annotations=frame.annotations[::-1]) for frame in now[::-1]]
    catalog = drives.save(now)
    out = drives.evaluate(
        *("after", "--previous", str(before)), catalog=catalog, frames=now, missed={"drive20_0", "drive21_1"}
    )
    printed, changes = capsys.readouterr().out, read_report(out).changes
    assert (changes.frames_added, changes.frames_removed, changes.frames_relabelled) == (12, 3, 3)
    assert (changes.frames_same, changes.frames_with_other_image) == (len(kept) - 3, 0)
    assert (changes.sequences_added, changes.sequences_removed) == (6, 1)
    assert (changes.objects_added, changes.objects_removed, changes.objects_relabelled) == (24 + 1, 6, 1)
    assert (changes.old.scores.frames, changes.new.scores.frames) == (len(kept), 12)
    assert changes.new.is_small and not changes.old.is_small
    assert changes.old.scores.classes[0].recall == 1
    assert changes.new.scores.classes[0].recall == pytest.approx(10 / 12)
    assert changes.new.intervals["recall:red"].low < 10 / 12
    assert changes.new.analyses.lights.missed.rate.part == 4
    assert changes.differences == ()
    rules = drives.folder / "rules.yaml"
    rules.write_text("min_objects: 1\nrules: [{measure: recall:red, slice: new frames, at_least: 0.83}]")
    assert main(["gate", str(out), "--rules", str(rules)]) == 0
    rules.write_text("min_objects: 1\nrules: [{rate: lights.missed, slice: new frames, at_most: 0.16}]")
    assert main(["gate", str(out), "--rules", str(rules)]) == 1
    assert "0.167 in new frames, is more than 0.16" in capsys.readouterr().out
    rules.write_text("min_objects: 1\nrules: [{measure: recall:red, slice: new frames, at_least: 0.84}]")
    assert main(["gate", str(out), "--rules", str(rules)]) == 1
    for text in (printed, (out / "report.md").read_text()):
        assert "frames: 12 added, 3 removed, 3 with other labels or conditions" in " ".join(text.split())
        assert "new frames" in text


def test_a_catalog_that_did_not_change_has_nothing_new(drives):
    before = drives.evaluate("before")
    changes = read_report(drives.evaluate("again", "--previous", str(before / "report.json"))).changes
    assert changes.frames_same == len(drives.frames)
    assert (changes.frames_added, changes.frames_removed, changes.frames_relabelled) == (0, 0, 0)
    assert (changes.objects_added, changes.objects_removed, changes.objects_relabelled) == (0, 0, 0)
    assert changes.new is None


def test_another_label_space_has_no_previous_without_a_word(drives, capsys):
    before = drives.evaluate("before")
    text = (drives.folder / "lights.yaml").read_text()
    (drives.folder / "lights.yaml").write_text(text.replace("otherwise: error", "otherwise: drop"))
    drives.evaluate("after", "--previous", str(before), code=1)
    assert "label_space_fingerprint" in capsys.readouterr().err
    after = drives.evaluate("after", "--previous", str(before), "--allow-different-protocol")
    assert capsys.readouterr().out.startswith("NOT SCORED ALIKE")
    (difference,) = read_report(after).changes.differences
    assert "label_space_fingerprint is" in difference and "in the evaluation before and" in difference
    assert f"NOT SCORED ALIKE, so boxes may have been added or removed for that alone: {difference}" in (
        (after / "report.md").read_text()
    )
    assert "NOT scored alike" in (after / "report.html").read_text()


def test_an_image_that_was_not_known_before_has_not_changed(drives, tmp_path):
    hashes = [{}, {frame.frame_id: "1" * 64 for frame in drives.frames}]
    hashes.append(hashes[1] | {"drive00_0": "2" * 64})
    folders = []
    for index, known in enumerate(hashes):
        catalog = Catalog.from_frames(
            drives.frames, source="drawn", root=drives.folder / "images", content_hashes=known
        ).save(tmp_path / f"hashes{index}")
        more = ("--previous", str(folders[-1])) if folders else ()
        folders.append(drives.evaluate(f"hashes{index}", *more, catalog=catalog))
    first, second = (read_report(folder).changes for folder in folders[1:])
    assert (first.frames_with_other_image, first.frames_same) == (0, len(drives.frames))
    assert (second.frames_with_other_image, second.frames_same) == (1, len(drives.frames) - 1)


@pytest.mark.parametrize("name", ["overall", "all frames", "new frames", "old  frames"])
def test_a_slice_is_not_called_what_a_report_calls_something_else(drives, name, capsys):
    drives.evaluate("named", "--slice", f"{name}: night", code=2)
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "a report calls something else" in line and "choose another name" in line


def _cut(folder):
    path = folder / "report.json"
    path.write_text(path.read_text()[:5000])


def _edit(folder, **values):
    path = folder / "report.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "report.json").unlink(), ["holds no report.json", "tl evaluate"]),
        (_cut, ["report.json", "broken JSON", "cut off"]),
        (lambda folder: (folder / "report.json").write_text("[]"), ["no report of an evaluation"]),
        (lambda folder: (folder / "report.json").write_text("{}"), ["no report_version"]),
        (lambda folder: (folder / "report.json").write_text('{"a": NaN}'), ["NaN is no value"]),
        (lambda folder: (folder / "report.json").write_bytes(b"\xff\xfe\x00"), ["no JSON text"]),
        (lambda folder: _edit(folder, report_version=1), ["version 1, expected 2"]),
        (lambda folder: _edit(folder, sequences="many"), ["sequences", "'many'"]),
        (lambda folder: (folder / "frames.parquet").unlink(), ["frames.parquet", "cannot be read"]),
        (lambda folder: (folder / "frames.parquet").write_bytes(b"PAR1"), ["frames.parquet", "cannot be read"]),
        (
            lambda folder: pl.DataFrame({"x": [1]}).write_parquet(folder / "frames.parquet"),
            ["frames.parquet", "cannot be read"],
        ),
    ],
)
def test_an_evaluation_that_cannot_be_used_is_named_in_one_line(drives, capsys, spoil, words):
    before = drives.evaluate("before")
    spoil(before)
    capsys.readouterr()
    drives.evaluate("after", "--previous", str(before), code=1)
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("tl evaluate: ") and str(before) in line
    for word in words:
        assert word in line


def test_no_evaluation_at_all(drives, capsys):
    words = ["evaluate", "x.json", "--catalog", str(drives.catalog), "--previous", "nowhere"]
    assert main(words) == 1
    assert "nowhere: no such file or folder" in capsys.readouterr().err
