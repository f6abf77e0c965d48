"""Pairs of frames that belong together, as files: what `tl duplicates` leaves for a person, `tl split` and training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from tl_datasets.duplicates.find import PAIR_SCHEMA, Duplicates, PairKind
from tl_datasets.errors import DataError, show
from tl_datasets.images import write_whole

PAIRS_FILE = "pairs.parquet"
_LISTED = 1000


def write_pairs(duplicates: Duplicates, folder: Path) -> Path:
    """Write `pairs.parquet` (all pairs) and `pairs.json` (counts, leaks, what was not read) into a folder that exists.

    Returns:
        The Parquet file.
    """
    write_whole(folder / "pairs.json", json.dumps(summarise_pairs(duplicates), indent=2, ensure_ascii=False) + "\n")
    path = folder / PAIRS_FILE
    duplicates.pairs.write_parquet(path)
    return path


def read_pairs(path: Path | str) -> pl.DataFrame:
    """Read pairs that were written before.

    Args:
        path: The Parquet file, or the folder that holds it.

    Raises:
        DataError: It is missing, no Parquet file, or has other columns or kinds.
    """
    path = Path(path)
    file = path / PAIRS_FILE if path.is_dir() else path
    try:
        table = pl.read_parquet(file)
        pairs = table.select(pl.col(name).cast(dtype) for name, dtype in PAIR_SCHEMA.items())
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0] if str(error) else error.__class__.__name__
        raise DataError(
            f"{file}: no pairs of frames ({reason}); make them with: tl duplicates CATALOG --out DIR"
        ) from error
    strange = sorted(set(pairs["kind"]) - set(PairKind))
    if strange:
        raise DataError(f"{file}: kind {show(strange[0])}, expected {', '.join(PairKind)}; find the pairs again")
    return pairs


def summarise_pairs(duplicates: Duplicates) -> dict[str, Any]:
    """Counts per kind and per two parts, and the leaks (the first 1000), as plain values for JSON."""
    pairs = duplicates.pairs
    leaks = pairs.filter("is_leak")
    return {
        "frames": duplicates.frames,
        "pairs": {kind.value: int((pairs["kind"] == kind).sum()) for kind in PairKind},
        "pairs_by_parts": [
            {"kind": kind, "parts": list(parts), "pairs": number} for kind, parts, number in _by_parts(pairs)
        ],
        "leaks": len(leaks),
        "first_leaks": leaks.head(_LISTED).to_dicts(),
        "unreadable": list(duplicates.unreadable[:_LISTED]),
        "blank": list(duplicates.blank[:_LISTED]),
    }


def format_pairs(duplicates: Duplicates, examples: int = 5) -> str:
    """The counts as a text, then the first pairs of each kind, those of different parts before the others."""
    pairs = duplicates.pairs
    lines = [f"{duplicates.frames} frames, {len(pairs)} pairs, {int(pairs['is_leak'].sum())} across parts"]
    for kind in PairKind:
        found = pairs.filter(pl.col("kind") == kind.value)
        lines.append(f"{kind.value}: {len(found)}")
        lines.extend(
            f"  {' and '.join(part or '-' for part in parts)}: {number}" for _, parts, number in _by_parts(found)
        )
        for row in found.sort("is_leak", descending=True, maintain_order=True).head(examples).iter_rows(named=True):
            note = "  LEAK" if row["is_leak"] else ""
            lines.append(f"    {row['frame_a']}  {row['frame_b']}  ({row['distance']} of 256 bits){note}")
    for title, items in (("unreadable", duplicates.unreadable), ("without content", duplicates.blank)):
        if items:
            lines.append(f"{title}: {len(items)}, such as {items[0]}")
    return "\n".join(lines)


def _by_parts(pairs: pl.DataFrame) -> list[tuple[str, tuple[str | None, str | None], int]]:
    """Kind, the two parts in the order of their names, and the number of pairs; the most first."""
    counts: dict[tuple[str, tuple[str | None, str | None]], int] = {}
    for kind, one, other, number in pairs.group_by("kind", "split_a", "split_b").len().iter_rows():
        first, second = sorted((one, other), key=lambda part: part or "")
        counts[kind, (first, second)] = counts.get((kind, (first, second)), 0) + number
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0][0], str(item[0][1])))
    return [(kind, parts, number) for (kind, parts), number in ordered]
