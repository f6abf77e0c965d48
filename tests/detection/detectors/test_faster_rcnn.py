"""Faster R-CNN as a network that is built without any download, and as a detector."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.detection import fasterrcnn_resnet50_fpn_v2
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


NETWORKS = [
    *((backbone, version) for backbone in ("resnet18", "resnet50") for version in (1, 2)),
    ("mobilenet_v3_large", 1),
    ("mobilenet_v3_small", 1),
]


@pytest.mark.parametrize(("backbone", "version"), NETWORKS)
@pytest.mark.parametrize(
    ("norm", "expected"), [("group", nn.GroupNorm), ("batch", nn.BatchNorm2d), ("frozen", FrozenBatchNorm2d)]
)
def test_every_network_learns_from_lights_and_from_none(backbone, version, norm, expected, monkeypatch):
    def refuse(*_: Any, **__: Any):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    torch.manual_seed(0)
    network = build_faster_rcnn(description(backbone=backbone, norm=norm, version=version), 2).train()
    assert norms_of(network.backbone.body) == {expected}
    # Statistics that a file has not cannot be frozen.
    new_parts = {expected} if norm != "frozen" else {nn.GroupNorm} if version == 2 else set()
    assert norms_of(network.backbone.fpn) == new_parts
    assert norms_of(network.roi_heads.box_head) == (new_parts if version == 2 else set())
    images = torch.rand(2, 3, 64, 128)
    no_light = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    for what in (targets(2), [*targets(1), no_light], [no_light, no_light]):
        network.zero_grad()
        losses = network(images, what)
        assert set(losses) == {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"}
        assert all(torch.isfinite(loss) for loss in losses.values())
        sum(losses.values()).backward()
        for name, parameter in network.named_parameters():
            # Two of four levels carry anchors; the others' outputs have no part in the loss.
            unused = name.startswith(("backbone.fpn.layer_blocks.2.", "backbone.fpn.layer_blocks.3."))
            assert parameter.requires_grad != unused, name
            assert (parameter.grad is None) == unused, name
            assert unused or torch.isfinite(parameter.grad).all(), name


def norms_of(module: nn.Module) -> set[type[nn.Module]]:
    kinds = (nn.GroupNorm, nn.BatchNorm2d, FrozenBatchNorm2d)
    return {kind for kind in kinds if any(isinstance(part, kind) for part in module.modules())}


@pytest.mark.parametrize(("backbone", "version"), NETWORKS)
def test_the_pyramid_begins_at_stride_four(backbone, version):
    sizes = [[8.0], [16.0], [32.0], [64.0], [128.0]]
    network = build_faster_rcnn(description(backbone=backbone, version=version, anchor_sizes=sizes), 2).eval()
    features = network.backbone(torch.zeros(1, 3, 64, 128))
    assert [tuple(value.shape[1:]) for value in features.values()] == [
        (32, 64 // stride, 128 // stride) for stride in (4, 8, 16, 32, 64)
    ]


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_the_second_version_survives_a_batch_without_proposals(norm):
    # Where all proposals lie in ignore areas the box head gets none: its statistics must stay finite.
    head = build_faster_rcnn(description(version=2, norm=norm), 2).train().roi_heads.box_head
    head(torch.zeros(0, 32, 7, 7)).sum().backward()
    assert all(torch.isfinite(value).all() for value in head.state_dict().values())
    assert all(torch.isfinite(parameter.grad).all() for parameter in head.parameters())


def test_the_heads_of_the_second_version_are_torchvisions():
    theirs = fasterrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None)
    sizes = [[32.0], [64.0], [128.0], [256.0], [512.0]]
    model = description(
        backbone="resnet50", version=2, norm="batch", fpn_channels=256, box_head_size=1024, anchor_sizes=sizes
    )
    ours = build_faster_rcnn(model | {"anchor_ratios": [0.5, 1.0, 2.0]}, 90)
    assert {name: value.shape for name, value in ours.state_dict().items()} == {
        name: value.shape for name, value in theirs.state_dict().items()
    }


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
def test_the_pyramid_has_the_levels_that_carry_anchors(levels):
    network = build_faster_rcnn(description(anchor_sizes=[[8 * 2**level] for level in range(levels)]), 2).eval()
    features = network.backbone(torch.zeros(1, 3, 64, 128))
    assert [128 // value.shape[-1] for value in features.values()] == [4, 8, 16, 32, 64][:levels]
    with torch.inference_mode():
        assert len(network(torch.rand(2, 3, 64, 128))) == 2


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


@pytest.mark.parametrize("version", [None, 1])
def test_a_checkpoint_of_the_first_version_need_not_say_so(version, checkpoint):
    # Early ones say instead how many layers of the backbone learned, which is the run's to say.
    model = description() | ({"trainable_layers": 3} if version is None else {"version": version, "head_norm": "group"})
    loaded = FasterRcnnDetector.from_checkpoint(replace(checkpoint, model=model), CPU, "best.pt")
    assert all(torch.equal(value, checkpoint.state[name]) for name, value in loaded.network.state_dict().items())
    assert loaded.description["architecture"] == "resnet18 with feature pyramid"


def test_a_checkpoint_of_the_second_version_detects_as_the_live_network(tmp_path):
    torch.manual_seed(0)
    network = build_faster_rcnn(description(version=2), 2)
    made = Checkpoint(
        kind="faster_rcnn", model=description(version=2), label_space=SPACE, state=network.state_dict(), meta={}
    )
    save_checkpoint(tmp_path / "best.pt", made)
    loaded = load_detector(tmp_path / "best.pt", device="cpu")
    assert loaded.description["architecture"] == "resnet18 with feature pyramid, version 2"
    image = frames((128, 64))
    live, read = FasterRcnnDetector(network, SPACE, 128, 64, CPU).detect(image)[0], loaded.detect(image)[0]
    assert len(live) and np.array_equal(live.xyxy, read.xyxy) and np.array_equal(live.score, read.score)


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
        ("unknown backbone", {"model": description(backbone="vgg")}, "description of the model"),
        ("unknown version", {"model": description(version=3)}, "version 3 of resnet18: expected 1, or 2 of a ResNet"),
        (
            "a version that the backbone has not",
            {"model": description(version=2, backbone="mobilenet_v3_small")},
            "version 2 of mobilenet_v3_small",
        ),
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
