"""`write_page`: a folder with `index.html` and the pictures beside it, for a browser and without a server."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import polars as pl

from tl_datasets.browse.columns import json_for_script, page_data
from tl_datasets.browse.crop_choice import choose_crops
from tl_datasets.browse.findings import findings_of
from tl_datasets.browse.pictures import write_pictures
from tl_datasets.catalog import Catalog
from tl_datasets.checks.findings import FINDING_SCHEMA, Findings
from tl_datasets.errors import UsageError
from tl_datasets.network_size import DEFAULT_INPUT_SIZE, InputSize
from tl_datasets.new_folder import new_folder, refuse_full

# In the order in which they build on each other; they become one script.
_SCRIPTS = ("tables.js", "filters.js", "counts.js", "boxes.js", "gallery.js", "crops.js", "viewer.js", "main.js")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReport:
    """What a page holds.

    Attributes:
        index: The file to open.
        frames: Frames in the gallery.
        frames_in_catalog: Frames that the catalog has.
        boxes: Boxes of the frames in the gallery.
        crops: Lights that were cut out.
        unreadable: Frames whose image could not be read; they stand in the gallery with the reason.
    """

    index: Path
    frames: int
    frames_in_catalog: int
    boxes: int
    crops: int
    unreadable: int


def write_page(
    catalog: Catalog,
    out: Path | str,
    *,
    title: str = "catalog",
    input_size: InputSize = DEFAULT_INPUT_SIZE,
    findings: Findings | None = None,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> PageReport:
    """Write the page of a catalog; the folder appears whole.

    Args:
        catalog: The frames to show.
        out: Folder to make; it may exist only if it is empty.
        title: Heading of the page.
        input_size: Network input at which sizes are told to begin with; the page can change it.
        findings: What a check of the catalog found.
        limit: Show this many frames, at even distances in the catalog; None = all.
        seed: Of the choice of crops.
        progress: Called after every frame with the number of frames done and in all.

    Raises:
        DataError: The folder holds something, or the findings are of another catalog.
        UsageError: The limit is not positive.
    """
    out = Path(out)
    refuse_full(out)
    shown = thin_out(catalog, limit)
    found = pl.DataFrame(schema=FINDING_SCHEMA) if findings is None else findings_of(catalog, findings)
    with new_folder(out) as temporary:
        pictures = write_pictures(shown, temporary, choose_crops(shown, seed=seed), progress)
        data = {
            "title": title,
            "fingerprint": catalog.fingerprint,
            "frames_in_catalog": len(catalog),
            **page_data(shown, pictures, found, input_size, out.resolve()),
        }
        (temporary / "index.html").write_text(render(title, json_for_script(data)), encoding="utf-8")
    return PageReport(
        index=out / "index.html",
        frames=len(shown),
        frames_in_catalog=len(catalog),
        boxes=len(shown.annotations),
        crops=len(pictures.crops),
        unreadable=len(pictures.unreadable),
    )


def thin_out(catalog: Catalog, limit: int | None) -> Catalog:
    """At most that many frames, at even distances, so that every source and sequence keeps its share.

    Raises:
        UsageError: The limit is not positive.
    """
    if limit is None or limit >= len(catalog):
        return catalog
    if limit < 1:
        raise UsageError(f"limit {limit}: expected a positive number of frames")
    rows = np.linspace(0, len(catalog), limit, endpoint=False).astype(np.int64)
    return catalog.with_frames(catalog.frames[rows])


def render(title: str, data: str) -> str:
    """The text of `index.html`.

    The page allows its own script by hash and no other, and nothing from anywhere but files beside it or on this
    machine: a word of an annotation file that slips through somewhere still cannot run or fetch anything.

    Args:
        title: Heading of the page, any text.
        data: Output of `json_for_script`.
    """
    folder = resources.files("tl_datasets.browse") / "web"
    script = "\n".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}}})();\n'
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "TITLE": html.escape(title),
        "SCRIPT_HASH": f"sha256-{digest}",
        "STYLE": (folder / "page.css").read_text(encoding="utf-8"),
        "DATA": data,
        "SCRIPT": script,
    }
    pieces = (folder / "page.html").read_text(encoding="utf-8").split("@@")
    # Odd pieces are names between two marks; what is put in is never searched for marks again.
    return "".join(parts[piece] if number % 2 else piece for number, piece in enumerate(pieces))
