"""The bars: which figures are judged, and when they are not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tl_detection.benchmark.contender import Contender, Measurement

TOOL = Path(__file__).resolve().parents[2] / "tools" / "benchmark_export.py"
FILE, SMALL = "file, 640x640", "file, 640x384"
PREDICT = "ultralytics predict, its ONNX, 640x640"
PLAIN, SMALL_PLAIN = "plain network + OpenCV, 640x640", "plain network + OpenCV, 640x384"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("benchmark_export", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark_export"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def measured(name: str, ms: float, slow_ms: float | None = None, cpu_share: float = 1.0) -> Measurement:
    """100 frames, the last two of which may be slower."""
    times = [ms] * 98 + [slow_ms or ms] * 2
    return Measurement(
        contender=Contender(name=name, engine="exported", settings={}, about=""),
        provider="CPU",
        pinned_to=None,
        open_ms=1,
        first_frame_ms=2,
        baseline_mb=1,
        turns_ms=[times[start : start + 10] for start in range(0, 100, 10)],
        cpu_share=cpu_share,
    )


def verdicts(tool, **changes: Measurement) -> list[str]:
    ms = {FILE: 9.0, SMALL: 6.0, PREDICT: 10.0, PLAIN: 9.0, SMALL_PLAIN: 6.0}
    found = {name: measured(name, value) for name, value in ms.items()}
    found |= {each.contender.name: each for each in changes.values()}
    return [bar.verdict for bar in tool.judge(list(found.values()))]


def test_what_is_as_quick_as_the_bars_holds_them(tool):
    assert verdicts(tool) == ["held"] * 6


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        (measured(FILE, 9.2), [0]),
        (measured(SMALL, 6.1), [1]),
        (measured(PLAIN, 8.0), [2]),
        (measured(SMALL_PLAIN, 5.0), [3]),
        (measured(FILE, 9.0, slow_ms=12.0), [4]),
        (measured(SMALL, 6.0, slow_ms=8.0), [5]),
    ],
)
def test_each_bar_can_be_missed(tool, change: Measurement, missed: list[int]):
    found = verdicts(tool, change=change)
    assert [number for number, verdict in enumerate(found) if verdict == "MISSED"] == missed


def test_the_slowest_frames_of_a_busy_core_are_not_judged(tool):
    found = verdicts(tool, change=measured(FILE, 9.0, slow_ms=90.0, cpu_share=0.9))
    assert found == ["held"] * 4 + ["not judged", "held"]
