"""Training of Faster R-CNN on a few drawn lamps, through the calls that the command makes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tl_datasets.errors import WeightsError
from tl_detection.checkpoint import load_checkpoint
from tl_detection.config import FasterRcnnConfig, RunConfig
from tl_detection.detectors.load import load_detector
from tl_detection.run_dir import RunDir
from tl_detection.training.data import prepare_data
from tl_detection.training.train import resume, run_training, train

MakeConfig = Callable[..., RunConfig]


@pytest.fixture(scope="module", autouse=True)
def light_heads():
    """A box head and pyramid that a test can afford."""
    from tl_detection.training import faster_rcnn_start

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            faster_rcnn_start, "_HEADS", dict.fromkeys(("resnet18", "resnet50", "mobilenet_v3_large"), (32, 64))
        )
        yield


@pytest.fixture(scope="module")
def make_config(lamp_run_config: MakeConfig) -> MakeConfig:
    """`make(folder, model={...}, **of lamp_run_config)`: a Faster R-CNN over drawn lamps."""

    def make(folder: Path, *, model: dict[str, Any] | None = None, **settings: Any) -> RunConfig:
        config = lamp_run_config(folder, **settings)
        of_model = {
            "kind": "faster_rcnn",
            "backbone": "mobilenet_v3_large",
            "input": {"width_px": 128, "height_px": 64},
        }
        return config.model_copy(update={"model": FasterRcnnConfig.model_validate(of_model | (model or {}))})

    return make


def start(config: RunConfig) -> RunDir:
    run = RunDir.create(config)
    run_training(prepare_data(config), run, torch.device("cpu"))
    return run


def rows_of(run: RunDir) -> list[dict]:
    return [json.loads(line) for line in run.metrics_path.read_text().splitlines()]


@pytest.fixture(scope="module")
def learned(tmp_path_factory, make_config: MakeConfig) -> RunDir:
    config = make_config(
        tmp_path_factory.mktemp("learned"),
        epochs=12,
        batch_size=2,
        optimizer="adamw",
        lr=0.002,
        val_every=6,
        ema_decay=0.9,
    )
    return train(config)


def test_a_run_leaves_weights_metrics_and_the_report(learned: RunDir):
    assert sorted(path.name for path in learned.weights.iterdir()) == ["best.pt", "last.before.pt", "last.pt"]
    top = {path.name for path in learned.path.iterdir()}
    expected = {"config.yaml", "environment.json", "log.txt", "metrics.jsonl", "tensorboard", "weights", "evaluation"}
    assert expected | {"result.json", "lint", "pictures", "start_check.json"} == top
    rows = rows_of(learned)
    assert [row["epoch"] for row in rows] == list(range(12))
    assert [row["val"] is not None for row in rows] == [number in (5, 11) for number in range(12)]
    best, last = load_checkpoint(learned.best, kind="faster_rcnn"), load_checkpoint(learned.last)
    assert best.training is None and last.training is not None
    assert best.label_space.names == ("red", "green")
    assert last.meta["epoch"] == 11 and not last.meta["stopped"]
    assert best.model["backbone"] == "mobilenet_v3_large" and best.model["width_px"] == 128


def test_it_learns(learned: RunDir):
    rows = rows_of(learned)
    losses = [row["train"]["loss"] for row in rows]
    parts = {"loss", "classifier", "box_reg", "objectness", "rpn_box_reg"}
    assert set(rows[0]["train"]) == parts
    assert losses[0] == pytest.approx(sum(value for name, value in rows[0]["train"].items() if name != "loss"))
    assert losses[-1] < 0.5 * losses[0]
    assert rows[-1]["val"]["ap50"] > 0.5
    assert json.loads((learned.path / "result.json").read_text())["ap50"] == pytest.approx(
        max(row["val"]["ap50"] for row in rows if row["val"])
    )


def test_the_best_weights_detect(learned: RunDir):
    config = load_checkpoint(learned.best).meta
    assert config["run"] == learned.path.name
    detector = load_detector(learned.path, device="cpu")
    assert len(detector.detect([np.zeros((64, 128, 3), np.uint8)])) == 1


def test_a_finished_run_is_not_resumed(learned: RunDir):
    with pytest.raises(WeightsError, match="has finished after 12 epochs"):
        resume(learned.path)


def test_a_run_killed_before_its_report_gets_it(learned: RunDir, tmp_path):
    run = RunDir(tmp_path / "run")
    shutil.copytree(learned.path, run.path)
    (run.path / "result.json").unlink()
    shutil.rmtree(run.path / "evaluation")
    resume(run.path)
    assert (run.path / "result.json").read_text() == (learned.path / "result.json").read_text()
    assert (run.path / "evaluation" / "report.md").exists()
    with pytest.raises(WeightsError, match="has finished"):
        resume(run.path)


# --- what a run starts from


def test_a_fine_tuned_run_begins_where_the_other_ended(learned: RunDir, tmp_path, make_config):
    run = start(make_config(tmp_path, epochs=1, batch_size=8, lr=1e-12, model={"weights": learned.best}))
    assert rows_of(run)[0]["val"]["ap50"] > 0.5


# --- the pieces of the loop


def test_musgd_is_of_the_other_trainer(tmp_path, make_config):
    values = make_config(tmp_path, frames=4).model_dump()
    with pytest.raises(ValueError, match=r"train.optimizer: musgd comes with YOLO"):
        RunConfig.model_validate({**values, "train": {"optimizer": "musgd"}})
