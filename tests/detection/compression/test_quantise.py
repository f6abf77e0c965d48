"""`tl quantise`: the smaller file appears only if it is as good, and says how it was made."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import tl_detection.compression.block_choice as block_choice
import tl_detection.compression.quantise as quantising
import tl_detection.compression.trials as trials
from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, UsageError, WeightsError
from tl_detection.cli import main
from tl_detection.compression.judge import Limits
from tl_detection.compression.quantise import quantise
from tl_detection.compression.table import format_console
from tl_detection.detectors.onnx import OnnxDetector
from tl_detection.evaluation.report import evaluate
from tl_detection.export.inspect import inspect


def arguments(exported, out: Path, *more: str) -> list[str]:
    return [
        *("quantise", str(exported.path), "--catalog", str(exported.catalog), "--out", str(out)),
        *("--by", "weather,time_of_day", "--calibration-frames", "6", "--replicates", "100", *more),
    ]


def test_half_precision_is_accepted_and_scores_as_the_report_says(exported, tmp_path, capsys):
    out = tmp_path / "half.onnx"
    code = main(
        arguments(exported, out, "--to", "fp16", *NOT_ASKED, "--max-drop", "0.2", "--report", str(tmp_path / "report"))
    )
    text = capsys.readouterr().out
    assert code == 0, text
    assert "accepted: nothing that can be judged" in text
    report = json.loads((tmp_path / "report" / "quantisation.json").read_text())
    judged = {(each["difference"]["measure"], each["difference"]["slice"]): each for each in report["judged"]}
    # The evaluation of the written file itself is the judge.
    detector, catalog = OnnxDetector(out), Catalog.open(exported.catalog).filter("split == 'val'")
    scores = evaluate(detector, catalog, detector.label_space, by=("weather",))
    assert scores.overall.ap50 == pytest.approx(judged["ap50", "all frames"]["difference"]["second_value"], abs=1e-6)
    rainy = next(item for item in scores.slices if item.name == "weather=rainy")
    assert rainy.scores.ap50 == pytest.approx(judged["ap50", "weather=rainy"]["difference"]["second_value"], abs=1e-6)
    # The labels are what the float file says.
    assert judged["ap50", "all frames"]["difference"]["first_value"] > 0.99
    assert scores.overall.ap50 > 0.95

    assert out.stat().st_size < 0.7 * exported.path.stat().st_size
    assert (tmp_path / "half.onnx.sha256").read_text().split() == [report_sha256(out), "half.onnx"]
    before, after = metadata_of(exported.path), metadata_of(out)
    changed = {key: after[key] for key in after if after[key] != before.get(key)}
    assert set(before) <= set(after)
    assert set(changed) == {"precision", "quantisation", "evaluation"}
    assert changed["precision"] == "fp16"
    assert changed["evaluation"]["overall"]["ap50"] == pytest.approx(scores.overall.ap50, abs=1e-4)
    assert inspect(out).is_hashed
    assert changed["quantisation"]["float_sha256"] == report_sha256(exported.path)
    assert changed["quantisation"]["ap50"]["smaller"] == pytest.approx(scores.overall.ap50, abs=1e-6)
    assert "# half.onnx: accepted" in (tmp_path / "report" / "quantisation.md").read_text()


NOT_ASKED = ("--max-disagreement", "1")
# All but the branch that tells the classes of small lights.
KEPT = [
    *(f"model.{number}" for number in (*range(11), 13, 16, 17, 19, 20, 22)),
    *("model.23.cv2", "model.23.cv3.1", "model.23.cv3.2"),
]


def test_eight_bits_are_refused_where_a_slice_falls_too_far(exported, tmp_path, capsys, monkeypatch):
    # As on frames that the network has learned: there nothing falls, and all blocks lose precision.
    monkeypatch.setattr(block_choice, "SELECTION_SHARE", 40)
    out = tmp_path / "int8.onnx"
    code = main(arguments(exported, out, "--to", "int8", *NOT_ASKED, "--report", str(tmp_path / "report")))
    text = capsys.readouterr().out
    assert code == 1, text
    verdict = text.strip().splitlines()[-1]
    assert verdict.startswith("refused: ")
    assert "AP50 of all frames 1.000 -> " in verdict
    assert "(95 % interval -" in verdict
    assert "limit -0.02" in verdict
    assert not list(tmp_path.glob("*.onnx*"))
    report = json.loads((tmp_path / "report" / "quantisation.json").read_text())
    assert not report["is_accepted"]
    assert report["kept_float"] == []
    assert report["smaller"]["size_bytes"] < 0.35 * report["float_file"]["size_bytes"]


def test_sensitive_blocks_stay_in_float_until_the_detections_hardly_differ(exported, tmp_path):
    out = tmp_path / "int8.onnx"
    report = run(exported, out, "int8", max_disagreement=0.2, keep_float=KEPT)
    assert report.is_accepted
    assert out.is_file()
    chosen = [name for name in report.kept_float if name in {each.block for each in report.sensitivities}]
    assert chosen == [each.block for each in report.sensitivities[: len(chosen)]]
    assert 0 < len(chosen) < len(report.sensitivities) == 3
    disagreements = [step.disagreement for step in report.steps]
    assert disagreements[0] > 0.2 >= disagreements[-1]
    assert metadata_of(out)["quantisation"]["kept_float"] == list(report.kept_float)


def test_a_scale_that_is_no_number_is_refused_in_one_line(exported, tmp_path, capsys, monkeypatch):
    real = trials.write_int8

    def with_a_bad_scale(*inputs):
        model = real(*inputs)
        scale = next(each for each in model.graph.initializer if each.name == "tl/network/conv2d_20/scale")
        scale.CopyFrom(numpy_helper.from_array(np.float32(np.nan), scale.name))
        return model

    monkeypatch.setattr(trials, "write_int8", with_a_bad_scale)
    code = main(arguments(exported, tmp_path / "int8.onnx", "--to", "int8"))
    text = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 1
    assert text.startswith("tl quantise: int8 file of float.onnx: scale tl/network/conv2d_20/scale is not finite; ")
    assert "a bad calibration: choose other frames with --calibrate-split" in text
    assert not list(tmp_path.iterdir())


def test_a_file_that_finds_nothing_is_refused_in_one_line(exported, tmp_path, monkeypatch):
    real = quantising.measure_ranges
    monkeypatch.setattr(block_choice, "SELECTION_SHARE", 1000)
    monkeypatch.setattr(  # as of frames that show nothing
        quantising, "measure_ranges", lambda *inputs: dict.fromkeys(real(*inputs), (0.0, 1e-06))
    )
    report = run(exported, tmp_path / "int8.onnx", "int8")
    assert report.finds_nothing
    assert not report.is_accepted
    assert "finds no light in 18 frames in which the float file does: a bad calibration" in format_console(report)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"split": "train"}, UsageError, "must not be judged on the frames that made it"),
        ({"split": "test"}, DataError, "no frame of split 'test'; it has train, val"),
        ({"calibrate_split": "test"}, DataError, "choose one with --calibrate-split"),
        ({"keep_float": ["model.99"]}, UsageError, "--keep-float model.99: no such block; the file has model.0.conv, "),
        ({"calibration_frames": 0}, UsageError, "--calibration-frames 0: expected 1 or more"),
        ({"to": "int4"}, UsageError, "--to int4: expected int8 or fp16"),
        ({"limits": Limits(max_drop=2)}, UsageError, "expected numbers from 0 to below 1"),
        ({"limits": Limits(max_disagreement=0)}, UsageError, "--max-disagreement 0: expected more than 0"),
        ({"by": ["wether"]}, UsageError, "no column 'wether'"),
        ({"out": "float.onnx"}, UsageError, "is the float file itself"),
        ({"out": "float.bin"}, UsageError, "expected a name that ends in .onnx"),
        ({"out": "there.onnx"}, DataError, "exists already; choose another --out or replace it with --force"),
        ({"path": "foreign.onnx"}, WeightsError, "without tl's metadata"),
        ({"path": "absent.onnx"}, WeightsError, "no such file"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_said_before_anything_is_run(exported, tmp_path, small_model, more, error, words):
    shutil.copy(exported.path, tmp_path / "float.onnx")
    (tmp_path / "there.onnx").write_bytes(b"something")
    onnx.save(small_model, tmp_path / "foreign.onnx")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    options = {"path": "float.onnx", "out": "int8.onnx", "to": "int8", "catalog": exported.catalog, **more}
    with pytest.raises(error, match=re.escape(words)):
        quantise(tmp_path / options.pop("path"), tmp_path / options.pop("out"), **options)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def report_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def metadata_of(path: Path) -> dict:
    return json.loads({entry.key: entry.value for entry in onnx.load(path).metadata_props}["tl"])


def run(exported, out: Path, to: str, max_disagreement: float = 1.0, **options):
    limits = Limits(max_drop=0.9, max_red_as_green_rise=0.5, max_disagreement=max_disagreement)
    return quantise(
        exported.path,
        out,
        to=to,  # type: ignore[arg-type]
        catalog=exported.catalog,
        calibration_frames=6,
        by=("weather",),
        limits=limits,
        replicates=100,
        **options,
    )
