from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tl_detection.training.ema import Ema, ramp


def _layer(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


@pytest.mark.parametrize(
    ("what", "decay", "total", "expected"),
    [
        ("a long run has the usual ramp", 0.999, 1_000_000, 2000),
        ("a short run a shorter one", 0.999, 2000, 2000 / math.log(100)),
        ("a very short one that of its length", 0.999, 30, 30),
        ("a low decay is reached soon", 0.9, 2000, 20),
        ("no decay", 0.0, 100, 2),
    ],
)
def test_ramp(what, decay, total, expected):
    assert ramp(decay, total) == pytest.approx(expected), what


@pytest.mark.parametrize("total", [20, 200, 2000, 20000])
def test_the_start_is_forgotten_at_the_end_of_a_run_of_any_length(total):
    model = _layer(1.0)
    ema = Ema(model, 0.9998, total)
    nn.init.constant_(model.weight, 0.0)
    for _ in range(total):
        ema.update(model)
    assert float(ema.model.weight) < 0.05


def test_follows_the_formula():
    model = _layer(0.0)
    ema = Ema(model, 0.9, 1000)
    nn.init.constant_(model.weight, 1.0)
    ema.update(model)
    decay = 0.9 * (1 - math.exp(-1 / 20))
    assert float(ema.model.weight) == pytest.approx(1 - decay)


def test_keeps_a_copy_and_counts_buffers():
    model = nn.BatchNorm2d(2)
    ema = Ema(model, 0.99, 100)
    model.train()
    for _ in range(3):
        model(torch.full((2, 2, 4, 4), 7.0))
        ema.update(model)
    assert int(ema.model.num_batches_tracked) == 3
    assert 0 < float(ema.model.running_mean[0]) < 7
    assert not ema.model.training
    assert not any(parameter.requires_grad for parameter in ema.model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
