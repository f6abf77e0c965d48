"""`tl compare`: evaluations of the same frames side by side."""

from __future__ import annotations

import csv
import json
import shutil

import cv2
import numpy as np
import pytest

from tl_datasets.frame import Annotation
from tl_datasets.taxonomy import State
from tl_detection.cli import main
from tl_detection.evaluation.compare.significance import holm


@pytest.fixture(scope="module")
def first(shared_drives):
    return shared_drives.evaluate("first", "--by", "time_of_day", missed={"drive00_0", "drive03_1"})


@pytest.fixture(scope="module")
def second(shared_drives):
    """Worse by night, better in one frame by day."""
    night = [frame.frame_id for frame in shared_drives.frames if frame.time_of_day == "night"]
    return shared_drives.evaluate(
        "second", "--by", "time_of_day", missed=set(night[1::2]), as_green={"drive05_2"}, phantoms={"drive02_2"}
    )


def compared(tmp_path, *words, code=0):
    out = tmp_path / "out"
    assert main(["compare", *map(str, words), "--out", str(out)]) == code
    return json.loads((out / "compare.json").read_text()) if code == 0 else None


def rows(comparison, second="B"):
    return {(item["measure"], item["slice"]): item for item in comparison["differences"] if item["second"] == second}


def test_a_detector_that_is_worse_by_night_is_found(shared_drives, first, second, tmp_path, capsys):
    found = rows(compared(tmp_path, first, second, "--pictures", "0"))
    night, day = found["recall", "time_of_day=night"], found["recall", "time_of_day=daytime"]
    assert night["first_value"] == pytest.approx(40 / 42)
    assert night["difference"] == pytest.approx(night["second_value"] - night["first_value"])
    assert night["significance"]["high"] < 0 and night["significance"]["probability_better"] == 0
    assert night["significance"]["p"] <= night["p_holm"] < 0.05
    assert (night["frames"], night["objects"], night["sequences"]) == (21, 42, 7)
    assert day["difference"] > 0 and day["p_holm"] > 0.05
    assert found["recall", "all frames"]["significance"]["p"] < 0.05
    assert {measure for measure, where in found if where == "all frames"} >= {
        *("ap", "ap50", "recall", "precision", "f1", "red_as_green"),
        *("ap50:red", "recall:green"),
    }
    red = found["red_as_green", "all frames"]
    assert (red["first_value"], red["second_value"], red["objects"]) == (0, pytest.approx(1 / 42), 42)
    assert not red["higher_is_better"] and red["significance"]["probability_better"] < 0.5
    printed = capsys.readouterr().out
    assert "B against A: all frames" in printed and "beyond chance" in printed


def test_an_evaluation_against_itself_has_no_difference(first, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(first, again)
    comparison = compared(tmp_path, first, again)
    for item in comparison["differences"]:
        if item["difference"] is not None:
            assert item["difference"] == 0
        if item["significance"] is not None:
            assert item["significance"] == {"low": None, "high": None, "probability_better": 0.5, "p": 1}
            assert item["p_holm"] == 1
    (changes,) = comparison["changes"]
    assert changes["worse"] == changes["better"] == []
    assert (changes["red_as_green_new"], changes["frames_lost"], changes["frames_gained"]) == (0, 0, 0)
    assert not (tmp_path / "out" / "pictures").exists()


def test_exchanged_evaluations_have_the_opposite_difference(first, second, tmp_path):
    forth = rows(compared(tmp_path / "1", first, second, "--pictures", "0"))
    back = rows(compared(tmp_path / "2", second, first, "--pictures", "0"))
    assert forth.keys() == back.keys()
    for key, item in forth.items():
        other = back[key]
        if item["difference"] is None:
            continue
        assert other["difference"] == -item["difference"]
        assert other["p_holm"] == item["p_holm"]
        if item["significance"] is not None:
            if item["significance"]["high"] is not None:
                assert other["significance"]["low"] == pytest.approx(-item["significance"]["high"], abs=1e-12)
            assert other["significance"]["p"] == item["significance"]["p"]
            total = item["significance"]["probability_better"] + other["significance"]["probability_better"]
            assert total == pytest.approx(1)


def test_frames_gained_and_lost(shared_drives, first, second, tmp_path):
    comparison = compared(tmp_path, first, second, "--pictures", "3")
    (changes,) = comparison["changes"]
    night = [frame.frame_id for frame in shared_drives.frames if frame.time_of_day == "night"]
    lost = set(night[1::2])
    assert changes["worse"][0]["frame_id"] == "drive05_2"
    assert (changes["worse"][0]["red_as_green_new"], changes["worse"][0]["lost"]) == (1, 1)
    assert {item["frame_id"] for item in changes["worse"]} == lost | {"drive05_2", "drive02_2"}
    gained = {"drive00_0", "drive03_1"}
    assert {item["frame_id"] for item in changes["better"]} == gained
    assert (changes["frames_lost"], changes["frames_gained"]) == (len(changes["worse"]), len(changes["better"]))
    by_class = {item["name"]: item for item in changes["classes"]}
    assert by_class["green"]["lost"] == len(lost) and by_class["red"]["lost"] == len(lost) + 1
    assert by_class["green"]["gained"] == len(gained)
    assert changes["red_as_green_new"] == 1 and changes["red_as_green_mended"] == 0
    assert changes["wrong_second"] - changes["wrong_first"] == 2, "the red called green and the phantom"
    with (tmp_path / "out" / "changed_frames.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["frame_id"] for row in table] == [item["frame_id"] for item in changes["worse"] + changes["better"]]
    assert (table[0]["kind"], table[0]["time_of_day"]) == ("worse", "night")


def test_pictures_show_the_frames_side_by_side(first, second, tmp_path):
    compared(tmp_path, first, second, "--pictures", "3")
    out = tmp_path / "out"
    names = sorted(path.name for path in (out / "pictures").iterdir())
    assert names == ["B_better_01.png", "B_better_02.png", "B_worse_01.png", "B_worse_02.png", "B_worse_03.png"]
    markdown = (out / "compare.md").read_text()
    assert all(f"](pictures/{name})" in markdown for name in names)
    assert "![drive05_2, sequence drive05, clear, night; 1 new red as green, 1 lost, wrong: 0 in A, 1 in B]" in markdown
    picture = cv2.imread(str(out / "pictures" / "B_worse_01.png"))[:, :, ::-1].astype(int)
    left, right = picture[:, : picture.shape[1] // 2], picture[:, picture.shape[1] // 2 :]

    def is_there(half, colour):
        return bool((np.abs(half - colour).max(axis=2) < 12).any())

    # What it says of the red light is drawn in its colour: red on the left, green on the right.
    assert is_there(left, (255, 45, 45)) and not is_there(right, (255, 45, 45))
    assert is_there(right, (40, 225, 90))


def test_frames_without_an_image_are_named(shared_drives, first, second, tmp_path, capsys):
    hidden = shared_drives.folder / "images" / "drive05_2.png"
    content = hidden.read_bytes()
    hidden.unlink()
    try:
        compared(tmp_path, first, second, "--pictures", "1")
    finally:
        hidden.write_bytes(content)
    assert "no picture of frame drive05_2" in capsys.readouterr().err
    assert not (tmp_path / "out" / "pictures" / "B_worse_01.png").exists()


def test_several_are_compared_with_the_first(shared_drives, first, second, tmp_path):
    third = shared_drives.evaluate("third", "--by", "time_of_day")
    comparison = compared(tmp_path, first, second, third, "--pictures", "0")
    alone = rows(compared(tmp_path / "alone", first, third, "--pictures", "0"))
    assert [model["letter"] for model in comparison["models"]] == ["A", "B", "C"]
    assert [(item["first"], item["second"]) for item in comparison["changes"]] == [("A", "B"), ("A", "C")]
    for key, item in rows(comparison, "C").items():
        assert item["significance"] == alone[key]["significance"]
        if item["p_holm"] is not None:
            assert item["p_holm"] >= alone[key]["p_holm"], "corrected for both"


def test_each_kind_of_table_is_corrected_for_itself_and_for_all_detectors(shared_drives, first, second, tmp_path):
    fourth = shared_drives.evaluate("fourth", "--by", "time_of_day", missed={"drive01_0", "drive04_2", "drive06_1"})
    comparison = compared(tmp_path, first, second, fourth, "--pictures", "0")
    families: dict[tuple[bool, bool], list[dict]] = {}
    for item in comparison["differences"]:
        if item["p_holm"] is not None:
            everywhere = item["slice"] == "all frames"
            families.setdefault((everywhere, everywhere and ":" in item["measure"]), []).append(item)
    assert len(families) == 3
    for members in families.values():
        assert {item["second"] for item in members} == {"B", "C"}
        expected = holm([item["significance"]["p"] for item in members])
        assert [item["p_holm"] for item in members] == expected


def test_slices_of_objects_and_other_columns(first, second, tmp_path):
    words = ("--by", "state,weather*time_of_day", "--slice", "small by night: night & width_px < 12")
    found = rows(compared(tmp_path, first, second, *words, "--pictures", "0"))
    places = {where for _, where in found}
    assert {"state=red", "weather=clear, time_of_day=night", "small by night"} <= places
    assert found["recall", "small by night"]["objects"] == 42
    assert found["recall:red", "all frames"]["objects"] == 42
    assert found["recall", "state=red"]["objects"] == 42
    assert found["recall", "state=red"]["second_value"] == found["recall:red", "all frames"]["second_value"]


def test_slices_of_the_first_report_are_taken_over_with_or_without_a_name(shared_drives, tmp_path):
    words = ("--by", "weather", "--slice", "weather == 'rainy'", "--slice", "dark:  night & x1 > 1")
    pair = [
        shared_drives.evaluate(f"sliced_{name}", *words, missed=missed)
        for name, missed in (("all", ()), ("some", {"drive00_0", "drive03_1"}))
    ]
    found = rows(compared(tmp_path, *pair, "--pictures", "0"))
    assert {where for _, where in found} == {
        *("all frames", "weather=clear", "weather=rainy", "weather == 'rainy'", "dark")
    }
    assert found["recall", "weather == 'rainy'"]["difference"] == pytest.approx(-2 / 15)


def test_phantoms_are_compared_as_the_reports_count_them(shared_drives, first, tmp_path, capsys):
    drives = (1, 3, 4, 5, 7, 8, 9, 10, 11, 13)
    seen = {f"drive{number:02d}_{index}" for number in drives for index in range(1 + number % 3)}
    other = shared_drives.evaluate("phantoms", "--by", "time_of_day,height_px", phantoms=seen)
    comparison = compared(tmp_path, first, other, "--by", "time_of_day,height_px", "--pictures", "0")
    found, report = rows(comparison), json.loads((other / "report.json").read_text())
    places = {"all frames": report} | {item["name"]: item for item in report["slices"]}
    assert len(places) > 3
    for name, place in places.items():
        rate, item = place["analyses"]["lights"]["phantoms"]["overall"]["rate"], found["phantoms", name]
        assert (item["first_value"], item["second_value"]) == (0, rate["value"])
        assert item["frames"] == rate["whole"] and item["sequences"] == rate["sequences"]
        if name == "height_px=24-32":  # which no phantom is
            assert item["difference"] == 0 and item["significance"]["p"] == 1
            continue
        # Where the first sees none, the difference is the rate of the second, and so is its interval.
        assert item["significance"]["low"] == pytest.approx(rate["low"])
        assert item["significance"]["high"] == pytest.approx(rate["high"])
        assert not item["higher_is_better"] and item["significance"]["probability_better"] < 0.1
        assert item["significance"]["p"] < item["p_holm"]
    assert found["phantoms", "all frames"]["p_holm"] < 0.05
    green, red = found["phantoms:green", "all frames"], found["phantoms:red", "all frames"]
    assert green["second_value"] == pytest.approx(1000 * len(seen) / 42) and red["second_value"] == 0
    assert ("phantoms:green", "time_of_day=night") not in found
    printed = capsys.readouterr().out
    assert "phantoms @ time_of_day=night" in printed and "all frames: 0 better and" in printed


def test_a_mean_over_other_classes_has_no_difference(first, tmp_path, capsys):
    silent = tmp_path / "silent"
    shutil.copytree(first, silent)
    path = silent / "predictions.json"
    content = json.loads(path.read_text())
    (red,) = (item["id"] for item in content["categories"] if item["name"] == "red")
    only_red = [item for item in content["annotations"] if item["category_id"] == red]
    path.write_text(json.dumps({**content, "annotations": only_red}))
    capsys.readouterr()
    found = rows(compared(tmp_path, first, silent, "--pictures", "0"))
    precision = found["precision", "all frames"]
    assert precision["first_value"] is not None and precision["second_value"] is not None
    assert precision["difference"] is None and precision["significance"] is None and precision["p_holm"] is None
    assert found["precision:red", "all frames"]["difference"] == 0
    assert found["recall", "all frames"]["difference"] < 0
    assert "reports nothing of a class" in " ".join(capsys.readouterr().out.split())


def test_what_is_below_the_operating_score_is_not_wrong(first, tmp_path):
    faint = tmp_path / "faint"
    shutil.copytree(first, faint)
    content = json.loads((faint / "predictions.json").read_text())
    said = {"category_id": content["categories"][0]["id"], "bbox": [100, 70, 8, 20], "score": 0.01}
    content["annotations"] += [{"id": 1000 + each["id"], "image_id": each["id"], **said} for each in content["images"]]
    (faint / "predictions.json").write_text(json.dumps(content))
    comparison = compared(tmp_path, first, faint, "--pictures", "0")
    assert rows(comparison)["phantoms", "all frames"]["second_value"] == 0
    assert comparison["changes"][0]["wrong_second"] == comparison["changes"][0]["frames_lost"] == 0


def test_what_lies_on_an_ignore_area_is_not_wrong(shared_drives, changed, tmp_path):
    area = Annotation(xyxy=(100, 70, 108, 90), state=State.GREEN, ignore=True)
    frames = [changed(frame, annotations=(*frame.annotations, area)) for frame in shared_drives.frames]
    catalog = shared_drives.save(frames)
    pair = [
        shared_drives.evaluate(f"ignored_{name}", catalog=catalog, frames=shared_drives.frames, phantoms=phantoms)
        for name, phantoms in (("none", ()), ("some", {"drive02_2", "drive03_1"}))
    ]
    comparison = compared(tmp_path, *pair, "--pictures", "0")
    assert comparison["objects"] == 84
    assert rows(comparison)["phantoms", "all frames"]["second_value"] == 0
    assert comparison["changes"][0]["wrong_second"] == comparison["changes"][0]["frames_lost"] == 0


def test_frames_in_another_order_are_paired_all_the_same(shared_drives, first, second, tmp_path):
    frames = shared_drives.frames[::-1]
    frames = frames[::2] + frames[1::2]
    catalog = shared_drives.save(frames)
    night = [frame.frame_id for frame in shared_drives.frames if frame.time_of_day == "night"]
    wrong = {"missed": set(night[1::2]), "as_green": {"drive05_2"}, "phantoms": {"drive02_2"}}
    shuffled = shared_drives.evaluate("shuffled", "--by", "time_of_day", catalog=catalog, frames=frames, **wrong)
    expected = compared(tmp_path / "1", first, second, "--pictures", "0")["differences"]
    assert compared(tmp_path / "2", first, shuffled, "--pictures", "0")["differences"] == expected
    words = ("--catalog", catalog, "--pictures", "0")
    assert compared(tmp_path / "3", first, shuffled, *words)["differences"] == expected


def test_another_seed_draws_other_data_sets(first, second, tmp_path):
    runs = [
        rows(compared(tmp_path / str(number), first, second, "--seed", seed, "--pictures", "0"))
        for number, seed in enumerate(("0", "0", "1"))
    ]
    key = ("recall", "all frames")
    assert runs[0] == runs[1] and runs[0][key]["difference"] == runs[2][key]["difference"]
    assert runs[0][key]["significance"] != runs[2][key]["significance"]


def test_other_rules_need_a_word(shared_drives, first, tmp_path, capsys):
    path = shared_drives.folder / "lights.yaml"
    text = path.read_text()
    path.write_text(text.replace("otherwise: error", "otherwise: drop"))
    try:
        other = shared_drives.evaluate("other_rules")
    finally:
        path.write_text(text)
    capsys.readouterr()
    compared(tmp_path, first, other, code=1)
    message = capsys.readouterr().err
    assert "not scored alike" in message and "label_space_fingerprint" in message
    assert not (tmp_path / "out").exists()
    compared(tmp_path, first, other, "--allow-different-protocol")
    assert capsys.readouterr().out.startswith("NOT SCORED ALIKE")
    assert "> NOT SCORED ALIKE" in (tmp_path / "out" / "compare.md").read_text()


def test_operating_scores_of_another_rule_need_a_word(shared_drives, first, tmp_path, capsys):
    other = shared_drives.evaluate("other_rule", "--operating", "precision>=0.5")
    capsys.readouterr()
    compared(tmp_path, first, other, code=1)
    assert "operating_from" in capsys.readouterr().err
    compared(tmp_path, first, other, "--allow-different-protocol", "--pictures", "0")
    given = [
        shared_drives.evaluate(name, "--thresholds", str(folder / "thresholds.yaml"))
        for name, folder in (("given_first", first), ("given_other", other))
    ]
    capsys.readouterr()
    compared(tmp_path / "given", *given, "--pictures", "0")
    assert "p of precision" not in capsys.readouterr().out


def test_other_frames_need_a_word(shared_drives, first, tmp_path, capsys):
    clear = shared_drives.evaluate("clear", "--where", "weather == 'clear'")
    capsys.readouterr()
    compared(tmp_path, first, clear, code=1)
    assert "catalog_fingerprint" in capsys.readouterr().err
    comparison = compared(tmp_path, first, clear, "--allow-different-protocol", "--pictures", "0")
    assert comparison["frames"] == 27
    assert "27 that all of them scored" in comparison["warnings"][-1]


def test_a_catalog_that_has_changed_needs_a_word(shared_drives, first, second, changed, tmp_path, capsys):
    frames = [changed(frame, annotations=frame.annotations[:1]) for frame in shared_drives.frames]
    catalog = shared_drives.save(frames)
    capsys.readouterr()
    compared(tmp_path, first, second, "--catalog", catalog, code=1)
    assert "the catalog has changed since" in capsys.readouterr().err
    comparison = compared(tmp_path, first, second, "--catalog", catalog, "--allow-different-protocol")
    assert (comparison["frames"], comparison["objects"]) == (42, 42)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["FIRST"], 2, "one evaluation alone"),
        (["FIRST", "FIRST/report.json"], 2, "named twice"),
        (["nowhere", "elsewhere"], 1, "nowhere: no such file or folder"),
        (["FIRST", "nowhere"], 1, "nowhere: no such file or folder"),
        (["FIRST", "EMPTY"], 1, "holds no report.json"),
        (["FIRST", "CUT"], 1, "broken JSON"),
        (["FIRST", "GONE"], 1, "predictions.json"),
        (["FIRST", "CLASSES"], 1, "class_names"),
        (["FIRST", "SECOND", "--catalog", "nowhere"], 1, "nowhere"),
        (["FIRST", "SECOND", "--by", "wether"], 2, "no column 'wether'"),
        (["FIRST", "SECOND", "--replicates", "1"], 2, "--replicates 1"),
        (["FIRST", "SECOND", "--pictures", "-1"], 2, "--pictures -1"),
        (["LOST", "SECOND"], 1, "is not there"),
    ],
)
def test_says_no_in_one_line(first, second, tmp_path, capsys, words, code, message):
    def copied(name, **values):
        folder = tmp_path / name
        shutil.copytree(first, folder)
        content = json.loads((folder / "report.json").read_text())
        (folder / "report.json").write_text(json.dumps(content | values))
        return folder

    (tmp_path / "EMPTY").mkdir()
    cut = copied("CUT") / "report.json"
    cut.write_text(cut.read_text()[:-10])
    (copied("GONE") / "predictions.json").unlink()
    copied("CLASSES", class_names=["red", "blue"])
    copied("LOST", catalog={"path": "no/catalog", "split": None, "where": None})
    places = {"FIRST": first, "FIRST/report.json": first / "report.json", "SECOND": second}
    given = [str(places.get(word, tmp_path / word if word.isupper() else word)) for word in words]
    capsys.readouterr()
    compared(tmp_path, *given, code=code)
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("tl compare: ") and message in line
    assert not (tmp_path / "out").exists()


def test_a_detector_that_finds_nothing(shared_drives, first, tmp_path):
    nothing = shared_drives.evaluate("nothing", missed={frame.frame_id for frame in shared_drives.frames})
    found = rows(compared(tmp_path, first, nothing, "--pictures", "1"))
    recall = found["recall", "all frames"]
    assert recall["second_value"] == 0 and recall["significance"]["probability_better"] == 0
    assert recall["significance"]["p"] < 0.003
    precision = found["precision", "all frames"]
    assert precision["second_value"] is None and precision["difference"] is None and precision["p_holm"] is None


def test_frames_without_any_object(shared_drives, changed, tmp_path, capsys):
    frames = [changed(frame, annotations=()) for frame in shared_drives.frames]
    catalog = shared_drives.save(frames)
    empty = [
        shared_drives.evaluate(name, catalog=catalog, frames=frames, phantoms=phantoms)
        for name, phantoms in (("quiet", ()), ("loud", {"drive01_0", "drive05_2", "drive08_1"}))
    ]
    comparison = compared(tmp_path, *empty)
    found = rows(comparison)
    assert {measure for (measure, _), item in found.items() if item["difference"] is not None} == {
        *("phantoms_per_frame", "phantoms", "phantoms:red", "phantoms:green")
    }
    every = found["phantoms", "all frames"]
    assert (every["difference"], every["objects"], every["is_small"]) == (pytest.approx(1000 * 3 / 42), 0, False)
    phantoms = found["phantoms_per_frame", "all frames"]
    assert (phantoms["objects"], phantoms["frames"]) == (0, 42)
    assert [item["frame_id"] for item in comparison["changes"][0]["worse"]] == ["drive01_0", "drive05_2", "drive08_1"]
    assert phantoms["difference"] == pytest.approx(3 / 42)
    assert "0 objects" in capsys.readouterr().out
