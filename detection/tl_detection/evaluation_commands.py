"""The commands about scores: thin functions over the Python API. Heavy imports happen inside them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tl_datasets.errors import UsageError
from tl_detection.dataset_commands import refuse_existing
from tl_detection.progress import progress

if TYPE_CHECKING:
    from tl_datasets.catalog import Catalog


def run_evaluate(options: argparse.Namespace) -> int:
    """`tl evaluate`."""
    from tl_datasets.catalog import Catalog
    from tl_detection.evaluation.conditions import check_columns
    from tl_detection.evaluation.predictions import read_predictions, write_predictions
    from tl_detection.evaluation.report import collect_detections, evaluate, format_console, write_report

    whole = Catalog.open(options.catalog)
    catalog = _part_to_score(whole, options)
    if options.out is not None:
        refuse_existing(options.out)
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


def run_robustness(options: argparse.Namespace) -> int:
    """`tl robustness`."""
    from tl_datasets.catalog import Catalog
    from tl_datasets.new_folder import refuse_full
    from tl_detection.detectors.load import load_detector
    from tl_detection.evaluation.conditions import check_columns
    from tl_detection.robustness.choice import choose_corruptions, choose_severities
    from tl_detection.robustness.report import format_console, write_robustness
    from tl_detection.robustness.run import measure_robustness

    # Whatever can be refused is refused before anything is detected.
    corruptions = choose_corruptions(_words(options.corruptions))
    severities = choose_severities(_words(options.severities))
    by = _words(options.by)
    check_columns(by, of_frames=True)
    refuse_full(options.out)
    catalog = _part_to_score(Catalog.open(options.catalog), options)
    detector = load_detector(options.model, options.device)
    with progress("robustness", "images") as show:
        result = measure_robustness(
            detector,
            catalog,
            corruptions=corruptions,
            severities=severities,
            n_frames=options.frames,
            seed=options.seed,
            by=by,
            workers=min(os.cpu_count() or 1, 8) if options.workers is None else options.workers,
            progress=show,
        )
    write_robustness(result, options.out)
    print(format_console(result))
    print(f"{options.out}")
    return 0


def _part_to_score(catalog: Catalog, options: argparse.Namespace) -> Catalog:
    """The frames of --split and --where."""
    from tl_datasets.errors import DataError

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
    return catalog


def _words(text: str) -> list[str]:
    """The words of a list as a command line gives it."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _read_label_space(path: Path):
    from tl_datasets.config import load_config, validate_config
    from tl_datasets.label_space import LabelSpace

    values = load_config(path)
    for key in ("data", "label_space"):
        if isinstance(values.get(key), dict):
            values = values[key]
    return validate_config(LabelSpace, values, str(path))
