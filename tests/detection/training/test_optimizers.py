"""Which parameters decay, and at which rate each learns."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tl_detection.config import TrainConfig
from tl_detection.training.optimizers import class_weights, make_groups, make_optimizer, set_rates

NETWORK_STAGES = {"0": 3, "1": 3, "2": 5}


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 1))


def stage_of(name: str) -> int:
    return NETWORK_STAGES[name.split(".")[0]]


@pytest.mark.parametrize(
    ("name", "kind"), [("auto", torch.optim.SGD), ("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)]
)
def test_norms_and_biases_do_not_decay(name, kind):
    model = network()
    model[2].requires_grad_(False)
    settings = TrainConfig(optimizer=name, weight_decay=0.1, lr=0.5)
    optimizer = make_optimizer(make_groups(model, settings, stage_of), settings)
    assert type(optimizer) is kind
    decay, plain = optimizer.param_groups
    assert [tuple(p.shape) for p in decay["params"]] == [(4, 3, 3, 3)] and decay["weight_decay"] == 0.1
    assert len(plain["params"]) == 3 and plain["weight_decay"] == 0


def test_stages_learn_the_slower_the_nearer_they_are_to_the_picture():
    settings = TrainConfig(optimizer="sgd", lr=0.1, layer_lr_decay=0.5)
    groups = make_groups(network(), settings, stage_of)
    assert {tuple(parameter.shape): group["initial_lr"] for group in groups for parameter in group["params"]} == {
        (4, 3, 3, 3): pytest.approx(0.025),
        (4,): pytest.approx(0.1),  # the last written: the bias of the head
        (4, 4, 1, 1): pytest.approx(0.1),
    }
    assert sum(len(group["params"]) for group in groups) == 6
    optimizer = make_optimizer(groups, settings)
    set_rates(optimizer, 0.5)
    assert {group["lr"] for group in optimizer.param_groups} == {0.0125, 0.05}
    set_rates(optimizer, 1.0)
    assert {group["lr"] for group in optimizer.param_groups} == {0.025, 0.1}


def test_words_of_a_kind_make_groups_of_their_own():
    settings = TrainConfig(lr=0.1)
    groups = make_groups(
        network(), settings, stage_of, kind_of=lambda name, p: {"use_muon": p.ndim == 4, "lr_factor": 3.0}
    )
    assert {group["use_muon"]: len(group["params"]) for group in groups} == {True: 2, False: 4}
    assert all(group["initial_lr"] == pytest.approx(0.3) for group in groups)


def test_class_weights():
    names = ("red", "yellow", "off")
    assert class_weights(TrainConfig(), names, [1, 2, 3]) is None
    assert class_weights(TrainConfig(class_weights={"yellow": 2.5}), names, [1, 1, 1]) == [1, 2.5, 1]
    red, yellow, off = class_weights(TrainConfig(class_weights="balanced"), names, [400, 100, 0]) or []
    assert yellow == pytest.approx(2 * red) and (red + yellow) / 2 == pytest.approx(1) and off == 1


def test_class_weights_name_classes_of_the_run(tmp_path, lamp_run_config):
    with pytest.raises(ValueError, match=r"train\.class_weights: class 'blue' .* red, green"):
        lamp_run_config(tmp_path, frames=4, class_weights={"blue": 2.0})


@pytest.mark.parametrize("optimizer", ["musgd", "sgd", "adamw"])
def test_a_yolo_is_optimised_as_by_ultralytics(optimizer, tmp_path, run_config):
    """Each parameter has the rate, decay and kind of step that ultralytics' own trainer would give it."""
    from types import SimpleNamespace

    from tl_detection.training.data import prepare_data
    from tl_detection.training.train import make_learner

    config = run_config(tmp_path, "yolo", frames=4, optimizer=optimizer, lr=0.02, momentum=0.8, weight_decay=0.03)
    learner = make_learner(prepare_data(config), torch.device("cpu"))
    ours = learner.make_optimizer()
    from ultralytics.engine.trainer import BaseTrainer

    judge = BaseTrainer.build_optimizer(
        SimpleNamespace(args=SimpleNamespace(), data={}), learner.network, optimizer, 0.02, 0.8, 0.03
    )
    assert type(ours) is type(judge)
    words = ("lr", "weight_decay", "use_muon", "momentum", "nesterov", "betas")

    def by_parameter(found: torch.optim.Optimizer) -> dict[int, dict]:
        return {
            id(parameter): {word: group.get(word) for word in words if word in group}
            for group in found.param_groups
            for parameter in group["params"]
            if parameter.requires_grad
        }

    expected, made = by_parameter(judge), by_parameter(ours)
    assert made.keys() == expected.keys()
    for key, group in expected.items():
        assert made[key].pop("lr") == pytest.approx(group.pop("lr"))
        assert made[key] == group
    assert [getattr(ours, word, None) for word in ("muon", "sgd")] == [
        getattr(judge, word, None) for word in ("muon", "sgd")
    ]
