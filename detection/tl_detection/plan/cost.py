"""What a run will take, estimated from a few real steps: seconds per step, epoch and run, and memory."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from tl_detection.config import TrainConfig
from tl_detection.plan.findings import Finding, Section, look, ok, stop
from tl_detection.plan.subject import Subject
from tl_detection.plan.trial import Trial
from tl_detection.progress import format_seconds

# Beyond this share of the memory that there is, the largest batch may not fit.
TIGHT_SHARE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Times in seconds.

    Attributes:
        steps_per_epoch: Batches of an epoch.
        step: Of one batch, loading included as far as it is waited for.
        waiting: Of this, waiting for the loader.
        epoch: Of an epoch without validation.
        validation: Of one validation.
        validations: How many there are.
        run: Of all epochs and validations.
    """

    steps_per_epoch: int
    step: float
    waiting: float
    epoch: float
    validation: float
    validations: int
    run: float


def estimate(settings: TrainConfig, samples: int, val_frames: int, trial: Trial, cores: int | None = None) -> Estimate:
    """Estimate times of one rank from what a trial measured.

    Loader processes work beside the learner. On a CPU they share its cores: what they take, the learner lacks.

    Args:
        settings: Of the run.
        samples: Of an epoch.
        val_frames: Frames that are scored.
        trial: Measured.
        cores: Of the machine; None = those that this process may use.
    """
    cores = cores or _cores()
    load = trial.load_s * trial.frames
    if not settings.workers:
        step, waiting = trial.learn_s + load, load
    else:
        learn = trial.learn_s + (load / cores if trial.device.startswith("cpu") else 0.0)
        loaded = load / min(settings.workers, cores)
        step, waiting = max(learn, loaded), max(0.0, loaded - learn)
    # As many as the schedule has, and the last one in any case.
    validations = math.ceil(settings.epochs / settings.val_every)
    epoch, validation = samples / trial.frames * step, val_frames * trial.detect_s
    return Estimate(
        steps_per_epoch=-(-samples // settings.batch_size),
        step=step,
        waiting=waiting,
        epoch=epoch,
        validation=validation,
        validations=validations,
        run=settings.epochs * epoch + validations * validation,
    )


def look_at_cost(subject: Subject, trial: Trial) -> Section:
    """Time and memory of the run."""
    settings = subject.config.train
    samples = len(subject.train.catalog) if subject.data is None else len(subject.data.dataset)
    times = estimate(settings, samples, len(subject.val.catalog), trial)
    memory = trial.memory
    findings = [
        ok(
            f"one run takes about {format_seconds(times.run)}: {settings.epochs} epochs of "
            f"{format_seconds(times.epoch)} ({samples / times.epoch:.1f} images/s) and "
            f"{times.validations} validations of {format_seconds(times.validation)}"
        ),
        _judge_memory(settings, trial),
    ]
    if times.waiting > 0.1 * times.step:
        more = (
            math.ceil(settings.workers * times.step / max(times.step - times.waiting, 1e-9)) if settings.workers else 1
        )
        remedy = f"raise train.workers to {more}" if more <= _cores() else f"the machine has {_cores()} cores"
        findings.append(
            look(
                f"{times.waiting / times.step:.0%} of the time is spent on waiting for samples: {remedy}, "
                "or set data.cache"
            )
        )
    findings += [
        look(f"another frame took the place of one that cannot be read: {message}") for message in trial.broken[:3]
    ]
    return Section(
        title="time and memory",
        findings=tuple(findings),
        notes=(
            f"measured on {trial.device} in {trial.precision}, {trial.parameters / 1e6:.1f} million parameters: "
            f"learning from {trial.frames} frames takes {trial.learn_s:.2f} s, making a sample "
            f"{1000 * trial.load_s:.0f} ms in one process ({settings.workers} workers), detecting in a frame "
            f"{1000 * trial.detect_s:.0f} ms; other work on the machine counts",
            "losses of the trial: " + ", ".join(f"{name} {value:.4g}" for name, value in trial.losses.items()),
        ),
        values={
            "device": trial.device,
            "precision": trial.precision,
            "parameters": trial.parameters,
            "frames_per_step": trial.frames,
            "micro_batch": trial.micro_batch,
            "learn_s": trial.learn_s,
            "load_s_per_sample": trial.load_s,
            "detect_s_per_frame": trial.detect_s,
            "step_s": times.step,
            "steps_per_epoch": times.steps_per_epoch,
            "epoch_s": times.epoch,
            "images_per_s": samples / times.epoch,
            "validation_s": times.validation,
            "validations": times.validations,
            "run_s": times.run,
            "memory_peak_bytes": memory.peak,
            "memory_available_bytes": memory.available,
            "losses": trial.losses,
        },
    )


def _judge_memory(settings: TrainConfig, trial: Trial) -> Finding:
    memory = trial.memory
    if memory.peak is None or memory.available is None or memory.share is None:
        return ok("memory: this system does not say what the steps took")
    message = f"memory: {memory.peak / 2**30:.2f} GiB of {memory.available / 2**30:.1f} GiB that are free"
    wanted = min(settings.micro_batch or settings.batch_size, trial.frames)
    if trial.micro_batch < wanted:
        return look(
            f"{message}; {wanted} frames at a time do not fit, {trial.micro_batch} do: set train.micro_batch: "
            f"{trial.micro_batch}, gradients are added up"
        )
    if memory.share > 1:
        return stop(f"{message}, more than there is: set train.micro_batch, or make model.input smaller")
    if memory.share > TIGHT_SHARE:
        return look(f"{message}, close to all of it: set train.micro_batch: {max(1, wanted // 2)}")
    return ok(message)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
