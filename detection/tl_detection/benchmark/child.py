"""The process of one contender: opens it, then runs frames as it is told, and times each.

Started as `python -m tl_detection.benchmark.child`; reads one JSON object per line, answers with one. Nothing is
imported here that the contender does not need, so that its memory is its own. What libraries print goes to stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of the process at its largest, from /proc; `ru_maxrss` would hold what the parent had when it started this one.
_PROC_STATUS = Path("/proc/self/status")
_CLOCK = time.perf_counter_ns

Run = Callable[[NDArray[np.uint8]], tuple[NDArray, NDArray, NDArray]]


class Bench:
    """A contender in its process.

    Attributes:
        run: What is timed; set by `open`.
        frames: The frames as the contender wants them, before any clock runs.
    """

    def __init__(self, order: dict[str, Any]):
        self.settings: dict[str, Any] = order["settings"]
        self.pinned_to = _pin(order["cores"])
        self.engine = importlib.import_module(f"tl_detection.benchmark.engines.{order['engine']}")
        self.engine.limit_threads(int(self.settings["threads"]))
        frames = np.load(order["frames"])
        self.frames = [np.ascontiguousarray(self.engine.as_input(frame, self.settings)) for frame in frames]
        self.run: Run | None = None

    def ready(self) -> dict[str, Any]:
        """Imports are done, the frames are in memory."""
        return {"pinned_to": self.pinned_to, "baseline_mb": memory_mb("VmRSS")}

    def open(self) -> dict[str, Any]:
        """Open the contender and give it its first frame."""
        begun = _CLOCK()
        self.run, provider = self.engine.open_engine(self.settings)
        opened = _CLOCK()
        self._run(self.frames[0])
        done = _CLOCK()
        return {"provider": provider(), "open_ms": (opened - begun) / 1e6, "first_frame_ms": (done - begun) / 1e6}

    def detect(self) -> dict[str, Any]:
        """What it finds in every frame."""
        found = [tuple(np.asarray(part).tolist() for part in self._run(frame)) for frame in self.frames]
        return {"found": [dict(zip(("xyxy", "score", "class_id"), parts, strict=True)) for parts in found]}

    def time(self, start: int, untimed: int, timed: int) -> dict[str, Any]:
        """Run frames one after the other, from the one with this number on.

        Args:
            start: Number of the first timed frame; numbers beyond the last begin anew.
            untimed: Frames before it.
            timed: Frames of which each is timed.
        """
        n = len(self.frames)
        for number in range(start - untimed, start):
            self._run(self.frames[number % n])
        times = []
        cpu, switches, begun = time.process_time_ns(), _preemptions(), _CLOCK()
        for number in range(start, start + timed):
            frame = self.frames[number % n]
            before = _CLOCK()
            self._run(frame)
            times.append(_CLOCK() - before)
        wall_ns, cpu_ns = _CLOCK() - begun, time.process_time_ns() - cpu
        after = _preemptions()
        return {
            "times_ms": [value / 1e6 for value in times],
            "wall_ms": wall_ns / 1e6,
            "cpu_ms": cpu_ns / 1e6,
            "preempted": None if switches is None or after is None else after - switches,
            "peak_mb": memory_mb("VmHWM"),
        }

    def _run(self, frame: NDArray[np.uint8]) -> tuple[NDArray, NDArray, NDArray]:
        if self.run is None:
            raise RuntimeError("frames were asked for before the contender was opened")
        return self.run(frame)


def memory_mb(name: str) -> float:
    """Resident memory of this process, now ("VmRSS") or at its largest ("VmHWM"), in MB."""
    try:
        with _PROC_STATUS.open(encoding="ascii") as lines:
            for line in lines:
                if line.startswith(f"{name}:"):
                    return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    import resource

    # Systems without /proc: only the largest is known, in bytes on macOS, in kilobytes elsewhere.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _preemptions() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _pin(cores: list[int] | None) -> list[int] | None:
    if not hasattr(os, "sched_setaffinity"):
        return None
    if cores is not None:
        os.sched_setaffinity(0, cores)
    return sorted(os.sched_getaffinity(0))


def main() -> None:
    """Answer until the parent closes the pipe."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    bench: Bench | None = None
    for line in sys.stdin:
        try:
            order = json.loads(line)
            if bench is None:
                bench = Bench(order)
                answer = bench.ready()
            else:
                answer = getattr(bench, order.pop("do"))(**order)
        # Whatever a library raises ends this contender alone; the parent names it and goes on with the others.
        except Exception as error:
            answer = {"error": " ".join(str(error).split()) or type(error).__name__}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
