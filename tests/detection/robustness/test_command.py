"""`tl robustness` as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tl_datasets.catalog import Catalog
from tl_detection.cli import main


@pytest.fixture
def known_model(monkeypatch: pytest.MonkeyPatch, detector) -> str:
    """A name that the command opens as the tests' own detector."""
    monkeypatch.setattr("tl_detection.detectors.load.load_detector", lambda path, device: detector)
    return "model.onnx"


def test_files_and_output(known_model: str, catalog_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "new" / "robust"
    options = ["--corruptions", "brightness,weather.night", "--severities", "1, 3", "--split", "val", "--by", "weather"]
    assert main(["robustness", known_model, "--catalog", str(catalog_folder), "--out", str(out), *options]) == 0
    printed = capsys.readouterr().out
    assert "weather.night" in printed
    assert printed.rstrip().endswith(str(out))
    values = json.loads((out / "robustness.json").read_text())
    assert (values["frames"], values["severities"]) == (4, [1, 3])
    assert list(values["sets"]) == ["standard", "weather"]
    assert (out / "robustness.svg").read_text().startswith("<svg")
    assert list(tmp_path.glob("new/.robust*")) == []


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--corruptions", "hail"], 2, "--corruptions hail: no such set or corruption; expected standard, weather,"),
        (["--severities", "0"], 2, "--severities 0: expected whole numbers from 1 to 5"),
        (["--severities", "1,6"], 2, "--severities 6: expected"),
        (["--corruptions", ""], 2, "nothing is named"),
        (["--frames", "0"], 2, "--frames 0: expected 1 or more"),
        (["--by", "mood"], 2, "no column 'mood'"),
        (["--split", "night"], 1, "no frame of split 'night'; it has test, val"),
        (["--where", "weather == 'foggy'"], 1, "no frame left to score"),
    ],
)
def test_refused(
    options: list[str],
    code: int,
    message: str,
    known_model: str,
    catalog_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    out = tmp_path / "out"
    assert main(["robustness", known_model, "--catalog", str(catalog_folder), "--out", str(out), *options]) == code
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not out.exists()


def test_no_boxes(known_model: str, lamps: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    Catalog(lamps.frames, lamps.annotations.clear(), lamps.roots).save(tmp_path / "empty")
    assert main(["robustness", known_model, "--catalog", str(tmp_path / "empty"), "--out", str(tmp_path / "out")]) == 1
    assert "6 frames hold no object of the classes red, green, off" in capsys.readouterr().err


def test_what_exists_is_kept(
    known_model: str, catalog_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert main(["robustness", known_model, "--catalog", str(catalog_folder), "--out", str(tmp_path / "out")]) == 1
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_model_that_is_not_there(catalog_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    model = str(tmp_path / "gone.pt")
    assert main(["robustness", model, "--catalog", str(catalog_folder), "--out", str(tmp_path / "out")]) == 1
    assert f"{model}: no such file; expected a run folder" in capsys.readouterr().err


def test_interrupted(known_model: str, detector, catalog_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls = []

    def interrupt(images):
        calls.append(len(images))
        raise KeyboardInterrupt

    monkeypatch.setattr(detector, "detect", interrupt)
    out = tmp_path / "out"
    assert main(["robustness", known_model, "--catalog", str(catalog_folder), "--out", str(out)]) == 130
    assert calls == [8]
    assert [path.name for path in tmp_path.iterdir()] == ["catalog"]
