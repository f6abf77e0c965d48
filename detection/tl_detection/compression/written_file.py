"""The smaller file as it lies on disk: what it says of itself, whole or not there, with its hash beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from tl_datasets.images import write_whole
from tl_detection.export.metadata import as_entries
from tl_runtime.checksum import hash_file_of, hash_line, sha256_of
from tl_runtime.contract import METADATA_KEY


def describe(
    model: onnx.ModelProto, precision: str, quantisation: Mapping[str, Any], evaluation: Mapping[str, Any]
) -> onnx.ModelProto:
    """Give a file that says in which precision it works, how it came to that, and how it scores; all else stays.

    Args:
        model: Of which a copy is changed.
        precision: "int8" or "fp16".
        quantisation: JSON values.
        evaluation: Of this file and not of the float file, as the contract has it.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    entries = {entry.key: entry.value for entry in copy.metadata_props}
    added = {"precision": precision, "quantisation": dict(quantisation), "evaluation": dict(evaluation)}
    helper.set_model_props(copy, {**entries, **as_entries({**json.loads(entries[METADATA_KEY]), **added})})
    return copy


def write_file(path: Path, data: bytes) -> None:
    """Write the file and its hash file; first the hash: a file without its own is refused, never run by mistake."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_hash(path, data)
    write_whole(path, data)


def _write_hash(path: Path, data: bytes) -> None:
    write_whole(hash_file_of(path), hash_line(path, sha256_of(data)))
