"""Training of Faster R-CNN: one plain loop.

Deliberately absent: several devices, which belong to a launcher around this loop.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

from tl_datasets.epoch_statistics import EpochStatistics
from tl_datasets.errors import ConfigError, TrainingError
from tl_datasets.torch_dataset import Batch, make_loader
from tl_detection.checkpoint import Checkpoint, save_checkpoint
from tl_detection.config import FasterRcnnConfig, TrainConfig
from tl_detection.detectors.faster_rcnn import FasterRcnnDetector, build_faster_rcnn
from tl_detection.devices import amp_dtype, pick_device
from tl_detection.progress import progress
from tl_detection.run_dir import RunDir
from tl_detection.training.batches import check_batch, count_batch
from tl_detection.training.data import TrainingData, run_meta
from tl_detection.training.ema import Ema
from tl_detection.training.faster_rcnn_ignore import honour_ignore_areas
from tl_detection.training.faster_rcnn_start import describe_model, load_start_weights
from tl_detection.training.metrics import log_epoch, report_row
from tl_detection.training.schedule import lr_factor
from tl_detection.training.stopping import BestEpoch

logger = logging.getLogger(__name__)


def train_faster_rcnn(data: TrainingData, run: RunDir, checkpoint: Checkpoint | None) -> None:
    """Train, and leave `best.pt`, `last.pt` and `metrics.jsonl` in the run folder.

    Args:
        data: From `prepare_data`; its configuration's model is of kind faster_rcnn.
        run: The folder of this run.
        checkpoint: `last.pt` of the same run to go on from; None = from the start.

    Raises:
        ConfigError: The optimiser is not one of this trainer.
        WeightsError: Weights to start from are missing or do not fit.
        TrainingError: A loss is not finite, or a sample cannot be learned from.
    """
    config, settings = data.config, data.config.train
    device = pick_device(settings.device)
    dtype = amp_dtype(settings.amp, device)
    _seed(settings.seed)
    model_settings = config.model
    if not isinstance(model_settings, FasterRcnnConfig):
        raise ConfigError("model.kind", [f"is {model_settings.kind}, expected faster_rcnn"])
    description = checkpoint.model if checkpoint else describe_model(model_settings, data)
    model = build_faster_rcnn(description, len(data.label_space))
    honour_ignore_areas(model)
    if checkpoint is None:
        load_start_weights(model, model_settings, data)
    model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    loader = make_loader(
        data.dataset, settings.batch_size, settings.workers, settings.seed, pin_memory=device.type == "cuda"
    )
    updates_per_epoch = -(-len(loader) // settings.accumulate)
    total_updates = updates_per_epoch * settings.epochs
    optimizer = make_optimizer(model, settings)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    ema = Ema(model, settings.ema_decay, total_updates) if settings.ema_decay else None
    best = BestEpoch(settings.patience)
    first_epoch = 0
    if checkpoint is not None and checkpoint.training is not None:
        first_epoch = checkpoint.meta["epoch"] + 1
        _restore(checkpoint, model, ema, optimizer, scaler, best)
    scored = ema.model if ema else model
    detector = FasterRcnnDetector(
        scored, data.label_space, config.model.input.width_px, config.model.input.height_px, device
    )

    for epoch in range(first_epoch, settings.epochs):
        start = time.monotonic()
        model.train()
        data.dataset.set_epoch(epoch)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        losses, seen, lr = _Mean(), EpochStatistics(data.label_space.names), 0.0
        with progress(f"epoch {epoch + 1}/{settings.epochs}", unit="images") as show:
            for number, group in enumerate(_groups(iter(loader), settings.accumulate)):
                update = epoch * updates_per_epoch + number
                lr = settings.lr * _factor(settings, update, total_updates, updates_per_epoch)
                for param_group in optimizer.param_groups:
                    param_group["lr"] = lr
                for batch in group:
                    check_batch(batch, len(data.label_space))
                    with torch.autocast(device.type, dtype) if dtype else nullcontext():
                        parts = model(*to_network(batch, device))
                        loss = torch.stack(list(parts.values())).sum() / len(group)
                    _require_finite(parts, batch, epoch, update, settings.lr)
                    scaler.scale(loss).backward()
                    losses.add(parts)
                    count_batch(seen, batch)
                    show(seen.samples, len(data.dataset), f"loss {losses.last:.3f}")
                scaler.unscale_(optimizer)
                largest = math.inf if settings.clip_norm is None else settings.clip_norm
                norm = nn.utils.clip_grad_norm_(model.parameters(), largest)
                # With fp16 the scaler skips such a step and lowers its scale.
                if not scaler.is_enabled() and not bool(torch.isfinite(norm)):
                    raise _not_finite("the gradient", group, epoch, update, settings.lr)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
                if ema:
                    ema.update(model)
        learn_seconds = time.monotonic() - start

        is_last = epoch + 1 == settings.epochs
        row: dict[str, Any] = {
            "epoch": epoch,
            "epochs": settings.epochs,
            "train": losses.means(),
            "lr": lr,
            "images_per_s": seen.samples / learn_seconds,
            "gpu_mem_gb": torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None,
            "seen": seen.as_row(),
            "val": None,
        }
        is_best = False
        score = None
        if is_last or (epoch + 1) % settings.val_every == 0:
            with progress("validation") as show:
                report = data.validate(detector, show)
            row["val"] = report_row(report)
            score = data.best_score(report)
            is_best = best.update(epoch, score)
        # Only an epoch that was scored can say that nothing got better.
        stopped = row["val"] is not None and best.epoch >= 0 and best.is_over(epoch)
        row["seconds"] = time.monotonic() - start
        log_epoch(run, row)

        result = Checkpoint(
            kind="faster_rcnn",
            model=description,
            label_space=data.label_space,
            state=_cpu(scored.state_dict()),
            meta=run_meta(data, run.path, epoch=epoch, score=score, stopped=stopped),
        )
        if is_best:
            save_checkpoint(run.best, result)
        save_checkpoint(run.last, _with_training_state(result, model, ema, optimizer, scaler, best))
        if stopped:
            logger.info("no better score for %d epochs: stopped after epoch %d", settings.patience, epoch + 1)
            break


def to_network(batch: Batch, device: torch.device) -> tuple[torch.Tensor, list[dict[str, torch.Tensor]]]:
    """A batch as the network takes it: (B, 3, H, W) RGB in [0, 1], and targets whose labels begin at 1."""
    images = batch["images"].to(device, non_blocking=True).float() / 255
    targets = [
        {
            "boxes": xyxy.to(device, non_blocking=True),
            "labels": class_id.to(device, non_blocking=True) + 1,
            "ignore_xyxy": areas.to(device, non_blocking=True),
        }
        for xyxy, class_id, areas in zip(batch["xyxy"], batch["class_id"], batch["ignore_xyxy"], strict=True)
    ]
    return images.contiguous(memory_format=torch.channels_last), targets


def make_optimizer(model: nn.Module, settings: TrainConfig) -> torch.optim.Optimizer:
    """SGD with momentum or AdamW; norms and biases do not decay."""
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr, betas=(settings.momentum, 0.999))
    return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum)


def _factor(settings: TrainConfig, update: int, total_updates: int, updates_per_epoch: int) -> float:
    return lr_factor(
        update,
        total_updates,
        schedule=settings.schedule,
        warmup_steps=round(settings.warmup_epochs * updates_per_epoch),
        final_fraction=settings.final_lr_fraction,
        step_at=[epoch * updates_per_epoch for epoch in settings.step_epochs],
        step_factor=settings.step_factor,
    )


def _groups(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Batches whose gradients are added up; the last group of an epoch may be smaller."""
    while group := list(islice(batches, size)):
        yield group


def _require_finite(parts: dict[str, torch.Tensor], batch: Batch, epoch: int, update: int, lr: float) -> None:
    bad = [name for name, value in parts.items() if not torch.isfinite(value)]
    if bad:
        raise _not_finite(", ".join(bad), [batch], epoch, update, lr)


def _not_finite(what: str, batches: list[Batch], epoch: int, update: int, lr: float) -> TrainingError:
    frames = [frame_id for batch in batches for frame_id in batch["frame_ids"]]
    return TrainingError(
        f"epoch {epoch + 1}, step {update + 1}: {what} is not finite; frames: {', '.join(frames)}; "
        f"lower train.lr (now {lr:g}), or check the boxes of these frames"
    )


class _Mean:
    """Mean of each loss over an epoch."""

    def __init__(self):
        self.sums: dict[str, float] = {}
        self.count = 0
        self.last = 0.0

    def add(self, parts: dict[str, torch.Tensor]) -> None:
        values = {name.removeprefix("loss_"): float(value.detach()) for name, value in parts.items()}
        self.last = sum(values.values())
        self.count += 1
        for name, value in {"loss": self.last, **values}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        return {name: value / max(self.count, 1) for name, value in self.sums.items()}


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def _cpu(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in state.items()}


def _with_training_state(
    result: Checkpoint,
    model: nn.Module,
    ema: Ema | None,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    best: BestEpoch,
) -> Checkpoint:
    version, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    python_version, python_keys, python_gauss = random.getstate()
    return Checkpoint(
        kind=result.kind,
        model=result.model,
        label_space=result.label_space,
        state=result.state,
        meta=result.meta,
        training={
            # With an average, `state` is that average and the weights that learn are kept beside it.
            "model": _cpu(model.state_dict()) if ema else None,
            "ema_updates": ema.updates if ema else 0,
            "optimizer": optimizer.state_dict(),
            "scaler": scaler.state_dict(),
            "best": {"score": best.score, "epoch": best.epoch},
            "random": {
                "torch": torch.get_rng_state(),
                "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
                "numpy": [version, [int(key) for key in keys], *rest],
                "python": [python_version, list(python_keys), python_gauss],
            },
        },
    )


def _restore(
    checkpoint: Checkpoint,
    model: nn.Module,
    ema: Ema | None,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    best: BestEpoch,
) -> None:
    training = checkpoint.training or {}
    model.load_state_dict(training["model"] or checkpoint.state)
    if ema:
        ema.model.load_state_dict(checkpoint.state)
        ema.updates = training["ema_updates"]
    optimizer.load_state_dict(training["optimizer"])
    if training["scaler"]:
        scaler.load_state_dict(training["scaler"])
    best.score, best.epoch = training["best"]["score"], training["best"]["epoch"]
    states = training["random"]
    torch.set_rng_state(states["torch"])
    if len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
    version, keys, *rest = states["numpy"]
    np.random.set_state((version, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys), gauss))
