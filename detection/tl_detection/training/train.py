"""`train` and `resume`: one call for both models, on one device or on many ranks.

Under torchrun every rank runs the same call. The first makes the folder, writes and speaks; what it refuses,
all refuse.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from tl_datasets.errors import ConfigError, TlError, WeightsError
from tl_datasets.images import write_whole
from tl_datasets.lint.report import write_lint
from tl_detection.checkpoint import Checkpoint
from tl_detection.config import RunConfig, load_run_config
from tl_detection.devices import pick_device
from tl_detection.distributed import (
    Ranks,
    device_of_rank,
    from_first,
    is_of_lost_rank,
    on_all,
    process_group,
    ranks_of_environment,
)
from tl_detection.fingerprint import RunFingerprint, require_same_run
from tl_detection.run_dir import RunDir
from tl_detection.tracking.tracker import Tracker, check_tracking
from tl_detection.training.augmentation import check_augmentation
from tl_detection.training.data import TrainingData, prepare_data
from tl_detection.training.learner import Learner
from tl_detection.training.loop import train_model
from tl_detection.training.seeds import seed_everything

logger = logging.getLogger(__name__)


def train(config: RunConfig) -> RunDir:
    """Train from the start.

    Returns:
        The run folder with `weights/best.pt`, `metrics.jsonl` and the report of the best epoch.

    Raises:
        ConfigError: The augmentation breaks samples, or changes what lights show.
        TlError: See `prepare_data`; also weights that do not fit, a loss that is not finite, a rank that is lost.
    """
    with ExitStack() as shown:
        with _ranks_joined(config) as (ranks, device):
            from_first(lambda: check_tracking(config))
            data = on_all(lambda: prepare_data(config))
            fingerprint = RunFingerprint.of_run(data)
            run = RunDir(from_first(lambda: _new_run(config, data, fingerprint)))
            from_first(lambda: shown.enter_context(run.taken()))
            try:
                tracker = _tracker(shown, run, data, fingerprint, ranks, resumed=False)
                is_early = run_training(data, run, device, fingerprint, None, ranks, tracker)
            except (TlError, RuntimeError, ConnectionError) as error:
                # Weights that do not fit, say, or a lost rank: a run that never kept a step leaves nothing to look at.
                is_expected = isinstance(error, TlError) or is_of_lost_rank(error)
                if is_expected and ranks.is_first and not run.last.exists() and not run.best.exists():
                    run.remove()
                raise
        _end(run, data, tracker, is_early=is_early)
    return run


def resume(folder: Path, overrides: Sequence[str] = ()) -> RunDir:
    """Go on with an interrupted run, in its own folder.

    Args:
        folder: Of the run.
        overrides: Settings `key=value` that change no result, such as train.workers.

    Raises:
        ConfigError: A setting would change what the run gives.
        WeightsError: The run has no checkpoint, has finished, or its catalog, classes or settings have changed.
    """
    run = RunDir(folder)
    if not run.config_path.exists():
        raise WeightsError(f"{folder}: not a run folder (no config.yaml); expected runs/NAME/TIME")
    config = load_run_config(run.config_path, overrides)
    with ExitStack() as shown:
        _resume(run, config, shown)
    return run


def _resume(run: RunDir, config: RunConfig, shown: ExitStack) -> None:
    folder, tracker, is_early = run.path, None, False
    with _ranks_joined(config) as (ranks, device):
        from_first(lambda: check_tracking(config))
        from_first(lambda: shown.enter_context(run.taken()))
        checkpoint = on_all(lambda: run.load_last(kind=config.model.kind))
        if checkpoint.training is None:
            raise WeightsError(f"{run.last}: holds no training state; start a new run with model.weights={run.best}")
        finished = int(checkpoint.meta["epoch"]) + 1
        is_over = finished >= config.train.epochs or bool(checkpoint.meta.get("stopped"))
        # Killed between the last epoch and its report.
        lacks_report = is_over and not (run.path / "result.json").exists() and run.best.exists()
        if is_over and not lacks_report:
            raise WeightsError(
                f"{folder}: has finished after {finished} epochs; start a new run with model.weights={run.best}"
            )
        data = on_all(lambda: prepare_data(config))
        fingerprint = on_all(lambda: require_same_run(folder, checkpoint.meta, data))
        if not is_over:
            from_first(lambda: check_augmentation(data) and None)
            if ranks.is_first:
                run.keep_metrics_before(finished)
                batch = int(checkpoint.meta.get("batch", 0))
                inside = f" and {batch} batches of the next" if batch else ""
                logger.info("resuming %s after epoch %d of %d%s", folder, finished, config.train.epochs, inside)
            tracker = _tracker(shown, run, data, fingerprint, ranks, resumed=True)
            is_early = run_training(data, run, device, fingerprint, checkpoint, ranks, tracker)
    if ranks.is_first and tracker is None:
        _score_best(run, data)
    _end(run, data, tracker, is_early=is_early)


def make_learner(data: TrainingData, device: torch.device, checkpoint: Checkpoint | None = None) -> Learner:
    """The model of a run, with its start weights, on a device; see `make_yolo_learner`, `make_faster_rcnn_learner`."""
    if data.config.model.kind == "yolo":
        from tl_detection.training.yolo import make_yolo_learner

        return make_yolo_learner(data, device, checkpoint)
    from tl_detection.training.faster_rcnn import make_faster_rcnn_learner

    return make_faster_rcnn_learner(data, device, checkpoint)


@contextmanager
def _ranks_joined(config: RunConfig) -> Iterator[tuple[Ranks, torch.device]]:
    """Who this process is and the device that it has, with the other ranks within reach."""
    ranks = ranks_of_environment()
    device = device_of_rank(pick_device(config.train.device), ranks, config.train.device)
    if config.train.batch_size < ranks.size:
        raise ConfigError("train.batch_size", [f"{config.train.batch_size} for {ranks.size} ranks, expected more"])
    loggers = [logging.getLogger(name) for name in ("tl_datasets", "tl_detection")]
    levels = [each.level for each in loggers]
    if not ranks.is_first:  # what every rank could say, the first says
        for each in loggers:
            each.setLevel(logging.ERROR)
    try:
        with process_group(ranks, device, config.train.rank_timeout_s):
            yield ranks, device
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def _new_run(config: RunConfig, data: TrainingData, fingerprint: RunFingerprint) -> Path:
    """Refuse what cannot be trained, then make the folder."""
    report = check_augmentation(data)
    run = RunDir.create(config, fingerprint.to_dict())
    if report is not None:
        (run.path / "lint").mkdir()
        write_lint(report, run.path / "lint")
    return run.path


def run_training(
    data: TrainingData,
    run: RunDir,
    device: torch.device,
    fingerprint: RunFingerprint | None = None,
    checkpoint: Checkpoint | None = None,
    ranks: Ranks = Ranks(),  # noqa: B008
    tracker: Tracker | None = None,
) -> bool:
    """Learn in a run folder, from its start or from its last checkpoint; what is best is not scored again.

    Args:
        data: From `prepare_data`.
        run: Its folder.
        device: Of this rank.
        fingerprint: Of the run; None = of what is at hand.
        checkpoint: To go on from; None = from the start.
        ranks: Who this process is.
        tracker: Shows what happens; None = one of its own on the first rank.

    Returns:
        True if the run ended early, because no score got better.

    Raises:
        TlError: See `train_model`; also weights that do not fit.
    """
    fingerprint = fingerprint or RunFingerprint.of_run(data)
    seed_everything(data.config.train.seed)
    with ExitStack() as shown:
        if ranks.is_first:
            shown.enter_context(_logged(run))
            logger.info("%s", fingerprint.line())
            tracker = tracker or _tracker(shown, run, data, fingerprint, ranks, resumed=checkpoint is not None)
        learner = on_all(lambda: make_learner(data, device, checkpoint))
        return train_model(data, run, learner, device, fingerprint, tracker, checkpoint, ranks)


def _tracker(
    shown: ExitStack, run: RunDir, data: TrainingData, fingerprint: RunFingerprint, ranks: Ranks, *, resumed: bool
) -> Tracker | None:
    """What shows the run on the first rank, until the stack ends."""
    if not ranks.is_first:
        return None
    return shown.enter_context(Tracker(run, data.config, data.label_space, resumed, fingerprint=fingerprint.short))


def _end(run: RunDir, data: TrainingData, tracker: Tracker | None, *, is_early: bool) -> None:
    """Score what was learned on the first rank, and show it."""
    if tracker is not None:
        _score_best(run, data)
        tracker.close("stopped early" if is_early else "finished")


@contextmanager
def _logged(run: RunDir) -> Iterator[None]:
    """The program's log lines go into the run's folder as well."""
    handler = run.log_to_file()
    try:
        yield
    finally:
        logging.getLogger("tl_detection").removeHandler(handler)
        handler.close()


def _score_best(run: RunDir, data: TrainingData) -> None:
    """Score what will be used, from the file as it lies on disk, and write the report beside it."""
    from tl_detection.detectors.load import load_detector
    from tl_detection.evaluation.report import write_report
    from tl_detection.progress import progress

    with _logged(run):
        with progress("score") as show:
            evaluation = data.score(load_detector(run.best, device=data.config.train.device), show)
        if evaluation is None:
            return
        write_report(evaluation.report, run.path / "evaluation")
        reading, measure = data.best_score(evaluation), str(data.measure)
        result = {"weights": "weights/best.pt", measure: reading.value, "where": reading.where}
        write_whole(run.path / "result.json", json.dumps(result, indent=2) + "\n")
        shown = "-" if reading.value is None else f"{reading.value:.3f} ({reading.where})"
        logger.info("best weights: %s, %s %s", run.best, measure, shown)
