"""A catalog into the files of another format, images included; the folder appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import polars as pl

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, UsageError, show
from tl_datasets.formats import (
    bdd100k_write,
    bstld_write,
    coco,
    cvat_write,
    dtld_write,
    kitti_write,
    openlabel_write,
    voc_write,
    yolo_write,
)
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.images import write_rgb
from tl_datasets.new_folder import new_folder, refuse_full
from tl_datasets.options import checked_options
from tl_datasets.taxonomy import LabelStatus, PixelFormat

WRITERS: dict[str, Callable[..., list[str]]] = {
    "bdd100k": bdd100k_write.write,
    "bstld": bstld_write.write,
    "coco": coco.write,
    "cvat": cvat_write.write,
    "dtld": dtld_write.write,
    "kitti": kitti_write.write,
    "openlabel": openlabel_write.write,
    "voc": voc_write.write,
    "yolo": yolo_write.write,
}
# Formats whose own images are raw sensor frames, and of which kind.
_OWN_RAW = {"dtld": PixelFormat.BAYER_GRBG12}
# Formats in which a frame can say that nobody labelled it.
_HOLDS_UNLABELLED = frozenset({"coco", "cvat", "openlabel", "yolo"})
_RECORD = "conversion.json"

# What happens to the image files: copied; linked to the same bytes, which saves space, but a program that changes one
# changes the original; or left where they are, so that only annotation files are written.
ImageMode = Literal["copy", "link", "none"]
Progress = Callable[[int, int | None], None]


def convert(
    catalog: Catalog,
    format_name: str,
    out: Path | str,
    *,
    images: ImageMode = "copy",
    progress: Progress | None = None,
    **options: Any,
) -> WriteReport:
    """Write a catalog in another format.

    Raw sensor frames become 8-bit PNG files, except in a format that has them.

    Args:
        catalog: What to write; it stays as it is.
        format_name: A key of `WRITERS`.
        out: Folder to make.
        images: What happens to the image files.
        progress: Called with the number of images done and the total.
        options: Further options of the format's writer.

    Returns:
        What the format cannot hold, counted by field; the same stands in `conversion.json`.

    Raises:
        UsageError: The format or an option is wrong.
        DataError: The folder exists and is not empty, the catalog is empty, or an image is missing.
    """
    if format_name not in WRITERS:
        raise UsageError(f"format '{format_name}', expected one of: {', '.join(WRITERS)}")
    if images not in ("copy", "link", "none"):
        raise UsageError(f"images {show(images)}, expected copy, link or none")
    out = Path(out)
    refuse_full(out)
    if not len(catalog):
        raise DataError("the catalog has no frames; expected at least one")
    if format_name not in _HOLDS_UNLABELLED and not (catalog.frames["label_status"] != LabelStatus.UNLABELLED).any():
        raise DataError(
            f"convert: nobody labelled a frame of the catalog, which {format_name} cannot say; expected at least one "
            f"labelled frame, or one of {', '.join(sorted(_HOLDS_UNLABELLED))}"
        )
    writer = WRITERS[format_name]
    options = checked_options(writer, format_name, options, given={"catalog", "out", "report"})
    written = _without_raw(catalog, but=_OWN_RAW.get(format_name))
    report = WriteReport()
    with new_folder(out) as temporary:
        places = writer(written, temporary, report=report, **options)
        # Whoever reads the files gives them one name; several come back as one source.
        report.lose("frame.source", len(catalog) if len(catalog.roots) > 1 else 0)
        if images != "none":
            for row, place in enumerate(places):
                was, is_now = (frames["pixel_format"][row] for frames in (catalog.frames, written.frames))
                _place_image(catalog, row, temporary / place, images, decode=was != is_now)
                if progress is not None:
                    progress(row + 1, len(places))
        record = {"format": format_name, "catalog_fingerprint": catalog.fingerprint, "losses": report.to_dict()}
        (temporary / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return report


def _without_raw(catalog: Catalog, but: PixelFormat | None) -> Catalog:
    """The catalog as it is once raw frames, but those of one kind, are PNG files."""
    is_decoded = pl.col("pixel_format").is_not_null() & (pl.col("pixel_format") != (but or ""))
    png = pl.col("path").str.replace(r"\.[^./]*$", "") + ".png"
    return catalog.with_frames(
        catalog.frames.with_columns(
            path=pl.when(is_decoded).then(png).otherwise("path"),
            pixel_format=pl.when(is_decoded).then(pl.lit(None, dtype=pl.String)).otherwise("pixel_format"),
        )
    )


def _place_image(catalog: Catalog, row: int, target: Path, images: ImageMode, *, decode: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if decode:
        write_rgb(target, catalog.read_rgb(row))
        return
    source = catalog.image_path(row)
    try:
        if images == "link":
            os.link(source, target)
        else:
            shutil.copyfile(source, target)
    except FileNotFoundError as error:
        raise DataError(
            f"{source}: no such image; add it, or write annotation files alone with --images none"
        ) from error
    except OSError as error:
        kind, remedy = ("hard link to", "use --images copy") if images == "link" else ("copy of", "use --images link")
        raise DataError(f"{target}: cannot be a {kind} {source} ({error.strerror}); {remedy} or none") from error
