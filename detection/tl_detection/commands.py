"""What each command of `tl` does: thin functions over the Python API. Heavy imports happen inside them."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from tl_datasets.errors import UsageError, WeightsError
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


def run_demo(options: argparse.Namespace) -> int:
    """`tl demo`."""
    from tl_detection.demo import run_demo as demo

    folder = demo(options.out, seed=options.seed, overrides=options.overrides)
    print(folder)
    return 0


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
    coco.write(catalog, annotations)
    print(f"{annotations}: {len(catalog)} frames, {len(catalog.annotations)} boxes")
    return 0


def run_index(options: argparse.Namespace) -> int:
    """`tl index`."""
    from tl_datasets.index import index

    _refuse_existing(options.out)
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

    _refuse_existing(options.out)
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


def run_train(options: argparse.Namespace) -> int:
    """`tl train`."""
    from tl_detection.config import load_run_config
    from tl_detection.training.train import resume, train

    if options.resume is not None:
        if options.config is not None or options.overfit is not None:
            raise UsageError("--resume goes on with the run's own configuration; give no configuration beside it")
        run = resume(options.resume)
    elif options.config is None:
        raise UsageError("no configuration; expected tl train CONFIG.yaml or tl train --resume RUN")
    else:
        overrides = list(options.overrides)
        if options.overfit is not None:
            overrides.append(f"data.overfit_frames={options.overfit}")
        run = train(load_run_config(options.config, overrides))
    print(run.path)
    return 0


def run_config(options: argparse.Namespace) -> int:
    """`tl config`."""
    from tl_datasets.config import dump_config
    from tl_detection.config import load_run_config

    print(dump_config(load_run_config(options.config, options.overrides)), end="")
    return 0


def run_evaluate(options: argparse.Namespace) -> int:
    """`tl evaluate`."""
    from tl_datasets.catalog import Catalog
    from tl_datasets.errors import DataError
    from tl_detection.evaluation.conditions import check_columns
    from tl_detection.evaluation.predictions import read_predictions, write_predictions
    from tl_detection.evaluation.report import collect_detections, evaluate, format_console, write_report

    whole = catalog = Catalog.open(options.catalog)
    if options.split is not None:
        parts = sorted(part for part in catalog.frames["split"].unique() if part is not None)
        if options.split not in parts:
            raise DataError(
                f"{options.catalog}: no frame of split '{options.split}'; it has {', '.join(parts) or 'none'}"
            )
        catalog = catalog.filter(f"split == {options.split!r}")
    if options.where is not None:
        catalog = catalog.filter(options.where)
    if not len(catalog):
        raise DataError(f"{options.catalog}: no frame left to score; check --split and --where")
    if options.out is not None:
        _refuse_existing(options.out)
    by = [word for word in options.by.split(",") if word]
    check_columns(by)
    if options.model.suffix == ".json":
        if options.label_space is None:
            raise UsageError(
                "predictions say nothing of classes; give --label-space FILE (YAML, or a run configuration)"
            )
        label_space = _read_label_space(options.label_space)
        detections = read_predictions(options.model, catalog, label_space, coco=options.coco, whole=whole)
        description = {"engine": "predictions file", "file": options.model.name}
    else:
        from tl_detection.detectors.load import load_detector

        detector = load_detector(options.model, options.device)
        label_space, description = detector.label_space, detector.description
        with progress("detect") as show:
            detections = collect_detections(detector, catalog, progress=show)
    report = evaluate(detections, catalog, label_space, by=by, model=description)
    print(format_console(report))
    if options.out is not None:
        write_report(report, options.out)
        write_predictions(options.out / "predictions.json", catalog, label_space, detections)
        print(f"{options.out}")
    return 0


def run_export(options: argparse.Namespace) -> int:
    """`tl export`."""
    from tl_detection.export.export import export

    weights = options.model / "weights" / "best.pt" if options.model.is_dir() else options.model
    catalog, where = options.catalog, None
    if catalog is None and options.frames > 0:
        catalog, where = _frames_of_run(weights)
    with progress("compare") as show:
        report = export(
            weights,
            options.out,
            catalog=catalog,
            where=where,
            n_frames=options.frames,
            overwrite=options.force,
            progress=show,
        )
    for line in report.lines():
        print(line)
    return 0


def run_detect(options: argparse.Namespace) -> int:
    """`tl detect`."""
    from tl_detection.detect import detect_files
    from tl_detection.detectors.load import load_detector

    with progress("detect") as show:
        summary = detect_files(
            load_detector(options.model, options.device),
            options.sources,
            options.out,
            score_threshold=options.score,
            every_nth=options.every,
            progress=show,
        )
    for fault in summary.faults:
        print(f"tl detect: {fault}", file=sys.stderr)
    print(f"{options.out}: {summary.n_frames} frames, {summary.n_detections} detections")
    return 1 if summary.faults else 0


def _frames_of_run(weights: Path) -> tuple[Path, str]:
    """The catalog that a checkpoint was trained on, and which of its frames scored it."""
    from tl_datasets.errors import DataError
    from tl_detection.config import load_run_config

    remedy = "give frames to compare on with --catalog DIR, or compare on drawn frames alone with --frames 0"
    folder = weights.resolve().parent
    config_path = folder.parent / "config.yaml"
    if not weights.is_file():
        raise WeightsError(f"{weights}: no such file; expected a run folder, or RUN/weights/best.pt")
    if folder.name != "weights" or not config_path.is_file():
        raise DataError(f"{weights}: not in a run folder, so its catalog is unknown; {remedy}")
    config = load_run_config(config_path)
    if not config.data.catalog.is_dir():
        raise DataError(f"{config.data.catalog}: the catalog of the run is not there, seen from {Path.cwd()}; {remedy}")
    return config.data.catalog, config.data.val


def _read_label_space(path: Path):
    from tl_datasets.config import load_config, validate_config
    from tl_datasets.label_space import LabelSpace

    values = load_config(path)
    for key in ("data", "label_space"):
        if isinstance(values.get(key), dict):
            values = values[key]
    return validate_config(LabelSpace, values, str(path))


def _refuse_existing(path: Path) -> None:
    """Before long work, not after it."""
    from tl_datasets.errors import DataError

    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DataError(f"{path}: exists already; choose another --out or remove it first")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise DataError(f"{path}: cannot be made in {parent}; check its rights, or choose another --out")
