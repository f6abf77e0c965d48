"""What cleaning changed, and how it is undone.

A record holds every removed or changed row as it was, so that `undo` gives back the catalog as it was, row for row. On
disk it lies in the cleaned catalog's folder, `clean_record/` (see `clean_files`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tl_datasets.catalog import ANNOTATION_SCHEMA, FRAME_SCHEMA, Catalog
from tl_datasets.cleaning.policy import Action
from tl_datasets.errors import DataError

# Columns of a record besides those of the catalog: where the row stood, what was done, and why.
RECORD_COLUMNS: dict[str, pl.DataType] = {"row": pl.UInt32(), "action": pl.String(), "rules": pl.String()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanRecord:
    """What cleaning changed, complete enough to be undone.

    Attributes:
        frames: Every removed frame as it was: `RECORD_COLUMNS` and those of the catalog.
        boxes: Every removed or changed box as it was, the same way; boxes of removed frames included.
        fingerprint_before: Of the catalog that was cleaned.
        fingerprint_after: Of the cleaned catalog.
        digest_after: Changes with the order of its rows too, on which undoing depends.
        policy: As plain values.
    """

    frames: pl.DataFrame
    boxes: pl.DataFrame
    fingerprint_before: str
    fingerprint_after: str
    digest_after: str
    policy: Mapping[str, Any]

    def counts(self) -> dict[str, int]:
        """Frames by action, then boxes by action; boxes that left with their frame are not counted."""
        result: dict[str, int] = {}
        boxes = self.boxes.filter(~pl.col("action").is_in([Action.QUARANTINE, Action.DROP_FRAME]))
        for table, unit in ((self.frames, "frames"), (boxes, "boxes")):
            for action, number in table.group_by("action").len().sort("action").iter_rows():
                result[f"{action} {unit}"] = number
        return result


def undo(catalog: Catalog, record: CleanRecord) -> Catalog:
    """Give back the catalog as it was before cleaning, row for row.

    Args:
        catalog: As cleaning left it.
        record: Of that cleaning.

    Raises:
        DataError: The catalog was changed since, or the record does not belong to it.
    """
    if catalog.fingerprint != record.fingerprint_after or ordered_digest(catalog) != record.digest_after:
        raise DataError(
            f"undo: the catalog (fingerprint {catalog.fingerprint}) is not as cleaning left it "
            f"({record.fingerprint_after}); undo needs the cleaned catalog unchanged, rows in the same order"
        )
    frames = _merged(catalog.frames, record.frames, FRAME_SCHEMA)
    stays = ~pl.col("action").is_in([Action.DROP_BOX, Action.QUARANTINE, Action.DROP_FRAME])
    changed = record.boxes.filter(stays)
    annotations = _merged(catalog.annotations, record.boxes.filter(~stays), ANNOTATION_SCHEMA)
    annotations = (
        annotations.with_row_index("row")
        .filter(~pl.col("row").is_in(changed["row"].implode()))
        .pipe(lambda table: pl.concat([table, changed.select("row", *ANNOTATION_SCHEMA)]))
        .sort("row")
        .drop("row")
    )
    restored = Catalog(frames, annotations, catalog.roots)
    if restored.fingerprint != record.fingerprint_before:
        raise DataError(
            f"undo: gives fingerprint {restored.fingerprint}, the record says {record.fingerprint_before}; the record "
            "is damaged"
        )
    return restored


def _merged(kept: pl.DataFrame, removed: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Kept rows in their order, with the removed rows put back at their places."""
    is_removed = np.zeros(len(kept) + len(removed), dtype=bool)
    rows = removed["row"].to_numpy()
    if len(rows) and rows.max() >= len(is_removed):
        raise DataError(f"undo: the record names row {rows.max()} of {len(is_removed)}; the record is damaged")
    is_removed[rows] = True
    places = pl.Series("row", np.flatnonzero(~is_removed), dtype=pl.UInt32)
    if len(places) != len(kept):
        raise DataError("undo: the record names a row twice; the record is damaged")
    both = pl.concat([kept.with_columns(places), removed.select(*schema, "row")])
    return both.sort("row").drop("row")


def ordered_digest(catalog: Catalog) -> str:
    """16 hex digits that change with any row and with the order of the rows."""
    digest = hashlib.sha256()
    digest.update(catalog.frames.with_columns(pl.col("labelled_categories").list.join("|")).write_csv().encode())
    digest.update(catalog.annotations.write_csv().encode())
    return digest.hexdigest()[:16]
