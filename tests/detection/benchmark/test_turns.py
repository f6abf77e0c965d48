"""Turns with contenders whose times are known."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from tl_detection.benchmark import turns
from tl_detection.benchmark.children import ChildError
from tl_detection.benchmark.contender import Contender
from tl_detection.benchmark.figures import spread_of_ratios
from tl_detection.benchmark.frames import BenchFrames
from tl_detection.benchmark.turns import Plan, take_turns

FRAMES = BenchFrames(images=np.zeros((2, 4, 6, 3), np.uint8), about="none")
PLAN = Plan(n_frames=25, warm_up=3, threads=1, cores=None, score=0.25)
FOUND = [{"xyxy": [[0, 0, 5, 5]], "score": [0.9], "class_id": [0]}, {"xyxy": [], "score": [], "class_id": []}]


class FakeChild:
    """Takes as long as its name says, times how busy the machine is in that turn."""

    asked: ClassVar[list[tuple[str, int, int, int]]] = []
    closed: ClassVar[list[str]] = []

    def __init__(self, contender: Contender, frames: Any, threads: int, cores: Any):
        if contender.name == "broken":
            raise ChildError("cannot be imported")
        self.contender = contender
        self.started = {"pinned_to": None, "baseline_mb": 10.0}

    def ask(self, do: str, **order: int) -> dict[str, Any]:
        name = self.contender.name
        if do == "open":
            return {"provider": "CPU", "open_ms": 1.0, "first_frame_ms": 2.0}
        if do == "detect":
            return {"found": FOUND}
        self.asked.append((name, order["start"], order["untimed"], order["timed"]))
        busy = 1 + 9 * (order["start"] == 10)
        times = [float(name) * busy] * order["timed"]
        return {
            "times_ms": times,
            "wall_ms": sum(times),
            "cpu_ms": sum(times) / busy,
            "preempted": 1,
            "peak_mb": 30.0,
        }

    def close(self) -> None:
        self.closed.append(self.contender.name)


@pytest.fixture
def outcome(monkeypatch) -> turns.Outcome:
    monkeypatch.setattr(turns, "Child", FakeChild)
    FakeChild.asked.clear()
    FakeChild.closed.clear()
    contenders = [
        Contender(name=name, engine="exported", settings={}, about="", compared_with=None if name == "2" else "2")
        for name in ("2", "broken", "3")
    ]
    return take_turns(contenders, FRAMES, PLAN)


def test_all_run_the_same_frames_and_who_begins_changes(outcome):
    warm_up, timed = FakeChild.asked[:2], FakeChild.asked[2:]
    assert warm_up == [("2", 0, 3, 0), ("3", 0, 3, 0)]
    assert [(name, start, count) for name, start, _, count in timed] == [
        ("2", 0, 10),
        ("3", 0, 10),
        ("3", 10, 10),
        ("2", 10, 10),
        ("2", 20, 5),
        ("3", 20, 5),
    ]


def test_a_busy_machine_changes_times_and_no_ratio(outcome):
    first, second = outcome.measurements
    ratio = spread_of_ratios(second.turns_ms, first.turns_ms)
    assert (ratio.lowest, ratio.highest) == (1.5, 1.5)
    assert max(first.samples_ms) == 10 * min(first.samples_ms)
    # 15 frames at 1 and 10 at 10 of the time.
    assert first.cpu_share == pytest.approx(25 / 115)
    assert first.preempted == 3


def test_what_cannot_be_run_is_named_and_the_others_go_on(outcome):
    assert [(each.name, each.reason) for each in outcome.absent] == [("broken", "cannot be imported")]
    assert [len(each.samples_ms) for each in outcome.measurements] == [25, 25]
    assert sorted(FakeChild.closed) == ["2", "3"]


def test_what_they_find_is_compared_before(outcome):
    assert list(outcome.agreements) == ["3"]
    assert outcome.agreements["3"].is_same_work is True
    assert outcome.detections == [1, 0]
