"""Proposals in the resolved configuration: applied, explained, and still a configuration."""

from __future__ import annotations

import pytest

from tl_datasets.errors import ConfigError
from tl_detection.config import load_run_config
from tl_detection.plan.findings import Proposal
from tl_detection.plan.resolved import apply_proposals, write_resolved

PROPOSALS = (
    Proposal(key="model.input.width_px", value=1280, former=640, reason="# lights: 4 px,\nat least"),
    Proposal(key="data.balance.enabled", value=True, former=False, reason="night is rare"),
    Proposal(key="train.class_weights", value="balanced", former=None, reason="few yellows"),
    Proposal(key="train.warmup_epochs", value=0.25, former=1.0, reason="short"),
)


def test_it_can_be_trained(run_over, tmp_path):
    config = run_over([[(1, 1, 9, 20)]] * 4)
    (tmp_path / "run.yaml").write_text(write_resolved(config, PROPOSALS, {"model.architecture": "it fits"}))
    loaded = load_run_config(tmp_path / "run.yaml")
    assert loaded == apply_proposals(config, PROPOSALS)
    assert (loaded.model.input.width_px, loaded.train.class_weights) == (1280, "balanced")
    assert loaded.data.balance.enabled and loaded.train.warmup_epochs == 0.25
    # Everything else is as it was.
    rest = {"data": config.data, "model": config.model, "train": config.train}
    assert loaded.model_copy(update=rest) == config


def test_reasons_stand_beside_their_lines(run_over):
    lines = write_resolved(run_over([[(1, 1, 9, 20)]] * 4), PROPOSALS, {"model.architecture": "it fits"}).splitlines()
    explained = [line.strip() for line in lines if "#" in line]
    assert explained == [
        "enabled: true  # was false: night is rare",
        "architecture: yolo26n  # it fits",
        "width_px: 1280  # was 640: # lights: 4 px, at least",
        "warmup_epochs: 0.25  # was 1.0: short",
        "class_weights: balanced  # was null: few yellows",
    ]


def test_without_proposals_nothing_changes(run_over, tmp_path):
    config = run_over([[(1, 1, 9, 20)]] * 4)
    (tmp_path / "run.yaml").write_text(write_resolved(config, (), {}))
    assert load_run_config(tmp_path / "run.yaml") == config


def test_a_value_that_cannot_be(run_over):
    wrong = Proposal(key="train.epochs", value=0, former=3, reason="none")
    with pytest.raises(ConfigError, match=r"train\.epochs"):
        apply_proposals(run_over([[(1, 1, 9, 20)]] * 4), [wrong])
