"""Both models, as the command trains them, leave ignore areas out of their losses and count them."""

from __future__ import annotations

import json
import logging

import pytest

from tl_detection.config import RunConfig
from tl_detection.training import faster_rcnn_ignore, yolo_ignore


@pytest.mark.parametrize(
    ("kind", "module", "asked"),
    [("yolo", yolo_ignore, "sees_area"), ("faster_rcnn", faster_rcnn_ignore, "is_of_area")],
)
def test_a_run_with_ignored_lights(kind, module, asked, tmp_path, run_config, start, remembered, caplog):
    areas = remembered(module, asked)
    config = run_config(tmp_path, kind, frames=4, epochs=1, batch_size=2)
    red_only = {"classes": {"red": {"state": "red"}}, "ignore": [{"state": "green"}]}
    changes = {"data": {**config.data.model_dump(), "label_space": red_only}}
    config = RunConfig.model_validate({**config.model_dump(), **changes})
    caplog.set_level(logging.INFO)
    run = start(config)
    row = json.loads(run.metrics_path.read_text())
    assert (row["seen"]["ignored"], row["seen"]["vanished"]) == (4, 0)
    assert "4 areas ignored" in caplog.text
    assert any(found.any() for found in areas)
