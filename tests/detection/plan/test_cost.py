"""Times that follow from a trial, and the verdict on memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tl_detection.config import TrainConfig
from tl_detection.plan.cost import estimate, look_at_cost
from tl_detection.plan.findings import Verdict
from tl_detection.plan.memory import Memory, MemoryWatch, available_bytes
from tl_detection.plan.subject import open_subject
from tl_detection.plan.trial import Trial

GIB = 2**30
TRIAL = Trial(
    device="cuda:0 (some device)",
    precision="bfloat16",
    parameters=2_500_000,
    frames=10,
    micro_batch=10,
    learn_s=0.2,
    load_s=0.05,
    detect_s=0.01,
    memory=Memory(peak=4 * GIB, available=16 * GIB),
    losses={"loss": 1.0},
    starts=(),
    broken=(),
)


@pytest.mark.parametrize(
    ("device", "workers", "step", "waiting"),
    [
        ("cuda:0", 0, 0.7, 0.5),  # one after the other
        ("cuda:0", 2, 0.25, 0.05),  # two processes make ten samples in 0.25 s
        ("cuda:0", 4, 0.2, 0.0),  # the device decides
        ("cpu", 4, 0.325, 0.0),  # four cores that learn also make ten samples
    ],
)
def test_step(device, workers, step, waiting):
    settings = TrainConfig(epochs=10, batch_size=10, workers=workers, val_every=4)
    times = estimate(settings, 1005, 50, replace(TRIAL, device=device), cores=4)
    assert (times.step, times.waiting) == (pytest.approx(step), pytest.approx(waiting))
    assert times.steps_per_epoch == 101
    assert times.epoch == pytest.approx(100.5 * step)
    # After the epochs 4, 8 and the last.
    assert (times.validations, times.validation) == (3, pytest.approx(0.5))
    assert times.run == pytest.approx(10 * 100.5 * step + 1.5)


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({}, Verdict.OK, "4.00 GiB of 16.0 GiB"),
        (
            {"memory": Memory(peak=15 * GIB, available=16 * GIB)},
            Verdict.LOOK,
            "close to all of it: set train.micro_batch: 5",
        ),
        ({"memory": Memory(peak=17 * GIB, available=16 * GIB)}, Verdict.STOP, "more than there is"),
        ({"micro_batch": 5}, Verdict.LOOK, "10 frames at a time do not fit, 5 do: set train.micro_batch: 5"),
        ({"memory": Memory(peak=None, available=None)}, Verdict.OK, "does not say"),
    ],
)
def test_memory_verdicts(changes, verdict, words, run_over):
    subject = open_subject(run_over([[(1, 1, 21, 41)]] * 40, train={"device": "cpu", "batch_size": 10, "workers": 0}))
    findings = look_at_cost(subject, replace(TRIAL, **changes)).findings
    (found,) = [finding for finding in findings if finding.message.startswith("memory")]
    assert found.verdict is verdict and words in found.message


def test_waiting_for_samples_is_said(run_over):
    subject = open_subject(run_over([[(1, 1, 21, 41)]] * 40, train={"device": "cpu", "batch_size": 10, "workers": 0}))
    messages = [finding.message for finding in look_at_cost(subject, TRIAL).findings]
    assert any("71% of the time is spent on waiting for samples" in message for message in messages)


def test_memory_of_this_process_is_seen():
    with MemoryWatch(torch.device("cpu")) as watch:
        if watch.so_far().peak is None:
            pytest.skip("this system does not say how much memory a process has")
        block = torch.ones(50 * 2**20)  # 200 MiB
        for _ in range(100):
            taken = watch.so_far().peak or 0
            if taken > 150 * 2**20:
                break
            block.add_(1)
        del block
        peak = watch.so_far().peak or 0
    assert 150 * 2**20 < peak < 400 * 2**20
    assert (available_bytes(torch.device("cpu")) or 0) > peak
