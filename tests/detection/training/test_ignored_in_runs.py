"""Both trainers, as the command runs them, leave ignore areas out of their losses and count them."""

from __future__ import annotations

import json
import logging

import pytest

from tl_detection.config import FasterRcnnConfig, RunConfig
from tl_detection.run_dir import RunDir
from tl_detection.training import faster_rcnn, faster_rcnn_ignore, faster_rcnn_start, yolo, yolo_ignore
from tl_detection.training.data import prepare_data


@pytest.mark.parametrize(
    ("module", "asked", "train"),
    [
        (yolo_ignore, "sees_area", yolo.train_yolo),
        (faster_rcnn_ignore, "is_of_area", faster_rcnn.train_faster_rcnn),
    ],
    ids=["yolo", "faster_rcnn"],
)
def test_a_run_with_ignored_lights(module, asked, train, tmp_path, lamp_run_config, monkeypatch, caplog):
    monkeypatch.setattr(faster_rcnn_start, "_HEADS", {"mobilenet_v3_large": (16, 16)})
    areas = []

    def remember(*args, **kwargs):
        found = original(*args, **kwargs)
        areas.append(found)
        return found

    original = getattr(module, asked)
    monkeypatch.setattr(module, asked, remember)
    config = lamp_run_config(tmp_path, frames=4, epochs=1, batch_size=2)
    red_only = {"classes": {"red": {"state": "red"}}, "ignore": [{"state": "green"}]}
    changes = {"data": {**config.data.model_dump(), "label_space": red_only}}
    if train is faster_rcnn.train_faster_rcnn:
        changes["model"] = {"kind": "faster_rcnn", "backbone": "mobilenet_v3_large", "input": config.model.input}
        changes["model"] = FasterRcnnConfig.model_validate(changes["model"]).model_dump()
    config = RunConfig.model_validate({**config.model_dump(), **changes})
    caplog.set_level(logging.INFO)
    run = RunDir.create(config)
    train(prepare_data(config), run, None)
    row = json.loads(run.metrics_path.read_text())
    assert (row["seen"]["ignored"], row["seen"]["vanished"]) == (4, 0)
    assert "4 areas ignored" in caplog.text
    assert any(found.any() for found in areas)
