"""Findings as one HTML file: no server, no other file, pictures of a bounded number of findings per rule inside.

All findings are in the file as JSON; the page shows those that pass its filters, a page at a time, so that ten thousand
of them stay quick.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.catalog import BOX_COLUMNS, Catalog
from tl_datasets.checks.findings import Findings
from tl_datasets.checks.rules import RULES, Rule, Severity
from tl_datasets.errors import ImageError
from tl_datasets.images import write_whole

Image = NDArray[np.uint8]

_PICTURES_PER_RULE = 40
_PICTURE_SIDE_PX = 220
_JPEG_QUALITY = 82
# Surroundings of a lamp on each side: a share of its longer side, and at least so many pixels.
_CONTEXT, _LEAST_CONTEXT_PX = 0.6, 10
_BOX_RGB = (255, 0, 255)


def write_html(
    findings: Findings,
    catalog: Catalog,
    path: Path | str,
    *,
    title: str = "Findings",
    pictures_per_rule: int = _PICTURES_PER_RULE,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the findings as one HTML file; it appears whole.

    Args:
        findings: Of a check of the catalog.
        catalog: For the pictures.
        path: File to write.
        title: Heading, usually the catalog's folder.
        pictures_per_rule: How many findings of each rule get a picture.
        progress: Called with the number of pictures done and the total.
    """
    path = Path(path)
    pictures = _pictures(findings.table, catalog, pictures_per_rule, progress)
    rows = [
        {
            **{name: item[name] for name in ("frame_id", "box", "rule", "severity", "message")},
            "picture": pictures.get(n),
        }
        for n, item in enumerate(findings.table.iter_rows(named=True))
    ]
    data = {
        "findings": rows,
        "rules": {rule: {"what": RULES[rule].what, "remedy": RULES[rule].remedy} for rule in Rule},
        "severities": list(Severity),
    }
    about = {name: value for name, value in findings.about.items() if name != "settings"}
    scope = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in about.items())
    page = (resources.files("tl_datasets.checks") / "report.html").read_text(encoding="utf-8")
    # A "<" inside a script element could end it; JSON may write it as an escape.
    filled = {
        "TITLE": html.escape(title),
        "SCOPE": html.escape(f"{scope}, catalog fingerprint: {findings.fingerprint}"),
        "DATA": json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
    }
    page = re.sub("@(TITLE|SCOPE|DATA)@", lambda mark: filled[mark[1]], page)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page)
    return path


def _pictures(
    table: pl.DataFrame, catalog: Catalog, per_rule: int, progress: Callable[[int, int], None] | None
) -> dict[int, str]:
    """Data URIs by row of the table; frames are read once each."""
    chosen = (
        table.with_row_index("_row")
        .filter(pl.col("frame_id").is_not_null())
        .filter(pl.int_range(pl.len()).over("rule") < per_rule)
    )
    index = {frame_id: row for row, frame_id in enumerate(catalog.frames["frame_id"])}
    pictures: dict[int, str] = {}
    groups = chosen.partition_by("frame_id", maintain_order=True) if len(chosen) else []
    for done, group in enumerate(groups, start=1):
        try:
            image = catalog.read_rgb(index[group["frame_id"][0]])
        except ImageError:
            continue  # the finding itself says that there is no picture
        for item in group.iter_rows(named=True):
            pictures[item["_row"]] = _data_uri(_picture(image, item))
        if progress is not None:
            progress(done, len(groups))
    return pictures


def _picture(image: Image, item: dict[str, Any]) -> Image:
    """The surroundings of the box with its outline, or the whole frame, made small."""
    height, width = image.shape[:2]
    xyxy = [item[name] for name in BOX_COLUMNS]
    if item["box"] is None or not all(value is not None and np.isfinite(value) for value in xyxy):
        return _fitted(image, enlarge=False)
    x1, y1, x2, y2 = xyxy
    context = max(_LEAST_CONTEXT_PX, _CONTEXT * max(x2 - x1, y2 - y1))
    left, top = int(np.clip(x1 - context, 0, width - 1)), int(np.clip(y1 - context, 0, height - 1))
    right, bottom = int(np.clip(x2 + context, left + 1, width)), int(np.clip(y2 + context, top + 1, height))
    picture = _fitted(image[top:bottom, left:right], enlarge=True)
    scale = picture.shape[0] / (bottom - top)
    corners = [round((value - offset) * scale) for value, offset in zip(xyxy, (left, top, left, top), strict=True)]
    corners = [int(np.clip(value, -2, 2 * _PICTURE_SIDE_PX)) for value in corners]
    cv2.rectangle(picture, (corners[0] - 1, corners[1] - 1), (corners[2], corners[3]), _BOX_RGB, 1)
    return picture


def _fitted(image: Image, enlarge: bool) -> Image:
    scale = _PICTURE_SIDE_PX / max(image.shape[:2])
    if scale >= 1 and not enlarge:
        return np.ascontiguousarray(image)
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=kind).astype(np.uint8)


def _data_uri(image: Image) -> str:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
