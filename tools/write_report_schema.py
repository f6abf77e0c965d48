"""Writes the JSON schema of report.json anew, after a field of a report was added or changed.

    python tools/write_report_schema.py

tests/detection/evaluation/test_report_file.py fails while the file in the package is another one.
"""

from __future__ import annotations

from tl_datasets.images import write_whole
from tl_detection.evaluation.report_file import SCHEMA_PATH, schema_text

if __name__ == "__main__":
    write_whole(SCHEMA_PATH, schema_text())
    print(SCHEMA_PATH)
