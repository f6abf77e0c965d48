from __future__ import annotations

import math

import pytest
import torch

from tl_detection.training.schedule import lr_factor


@pytest.mark.parametrize(
    ("what", "step", "settings", "expected"),
    [
        ("first step of the warm-up", 0, {"warmup_steps": 10}, 0.1),
        ("middle of the warm-up", 4, {"warmup_steps": 10}, 0.5),
        ("last step of the warm-up", 9, {"warmup_steps": 10}, 1.0),
        ("first step after it", 10, {"warmup_steps": 10}, 1.0),
        ("no warm-up", 0, {}, 1.0),
        ("cosine, half way", 50, {"final_fraction": 0.0}, 0.5),
        ("cosine, last step", 100, {"final_fraction": 0.01}, 0.01),
        ("cosine, a quarter", 25, {"final_fraction": 0.0}, (1 + math.cos(math.pi / 4)) / 2),
        ("linear, half way", 50, {"schedule": "linear", "final_fraction": 0.2}, 0.6),
        ("linear, last step", 100, {"schedule": "linear", "final_fraction": 0.2}, 0.2),
        ("step, before the first", 29, {"schedule": "step", "step_at": (30, 60)}, 1.0),
        ("step, at the first", 30, {"schedule": "step", "step_at": (30, 60)}, 0.1),
        ("step, after the second", 99, {"schedule": "step", "step_at": (30, 60), "step_factor": 0.5}, 0.25),
        ("constant, last step", 100, {"schedule": "constant"}, 1.0),
        ("beyond the end", 500, {"final_fraction": 0.05}, 0.05),
    ],
)
def test_table(what, step, settings, expected):
    assert lr_factor(step, 101, **settings) == pytest.approx(expected), what


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_falls_after_the_warm_up_and_never_rises_again(schedule):
    factors = [lr_factor(step, 50, schedule=schedule, warmup_steps=5, final_fraction=0.1) for step in range(50)]
    assert factors[:5] == sorted(factors[:5])
    assert factors[5:] == sorted(factors[5:], reverse=True)
    assert factors[-1] == pytest.approx(0.1)


def test_warm_up_longer_than_the_run():
    assert lr_factor(3, 4, warmup_steps=8) == pytest.approx(0.5)


@pytest.mark.parametrize("steps", [10, 37, 200])
def test_one_cycle_is_that_of_torch(steps: int):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    judge = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=steps, div_factor=25, final_div_factor=4, cycle_momentum=False
    )
    for step in range(steps):
        found = lr_factor(step, steps, schedule="one_cycle", final_fraction=0.01, warmup_steps=5)
        assert found == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6), step
        optimizer.step()
        if step + 1 < steps:
            judge.step()
