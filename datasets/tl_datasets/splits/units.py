"""What a split may not tear apart: the frames of one sequence, identical images, and pairs that are given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from tl_datasets.catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Frames that stay together.

    Attributes:
        key: A name that stays the same when frames are added to the unit: its first sequence, else its first frame.
        rows: Rows of the catalog, sorted by frame id.
    """

    key: str
    rows: tuple[int, ...]


def find_units(catalog: Catalog, by: str = "sequence", together: pl.DataFrame | None = None) -> list[Unit]:
    """Group the frames of a catalog.

    Args:
        catalog: The frames.
        by: A column whose equal values stay together too.
        together: Pairs of frames, columns `frame_a` and `frame_b`; those that the catalog does not have are passed
            over.

    Returns:
        The units, sorted by key; each frame is in one.
    """
    parent = list(range(len(catalog)))

    def find(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    def join(keys: Iterable[object]) -> None:
        first: dict[object, int] = {}
        for row, key in enumerate(keys):
            if key is not None:
                parent[find(row)] = find(first.setdefault(key, row))

    frames = catalog.frames
    sequences = [
        None if sequence is None else (source, sequence)
        for source, sequence in zip(frames["source"], frames["sequence"], strict=True)
    ]
    join(sequences)
    join(frames["content_hash"])
    if by != "sequence":
        join(frames[by])
    ids = frames["frame_id"].to_list()
    if together is not None:
        row_of = {frame_id: row for row, frame_id in enumerate(ids)}
        for one, other in together.select("frame_a", "frame_b").iter_rows():
            if one in row_of and other in row_of:
                parent[find(row_of[one])] = find(row_of[other])
    members: dict[int, list[int]] = {}
    for row in range(len(catalog)):
        members.setdefault(find(row), []).append(row)
    units = []
    for rows in members.values():
        rows.sort(key=ids.__getitem__)
        named = [f"sequence {key[0]}/{key[1]}" for row in rows if (key := sequences[row]) is not None]
        units.append(Unit(key=min(named, default=f"frame {ids[rows[0]]}"), rows=tuple(rows)))
    return sorted(units, key=lambda unit: unit.key)
