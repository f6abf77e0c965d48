"""The YOLO detector, judged by ultralytics' own prediction with the same network."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tl_datasets.boxes import iou
from tl_datasets.errors import ConfigError, WeightsError
from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import Checkpoint
from tl_detection.detectors.yolo import (
    TWIN_IOU,
    RawPrediction,
    YoloDetector,
    build_yolo,
)
from tl_detection.detectors.yolo_architecture import architecture_config

LABEL_SPACE = LabelSpace.model_validate({"classes": {"red": {"state": "red"}, "green": {"state": "green"}}})
# The judges know no classes that exclude each other.
APART = LabelSpace.model_validate({"classes": {"light": {}, "car": {"category": "car"}}})


def spec(architecture: str, width_px: int = 128, height_px: int = 64) -> dict:
    return {
        "architecture": architecture,
        "width_px": width_px,
        "height_px": height_px,
        "max_detections": 100,
    }


def lively(architecture: str, n_classes: int = 2):
    """A fresh network whose scores differ between points and classes, as a trained one's do."""
    torch.manual_seed(0)
    module = build_yolo(spec(architecture), n_classes)
    norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for layer in norms:
        layer.momentum = 1.0
    with torch.no_grad():
        module.train()(torch.rand(4, 3, 64, 128))  # sets the statistics, without which features fade out
        for name, value in module.model[-1].named_parameters():
            if "cv2" in name and name.endswith("2.weight"):
                value.mul_(0.02)
            elif "cv3" in name and name.endswith("2.weight"):
                value.normal_(0, 0.05)
            elif "cv3" in name and name.endswith("2.bias"):
                value.fill_(-3)
    return module.eval()


def noise(width: int, height: int, seed: int = 0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def predict_with_ultralytics(module, image, tmp_path):
    from ultralytics import YOLO

    judge = YOLO("yolo26n.yaml", task="detect")
    judge.model = module
    boxes = judge.predict(
        image[:, :, ::-1],
        imgsz=(64, 128),
        conf=0.001,
        iou=0.7,
        max_det=100,
        nms=False if module.end2end else None,
        device="cpu",
        verbose=False,
        save=False,
        project=str(tmp_path),
    )[0].boxes
    return boxes.xyxy.numpy(), boxes.conf.numpy(), boxes.cls.numpy().astype(int)


# With several classes the judge keeps only the best class of a point where its head needs suppression: hence one.
@pytest.mark.parametrize(("architecture", "n_classes"), [("yolo26n", 2), ("yolo11n", 1)])
@pytest.mark.parametrize("scale", [1, 3], ids=["network size", "camera size"])
def test_equals_ultralytics_own_prediction(architecture: str, n_classes: int, scale: int, tmp_path):
    module, image = lively(architecture, n_classes), noise(128 * scale, 64 * scale)
    found = YoloDetector(copy.deepcopy(module), APART, spec(architecture), {}).detect([image])[0]
    xyxy, score, class_id = predict_with_ultralytics(module, image, tmp_path)
    assert len(score) > 10
    if architecture == "yolo26n":
        # The judge keeps boxes that lie on each other; every one of them must have its twin among ours.
        same = (iou(xyxy, found.xyxy) > TWIN_IOU) & (class_id[:, None] == found.class_id[None])
        assert same.any(axis=1).all()
        assert len(np.unique(found.class_id)) == 2
        far = np.abs(xyxy[None] - found.xyxy[:, None]).sum(axis=2) + 1e3 * np.abs(score[None] - found.score[:, None])
        kept = (far + 1e3 * (class_id[None] != found.class_id[:, None])).argmin(axis=1)
        xyxy, score, class_id = xyxy[kept], score[kept], class_id[kept]
    assert len(found) == len(score)
    np.testing.assert_allclose(found.score, score, atol=1e-4)
    np.testing.assert_allclose(found.xyxy, xyxy, atol=0.02 * scale)
    np.testing.assert_array_equal(found.class_id, class_id)


def test_suppression_equals_ultralytics_own():
    from ultralytics.utils.nms import non_max_suppression

    module = lively("yolo11n")
    with torch.no_grad():
        raw = RawPrediction(module)(torch.rand(1, 3, 64, 128))
    detector = YoloDetector(module, APART, spec("yolo11n"), {})
    xyxy, score, class_id = detector._select(raw[0])
    judged = non_max_suppression(raw.clone(), 0.001, 0.7, multi_label=True, max_det=100)[0]
    assert len(class_id.unique()) == 2
    np.testing.assert_allclose(torch.cat([xyxy, score[:, None], class_id[:, None]], dim=1), judged, atol=1e-3)


def test_one_point_is_not_named_twice():
    detector = YoloDetector(build_yolo(spec("yolo26n"), 2), APART, spec("yolo26n"), {})
    raw = torch.tensor(
        [
            [10, 10, 20, 30, 0.9, 0],
            [10, 10, 20, 30.2, 0.8, 0],  # the same lamp again
            [10, 10, 20, 30, 0.7, 1],  # the same place as another class is another claim
            [10, 14, 20, 34, 0.6, 0],  # a neighbour
            [50, 10, 60, 30, 0.0005, 0],  # below the score threshold
        ]
    )
    _, score, class_id = detector._select(raw)
    assert score.tolist() == pytest.approx([0.9, 0.7, 0.6])
    assert class_id.tolist() == [0, 1, 0]


def test_suppression_keeps_classes_apart():
    detector = YoloDetector(build_yolo(spec("yolo11n"), 2), APART, spec("yolo11n"), {})
    # Columns are points: cx, cy, w, h, light, car.
    raw = torch.tensor([[20, 20, 10, 20, 0.9, 0.3], [21, 20, 10, 20, 0.8, 0.0], [60, 20, 10, 20, 0.0, 0.5]]).T
    xyxy, score, class_id = detector._select(raw)
    assert score.tolist() == pytest.approx([0.9, 0.5, 0.3])
    assert class_id.tolist() == [0, 1, 1]
    assert xyxy[0].tolist() == [15, 10, 25, 30]


def test_frames_of_any_size_come_back_in_their_own_pixels():
    detector = YoloDetector(lively("yolo11n"), LABEL_SPACE, spec("yolo11n"), {})
    images = [noise(128, 64), noise(37, 201), noise(640, 80)]
    together = detector.detect(images)
    for image, found in zip(images, together, strict=True):
        height, width = image.shape[:2]
        assert len(found)
        assert found.xyxy.min() >= 0
        assert (found.xyxy <= [width, height, width, height]).all()
        alone = detector.detect([image])[0]
        np.testing.assert_allclose(found.xyxy, alone.xyxy, atol=1e-2)
    assert detector.detect([]) == []


def test_a_network_in_training_is_not_disturbed():
    module = lively("yolo26n").train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    YoloDetector(module, LABEL_SPACE, spec("yolo26n"), {}).detect([noise(128, 64)])
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    module(torch.rand(2, 3, 64, 128))["one2many"]["boxes"].sum().backward()


@pytest.mark.parametrize("architecture", ["yolo26n", "yolo11n"])
def test_from_a_checkpoint(architecture: str):
    module = lively(architecture)
    checkpoint = Checkpoint(
        kind="yolo", model=spec(architecture), label_space=LABEL_SPACE, state=module.state_dict(), meta={"epoch": 3}
    )
    detector = YoloDetector.from_checkpoint(checkpoint, torch.device("cpu"), "best.pt")
    assert detector.end_to_end == (architecture == "yolo26n")
    assert detector.label_space.names == ("red", "green")
    assert detector.description["architecture"] == architecture
    assert detector.description["weights"] == "best.pt"
    live = YoloDetector(module, LABEL_SPACE, spec(architecture), {}).detect([noise(128, 64)])[0]
    fused = detector.detect([noise(128, 64)])[0]
    np.testing.assert_allclose(fused.score[:10], live.score[:10], atol=1e-4)
    np.testing.assert_allclose(fused.xyxy[:10], live.xyxy[:10], atol=1e-2)
    raw = RawPrediction(detector.module)(torch.rand(2, 3, 64, 128))
    assert raw.shape == ((2, 100, 6) if detector.end_to_end else (2, 4 + 2, 8 * 16 + 4 * 8 + 2 * 4))
    damaged = replace(checkpoint, state={**checkpoint.state, "model.0.conv.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match=r"best\.pt: the weights do not fit"):
        YoloDetector.from_checkpoint(damaged, torch.device("cpu"), "best.pt")


def test_the_other_head_of_the_same_weights():
    module = lively("yolo26n")
    checkpoint = Checkpoint(
        kind="yolo",
        model={**spec("yolo26n"), "end_to_end": False},
        label_space=LABEL_SPACE,
        state=module.state_dict(),
        meta={},
    )
    detector = YoloDetector.from_checkpoint(checkpoint, torch.device("cpu"), "best.pt")
    assert not detector.end_to_end
    assert RawPrediction(detector.module)(torch.rand(1, 3, 64, 128)).shape[1] == 4 + 2
    assert len(detector.detect([noise(128, 64)])[0])


def test_the_size_letter_counts():
    def width(name: str) -> int:
        return sum(value.numel() for value in build_yolo(spec(name), 2).parameters())

    assert width("yolo26s") > 3 * width("yolo26n")


def test_a_checkpoint_brings_its_architecture():
    # A description that no name means, and no file on this machine holds.
    config = architecture_config("yolo11n")
    config["head"][8] = [-1, 1, "C2f", [256]]
    description = json.loads(json.dumps(spec("mine") | {"architecture_config": config}))
    module = build_yolo(description, 2)
    assert type(module.model[19]).__name__ == "C2f"
    checkpoint = Checkpoint(
        kind="yolo", model=description, label_space=LABEL_SPACE, state=module.state_dict(), meta={"epoch": 0}
    )
    assert len(YoloDetector.from_checkpoint(checkpoint, torch.device("cpu"), "best.pt").detect([noise(128, 64)])) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "mine"}, r"best\.pt: its description .*'mine' is no known detector"),
        (
            {"architecture_config": {"backbone": [[-1, 1, "os.system", ["true"]]]}},
            r"best\.pt: .*'os\.system' is no layer",
        ),
        ({"architecture_config": "yolo26n.yaml"}, r"best\.pt: .*'yolo26n\.yaml', expected a description"),
        ({"max_detections": None}, r"best\.pt: .*max_detections"),
    ],
    ids=["an unknown name", "a layer that runs", "no description", "a word is missing"],
)
def test_a_checkpoint_with_a_description_that_cannot_be_built(change: dict, message: str):
    module = build_yolo(spec("yolo26n"), 2)
    model = {key: value for key, value in (spec("yolo26n") | change).items() if value is not None}
    checkpoint = Checkpoint(kind="yolo", model=model, label_space=LABEL_SPACE, state=module.state_dict(), meta={})
    with pytest.raises(WeightsError, match=message):
        YoloDetector.from_checkpoint(checkpoint, torch.device("cpu"), "best.pt")


@pytest.mark.parametrize("architecture", ["yolo26n", "yolo11n", "yolov10n"])
def test_class_branches_can_be_as_wide_as_for_other_classes(architecture: str):
    # ultralytics makes the class branches of its smallest networks wider for 80 classes than for 2.
    few, many = build_yolo(spec(architecture), 2).state_dict(), build_yolo(spec(architecture), 80).state_dict()
    module = build_yolo(spec(architecture) | {"sized_for_classes": 80}, 2)
    wide = module.state_dict()
    assert any(wide[name].shape != few[name].shape for name in wide)
    for name, value in wide.items():
        is_last = "cv3." in name and name.endswith((".2.weight", ".2.bias"))
        assert value.shape == ((2, *many[name].shape[1:]) if is_last else many[name].shape)
    for level, fresh in enumerate(build_yolo(spec(architecture), 2).model[-1].cv3):
        torch.testing.assert_close(module.model[-1].cv3[level][-1].bias, fresh[-1].bias)
    assert RawPrediction(module.eval())(torch.rand(1, 3, 64, 128)).shape[1:] == (
        (100, 6) if module.end2end else (4 + 2, 8 * 16 + 4 * 8 + 2 * 4)
    )


@pytest.mark.parametrize(
    ("architecture", "stages"),
    [
        ("yolo26n", [0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4]),
        ("yolo11n-p2", [0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4]),
        ("yolo26n-p6", [0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 4, 4]),
        ("yolov3-tiny", [0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 3, 4]),
        # Its layers take several others, and begin again with the image.
        pytest.param(
            "yolov9e",
            [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 0, 1, 2, 3, 4, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_layers_know_their_stage(architecture: str, stages: list[int]):
    module = build_yolo(spec(architecture), 2)
    assert module.layer_stages == stages
    assert module.training
    norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert all(not norm.running_mean.any() and norm.training for norm in norms)


def test_input_must_fit_the_strides():
    with pytest.raises(ConfigError, match=r"model\.input\.width_px: 96, expected a multiple of 64"):
        build_yolo(spec("yolo26n-p6", width_px=96), 2)


def test_the_loss_is_computed_in_float32_under_mixed_precision():
    # In bf16 a coordinate of 600 px is decoded to a multiple of 4 px.
    module = build_yolo({"architecture": "yolo26n", "width_px": 64, "height_px": 64, "max_detections": 10}, 2).train()
    seen: set[torch.dtype] = set()

    def collect(value: object) -> None:
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            seen.add(value.dtype)
        elif isinstance(value, dict | list | tuple):
            for item in value.values() if isinstance(value, dict) else value:
                collect(item)

    def criterion(predictions, batch):
        collect(predictions)
        seen.add((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)  # autocast would give bf16
        return torch.zeros(3), {}

    module.criterion = criterion
    with torch.autocast("cpu", torch.bfloat16):
        module({"img": torch.rand(1, 3, 64, 64)})
    assert seen == {torch.float32}
