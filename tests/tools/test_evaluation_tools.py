"""The measurements of evaluation: that what is timed says what pycocotools says, and that coverage is counted right."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The tool, and a small problem on disk."""
    benchmark, folder = load("benchmark_evaluation"), tmp_path_factory.mktemp("problem")
    benchmark.draw_problem(folder, 120, 6000, 3)
    return benchmark, folder


def test_every_way_of_scoring_the_same_files_gives_the_same_score(drawn):
    benchmark, folder = drawn
    expected = benchmark.score_with_pycocotools(folder, 0)["ap"]
    assert 0.1 < expected < 0.9
    for name in ("ours-overall", "ours-slices"):
        assert benchmark.WAYS[name](folder, 0)["ap"] == pytest.approx(expected, abs=1e-12), name
    # Its corners are rounded once more than widths are.
    assert benchmark.WAYS["ours-slices-parquet"](folder, 0)["ap"] == pytest.approx(expected, abs=1e-3)
    pytest.importorskip("hotcoco")
    assert benchmark.score_with_hotcoco(folder, 0)["ap"] == pytest.approx(expected, abs=1e-9)


def test_intervals_are_measured_in_every_slice(drawn):
    benchmark, folder = drawn
    found = benchmark.score_slices(folder, 20)
    assert found["slices"] >= 30 and found["intervals"] > 5 * found["slices"]


def test_a_problem_is_the_same_for_the_same_seed(drawn, tmp_path):
    benchmark, folder = drawn
    benchmark.draw_problem(tmp_path, 120, 6000, 3)
    for name in ("truth.json", "results.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_coverage_counts_the_intervals_that_hold_the_truth():
    coverage = load("measure_interval_coverage")
    rng = np.random.default_rng(0)
    data = coverage.draw_data_set(30, rng)
    once = coverage.values_of_each(data, np.ones((1, 30), np.int64))[:, 0]
    assert once[3] == data.found.sum() / data.classes[0].objects.sum()
    assert once[4] == data.as_green.sum() / data.stop.sum()
    everything, nothing = np.full(5, 0.5), np.full(5, 2.0)
    held, width, n = coverage.measure_coverage(6, 4, 30, nothing, seed=0)
    assert (held[[0, 2, 3, 4]] == 0).all() and (n[[0, 3]] == 4).all() and (width[0] > 0).all()
    held, _, _ = coverage.measure_coverage(200, 2, 50, everything, seed=0)
    assert (held[4] == 0).all(), "no rate of red as green is a half"


def test_an_interval_of_a_normal_mean_is_that_of_the_textbook():
    coverage = load("measure_interval_coverage")
    values = np.random.default_rng(0).normal(3, 2, 200_000)
    left_out = 3 + np.linspace(-1, 1, 51)
    for method, (low, high) in zip(coverage.METHODS, coverage.intervals(3.0, values, left_out), strict=True):
        wide = 1.02 if method in ("expanded", "reported") else 1.0
        assert (low, high) == pytest.approx((3 - 3.92 * wide, 3 + 3.92 * wide), abs=0.12), method


def test_equal_detectors_rarely_differ_and_unequal_ones_do():
    significance = load("measure_significance")
    equal = significance.measure(30, 12, 100, 0.0, given=True, seed=1)
    better = significance.measure(30, 12, 100, 0.3, given=True, seed=1)
    assert equal["recall"] <= 0.25 and equal["any, corrected"] <= 0.25
    assert better["recall"] >= 0.9 and better["any, corrected"] >= 0.9
