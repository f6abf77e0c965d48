"""The soak of the runtime: short, over every kind of frame, and that it sees a leak."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from tl_runtime import Detector, Health
from tl_runtime.memory import most_resident_bytes, resident_bytes

TOOL = Path(__file__).resolve().parents[2] / "tools" / "soak_runtime.py"
# A short run is measured coarsely: pages of the allocators weigh more than in 100,000 frames.
LIMIT = 400


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("soak_runtime", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak_runtime"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def file(tool, tmp_path) -> Path:
    assert tool.main(["--make", str(tmp_path / "soak.onnx")]) == 0
    return tmp_path / "soak.onnx"


@pytest.mark.skipif(resident_bytes() is None, reason="this system does not tell how much memory a process holds")
class TestSoak:
    def test_memory_does_not_grow(self, tool, file, capsys):
        assert tool.main([str(file), "--frames", "8000", "--limit", str(LIMIT)]) == 0
        told = capsys.readouterr().out.splitlines()
        assert "8000 frames" in told[-4]
        for line, camera in zip(told[-3:-1], ("left", "right"), strict=True):
            assert line.startswith(f"{camera}: ")
            kinds = {item.split()[0] for item in line.removeprefix(f"{camera}: ").split(", ")}
            assert kinds == set(Health) - {Health.FAILED}

    def test_a_leak_is_seen(self, tool, file, monkeypatch, capsys):
        kept, detect = [], Detector.detect

        def keep(self, frame, **more):
            kept.append(np.ones(4 * LIMIT, np.uint8))
            return detect(self, frame, **more)

        monkeypatch.setattr(Detector, "detect", keep)
        assert tool.main([str(file), "--frames", "8000", "--limit", str(LIMIT)]) == 1
        assert "the memory grows by" in capsys.readouterr().err
        assert len(kept) == 8000

    def test_an_end_that_comes_too_early_says_nothing(self, tool, file, capsys):
        assert tool.main([str(file), "--frames", "2000", "--minutes", "0.0000001"]) == 2
        assert "nothing is known" in capsys.readouterr().err

    def test_memory_is_counted(self):
        before = resident_bytes()
        block = np.ones(80_000_000, np.uint8)
        held, most = resident_bytes(), most_resident_bytes()
        assert before is not None and held is not None and most is not None
        assert 60_000_000 < held - before < 120_000_000
        assert most >= held and block.all()


def test_the_slope_is_that_of_the_second_half(tool):
    frames = list(range(0, 2000, 100))
    assert tool.bytes_per_frame(frames, [10**9] * 20) == pytest.approx(0, abs=1e-6)
    filled = [1000 * min(frame, 900) + 3 * frame for frame in frames]
    assert tool.bytes_per_frame(frames, filled) == pytest.approx(3)
