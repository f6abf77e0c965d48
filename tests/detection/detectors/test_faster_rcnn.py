"""Faster R-CNN as a network that is built without any download, and as a detector."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from tl_datasets.errors import WeightsError
from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tl_detection.detectors.faster_rcnn import FasterRcnnDetector, build_faster_rcnn
from tl_detection.detectors.load import load_detector

SPACE = LabelSpace.model_validate({"classes": {"red": {"state": "red"}, "green": {"state": "green"}}})
CPU = torch.device("cpu")


def description(**changed: Any) -> dict[str, Any]:
    base = {
        "backbone": "resnet18",
        "norm": "group",
        "width_px": 128,
        "height_px": 64,
        "anchor_sizes": [[8, 12], [16, 24]],
        "anchor_ratios": [1.0, 2.0],
        "fpn_channels": 32,
        "box_head_size": 32,
        "max_detections": 20,
        "trainable_layers": None,
    }
    return base | changed


def targets(n: int) -> list[dict[str, torch.Tensor]]:
    return [{"boxes": torch.tensor([[10.0, 10, 22, 34]]), "labels": torch.tensor([2])} for _ in range(n)]


def frames(*sizes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (height, width, 3), dtype=np.uint8) for width, height in sizes]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_faster_rcnn(description(), 2)


@pytest.fixture(scope="module")
def checkpoint(network) -> Checkpoint:
    return Checkpoint(
        kind="faster_rcnn", model=description(), label_space=SPACE, state=network.state_dict(), meta={"run": "r1"}
    )


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "mobilenet_v3_large"])
@pytest.mark.parametrize(
    ("norm", "expected"), [("group", nn.GroupNorm), ("batch", nn.BatchNorm2d), ("frozen", FrozenBatchNorm2d)]
)
def test_every_backbone_begins_at_stride_four_and_downloads_nothing(backbone, norm, expected, monkeypatch):
    def refuse(*_: Any, **__: Any):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    network = build_faster_rcnn(description(backbone=backbone, norm=norm), 2)
    kinds = (nn.GroupNorm, nn.BatchNorm2d, FrozenBatchNorm2d)
    assert {kind for kind in kinds if any(isinstance(module, kind) for module in network.modules())} == {expected}
    assert any(isinstance(module, expected) for module in network.backbone.fpn.modules()) == (norm != "frozen")
    features = network.backbone(torch.zeros(2, 3, 64, 128))
    assert [tuple(value.shape[-2:]) for value in features.values()] == [(16, 32), (8, 16)]
    losses = network.train()(torch.rand(2, 3, 64, 128), targets(2))
    assert set(losses) == {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"}
    sum(losses.values()).backward()


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
def test_the_pyramid_has_the_levels_that_carry_anchors(levels):
    network = build_faster_rcnn(description(anchor_sizes=[[8 * 2**level] for level in range(levels)]), 2).eval()
    features = network.backbone(torch.zeros(1, 3, 64, 128))
    assert [128 // value.shape[-1] for value in features.values()] == [4, 8, 16, 32, 64][:levels]
    with torch.inference_mode():
        assert len(network(torch.rand(2, 3, 64, 128))) == 2


@pytest.mark.parametrize(
    ("backbone", "layers", "learns", "rests"),
    [
        ("resnet18", None, ["conv1", "layer1", "layer4"], []),
        ("resnet18", 3, ["layer2", "layer4"], ["conv1", "layer1"]),
        ("resnet18", 0, [], ["conv1", "layer4"]),
        ("resnet18", 5, ["conv1", "bn1", "layer4"], []),
        ("mobilenet_v3_large", 2, ["7.", "15."], ["0.", "6."]),
        ("mobilenet_v3_large", 6, ["0.", "15."], []),
    ],
)
def test_trainable_layers(backbone, layers, learns, rests):
    network = build_faster_rcnn(description(backbone=backbone, trainable_layers=layers), 2)
    state = {name: parameter.requires_grad for name, parameter in network.backbone.body.named_parameters()}
    for prefix in learns:
        assert all(value for name, value in state.items() if name.startswith(prefix)), prefix
    for prefix in rests:
        assert not any(value for name, value in state.items() if name.startswith(prefix)), prefix
    assert all(parameter.requires_grad for parameter in network.backbone.fpn.parameters())


def test_a_saved_checkpoint_detects_as_the_live_network(network, checkpoint, tmp_path):
    save_checkpoint(tmp_path / "best.pt", checkpoint)
    loaded = load_detector(tmp_path / "best.pt", device="cpu")
    live = FasterRcnnDetector(network, SPACE, 128, 64, CPU)
    images = frames((128, 64), (300, 200))
    for first, second in zip(live.detect(images), loaded.detect(images), strict=True):
        assert len(first) > 0
        assert np.array_equal(first.xyxy, second.xyxy) and np.array_equal(first.score, second.score)
    assert loaded.label_space == SPACE
    assert loaded.description["weights"].endswith("best.pt")
    assert loaded.description["run"] == "r1"


def test_frames_of_any_size_alone_or_together(network):
    detector = FasterRcnnDetector(network, SPACE, 128, 64, CPU)
    images = frames((128, 64), (300, 200), (40, 90), *[(128, 64)] * 8)
    together = detector.detect(images)
    assert len(together) == len(images)
    for image, found in zip(images, together, strict=True):
        alone = detector.detect([image])[0]
        assert np.allclose(alone.xyxy, found.xyxy, atol=1e-2) and np.allclose(alone.score, found.score, atol=1e-4)
        assert (found.xyxy >= 0).all() and (found.xyxy <= [image.shape[1], image.shape[0]] * 2).all()
        assert len(found) <= 20
        assert set(found.class_id.tolist()) <= {0, 1}
    assert detector.detect([]) == []


def test_boxes_come_back_in_the_pixels_of_the_frame():
    class Fixed(nn.Module):
        def forward(self, images: torch.Tensor):
            assert images.shape == (1, 3, 64, 128) and float(images.min()) >= 0 and float(images.max()) <= 1
            # The frame of 200x200 lies in columns 32 to 96 of the canvas.
            boxes = torch.tensor([[42.0, 10, 52, 30], [0.0, 0, 20, 20]])
            return [{"boxes": boxes, "scores": torch.tensor([0.9, 0.8]), "labels": torch.tensor([2, 1])}]

    found = FasterRcnnDetector(Fixed(), SPACE, 128, 64, CPU).detect(frames((200, 200)))[0]  # type: ignore[arg-type]
    assert np.allclose(found.xyxy, [[31.25, 31.25, 62.5, 93.75]])  # the second box lies in the padding
    assert found.class_id.tolist() == [1]


def test_a_network_in_training_is_not_disturbed(network):
    network.train()
    network.backbone.body.eval()
    modes = [module.training for module in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random_state = torch.get_rng_state()
    FasterRcnnDetector(network, SPACE, 128, 64, CPU).detect(frames((128, 64)))
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    network.train()
    sum(network(torch.rand(1, 3, 64, 128), targets(1)).values()).backward()
    network.zero_grad()


def test_modes_are_restored_when_detection_fails(network):
    network.train()
    with pytest.raises(ValueError, match="not enough values"):
        FasterRcnnDetector(network, SPACE, 128, 64, CPU).detect([np.zeros((3,), np.uint8)])
    assert network.training


@pytest.mark.parametrize(
    ("what", "changed", "message"),
    [
        ("other weights", {"model": description(fpn_channels=64)}, "do not fit the model"),
        ("incomplete description", {"model": {"backbone": "resnet18"}}, "description of the model"),
        ("unknown norm", {"model": description(norm="layer")}, "description of the model"),
    ],
)
def test_weights_that_do_not_fit(checkpoint, what, changed, message, tmp_path):
    save_checkpoint(tmp_path / "bad.pt", replace(checkpoint, **changed))
    with pytest.raises(WeightsError, match=message) as caught:
        FasterRcnnDetector.from_checkpoint(load_checkpoint(tmp_path / "bad.pt"), CPU, "bad.pt")
    assert str(caught.value).startswith("bad.pt: ") and "\n" not in str(caught.value), what


def test_colours_are_normalised_as_imagenet(network):
    batch, _ = network.transform(torch.full((1, 3, 4, 4), 0.5))
    assert torch.allclose(batch.tensors[0, :, 0, 0], torch.tensor([0.0655, 0.1964, 0.4178]), atol=1e-3)
    assert batch.image_sizes == [(4, 4)]


@pytest.mark.parametrize("norm", ["group", "batch"])
@pytest.mark.parametrize("backbone", ["resnet18", "mobilenet_v3_large"])
def test_anchors_are_laid_in_float32_under_mixed_precision(backbone, norm):
    # In bf16 an anchor of 4 px lies 8 px wide or without width beyond 512 px.
    model = {
        "backbone": backbone,
        "norm": norm,
        "anchor_sizes": [[5.5], [12.25]],
        "anchor_ratios": [1.7],
        "fpn_channels": 32,
        "box_head_size": 32,
        "max_detections": 10,
        "trainable_layers": None,
    }
    network = build_faster_rcnn(model, 2).eval()
    batch, _ = network.transform(torch.rand(1, 3, 32, 1280))

    def anchors() -> torch.Tensor:
        return network.rpn.anchor_generator(batch, list(network.backbone(batch.tensors).values()))[0]

    with torch.no_grad():
        plain = anchors()
        with torch.autocast("cpu", torch.bfloat16):
            mixed = anchors()
    assert mixed.dtype == torch.float32 and torch.equal(plain, mixed)
    width = plain[:, 2] - plain[:, 0]
    assert width.min() > 4


def test_boxes_are_decoded_in_float32_under_mixed_precision(monkeypatch):
    # In bf16 a coordinate of 600 px is decoded to a multiple of 4 px: small lights lose their width.
    model = {
        "backbone": "resnet18",
        "norm": "group",
        "anchor_sizes": [[8.0], [16.0]],
        "anchor_ratios": [1.7],
        "fpn_channels": 32,
        "box_head_size": 32,
        "max_detections": 10,
        "trainable_layers": None,
    }
    network = build_faster_rcnn(model, 2).train()
    seen = []
    original = network.roi_heads.forward

    def spy(features, proposals, image_shapes, targets=None):
        seen.extend(proposal.dtype for proposal in proposals)
        return original(features, proposals, image_shapes, targets)

    monkeypatch.setattr(network.roi_heads, "forward", spy)
    targets = [{"boxes": torch.tensor([[600.3, 20.2, 606.1, 32.9]]), "labels": torch.tensor([1])}]
    with torch.autocast("cpu", torch.bfloat16):
        losses = network(torch.rand(1, 3, 64, 640), targets)
    assert seen == [torch.float32]
    assert all(loss.dtype == torch.float32 and torch.isfinite(loss) for loss in losses.values())
