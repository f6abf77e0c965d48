"""Stages of a YOLO's backbone: what is frozen stays, what is not learns."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tl_detection.detectors.yolo import YoloNetwork, build_yolo
from tl_detection.training.yolo_stages import freeze_stages, keep_frozen_norms, stage_of


def network(architecture: str = "yolo26n") -> YoloNetwork:
    torch.manual_seed(0)
    return build_yolo({"architecture": architecture, "width_px": 64, "height_px": 64, "max_detections": 10}, 2)


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("model.0.conv.weight", 0),
        ("model.1.bn.bias", 1),
        ("model.4.cv1.conv.weight", 2),
        ("model.6.cv1.conv.weight", 3),
        ("model.10.cv1.conv.weight", 4),
        ("model.13.cv1.conv.weight", 5),
        ("model.23.cv2.0.2.weight", 5),
    ],
)
def test_stage_of_a_parameter(name: str, stage: int):
    module = network()
    assert name in dict(module.named_parameters())
    assert stage_of(module, name) == stage


def step(module: YoloNetwork) -> None:
    predictions = module(torch.rand(2, 3, 64, 64))
    sum(head[part].square().mean() for head in predictions.values() for part in ("boxes", "scores")).backward()


@pytest.mark.parametrize("stages", [0, 1, 3, 5])
def test_frozen_stages_keep_weights_and_statistics(stages: int):
    module = network()
    freeze_stages(module, stages)
    module.train()
    keep_frozen_norms(module, stages)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    step(module)
    for name, value in module.named_parameters():
        assert value.requires_grad == (stage_of(module, name) >= stages), name
        assert (value.grad is not None) == value.requires_grad, name
    for name, value in module.named_buffers():
        assert torch.equal(value, before[name]) == (stage_of(module, name) < stages), name
    norms = [layer.training for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert any(norms)
    assert all(norms) == (stages == 0)


def test_frozen_stages_can_learn_again_in_another_network():
    module = network("yolo11n-p2")
    freeze_stages(module, 2)
    frozen = [name for name, value in module.named_parameters() if not value.requires_grad]
    assert frozen
    assert {stage_of(module, name) for name in frozen if "dfl" not in name} == {0, 1}
    assert all(value.requires_grad for name, value in network("yolo11n-p2").named_parameters() if "dfl" not in name)
