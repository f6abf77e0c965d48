"""`tl inspect`, and the JSON schema of the contract."""

from __future__ import annotations

import json

import jsonschema
import pytest

from tl_datasets.errors import WeightsError
from tl_detection.cli import main
from tl_detection.export.export import export
from tl_detection.export.inspect import inspect
from tl_runtime.checksum import hash_file_of
from tl_runtime.contract import CONTRACT_VERSION, SCHEMA_FILE

SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def test_the_schema_describes_what_an_export_writes(yolo_export, faster_checkpoint, tmp_path, file_metadata):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["contract"]["const"] == CONTRACT_VERSION
    raw = export(faster_checkpoint, tmp_path / "raw.onnx", raw=True)
    for path in (yolo_export.path, raw.path):
        said = dict(inspect(path).contract.metadata)
        jsonschema.validate(said, SCHEMA)
        # Every entry that a file has is described.
        assert set(said) <= set(SCHEMA["properties"])
    jsonschema.validate(file_metadata, SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"contract": 1},
        {"classes": []},
        {"color_order": "GBR"},
        {"frame": {"width_px": 3}},
        {"operating_scores": {"a": 2}},
    ],
)
def test_the_schema_refuses_another_contract(change, file_metadata):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(file_metadata | change, SCHEMA)


def test_inspect_tells_what_a_file_is(vehicle_file, capsys):
    path = vehicle_file(frame_size=(64, 32), color_order="BGR", scores={"red": 0.25, "light": 0.5})
    assert main(["inspect", str(path)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(f"{path}: contract 2, yolo fixed, float32")
    assert told[1].endswith("(as its hash file says)")
    assert told[2] == "takes frames of 64x32, BGR; network 64x32; at most 3 lights"
    assert "  in   image: uint8 (1, 32, 64, 3)" in told
    assert "  in   score_thresholds: float (2), may be overridden" in told
    assert "  0 red: red, group 0, from score 0.25" in told
    assert "  1 light: circle, group 1, from score 0.5" in told
    assert told[-1] == "not scored when it was made"

    assert main(["inspect", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["contract"]["frame"] == {"width_px": 64, "height_px": 32, "batch": 1}
    assert found["outputs"]["num_detections"] == "int32 (1, 1)"
    assert found["opsets"] == {"": 18}
    hash_file_of(path).unlink()
    assert not inspect(path).is_hashed


def test_what_does_not_hold_to_its_word_is_refused(vehicle_file, tmp_path, capsys):
    path = vehicle_file()
    path.write_bytes(path.read_bytes()[:-50])
    for wrong, message in (
        (path, "not the proven file"),
        (tmp_path / "absent.onnx", "no such file"),
        (vehicle_file("other.onnx", entries={}), "without tl's metadata"),
        (vehicle_file("size.onnx", more={"frame": {"width_px": 9, "height_px": 9, "batch": 1}}), "as its metadata say"),
    ):
        with pytest.raises(WeightsError, match=message):
            inspect(wrong)
        assert main(["inspect", str(wrong)]) == 1
        told = capsys.readouterr().err
        assert told.startswith("tl inspect: ") and told.count("\n") == 1
