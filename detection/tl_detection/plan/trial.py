"""A few real steps: what they cost in time and memory, and what the first batches teach. Nothing of it is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from tl_datasets.torch_dataset import Batch, FrameLoader, make_loader
from tl_detection.devices import amp_dtype, pick_device
from tl_detection.distributed import Ranks
from tl_detection.evaluation.report import collect_detections
from tl_detection.plan.memory import Memory, MemoryWatch
from tl_detection.training.batches import check_batch
from tl_detection.training.data import TrainingData
from tl_detection.training.ema import Ema
from tl_detection.training.learner import Learner
from tl_detection.training.seeds import seed_everything
from tl_detection.training.start_check import StartCheck, check_start
from tl_detection.training.step import Share, Stepper, is_out_of_memory, take
from tl_detection.training.train import make_learner

# Frames on which detection is timed.
_DETECTED = 8
# Boxes from which shares without a target can be told, and most batches that are looked at for them.
_BOXES, _CHECKS = 100, 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What was measured.

    Attributes:
        device: On which.
        precision: Number format: float32, bfloat16 or float16.
        parameters: Of the network.
        frames: Per step.
        micro_batch: Frames at a time that memory sufficed for.
        learn_s: Seconds per step, loading left aside; the median.
        load_s: Seconds to make one sample in one process, the mean.
        detect_s: Seconds to read and detect in one frame, the mean.
        memory: What it took.
        losses: Mean of each loss over the steps.
        starts: What each of the first batches teaches, before the first step.
        broken: What is wrong with each image that could not be read.
    """

    device: str
    precision: str
    parameters: int
    frames: int
    micro_batch: int
    learn_s: float
    load_s: float
    detect_s: float
    memory: Memory
    losses: dict[str, float]
    starts: tuple[StartCheck, ...]
    broken: tuple[str, ...]


def try_steps(data: TrainingData, steps: int) -> Trial:
    """Build the model of a run as its training does, and take a few steps on its device.

    Args:
        data: From `prepare_data`.
        steps: How many are timed; one more comes first, which pays for what is done once.

    Raises:
        TrainingError: There is no such device, a loss is not finite, or memory does not suffice for one frame.
        WeightsError: The weights to start from are missing or do not fit.
        ConfigError: The model does not fit the configuration.
        DataError: An image cannot be read, and no other could take its place.
    """
    settings = data.config.train
    device = pick_device(settings.device)
    dtype = amp_dtype(settings.amp, device)
    seed_everything(settings.seed)
    # Samples are made in this process: how fast one loader process is.
    loader = make_loader(
        data.dataset,
        settings.batch_size,
        0,
        settings.seed,
        pin_memory=device.type == "cuda",
        replace_broken=data.config.data.broken_share > 0,
    )
    with MemoryWatch(device) as watch:
        learner = make_learner(data, device)
        learner.network.train()
        stepper = _stepper(learner, data, device, dtype)
        seconds, loading, starts, broken = [], [], [], {}
        for share, _ in _shares(data, loader, _CHECKS):
            check_batch(share.batch, len(data.label_space))
            starts.append(_check_start(learner, share.batch))
            if sum(start.lights for start in starts) >= _BOXES:
                break
        for number, (share, load_s) in enumerate(_shares(data, loader, steps + 1)):
            batch = share.batch
            check_batch(batch, len(data.label_space))
            broken |= dict.fromkeys(message for of_image in batch["broken"] for message in of_image)
            loading.append(load_s / len(batch["frame_ids"]))
            learner.begin_step(number, 0)
            _wait(device)
            begun = time.perf_counter()
            stepper.step([share], 0, _first_factor(settings.warmup_epochs), f"trial step {number + 1}")
            _wait(device)
            seconds.append(time.perf_counter() - begun)
        memory = watch.so_far()
        detect_s = _time_detection(data, learner)
    return Trial(
        device=_name(device),
        precision=str(dtype or torch.float32).removeprefix("torch."),
        parameters=sum(parameter.numel() for parameter in learner.network.parameters()),
        frames=min(settings.batch_size, len(data.dataset)),
        micro_batch=stepper.micro_batch,
        learn_s=float(np.median(seconds[1:])),
        load_s=float(np.mean(loading)),
        detect_s=detect_s,
        memory=memory,
        losses=stepper.mean_losses(),
        starts=tuple(starts),
        broken=tuple(broken),
    )


def _check_start(learner: Learner, batch: Batch) -> StartCheck:
    """Of as many frames of the batch as memory suffices for at a time."""
    frames = len(batch["frame_ids"])
    while True:
        try:
            return check_start(learner, take(batch, 0, frames))
        except RuntimeError as error:
            if not is_out_of_memory(error) or frames == 1:
                raise
            frames //= 2


def _stepper(learner: Learner, data: TrainingData, device: torch.device, dtype: torch.dtype | None) -> Stepper:
    settings = data.config.train
    return Stepper(
        learner=learner,
        settings=settings,
        optimizer=learner.make_optimizer(),
        scaler=torch.amp.GradScaler(device.type, enabled=dtype == torch.float16),
        ema=Ema(learner.network, settings.ema_decay, 1000) if settings.ema_decay else None,
        ranks=Ranks(),
        device=device,
        dtype=dtype,
        micro_batch=settings.micro_batch or settings.batch_size,
    )


def _shares(data: TrainingData, loader: FrameLoader, count: int) -> Iterator[tuple[Share, float]]:
    """Whole batches of the first epoch, or of more where it has too few, and the seconds that each took to make."""
    epoch, taken = 0, 0
    while taken < count:
        data.dataset.set_epoch(epoch)
        batches = iter(loader)
        # A last batch that is smaller would not be typical, unless there is no other.
        whole = max(1, len(data.dataset) // loader.batches.batch_size)
        for number in range(min(whole, count - taken)):
            begun = time.perf_counter()
            batch = next(batches)
            yield Share(batch=batch, counts=loader.batches.shares(number)), time.perf_counter() - begun
            taken += 1
        epoch += 1


def _first_factor(warmup_epochs: float) -> float:
    """The steps go at a low rate where the run has a warm-up, as its own first steps do."""
    return 0.01 if warmup_epochs else 1.0


def _time_detection(data: TrainingData, learner: Learner) -> float:
    rows = np.linspace(0, len(data.val_catalog) - 1, min(_DETECTED, len(data.val_catalog))).round().astype(int)
    detector = learner.detector(learner.network)
    collect_detections(detector, data.val_catalog, None, rows=rows[:1])
    begun = time.perf_counter()
    collect_detections(detector, data.val_catalog, None, rows=rows)
    return (time.perf_counter() - begun) / len(rows)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.get_num_threads()} threads)"
