"""The commands about annotated frames: thin functions over the Python API. Heavy imports happen inside them."""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path

from tl_datasets.errors import UsageError
from tl_detection.progress import progress

logger = logging.getLogger(__name__)

# Arguments of `index` that are no options of a reader, and where each is given.
_OWN_OPTIONS = {
    "format_name": "--format",
    "name": "--name",
    "images": "--images",
    "split": "--split",
    "sequence_regex": "--sequence",
}


def run_draw(options: argparse.Namespace) -> int:
    """`tl draw`."""
    from tl_datasets.catalog import Catalog
    from tl_datasets.formats import coco
    from tl_datasets.synthetic import plan_sequences, write_dataset

    specs = plan_sequences(
        options.sequences,
        options.frames,
        seed=options.seed,
        width_px=options.width,
        height_px=options.height,
        head_density=options.head_density,
    )
    with progress("draw") as show:
        frames = write_dataset(specs, options.out, progress=show)
    catalog = Catalog.from_frames(frames, source="drawn", root=options.out)
    annotations = options.out / "annotations.json"
    coco.write_document(catalog, annotations)
    print(f"{annotations}: {len(catalog)} frames, {len(catalog.annotations)} boxes")
    return 0


def run_index(options: argparse.Namespace) -> int:
    """`tl index`."""
    from tl_datasets.index import index

    refuse_existing(options.out)
    reader_options = {}
    for text in options.option:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--option {text}: expected key=value, such as labels=annotations")
        if key in ("source", "progress"):
            raise UsageError(f"--option {text}: no option of a reader; leave it out")
        if key in _OWN_OPTIONS:
            raise UsageError(f"--option {text}: is an option of its own; give {_OWN_OPTIONS[key]} {value}")
        reader_options[key] = value
    with progress("index") as show:
        catalog, report = index(
            options.source,
            options.format,
            name=options.name,
            images=options.images,
            split=options.split,
            sequence_regex=options.sequence,
            progress=show,
            **reader_options,
        )
    for line in report.lines():
        logger.info("%s", line)
    catalog.save(options.out)
    print(f"{options.out}: {len(catalog)} frames, {len(catalog.annotations)} boxes, fingerprint {catalog.fingerprint}")
    return 0


def run_summary(options: argparse.Namespace) -> int:
    """`tl summary`."""
    from tl_datasets.catalog import Catalog
    from tl_datasets.summary import format_summary, summarise

    summary = summarise(Catalog.open(options.catalog))
    print(json.dumps(summary, indent=2) if options.json else format_summary(summary))
    return 0


def run_split(options: argparse.Namespace) -> int:
    """`tl split`."""
    from tl_datasets.catalog import Catalog
    from tl_datasets.splits import split_catalog

    refuse_existing(options.out)
    assign: dict[str, list[str]] = {}
    for text in options.assign:
        part, equals, sequences = text.partition("=")
        if not equals or not part or not sequences:
            raise UsageError(f"--assign {text}: expected PART=SEQUENCE[,SEQUENCE], such as val=Bochum,Bremen")
        assign.setdefault(part, []).extend(sequences.split(","))
    catalog = split_catalog(
        Catalog.open(options.catalog), val=options.val, test=options.test, seed=options.seed, assign=assign or None
    )
    catalog.save(options.out)
    counts = catalog.frames.group_by("split").len().sort("split")
    listed = ", ".join(f"{row['split']} {row['len']}" for row in counts.iter_rows(named=True))
    print(f"{options.out}: {listed} frames")
    return 0


def refuse_existing(path: Path) -> None:
    """Before long work, not after it."""
    from tl_datasets.errors import DataError

    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DataError(f"{path}: exists already; choose another --out or remove it first")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise DataError(f"{path}: cannot be made in {parent}; check its rights, or choose another --out")
