"""The process of a contender: what is timed, in this process with a clock of our own; and how it ends, in its own."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tl_detection.benchmark import child as child_module
from tl_detection.benchmark.child import Bench, memory_mb
from tl_detection.benchmark.children import Child, ChildError
from tl_detection.benchmark.contender import Contender


class Clock:
    """Stands still but for what an engine takes."""

    def __init__(self):
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def bench(monkeypatch, frames_file: Path) -> Bench:
    """An engine that takes 5 ms to open and, for each frame, as many ms as its first value says."""
    clock = Clock()
    engine: Any = ModuleType("fake")
    seen: list[int] = []

    def run(frame: np.ndarray):
        seen.append(int(frame[0, 0, 0]))
        clock.ns += int(frame[0, 0, 0] + 1) * 1_000_000
        return np.zeros((0, 4)), np.zeros(0), np.zeros(0)

    def open_engine(settings: dict):
        clock.ns += 5_000_000
        return run, lambda: "fake"

    engine.limit_threads, engine.as_input, engine.open_engine = (
        lambda threads: None,
        lambda frame, settings: frame,
        open_engine,
    )
    engine.seen = seen
    monkeypatch.setitem(sys.modules, "tl_detection.benchmark.engines.fake", engine)
    monkeypatch.setattr(child_module, "_CLOCK", clock)
    return Bench({"engine": "fake", "settings": {"threads": 1}, "frames": str(frames_file), "cores": None})


def test_the_first_frame_holds_the_opening(bench: Bench):
    assert bench.open() == {"provider": "fake", "open_ms": 5.0, "first_frame_ms": 6.0}


def test_every_timed_frame_has_its_own_time_and_the_untimed_ones_none(bench: Bench):
    bench.open()
    bench.engine.seen.clear()
    answer = bench.time(start=1, untimed=2, timed=4)
    # Frames of 3 begin with the values 0, 72 and 144.
    assert bench.engine.seen == [144, 0, 72, 144, 0, 72]
    assert answer["times_ms"] == [73.0, 145.0, 1.0, 73.0]
    assert answer["wall_ms"] == sum(answer["times_ms"])


def test_memory_is_that_of_this_process():
    before = memory_mb("VmRSS")
    block = mmap.mmap(-1, 20_000_000)  # pages of its own, not such as were used and given back
    block.write(b"\1" * len(block))
    assert memory_mb("VmRSS") - before == pytest.approx(len(block) / 1e6, abs=5)
    assert memory_mb("VmHWM") >= memory_mb("VmRSS")


def test_a_process_that_is_gone_is_named(frames_file: Path):
    contender = Contender(name="gone", engine="exported", settings={"path": "absent.onnx"}, about="")
    child = Child(contender, frames_file, 1, None)
    try:
        with pytest.raises(ChildError, match="provider"):
            child.ask("open")  # an error is an answer, and the process still there
        child._process.kill()
        with pytest.raises(ChildError, match="ended with code -9"):
            child.ask("open")
    finally:
        child.close()
