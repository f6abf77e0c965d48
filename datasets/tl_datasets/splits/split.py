"""Splits a catalog into train, val and test, so that frames that show the same moment never sit in two parts.

The unit is what may not be torn apart: the frames of one sequence, and byte-identical images with everything that
belongs to them (`units`). A frame without a sequence stands alone. Units are spread so that weather, scene, time
of day and every kind of box, rare states above all, come in their shares to each part (`assignment`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.catalog import CONDITIONS, FRAME_SCHEMA, Catalog
from tl_datasets.duplicates.find import find_twins
from tl_datasets.errors import DataError, UsageError, show
from tl_datasets.splits.assignment import assign_units
from tl_datasets.splits.units import Unit, find_units

logger = logging.getLogger(__name__)

PARTS = ("train", "val", "test")
_USUAL_SHARE = 0.2


def split_catalog(
    catalog: Catalog,
    val: float | None = None,
    test: float | None = None,
    seed: int = 0,
    by: str = "sequence",
    keep: Collection[str] = (),
    assign: Mapping[str, Sequence[str]] | None = None,
    like: Catalog | None = None,
    together: pl.DataFrame | None = None,
) -> Catalog:
    """Give every frame a part.

    The result depends on the frames and the seed, not on their order. When frames are added, most of the others stay
    where they were; with `like` all of them do.

    Args:
        catalog: The splits it has are replaced, but for those in `keep`.
        val: Share of the frames, in [0, 1); None = that of `like`, else 0.2.
        test: Share of the frames, in [0, 1), with `val` below 1; None = that of `like`, else 0.2.
        seed: Decides where units start, before they are evened out.
        by: A column whose equal values stay together, besides the sequences and identical images.
        keep: Parts that the catalog already has and that stay as they are; what belongs to them joins them.
        assign: Part -> values of `by` that it gets, in place of shares; all others go to train.
        like: A catalog that was split before. Its frames keep their part; new frames of its sequences and copies of
            its images join them; other new units make up what the shares lack.
        together: Pairs of frames that stay together too, as `duplicates.find` gives them.

    Raises:
        UsageError: A share, column or part is wrong, or arguments exclude each other.
        DataError: A part would be empty, an assigned value does not exist, or parts tear a unit apart.
    """
    shares = _checked_shares(val, test, by, keep, assign, like)
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
        _check_pairs(catalog, together)
        units = find_units(catalog, by, together)
        known = _kept_parts(catalog, keep) if like is None else _former_parts(catalog, like)
        part = _drawn_parts(
            catalog, units, {name: share for name, share in shares.items() if share > 0}, seed, keep, known
        )
    result = catalog.with_frames(catalog.frames.with_columns(pl.Series("split", part, dtype=pl.String)))
    check_split(result, together)
    return result


def check_split(catalog: Catalog, pairs: pl.DataFrame | None = None) -> None:
    """Refuse a catalog whose parts share a sequence, an image, or a pair of frames that are known to belong together.

    Frames without a part are in none. No image is read.

    Args:
        catalog: With splits.
        pairs: Columns `frame_a`, `frame_b` and `kind`, as `duplicates.find` gives them; frames that the catalog does
            not have are passed over.

    Raises:
        DataError: Names the sequence or the kind of pair, frames of each part, and the number of all cases.
    """
    frames = catalog.frames.filter(pl.col("split").is_not_null())
    torn = (
        frames.filter(pl.col("sequence").is_not_null())
        .group_by("source", "sequence")
        .agg(pl.col("split").n_unique())
        .filter(pl.col("split") > 1)
        .sort("source", "sequence")
    )
    if len(torn):
        row = torn.row(0, named=True)
        inside = frames.filter(source=row["source"], sequence=row["sequence"])
        placed = inside.group_by("split").agg(pl.col("frame_id").min(), pl.len()).sort("split")
        listed = ", ".join(f"{part} ({number} frames, such as '{frame}')" for part, frame, number in placed.iter_rows())
        raise DataError(
            f"split: sequence '{row['sequence']}' of {row['source']} sits in {' and '.join(placed['split'])}: {listed}"
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
    if pairs is None:
        return
    leaks = [
        (one, other, kind)
        for one, other, kind in pairs.select("frame_a", "frame_b", "kind").iter_rows()
        if one in part_of and other in part_of and part_of[one] != part_of[other]
    ]
    if leaks:
        one, other, kind = leaks[0]
        raise DataError(
            f"split: {kind} frames '{one}' ({part_of[one]}) and '{other}' ({part_of[other]}) sit in different parts"
            f"{_others(len(leaks), 'pairs')}; expected them in one part; split with --together and the same pairs"
        )


def _others(number: int, word: str) -> str:
    return f" (and {number - 1} more {word})" if number > 1 else ""


def _checked_shares(
    val: float | None,
    test: float | None,
    by: str,
    keep: Collection[str],
    assign: Mapping[str, Sequence[str]] | None,
    like: Catalog | None,
) -> dict[str, float]:
    if by not in FRAME_SCHEMA or by == "labelled_categories":
        raise UsageError(f"split: no column '{by}' to split by; expected for example sequence or source")
    if isinstance(keep, str):
        raise UsageError(f"split: keep is the text '{keep}', expected a list of parts")
    wrong = sorted((set(keep) | set(assign or {})) - set(PARTS))
    if wrong:
        raise UsageError(f"split: part '{wrong[0]}', expected {', '.join(PARTS)}")
    given = [name for name, value in (("keep", keep or None), ("assign", assign), ("like", like)) if value is not None]
    if len(given) > 1:
        raise UsageError(f"split: {' and '.join(given)} cannot be combined; choose one")
    if assign is not None and (val is not None or test is not None):
        raise UsageError("split: assign names what each part gets, so val and test have no effect; leave them out")
    former = {} if like is None else _shares_of(like)
    usual = {"val": _USUAL_SHARE, "test": _USUAL_SHARE}
    shares = {
        name: {**usual, **former}[name] if value is None else value for name, value in (("val", val), ("test", test))
    }
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise UsageError(f"split: {name} is {share:g}, expected a share of the frames in [0, 1)")
    if sum(shares.values()) >= 1:
        raise UsageError(
            f"split: val {shares['val']:g} and test {shares['test']:g} leave nothing to train on; "
            "expected a sum below 1"
        )
    return {"train": 1 - sum(shares.values()), **shares}


def _shares_of(catalog: Catalog) -> dict[str, float]:
    splits = catalog.frames["split"].drop_nulls()
    if not len(splits):
        raise DataError("split: the catalog to follow has no split; give one that tl split has made")
    strange = sorted(set(splits) - set(PARTS))
    if strange:
        raise DataError(
            f"split: the catalog to follow has the part {show(strange[0])}, expected {', '.join(PARTS)}; "
            "split it with: tl split"
        )
    return {part: float((splits == part).sum()) / len(splits) for part in ("val", "test")}


def _kept_parts(catalog: Catalog, keep: Collection[str]) -> list[str | None]:
    return [part if part in keep else None for part in catalog.frames["split"]]


def _check_pairs(catalog: Catalog, together: pl.DataFrame | None) -> None:
    """Refuse pairs of another catalog, which would keep nothing together."""
    if together is None or not len(together):
        return
    known = catalog.frames["frame_id"].implode()
    number = len(together.filter(pl.col("frame_a").is_in(known) & pl.col("frame_b").is_in(known)))
    if not number:
        raise DataError(
            f"split: none of the {len(together)} pairs to keep together is of frames of this catalog; expected those "
            "that tl duplicates finds in it"
        )
    logger.info("%d of %d pairs are kept together", number, len(together))


def _former_parts(catalog: Catalog, former: Catalog) -> list[str | None]:
    """For each row the part that the frame, its sequence or its image has in a former catalog; None where it is new."""
    frames = former.frames.filter(pl.col("split").is_not_null())
    by_frame: dict[object, str] = {}
    by_sequence: dict[object, str] = {}
    by_content: dict[object, str] = {}
    columns = ("source", "frame_id", "sequence", "content_hash")
    for source, frame_id, sequence, content, part in frames.select(*columns, "split").iter_rows():
        by_frame[source, frame_id] = part
        by_sequence[source, sequence] = part
        by_content[content] = part
    parts = [
        by_frame.get((source, frame_id))
        or (by_sequence.get((source, sequence)) if sequence is not None else None)
        or (by_content.get(content) if content is not None else None)
        for source, frame_id, sequence, content in catalog.frames.select(*columns).iter_rows()
    ]
    number = len(parts) - parts.count(None)
    if not number:
        raise DataError(
            "split: no frame, sequence or image of the former catalog is in this one; expected one that grew"
        )
    logger.info(
        "%d of %d frames have the part of their frame, sequence or image in the former catalog", number, len(parts)
    )
    return parts


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


def _drawn_parts(
    catalog: Catalog,
    units: list[Unit],
    shares: dict[str, float],
    seed: int,
    keep: Collection[str],
    known: list[str | None],
) -> list[str]:
    fixed = [_fixed_part(catalog, unit, known) for unit in units]
    names = [*shares, *(part for part in PARTS if part not in shares and (part in keep or part in known))]
    if len(units) < len(names):
        raise DataError(
            f"split: {len(units)} units (sequences, or frames that stand alone) cannot fill {', '.join(names)}; "
            "index more sequences, or set a share to 0"
        )
    # A part that is kept stays as it is; one without a share takes no more.
    is_open = [name not in keep and name in shares for name in names]
    if None in fixed and not any(is_open):
        raise DataError("split: every part is kept, but some frames have none; keep fewer parts")
    holdings = _holdings(catalog)
    chosen = assign_units(
        np.stack([holdings[list(unit.rows)].sum(axis=0) for unit in units]),
        [shares.get(name, 0.0) for name in names],
        [None if part is None else names.index(part) for part in fixed],
        [unit.key for unit in units],
        is_open,
        seed,
    )
    result = [""] * len(catalog)
    for unit, part in zip(units, chosen, strict=True):
        for row in unit.rows:
            result[row] = names[part]
    for name in names:
        if name not in result:
            raise DataError(f"split: {name} is empty, because the kept parts hold every unit; keep fewer parts")
    return result


def _fixed_part(catalog: Catalog, unit: Unit, known: list[str | None]) -> str | None:
    """The part that frames of a unit have already."""
    held = {part: row for row in reversed(unit.rows) if (part := known[row]) is not None}
    if len(held) > 1:
        ids, sequences = catalog.frames["frame_id"], catalog.frames["sequence"]
        listed = ", ".join(
            f"'{ids[row]}' ({part}, sequence {sequences[row] or '-'})" for part, row in sorted(held.items())
        )
        raise DataError(
            f"split: the kept parts {' and '.join(sorted(held))} share what belongs together: {listed}; expected it in "
            "one part; keep one of them, or split anew"
        )
    return next(iter(held), None)


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
