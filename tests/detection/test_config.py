"""The configuration of a run: every file of the repository loads, and every fault is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict

from tl_datasets.augment.pipeline import Augmenter
from tl_datasets.augment.settings import AugmentConfig
from tl_datasets.cleaning.policy import load_policy
from tl_datasets.config import DataConfig, dump_config, load_config, validate_config
from tl_datasets.errors import ConfigError
from tl_detection.config import FasterRcnnConfig, RunConfig, TrainConfig, YoloConfig, load_run_config

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
RUNS = sorted(CONFIGS.glob("*.yaml"))
# What a run does not extend: each kind is loaded by the test of its own model.
CLEAN_POLICIES = sorted(CONFIGS.glob("clean/*.yaml"))
GATE_RULES = set(CONFIGS.glob("gate/*.yaml"))
PARTS = sorted(set(CONFIGS.glob("*/*.yaml")) - set(CLEAN_POLICIES) - GATE_RULES)

BASE: dict[str, Any] = {
    "name": "test",
    "data": {"catalog": "catalogs/x", "label_space": {"classes": {"red": {"state": "red"}}}},
    "model": {"kind": "faster_rcnn", "backbone": "resnet18", "input": {"width_px": 640, "height_px": 384}},
}


def merged(**changed: Any) -> dict[str, Any]:
    values = yaml.safe_load(yaml.safe_dump(BASE))
    for key, value in changed.items():
        *path, last = key.split("__")
        place = values
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return values


# --- the files of the repository


def test_there_are_files_to_check():
    assert len(RUNS) >= 4 and len(PARTS) >= 4
    assert len(CLEAN_POLICIES) >= 1 and len(GATE_RULES) >= 2
    assert len(RUNS) + len(PARTS) + len(CLEAN_POLICIES) + len(GATE_RULES) == len(list(CONFIGS.rglob("*.y*ml")))


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_every_run_loads_and_its_augmentation_is_safe(path):
    config = load_run_config(path)
    assert config.name == path.stem
    Augmenter(config.augment, config.data.label_space, config.model.input.width_px, config.model.input.height_px)


def test_the_default_augmentation_is_a_file_of_the_repository():
    assert AugmentConfig() == AugmentConfig.model_validate(load_config(CONFIGS / "augment/light_safe.yaml")["augment"])


class Partial(BaseModel):
    """A part of a run: any of the sections, each checked where it is complete."""

    model_config = ConfigDict(extra="forbid")
    data: DataConfig | None = None
    augment: AugmentConfig | None = None
    train: TrainConfig | None = None
    model: dict[str, Any] | None = None
    evaluate: dict[str, Any] | None = None


@pytest.mark.parametrize("path", PARTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_part_loads_and_completes_a_run(path):
    values = load_config(path)
    assert path.parent.name in values
    validate_config(Partial, values, str(path))
    whole = merged()
    for section, settings in values.items():
        whole[section] = {**whole.get(section, {}), **settings}
    if whole["model"]["kind"] == "yolo":
        whole["model"].pop("backbone", None)
    validate_config(RunConfig, whole, str(path))


@pytest.mark.parametrize("path", CLEAN_POLICIES, ids=lambda path: path.stem)
def test_every_clean_policy_loads(path):
    assert load_policy(path).rules


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_every_run_opens_with_its_command(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("#") and f"configs/{path.name}" in "\n".join(path.read_text().splitlines()[:8])


# --- what is dumped can be run again


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"model": {"kind": "yolo", "input": {"width_px": 64, "height_px": 32}, "weights": "a/b.pt"}},
        {"train__schedule": "step", "train__step_epochs": [3, 5], "train__clip_norm": None, "augment__scale": [0.5, 2]},
        {"augment__transforms": [{"name": "RandomGamma", "p": 0.3, "gamma_limit": [80, 125]}]},
    ],
)
def test_the_resolved_configuration_is_the_same_again(changed, tmp_path):
    config = validate_config(RunConfig, merged(**changed), "x")
    (tmp_path / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    assert load_run_config(tmp_path / "config.yaml") == config


def test_overrides_reach_every_section(tmp_path):
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(BASE), encoding="utf-8")
    overrides = ["train.lr=0.5", "model.norm=batch", "augment.flip_lr=0", "evaluate.by=[weather]", "folder=elsewhere"]
    config = load_run_config(tmp_path / "run.yaml", overrides)
    assert config.train.lr == 0.5 and config.augment.flip_lr == 0
    assert isinstance(config.model, FasterRcnnConfig) and config.model.norm == "batch"
    assert config.evaluate.by == ("weather",) and config.folder == Path("elsewhere")


def test_another_model_kind_by_override(tmp_path):
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(BASE), encoding="utf-8")
    overrides = ["model.kind=yolo", "model.input.width_px=320", "model.input.height_px=160"]
    model = load_run_config(tmp_path / "run.yaml", overrides).model
    assert isinstance(model, YoloConfig) and model.input.width_px == 320


# --- faults


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"train__epoch": 3}, "train.epoch: no such setting; check the spelling"),
        ({"train__epochs": 0}, "train.epochs: "),
        ({"train__lr": "fast"}, "train.lr: "),
        ({"train__optimizer": "adam"}, "train.optimizer: "),
        ({"train__device": "gpu"}, "train.device: "),
        ({"train__ema_decay": 1.0}, "train.ema_decay: "),
        ({"model__input__width_px": 650}, "model.faster_rcnn.input.width_px: "),
        ({"model__input": {"width_px": 640}}, "model.faster_rcnn.input.height_px: is required"),
        ({"model__kind": "ssd"}, "model: "),
        ({"model__architecture": "yolo26n"}, "model.faster_rcnn.architecture: no such setting"),
        ({"model__norm": "frozen"}, "model.faster_rcnn: "),
        ({"model__frozen_stages": 7}, "model.faster_rcnn.frozen_stages: "),
        ({"model__backbone": "mobilenet_v3_small", "model__version": 2}, "model.faster_rcnn: version: 2 is made for"),
        ({"model__weights": "a.pt", "model__weights_backbone": "b.pth"}, "model.faster_rcnn: weights bring a backbone"),
        ({"model__classes_from": {"red": "traffic light"}}, "model.classes_from: there is no file"),
        ({"name": "../up"}, "name: "),
        ({"name": ""}, "name: "),
        ({"data__label_space": {"classes": {}}}, "data.label_space.classes: "),
        ({"data__label_space": {"classes": {"red": {"state": "rot"}}}}, "data.label_space.classes.red.state"),
        ({"data__overfit_frames": 0}, "data.overfit_frames: "),
        ({"augment__mosaic": 2}, "augment.mosaic: "),
        ({"evaluate__best_by": "map"}, "evaluate.best_by: "),
    ],
)
def test_a_fault_has_its_dotted_key(changed, fault):
    with pytest.raises(ConfigError) as caught:
        validate_config(RunConfig, merged(**changed), "run.yaml")
    assert any(item.startswith(fault) for item in caught.value.faults), caught.value.faults
    assert "\n" not in str(caught.value)


def test_all_faults_of_a_run_at_once():
    changed = {"train__epochs": -1, "train__epoch": 3, "model__input__width_px": 1, "nme": "x", "augment__mosaic": 3}
    with pytest.raises(ConfigError) as caught:
        validate_config(RunConfig, merged(**changed), "run.yaml")
    keys = {fault.split(":")[0] for fault in caught.value.faults}
    assert keys == {"train.epochs", "train.epoch", "model.faster_rcnn.input.width_px", "nme", "augment.mosaic"}


def test_frozen_norm_says_what_it_needs():
    with pytest.raises(ConfigError, match="norm: frozen needs statistics; give weights or weights_backbone"):
        validate_config(RunConfig, merged(model__norm="frozen"), "x")
    validate_config(RunConfig, merged(model__norm="frozen", model__weights_backbone="r.pth"), "x")


def test_an_unquoted_off_switches_mixed_precision_off():
    assert validate_config(RunConfig, merged(train__amp=False), "run.yaml").train.amp == "off"
