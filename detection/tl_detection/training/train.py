"""`train`: one call for both models. The model's kind decides which trainer runs; everything around it is the same."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from tl_datasets.errors import TlError, WeightsError
from tl_datasets.images import write_whole
from tl_datasets.lint.report import write_lint
from tl_detection.checkpoint import Checkpoint, load_checkpoint
from tl_detection.config import RunConfig, load_run_config
from tl_detection.devices import pick_device
from tl_detection.run_dir import RunDir
from tl_detection.training.augmentation import check_augmentation
from tl_detection.training.data import TrainingData, augment_fingerprint, prepare_data

logger = logging.getLogger(__name__)


def train(config: RunConfig) -> RunDir:
    """Train from the start.

    Returns:
        The run folder with `weights/best.pt`, `metrics.jsonl` and the report of the best epoch.

    Raises:
        ConfigError: The augmentation breaks samples, or changes what lights show.
        TlError: See `prepare_data`; also weights that do not fit, and a loss that is not finite.
    """
    pick_device(config.train.device)
    data = prepare_data(config)
    report = check_augmentation(data)
    run = RunDir.create(config)
    try:
        if report is not None:
            (run.path / "lint").mkdir()
            write_lint(report, run.path / "lint")
        _run(config, run, None, data)
    except TlError:
        # Weights that do not fit, say: a run that never finished an epoch leaves nothing to look at.
        if not run.last.exists():
            run.remove()
        raise
    return run


def resume(folder: Path) -> RunDir:
    """Go on with an interrupted run, in its own folder.

    Raises:
        WeightsError: The run has no `last.pt`, has finished, or its catalog or classes have changed.
    """
    run = RunDir(folder)
    if not run.config_path.exists():
        raise WeightsError(f"{folder}: not a run folder (no config.yaml); expected runs/NAME/TIME")
    config = load_run_config(run.config_path)
    checkpoint = load_checkpoint(run.last, kind=config.model.kind)
    if checkpoint.training is None:
        raise WeightsError(f"{run.last}: holds no training state; start a new run with model.weights={run.best}")
    finished = int(checkpoint.meta["epoch"]) + 1
    if finished >= config.train.epochs or checkpoint.meta.get("stopped"):
        if not (run.path / "result.json").exists() and run.best.exists():
            # Killed between the last epoch and its report.
            data = prepare_data(config)
            _require_same_data(folder, checkpoint, data)
            _score_best(run, data)
            return run
        raise WeightsError(
            f"{folder}: has finished after {finished} epochs; start a new run with model.weights={run.best}"
        )
    data = prepare_data(config)
    _require_same_data(folder, checkpoint, data)
    check_augmentation(data)
    run.keep_metrics_before(finished)
    logger.info("resuming %s after epoch %d of %d", folder, finished, config.train.epochs)
    _run(config, run, checkpoint, data)
    return run


def _require_same_data(folder: Path, checkpoint: Checkpoint, data: TrainingData) -> None:
    """Scores of other frames do not compare, and weights of other classes mean something else."""
    fingerprints = (
        ("data.catalog", data.fingerprint),
        ("data.label_space", data.label_space.fingerprint),
        ("augment", augment_fingerprint(data.config)),
    )
    for what, found in fingerprints:
        before = checkpoint.meta.get(f"{what.rpartition('.')[2]}_fingerprint")
        if before != found:
            raise WeightsError(
                f"{folder}: {what} has changed since the run began (fingerprint {before}, now {found}); "
                f"put it back, or start a new run with model.weights={folder / 'weights' / 'best.pt'}"
            )


def _run(config: RunConfig, run: RunDir, checkpoint: Checkpoint | None, data) -> None:
    handler = run.log_to_file()
    try:
        if config.model.kind == "yolo":
            from tl_detection.training.yolo import train_yolo

            train_yolo(data, run, checkpoint)
        else:
            from tl_detection.training.faster_rcnn import train_faster_rcnn

            train_faster_rcnn(data, run, checkpoint)
        _score_best(run, data)
    finally:
        logging.getLogger("tl_detection").removeHandler(handler)
        handler.close()


def _score_best(run: RunDir, data) -> None:
    """Score what will be used, from the file as it lies on disk, and write the report beside it."""
    from tl_detection.detectors.load import load_detector
    from tl_detection.evaluation.report import write_report

    report = data.validate(load_detector(run.best, device=data.config.train.device))
    write_report(report, run.path / "evaluation")
    score = data.best_score(report)
    write_whole(
        run.path / "result.json",
        json.dumps({"weights": "weights/best.pt", data.config.evaluate.best_by: score}, indent=2) + "\n",
    )
    logger.info(
        "best weights: %s, %s %s", run.best, data.config.evaluate.best_by, "-" if score is None else f"{score:.3f}"
    )
