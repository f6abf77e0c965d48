"""What a catalog holds: counts by part, condition, class and size, as plain values and as a text table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from tl_datasets.catalog import CONDITIONS, Catalog
from tl_datasets.duplicates import find_twins
from tl_datasets.taxonomy import TRAFFIC_LIGHT

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
# How a field that the source does not have is shown.
_ABSENT = "-"


def summarise(catalog: Catalog) -> dict[str, Any]:
    """Count frames and boxes.

    Returns:
        Plain values for JSON. Counts by condition hold frames, frames with a light, and lights; a key "-" stands for
        frames or boxes whose source has no such field. Sizes are quantiles of light boxes in pixels, None without a
        light.
    """
    frames, boxes = catalog.frames, catalog.annotations
    lights = boxes.filter(pl.col("category") == TRAFFIC_LIGHT)
    per_frame = lights.group_by("frame_id").agg(pl.len().cast(pl.Int64).alias("lights"))
    frames = frames.join(per_frame, on="frame_id", how="left").with_columns(pl.col("lights").fill_null(0))
    twins = find_twins(catalog)
    sequences = frames.filter(pl.col("sequence").is_not_null())
    return {
        "frames": len(frames),
        "boxes": len(boxes),
        "lights": len(lights),
        "fingerprint": catalog.fingerprint,
        "sources": _frame_counts(frames, "source"),
        "splits": _frame_counts(frames, "split"),
        "label_status": _frame_counts(frames, "label_status"),
        "conditions": {name: _frame_counts(frames, name) for name in CONDITIONS},
        "categories": _box_counts(boxes, "category"),
        "states": _box_counts(lights, "state"),
        "states_by_split": _states_by_split(lights, frames),
        "pictograms": _box_counts(lights, "pictogram"),
        "ignored": int(boxes["ignore"].fill_null(False).sum()),
        "image_sizes": {
            f"{row['width_px']}x{row['height_px']}": row["len"]
            for row in frames.group_by("width_px", "height_px")
            .len()
            .sort("len", "width_px", "height_px", descending=True)
            .iter_rows(named=True)
        },
        "light_width_px": _quantiles(lights["x2"] - lights["x1"]),
        "light_height_px": _quantiles(lights["y2"] - lights["y1"]),
        "sequences": {
            "count": sequences.select("source", "sequence").n_unique() if len(sequences) else 0,
            "frames_without": len(frames) - len(sequences),
            "largest": int(sequences.group_by("source", "sequence").len()["len"].max() or 0) if len(sequences) else 0,  # type: ignore[arg-type]
        },
        "identical_images": {
            "groups": len(twins),
            "frames": sum(map(len, twins)),
            "examples": list(map(list, twins[:3])),
        },
    }


def format_summary(summary: Mapping[str, Any]) -> str:
    """A summary as aligned text, one block per subject."""
    head = [
        ["frames", summary["frames"]],
        ["boxes", summary["boxes"]],
        ["  of these lights", summary["lights"]],
        ["  ignore areas", summary["ignored"]],
        ["sequences", summary["sequences"]["count"]],
        ["  frames without", summary["sequences"]["frames_without"]],
        ["  frames in the largest", summary["sequences"]["largest"]],
        [
            "identical images",
            f"{summary['identical_images']['frames']} in {summary['identical_images']['groups']} groups",
        ],
        ["fingerprint", summary["fingerprint"]],
    ]
    blocks = [_table(head)]
    tables = {
        "source": summary["sources"],
        "split": summary["splits"],
        "labels": summary["label_status"],
        **summary["conditions"],
    }
    for title, counts in tables.items():
        rows = [[name, *row.values()] for name, row in counts.items()]
        blocks.append(_table([[title, "frames", "with a light", "lights"], *rows]))
    blocks.extend(
        _table([[title, "boxes"], *map(list, summary[title].items())])
        for title in ("categories", "states", "pictograms")
        if summary[title]
    )
    blocks.append(_table([["image size", "frames"], *map(list, summary["image_sizes"].items())]))
    if summary["light_height_px"] is not None:
        names = list(summary["light_height_px"])
        sizes = [
            [title, *(f"{summary[key][name]:.1f}" for name in names)]
            for title, key in (("width", "light_width_px"), ("height", "light_height_px"))
        ]
        blocks.append(_table([["light size, px", *names], *sizes]))
    return "\n\n".join(blocks)


def _frame_counts(frames: pl.DataFrame, column: str) -> dict[str, dict[str, int]]:
    table = (
        frames.group_by(pl.col(column).fill_null(_ABSENT))
        .agg(pl.len().alias("frames"), (pl.col("lights") > 0).sum().alias("with_light"), pl.col("lights").sum())
        .sort(["frames", column], descending=[True, False])
    )
    return {
        row[column]: {"frames": row["frames"], "frames_with_light": row["with_light"], "lights": row["lights"]}
        for row in table.iter_rows(named=True)
    }


def _box_counts(boxes: pl.DataFrame, column: str) -> dict[str, int]:
    table = boxes.group_by(pl.col(column).fill_null(_ABSENT)).len().sort(["len", column], descending=[True, False])
    return dict(table.iter_rows())


def _states_by_split(lights: pl.DataFrame, frames: pl.DataFrame) -> dict[str, dict[str, int]]:
    joined = lights.join(frames.select("frame_id", "split"), on="frame_id", how="left")
    parts = joined.with_columns(pl.col("split").fill_null(_ABSENT)).partition_by("split", as_dict=True)
    return {str(key[0]): _box_counts(part, "state") for key, part in sorted(parts.items())}


def _quantiles(values: pl.Series) -> dict[str, float] | None:
    if not len(values):
        return None
    found = np.quantile(values.to_numpy(), _QUANTILES)
    return {f"{share:.0%}": round(float(value), 3) for share, value in zip(_QUANTILES, found, strict=True)}


def _table(rows: list[list[Any]]) -> str:
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in texts) for column in range(len(texts[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in texts
    )
