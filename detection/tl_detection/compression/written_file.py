"""The smaller file as it lies on disk: what it says of itself, whole or not there, with its hash beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from tl_datasets.images import write_whole
from tl_runtime.session import METADATA_KEY

PRECISION_KEY = "precision"


def describe(model: onnx.ModelProto, precision: str, quantisation: Mapping[str, Any]) -> onnx.ModelProto:
    """Add to a file's metadata in which precision it works, and how it came to that; all else stays.

    Args:
        model: Changed in a copy.
        precision: "int8" or "fp16".
        quantisation: JSON values.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for entry in copy.metadata_props:
        if entry.key == METADATA_KEY:
            everything = json.loads(entry.value)
            entry.value = json.dumps({**everything, PRECISION_KEY: precision, "quantisation": dict(quantisation)})
    return copy


def write_file(path: Path, data: bytes) -> None:
    """Write the file and its hash; the hash first vanishes, so that it never stands beside another file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hash_file = path.with_name(f"{path.name}.sha256")
    hash_file.unlink(missing_ok=True)
    write_whole(path, data)
    _write_hash(hash_file, path.name, data)


def _write_hash(hash_file: Path, name: str, data: bytes) -> None:
    """In the form that `sha256sum --check` reads."""
    write_whole(hash_file, f"{hashlib.sha256(data).hexdigest()}  {name}\n")
