"""What of the measurements of training can be wrong without anybody noticing: what is timed, and what is drawn."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

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
def benchmark():
    return load("benchmark_training")


@pytest.fixture(scope="module")
def recipes():
    return load("measure_recipes")


def test_a_watch_times_what_lies_between_the_batches_after_the_first_ones(benchmark):
    watch = benchmark.Watch(skip=2, batches=4, device=torch.device("cpu"))

    def batches():
        while True:
            time.sleep(0.01)
            yield object()

    seen = 0
    with pytest.raises(benchmark.TurnOverError):
        for number, _ in enumerate(watch.over(batches())):
            seen += 1
            # Slow at first: that must not count.
            time.sleep(0.3 if number < 2 else 0.03)
    turn = watch.turn(batch_size=8)
    assert seen == 6
    assert 4 * 0.04 <= watch.spent < 0.5
    assert turn.images_per_s == pytest.approx(8 * 4 / watch.spent)
    assert turn.wait_share == pytest.approx(0.04 / watch.spent, rel=0.5)


def test_a_watch_does_not_take_an_epoch_that_is_too_short_for_a_turn(benchmark):
    watch = benchmark.Watch(skip=2, batches=4, device=torch.device("cpu"))
    with pytest.raises(RuntimeError, match="the epoch ended after 3 batches, before the turn"):
        list(watch.over([1, 2, 3]))


def test_a_watched_loader_is_the_loader_that_it_was(benchmark):
    watch = benchmark.Watch(skip=1, batches=2, device=torch.device("cpu"))
    loader = watch.watch(DataLoader(list(range(8)), batch_size=2))  # type: ignore[arg-type]
    assert isinstance(loader, DataLoader)
    given = []
    with pytest.raises(benchmark.TurnOverError):
        for batch in loader:
            given.append(batch.tolist())  # noqa: PERF401  the loop ends in an error
    assert given == [[0, 1], [2, 3], [4, 5]]


def test_the_table_shows_medians_and_leaves_out_what_the_other_cannot(benchmark):
    def job(trainer: str, precision: str):
        return benchmark.Job(trainer=trainer, augmentation="off", precision=precision, workers=4)

    def turns(*speeds: float, workers: int = 4):
        return [benchmark.Turn(images_per_s=speed, wait_share=0.1, workers=workers) for speed in speeds]

    lines = benchmark.make_table(
        {
            job("ours", "float32"): turns(10.0, 90.0, 12.0),
            job("theirs", "float32"): turns(6.0, 1.0, 8.0, workers=2),
            job("ours", "bf16"): turns(20.0),
        },
        "theirs",
    )
    assert lines[2:] == [
        "| off | float32 | 4 (theirs 2) | 12.0 | 6.0 | 2.00 | 10% | 10% |",
        "| off | bf16 | 4 | 20.0 | - | - | 10% | - |",
    ]


def test_the_interval_of_a_difference_holds_frames_and_seeds(recipes):
    rng = np.random.default_rng(0)
    frames = rng.normal(0, 0.05, 4000)  # what a replicate does to every score alike
    same = recipes.interval_of_difference(0.5 + np.tile(frames, (3, 1)), 0.3 + np.tile(frames, (3, 1)))
    np.testing.assert_allclose(same, [0.2, 0.2], atol=1e-12)
    # Seeds that differ widen it: means of three draws from 0.4, 0.5 and 0.6 lie between 0.4 and 0.6.
    seeds = np.array([[0.4], [0.5], [0.6]])
    low, high = recipes.interval_of_difference(seeds + frames, np.full((3, 1), 0.3) + frames)
    assert 0.1 - 1e-9 <= low < 0.14
    assert 0.26 < high <= 0.3 + 1e-9


def test_replicates_without_a_value_leave_the_interval(recipes):
    ours, theirs = np.array([[0.5, np.nan, 0.5]]), np.array([[0.4, 0.4, 0.4]])
    np.testing.assert_allclose(recipes.interval_of_difference(ours, theirs), [0.1, 0.1])
    assert recipes.interval_of_difference(np.full((1, 2), np.nan), np.ones((1, 2))) is None


def test_detections_come_back_as_they_were_kept(recipes, tmp_path):
    counts, rng = [2, 0, 1], np.random.default_rng(0)
    arrays = {
        "xyxy": np.sort(rng.uniform(0, 50, (3, 4)).astype(np.float32), axis=1),
        "score": rng.uniform(0, 1, 3).astype(np.float32),
        "class_id": np.array([0, 1, 4]),
    }
    np.savez_compressed(tmp_path / "tl.npz", counts=counts, **arrays)
    found = recipes.read_detections(tmp_path / "tl.npz")
    assert [len(each) for each in found] == counts
    np.testing.assert_array_equal(found[2].xyxy, arrays["xyxy"][2:])
    assert found[2].class_id.tolist() == [4]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nbs=8", 8),
        ("lr0=0.01", 0.01),
        ("cos_lr=true", True),
        ("optimizer=AdamW", "AdamW"),
        ("freeze=[0, 1]", [0, 1]),
        ("close_mosaic=2", 2),
        ("name=nano", "nano"),
    ],
)
def test_words_of_ultralytics_have_their_types(recipes, text: str, value: object):
    assert list(recipes.their_words([text]).values()) == [value]
