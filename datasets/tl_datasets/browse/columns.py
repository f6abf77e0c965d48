"""A catalog as compact columns for the page: words are sent once and pointed at, coordinates are whole numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import polars as pl

from tl_datasets.browse.pictures import Pictures
from tl_datasets.catalog import Catalog
from tl_datasets.network_size import LIMITS_PX, STEPS_PER_PX, InputSize, near_xyxy, sizes_px
from tl_datasets.taxonomy import State

_FRAME_WORDS = (
    "source",
    "label_status",
    "weather",
    "scene",
    "time_of_day",
    "sequence",
    "split",
    "condition_source",
    "pixel_format",
)
_FINDING_WORDS = ("rule", "severity", "message", "remedy")
_BOX_WORDS = (
    "category",
    "state",
    "pictogram",
    "relevance",
    "facing",
    "orientation",
    "aspects",
    "occluded",
    "truncated",
    "reflection",
    "ignore",
    "track_id",
    "source_label",
)


def page_data(
    catalog: Catalog, pictures: Pictures, findings: pl.DataFrame, input_size: InputSize, out: Path
) -> dict[str, Any]:
    """Everything that the page shows, as plain values for JSON.

    Args:
        catalog: The frames, boxes and images.
        pictures: What was written for it.
        findings: Rows of `findings_of`; those about other frames are left out.
        input_size: Network input to begin with.
        out: Folder of the page when it is done; images are named relative to it.
    """
    return {
        "input_size": [input_size.width_px, input_size.height_px],
        "limits_px": list(LIMITS_PX),
        "steps_per_px": STEPS_PER_PX,
        "states": list(State),
        "roots": {source: _root_urls(root, out) for source, root in catalog.roots.items()},
        "frames": {
            "id": catalog.frames["frame_id"].to_list(),
            "path": [quote(path.replace("\\", "/")) for path in catalog.frames["path"]],
            "width": catalog.frames["width_px"].to_list(),
            "height": catalog.frames["height_px"].to_list(),
            "first_box": catalog.offsets.tolist(),
            "labelled_categories": _words(catalog.frames["labelled_categories"].list.join(", ")),
            **{name: _words(catalog.frames[name]) for name in _FRAME_WORDS},
        },
        "unreadable": {str(row): pictures.unreadable[row] for row in sorted(pictures.unreadable)},
        "viewed": sorted(pictures.viewed),
        "boxes": {
            **_corners(catalog),
            **{name: _words(catalog.annotations[name]) for name in _BOX_WORDS},
        },
        "crops": {"box": sorted(pictures.crops), "region": [pictures.crops[box] for box in sorted(pictures.crops)]},
        "findings": _findings(catalog, findings),
        "catalog_findings": findings.filter(pl.col("frame_id").is_null()).select(_FINDING_WORDS).rows(),
    }


def json_for_script(value: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _words(values: pl.Series) -> dict[str, Any]:
    """A column as its different words, by first appearance, and one index per row; -1 = null.

    A column of one value has that index alone.
    """
    if values.dtype == pl.Boolean:
        values = values.replace_strict({True: "yes", False: "no"}, return_dtype=pl.String)
    values = values.cast(pl.String)
    words = values.drop_nulls().unique(maintain_order=True)
    numbers = {word: number for number, word in enumerate(words)}
    indices = [-1 if value is None else numbers[value] for value in values]
    one_value = len(set(indices)) == 1
    return {"words": words.to_list(), "index": indices[0] if one_value else indices}


def _corners(catalog: Catalog) -> dict[str, list[int]]:
    """Left, top, width, height in steps of a thousandth of a pixel."""
    left_top = np.rint(near_xyxy(catalog)[:, :2] * STEPS_PER_PX).astype(np.int64)
    sizes = np.rint(sizes_px(catalog) * STEPS_PER_PX).astype(np.int64)
    columns = np.concatenate([left_top, sizes], axis=1).T
    return {name: column.tolist() for name, column in zip(("x", "y", "w", "h"), columns, strict=True)}


def _root_urls(root: Path, out: Path) -> list[str]:
    """The image root as seen from the page, then as a URL of this machine: the page may be moved, or the images."""
    root = root.resolve()
    return [quote(os.fsencode(os.path.relpath(root, out.resolve()))), root.as_uri()]


def _findings(catalog: Catalog, findings: pl.DataFrame) -> dict[str, Any]:
    rows = catalog.frames.select("frame_id").with_row_index("row")
    joined = findings.join(rows, on="frame_id", how="inner", maintain_order="left")
    return {
        "frame": joined["row"].to_list(),
        "box": joined["box"].fill_null(-1).to_list(),
        **{name: _words(joined[name]) for name in _FINDING_WORDS},
    }
