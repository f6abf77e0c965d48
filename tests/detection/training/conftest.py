"""Fixtures of the training tests: a run of either kind over a few drawn lamps, small enough for a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tl_detection.config import FasterRcnnConfig, RunConfig, YoloConfig
from tl_detection.run_dir import RunDir
from tl_detection.training import faster_rcnn_start
from tl_detection.training.data import prepare_data
from tl_detection.training.train import run_training

SIZE = {"width_px": 128, "height_px": 64}
MODELS: dict[str, dict[str, Any]] = {
    "yolo": {"kind": "yolo", "architecture": "yolo26n", "input": SIZE},
    "faster_rcnn": {"kind": "faster_rcnn", "backbone": "mobilenet_v3_small", "input": SIZE},
}


@pytest.fixture
def light_heads(monkeypatch) -> Iterator[None]:
    """A pyramid and box head that a test can afford."""
    monkeypatch.setattr(faster_rcnn_start, "_HEADS", dict.fromkeys(faster_rcnn_start._HEADS, (32, 64)))
    yield


@pytest.fixture
def run_config(light_heads, lamp_run_config) -> Callable[..., RunConfig]:
    """`make(folder, kind, model={...}, **of lamp_run_config)`."""

    def make(folder: Path, kind: str, *, model: dict[str, Any] | None = None, **settings: Any) -> RunConfig:
        config = lamp_run_config(folder, **settings)
        section = YoloConfig if kind == "yolo" else FasterRcnnConfig
        track = config.track.model_copy(update={"pictures": 0, "tensorboard": False})
        of_model = section.model_validate(MODELS[kind] | (model or {}))
        return RunConfig.model_validate(config.model_copy(update={"model": of_model, "track": track}).model_dump())

    return make


@pytest.fixture
def start() -> Callable[..., RunDir]:
    """`start(config)`: a run to its end, neither linted nor scored again."""

    def begin(config: RunConfig) -> RunDir:
        run = RunDir.create(config)
        run_training(prepare_data(config), run, torch.device("cpu"))
        return run

    return begin


@pytest.fixture
def remembered(monkeypatch) -> Callable[[ModuleType, str], list[Any]]:
    """`remembered(module, name)`: whatever a function of a module gives from now on, in a list."""

    def watch(module: ModuleType, name: str) -> list[Any]:
        given: list[Any] = []
        original = getattr(module, name)

        def remember(*args: Any, **kwargs: Any) -> Any:
            given.append(original(*args, **kwargs))
            return given[-1]

        monkeypatch.setattr(module, name, remember)
        return given

    return watch
