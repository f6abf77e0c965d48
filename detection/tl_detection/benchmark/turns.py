"""The measurement: every contender has a process, and they take turns, so that a busy machine slows all alike.

First each is opened and given its first frame, alone. Then it is asked what it finds, which is compared with what the
file of the same weights finds. Then all are warmed up, and turns begin: in each, every contender runs the same frames,
a few of them untimed before, because the one before it has filled the caches. Who begins changes from turn to turn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tl_detection.benchmark.agreement import Agreement, compare
from tl_detection.benchmark.children import Child, ChildError
from tl_detection.benchmark.contender import Absent, Contender, Measurement
from tl_detection.benchmark.frames import BenchFrames

FRAMES_PER_TURN = 10
UNTIMED_PER_TURN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How it is measured.

    Attributes:
        n_frames: Timed frames of each contender.
        warm_up: Untimed frames of each before the first turn.
        threads: Of each contender.
        cores: That each is pinned to; None = not pinned.
        score: Detections below are not compared.
    """

    n_frames: int
    warm_up: int
    threads: int
    cores: list[int] | None
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it.

    Attributes:
        measurements: Of those that could be run, in the order that was asked for.
        agreements: By name, with the one that it is compared with.
        absent: Those that could not be run.
        detections: How many detections the first one has in each distinct frame.
    """

    measurements: list[Measurement]
    agreements: dict[str, Agreement]
    absent: list[Absent]
    detections: list[int]


def take_turns(
    contenders: Sequence[Contender],
    frames: BenchFrames,
    plan: Plan,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Measure.

    Args:
        contenders: The first is the one that ratios are taken to; without it there are none.
        frames: What each is given.
        plan: How.
        progress: Called with timed frames done and in all.

    Raises:
        ChildError: The first contender cannot be run.
    """
    absent: list[Absent] = []
    running: list[tuple[Child, Measurement]] = []
    agreements: dict[str, Agreement] = {}
    found_by: dict[str | None, list[dict]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tl-benchmark-")))
        stored = folder / "frames.npy"
        np.save(stored, frames.images)
        for contender in contenders:
            try:
                child = Child(contender, stored, plan.threads, plan.cores)
                stack.callback(child.close)
                measurement = _open(child)
                found = child.ask("detect")["found"]
            except ChildError as error:
                if not running:
                    raise
                absent.append(Absent(name=contender.name, reason=str(error)))
                continue
            found_by[contender.name] = found
            if contender.compared_with in found_by:
                agreements[contender.name] = compare(found, found_by[contender.compared_with], plan.score)
            running.append((child, measurement))
        _run_turns(running, plan, progress)
    first_found = found_by[contenders[0].name]
    detections = [int(np.sum(np.asarray(frame["score"]) >= plan.score)) for frame in first_found]
    return Outcome(
        measurements=[measurement for _, measurement in running],
        agreements=agreements,
        absent=absent,
        detections=detections,
    )


def _open(child: Child) -> Measurement:
    opened = child.ask("open")
    return Measurement(
        contender=child.contender,
        provider=opened["provider"],
        pinned_to=child.started["pinned_to"],
        open_ms=opened["open_ms"],
        first_frame_ms=opened["first_frame_ms"],
        baseline_mb=child.started["baseline_mb"],
    )


def _run_turns(
    running: Sequence[tuple[Child, Measurement]], plan: Plan, progress: Callable[[int, int], None] | None
) -> None:
    for child, _ in running:
        child.ask("time", start=0, untimed=plan.warm_up, timed=0)
    wall_ms, cpu_ms = dict.fromkeys(range(len(running)), 0.0), dict.fromkeys(range(len(running)), 0.0)
    done = 0
    for turn, start in enumerate(range(0, plan.n_frames, FRAMES_PER_TURN)):
        timed = min(FRAMES_PER_TURN, plan.n_frames - start)
        for place in range(len(running)):
            index = (turn + place) % len(running)
            child, measurement = running[index]
            answer = child.ask("time", start=start, untimed=UNTIMED_PER_TURN, timed=timed)
            measurement.turns_ms.append(answer["times_ms"])
            measurement.peak_mb = answer["peak_mb"]
            wall_ms[index] += answer["wall_ms"]
            cpu_ms[index] += answer["cpu_ms"]
            if answer["preempted"] is not None:
                measurement.preempted = (measurement.preempted or 0) + answer["preempted"]
            done += timed
            if progress is not None:
                progress(done, plan.n_frames * len(running))
    for index, (_, measurement) in enumerate(running):
        measurement.cpu_share = cpu_ms[index] / wall_ms[index]
