"""Networks with start values that nevertheless see many things, and the files that they become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import Checkpoint, save_checkpoint
from tl_detection.export.export import ExportReport, export

WIDTH_PX, HEIGHT_PX = 320, 192
CLASSES = ("red", "yellow", "green", "off")


def draw(height: int, width: int, seed: int) -> np.ndarray:
    """Colour clouds with hard-edged boxes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 24), max(2, width // 24), 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        x, y, box_width, box_height = (int(rng.integers(0, limit)) for limit in (width, height, 20, 40))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        cv2.rectangle(image, (x, y), (x + 2 + box_width, y + 4 + box_height), colour, -1)
    return image


def set_spread(layer: nn.Module, run: Callable[[], object], mean: float, spread: float) -> None:
    """Rescale a convolution or linear layer so that its outputs have this mean and deviation per channel."""
    seen: list[torch.Tensor] = []
    hook = layer.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    run()
    hook.remove()
    axes = (0, 2, 3) if seen[0].ndim == 4 else (0,)
    factor = spread / (seen[0].std(axes) + 1e-9)
    layer.weight.data *= factor.view(-1, *[1] * (layer.weight.ndim - 1))
    layer.bias.data = (layer.bias.data - seen[0].mean(axes)) * factor + mean


def tensor_of(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.transpose(2, 0, 1)[None].copy()).float() / 255


@pytest.fixture(scope="session")
def scene() -> Callable[[int, int, int], np.ndarray]:
    return draw


@pytest.fixture(scope="session")
def label_space() -> LabelSpace:
    return LabelSpace.model_validate({"classes": {name: {"state": name} for name in CLASSES}})


@pytest.fixture(scope="session")
def lively_yolo() -> Callable[..., tuple[nn.Module, dict]]:
    """Build a YOLO whose heads answer to what they see."""
    from tl_detection.detectors.yolo import build_yolo

    def build(architecture: str, bias: float = -3.0) -> tuple[nn.Module, dict]:
        torch.manual_seed(0)
        model = {"architecture": architecture, "width_px": WIDTH_PX, "height_px": HEIGHT_PX, "max_detections": 50}
        module = build_yolo(model, len(CLASSES))
        for part in module.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight)
        image = tensor_of(draw(HEIGHT_PX, WIDTH_PX, 5))
        head = module.model[-1]
        with torch.no_grad():
            module.train()
            for _ in range(15):  # running means of the batch norms
                module(torch.cat([image, image.flip(3)]))
            module.eval()
            for boxes, classes, end_to_end in (("cv2", "cv3", False), ("one2one_cv2", "one2one_cv3", True)):
                if getattr(head, boxes, None) is None:
                    continue
                module.end2end = end_to_end
                for branch in getattr(head, classes):
                    set_spread(branch[-1], lambda: module(image), bias, 2.0)
                for branch in getattr(head, boxes):
                    set_spread(branch[-1], lambda: module(image), 2.0, 1.0)
        return module, model

    return build


@pytest.fixture(scope="session")
def yolo_checkpoint(lively_yolo, label_space, tmp_path_factory) -> Path:
    module, model = lively_yolo("yolo11n")
    path = tmp_path_factory.mktemp("yolo") / "best.pt"
    meta = {"run": "20260101-000000", "name": "test_yolo", "catalog_fingerprint": "c0ffee", "epoch": 3}
    save_checkpoint(
        path, Checkpoint(kind="yolo", model=model, label_space=label_space, state=module.state_dict(), meta=meta)
    )
    return path


@pytest.fixture(scope="session")
def yolo_export(yolo_checkpoint) -> ExportReport:
    frames = [draw(360, 640, 1), draw(HEIGHT_PX, WIDTH_PX, 2), draw(333, 217, 3)]
    return export(yolo_checkpoint, yolo_checkpoint.parent / "yolo.onnx", frames=frames, frame_size="any")


@pytest.fixture(scope="session")
def faster_checkpoint(label_space, tmp_path_factory) -> Path:
    from tl_detection.detectors.faster_rcnn import build_faster_rcnn

    torch.manual_seed(0)
    model = {
        "backbone": "resnet18",
        "norm": "group",
        "anchor_sizes": [[8.0], [24.0], [64.0]],
        "anchor_ratios": [2.0, 1.0],
        "fpn_channels": 32,
        "box_head_size": 64,
        "max_detections": 40,
        "trainable_layers": None,
        "width_px": WIDTH_PX,
        "height_px": HEIGHT_PX,
    }
    network = build_faster_rcnn(model, len(CLASSES)).eval()
    for part in network.backbone.modules():
        if isinstance(part, nn.GroupNorm):
            nn.init.ones_(part.weight)
    image = tensor_of(draw(HEIGHT_PX, WIDTH_PX, 5))
    head, predictor = network.rpn.head, network.roi_heads.box_predictor
    with torch.no_grad():
        for layer, mean, spread in (
            (head.cls_logits, -1.0, 2.0),
            (head.bbox_pred, 0.0, 0.3),
            (predictor.cls_score, 0.0, 2.0),
            (predictor.bbox_pred, 0.0, 0.5),
        ):
            set_spread(layer, lambda: network(image), mean, spread)
    path = tmp_path_factory.mktemp("faster") / "best.pt"
    save_checkpoint(
        path,
        Checkpoint(
            kind="faster_rcnn", model=model, label_space=label_space, state=network.state_dict(), meta={"run": "r"}
        ),
    )
    return path
