"""Reads report.json back into a `Report`, and gives its JSON schema.

Both follow the dataclasses: a field that is added there is read and described here. The schema lies in the package as
a file, for readers without Python; `tools/write_report_schema.py` writes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from tl_datasets.errors import DataError, show
from tl_detection.evaluation.results import REPORT_FILE, REPORT_VERSION, Report

SCHEMA_PATH = Path(__file__).with_name("report.schema.json")
_AGAIN = "score again with: tl evaluate"
# What stands in the file beside the fields of the protocol.
_SAID_OF_PROTOCOL = {"name": {"const": "COCO"}, "operating_iou": {"const": 0.5}}


def read_report(path: Path | str) -> Report:
    """Read the report of an evaluation.

    Args:
        path: The folder that `tl evaluate` wrote, or report.json.

    Raises:
        DataError: There is no report, it is cut off or of another version, or a value is none that a report has.
    """
    path = Path(path)
    file = path / REPORT_FILE if path.is_dir() else path
    content = _load(path, file)
    version = content.get("report_version")
    if version is None:
        raise DataError(f"{file}: no report of an evaluation (it has no report_version); {_AGAIN}")
    if version != REPORT_VERSION:
        raise DataError(f"{file}: report of version {show(version)}, expected {REPORT_VERSION}; {_AGAIN}")
    try:
        return TypeAdapter(Report).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        more = f", and {error.error_count() - 1} more faults" if error.error_count() > 1 else ""
        raise DataError(f"{file}: {key}: {first['msg']} (found {show(first['input'])}){more}; {_AGAIN}") from error


def report_schema() -> dict[str, Any]:
    """The JSON schema of report.json."""
    schema = _without_titles(TypeAdapter(Report).json_schema(mode="serialization"))
    schema["$defs"]["CocoProtocol"]["properties"] |= _SAID_OF_PROTOCOL
    schema["$defs"]["CocoProtocol"]["required"] = sorted(schema["$defs"]["CocoProtocol"]["properties"])
    properties = {"report_version": {"const": REPORT_VERSION}, **schema["properties"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "properties": properties,
        "required": sorted(properties),
    }


def schema_text() -> str:
    """The schema as it stands in its file."""
    return json.dumps(report_schema(), indent=1) + "\n"


def _without_titles(schema: Any) -> Any:
    """Without what pydantic says of a property beside its name."""
    if isinstance(schema, dict):
        return {
            key: _without_titles(value) for key, value in schema.items() if key != "title" or not isinstance(value, str)
        }
    return [_without_titles(item) for item in schema] if isinstance(schema, list) else schema


def _load(path: Path, file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse)
    except FileNotFoundError as error:
        if path.is_dir():
            raise DataError(f"{path}: no folder of an evaluation, it holds no {REPORT_FILE}; {_AGAIN}") from error
        raise DataError(f"{path}: no such file or folder; expected what tl evaluate --out wrote") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); check its rights") from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"{file}: broken JSON in line {error.lineno} ({error.msg}), was it cut off? {_AGAIN}"
        ) from error
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise DataError(f"{file}: no JSON text ({error}); {_AGAIN}") from error
    if not isinstance(content, dict):
        raise DataError(f"{file}: no report of an evaluation (found {show(content)}); {_AGAIN}")
    return content


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no value of a report")
