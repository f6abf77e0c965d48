"""What a catalog holds: counts by part, condition, class and size, as plain values and as a text table."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from tl_datasets.catalog import CONDITIONS, Catalog
from tl_datasets.duplicates.find import find_twins
from tl_datasets.network_size import DEFAULT_INPUT_SIZE, LIMITS_PX, InputSize, network_sizes_px, sizes_px
from tl_datasets.taxonomy import TRAFFIC_LIGHT, State

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
# Lower edges of the bins in which sizes are counted, in pixels; the last bin is open.
_SIZE_EDGES_PX = (0, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# The frame columns by which states and network sizes are told apart.
_GROUPS = ("source", "split", *CONDITIONS)
# How a field that the source does not have is shown.
_ABSENT = "-"


def summarise(catalog: Catalog, input_size: InputSize = DEFAULT_INPUT_SIZE) -> dict[str, Any]:
    """Count frames and boxes.

    Args:
        catalog: The frames.
        input_size: Network input at which sizes of lights are told.

    Returns:
        Plain values for JSON. Counts by condition hold frames, frames with a light, and lights; a key "-" stands for
        frames or boxes whose source has no such field. Sizes are quantiles of light boxes in pixels, None without a
        light. `network` tells the smaller of a light's width and height after the letterbox into the input.
    """
    frames, boxes = catalog.frames, _with_sizes(catalog, input_size)
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
        "states_by_source": _states_by(lights, "source"),
        "states_by_split": _states_by(lights, "split"),
        "states_by_condition": {name: _states_by(lights, name) for name in CONDITIONS},
        "pictograms": _box_counts(lights, "pictogram"),
        "ignored": int(boxes["ignore"].fill_null(False).sum()),
        "image_sizes": {
            f"{row['width_px']}x{row['height_px']}": row["len"]
            for row in frames.group_by("width_px", "height_px")
            .len()
            .sort("len", "width_px", "height_px", descending=True)
            .iter_rows(named=True)
        },
        "light_width_px": _quantiles(lights["width"]),
        "light_height_px": _quantiles(lights["height"]),
        "light_size_counts": {
            "edges_px": list(_SIZE_EDGES_PX),
            "width": _bin_counts(lights["width"]),
            "height": _bin_counts(lights["height"]),
        },
        "network": {
            "input_size": str(input_size),
            "smaller_side_px": _quantiles(lights["network_side"]),
            "all": _under_limits(lights),
            "by_source": _under_limits_by(lights, "source"),
            "by_state": _under_limits_by(lights, "state"),
        },
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
    states = [word for word in (*State, _ABSENT) if word in summary["states"]]
    crosses = {"source": summary["states_by_source"], "split": summary["states_by_split"]}
    blocks.extend(
        _table(
            [
                [f"lights by {title}", *states],
                *([name, *(row.get(state, 0) for state in states)] for name, row in cross.items()),
            ]
        )
        for title, cross in {**crosses, **summary["states_by_condition"]}.items()
        if len(cross) > 1
    )
    if summary["light_height_px"] is not None:
        names = list(summary["light_height_px"])
        sizes = [
            [title, *(f"{summary[key][name]:.1f}" for name in names)]
            for title, key in (("width", "light_width_px"), ("height", "light_height_px"))
        ]
        blocks.append(_table([["light size, px", *names], *sizes]))
        blocks.extend([_size_counts(summary["light_size_counts"]), _network_table(summary["network"])])
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


def _with_sizes(catalog: Catalog, input_size: InputSize) -> pl.DataFrame:
    """The boxes with `width`, `height` in frame pixels, `network_side` in network pixels, and what their frame is."""
    sizes = sizes_px(catalog)
    boxes = catalog.annotations.with_columns(
        width=pl.Series(sizes[:, 0]),
        height=pl.Series(sizes[:, 1]),
        network_side=pl.Series(network_sizes_px(catalog, input_size).min(axis=1)),
    )
    return boxes.join(catalog.frames.select("frame_id", *_GROUPS), on="frame_id", how="left", maintain_order="left")


def _parts(lights: pl.DataFrame, column: str) -> dict[str, pl.DataFrame]:
    parts = lights.with_columns(pl.col(column).fill_null(_ABSENT)).partition_by(column, as_dict=True)
    return {str(key[0]): part for key, part in sorted(parts.items())}


def _states_by(lights: pl.DataFrame, column: str) -> dict[str, dict[str, int]]:
    return {word: _box_counts(part, "state") for word, part in _parts(lights, column).items()}


def _under_limits(lights: pl.DataFrame) -> dict[str, Any]:
    under = {limit: int((lights["network_side"] < limit).sum()) for limit in LIMITS_PX}
    return {
        "lights": len(lights),
        "under_px": {
            str(limit): {"lights": number, "share": round(number / len(lights), 6) if len(lights) else None}
            for limit, number in under.items()
        },
    }


def _under_limits_by(lights: pl.DataFrame, column: str) -> dict[str, dict[str, Any]]:
    return {word: _under_limits(part) for word, part in _parts(lights, column).items()}


def _bin_counts(values: pl.Series) -> list[int]:
    return np.histogram(values.to_numpy(), bins=[*_SIZE_EDGES_PX, np.inf])[0].tolist()


def _size_counts(counts: Mapping[str, Any]) -> str:
    edges = counts["edges_px"]
    names = [*(f"{low}-{high}" for low, high in itertools.pairwise(edges)), f"{edges[-1]}+"]
    return _table([["lights by size, px", *names], ["width", *counts["width"]], ["height", *counts["height"]]])


def _network_table(network: Mapping[str, Any]) -> str:
    def row(name: str, item: Mapping[str, Any]) -> list[Any]:
        return [name, item["lights"], *(f"{limit['share']:.1%}" for limit in item["under_px"].values())]

    head = [f"smaller side at {network['input_size']}", "lights", *(f"under {limit} px" for limit in LIMITS_PX)]
    rows = [row("all", network["all"])]
    if len(network["by_source"]) > 1:
        rows.extend(row(f"source {name}", item) for name, item in network["by_source"].items())
    rows.extend(row(f"state {name}", item) for name, item in network["by_state"].items())
    return _table([head, *rows])


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
