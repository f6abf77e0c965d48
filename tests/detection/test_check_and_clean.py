"""`tl check` and `tl clean` as a person uses them: exit codes, what they print, and what they leave on disk."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import State
from tl_detection.cli import main

RGB = {State.RED: (230, 40, 40), State.GREEN: (40, 220, 140)}
POLICY = Path(__file__).resolve().parents[2] / "configs" / "clean" / "default.yaml"


def lamp_frame(root: Path, name: str, drawn: State, label: State, box: tuple[float, ...] | None = None) -> Frame:
    """A frame with one drawn head, in its own colours."""
    image = np.random.default_rng(len(name)).integers(60, 120, (96, 160, 3), dtype=np.uint8)
    cv2.rectangle(image, (40, 20), (59, 79), (24, 26, 25), -1)
    cv2.circle(image, (50, 30 if drawn is State.RED else 70), 8, RGB[drawn], -1)
    cv2.imwrite(str(root / f"{name}.png"), image[:, :, ::-1])
    lamps = (Annotation(xyxy=box or (40.0, 20.0, 60.0, 80.0), state=label),)  # type: ignore[arg-type]
    return Frame(frame_id=name, path=f"{name}.png", width_px=160, height_px=96, annotations=lamps)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A catalog without any warning."""
    images = tmp_path / "images"
    images.mkdir()
    frames = [lamp_frame(images, f"f{number}", State.RED, State.RED) for number in range(3)]
    return Catalog.from_frames(frames, source="drawn", root=images).save(tmp_path / "sound")


@pytest.fixture
def warned(tmp_path: Path, sound: Path) -> Path:
    """A catalog with a warning: a mislabelled lamp."""
    images = tmp_path / "images"
    frames = [lamp_frame(images, f"f{number}", State.RED, State.RED) for number in range(3)]
    frames.append(lamp_frame(images, "wrong", State.GREEN, State.RED))
    return Catalog.from_frames(frames, source="drawn", root=images).save(tmp_path / "warned")


@pytest.fixture
def faulty(tmp_path: Path, warned: Path) -> Path:
    """A catalog with errors too: a box outside its image, one over its edge, a broken and a colourless image."""
    images = tmp_path / "images"
    catalog = Catalog.open(warned)
    frames = [catalog.frame(index) for index in range(len(catalog))]
    frames += [
        lamp_frame(images, "outside", State.RED, State.RED, (400.0, 20.0, 420.0, 80.0)),
        lamp_frame(images, "over", State.RED, State.RED, (140.0, 20.0, 170.0, 80.0)),
        lamp_frame(images, "broken", State.RED, State.RED),
        lamp_frame(images, "grey", State.RED, State.RED),
    ]
    (images / "broken.png").write_bytes(b"no image")
    cv2.imwrite(str(images / "grey.png"), cv2.imread(str(images / "grey.png"), cv2.IMREAD_GRAYSCALE))
    return Catalog.from_frames(frames, source="drawn", root=images).save(tmp_path / "faulty")


@pytest.mark.parametrize(
    ("which", "options", "code"),
    [
        ("sound", [], 0),
        ("sound", ["--strict"], 0),
        ("warned", [], 0),
        ("warned", ["--strict"], 1),
        ("warned", ["--strict", "--no-images"], 0),
        ("faulty", [], 1),
        ("faulty", ["--no-images"], 1),
    ],
)
def test_exit_code(which, options, code, request, capsys):
    assert main(["--quiet", "check", str(request.getfixturevalue(which)), *options]) == code
    assert "frames" in capsys.readouterr().out


def test_check_writes_what_it_found(faulty, tmp_path, capsys):
    out = tmp_path / "found"
    assert main(["--quiet", "check", str(faulty), "--out", str(out)]) == 1
    text = capsys.readouterr().out
    for rule in ("box_outside", "image_unreadable", "box_over_edge", "state_against_colour", "image_grey"):
        assert rule in text
    assert "3 frames, 3 boxes" not in text and "8 frames, 8 boxes" in text
    assert sorted(path.name for path in out.iterdir()) == ["check.json", "findings.html", "findings.parquet"]
    table = pl.read_parquet(out / "findings.parquet")
    assert set(table.filter(pl.col("severity") == "error")["rule"]) == {"box_outside", "image_unreadable"}
    about = json.loads((out / "check.json").read_text())
    assert about["fingerprint"] == Catalog.open(faulty).fingerprint and about["frames"] == 8
    assert about["settings"]["state_margin"] == 2.0
    assert f"Findings in {faulty}" in (out / "findings.html").read_text()


def test_thresholds(sound, capsys):
    assert main(["--quiet", "check", str(sound), "--strict", "--threshold", "height_min_px=70"]) == 1
    assert "box_size" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--threshold", "height_min_px"], 2, "expected key=value, such as height_min_px=6"),
        (["--threshold", "hight=3"], 2, "hight: no such setting; check the spelling"),
        (["--threshold", "near_duplicate_iou=3"], 2, "near_duplicate_iou: Input should be less than or equal to 1"),
        (["--out", "sound"], 1, "exists already"),
    ],
)
def test_check_says_no(arguments, code, message, sound, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--quiet", "check", str(sound), *arguments]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("tl check: ") and message in captured.err and captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        (["height_min_px=inf"], "height_min_px: Input should be a finite number"),
        (["height_min_px=5", "height_min_px=6"], "--threshold height_min_px=6: given twice"),
        (["height_min=5"], "height_min: no such setting"),
    ],
)
def test_wrong_thresholds_are_wrong_use(thresholds, message, sound, capsys):
    assert main(["check", str(sound), *(word for text in thresholds for word in ("--threshold", text))]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (OSError(errno.ENOSPC, "No space left on device"), 1)]
)
def test_an_interrupted_check_leaves_nothing(error, code, sound, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise error

    monkeypatch.setattr("tl_datasets.checks.report_html.write_html", interrupted)
    before = sorted(tmp_path.iterdir())
    assert main(["--quiet", "check", str(sound), "--out", str(tmp_path / "out")]) == code
    assert sorted(tmp_path.iterdir()) == before
    assert capsys.readouterr().err.count("\n") == 1


def test_undo_makes_no_quarantine(sound, tmp_path, capsys):
    options = ["--undo", str(sound), "--out", str(tmp_path / "again"), "--quarantine", str(tmp_path / "aside")]
    assert main(["clean", *options]) == 2
    assert "--undo cannot be combined with --quarantine" in capsys.readouterr().err


def test_help_tells_the_exit_code(capsys):
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "Exit code 1 with findings of severity error, with --strict also with warnings" in text


def test_clean_and_back(faulty, tmp_path, capsys):
    out, again = tmp_path / "clean", tmp_path / "again"
    before = {path.name: path.read_bytes() for path in faulty.iterdir()}
    assert main(["--quiet", "clean", str(faulty), "--policy", str(POLICY), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert (
        "drop_frame frames: 1, quarantine frames: 1, clip boxes: 1, drop_box boxes: 1, ignore_box boxes: 1" in printed
    )
    assert f"{out / 'quarantine'}: 1 frames to be looked at" in printed
    cleaned = Catalog.open(out)
    assert cleaned.frames["frame_id"].to_list() == ["f0", "f1", "f2", "wrong", "outside", "over"]
    assert cleaned.annotations.filter(pl.col("ignore"))["frame_id"].to_list() == ["wrong"]
    assert cleaned.annotations.filter(pl.col("frame_id") == "over")["x2"].to_list() == [160]
    assert Catalog.open(out / "quarantine").read_rgb(0).shape == (96, 160, 3)
    assert {path.name: path.read_bytes() for path in faulty.iterdir()} == before
    assert main(["--quiet", "check", str(out)]) == 0

    assert main(["--quiet", "clean", "--undo", str(out), "--out", str(again)]) == 0
    assert f"{again}: 8 frames, 8 boxes, as before the cleaning" in capsys.readouterr().out
    first, second = Catalog.open(faulty), Catalog.open(again)
    assert second.fingerprint == first.fingerprint and second.roots == first.roots
    assert second.frames.equals(first.frames) and second.annotations.equals(first.annotations)


def test_clean_with_findings_from_before(faulty, warned, tmp_path, capsys):
    found = tmp_path / "found"
    main(["--quiet", "check", str(faulty), "--out", str(found), "--no-images"])
    command = ["--quiet", "clean", str(faulty), "--policy", str(POLICY), "--findings"]
    assert main([*command, str(found / "findings.parquet"), "--out", str(tmp_path / "clean")]) == 0
    assert len(Catalog.open(tmp_path / "clean")) == 8, "the broken images were not looked at"
    capsys.readouterr()
    other = ["--quiet", "clean", str(warned), "--policy", str(POLICY), "--findings", str(found)]
    assert main([*other, "--out", str(tmp_path / "other")]) == 1
    assert "check this catalog again" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_quarantine_elsewhere(faulty, tmp_path):
    out, aside = tmp_path / "clean", tmp_path / "aside"
    arguments = ["--policy", str(POLICY), "--out", str(out), "--quarantine", str(aside)]
    assert main(["--quiet", "clean", str(faulty), *arguments]) == 0
    assert Catalog.open(aside).frames["frame_id"].to_list() == ["grey"] and not (out / "quarantine").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "CATALOG is missing; expected CATALOG --policy FILE, or --undo CATALOG2"),
        (["sound"], 2, "--policy FILE is missing"),
        (["sound", "--policy", "absent.yaml"], 1, "absent.yaml: cannot be read"),
        (
            ["sound", "--policy", "bad.yaml"],
            1,
            "rules.box_sise.rule: no such rule; did you mean box_size?",
        ),
        (["--undo", "sound", "--policy", "bad.yaml"], 2, "--undo cannot be combined with --policy"),
        (["sound", "--undo", "sound"], 2, "--undo cannot be combined with CATALOG"),
        (["--undo", "sound"], 1, "no record of a cleaning"),
        (["sound", "--policy", str(POLICY), "--findings", "images"], 1, "images: no findings"),
        (["sound", "--policy", str(POLICY), "--quarantine", "images"], 1, "images: exists already"),
    ],
)
def test_clean_says_no(arguments, code, message, sound, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text("rules: {box_sise: drop_box}")
    assert main(["--quiet", "clean", *arguments, "--out", "clean"]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("tl clean: ") and message in captured.err and captured.err.count("\n") == 1
    assert not (tmp_path / "clean").exists()


def test_boxes_without_area_are_findings_and_are_cleaned_away(tmp_path: Path, sound: Path, capsys):
    """No other command opens such a catalog."""
    boxes = pl.read_parquet(sound / "annotations.parquet")
    line = pl.when(pl.int_range(pl.len()) == 0).then(pl.col("x1")).otherwise("x2")
    boxes.with_columns(x2=line).write_parquet(sound / "annotations.parquet")
    assert main(["summary", str(sound)]) == 1
    assert "expected finite x1 < x2" in capsys.readouterr().err
    assert main(["check", str(sound)]) == 1
    assert "box_degenerate" in capsys.readouterr().out
    assert main(["clean", str(sound), "--policy", str(POLICY), "--out", str(tmp_path / "mended")]) == 0
    assert len(Catalog.open(tmp_path / "mended").annotations) == 2
    assert main(["clean", "--undo", str(tmp_path / "mended"), "--out", str(tmp_path / "again")]) == 0
    assert Catalog.open(tmp_path / "again", check_boxes=False).annotations["x2"].to_list() == [40.0, 60.0, 60.0]
