"""`WriteReport`: what a format cannot hold, counted by field, so that nothing is lost silently.

A loss is a value of a frame or box that is not there any more when the written files are read back with this project's
reader of the format: the reports of all writers are tested to be exactly that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tl_datasets.catalog import ANNOTATION_SCHEMA, BOX_COLUMNS, FRAME_SCHEMA, Catalog
from tl_datasets.taxonomy import LabelStatus

# Where a frame lies and what its bytes are is no knowledge about it.
_NO_KNOWLEDGE = frozenset({"frame_id", "path", "source", "width_px", "height_px", "label_status", "content_hash"})
FRAME_FIELDS = tuple(name for name in FRAME_SCHEMA if name not in _NO_KNOWLEDGE)
BOX_FIELDS = tuple(name for name in ANNOTATION_SCHEMA if name not in {"frame_id", *BOX_COLUMNS})


@dataclass(slots=True)
class WriteReport:
    """What one writing lost.

    Attributes:
        losses: Values lost, by field: "frame.weather", "box.occluded"; "frame" and "box" for whole ones.
    """

    losses: Counter[str] = field(default_factory=Counter)

    def lose(self, name: str, number: int = 1) -> None:
        """Count values of a field that are not written; zero counts nothing."""
        if number:
            self.losses[name] += number

    def lose_fields(self, catalog: Catalog, *, frame: Collection[str], box: Collection[str]) -> None:
        """Count the values of fields that the format has no place for: all but None, no ignore flag, an empty list.

        Args:
            catalog: What is written.
            frame: Names of `FRAME_FIELDS`.
            box: Names of `BOX_FIELDS`.
        """
        for name in frame:
            self.lose(f"frame.{name}", _values(catalog.frames[name]))
        for name in box:
            self.lose(f"box.{name}", _values(catalog.annotations[name]))

    def lose_unlabelled(self, catalog: Catalog) -> None:
        """Count the unlabelled frames, for a format in which they become true negatives."""
        self.lose("frame.label_status", int((catalog.frames["label_status"] == LabelStatus.UNLABELLED).sum()))

    def lines(self) -> list[str]:
        """One line per field, the largest loss first."""
        return [f"{name}: {number} lost or changed, the format has no place for them" for name, number in self._sorted]

    def to_dict(self) -> dict[str, Any]:
        """The counts as plain values for JSON."""
        return dict(self._sorted)

    @property
    def _sorted(self) -> list[tuple[str, int]]:
        return sorted(self.losses.items(), key=lambda item: (-item[1], item[0]))


def _values(column: pl.Series) -> int:
    if column.dtype == pl.Boolean and column.name == "ignore":
        return int(column.fill_null(False).sum())
    if isinstance(column.dtype, pl.List):
        return int((column.list.len().fill_null(0) > 0).sum())
    return len(column) - column.null_count()
