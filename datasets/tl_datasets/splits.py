"""Splits a catalog into train, val and test, so that frames that show the same moment never sit in two parts.

The unit is what may not be torn apart: the frames of one sequence, and byte-identical images with everything that
belongs to them. A frame without a sequence stands alone.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.catalog import CONDITIONS, FRAME_SCHEMA, Catalog
from tl_datasets.duplicates import find_twins
from tl_datasets.errors import DataError, UsageError

logger = logging.getLogger(__name__)

PARTS = ("train", "val", "test")


def split_catalog(
    catalog: Catalog,
    val: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
    by: str = "sequence",
    keep: Collection[str] = (),
    assign: Mapping[str, Sequence[str]] | None = None,
) -> Catalog:
    """Give every frame a part.

    Units go one by one, the largest first, to the part that lacks most of what the unit holds: frames, conditions and
    kinds of boxes. The result depends on the frames and the seed, not on their order.

    Args:
        catalog: The splits it has are replaced, but for those in `keep`.
        val: Share of the frames, in [0, 1).
        test: Share of the frames, in [0, 1); with `val` below 1.
        seed: Decides between units of the same size.
        by: A column whose equal values stay together, besides the sequences and identical images.
        keep: Parts that the catalog already has and that stay as they are; what belongs to them joins them.
        assign: Part -> values of `by` that it gets, in place of shares; all others go to train.

    Raises:
        UsageError: A share, column or part is wrong.
        DataError: A part would be empty, an assigned value does not exist, or parts tear a unit apart.
    """
    _check_arguments(val, test, by, keep, assign)
    if not len(catalog):
        raise DataError("split: the catalog has no frames; expected at least one")
    if by == "sequence" and catalog.frames["sequence"].null_count() == len(catalog):
        logger.warning(
            "no frame has a sequence, so each stands alone and neighbours in time may sit in two parts; "
            "index with --sequence if the file names tell the drive"
        )
    if assign is not None:
        part = _assigned_parts(catalog, by, assign)
    else:
        shares = {"train": 1 - val - test, "val": val, "test": test}
        part = _drawn_parts(catalog, {name: share for name, share in shares.items() if share > 0}, seed, by, keep)
    result = catalog.with_frames(catalog.frames.with_columns(pl.Series("split", part, dtype=pl.String)))
    check_split(result)
    return result


def check_split(catalog: Catalog) -> None:
    """Refuse a catalog whose parts share a sequence or an image.

    Frames without a part are in none.

    Raises:
        DataError: Names the sequence or the identical images, and the parts.
    """
    frames = catalog.frames.filter(pl.col("split").is_not_null())
    torn = (
        frames.filter(pl.col("sequence").is_not_null())
        .group_by("source", "sequence")
        .agg(pl.col("split").unique().sort())
        .filter(pl.col("split").list.len() > 1)
        .sort("source", "sequence")
    )
    if len(torn):
        row = torn.row(0, named=True)
        raise DataError(
            f"split: sequence '{row['sequence']}' of {row['source']} sits in {' and '.join(row['split'])}"
            f"{_others(len(torn), 'sequences')}; expected each in one part; split by sequence, or assign it whole"
        )
    part_of = dict(zip(frames["frame_id"], frames["split"], strict=True))
    twins = [group for group in find_twins(catalog) if len({part_of[frame] for frame in group if frame in part_of}) > 1]
    if twins:
        placed = ", ".join(f"'{frame}' ({part_of[frame]})" for frame in twins[0] if frame in part_of)
        raise DataError(
            f"split: byte-identical images {placed} sit in different parts{_others(len(twins), 'groups')}; "
            "expected them in one part; assign what they belong to together, or remove the copies"
        )


def _others(number: int, word: str) -> str:
    return f" (and {number - 1} more {word})" if number > 1 else ""


def _check_arguments(
    val: float, test: float, by: str, keep: Collection[str], assign: Mapping[str, Sequence[str]] | None
) -> None:
    for name, share in (("val", val), ("test", test)):
        if not 0 <= share < 1:
            raise UsageError(f"split: {name} is {share:g}, expected a share of the frames in [0, 1)")
    if val + test >= 1:
        raise UsageError(f"split: val {val:g} and test {test:g} leave nothing to train on; expected a sum below 1")
    if by not in FRAME_SCHEMA or by == "labelled_categories":
        raise UsageError(f"split: no column '{by}' to split by; expected for example sequence or source")
    wrong = sorted((set(keep) | set(assign or {})) - set(PARTS))
    if wrong:
        raise UsageError(f"split: part '{wrong[0]}', expected {', '.join(PARTS)}")
    if keep and assign is not None:
        raise UsageError("split: keep and assign cannot be combined; choose one")
    if isinstance(keep, str):
        raise UsageError(f"split: keep is the text '{keep}', expected a list of parts")


def _units(catalog: Catalog, by: str) -> list[list[int]]:
    """Rows that belong together, as connected components; sorted by their smallest frame id."""
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
    pairs = zip(frames["source"], frames["sequence"], strict=True)
    join((source, sequence) if sequence is not None else None for source, sequence in pairs)
    join(frames["content_hash"])
    if by != "sequence":
        join(frames[by])
    units: dict[int, list[int]] = {}
    for row in range(len(catalog)):
        units.setdefault(find(row), []).append(row)
    ids = frames["frame_id"].to_list()
    return sorted((sorted(rows, key=ids.__getitem__) for rows in units.values()), key=lambda rows: ids[rows[0]])


def _assigned_parts(catalog: Catalog, by: str, assign: Mapping[str, Sequence[str]]) -> list[str]:
    known = set(catalog.frames[by].drop_nulls().cast(pl.String))
    part_of: dict[str, str] = {}
    for part, values in assign.items():
        for value in [values] if isinstance(values, str) else values:
            if value not in known:
                listed = ", ".join(sorted(known)[:8]) or "none at all"
                raise DataError(
                    f"split: {part} is given {by} '{value}', which the catalog does not have; it has {listed}"
                )
            if part_of.setdefault(value, part) != part:
                raise DataError(f"split: {by} '{value}' is given to {part_of[value]} and to {part}; expected one part")
    result = [part_of.get(str(value), "train") for value in catalog.frames[by]]
    for part in {*assign, "train"}:
        if part not in result:
            raise DataError(f"split: {part} is empty; assign fewer {by} values to the other parts, or leave it out")
    return result


def _drawn_parts(catalog: Catalog, shares: dict[str, float], seed: int, by: str, keep: Collection[str]) -> list[str]:
    units = _units(catalog, by)
    names = [*shares, *(part for part in PARTS if part in keep and part not in shares)]
    if len(units) < len(names):
        raise DataError(
            f"split: {len(units)} units (sequences, or frames that stand alone) cannot fill {', '.join(names)}; "
            "index more sequences, or set a share to 0"
        )
    holdings = _holdings(catalog)
    unit_holdings = np.stack([holdings[rows].sum(axis=0) for rows in units])
    total = unit_holdings.sum(axis=0)
    target = np.stack([shares.get(name, 0.0) * total for name in names])
    current = np.zeros_like(target)
    splits = catalog.frames["split"].to_list()
    chosen = [_kept_part(catalog, rows, {splits[row] for row in rows} & set(keep), names) for rows in units]
    for unit, part in enumerate(chosen):
        if part is not None:
            current[part] += unit_holdings[unit]
    order = list(range(len(units)))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda unit: -len(units[unit]))
    waiting = [unit for unit in order if chosen[unit] is None]
    open_parts = np.array([name not in keep for name in names])
    if waiting and not open_parts.any():
        raise DataError("split: every part is kept, but some frames have none; keep fewer parts")
    filled = {part for part in chosen if part is not None}
    for number, unit in enumerate(waiting):
        # The squared distance to the targets grows least where this is smallest.
        cost = ((current - target) / total**2) @ unit_holdings[unit]
        empty = np.array([index not in filled for index in range(len(names))]) & open_parts
        # The last units fill the parts that are still empty.
        allowed = empty if len(waiting) - number <= empty.sum() else open_parts
        part = int(np.argmin(np.where(allowed, cost, np.inf)))
        chosen[unit] = part
        filled.add(part)
        current[part] += unit_holdings[unit]
    result = [""] * len(catalog)
    for unit, part in enumerate(chosen):
        for row in units[unit]:
            result[row] = names[part] if part is not None else ""
    for name in names:
        if name not in result:
            raise DataError(f"split: {name} is empty, because the kept parts hold every unit; keep fewer parts")
    return result


def _kept_part(catalog: Catalog, rows: list[int], held: set[str], names: list[str]) -> int | None:
    if len(held) > 1:
        frame = catalog.frames["frame_id"][rows[0]]
        raise DataError(
            f"split: the kept parts {' and '.join(sorted(held))} share the unit of frame '{frame}' "
            f"(sequence {catalog.frames['sequence'][rows[0]] or '-'}); expected it in one part; keep one of them"
        )
    return names.index(held.pop()) if held else None


def _holdings(catalog: Catalog) -> NDArray[np.float64]:
    """(frames, features): 1, one column per condition value, and the number of boxes per category and state."""
    frames = catalog.frames
    flags = [
        (frames[condition] == value).fill_null(False).to_numpy()
        for condition in CONDITIONS
        for value in sorted(frames[condition].drop_nulls().unique())
    ]
    kinds = catalog.annotations.select(
        "frame_id", pl.concat_str("category", pl.col("state").fill_null("-"), separator="/").alias("kind")
    )
    row_of = frames.select("frame_id").with_row_index("row")
    rows = kinds.join(row_of, on="frame_id", how="left", maintain_order="left")["row"].to_numpy()
    counts = [
        np.bincount(rows[(kinds["kind"] == kind).to_numpy()], minlength=len(frames))
        for kind in sorted(kinds["kind"].unique())
    ]
    return np.stack([np.ones(len(frames)), *flags, *counts], axis=1).astype(np.float64)
