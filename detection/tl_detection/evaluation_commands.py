"""The commands about scores: thin functions over the Python API. Heavy imports happen inside them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tl_datasets.errors import UsageError
from tl_detection.dataset_commands import refuse_existing
from tl_detection.progress import progress

if TYPE_CHECKING:
    from tl_datasets.catalog import Catalog
    from tl_datasets.label_space import LabelSpace
    from tl_detection.detector import Detections
    from tl_detection.evaluation.detection_table import DetectionTable
    from tl_detection.evaluation.label_noise.label_agreement import LabelAgreement


def run_evaluate(options: argparse.Namespace) -> int:
    """`tl evaluate`."""
    from dataclasses import replace

    from tl_datasets.catalog import Catalog
    from tl_datasets.network_size import InputSize
    from tl_detection.evaluation.catalog_changes import changes_since
    from tl_detection.evaluation.complete import complete
    from tl_detection.evaluation.conditions import check_columns
    from tl_detection.evaluation.evaluation_folder import EvaluationFolder, write_evaluation
    from tl_detection.evaluation.ground_truth import means_stop_and_go
    from tl_detection.evaluation.operating.rules import rules_of_classes
    from tl_detection.evaluation.page.write import write_documents
    from tl_detection.evaluation.report import evaluate_whole, format_console
    from tl_detection.evaluation.results import CatalogPart
    from tl_detection.evaluation.same_protocol import (
        require_same_rules,
        rules_of_label_space,
        rules_of_report,
        warning_of,
    )
    from tl_detection.evaluation.second_opinion import format_second_opinion, second_opinion
    from tl_detection.evaluation.slice_columns import require_input_size
    from tl_detection.evaluation.slices import check_names, parse_slice
    from tl_detection.thresholds import scores_for

    not_alike: list[str] = []
    previous = None if options.previous is None else EvaluationFolder.open(options.previous)
    if previous is not None:
        previous.frames()  # refused now, not after detecting
    whole = Catalog.open(options.catalog)
    catalog = _part_to_score(whole, options)
    if options.out is not None:
        refuse_existing(options.out)
    if options.replicates < 1:
        raise UsageError(f"--replicates {options.replicates}: expected 1 or more")
    if options.gallery < 0:
        raise UsageError(f"--gallery {options.gallery}: expected 0 or more; 0 leaves the pictures out")
    # Whatever can be refused is refused before anything is detected.
    by = _words(options.by)
    check_columns(by)
    asked = {part for word in by for part in word.split("*")}
    expressions = [parse_slice(text) for text in options.slices]
    check_names([name for name, _ in expressions])
    asked.update(column for _, read in expressions for column in read.columns)
    label_space, description, detections_in = _source(options, catalog, whole)
    size = options.input_size or description.get("input")
    input_size = None if size is None else InputSize.parse(size)
    require_input_size(asked, input_size, "--by and --slice")
    rules_of_classes(options.rules, label_space.names, *means_stop_and_go(label_space))
    operating_scores = scores_from = None
    if options.thresholds is not None:
        operating_scores = scores_for(
            options.thresholds, label_space.names, description, label_space_fingerprint=label_space.fingerprint
        )
        scores_from = f"of {options.thresholds.name}"
    if previous is not None:
        differences = require_same_rules(
            (f"{options.previous}", rules_of_report(previous.report, frames=False, operating=False)),
            ("this evaluation", rules_of_label_space(label_space)),
            allow=options.allow_different_protocol,
        )
        not_alike = [item.between("the evaluation before", "this one") for item in differences]
        for line in warning_of(not_alike):
            print(line)
    detections = detections_in()
    evaluation = evaluate_whole(
        detections,
        catalog,
        label_space,
        by=by,
        expressions=options.slices,
        input_size=input_size,
        rules=options.rules,
        operating_scores=operating_scores,
        model=description,
    )
    drawn = {"replicates": options.replicates, "seed": options.seed}
    with progress("analyse", "slices") as show:
        evaluation, analyses = complete(
            evaluation,
            **drawn,
            rules=options.rules,
            scores_from=scores_from,
            input_size=input_size,
            frame_rate_hz=options.frame_rate,
            progress=show,
        )
    report = replace(
        evaluation.report,
        catalog=CatalogPart(path=str(options.catalog), split=options.split, where=options.where),
        agreement=_agreement(options, catalog, whole, label_space, by),
        changes=None if previous is None else changes_since(previous, evaluation, differences=not_alike, **drawn),
    )
    evaluation = replace(evaluation, report=report)
    print(format_console(report))
    if options.backend == "pycocotools":
        print(format_second_opinion(second_opinion(evaluation)))
    if options.out is not None:
        write_evaluation(evaluation, analyses.answers, catalog, label_space, detections, options.out, **drawn)
        with progress("gallery", "images") as show:
            write_documents(
                evaluation,
                analyses,
                catalog,
                options.out,
                title=f"{options.model.name} on {options.catalog.name}",
                html=options.html,
                cases_per_kind=options.gallery,
                intended_use=options.intended_use,
                progress=show,
            )
        print(f"{options.out}")
    return 0


def _agreement(
    options: argparse.Namespace, catalog: Catalog, whole: Catalog, label_space: LabelSpace, by: Sequence[str]
) -> LabelAgreement | None:
    """How far --second-catalog agrees with the catalog; None where there is none."""
    from tl_datasets.catalog import Catalog
    from tl_detection.evaluation.label_noise.label_agreement import label_agreement
    from tl_detection.evaluation.slice_columns import is_of_frames

    if options.second_catalog is None:
        return None
    return label_agreement(
        catalog,
        Catalog.open(options.second_catalog),
        label_space,
        by=[word for word in by if is_of_frames(word.split("*"))],
        whole=whole,
        replicates=options.replicates,
        seed=options.seed,
    )


def run_compare(options: argparse.Namespace) -> int:
    """`tl compare`."""
    from tl_datasets.network_size import InputSize
    from tl_datasets.new_folder import refuse_full
    from tl_detection.evaluation.compare.comparison import compare
    from tl_detection.evaluation.compare.files import write_comparison
    from tl_detection.evaluation.compare.inputs import open_compared
    from tl_detection.evaluation.compare.render import format_console
    from tl_detection.evaluation.conditions import check_columns
    from tl_detection.evaluation.slices import check_names, parse_slice

    for option, number, least in (("--replicates", options.replicates, 100), ("--pictures", options.pictures, 0)):
        if number < least:
            raise UsageError(f"{option} {number}: expected {least} or more")
    by = None if options.by is None else _words(options.by)
    check_columns(by or [])
    check_names([parse_slice(text)[0] for text in options.slices])
    if options.out is not None:
        refuse_full(options.out)
    compared = open_compared(
        options.evaluations, options.catalog, allow_different_protocol=options.allow_different_protocol
    )
    comparison = compare(
        compared,
        by=by,
        expressions=options.slices or None,
        input_size=None if options.input_size is None else InputSize.parse(options.input_size),
        replicates=options.replicates,
        seed=options.seed,
    )
    print(format_console(comparison))
    if options.out is not None:
        write_comparison(comparison, compared, options.out, n_pictures=options.pictures)
        print(f"{options.out}")
    return 0


def run_gate(options: argparse.Namespace) -> int:
    """`tl gate`."""
    from tl_datasets.errors import ConfigError
    from tl_detection.evaluation.gate.gate import remove_verdicts, write_gate
    from tl_detection.evaluation.gate.gate import run_gate as gate
    from tl_detection.evaluation.gate.judge import is_passed
    from tl_detection.evaluation.gate.rules import load_rules
    from tl_detection.evaluation.gate.summary import format_console

    if options.out is not None:
        remove_verdicts(options.out)
    try:
        rules = load_rules(options.rules)
    except ConfigError as error:  # to continuous integration a failed gate and a broken one are two things
        raise UsageError(str(error)) from error
    summary = gate(
        options.report,
        options.rules,
        rules,
        options.baseline,
        allow_different_protocol=options.allow_different_protocol,
    )
    print(format_console(summary))
    if options.out is not None:
        write_gate(summary, options.out)
        print(f"{options.out}")
    return 0 if is_passed(summary.verdicts) else 1


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


def _source(
    options: argparse.Namespace, catalog: Catalog, whole: Catalog
) -> tuple[LabelSpace, Mapping[str, str], Callable[[], list[Detections] | DetectionTable]]:
    """Classes and description of a detector or a predictions file, and what gives its detections."""
    from tl_detection.evaluation.predictions import read_prediction_table
    from tl_detection.evaluation.report import collect_detections

    if options.model.suffix in (".json", ".parquet"):
        if options.label_space is None:
            raise UsageError(
                "predictions say nothing of classes; give --label-space FILE (YAML, or a run configuration)"
            )
        label_space = _read_label_space(options.label_space)
        description = {"engine": "predictions file", "file": options.model.name}
        return (
            label_space,
            description,
            lambda: read_prediction_table(options.model, catalog, label_space, coco=options.coco, whole=whole),
        )

    from tl_detection.detectors.load import load_detector

    detector = load_detector(options.model, options.device)

    def detect() -> list[Detections]:
        with progress("detect") as show:
            return collect_detections(detector, catalog, progress=show)

    return detector.label_space, detector.description, detect


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
