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

# Arguments of `index` and `convert` that are no options of a format, and where each is given.
_INDEX_OPTIONS = {
    "source": "",
    "progress": "",
    "format_name": "--format",
    "name": "--name",
    "images": "--images",
    "split": "--split",
    "sequence_regex": "--sequence",
}
_CONVERT_OPTIONS = {"catalog": "", "progress": "", "format_name": "--to", "out": "--out", "images": "--images"}


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
    from tl_datasets.options import parse_options

    refuse_existing(options.out)
    reader_options = parse_options(options.option, _INDEX_OPTIONS)
    source = _unpacked(options.source, options.unpack)
    with progress("index") as show:
        catalog, report = index(
            source,
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


def _unpacked(source: Path, folder: Path | None) -> Path:
    """The source, taken out of the archive that it is or lies in."""
    from tl_datasets.archives.unpack import split_archive_path, unpack

    found = split_archive_path(source)
    if found is None:
        if folder is not None:
            raise UsageError(f"--unpack {folder}: {source} is no archive that exists; leave --unpack out")
        return source
    archive, inside = found
    if folder is None:
        raise UsageError(f"{archive}: is an archive; give --unpack DIR, a new folder to unpack it to before it is read")
    with progress("unpack", "files") as show:
        place = unpack(archive, folder, progress=show) / inside
    # Most archives hold one folder with everything in it.
    while place.is_dir() and [item.is_dir() for item in place.iterdir()] == [True]:
        place = next(place.iterdir())
    return place


def run_convert(options: argparse.Namespace) -> int:
    """`tl convert`."""
    from tl_datasets.catalog import Catalog
    from tl_datasets.convert import convert
    from tl_datasets.options import parse_options

    refuse_existing(options.out)
    writer_options = parse_options(options.option, _CONVERT_OPTIONS)
    catalog = Catalog.open(options.catalog)
    with progress("convert", unit="images") as show:
        report = convert(catalog, options.to, options.out, images=options.images, progress=show, **writer_options)
    for line in report.lines():
        logger.info("%s", line)
    print(f"{options.out}: {len(catalog) - report.losses['frame']} of {len(catalog)} frames as {options.to}")
    return 0


def run_merge(options: argparse.Namespace) -> int:
    """`tl merge`."""
    from tl_datasets.catalog import Catalog
    from tl_datasets.merge import merge, shared_images

    refuse_existing(options.out)
    catalog = merge([Catalog.open(folder) for folder in options.catalogs])
    number = shared_images(catalog)
    if number:
        logger.warning("%d images lie in several sources; tl split keeps identical images in one part", number)
    catalog.save(options.out)
    counts = catalog.frames.group_by("source").len().sort("source")
    listed = ", ".join(f"{row['source']} {row['len']}" for row in counts.iter_rows(named=True))
    print(f"{options.out}: {len(catalog)} frames ({listed}), {len(catalog.annotations)} boxes")
    return 0


def run_summary(options: argparse.Namespace) -> int:
    """`tl summary`."""
    from tl_datasets.catalog import Catalog
    from tl_datasets.network_size import InputSize
    from tl_datasets.summary import format_summary, summarise

    summary = summarise(Catalog.open(options.catalog), InputSize.parse(options.input_size))
    print(json.dumps(summary, indent=2) if options.json else format_summary(summary))
    return 0


def run_browse(options: argparse.Namespace) -> int:
    """`tl browse`."""
    from tl_datasets.browse.page import write_page
    from tl_datasets.catalog import Catalog
    from tl_datasets.checks.findings import Findings
    from tl_datasets.network_size import InputSize

    refuse_existing(options.out)
    input_size = InputSize.parse(options.input_size)
    catalog = Catalog.open(options.catalog)
    findings = None if options.findings is None else Findings.load(options.findings)
    with progress("browse") as show:
        report = write_page(
            catalog,
            options.out,
            title=options.catalog.resolve().name,
            input_size=input_size,
            findings=findings,
            limit=options.limit,
            progress=show,
        )
    part = "" if report.frames == report.frames_in_catalog else f" of {report.frames_in_catalog}"
    print(f"{report.index}: {report.frames}{part} frames, {report.boxes} boxes, {report.crops} crops")
    if report.unreadable:
        logger.warning("%d images cannot be read; their frames stand on the page with the reason", report.unreadable)
    return 0


def run_duplicates(options: argparse.Namespace) -> int:
    """`tl duplicates`."""
    from tl_datasets.catalog import Catalog
    from tl_datasets.duplicates.find import find_duplicates
    from tl_datasets.duplicates.pair_files import format_pairs, write_pairs
    from tl_datasets.duplicates.pair_sheets import write_pair_sheets

    if options.sheets < 0:
        raise UsageError(f"--sheets {options.sheets}: expected 0 or more pairs to show")
    if options.out is not None:
        refuse_existing(options.out)
    catalog = Catalog.open(options.catalog)
    with progress("duplicates", unit="images") as show:
        duplicates = find_duplicates(catalog, seconds=options.seconds, frames=options.frames, progress=show)
    print(format_pairs(duplicates))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        path = write_pairs(duplicates, options.out)
        pages = write_pair_sheets(catalog, duplicates.pairs, options.out, limit=options.sheets)
        shown = min(options.sheets, len(duplicates.pairs))
        print(f"{path}: {len(duplicates.pairs)} pairs; {len(pages)} pages show {shown} of them side by side")
    return 0


def run_split(options: argparse.Namespace) -> int:
    """`tl split`."""
    from tl_datasets.catalog import Catalog
    from tl_datasets.duplicates.pair_files import read_pairs
    from tl_datasets.splits.split import PARTS, split_catalog

    refuse_existing(options.out)
    assign: dict[str, list[str]] = {}
    for text in options.assign:
        part, equals, sequences = text.partition("=")
        if not equals or not part or not sequences:
            raise UsageError(f"--assign {text}: expected PART=SEQUENCE[,SEQUENCE], such as val=Bochum,Bremen")
        assign.setdefault(part, []).extend(sequences.split(","))
    catalog = split_catalog(
        Catalog.open(options.catalog),
        val=options.val,
        test=options.test,
        seed=options.seed,
        assign=assign or None,
        like=None if options.like is None else Catalog.open(options.like),
        together=None if options.together is None else read_pairs(options.together),
    )
    catalog.save(options.out)
    counts = dict(catalog.frames.group_by("split").len().iter_rows())
    listed = ", ".join(f"{part} {counts[part]} ({counts[part] / len(catalog):.0%})" for part in PARTS if part in counts)
    print(f"{options.out}: {listed} frames")
    return 0


def run_check(options: argparse.Namespace) -> int:
    """`tl check`."""
    from tl_datasets.catalog import Catalog
    from tl_datasets.checks.report_html import write_html
    from tl_datasets.checks.report_text import format_findings
    from tl_datasets.checks.rules import Severity
    from tl_datasets.checks.run import check
    from tl_datasets.checks.settings import CheckSettings
    from tl_datasets.config import validate_config
    from tl_datasets.errors import ConfigError
    from tl_datasets.new_folder import new_folder

    if options.out is not None:
        refuse_existing(options.out)
    thresholds = {}
    for text in options.threshold:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--threshold {text}: expected key=value, such as height_min_px=6")
        if key in thresholds:
            raise UsageError(f"--threshold {text}: given twice; expected each threshold once")
        thresholds[key] = value
    try:
        settings = validate_config(CheckSettings, thresholds, "--threshold")
    except ConfigError as error:
        raise UsageError(str(error)) from error
    catalog = Catalog.open(options.catalog, check_boxes=False)
    with progress("check") as show:
        findings = check(catalog, settings, images=options.images, progress=show)
    print(format_findings(findings))
    if options.out is not None:
        with new_folder(options.out) as folder, progress("pictures") as show:
            findings.save(folder)
            page = folder / "findings.html"
            write_html(findings, catalog, page, title=f"Findings in {options.catalog}", progress=show)
        print(f"{options.out}: findings.parquet, check.json, findings.html")
    bad = findings.count(Severity.ERROR) + (findings.count(Severity.WARNING) if options.strict else 0)
    return 1 if bad else 0


def run_clean(options: argparse.Namespace) -> int:
    """`tl clean`."""
    from tl_datasets.catalog import Catalog
    from tl_datasets.checks.findings import Findings
    from tl_datasets.checks.run import check
    from tl_datasets.cleaning.clean import clean
    from tl_datasets.cleaning.files import load_record, refuse_nested, save_cleaned
    from tl_datasets.cleaning.policy import load_policy
    from tl_datasets.cleaning.record import undo

    refuse_existing(options.out)
    if options.undo is not None:
        given = {
            "CATALOG": options.catalog,
            "--policy": options.policy,
            "--findings": options.findings,
            "--quarantine": options.quarantine,
        }
        extra = next((name for name, value in given.items() if value is not None), None)
        if extra is not None:
            raise UsageError(f"--undo cannot be combined with {extra}; it takes the cleaned catalog alone")
        restored = undo(Catalog.open(options.undo), load_record(options.undo))
        restored.save(options.out)
        print(f"{options.out}: {len(restored)} frames, {len(restored.annotations)} boxes, as before the cleaning")
        return 0
    if options.catalog is None or options.policy is None:
        missing = "CATALOG" if options.catalog is None else "--policy FILE"
        raise UsageError(f"{missing} is missing; expected CATALOG --policy FILE, or --undo CATALOG2")
    if options.quarantine is not None:
        refuse_existing(options.quarantine)
        refuse_nested(options.out, options.quarantine)
    policy = load_policy(options.policy)
    catalog = Catalog.open(options.catalog, check_boxes=False)
    if options.findings is not None:
        findings = Findings.load(options.findings)
    else:
        with progress("check") as show:
            findings = check(catalog, images=options.images, progress=show)
    cleaned = clean(catalog, findings, policy)
    aside = save_cleaned(cleaned, options.out, options.quarantine)
    left = f"{len(cleaned.catalog)} frames, {len(cleaned.catalog.annotations)} boxes"
    done = ", ".join(f"{action}: {number}" for action, number in cleaned.record.counts().items())
    print(f"{options.out}: {left} ({done or 'nothing to change'})")
    if aside is not None:
        print(f"{aside}: {len(cleaned.quarantine)} frames to be looked at")
    return 0


def refuse_existing(path: Path) -> None:
    """Before long work, not after it."""
    from tl_datasets.errors import DataError

    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DataError(f"{path}: exists already; choose another --out or remove it first")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise DataError(f"{path}: cannot be made in {parent}; check its rights, or choose another --out")
