"""What a check found: one row per finding, with the frame, the box, the rule, how bad it is, and what to do.

On disk: `findings.parquet` (the rows) beside `check.json` (fingerprint of the catalog, settings, counts).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from tl_datasets.catalog import BOX_COLUMNS, write_table
from tl_datasets.checks.rules import RULES, Rule, Severity, Subject
from tl_datasets.errors import DataError, show
from tl_datasets.images import write_whole

FINDINGS_FILE = "findings.parquet"
ABOUT_FILE = "check.json"

FINDING_SCHEMA: dict[str, pl.DataType] = {
    "frame_id": pl.String(),  # null = about the catalog as a whole
    "box": pl.Int32(),  # row of the box inside its frame, from 0; null = about the frame
    "rule": pl.String(),
    "severity": pl.String(),
    "message": pl.String(),
    "remedy": pl.String(),
    # The box again: the order of a frame's boxes is no part of a catalog's fingerprint.
    **{name: pl.Float64() for name in BOX_COLUMNS},
}


class Finding(NamedTuple):
    """One finding, before it becomes a row.

    Attributes:
        rule: What was found; it brings the severity and the remedy.
        message: What is there, with its numbers.
        frame_id: None = about the catalog.
        box: Row of the box inside its frame; None = about the frame.
        severity: In place of that of the rule.
    """

    rule: Rule
    message: str
    frame_id: str | None = None
    box: int | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All findings of one check.

    Attributes:
        table: Rows of `FINDING_SCHEMA`, the worst first, then by rule, in the order of frames and boxes.
        fingerprint: Of the catalog that was checked.
        about: How it was checked: settings, counts of frames and boxes, whether images were read.
    """

    table: pl.DataFrame
    fingerprint: str
    about: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    def count(self, severity: Severity) -> int:
        """Number of findings of one severity."""
        return int((self.table["severity"] == severity).sum())

    def of(self, rule: Rule) -> pl.DataFrame:
        """The findings of one rule."""
        return self.table.filter(pl.col("rule") == rule)

    def counts(self) -> pl.DataFrame:
        """Columns rule, severity, findings, frames; the worst first."""
        counted = self.table.group_by("rule", "severity", maintain_order=True).agg(
            pl.len().alias("findings"), pl.col("frame_id").drop_nulls().n_unique().alias("frames")
        )
        return counted.sort(
            pl.col("severity").replace_strict(_ORDER, return_dtype=pl.Int8), -pl.col("findings").cast(pl.Int64), "rule"
        )

    def save(self, folder: Path | str) -> Path:
        """Write `findings.parquet` and `check.json` into a folder, which is made if absent; give the first."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FINDINGS_FILE
        about = {
            "fingerprint": self.fingerprint,
            "counts": {f"{row['rule']}/{row['severity']}": row["findings"] for row in self.counts().to_dicts()},
            **self.about,
        }
        write_whole(folder / ABOUT_FILE, json.dumps(about, indent=2) + "\n")
        write_table(self.table, path)
        return path

    @classmethod
    def load(cls, path: Path | str) -> Findings:
        """Read findings from the folder of a check, or from its `findings.parquet`.

        Raises:
            DataError: The files are missing or hold something else.
        """
        path = Path(path)
        folder = path if path.is_dir() else path.parent
        try:
            table = pl.read_parquet(folder / FINDINGS_FILE if path.is_dir() else path)
            about = json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"{path}: no findings ({error.__class__.__name__}); expected what tl check CATALOG --out DIR writes: "
                f"{FINDINGS_FILE} with {ABOUT_FILE} beside it"
            ) from error
        fingerprint = about.pop("fingerprint", None) if isinstance(about, dict) else None
        if not isinstance(fingerprint, str):
            raise DataError(f"{path}: no findings (fingerprint {show(fingerprint)}); check the catalog again")
        fault = _fault_of(table)
        if fault is not None:
            raise DataError(f"{path}: {fault}; check the catalog again with this version")
        about.pop("counts", None)
        return cls(table=table.select(list(FINDING_SCHEMA)), fingerprint=fingerprint, about=about)


def _fault_of(table: pl.DataFrame) -> str | None:
    """What keeps a table from being one of findings; None where nothing does."""
    for name, dtype in FINDING_SCHEMA.items():
        if name not in table.columns:
            return f"no column '{name}', expected {', '.join(FINDING_SCHEMA)}"
        if table.schema[name] != dtype:
            return f"{name} is {table.schema[name]}, expected {dtype}"
    for name, words in (("rule", Rule), ("severity", Severity)):
        unknown = [word for word in table[name].unique(maintain_order=True) if word not in set(words)]
        if unknown:
            return f"{name} is {show(unknown[0])}, expected {', '.join(words)}"
    for name in ("message", "remedy"):
        if table[name].null_count():
            return f"{name} is None, expected a text"
    of_boxes = [rule for rule, info in RULES.items() if info.subject is Subject.BOX]
    for name, what in (("box", "box"), ("frame_id", "frame")):
        holed = table.filter(pl.col("rule").is_in(of_boxes) & pl.col(name).is_null())
        if len(holed):
            return f"{holed['rule'][0]} of a box without a {what}, expected one"
    return None


_ORDER = {severity.value: place for place, severity in enumerate(Severity)}


def tabulate(findings: Iterable[Finding], frames: pl.DataFrame, boxes: pl.DataFrame) -> pl.DataFrame:
    """Findings as a table.

    Args:
        findings: In any order.
        frames: Column `frame_id`, in the order of the catalog.
        boxes: Columns `frame_id`, `box` and the four of the box.

    Returns:
        Rows of `FINDING_SCHEMA`, ordered.
    """
    rows = [
        (
            finding.frame_id,
            finding.box,
            str(finding.rule),
            str(finding.severity or RULES[finding.rule].severity),
            finding.message,
            RULES[finding.rule].remedy,
        )
        for finding in findings
    ]
    schema = {name: dtype for name, dtype in FINDING_SCHEMA.items() if name not in BOX_COLUMNS}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    order = frames.select("frame_id").with_row_index("_frame")
    boxes = boxes.select("frame_id", pl.col("box").cast(pl.Int32), *BOX_COLUMNS)
    return (
        table.join(order, on="frame_id", how="left")
        .join(boxes, on=["frame_id", "box"], how="left")
        .sort(
            pl.col("severity").replace_strict(_ORDER, return_dtype=pl.Int8),
            "rule",
            "_frame",
            "box",
            "message",
            nulls_last=True,
        )
        .select(list(FINDING_SCHEMA))
    )
