"""Progress of long work: a bar where a person watches a terminal, else log lines with rate and remaining time."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
LOG_EVERY_S = 10.0


@contextmanager
def progress(task: str, unit: str = "frames") -> Iterator[Callable[..., None]]:
    """Give a function `(done, total, note="")` that shows how far a task is; a total of None is not known.

    Args:
        task: What is being done.
        unit: What is counted.
    """
    if sys.stderr.isatty():
        yield from _bar(task, unit)
    else:
        yield _log_lines(task, unit)


def _bar(task: str, unit: str) -> Iterator[Callable[..., None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    start = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        row = bars.add_task(task, total=None, rate="", note="")

        def show(done: int, total: int | None, note: str = "") -> None:
            rate = done / max(time.monotonic() - start, 1e-9)
            bars.update(row, completed=done, total=total, rate=f"{rate:.1f} {unit}/s", note=note)

        yield show


def _log_lines(task: str, unit: str) -> Callable[..., None]:
    start = time.monotonic()
    last = start

    def show(done: int, total: int | None, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < LOG_EVERY_S and done != total:
            return
        if done == total and now - start < 1:
            return
        last = now
        rate = done / max(now - start, 1e-9)
        of_total = "" if total is None else f"/{total}"
        left = "" if total is None else f", {format_seconds((total - done) / rate if rate else 0)} left"
        logger.info("%s: %d%s %s, %.1f %s/s%s%s", task, done, of_total, unit, rate, unit, left, note and f", {note}")

    return show


def format_seconds(seconds: float) -> str:
    """Seconds as 12s, 3m05s or 2h07m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
