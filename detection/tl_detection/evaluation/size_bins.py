"""Ranges of size into which lights are sorted, so that a score can be read over distance."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

# Under 4 pixels the lamps of a light merge, under 8 it covers less than one cell of the finest grid of most detectors;
# the rest are steps of at most a half. Of the 24,234 lights of BSTLD (1280x720) these ranges hold 0, 1, 2, 13, 16, 23,
# 18, 19 and 9 %; in an input of half that size as 3, 12, 16, 23, 18, 19, 7, 2 and 0 %.
LIGHT_EDGES_PX = (4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0)
# The limits of COCO's small, medium and large.
COCO_EDGES_PX2 = (32.0**2, 96.0**2)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeBins:
    """How one column is cut: below the first edge, between two, from the last on; the lower edge belongs to a range.

    Attributes:
        column: Such as `height_px`.
        edges: Ascending, in the unit of the column.
    """

    column: str
    edges: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.edges) + 1

    def number(self, column: str) -> pl.Expr:
        """The range of each value of a column, from 0."""
        return pl.sum_horizontal([(pl.col(column) >= edge).cast(pl.Int64) for edge in self.edges])

    def bounds(self, number: int) -> tuple[float, float | None]:
        """Where a range begins and ends; the last one is open."""
        low = self.edges[number - 1] if number else 0.0
        return low, self.edges[number] if number < len(self.edges) else None

    def name(self, number: int) -> str:
        """Such as "6-9", and "32-" for the last."""
        low, high = self.bounds(number)
        return f"{low:g}-" if high is None else f"{low:g}-{high:g}"

    def text(self, number: int) -> str:
        """The range as an expression."""
        low, high = self.bounds(number)
        if not number:
            return f"{self.column} < {high!r}"
        return f"{self.column} >= {low!r}" if high is None else f"{low!r} <= {self.column} < {high!r}"


def bins_of(column: str) -> SizeBins:
    """How a column of sizes is cut: as lights are, areas as COCO does."""
    return SizeBins(column=column, edges=COCO_EDGES_PX2 if column == "area_px2" else LIGHT_EDGES_PX)
