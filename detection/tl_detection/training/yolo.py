"""Training of a YOLO: ultralytics' loop, loss and optimisers; our samples, schedule, average, scores and files.

Of ultralytics' trainer nothing remains that would differ between the two models of this project: what the words of
`TrainConfig` mean is decided here, its batch-dependent weight decay, warm-up of momentum, recovery from a broken loss
and halving of the batch are not used, and it writes no file into the run folder.
"""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from tl_datasets.epoch_statistics import EpochStatistics
from tl_datasets.errors import ConfigError, TrainingError
from tl_datasets.torch_dataset import Batch, make_loader
from tl_detection.checkpoint import Checkpoint, save_checkpoint
from tl_detection.config import YoloConfig
from tl_detection.detectors.yolo import YoloDetector, build_yolo
from tl_detection.devices import amp_dtype, pick_device
from tl_detection.evaluation.report import Report
from tl_detection.progress import progress
from tl_detection.run_dir import RunDir
from tl_detection.training.batches import check_batch, count_batch
from tl_detection.training.data import TrainingData, run_meta
from tl_detection.training.ema import Ema
from tl_detection.training.metrics import log_epoch, report_row
from tl_detection.training.schedule import lr_factor
from tl_detection.training.stopping import BestEpoch
from tl_detection.training.yolo_ignore import ignoring_criterion
from tl_detection.training.yolo_start import fit_box_bias, network_sizes, start_from_file
from tl_detection.ultralytics_door import DetectionTrainer

logger = logging.getLogger(__name__)

_OPTIMIZERS = {"auto": "MuSGD", "musgd": "MuSGD", "sgd": "SGD", "adamw": "AdamW"}
# Share of a batch in the running statistics of a norm, once they have settled: ultralytics' own.
_NORM_MOMENTUM = 0.03


def train_yolo(data: TrainingData, run: RunDir, checkpoint: Checkpoint | None) -> None:
    """Train into a run folder: `weights/best.pt`, `weights/last.pt`, `metrics.jsonl`.

    Args:
        data: Frames to learn from and to score; `data.config.model` is a YOLO.
        run: Its folder.
        checkpoint: `last.pt` of the interrupted run to go on with, or None.

    Raises:
        TrainingError: The loss is not finite, a sample cannot be learned from, or the device cannot be used.
        WeightsError: The weights to start from are missing or do not fit.
        ConfigError: There is no such architecture, or the input size does not fit it.
    """
    scratch = Path(tempfile.mkdtemp(prefix="tl-yolo-"))
    try:
        with ExitStack() as bars:
            CatalogTrainer(data, run, checkpoint, scratch, bars).train()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def to_ultralytics(batch: Batch) -> dict[str, Any]:
    """Our batch in ultralytics' form.

    Returns:
        img (B, 3, H, W) uint8 RGB; cls (N, 1) and batch_idx (N,) float; bboxes (N, 4) cx, cy, w, h in shares of the
        input size; im_file, the frame ids. Beside these words: ignore_xyxy (K, 4) float in network pixels and
        ignore_idx (K,) int64, the image of each area.
    """
    height, width = batch["images"].shape[2:]
    xyxy = torch.cat(batch["xyxy"]).reshape(-1, 4) / torch.tensor([width, height, width, height])
    return {
        "img": batch["images"],
        "cls": torch.cat(batch["class_id"]).reshape(-1, 1).float(),
        "bboxes": torch.cat([(xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]], dim=1),
        "batch_idx": _image_of_each(batch["xyxy"]).float(),
        "ignore_xyxy": torch.cat(batch["ignore_xyxy"]).reshape(-1, 4),
        "ignore_idx": _image_of_each(batch["ignore_xyxy"]),
        "im_file": batch["frame_ids"],
    }


def _image_of_each(boxes: list[torch.Tensor]) -> torch.Tensor:
    counts = torch.tensor([len(of_image) for of_image in boxes])
    return torch.repeat_interleave(torch.arange(len(counts)), counts)


class BatchesForUltralytics:
    """A loader of ours, its batches checked, counted in `seen`, and in ultralytics' form.

    The iteration begins with the first batch that is asked for: the loop makes two iterators per epoch and uses one.
    """

    def __init__(self, loader: torch.utils.data.DataLoader, names: Sequence[str]):
        self.loader, self.n_classes = loader, len(names)
        self.seen = EpochStatistics(names)
        self.dataset: Any = loader.dataset
        self.sampler: Any = loader.sampler
        self.batch_size, self.num_workers = loader.batch_size, loader.num_workers

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.loader:
            check_batch(batch, self.n_classes)
            count_batch(self.seen, batch)
            yield to_ultralytics(batch)


class AverageForUltralytics(Ema):
    """Our moving average where the loop expects its own."""

    def update_attr(self, *_: Any, **__: Any) -> None:
        """The loop copies attributes of the model here that training does not change."""


class CatalogTrainer(DetectionTrainer):
    """ultralytics' training loop between our data and our run folder."""

    # The loop fills these; it types them by their value before it runs.
    model: Any
    loss: Any
    loss_items: Any
    tloss: Any
    train_loader: BatchesForUltralytics

    def __init__(
        self, source: TrainingData, run: RunDir, checkpoint: Checkpoint | None, scratch: Path, bars: ExitStack
    ):
        """Prepare; `train` runs it.

        Args:
            source: Frames to learn from and to score.
            run: Where weights and metrics go.
            checkpoint: To go on with, or None.
            scratch: Temporary folder for what ultralytics writes.
            bars: Closes the progress display when training ends in any way.
        """
        model = source.config.model
        if not isinstance(model, YoloConfig):
            raise ConfigError("model.kind", [f"{model.kind}, expected yolo"])
        self.source, self.run, self.checkpoint, self.bars = source, run, checkpoint, bars
        self.settings, self.start_file = source.config.train, model.weights
        size = model.input
        self.model_spec = {
            "architecture": model.architecture,
            "width_px": size.width_px,
            "height_px": size.height_px,
            "max_detections": model.max_detections,
            "end_to_end": model.end_to_end,
        }
        device = pick_device(self.settings.device)
        precision = amp_dtype(self.settings.amp, device)
        self.best_epoch = BestEpoch(patience=self.settings.patience)
        self.report: Report | None = None
        self.epoch_score: float | None = None
        self.is_best = False
        self.optimizer_steps = 0
        super().__init__(
            overrides={
                "model": f"{self.model_spec['architecture']}.yaml",
                "data": "catalog",
                "epochs": self.settings.epochs,
                "batch": self.settings.batch_size,
                "imgsz": max(size.width_px, size.height_px),
                "device": str(device),
                "seed": self.settings.seed,
                "deterministic": False,
                "save_dir": str(scratch),
                "amp": {None: False, torch.bfloat16: "bf16", torch.float16: True}[precision],
                "optimizer": _OPTIMIZERS[self.settings.optimizer],
                "lr0": self.settings.lr,
                "momentum": self.settings.momentum,
                "weight_decay": self.settings.weight_decay,
                "close_mosaic": 0,
                "max_det": self.model_spec["max_detections"],
                "plots": False,
                "pretrained": False,
            }
        )
        self.add_callback("on_train_epoch_start", type(self)._begin_epoch)
        self.add_callback("on_train_batch_start", type(self)._begin_batch)
        self.add_callback("on_train_batch_end", type(self)._end_batch)
        self.add_callback("on_train_epoch_end", type(self)._end_epoch)

    # What the loop is given.

    def get_dataset(self) -> dict[str, Any]:
        """Only the classes: frames come from the catalog."""
        names = dict(enumerate(self.source.label_space.names))
        return {"names": names, "nc": len(names), "channels": 3, "train": "catalog", "val": "catalog"}

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> nn.Module:
        """Build the network with the weights that the run starts or goes on with."""
        module = build_yolo(self.model_spec, len(self.source.label_space))
        if self.checkpoint is not None and self.checkpoint.training is not None:
            module.load_state_dict(self.checkpoint.training["weights"])
        elif self.start_file is not None:
            start_from_file(module, self.source.label_space.names, self.start_file)
        else:
            sizes = network_sizes(self.source.train, self.model_spec["width_px"], self.model_spec["height_px"])
            fit_box_bias(module, sizes)
        return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def setup_model(self) -> None:
        """Build the network; the state to resume from is not ultralytics'."""
        self.model = self.get_model()

    def get_dataloader(
        self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train"
    ) -> BatchesForUltralytics:
        """Augmented samples of the catalog."""
        return BatchesForUltralytics(
            make_loader(
                self.source.dataset,
                batch_size,
                self.settings.workers,
                self.settings.seed,
                pin_memory=self.device.type == "cuda",
            ),
            self.source.label_space.names,
        )

    def get_validator(self) -> SimpleNamespace:
        """Nothing: `validate` scores through the detector interface."""
        return SimpleNamespace(metrics=SimpleNamespace(keys=[]))

    def _build_train_pipeline(self) -> None:
        self.train_loader = self.test_loader = self.get_dataloader("catalog", self.batch_size)
        # The loop calls `optimizer_step` after every batch; steps are added up there.
        self.accumulate = 1
        self.steps_per_epoch = math.ceil(len(self.train_loader) / self.settings.accumulate)
        self.optimizer = self.build_optimizer(
            self.model,
            name=self.args.optimizer,
            lr=self.settings.lr,
            momentum=self.settings.momentum,
            decay=self.settings.weight_decay,
        )
        # Keeps each group's own highest rate as `initial_lr`; the rate itself is set before every batch.
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda _: 1.0)
        self.norms = [layer for layer in self.model.modules() if isinstance(layer, nn.BatchNorm2d)]
        self.batches_seen = 0 if self.start_file is None else math.inf

    def _get_warmup_iterations(self, num_batches: int) -> int:
        return 0

    def resume_training(self, ckpt: Any) -> None:
        """Make the moving average and the loss, and take over the state of an interrupted run."""
        total = self.steps_per_epoch * self.epochs
        self.ema = AverageForUltralytics(self.model, self.settings.ema_decay or 0.0, total)
        self.stopper = _Stopper(self)
        self.model.criterion = ignoring_criterion(self.model)
        if self.checkpoint is None or self.checkpoint.training is None:
            return
        state = self.checkpoint.training
        self.start_epoch = int(self.checkpoint.meta["epoch"]) + 1
        self.ema.model.load_state_dict(self.checkpoint.state)
        self.ema.updates = state["ema_updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # empty from a device that trained without fp16
            self.scaler.load_state_dict(state["scaler"])
        self.optimizer_steps = self.start_epoch * self.steps_per_epoch
        self.batches_seen += self.start_epoch * len(self.train_loader)
        self.best_epoch.score, self.best_epoch.epoch = state["best_score"], state["best_epoch"]
        torch.set_rng_state(state["rng"])
        if len(state["cuda_rng"]) == torch.cuda.device_count() and self.device.type == "cuda":
            torch.cuda.set_rng_state_all(state["cuda_rng"])
        if hasattr(self.model.criterion, "update"):  # end-to-end heads shift the weight between their two losses
            self.model.criterion.updates = self.start_epoch - 1
            self.model.criterion.update()

    # What happens in an epoch.

    def _begin_epoch(self) -> None:
        self.source.dataset.set_epoch(self.epoch)
        self.show = self.bars.enter_context(progress(f"epoch {self.epoch + 1}/{self.epochs}", unit="images"))
        self.started_at, self.images_done, self.batches_done = time.monotonic(), 0, 0
        self.train_loader.seen = EpochStatistics(self.source.label_space.names)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def _begin_batch(self) -> None:
        config = self.settings
        factor = lr_factor(
            self.optimizer_steps,
            self.steps_per_epoch * self.epochs,
            schedule=config.schedule,
            warmup_steps=round(config.warmup_epochs * self.steps_per_epoch),
            final_fraction=config.final_lr_fraction,
            step_at=[epoch * self.steps_per_epoch for epoch in config.step_epochs],
            step_factor=config.step_factor,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        self.rate = config.lr * factor
        # Fresh running statistics of 1 need 150 batches to be forgotten at ultralytics' momentum of 0.03; a short run
        # would be scored through them, and see every frame alike.
        for norm in self.norms:
            norm.momentum = max(_NORM_MOMENTUM, 2 / (2 + self.batches_seen))
        self.batches_seen += 1
        self._oom_retries = 3  # memory that runs out ends the run: half the batch would be another run

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Move a batch to the device and remember whose frames are in it."""
        self.frame_ids = batch["im_file"]
        batch = super().preprocess_batch(batch)
        # A step of YOLO26n on two CPU cores takes a third less time in this layout.
        batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
        return batch

    def optimizer_step(self) -> None:
        """Add up gradients, and move the weights after every `accumulate` batches and at the end of the epoch."""
        if not bool(torch.isfinite(self.loss)):
            raise self._not_finite("the loss")
        self.batches_done += 1
        if self.optimizer_steps == 0 and self.batches_done == 1:
            self._check_start()
        if self.batches_done % self.settings.accumulate and self.batches_done < len(self.train_loader):
            return
        self.scaler.unscale_(self.optimizer)
        largest = math.inf if self.settings.clip_norm is None else self.settings.clip_norm
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), largest)
        # With fp16 the scaler skips such a step and lowers its scale.
        if not self.scaler.is_enabled() and not bool(torch.isfinite(norm)):
            raise self._not_finite("the gradient")
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self.ema.update(self.model)
        self.optimizer_steps += 1

    def _not_finite(self, what: str) -> TrainingError:
        return TrainingError(
            f"epoch {self.epoch + 1}, batch {self.batches_done + 1}: {what} is not finite for the frames "
            f"{', '.join(self.frame_ids)}; lower train.lr, or look at the boxes of these frames"
        )

    def _check_start(self) -> None:
        losses = {name: float(value) for name, value in self.loss_items.items()}
        logger.info("first batch: %s", ", ".join(f"{name} {value:.4g}" for name, value in losses.items()))
        if not losses.get("box_loss", 1.0):
            logger.warning(
                "first batch: the box loss is 0, no light overlaps a prediction; if it stays so nothing is learned: "
                "enlarge model.input, or use an architecture with a finer level such as yolo26n-p2"
            )

    def _end_batch(self) -> None:
        self.images_done += len(self.frame_ids)
        self.show(
            self.images_done, len(self.source.dataset), f"loss {float(self.loss.detach()) / len(self.frame_ids):.4g}"
        )

    def _end_epoch(self) -> None:
        self.bars.close()
        self.seconds = time.monotonic() - self.started_at

    # What is made of an epoch.

    def validate(self) -> tuple[dict[str, float], float | None]:
        """Score the averaged weights on the validation frames, in the epochs that are scored."""
        self.report, self.epoch_score, self.is_best = None, None, False
        if (self.epoch + 1) % self.settings.val_every and self.epoch + 1 < self.epochs:
            return {}, None
        detector = YoloDetector(self.ema.model, self.source.label_space, self.model_spec, {"epoch": str(self.epoch)})
        with progress("validation") as show:
            self.report = self.source.validate(detector, show)
        self.epoch_score = self.source.best_score(self.report)
        self.is_best = self.best_epoch.update(self.epoch, self.epoch_score)
        return {}, self.epoch_score

    def _handle_nan_recovery(self, epoch: int) -> bool:
        return False  # a loss that is not finite has ended the run already

    def save_metrics(self, metrics: Any) -> None:
        """Write down the epoch."""
        log_epoch(
            self.run,
            {
                "epoch": self.epoch,
                "epochs": self.epochs,
                "train": {name: float(value) for name, value in self.tloss.items()},
                "lr": self.rate,
                "seconds": time.monotonic() - self.started_at,
                "images_per_s": self.images_done / max(self.seconds, 1e-9),
                "gpu_mem_gb": torch.cuda.max_memory_allocated(self.device) / 2**30 if self.device.type == "cuda" else 0,
                "seen": self.train_loader.seen.as_row(),
                "val": None if self.report is None else report_row(self.report),
            },
        )

    def save_model(self) -> bool:
        """Write `last.pt`, and `best.pt` if this epoch is the best; True because both were written."""
        stopped = bool(self.stop and self.epoch + 1 < self.epochs)
        meta = run_meta(self.source, self.run.path, epoch=self.epoch, score=self.epoch_score, stopped=stopped)
        parts = {
            "kind": "yolo",
            "model": self.model_spec,
            "label_space": self.source.label_space,
            "state": {name: value.cpu() for name, value in self.ema.model.state_dict().items()},
            "meta": meta,
        }
        # best.pt first: a run that is killed between the two does this epoch again, and loses nothing.
        if self.is_best:
            save_checkpoint(self.run.best, Checkpoint(**parts))
        training = {
            "weights": {name: value.cpu() for name, value in self.model.state_dict().items()},
            "ema_updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "best_score": self.best_epoch.score,
            "best_epoch": self.best_epoch.epoch,
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
        }
        save_checkpoint(self.run.last, Checkpoint(**parts, training=training))
        return True

    def final_eval(self) -> None:
        """Nothing: the caller scores `best.pt` as it lies on disk."""


class _Stopper:
    """Ends the run when the best epoch lies too far back; asked by the loop after each epoch."""

    possible_stop = False

    def __init__(self, trainer: CatalogTrainer):
        self.trainer = trainer

    def __call__(self, epoch: int, fitness: float | None) -> bool:
        return self.trainer.report is not None and self.trainer.best_epoch.is_over(self.trainer.epoch)
