"""The training loop of both models, on one device or on many ranks.

One epoch after the other: learn, score the averaged weights per condition, write down, keep a checkpoint. What is
particular to a model is its `Learner`; what changes the weights is in `step`. Samples, rates and random choices follow
from numbers (seed, epoch, frame, step), so a run that goes on from a checkpoint ends as if nothing had been, whatever
its loader processes; only the first rank writes.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from tl_datasets.epoch_statistics import EpochStatistics
from tl_datasets.errors import TrainingError
from tl_datasets.images import write_whole
from tl_datasets.torch_dataset import FrameLoader, make_loader
from tl_detection.checkpoint import Checkpoint
from tl_detection.devices import amp_dtype
from tl_detection.distributed import Ranks, alone, from_first, gather
from tl_detection.evaluation.report import Evaluation
from tl_detection.fingerprint import RunFingerprint
from tl_detection.progress import progress
from tl_detection.run_dir import RunDir
from tl_detection.tracking.tracker import Tracker
from tl_detection.training.batches import check_batch, count_batch
from tl_detection.training.data import TrainingData, run_meta
from tl_detection.training.ema import Ema
from tl_detection.training.learner import Learner
from tl_detection.training.metrics import report_row
from tl_detection.training.rank_norm import join_batch_norms, take_statistics_of_first
from tl_detection.training.schedule import lr_factor
from tl_detection.training.start_check import StartCheck, check_start
from tl_detection.training.state import restore_training_state, training_state, used_weights
from tl_detection.training.step import Share, Stepper, is_out_of_memory, take
from tl_detection.training.stopping import BestEpoch

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Position:
    """How far a run is.

    Attributes:
        epoch: That is learned, 0-based.
        batch: Batches of it that are done.
        seen: What its samples showed, on all ranks before a resumption and on this rank since.
        broken: What is wrong with each image that could not be read.
        seconds: Time spent on it.
    """

    epoch: int
    seen: EpochStatistics
    batch: int = 0
    broken: dict[str, None] = field(default_factory=dict)
    seconds: float = 0.0


def train_model(
    data: TrainingData,
    run: RunDir,
    learner: Learner,
    device: torch.device,
    fingerprint: RunFingerprint,
    tracker: Tracker | None,
    checkpoint: Checkpoint | None = None,
    ranks: Ranks = Ranks(),  # noqa: B008
) -> bool:
    """Learn to the end of the run: `best.pt`, `last.pt` and `metrics.jsonl` in its folder.

    Args:
        data: From `prepare_data`.
        run: The folder, the same on every rank.
        learner: The model, on its device.
        device: Of this rank.
        fingerprint: Of the run, for its checkpoints.
        tracker: Shows what happens; None on every rank but the first.
        checkpoint: `last.pt` of the same run to go on from; None = from the start.
        ranks: Who this process is.

    Returns:
        True if the run ended early, because no score got better.

    Raises:
        TrainingError: A loss is not finite, a sample cannot be learned from, too many images are broken, memory does
            not suffice for one frame, or the disk is full.
        WeightsError: The checkpoint does not fit the configuration.
    """
    with _bits_for_bits(data.config.train.deterministic):
        return _Loop(data, run, learner, device, fingerprint, tracker, ranks).run_from(checkpoint)


class _Loop:
    """A run while it runs."""

    def __init__(
        self,
        data: TrainingData,
        run: RunDir,
        learner: Learner,
        device: torch.device,
        fingerprint: RunFingerprint,
        tracker: Tracker | None,
        ranks: Ranks,
    ):
        self.meta = run_meta(data, run.path, fingerprint)
        self.data, self.run, self.learner, self.device = data, run, learner, device
        self.tracker, self.ranks = tracker, ranks
        self.settings = settings = data.config.train
        self.loader: FrameLoader = make_loader(
            data.dataset,
            settings.batch_size,
            settings.workers,
            settings.seed,
            pin_memory=device.type == "cuda",
            rank=ranks.rank,
            ranks=ranks.size,
            replace_broken=data.config.data.broken_share > 0,
        )
        self.batches = self.loader.batches
        self.updates_per_epoch = -(-len(self.batches) // settings.accumulate)
        self.total_updates = self.updates_per_epoch * settings.epochs
        if ranks.are_several and settings.sync_batch_norm:
            join_batch_norms(learner.network)
        dtype = amp_dtype(settings.amp, device)
        self.stepper = Stepper(
            learner=learner,
            settings=settings,
            optimizer=learner.make_optimizer(),
            scaler=torch.amp.GradScaler(device.type, enabled=dtype == torch.float16),
            ema=Ema(learner.network, settings.ema_decay, self.total_updates) if settings.ema_decay else None,
            ranks=ranks,
            device=device,
            dtype=dtype,
            micro_batch=settings.micro_batch or settings.batch_size,
        )
        self.best = BestEpoch(settings.patience, is_better=data.measure.is_better)
        self.position = Position(epoch=0, seen=self._nothing_seen())
        self.saved_at = time.monotonic()

    def run_from(self, checkpoint: Checkpoint | None) -> bool:
        if checkpoint is not None:
            self._restore(checkpoint)
        is_fresh, is_joined = checkpoint is None, False
        while self.position.epoch < self.settings.epochs:
            epoch, waited, started = self.position.epoch, 0.0, time.monotonic()
            self.learner.network.train()
            if self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self.device)
            with self._show(f"epoch {epoch + 1}/{self.settings.epochs}", "images") as show:
                for group, first, wait in self._groups(epoch):
                    waited += wait
                    if not is_joined:
                        self._begin(group[0], epoch, is_fresh=is_fresh)
                        is_joined = True
                    self._learn(group, first, epoch, show, started)
            self.position.seconds += time.monotonic() - started
            if self._finish(epoch, started, waited):
                return True
        return False

    # Learning.

    def _groups(self, epoch: int) -> Iterator[tuple[list[Share], int, float]]:
        """The batches of each step of an epoch, the number of the first, and the time spent on waiting for them."""
        self.data.dataset.set_epoch(epoch)
        self.batches.start = first = self.position.batch
        batches = iter(self.loader)
        while first < len(self.batches):
            begun = time.monotonic()
            group: list[Share] = []
            for number in range(first, min(first + self.settings.accumulate, len(self.batches))):
                share = Share(batch=next(batches), counts=self.batches.shares(number))
                check_batch(share.batch, len(self.data.label_space))
                if share.counts[self.ranks.rank]:
                    count_batch(self.position.seen, share.batch)
                self._count_broken(share, epoch)
                group.append(share)
            yield group, first, time.monotonic() - begun
            first += len(group)

    def _begin(self, share: Share, epoch: int, *, is_fresh: bool) -> None:
        """Before the first step: show what is learned from and whether it can be, and join the ranks."""

        def look() -> None:
            if self.tracker is not None:
                self.tracker.batch(share.batch["images"], share.batch)
            with alone():
                check = self._check_start(share)
            write_whole(self.run.path / "start_check.json", json.dumps(check.to_dict(), indent=2) + "\n")
            for line in check.lines():
                logger.info("%s", line)
            for fault in check.faults():
                logger.warning("%s", fault)

        if is_fresh:
            from_first(look)
        if self.ranks.are_several:
            if self.device.type == "cuda":
                self.stepper.fit_memory(share, epoch)
            self.stepper.join_ranks()

    def _check_start(self, share: Share) -> StartCheck:
        """Of as many frames of the first batch as memory suffices for."""
        frames = min(self.stepper.micro_batch, len(share.batch["frame_ids"]))
        while True:
            try:
                return check_start(self.learner, take(share.batch, 0, frames))
            except RuntimeError as error:
                if not is_out_of_memory(error) or frames == 1:
                    raise
            frames //= 2

    def _learn(self, group: list[Share], first: int, epoch: int, show: Callable[..., None], started: float) -> None:
        """One step of the optimiser, and a checkpoint if one is due."""
        number = first // self.settings.accumulate
        self.learner.begin_step(epoch * len(self.batches) + first, epoch)
        is_due = self.stepper.step(
            group,
            epoch,
            self._rate_factor(epoch, number),
            f"epoch {epoch + 1}, step {number + 1}",
            asks=self._wants_checkpoint(),
        )
        self.position.batch = first + len(group)
        done = min(self.position.batch * self.settings.batch_size, self.batches.samples)
        if self.ranks.is_first:
            # Of several ranks each has a part; a person who watches needs no more than its size.
            loss = float(self.stepper.sums["loss"]) / self.stepper.steps * self.ranks.size
            show(done, self.batches.samples, f"loss {loss:.4g}")
        if is_due and self.position.batch < len(self.batches):
            self.position.seconds += time.monotonic() - started
            self._save_last(epoch - 1)
            self.position.seconds -= time.monotonic() - started

    def _rate_factor(self, epoch: int, number: int) -> float:
        settings = self.settings
        return lr_factor(
            epoch * self.updates_per_epoch + number,
            self.total_updates,
            schedule=settings.schedule,
            warmup_steps=round(settings.warmup_epochs * self.updates_per_epoch),
            final_fraction=settings.final_lr_fraction,
            step_at=[at * self.updates_per_epoch for at in settings.step_epochs],
            step_factor=settings.step_factor,
        )

    def _count_broken(self, share: Share, epoch: int) -> None:
        """Name each broken image once; stop where there are too many."""
        own = [message for of_image in share.batch["broken"] for message in of_image]
        new = [message for message in dict.fromkeys(own) if message not in self.position.broken]
        for message in new:
            self.position.broken[message] = None
            logger.warning("epoch %d: another frame takes the place of one that cannot be read: %s", epoch + 1, message)
        # Each rank counts what it met: agreement in every step would cost more than a few images beyond the limit.
        limit = max(1, int(self.data.config.data.broken_share * self.batches.samples))
        if len(self.position.broken) > limit:
            last = next(reversed(self.position.broken))
            raise TrainingError(
                f"epoch {epoch + 1}: {len(self.position.broken)} images cannot be read, more than data.broken_share "
                f"allows ({limit} of {self.batches.samples} samples); the last: {last}; "
                "mend the files and go on with: tl train --resume RUN"
            )

    def _wants_checkpoint(self) -> bool:
        minutes = self.settings.checkpoint_minutes
        # The first rank's clock decides.
        return self.ranks.is_first and minutes is not None and time.monotonic() - self.saved_at >= 60 * minutes

    # The end of an epoch.

    def _finish(self, epoch: int, started: float, waited: float) -> bool:
        """Score, write down and keep the epoch; True if the run is over."""
        settings, position = self.settings, self.position
        is_scored = epoch + 1 == settings.epochs or (epoch + 1) % settings.val_every == 0
        row: dict[str, Any] = {
            "epoch": epoch,
            "epochs": settings.epochs,
            "train": self.stepper.mean_losses(),
            "lr": settings.lr * self._rate_factor(epoch, self.updates_per_epoch - 1),
            "images_per_s": self.batches.samples / max(position.seconds, 1e-9),
            "wait_share": waited / max(time.monotonic() - started, 1e-9),
            "gpu_mem_gb": torch.cuda.max_memory_allocated(self.device) / 1e9 if self.device.type == "cuda" else None,
            "ranks": self.ranks.size,
            "micro_batch": self.stepper.micro_batch,
            "broken": self._all_broken(),
            "seen": self._all_seen().as_row(),
            "val": None,
        }
        if is_scored:
            # Scoring may fail, of a broken image say: what the epoch has learned is kept before.
            self._save_last(epoch - 1)
        evaluation = self._score() if is_scored else None
        score, is_best, is_over = None, False, False
        if is_scored:
            reading = from_first(lambda: None if evaluation is None else self.data.best_score(evaluation))
            score = None if reading is None else reading.value
            row["best_by"] = {"measure": str(self.data.measure), "where": None if reading is None else reading.where}
            is_best = self.best.update(epoch, score)
            # Only an epoch that was scored can say that nothing got better.
            is_over = self.best.is_over(epoch) and epoch + 1 < settings.epochs
        row["seconds"] = time.monotonic() - started
        row["score"] = score
        from_first(lambda: self._show_epoch(row, evaluation))
        self.stepper.forget_losses()
        self.position = Position(epoch=epoch + 1, seen=self._nothing_seen())
        self._save_last(epoch, score=score, is_best=is_best, stopped=is_over)
        if is_over and self.ranks.is_first:
            logger.info("no better score for %d epochs: stopped after epoch %d", settings.patience, epoch + 1)
        return is_over

    def _show_epoch(self, row: dict[str, Any], evaluation: Evaluation | None) -> None:
        row["val"] = None if evaluation is None else report_row(evaluation.report)
        if self.tracker is not None:
            self.tracker.epoch(row, evaluation, self.data.val_catalog)

    def _score(self) -> Evaluation | None:
        ema = self.stepper.ema
        if not self.settings.sync_batch_norm:
            take_statistics_of_first(self.learner.network)
            if ema:
                take_statistics_of_first(ema.model)
        detector = self.learner.detector(ema.model if ema else self.learner.network)
        with self._show("validation", "frames") as show:
            return self.data.score(detector, show, self.ranks)

    def _save_last(
        self, epoch: int, *, score: float | None = None, is_best: bool = False, stopped: bool = False
    ) -> None:
        """Keep the state after the last step.

        Args:
            epoch: The last that is finished, -1 = none.
            score: Its score.
            is_best: Its weights are the best so far.
            stopped: The run is over.
        """
        position, stepper = self.position, self.stepper
        kept = {
            "epoch": position.epoch,
            "batch": position.batch,
            "seen": self._all_seen().state(),
            "losses": stepper.sums_over_ranks(),
            "steps": stepper.steps,
            "broken": self._all_broken(),
            "seconds": position.seconds,
            "micro_batch": stepper.micro_batch,
            "asked_micro_batch": self.settings.micro_batch,
        }

        def save() -> None:
            result = Checkpoint(
                kind=self.learner.kind,
                model=self.learner.description,
                label_space=self.data.label_space,
                state=used_weights(self.learner.network, stepper.ema),
                meta=self.meta | {"epoch": epoch, "batch": position.batch, "score": score, "stopped": stopped},
            )
            # The best first: a run that is killed between the two does this epoch again, and loses nothing.
            if is_best:
                self.run.save_best(result)
            state = training_state(
                network=self.learner.network,
                ema=stepper.ema,
                optimizer=stepper.optimizer,
                scaler=stepper.scaler,
                best=self.best,
                position=kept,
            )
            self.run.save_last(replace(result, training=state))

        from_first(save)
        self.saved_at = time.monotonic()

    def _restore(self, checkpoint: Checkpoint) -> None:
        kept = restore_training_state(
            checkpoint,
            self.run.last,
            network=self.learner.network,
            ema=self.stepper.ema,
            optimizer=self.stepper.optimizer,
            scaler=self.stepper.scaler,
            best=self.best,
        )
        self.position = Position(epoch=kept["epoch"], seen=self._nothing_seen(), batch=kept["batch"])
        # What was found to fit holds until another size is asked for.
        if kept.get("asked_micro_batch") == self.settings.micro_batch:
            self.stepper.micro_batch = kept["micro_batch"]
        self.position.seconds = kept["seconds"]
        self.stepper.restore_losses(kept["losses"], kept["steps"])
        if self.ranks.is_first:  # what all ranks saw; sums over the ranks must have it once
            self.position.seen = EpochStatistics.from_state(kept["seen"])
            self.position.broken = dict.fromkeys(kept["broken"])

    # Over all ranks.

    def _all_seen(self) -> EpochStatistics:
        whole = self._nothing_seen()
        for seen in gather(self.position.seen):
            whole.merge(seen)
        return whole

    def _all_broken(self) -> list[str]:
        return list(dict.fromkeys(message for of_rank in gather(list(self.position.broken)) for message in of_rank))

    def _nothing_seen(self) -> EpochStatistics:
        return EpochStatistics(self.data.label_space.names)

    @contextmanager
    def _show(self, task: str, unit: str) -> Iterator[Callable[..., None]]:
        if self.ranks.is_first:
            with progress(task, unit) as show:
                yield show
        else:
            yield lambda *_: None


@contextmanager
def _bits_for_bits(wanted: bool) -> Iterator[None]:
    """The same bits in every run: kernels that add in one order, and one thread on the CPU."""
    if not wanted:
        yield
        return
    threads, was_on = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    benchmark = torch.backends.cudnn.benchmark
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(was_on)
        torch.backends.cudnn.benchmark = benchmark
