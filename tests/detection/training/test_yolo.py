"""Training of a YOLO through the calls that the command makes, on a few drawn lamps."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tl_datasets.errors import WeightsError
from tl_detection.checkpoint import load_checkpoint
from tl_detection.detectors.load import load_detector
from tl_detection.detectors.yolo import build_yolo
from tl_detection.run_dir import RunDir
from tl_detection.training.data import prepare_data
from tl_detection.training.train import run_training
from tl_detection.training.yolo import to_ultralytics
from tl_detection.training.yolo_start import fit_box_bias, read_start_state, start_from_file
from tl_detection.ultralytics_door import DetectionModel


def train(config) -> RunDir:
    run = RunDir.create(config)
    run_training(prepare_data(config), run, torch.device("cpu"))
    return run


def rows_of(run: RunDir) -> list[dict]:
    return [json.loads(line) for line in run.metrics_path.read_text().splitlines()]


def spec(architecture: str = "yolo26n") -> dict:
    return {"architecture": architecture, "width_px": 128, "height_px": 64, "max_detections": 100}


@pytest.fixture(scope="module")
def learned(tmp_path_factory, lamp_run_config) -> RunDir:
    folder = tmp_path_factory.mktemp("learned")
    config = lamp_run_config(folder, epochs=12, batch_size=4, optimizer="adamw", lr=0.003, val_every=6, ema_decay=0.9)
    return train(config)


def test_a_run_leaves_weights_and_metrics(learned: RunDir):
    assert sorted(path.name for path in learned.weights.iterdir()) == ["best.pt", "last.before.pt", "last.pt"]
    top = {path.name for path in learned.path.iterdir()}
    assert top >= {"config.yaml", "environment.json", "metrics.jsonl", "tensorboard", "weights", "pictures"}
    rows = rows_of(learned)
    assert [row["epoch"] for row in rows] == list(range(12))
    assert [row["val"] is not None for row in rows] == [number in (5, 11) for number in range(12)]
    best = load_checkpoint(learned.best, kind="yolo")
    assert {**spec(), "end_to_end": True}.items() <= best.model.items()
    assert best.label_space.names == ("red", "green")
    assert best.training is None
    assert load_checkpoint(learned.last).meta["epoch"] == 11


def test_the_loss_falls(learned: RunDir):
    losses = [row["train"]["loss"] for row in rows_of(learned)]
    assert set(rows_of(learned)[0]["train"]) == {"loss", "box_loss", "cls_loss", "l1_loss"}
    assert losses[-1] < 0.6 * losses[0]


def test_a_run_of_few_steps_detects(learned: RunDir):
    # Its norms must not be scored through their start statistics: then every frame looks alike, and nothing is found.
    assert rows_of(learned)[-1]["val"]["ap50"] > 0.1
    images = [cv2.imread(str(learned.path.parents[2] / "images" / f"{number}.png"))[:, :, ::-1] for number in range(8)]
    found = load_detector(learned.path, device="cpu").detect(images)
    assert len({tuple(item.score[:5].tolist()) for item in found}) == 8


def test_batches_in_ultralytics_form():
    batch = {
        "images": torch.zeros(3, 3, 64, 128, dtype=torch.uint8),
        "xyxy": [
            torch.tensor([[0.0, 0, 64, 32], [32, 16, 96, 48]]),
            torch.zeros(0, 4),
            torch.tensor([[120.0, 60, 128, 64]]),
        ],
        "class_id": [torch.tensor([0, 1]), torch.zeros(0, dtype=torch.int64), torch.tensor([1])],
        "ignore_xyxy": [torch.zeros(0, 4), torch.tensor([[3.0, 4, 5, 6], [7, 8, 9, 10]]), torch.ones(1, 4)],
        "frame_ids": ["a", "b", "c"],
    }
    made = to_ultralytics(batch)  # type: ignore[arg-type]
    assert made["batch_idx"].tolist() == [0, 0, 2]
    assert made["cls"].tolist() == [[0], [1], [1]]
    np.testing.assert_allclose(
        made["bboxes"], [[0.25, 0.25, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5], [124 / 128, 62 / 64, 8 / 128, 4 / 64]]
    )
    assert made["img"].shape == (3, 3, 64, 128)
    assert made["ignore_xyxy"].tolist() == [[3, 4, 5, 6], [7, 8, 9, 10], [1, 1, 1, 1]]
    assert made["ignore_idx"].tolist() == [1, 1, 2]
    none, no_class = [torch.zeros(0, 4)] * 3, [torch.zeros(0, dtype=torch.int64)] * 3
    empty = to_ultralytics({**batch, "xyxy": none, "class_id": no_class, "ignore_xyxy": none})  # type: ignore[arg-type]
    assert empty["ignore_xyxy"].shape == (0, 4)
    assert empty["ignore_idx"].shape == (0,)
    assert empty["bboxes"].shape == (0, 4)
    assert empty["cls"].shape == (0, 1)


def first_losses(module, boxes: list[list[float]]) -> dict[str, float]:
    from ultralytics.cfg import get_cfg

    module.args = get_cfg(overrides={})
    xyxy = torch.tensor(boxes)
    samples: Any = {
        "images": torch.zeros(1, 3, 64, 128, dtype=torch.uint8),
        "xyxy": [xyxy],
        "class_id": [torch.zeros(len(xyxy), dtype=torch.int64)],
        "ignore_xyxy": [torch.zeros(0, 4)],
        "frame_ids": ["a"],
    }
    batch = to_ultralytics(samples)
    batch["img"] = torch.rand(1, 3, 64, 128)
    return {name: float(value) for name, value in module.train()(batch)[1].items()}


@pytest.mark.parametrize("architecture", ["yolo11n", "yolo26n", "yolov8n-p2"])
def test_fresh_boxes_are_as_large_as_the_lights(architecture: str):
    torch.manual_seed(0)
    module = build_yolo(spec(architecture), 2)
    lights = [[50.0, 20, 54, 30], [101, 40, 105, 51]]
    dead = first_losses(module, lights)["box_loss"]
    fit_box_bias(module, np.array([[4.0, 10.0], [4.0, 10.0], [5.0, 11.0]]))
    alive = first_losses(module, lights)["box_loss"]
    assert alive > 1
    assert alive > 3 * dead
    with torch.no_grad():
        raw = module.eval()(torch.zeros(1, 3, 64, 128))[0]
    boxes = raw[0, :, 2:4] - raw[0, :, :2] if module.end2end else raw[0, 2:4].T
    np.testing.assert_allclose(boxes.median(dim=0).values, [4, 10], atol=2)


def test_weights_of_another_class_list_are_taken_over_by_name(learned: RunDir, caplog):
    caplog.set_level(logging.INFO)
    former, names = read_start_state(learned.best)
    assert names == ("red", "green")
    module = build_yolo(spec(), 3)
    fresh = {name: value.clone() for name, value in module.state_dict().items()}
    start_from_file(module, ("green", "yellow", "red"), learned.best)
    now = module.state_dict()
    assert all(
        torch.equal(now[name], former[name]) for name in now if ".cv3." not in name and "one2one_cv3" not in name
    )
    last = "model.23.one2one_cv3.0.2.weight"
    assert torch.equal(now[last][0], former[last][1])
    assert torch.equal(now[last][1], fresh[last][1])
    assert torch.equal(now[last][2], former[last][0])
    assert "classes kept: green, red; classes that start anew: yellow" in caplog.text


def test_ultralytics_own_file_is_read_as_data(tmp_path: Path):
    from ultralytics import YOLO

    own = YOLO("yolo26n.yaml", task="detect")
    own.save(str(tmp_path / "yolo26n.pt"))
    assert isinstance(own.model, DetectionModel)
    state, names = read_start_state(tmp_path / "yolo26n.pt")
    assert len(names) == 80
    assert torch.allclose(state["model.0.conv.weight"], own.model.state_dict()["model.0.conv.weight"], atol=1e-3)
    module = build_yolo(spec(), 2)
    start_from_file(module, ("red", "green"), tmp_path / "yolo26n.pt")
    assert torch.equal(module.state_dict()["model.0.conv.weight"], state["model.0.conv.weight"])


class Attack:
    def __reduce__(self):
        return (Path.write_text, (Path("attacked.txt"), "yes"))


@pytest.mark.parametrize("wrapping", ["torch", "pickle", "beside a model"])
def test_a_file_with_code_is_refused_and_not_run(wrapping: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pt"
    if wrapping == "pickle":
        path.write_bytes(pickle.dumps(Attack(), protocol=2))
    else:
        content = {"model": build_yolo(spec(), 2), "extra": Attack()} if wrapping == "beside a model" else Attack()
        torch.save(content, path)
    with pytest.raises(WeightsError, match=r"evil\.pt: "):
        read_start_state(path)
    assert not Path("attacked.txt").exists()


def test_weights_that_cannot_be_used(tmp_path: Path, learned: RunDir):
    with pytest.raises(WeightsError, match=r"yolo26n\.pt: no such weights file; .* where there is network"):
        read_start_state(Path("yolo26n.pt"))
    with pytest.raises(WeightsError, match="of another architecture"):
        start_from_file(build_yolo(spec("yolo26s"), 2), ("red", "green"), learned.best)
    (tmp_path / "cut.pt").write_bytes(learned.best.read_bytes()[:5000])
    with pytest.raises(WeightsError, match=r"cut\.pt: .* expected "):
        read_start_state(tmp_path / "cut.pt")


def test_fine_tuning_starts_where_the_file_ended(learned: RunDir, tmp_path: Path, lamp_run_config):
    config = lamp_run_config(tmp_path, epochs=1, batch_size=4, lr=1e-6, weights=learned.best)
    first = rows_of(train(config))[0]["train"]
    before = rows_of(learned)
    assert first["loss"] < 0.7 * before[0]["train"]["loss"]
