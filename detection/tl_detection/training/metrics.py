"""What a run says of an epoch: the row of `metrics.jsonl`, and one line for a person; `tracking` writes both down."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from tl_detection.evaluation.report import Report
from tl_detection.progress import format_seconds

# What of an epoch's samples is worth a place in its line.
_SEEN = {
    "repeated": "frames repeated",
    "vanished": "boxes vanished",
    "ignored": "areas ignored",
    "box_only": "boxes without a class",
}


def report_row(report: Report) -> dict[str, Any]:
    """The part of a report that is kept for each epoch: scores overall, and AP50 with counts per class and slice."""
    overall = report.overall
    stops = overall.red_as_green
    return {
        "ap": overall.ap,
        "ap50": overall.ap50,
        "ap75": overall.ap75,
        "red_as_green": None if stops is None else {"as_green": stops.as_green, "objects": stops.objects},
        "classes": {
            item.name: {"ap50": item.ap50, "precision": item.precision, "recall": item.recall, "objects": item.objects}
            for item in overall.classes
        },
        "by": {
            item.name: {"ap50": item.scores.ap50, "frames": item.scores.frames, "objects": item.scores.objects}
            for item in report.slices
        },
    }


def epoch_line(row: Mapping[str, Any]) -> str:
    """One line for a person: epoch, losses, rate, speed, memory, validation, remaining time.

    Args:
        row: `epoch` (0-based) and `train` (loss name -> mean) are required. Known beside them: `epochs` (of the whole
            run), `lr`, `seconds`, `images_per_s`, `wait_share` (of the time of learning that went into waiting for
            samples, 0 to 1), `gpu_mem_gb`, `host_mem_gb` (highest of this process, without its loaders), `ranks`,
            `seen` (`EpochStatistics.as_row`: what the epoch really showed), `broken` (what is wrong with each image
            that another stood in for), `val` (see `report_row`).
    """
    epochs = row.get("epochs")
    parts = [f"epoch {row['epoch'] + 1}" + (f"/{epochs}" if epochs else "")]
    parts += [f"{name} {value:.4g}" for name, value in row["train"].items()]
    if "lr" in row:
        parts.append(f"lr {row['lr']:.3g}")
    if "images_per_s" in row:
        parts.append(f"{row['images_per_s']:.1f} images/s")
    if row.get("wait_share") is not None:
        parts.append(f"{row['wait_share']:.0%} waiting for data")
    if row.get("gpu_mem_gb"):
        parts.append(f"{row['gpu_mem_gb']:.1f} GB")
    if row.get("host_mem_gb"):
        parts.append(f"{row['host_mem_gb']:.1f} GB RAM")
    if row.get("ranks", 1) > 1:
        parts.append(f"{row['ranks']} ranks")
    seen = row.get("seen") or {}
    parts += [f"{seen[key]} {what}" for key, what in _SEEN.items() if seen.get(key)]
    if seen.get("made"):
        parts.append("made " + ", ".join(f"{name} {count}" for name, count in seen["made"].items()))
    if row.get("broken"):
        parts.append(f"{len(row['broken'])} images broken")
    if row.get("val"):
        ap50 = row["val"].get("ap50")
        parts.append(f"val AP50 {'-' if ap50 is None else format(ap50, '.3f')}")
        stops = row["val"].get("red_as_green")
        if stops and stops["as_green"]:
            parts.append(f"{stops['as_green']} of {stops['objects']} stop lights as green")
    if epochs and "seconds" in row:
        parts.append(f"{format_seconds(row['seconds'] * (epochs - row['epoch'] - 1))} left")
    return ", ".join(parts)


def scalars(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a row, each with its path such as "val/ap50", and the lengths of its lists.

    The epoch is left out: it is what they are drawn over.
    """
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{prefix}{name}/")
        elif isinstance(value, list):
            yield prefix + name, float(len(value))
        elif isinstance(value, int | float) and not isinstance(value, bool) and name not in {"epoch", "epochs"}:
            yield prefix + name, float(value)


def peak_memory_gb() -> float | None:
    """Most main memory that this process has held at a time; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    # Linux counts kibibytes, macOS bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
