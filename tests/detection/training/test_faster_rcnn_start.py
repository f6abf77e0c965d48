"""What a Faster R-CNN starts from: description, weights of an earlier run or of ImageNet, frozen stages."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v3_large, mobilenet_v3_small, resnet18
from torchvision.models.detection import FasterRCNN

from tl_datasets.errors import ConfigError, WeightsError
from tl_detection.checkpoint import Checkpoint, save_checkpoint
from tl_detection.config import FasterRcnnConfig
from tl_detection.detectors.faster_rcnn import build_faster_rcnn
from tl_detection.training import faster_rcnn_start
from tl_detection.training.data import TrainingData, prepare_data
from tl_detection.training.faster_rcnn_start import (
    copy_class_rows,
    describe_model,
    freeze_stages,
    load_start_weights,
    n_frozen_stages,
    stage_of,
)

BACKBONES = ("resnet50", "resnet18", "mobilenet_v3_large", "mobilenet_v3_small")
SMALL = {
    "backbone": "resnet18",
    "norm": "group",
    "anchor_sizes": [[8]],
    "anchor_ratios": [1],
    "fpn_channels": 8,
    "box_head_size": 8,
    "max_detections": 5,
}


@pytest.fixture(autouse=True)
def light_heads(monkeypatch):
    """A box head and pyramid that a test can afford."""
    monkeypatch.setattr(faster_rcnn_start, "_HEADS", dict.fromkeys(BACKBONES, (32, 64)))


@pytest.fixture(scope="module")
def data(lamp_run_config, tmp_path_factory) -> TrainingData:
    """Drawn lamps, red and green."""
    return prepare_data(lamp_run_config(tmp_path_factory.mktemp("lamps")))


def settings_of(**changed: Any) -> FasterRcnnConfig:
    base = {"kind": "faster_rcnn", "backbone": "mobilenet_v3_small", "input": {"width_px": 128, "height_px": 64}}
    return FasterRcnnConfig.model_validate(base | changed)


def with_classes(data: TrainingData, *names: str) -> TrainingData:
    space = {"classes": {name: {"state": "red"} for name in names}}
    return replace(data, label_space=type(data.label_space).model_validate(space))


def build(settings: FasterRcnnConfig, data: TrainingData) -> FasterRCNN:
    return build_faster_rcnn(describe_model(settings, data), len(data.label_space))


@pytest.fixture
def save_run(data, tmp_path) -> Callable[..., Path]:
    """`save_run(**model settings)`: a checkpoint of a network with drawn weights."""

    def save(**changed: Any) -> Path:
        settings = settings_of(**changed)
        description = describe_model(settings, data)
        state = build_faster_rcnn(description, 2).state_dict()
        state = {name: torch.randn_like(value) if value.is_floating_point() else value for name, value in state.items()}
        path = tmp_path / "best.pt"
        save_checkpoint(
            path,
            Checkpoint(
                kind="faster_rcnn", model=description, label_space=data.label_space, state=state, meta={"run": "r"}
            ),
        )
        return path

    return save


# --- the description


def test_the_anchor_coverage_is_said_before_training(data, caplog):
    caplog.set_level(logging.INFO)
    fitted = describe_model(settings_of(), data)
    assert "100 % of the boxes have one with IoU 0.5" in caplog.text
    assert max(fitted["anchor_sizes"][0]) < 40
    assert "set model.anchors=fit" not in caplog.text
    stock = describe_model(settings_of(anchors="default"), data)
    assert stock["anchor_sizes"] == [[32], [64], [128], [256], [512]]
    assert "set model.anchors=fit" in caplog.text


def test_the_description_says_the_version_and_nothing_of_the_run(data):
    described = describe_model(settings_of(backbone="resnet18", version=2, frozen_stages=1), data)
    assert (described["version"], described["norm"], described["head_norm"]) == (2, "group", "group")
    assert set(described) == {
        "backbone", "version", "norm", "head_norm", "width_px", "height_px", "fpn_channels", "box_head_size",
        "max_detections", "anchor_sizes", "anchor_ratios",
    }  # fmt: skip


# --- an earlier run


def test_fine_tuning_keeps_the_classes_of_the_same_name(data, save_run, caplog):
    path = save_run()
    former = torch.load(path, weights_only=True)["state"]
    settings = settings_of(weights=path, max_detections=7, anchors="default")
    other = with_classes(data, "green", "lit", "red")
    caplog.set_level(logging.INFO)
    description = describe_model(settings, other)
    assert description["anchor_sizes"] == describe_model(settings_of(), data)["anchor_sizes"]
    assert description["max_detections"] == 7
    model = build_faster_rcnn(description, 3)
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    load_start_weights(model, settings, other)
    now = model.state_dict()
    layer = "roi_heads.box_predictor."
    assert all(torch.equal(now[name], value) for name, value in former.items() if not name.startswith(layer))
    for name, rows in ((f"{layer}cls_score.weight", 1), (f"{layer}bbox_pred.weight", 4)):
        assert torch.equal(now[name][:rows], former[name][:rows])  # background
        assert torch.equal(now[name][rows : 2 * rows], former[name][2 * rows : 3 * rows])  # green
        assert torch.equal(now[name][2 * rows : 3 * rows], fresh[name][2 * rows : 3 * rows])  # lit is new
        assert torch.equal(now[name][3 * rows :], former[name][rows : 2 * rows])  # red
    assert "classes kept: green, red; classes that start anew: lit" in caplog.text


def test_classes_from_says_whose_row_a_new_name_takes(data, save_run, caplog):
    settings = settings_of(weights=save_run(), classes_from={"stop": "red", "red": "green"})
    other = with_classes(data, "stop", "red", "go")
    caplog.set_level(logging.INFO)
    model = build(settings, other)
    load_start_weights(model, settings, other)
    name = "roi_heads.box_predictor.cls_score.weight"
    former, now = torch.load(settings.weights, weights_only=True)["state"][name], model.state_dict()[name]
    assert torch.equal(now[1], former[1]) and torch.equal(now[2], former[2])
    assert "classes kept: stop (from red), red (from green); classes that start anew: go" in caplog.text


@pytest.mark.parametrize("trained", ["batch", "frozen"])
@pytest.mark.parametrize("wanted", ["batch", "frozen"])
def test_statistics_can_be_frozen_and_learned_on(trained, wanted, data, save_run, tmp_path):
    torch.save(mobilenet_v3_small(weights=None).state_dict(), tmp_path / "imagenet.pth")
    given = {"weights_backbone": tmp_path / "imagenet.pth"} if trained == "frozen" else {}
    settings = settings_of(weights=save_run(norm=trained, **given), norm=wanted)
    model = build(settings, data)
    load_start_weights(model, settings, data)
    former = torch.load(settings.weights, weights_only=True)["state"]
    now = model.state_dict()
    assert all(torch.equal(now[name], value) for name, value in former.items() if "num_batches" not in name)
    # The new norm adds to the variance what the former one added.
    assert {part.eps for part in model.modules() if hasattr(part, "running_var")} == {1e-3 if given else 1e-5}


@pytest.mark.parametrize(
    ("what", "former", "wanted", "message"),
    [
        (
            "another backbone",
            {},
            {"backbone": "mobilenet_v3_large"},
            "has the backbone mobilenet_v3_small, not mobilenet_v3_large; set model.backbone=mobilenet_v3_small",
        ),
        ("another norm", {}, {"norm": "batch"}, "has the norm 'group', .*; set model.norm=group"),
        (
            "group norm is wanted",
            {"norm": "batch"},
            {},
            r"has the norm 'batch', .*; set model.norm=frozen \(or batch\)",
        ),
        (
            "another version",
            {"backbone": "resnet18", "version": 2},
            {"backbone": "resnet18"},
            "has the version 2, not 1; set model.version=2",
        ),
        (
            "a class that the file has not",
            {},
            {"classes_from": {"red": "stop"}},
            "model.classes_from: 'stop' is no class of .*best.pt; there are red, green",
        ),
        (
            "a class that the run has not",
            {},
            {"classes_from": {"stop": "red"}},
            "model.classes_from: 'stop' is no class of this run; there are red, green",
        ),
    ],
)
def test_a_run_that_does_not_fit(what, former, wanted, message, data, save_run):
    settings = settings_of(weights=save_run(**former), **wanted)
    with pytest.raises((WeightsError, ConfigError), match=message) as caught:
        load_start_weights(build(settings, data), settings, data)
    assert "\n" not in str(caught.value), what


@pytest.mark.parametrize("version", [1, 2])
def test_weights_of_the_second_version_go_on_as_such(version, data, save_run):
    settings = settings_of(backbone="resnet18", version=version, weights=save_run(backbone="resnet18", version=version))
    model = build(settings, data)
    load_start_weights(model, settings, data)
    former = torch.load(settings.weights, weights_only=True)["state"]
    assert all(torch.equal(value, former[name]) for name, value in model.state_dict().items())
    assert any(name.startswith("rpn.head.conv.1.") for name in former) == (version == 2)


def test_class_rows_without_a_common_name_keep_only_the_background():
    model, other = build_faster_rcnn(SMALL, 1), build_faster_rcnn(SMALL, 2)
    state = other.state_dict()
    fitted = copy_class_rows(model, state, {})
    name = "roi_heads.box_predictor.cls_score.weight"
    assert torch.equal(fitted[name][0], state[name][0])
    assert torch.equal(fitted[name][1], model.state_dict()[name][1])
    assert state[name].shape[0] == 3


# --- a backbone of ImageNet


@pytest.mark.parametrize(
    ("backbone", "make", "name", "eps"),
    [
        ("resnet18", resnet18, "layer3.1.conv2.weight", 1e-5),
        ("mobilenet_v3_large", mobilenet_v3_large, "features.12.block.0.0.weight", 1e-3),
        ("mobilenet_v3_small", mobilenet_v3_small, "features.8.block.0.0.weight", 1e-3),
    ],
)
def test_a_torchvision_state_dict_starts_the_backbone(backbone, make, name, eps, data, tmp_path, caplog):
    torch.manual_seed(5)
    theirs = make(weights=None)
    for part in theirs.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            # So small that what is added to it counts.
            part.running_var.uniform_(1e-3, 2e-3)
    torch.save(theirs.state_dict(), tmp_path / "imagenet.pth")
    settings = settings_of(backbone=backbone, weights_backbone=tmp_path / "imagenet.pth", norm="frozen")
    model = build(settings, data).eval()
    load_start_weights(model, settings, data)
    assert torch.equal(model.backbone.body.state_dict()[name.removeprefix("features.")], theirs.state_dict()[name])
    # The judge is torchvision's own network, up to the stage that gives the second level.
    images, judge = torch.rand(1, 3, 64, 64), theirs.eval()
    parts = {
        "resnet18": ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2"],
        "mobilenet_v3_large": [str(number) for number in range(7)],
        "mobilenet_v3_small": [str(number) for number in range(4)],
    }[backbone]
    expected = images
    with torch.inference_mode():
        for part in parts:
            expected = (judge if backbone == "resnet18" else judge.features).get_submodule(part)(expected)
        found = model.backbone.body(images)["1"]
    assert {part.eps for part in model.backbone.body.modules() if hasattr(part, "running_var")} == {eps}
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert n_frozen_stages(settings) == 2

    group = settings_of(backbone=backbone, weights_backbone=tmp_path / "imagenet.pth")
    assert n_frozen_stages(group) == 0
    load_start_weights(build(group, data), group, data)
    assert "model.norm=frozen keeps what the file knows" in caplog.text


@pytest.mark.parametrize(
    ("what", "key", "file", "message"),
    [
        ("no file", "weights", "absent.pt", "absent.pt: no such file; expected RUN/weights/best.pt$"),
        ("a folder", "weights", "folder", r"folder: cannot be read \(Is a directory\); expected RUN/weights/best.pt"),
        ("a text", "weights", "text.pth", "text.pth: not a file of weights alone, or cut off; expected RUN/"),
        ("code in it", "weights", "code.pth", "code.pth: not a file of weights alone, or cut off; expected RUN/"),
        ("numbers", "weights", "numbers.pth", "numbers.pth: not a state dict; expected RUN/"),
        ("a backbone", "weights", "imagenet.pth", "holds a backbone alone; set model.weights_backbone instead"),
        ("another network", "weights", "other.pth", "of something else than a Faster R-CNN; expected RUN/"),
        ("no backbone file", "weights_backbone", "absent.pth", "mobilenet_v3_small-047dcff4.pth from download.pytorch"),
        ("a text", "weights_backbone", "text.pth", "or cut off; expected torchvision's ImageNet weights"),
        ("a checkpoint of tl", "weights_backbone", "RUN", "not a state dict; expected torchvision's ImageNet"),
        ("another network", "weights_backbone", "other.pth", "of another architecture"),
    ],
)
def test_files_that_cannot_be_used(what, key, file, message, data, save_run, tmp_path):
    (tmp_path / "text.pth").write_text("nothing")
    (tmp_path / "folder").mkdir()
    torch.save({"model": nn.Linear(1, 1)}, tmp_path / "code.pth")
    torch.save({"epoch": 3}, tmp_path / "numbers.pth")
    torch.save({"features.0.0.weight": torch.zeros(1)}, tmp_path / "imagenet.pth")
    torch.save({"encoder.weight": torch.zeros(1)}, tmp_path / "other.pth")
    settings = settings_of(**{key: save_run() if file == "RUN" else tmp_path / file})
    with pytest.raises(WeightsError, match=message) as caught:
        load_start_weights(build(settings, data), settings, data)
    assert "\n" not in str(caught.value), what


# --- frozen stages


def stages_of_resnet(name: str) -> int:
    """Written out by hand, from the names of the modules."""
    if not name.startswith("backbone.body."):
        return 5
    part = name.split(".")[2]
    return 0 if part in ("conv1", "bn1") else int(part.removeprefix("layer"))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_parameter_has_a_stage_and_each_halves_the_picture(backbone):
    network = build_faster_rcnn(SMALL | {"backbone": backbone}, 1)
    stages = {name: stage_of(name, backbone) for name, _ in network.named_parameters()}
    assert set(stages.values()) == set(range(6))
    if backbone.startswith("resnet"):
        assert stages == {name: stages_of_resnet(name) for name in stages}
    else:
        # The judge runs the body: what halves the picture begins a stage.
        height, stage = 64, -1
        value = torch.zeros(1, 3, 64, 64)
        for part, module in network.backbone.body.named_children():
            value = module(value)
            if value.shape[2] < height:
                height, stage = value.shape[2], stage + 1
            of_part = {number for name, number in stages.items() if name.startswith(f"backbone.body.{part}.")}
            assert of_part == {stage}, part
        assert height == 2
    order = [stage for name, stage in stages.items() if name.startswith("backbone.body.")]
    assert order == sorted(order)


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenet_v3_small"])
@pytest.mark.parametrize("stages", range(6))
def test_frozen_stages_keep_weights_and_statistics(backbone, stages):
    torch.manual_seed(0)
    network = build_faster_rcnn(SMALL | {"backbone": backbone, "norm": "batch"}, 1)
    freeze_stages(network, stages)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    targets = [{"boxes": torch.tensor([[10.0, 10, 22, 34]]), "labels": torch.tensor([1])}] * 2
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    sum(network(torch.rand(2, 3, 64, 64), targets).values()).backward()
    optimizer.step()
    for name, value in network.state_dict().items():
        if name.startswith("backbone.body."):
            rests = stage_of(name, backbone) < stages
            # A ReLU may be dead for a whole weight, never for a statistic.
            assert torch.equal(value, before[name]) or not rests, name
            assert rests or not torch.equal(value, before[name]) or "running" not in name, name
    for name, parameter in network.named_parameters():
        unused = name.startswith(tuple(f"backbone.fpn.layer_blocks.{level}." for level in (1, 2, 3)))
        assert parameter.requires_grad == (stage_of(name, backbone) >= stages and not unused), name


def test_stages_stay_frozen_when_norms_are_exchanged():
    # As for a norm over several ranks.
    network = build_faster_rcnn(SMALL | {"norm": "batch"}, 1)
    freeze_stages(network, 2)
    network.backbone = nn.SyncBatchNorm.convert_sync_batchnorm(network.backbone)
    network.train()
    modes = {name: part.training for name, part in network.named_modules() if isinstance(part, nn.SyncBatchNorm)}
    assert not modes["backbone.body.bn1"] and not modes["backbone.body.layer1.0.bn1"]
    assert modes["backbone.body.layer2.0.bn1"] and modes["backbone.fpn.inner_blocks.0.1"]


def test_only_our_networks_have_stages():
    with pytest.raises(TypeError, match="expected a network of build_faster_rcnn"):
        freeze_stages(nn.ModuleDict({"backbone": nn.Linear(1, 1)}), 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "changed", "stages"),
    [
        ("from scratch", {}, 0),
        ("a run", {"weights": "best.pt"}, 2),
        ("a backbone with its norm", {"weights_backbone": "a.pth", "norm": "batch"}, 2),
        ("a backbone without its norm", {"weights_backbone": "a.pth"}, 0),
        ("as is said", {"weights": "best.pt", "frozen_stages": 0}, 0),
        ("as is said", {"frozen_stages": 5}, 5),
    ],
)
def test_how_many_stages_do_not_learn(what, changed, stages):
    assert n_frozen_stages(settings_of(**changed)) == stages, what


def test_frozen_stages_without_weights_are_warned_of(data, caplog):
    describe_model(settings_of(frozen_stages=2), data)
    assert "the first 2 stages of the backbone stay as they are drawn at random" in caplog.text
    caplog.clear()
    describe_model(settings_of(), data)
    assert "drawn at random" not in caplog.text
