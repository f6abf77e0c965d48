"""What a run says of an epoch: one row in `metrics.jsonl`, TensorBoard scalars, and one log line."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from tl_detection.evaluation.report import Report
from tl_detection.progress import format_seconds
from tl_detection.run_dir import RunDir

logger = logging.getLogger(__name__)

# What of an epoch's samples is worth a place in its line.
_SEEN = {"repeated": "frames repeated", "vanished": "boxes vanished", "ignored": "areas ignored"}


def report_row(report: Report) -> dict[str, Any]:
    """The part of a report that is kept for each epoch: overall scores, and AP50 with its counts per slice."""
    overall = report.overall
    return {
        "ap": overall.ap,
        "ap50": overall.ap50,
        "ap75": overall.ap75,
        "by": {
            item.name: {"ap50": item.scores.ap50, "frames": item.scores.frames, "objects": item.scores.objects}
            for item in report.slices
        },
    }


def log_epoch(run: RunDir, row: Mapping[str, Any]) -> None:
    """Write down one epoch.

    Args:
        run: Where to.
        row: `epoch` (0-based) and `train` (loss name -> mean) are required. Known beside them: `epochs` (of the whole
            run), `lr`, `seconds`, `images_per_s`, `gpu_mem_gb`, `seen` (`EpochStatistics.as_row`: what the epoch really
            showed), `val` (see `report_row`).
    """
    run.append_metrics(dict(row))
    _write_tensorboard(run, row)
    logger.info("%s", epoch_line(row))


def epoch_line(row: Mapping[str, Any]) -> str:
    """One line for a person: epoch, losses, rate, speed, memory, validation, remaining time."""
    epochs = row.get("epochs")
    parts = [f"epoch {row['epoch'] + 1}" + (f"/{epochs}" if epochs else "")]
    parts += [f"{name} {value:.4g}" for name, value in row["train"].items()]
    if "lr" in row:
        parts.append(f"lr {row['lr']:.3g}")
    if "images_per_s" in row:
        parts.append(f"{row['images_per_s']:.1f} images/s")
    if row.get("gpu_mem_gb"):
        parts.append(f"{row['gpu_mem_gb']:.1f} GB")
    seen = row.get("seen") or {}
    parts += [f"{seen[key]} {what}" for key, what in _SEEN.items() if seen.get(key)]
    if seen.get("made"):
        parts.append("made " + ", ".join(f"{name} {count}" for name, count in seen["made"].items()))
    if row.get("val"):
        ap50 = row["val"].get("ap50")
        parts.append(f"val AP50 {'-' if ap50 is None else format(ap50, '.3f')}")
    if epochs and "seconds" in row:
        parts.append(f"{format_seconds(row['seconds'] * (epochs - row['epoch'] - 1))} left")
    return ", ".join(parts)


def _write_tensorboard(run: RunDir, row: Mapping[str, Any]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    # One file per epoch: nothing stays open, and a resumed run takes back the epochs that it does again.
    with SummaryWriter(str(run.path / "tensorboard"), purge_step=row["epoch"]) as writer:
        for name, value in _scalars(row, ""):
            writer.add_scalar(name, value, row["epoch"])


def _scalars(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and name not in {"epoch", "epochs"}:
            yield prefix + name, float(value)
