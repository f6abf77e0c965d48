"""What a YOLO starts from: descriptions, weights of files, and boxes as large as the lights."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from tl_datasets.errors import ConfigError, WeightsError
from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import Checkpoint, save_checkpoint
from tl_detection.config import YoloConfig
from tl_detection.detectors.yolo import YoloNetwork, build_yolo
from tl_detection.detectors.yolo_architecture import architecture_config
from tl_detection.training.yolo import prepare_loss, to_ultralytics
from tl_detection.training.yolo_start import (
    describe_yolo,
    fit_box_bias,
    read_start_weights,
    start_from_file,
    start_yolo,
)

NAMES = ("red", "green")
NO_SIZES = np.empty((0, 2))
COCO_LIKE = {number: f"class {number}" for number in range(80)} | {0: "person", 9: "traffic light"}


def settings(architecture: str = "yolo26n", **more: Any) -> YoloConfig:
    return YoloConfig(kind="yolo", architecture=architecture, input={"width_px": 128, "height_px": 64}, **more)


def network(architecture: str = "yolo26n", n_classes: int = 2, seed: int = 0, **more: Any) -> YoloNetwork:
    torch.manual_seed(seed)
    return build_yolo(
        {"architecture": architecture, "width_px": 128, "height_px": 64, "max_detections": 100, **more}, n_classes
    )


def save(folder: Path, state: dict[str, torch.Tensor], config: YoloConfig) -> Path:
    """Write a checkpoint with the classes red and green."""
    path = folder / "best.pt"
    space = LabelSpace.model_validate({"classes": {name: {"state": name} for name in NAMES}})
    save_checkpoint(
        path, Checkpoint(kind="yolo", model=describe_yolo(config), label_space=space, state=state, meta={"epoch": 0})
    )
    return path


@pytest.fixture(scope="module")
def ultralytics_file(tmp_path_factory) -> Path:
    """A file as ultralytics releases them: 80 classes, in half precision; its weights are random."""
    from ultralytics import YOLO

    torch.manual_seed(5)
    own = YOLO("yolo26n.yaml", task="detect")
    own.model.names = COCO_LIKE
    path = tmp_path_factory.mktemp("released") / "yolo26n.pt"
    own.save(str(path))
    return path


# Descriptions.


def test_a_description_needs_no_file(tmp_path: Path):
    path = tmp_path / "mine11.yaml"
    path.write_text(yaml.safe_dump(architecture_config("yolo11n-p2")))
    description = describe_yolo(settings(str(path), end_to_end=False, max_detections=7))
    path.unlink()
    assert description["architecture"] == "mine11"
    assert str(tmp_path) not in json.dumps(description)
    module = build_yolo(json.loads(json.dumps(description)), 2)
    assert module.stride.tolist() == [4, 8, 16, 32]
    assert module.model[-1].max_det == 7


def test_a_description_says_all_that_the_configuration_does():
    description = describe_yolo(settings("yolo26s-p2", end_to_end=False))
    assert description == {
        "architecture": "yolo26s-p2",
        "architecture_config": architecture_config("yolo26s-p2"),
        "width_px": 128,
        "height_px": 64,
        "max_detections": 100,
        "end_to_end": False,
    }
    assert not build_yolo(description, 2).end2end


# Weights of a file.


def test_classes_of_coco_start_those_of_lights(ultralytics_file: Path, caplog):
    caplog.set_level(logging.INFO)
    config = settings(weights=ultralytics_file, classes_from={"red": "traffic light", "yellow": "traffic light"})
    names = ("yellow", "person", "off", "red")
    description = describe_yolo(config)
    torch.manual_seed(7)
    module = build_yolo(description, 4)
    fresh = {name: value.clone() for name, value in module.state_dict().items()}
    start_yolo(module, config, names, np.array([[4.0, 10.0]] * 5))
    former, now = read_start_weights(ultralytics_file).state, module.state_dict()
    assert set(former) == set(now)
    lasts = [name for name in now if "cv3." in name and name.endswith((".2.weight", ".2.bias"))]
    assert len(lasts) == 2 * 2 * 3
    # Everything else is the file's: the wider class branches, and the box branches, which are not fitted again.
    assert all(torch.equal(now[name], former[name]) for name in now if name not in lasts)
    for name in lasts:
        for row, expected in enumerate([former[name][9], former[name][0], fresh[name][2], former[name][9]]):
            assert torch.equal(now[name][row], expected), name
    assert (
        "classes kept: yellow (from traffic light), person, red (from traffic light); classes that start anew: off"
        in (caplog.text)
    )


def test_a_network_built_from_it_is_read_back(ultralytics_file: Path, tmp_path: Path):
    config = settings(weights=ultralytics_file, classes_from={"red": "traffic light"})
    module = build_yolo(describe_yolo(config), 2)
    start_yolo(module, config, NAMES, NO_SIZES)
    path = save(tmp_path, module.state_dict(), config)
    # Fine-tuned once more: the branches are still as wide as for 80 classes.
    again = settings(weights=path)
    second = build_yolo(describe_yolo(again), 2)
    start_yolo(second, again, NAMES, NO_SIZES)
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in second.state_dict().items())


def test_class_rows_that_do_not_fit_are_told(ultralytics_file: Path, caplog):
    caplog.set_level(logging.INFO)
    module = network()  # its class branches are as wide as for two classes
    before = {name: value.clone() for name, value in module.state_dict().items()}
    fresh = start_from_file(module, NAMES, ultralytics_file, {"red": "traffic light"})
    assert "its class layers do not fit this architecture, so no class can be taken over" in caplog.text
    assert "classes kept: none; classes that start anew: red, green" in caplog.text
    last = "model.23.cv3.0.2."
    assert {last + "weight", last + "bias"} <= set(fresh)
    assert torch.equal(module.state_dict()[last + "bias"], before[last + "bias"])


def test_a_checkpoint_of_ours_with_other_classes(tmp_path: Path):
    former = network(seed=3)
    path = save(tmp_path, former.state_dict(), settings())
    module = network(n_classes=3)
    start_from_file(module, ("green", "yellow", "stop"), path, {"stop": "red", "yellow": "green"})
    name = "model.23.one2one_cv3.1.2.weight"
    expected = former.state_dict()[name][[1, 1, 0]]
    assert torch.equal(module.state_dict()[name], expected)


@pytest.mark.parametrize(
    ("classes_from", "message"),
    [
        ({"blue": "red"}, r"model\.classes_from: 'blue' is no class of this run; there are green, off"),
        ({"green": "traffic light"}, r"'traffic light' is no class of .*best\.pt; there are red, green"),
    ],
    ids=["of the run", "of the file"],
)
def test_classes_that_are_not_there(classes_from: dict[str, str], message: str, tmp_path: Path):
    path = save(tmp_path, network().state_dict(), settings())
    with pytest.raises(ConfigError, match=message):
        start_from_file(network(), ("green", "off"), path, classes_from)


def test_classes_from_no_file():
    with pytest.raises(ConfigError, match=r"model\.classes_from: there is no file .*set model\.weights"):
        start_yolo(network(), settings(classes_from={"red": "traffic light"}), NAMES, NO_SIZES)


def test_a_missing_file_is_told_before_anything_is_built(tmp_path: Path):
    with pytest.raises(WeightsError, match=r"yolo26n\.pt: no such weights file"):
        describe_yolo(settings(weights=tmp_path / "yolo26n.pt"))


# Boxes.


def box_loss(module: YoloNetwork, width_px: float, height_px: float) -> float:
    """The first box loss with six lights of a size, at six places within the cells of the network."""
    x, y = torch.tensor([[20.0, 30], [71, 40], [122.5, 50], [175, 60.5], [226, 70], [290, 33.5]]).T
    half = torch.tensor([width_px, height_px]) / 2
    batch: Any = {
        "images": torch.zeros(1, 3, 128, 320, dtype=torch.uint8),
        "xyxy": [torch.stack([x - half[0], y - half[1], x + half[0], y + half[1]], dim=1)],
        "class_id": [torch.zeros(6, dtype=torch.int64)],
        "ignore_xyxy": [torch.zeros(0, 4)],
        "frame_ids": ["a"],
    }
    data = to_ultralytics(batch)
    torch.manual_seed(1)
    data["img"] = torch.rand(1, 3, 128, 320)
    with torch.no_grad():
        return float(prepare_loss(module, 1)(module.train()(data["img"]), data)[1]["box_loss"])


# Width and height of a light in network pixels, the first box loss as ultralytics starts, and fitted to these lights.
# Measured before: 0, 1e-13, 1e-6, 0.003 and 0.38 with stock yolo11n; 3.1 to 4.3 fitted.
@pytest.mark.parametrize(
    ("architecture", "width_px", "height_px", "stock_below"),
    [
        ("yolo11n", 3, 7, 1e-12),
        ("yolo11n", 5, 12, 1e-6),
        ("yolo11n", 8, 19, 1e-3),
        ("yolo11n", 12, 29, 0.1),
        ("yolo11n-p2", 3, 7, 1e-6),
        ("yolo11n-p2", 5, 12, 0.01),
        ("yolov8n-p2", 3, 7, 1e-6),
        ("yolo26n", 3, 7, 0.1),
    ],
)
def test_fresh_boxes_learn_at_once(architecture: str, width_px: int, height_px: int, stock_below: float):
    module = network(architecture)
    assert box_loss(module, width_px, height_px) < stock_below
    fit_box_bias(module, np.array([[width_px, height_px]] * 3))
    assert 1 < box_loss(module, width_px, height_px) < 7.5


@pytest.mark.parametrize("architecture", ["yolo11n", "yolo11n-p2", "yolo26n", "yolo26n-p2", "yolov8n-p2", "yolov10n"])
def test_every_level_and_head_starts_with_the_median_light(architecture: str):
    module = network(architecture)
    fit_box_bias(module, np.array([[4.0, 10], [6, 14], [60, 90]]))
    head = module.model[-1]
    branches = [head.cv2, *([head.one2one_cv2] if hasattr(head, "one2one_cv2") else [])]
    assert len(branches) == (1 if "11" in architecture or "v8" in architecture else 2)
    for branch in branches:
        assert len(branch) == len(module.stride)
        for level, stride in zip(branch, module.stride.tolist(), strict=True):
            bias = level[-1].bias.reshape(4, -1)
            distance = bias[:, 0] if head.reg_max == 1 else bias.softmax(1) @ torch.arange(16.0)
            sides = (distance[:2] + distance[2:]) * stride
            # The least that 16 bins can say is a fiftieth of a stride.
            torch.testing.assert_close(sides, torch.tensor([6.0, 14]).clamp(min=0.04 * stride), atol=1e-3, rtol=1e-3)
            assert torch.equal(distance[0], distance[2])


def test_without_a_box_nothing_is_fitted():
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    fit_box_bias(module, NO_SIZES)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_only_fresh_box_branches_are_fitted(tmp_path: Path):
    # A file without the finest level's box branch, as from a network with one level less.
    former = network(seed=3)
    state = {name: value for name, value in former.state_dict().items() if ".cv2.0." not in name}
    path = save(tmp_path, state, settings())
    module = network()
    start_yolo(module, settings(weights=path), NAMES, np.array([[4.0, 10]]))
    head, taken = module.model[-1], former.model[-1]
    assert head.cv2[0][-1].bias.tolist() == pytest.approx([0.25, 0.625, 0.25, 0.625])
    assert torch.equal(head.cv2[1][-1].bias, taken.cv2[1][-1].bias)
    assert torch.equal(head.one2one_cv2[0][-1].bias, taken.one2one_cv2[0][-1].bias)


def test_a_finer_head_on_trained_weights_is_fitted(tmp_path: Path):
    path = save(tmp_path, network("yolo26n", seed=3).state_dict(), settings())
    config = settings("yolo26n-p2", weights=path)
    torch.manual_seed(7)
    module = build_yolo(describe_yolo(config), 2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    start_yolo(module, config, NAMES, np.array([[4.0, 10]]))
    for level, stride in zip(module.model[-1].cv2, (4, 8, 16, 32), strict=True):
        assert level[-1].bias.tolist() == pytest.approx([2 / stride, 5 / stride] * 2)
    # Up to layer 16 both are one network; from there on a number means another layer, and some tensors fit by chance.
    former = read_start_weights(path).state
    for name, value in module.state_dict().items():
        layer = int(name.split(".")[1])
        if layer <= 16:
            assert torch.equal(value, former[name]), name
        elif layer < 29:
            assert torch.equal(value, before[name]), name
