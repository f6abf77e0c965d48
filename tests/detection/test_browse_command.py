"""`tl browse` and the sizes that `tl summary` tells, as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.checks.findings import Finding, Findings, tabulate
from tl_datasets.checks.rules import Rule
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_rgb
from tl_datasets.taxonomy import State
from tl_detection.cli import main


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """Five frames of 100x80 with a light of 4x10 each; the image of the last one is missing."""
    light = Annotation(xyxy=(10, 10, 14, 20), state=State.RED)
    frames = [
        Frame(frame_id=f"f{i}", path=f"{i}.png", width_px=100, height_px=80, annotations=(light,)) for i in range(5)
    ]
    for frame in frames[:-1]:
        write_rgb(tmp_path / frame.path, np.zeros((80, 100, 3), dtype=np.uint8))
    return Catalog.from_frames(frames, source="trial", root=tmp_path).save(tmp_path / "catalog")


def test_a_page(catalog, tmp_path, capsys):
    assert main(["browse", str(catalog), "--out", str(tmp_path / "look"), "--input-size", "320x256"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{tmp_path}/look/index.html: 5 frames, 5 boxes, 4 crops\n"
    assert "1 images cannot be read" in err
    assert '"input_size":[320,256]' in (tmp_path / "look" / "index.html").read_text()


def test_limit(catalog, tmp_path, capsys):
    assert main(["browse", str(catalog), "--out", str(tmp_path / "look"), "--limit", "2"]) == 0
    assert "2 of 5 frames, 2 boxes" in capsys.readouterr().out
    assert len(list((tmp_path / "look" / "thumbs").iterdir())) == 2


def test_findings(catalog, tmp_path):
    opened = Catalog.open(catalog)
    rows = [Finding(rule=Rule.BOX_SIZE, message="small", frame_id="f1", box=0)]
    table = tabulate(rows, opened.frames, opened.annotations.with_columns(box=0))
    Findings(table=table, fingerprint=opened.fingerprint).save(tmp_path / "check")
    options = ["browse", str(catalog), "--findings", str(tmp_path / "check"), "--out", str(tmp_path / "look")]
    assert main(options) == 0
    assert '"rule":{"words":["box_size"],"index":0}' in (tmp_path / "look" / "index.html").read_text()


@pytest.mark.parametrize(
    ("what", "options", "code", "message"),
    [
        ("a size that is none", ["--input-size", "wide"], 2, "input size 'wide': expected WIDTHxHEIGHT"),
        ("no frames at all", ["--limit", "0"], 2, "limit 0: expected a positive number of frames"),
        ("no findings there", ["--findings", "nowhere"], 1, "nowhere: no findings"),
    ],
)
def test_wrong_options_leave_nothing_behind(what, options, code, message, catalog, tmp_path, capsys):
    assert main(["browse", str(catalog), "--out", str(tmp_path / "look"), *options]) == code, what
    assert message in capsys.readouterr().err
    assert not (tmp_path / "look").exists()


def test_an_existing_folder_is_refused(catalog, tmp_path, capsys):
    assert main(["browse", str(catalog), "--out", str(catalog)]) == 1
    assert "exists already; choose another --out" in capsys.readouterr().err


def test_summary_tells_sizes_at_the_input(catalog, capsys):
    assert main(["summary", str(catalog), "--input-size", "50x40"]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("smaller side at 50x40"))
    assert lines[head].split()[4:] == ["lights", "under", "2", "px", "under", "4", "px", "under", "8", "px"]
    assert lines[head + 1].split() == ["all", "5", "0.0%", "100.0%", "100.0%"]
    assert main(["summary", str(catalog), "--json", "--input-size", "50x40"]) == 0
    assert json.loads(capsys.readouterr().out)["network"]["all"]["under_px"]["4"] == {"lights": 5, "share": 1.0}
    assert main(["summary", str(catalog), "--input-size", "50"]) == 2
    assert "expected WIDTHxHEIGHT in pixels, such as 1280x736" in capsys.readouterr().err
