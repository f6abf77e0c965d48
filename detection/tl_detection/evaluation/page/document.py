"""`write_html`: the page as one file that opens from disk and asks for nothing.

plotly draws the charts: it is well kept, its licence is MIT, its package holds the browser's part as one file, so that
nothing is fetched or bundled, and a chart is described by data, not by code. It is 4.8 MB; there is no smaller part of
it in the package. Its charts say nothing to a screen reader, so each has a table with the same numbers.

The page allows its own two scripts by their hashes, no other, and no request at all: a word of an annotation file
that slipped through somewhere could neither run nor fetch anything.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from tl_datasets.browse.columns import json_for_script
from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError
from tl_datasets.images import write_whole
from tl_detection.evaluation.page.collect import collect_page, collect_rows
from tl_detection.evaluation.page.data import PageData, SliceRow
from tl_detection.evaluation.page.gallery import CASES_PER_KIND, Progress, collect_gallery
from tl_detection.evaluation.report import Evaluation
from tl_detection.evaluation.slice_analyses import SliceAnalyses

# In the order in which they build on each other; they become one script.
_SCRIPTS = ("elements.js", "numbers.js", "charts.js", "summary.js", "conditions.js", "curves.js", "states.js")
_SCRIPTS += ("gallery.js", "main.js")
_DIGITS = 6


def write_html(
    evaluation: Evaluation,
    analyses: SliceAnalyses,
    catalog: Catalog | None,
    path: Path | str,
    *,
    title: str = "Evaluation",
    rows: Sequence[SliceRow] | None = None,
    cases_per_kind: int = CASES_PER_KIND,
    progress: Progress | None = None,
) -> Path:
    """Write an evaluation as one HTML file; it appears whole.

    Args:
        evaluation: What scoring gave; its report holds the intervals that the page shows.
        analyses: Of the same evaluation.
        catalog: That was scored, for the pictures; None = a gallery without pictures.
        path: File to write.
        title: Heading, usually what was scored.
        rows: Of `collect_rows`, where they are at hand.
        cases_per_kind: Cases of each kind in the gallery; 0 = no gallery.
        progress: Called with the number of images of the gallery done and in all.

    Raises:
        DataError: The file cannot be written.
        UsageError: The number of cases is negative.
    """
    gallery = None
    if cases_per_kind:
        gallery = collect_gallery(analyses.answers, catalog, per_kind=cases_per_kind, progress=progress)
    rows = collect_rows(evaluation, analyses) if rows is None else rows
    return write_page(collect_page(evaluation, analyses, rows, title=title, gallery=gallery), path)


def write_page(data: PageData, path: Path | str) -> Path:
    """Write collected data as one HTML file.

    Raises:
        DataError: The file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, render(data))
    except OSError as error:
        raise DataError(f"{path}: cannot write the page ({error.strerror}); choose another place") from error
    return path


def render(data: PageData) -> str:
    """The text of the file."""
    from plotly.offline import get_plotlyjs

    folder = resources.files("tl_detection.evaluation.page") / "web"
    library = f"\n{get_plotlyjs()}\n"
    script = "\n".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}}})();\n'
    parts = {
        "TITLE": html.escape(data.title),
        "HASHES": " ".join(f"'{_hash(item)}'" for item in (library, script)),
        "STYLE": (folder / "page.css").read_text(encoding="utf-8"),
        "DATA": json_for_script(_short(asdict(data))),
        "LIBRARY": library,
        "SCRIPT": script,
    }
    pieces = (folder / "page.html").read_text(encoding="utf-8").split("@@")
    # Odd pieces are names between two marks; what is put in is never searched for marks again.
    return "".join(parts[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def _short(value: Any) -> Any:
    """The same with as many digits as a page can use: full ones would be half of its data."""
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, dict):
        return {name: _short(item) for name, item in value.items()}
    return [_short(item) for item in value] if isinstance(value, list | tuple) else value


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
