"""The commands about detectors: thin functions over the Python API. Heavy imports happen inside them.

Those about annotated frames are in `dataset_commands`, those about scores in `evaluation_commands`.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from tl_datasets.errors import UsageError, WeightsError
from tl_detection.dataset_commands import refuse_existing
from tl_detection.progress import progress

logger = logging.getLogger(__name__)


def run_demo(options: argparse.Namespace) -> int:
    """`tl demo`."""
    from tl_detection.demo import run_demo as demo

    folder = demo(options.out, seed=options.seed, overrides=options.overrides)
    print(folder)
    return 0


def run_plan(options: argparse.Namespace) -> int:
    """`tl plan`."""
    import json

    from tl_datasets.new_folder import new_folder
    from tl_detection.config import load_run_config
    from tl_detection.distributed import ranks_of_environment
    from tl_detection.plan.findings import Verdict
    from tl_detection.plan.plan import make_plan
    from tl_detection.plan.report import as_json, format_plan, write_plan

    if options.steps < 1:
        raise UsageError(f"--steps {options.steps}: expected 1 or more; --no-steps measures nothing")
    if ranks_of_environment().are_several:
        raise UsageError("looks at one process of a run; start it without torchrun")
    if options.out is not None:
        refuse_existing(options.out)
    config = load_run_config(options.config, options.overrides)
    plan = make_plan(config, steps=0 if options.no_steps else options.steps, lint=not options.no_lint)
    print(json.dumps(as_json(plan), indent=2, allow_nan=False) if options.json else format_plan(plan))
    if options.out is not None:
        with new_folder(options.out) as folder:
            write_plan(plan, config, folder)
        logger.info("%s: plan.json, plan.md, config.yaml", options.out)
    return 0 if plan.verdict is Verdict.OK or (plan.verdict is Verdict.LOOK and not options.strict) else 1


def run_train(options: argparse.Namespace) -> int:
    """`tl train`."""
    from tl_detection.config import load_run_config
    from tl_detection.distributed import ranks_of_environment
    from tl_detection.training.train import resume, train

    if options.resume is not None:
        overrides = list(options.overrides)
        if options.config is not None and "=" in str(options.config):  # there is no file before the settings
            overrides.insert(0, str(options.config))
            options.config = None
        if options.config is not None or options.overfit is not None:
            raise UsageError("--resume goes on with the run's own configuration; give no configuration beside it")
        run = resume(options.resume, overrides)
    elif options.config is None:
        raise UsageError("no configuration; expected tl train CONFIG.yaml or tl train --resume RUN")
    else:
        overrides = list(options.overrides)
        if options.overfit is not None:
            overrides.append(f"data.overfit_frames={options.overfit}")
        run = train(load_run_config(options.config, overrides))
    if ranks_of_environment().is_first:
        print(run.path)
    return 0


def run_config(options: argparse.Namespace) -> int:
    """`tl config`."""
    from tl_datasets.config import dump_config
    from tl_detection.config import load_run_config

    print(dump_config(load_run_config(options.config, options.overrides)), end="")
    return 0


def run_augment(options: argparse.Namespace) -> int:
    """`tl augment`."""
    from tl_datasets.catalog import Catalog
    from tl_datasets.new_folder import refuse_full
    from tl_datasets.torch_dataset import labelled_frames
    from tl_detection.augment_sheets import draw_sheets
    from tl_detection.config import load_run_config
    from tl_detection.training.data import training_samples

    refuse_full(options.out)
    config = load_run_config(options.config, options.overrides)
    label_space = config.data.label_space
    frames = labelled_frames(Catalog.open(config.data.catalog).filter(config.data.train), label_space)
    with progress("augment") as show:
        totals = draw_sheets(
            training_samples(config, frames), label_space, options.out, options.frames, options.epoch, progress=show
        )
    without_class = f"{totals['box_only']} without a class, " if totals["box_only"] else ""
    print(
        f"{options.out}: {totals['samples']} samples, {totals['boxes']} boxes, {without_class}"
        f"{totals['vanished']} vanished, {totals['ignored']} other ignore areas"
    )
    return 0


def run_lint(options: argparse.Namespace) -> int:
    """`tl lint`."""
    from tl_datasets.catalog import Catalog
    from tl_datasets.lint.report import format_lint, write_lint
    from tl_datasets.new_folder import new_folder
    from tl_detection.config import load_run_config
    from tl_detection.lint_run import format_known_policies, lint_known_policies, lint_run, with_amounts

    if options.config is None and not (options.known_policies and options.catalog):
        raise UsageError("no configuration; expected tl lint CONFIG, or tl lint --known-policies --catalog CATALOG")
    if options.out is not None:
        refuse_existing(options.out)
    config = None if options.config is None else load_run_config(options.config, options.overrides)
    catalog = None if options.catalog is None else Catalog.open(options.catalog)
    amounts = with_amounts(config, lamps=options.lamps, draws=options.draws)
    if config is None or options.known_policies:
        report = lint_known_policies(config, catalog, amounts, seed=options.seed)
        print(format_known_policies(report))
    else:
        report = lint_run(config, catalog, amounts, seed=options.seed)
        print(format_lint(report))
    if options.out is not None:
        with new_folder(options.out) as folder:
            write_lint(report, folder)
        print(f"{options.out}: lint.json, lint.md, lint.html")
    return 1 if report.faults() and not options.known_policies else 0


def run_export(options: argparse.Namespace) -> int:
    """`tl export`."""
    from contextlib import ExitStack

    from tl_datasets.catalog import CONDITIONS
    from tl_detection.evaluation.conditions import check_columns
    from tl_detection.export.camera import parse_frame_size
    from tl_detection.export.export import export

    weights = options.model / "weights" / "best.pt" if options.model.is_dir() else options.model
    size = None if options.frame_size is None else parse_frame_size(options.frame_size) or "any"
    by = None if options.by is None else [word.strip() for word in options.by.split(",") if word.strip()]
    check_columns(by or [])
    catalog, where = options.catalog, options.where
    if catalog is None and not options.no_catalog:
        catalog, own, run_by = _frames_of_run(weights)
        where, by = where or own, by or run_by
    with ExitStack() as bars:
        report = export(
            weights,
            options.out,
            catalog=catalog,
            where=where,
            n_frames=options.frames,
            frame_size=size,
            color_order=options.colors,
            batch=options.batch,
            raw=options.raw,
            thresholds=options.thresholds,
            by=by or CONDITIONS,
            max_drop=options.max_drop,
            evaluate=not options.no_evaluation,
            overwrite=options.force,
            progress=lambda word: bars.enter_context(progress(word)),
        )
    for line in report.lines():
        print(line)
    return 0


def run_inspect(options: argparse.Namespace) -> int:
    """`tl inspect`."""
    import json

    from tl_detection.export.inspect import inspect

    found = inspect(options.file)
    if options.json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        print("\n".join(found.lines()))
    return 0


def _frames_of_run(weights: Path) -> tuple[Path, str, list[str]]:
    """The catalog that a checkpoint was trained on, which of its frames scored it, and by which columns."""
    from tl_datasets.errors import DataError
    from tl_detection.config import load_run_config

    remedy = "give frames to compare on with --catalog DIR, or compare on drawn frames alone with --no-catalog"
    folder = weights.resolve().parent
    config_path = folder.parent / "config.yaml"
    if not weights.is_file():
        raise WeightsError(f"{weights}: no such file; expected a run folder, or RUN/weights/best.pt")
    if folder.name != "weights" or not config_path.is_file():
        raise DataError(f"{weights}: not in a run folder, so its catalog is unknown; {remedy}")
    config = load_run_config(config_path)
    if not config.data.catalog.is_dir():
        raise DataError(f"{config.data.catalog}: the catalog of the run is not there, seen from {Path.cwd()}; {remedy}")
    return config.data.catalog, config.data.val, list(config.evaluate.by)
