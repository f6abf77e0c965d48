"""Torchvision's COCO detectors as start weights; the judge is torchvision's own loading of the same file."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models.detection import (
    FasterRCNN,
    FasterRCNN_ResNet50_FPN_V2_Weights,
    FasterRCNN_ResNet50_FPN_Weights,
    fasterrcnn_mobilenet_v3_large_fpn,
    fasterrcnn_resnet50_fpn,
    fasterrcnn_resnet50_fpn_v2,
)
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import FrozenBatchNorm2d

from tl_datasets.errors import ConfigError, WeightsError
from tl_detection.config import FasterRcnnConfig
from tl_detection.detectors.faster_rcnn import FittedAnchorGenerator, build_faster_rcnn
from tl_detection.training.anchors import DEFAULT_ANCHORS
from tl_detection.training.data import TrainingData, prepare_data
from tl_detection.training.faster_rcnn_start import describe_model, load_start_weights, n_frozen_stages
from tl_detection.training.faster_rcnn_weights import COCO_NAMES, read_start_weights

# 80 names stand in COCO's 90 places.
REAL_NAMES = [name for name in COCO_NAMES if name != "N/A"]
LIGHT = COCO_NAMES.index("traffic light") + 1


@dataclass(frozen=True, kw_only=True)
class Coco:
    """A file as torchvision publishes it, with drawn weights."""

    version: int
    path: Path
    state: dict[str, torch.Tensor]

    def torchvision(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> FasterRCNN:
        """Torchvision's detector with these weights, loaded by torchvision as if it had fetched them."""
        if self.version == 1:
            make, weights = fasterrcnn_resnet50_fpn, FasterRCNN_ResNet50_FPN_Weights.COCO_V1
        else:
            make, weights = fasterrcnn_resnet50_fpn_v2, FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1
        with monkeypatch.context() as patch:
            patch.setattr(type(weights), "get_state_dict", lambda *_, **__: dict(self.state))
            return make(weights=weights, **settings).eval()


@pytest.fixture(scope="module", params=[1, 2])
def coco(request, tmp_path_factory) -> Iterator[Coco]:
    torch.manual_seed(request.param)
    make = fasterrcnn_resnet50_fpn if request.param == 1 else fasterrcnn_resnet50_fpn_v2
    network = make(weights=None, weights_backbone=None, min_size=128, max_size=192)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
            part.weight.data.uniform_(0.3, 0.7)
    predictor = network.roi_heads.box_predictor
    heads = {
        network.rpn.head.cls_logits: 2,
        network.rpn.head.bbox_pred: 0.3,
        predictor.cls_score: 2,
        predictor.bbox_pred: 0.5,
    }
    for layer, spread in heads.items():
        let_answer(layer, spread, network.eval())
    # Where COCO has no class nothing is found.
    predictor.cls_score.bias.data[[row + 1 for row, name in enumerate(COCO_NAMES) if name == "N/A"]] = -1e4
    state = network.state_dict()
    if request.param == 1:
        # The published file is older than these names, than the counters, and than the zip format.
        state = {
            re.sub(r"(_blocks\.\d|rpn\.head\.conv)\.0(\.0)?\.(weight|bias)$", r"\1.\3", name): value
            for name, value in state.items()
            if not name.endswith("num_batches_tracked")
        }
    path = tmp_path_factory.mktemp("coco") / "coco.pth"
    torch.save(state, path, _use_new_zipfile_serialization=request.param == 2)
    yield Coco(version=request.param, path=path, state=state)
    path.unlink()  # 170 MB


def picture() -> torch.Tensor:
    """(3, 128, 192) of coloured squares."""
    coarse = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(1))
    return nn.functional.interpolate(coarse, scale_factor=16)[0]


@torch.no_grad()
def let_answer(layer: nn.Module, spread: float, network: FasterRCNN) -> None:
    """Scale a layer so that what it says at different places has mean 0 and this deviation."""
    seen = []
    hook = layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    network([picture()])
    hook.remove()
    values = seen[0].movedim(1, 0).flatten(1)
    factor = spread / values.std(dim=1)
    layer.weight *= factor.view(-1, *[1] * (layer.weight.ndim - 1))
    layer.bias.copy_((layer.bias - values.mean(dim=1)) * factor)


@pytest.fixture(scope="module")
def data(lamp_run_config, tmp_path_factory) -> TrainingData:
    return prepare_data(lamp_run_config(tmp_path_factory.mktemp("lamps")))


def settings_of(coco: Coco, **changed: Any) -> FasterRcnnConfig:
    base = {
        "kind": "faster_rcnn",
        "backbone": "resnet50",
        "version": coco.version,
        "norm": "frozen",
        "anchors": "default",
        "weights": coco.path,
        "input": {"width_px": 192, "height_px": 128},
    }
    return FasterRcnnConfig.model_validate(base | changed)


def with_classes(data: TrainingData, *names: str) -> TrainingData:
    space = {"classes": {name: {"state": "red"} for name in names}}
    return replace(data, label_space=type(data.label_space).model_validate(space))


def start(settings: FasterRcnnConfig, data: TrainingData) -> FasterRCNN:
    network = build_faster_rcnn(describe_model(settings, data), len(data.label_space))
    load_start_weights(network, settings, data)
    return network.eval()


def test_with_its_classes_and_anchors_it_is_torchvisions_detector(coco, data, monkeypatch):
    ours = start(settings_of(coco), with_classes(data, *REAL_NAMES))
    # As here: no other size, fewer proposals, all scores; its anchors are only rounded, see below.
    theirs = coco.torchvision(
        monkeypatch,
        min_size=128,
        max_size=192,
        rpn_post_nms_top_n_test=300,
        box_score_thresh=0.01,
    )
    theirs.rpn.anchor_generator = FittedAnchorGenerator(DEFAULT_ANCHORS.sizes, (DEFAULT_ANCHORS.ratios,) * 5)
    image = picture()[None]
    with torch.inference_mode():
        pixels = theirs.transform(list(image))[0]
        assert torch.allclose(ours.transform(image)[0].tensors, pixels.tensors, atol=1e-6)
        features, expected = ours.backbone(pixels.tensors), theirs.backbone(pixels.tensors)
        assert list(features) == list(expected)
        for name, value in expected.items():
            scale = float(value.abs().max())
            assert scale > 0.1 and torch.allclose(features[name], value, atol=1e-5 * scale), name
        for one, other in zip(
            ours.rpn.head(list(features.values())), theirs.rpn.head(list(expected.values())), strict=True
        ):
            assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(one, other, strict=True))
        found, judge = ours(image)[0], theirs(list(image))[0]
    assert len(judge["boxes"]) == 100 and len(judge["scores"].unique()) > 90 and len(judge["labels"].unique()) > 5
    assert torch.allclose(found["scores"], judge["scores"], atol=1e-4)
    assert torch.allclose(found["boxes"], judge["boxes"], atol=0.01)
    names = [REAL_NAMES[label - 1] for label in found["labels"]]
    assert names == [COCO_NAMES[label - 1] for label in judge["labels"]]


def test_torchvision_rounds_the_same_anchors_to_pixels():
    rounded = AnchorGenerator(DEFAULT_ANCHORS.sizes, (DEFAULT_ANCHORS.ratios,) * 5)
    exact = FittedAnchorGenerator(DEFAULT_ANCHORS.sizes, (DEFAULT_ANCHORS.ratios,) * 5)
    images = ImageList(torch.zeros(1, 3, 128, 192), [(128, 192)])
    maps = [torch.zeros(1, 1, 128 // stride, 192 // stride) for stride in (4, 8, 16, 32, 64)]
    difference = (rounded(images, maps)[0] - exact(images, maps)[0]).abs()
    assert 0 < float(difference.max()) <= 0.5


@pytest.mark.parametrize("norm", ["frozen", "batch"])
def test_lights_take_the_rows_of_the_traffic_light(norm, coco, data, caplog):
    caplog.set_level(logging.INFO)
    settings = settings_of(coco, norm=norm, classes_from={"red": "traffic light", "green": "traffic light"})
    lights = with_classes(data, "red", "green", "stop_sign", "pictogram")
    network = start(settings, lights)
    state = network.state_dict()
    for layer, width in (("cls_score", 1), ("bbox_pred", 4)):
        for kind in ("weight", "bias"):
            name = f"roi_heads.box_predictor.{layer}.{kind}"
            rows, former = state[name].unflatten(0, (-1, width)), coco.state[name].unflatten(0, (-1, width))
            sources = [0, LIGHT, LIGHT, COCO_NAMES.index("stop sign") + 1]
            assert torch.equal(rows[:4], former[sources])
            assert not (rows[4:] == former[:, None]).all(dim=(1, 2, 3) if kind == "weight" else (1, 2)).any()
    kept = "red (from traffic light), green (from traffic light), stop_sign (from stop sign)"
    assert f"classes kept: {kept}; classes that start anew: pictogram" in caplog.text
    # All else is the file's; the norms, too.
    kinds = {type(part) for part in network.modules() if isinstance(part, nn.BatchNorm2d | FrozenBatchNorm2d)}
    assert kinds == {nn.BatchNorm2d if norm == "batch" else FrozenBatchNorm2d}
    values = {value.double().sum().item() for value in coco.state.values()}
    for name, value in state.items():
        if not name.endswith("num_batches_tracked") and not name.startswith("roi_heads.box_predictor"):
            assert value.double().sum().item() in values, name
    assert n_frozen_stages(settings) == 2
    # Training with a channel that is everywhere the same must not divide by nothing.
    eps = {part.eps for part in network.backbone.body.modules() if hasattr(part, "running_var")}
    assert eps == {0.0 if norm == "frozen" and coco.version == 1 else 1e-5}


def test_fitted_anchors_keep_all_but_what_is_said_of_anchors(coco, data, caplog):
    caplog.set_level(logging.INFO)
    settings = settings_of(coco, anchors="fit")
    description = describe_model(settings, data)
    anchors = len(description["anchor_sizes"][0]) * len(description["anchor_ratios"])
    assert anchors not in (3, 0) and len(description["anchor_sizes"]) < 5
    network = build_faster_rcnn(description, 2)
    fresh = {name: value.clone() for name, value in network.state_dict().items() if name.startswith("rpn.head.")}
    load_start_weights(network, settings, data)
    judge = read_start_weights(coco.path, "resnet50", coco.version).state
    for name, value in network.state_dict().items():
        if name.startswith(("rpn.head.cls_logits", "rpn.head.bbox_pred")):
            assert torch.equal(value, fresh[name]), name
        elif not name.startswith("roi_heads.box_predictor"):
            assert torch.equal(value, judge[name]), name
    assert f"what it proposes starts anew (4 tensors): {anchors} anchors at each place, the file has 3" in caplog.text
    assert re.search(r"coco.pth: \d+ tensors copied, 4 start anew: rpn.head.cls_logits.weight", caplog.text)
    assert "classes kept: none; classes that start anew: red, green" in caplog.text


@pytest.mark.parametrize(
    ("what", "changed", "message"),
    [
        ("group norm", {"norm": "group"}, r"has the norm 'batch', .*; set model.norm=frozen \(or batch\)"),
        ("the other version", {"version": None}, r"has the version \d, not \d; set model.version=\d"),
        ("another backbone", {"backbone": "resnet18"}, "has the backbone resnet50, not resnet18"),
        (
            "no such class",
            {"classes_from": {"red": "traffic_lamp"}},
            "'traffic_lamp' is no class of .*coco.pth; there are person, bicycle, .*, traffic light, .*, toothbrush$",
        ),
    ],
)
def test_what_contradicts_the_file(what, changed, message, coco, data):
    if "version" in changed:
        changed = {"version": 3 - coco.version}
    with pytest.raises((WeightsError, ConfigError), match=message) as caught:
        start(settings_of(coco, **changed), data)
    assert "\n" not in str(caught.value), what


@pytest.mark.parametrize(
    ("version", "file"),
    [(1, "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth"), (2, "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth")],
)
def test_a_missing_file_is_named_with_its_source(version, file, tmp_path):
    url = {1: FasterRCNN_ResNet50_FPN_Weights.COCO_V1.url, 2: FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1.url}[version]
    assert url == f"https://download.pytorch.org/models/{file}"
    with pytest.raises(WeightsError, match=f"absent.pth: no such file; .*{file} from download.pytorch.org/models"):
        read_start_weights(tmp_path / "absent.pth", "resnet50", version)


def test_a_mobilenet_of_coco_has_no_pyramid_for_lights(tmp_path):
    state = fasterrcnn_mobilenet_v3_large_fpn(weights=None, weights_backbone=None).state_dict()
    torch.save(state, tmp_path / "coco.pth")
    with pytest.raises(WeightsError, match=r"begins at stride 32 and has nothing for ours.*set model.weights_backbone"):
        read_start_weights(tmp_path / "coco.pth", "mobilenet_v3_large", 1)


def test_classes_of_another_data_set_are_not_guessed(tmp_path):
    torch.save({"roi_heads.box_predictor.cls_score.bias": torch.zeros(5)}, tmp_path / "own.pth")
    with pytest.raises(WeightsError, match="has 5 classes with background, expected the 91 of torchvision's COCO"):
        read_start_weights(tmp_path / "own.pth", "resnet50", 1)
