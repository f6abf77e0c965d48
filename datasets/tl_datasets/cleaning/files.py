"""A cleaned catalog on disk: the catalog with `clean_record/` inside, and the quarantine as a catalog of its own."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from tl_datasets.catalog import ANNOTATION_SCHEMA, FRAME_SCHEMA, write_table
from tl_datasets.cleaning.clean import Cleaned
from tl_datasets.cleaning.record import RECORD_COLUMNS, CleanRecord
from tl_datasets.errors import DataError
from tl_datasets.new_folder import new_folder, refuse_full

RECORD_FOLDER = "clean_record"
QUARANTINE_FOLDER = "quarantine"
_VERSION = 1
_TEXTS = ("fingerprint_before", "fingerprint_after", "digest_after")


def save_cleaned(cleaned: Cleaned, folder: Path | str, quarantine: Path | str | None = None) -> Path | None:
    """Write the cleaned catalog with its record; the folder appears whole.

    Args:
        cleaned: What `clean` gave.
        folder: Catalog folder to make.
        quarantine: Catalog folder to make for the frames that were set aside; None = `quarantine/` inside the first.
            Nothing is made without such frames.

    Returns:
        The quarantine's folder, or None.

    Raises:
        DataError: A folder exists already and is not empty, or the quarantine lies in the cleaned catalog.
    """
    folder = Path(folder)
    if quarantine is not None:
        refuse_nested(folder, Path(quarantine))
    places = [folder] if quarantine is None or not len(cleaned.quarantine) else [folder, Path(quarantine)]
    for place in places:
        refuse_full(place)
    aside = None
    # The temporary folder is a sibling of the target: paths relative to the catalog are the same in it.
    with new_folder(folder) as temporary:
        cleaned.catalog.save(temporary)
        _write_record(cleaned.record, temporary / RECORD_FOLDER)
        if len(cleaned.quarantine):
            aside = folder / QUARANTINE_FOLDER if quarantine is None else Path(quarantine)
            cleaned.quarantine.save(temporary / QUARANTINE_FOLDER if quarantine is None else aside)
    return aside


def refuse_nested(folder: Path, quarantine: Path) -> None:
    """Before long work: the cleaned catalog appears whole, so nothing can be in its place before.

    Raises:
        DataError: The quarantine lies in the cleaned catalog.
    """
    if quarantine.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            f"{quarantine}: lies in the cleaned catalog {folder}; choose a folder outside of it, or none for "
            f"{folder / QUARANTINE_FOLDER}"
        )


def load_record(folder: Path | str) -> CleanRecord:
    """Read the record of a cleaned catalog.

    Raises:
        DataError: The folder holds no record, or a broken one.
    """
    place = Path(folder) / RECORD_FOLDER
    try:
        about = json.loads((place / "record.json").read_text(encoding="utf-8"))
        frames = pl.read_parquet(place / "frames.parquet").select(*RECORD_COLUMNS, *FRAME_SCHEMA)
        boxes = pl.read_parquet(place / "boxes.parquet").select(*RECORD_COLUMNS, *ANNOTATION_SCHEMA)
        if about["version"] != _VERSION:
            raise ValueError(f"version {about['version']}")
        if any(table[name].null_count() for table in (frames, boxes) for name in RECORD_COLUMNS):
            raise ValueError("a row without its place, action or rules")
        return CleanRecord(
            frames=frames.cast({**RECORD_COLUMNS, **FRAME_SCHEMA}),  # type: ignore[arg-type]
            boxes=boxes.cast({**RECORD_COLUMNS, **ANNOTATION_SCHEMA}),  # type: ignore[arg-type]
            policy=about["policy"],
            **{name: str(about[name]) for name in _TEXTS},
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{place}: no record of a cleaning ({error.__class__.__name__}); expected a catalog that tl clean made"
        ) from error


def _write_record(record: CleanRecord, folder: Path) -> None:
    folder.mkdir()
    write_table(record.frames, folder / "frames.parquet")
    write_table(record.boxes, folder / "boxes.parquet")
    about = {
        "version": _VERSION,
        **{name: getattr(record, name) for name in _TEXTS},
        "counts": record.counts(),
        "policy": dict(record.policy),
    }
    (folder / "record.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
