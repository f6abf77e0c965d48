"""Writes a comparison into a folder: compare.json, compare.md, changed_frames.csv and pictures."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from tl_datasets.new_folder import new_folder
from tl_detection.evaluation.compare.comparison import Comparison
from tl_detection.evaluation.compare.inputs import Compared
from tl_detection.evaluation.compare.pictures import draw_pictures
from tl_detection.evaluation.compare.render import format_markdown


def write_comparison(comparison: Comparison, compared: Compared, out: Path, *, n_pictures: int) -> None:
    """Write everything; the folder appears whole.

    Args:
        comparison: The differences.
        compared: For the pictures.
        out: Folder to make.
        n_pictures: Worst and best frames to draw, of each detector but the first.

    Raises:
        DataError: The folder exists and holds something.
    """
    with new_folder(out) as folder:
        pictures = draw_pictures(comparison, compared, folder, n_pictures)
        text = json.dumps(comparison.to_dict(), indent=2, allow_nan=False) + "\n"
        (folder / "compare.json").write_text(text, encoding="utf-8")
        (folder / "compare.md").write_text(format_markdown(comparison, pictures), encoding="utf-8")
        _changed_frames(comparison).write_csv(folder / "changed_frames.csv")


def _changed_frames(comparison: Comparison) -> pl.DataFrame:
    """Every frame with a difference, the worst first."""
    schema = {
        **dict.fromkeys(("second", "kind", "frame_id", "sequence", "weather", "scene", "time_of_day"), pl.String),
        **dict.fromkeys(("red_as_green_new", "red_as_green_mended", "lost", "gained"), pl.Int64),
        **dict.fromkeys(("wrong_first", "wrong_second"), pl.Int64),
    }
    rows = []
    for change in comparison.changes:
        for kind, frames in (("worse", change.worse), ("better", change.better)):
            for item in frames:
                known = {name: getattr(item, name, None) for name in schema}
                rows.append({**known, **item.conditions, "second": change.second, "kind": kind})
    return pl.DataFrame(rows, schema=schema)
