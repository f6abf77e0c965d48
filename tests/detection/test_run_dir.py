"""The folder of a run: its own, complete, and never another's."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tl_detection import run_dir
from tl_detection.config import RunConfig, load_run_config
from tl_detection.run_dir import RunDir, environment


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return RunConfig.model_validate(
        {
            "name": "lamps",
            "folder": tmp_path / "runs",
            "data": {"catalog": "c", "label_space": {"classes": {"red": {"state": "red"}}}},
            "model": {"kind": "yolo", "input": {"width_px": 64, "height_px": 32}},
        }
    )


def test_a_new_folder_holds_the_configuration_and_the_environment(config):
    run = RunDir.create(config)
    assert run.path.parent == config.folder / "lamps"
    assert datetime.strptime(run.path.name, "%Y%m%d-%H%M%S").replace(tzinfo=UTC) <= datetime.now(UTC)
    assert load_run_config(run.config_path) == config
    made = json.loads((run.path / "environment.json").read_text())
    assert {"python", "packages", "cuda", "devices", "revision"} <= set(made)
    assert made["packages"]["torch"]
    assert run.weights.is_dir() and not list(run.weights.iterdir())


def test_two_runs_of_one_second_do_not_meet(config, monkeypatch):
    class Noon(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 1, 2, 12, 0, 0, tzinfo=tz)

    monkeypatch.setattr(run_dir, "datetime", Noon)
    paths = [RunDir.create(config).path for _ in range(3)]
    assert [path.name for path in paths] == ["20260102-120000", "20260102-120000-1", "20260102-120000-2"]
    (paths[0] / "mine").touch()
    assert not (paths[1] / "mine").exists()


def test_metrics_of_epochs_that_are_done_again_are_dropped(config):
    run = RunDir.create(config)
    run.keep_metrics_before(3)  # nothing yet: nothing to drop
    for epoch in range(5):
        run.append_metrics({"epoch": epoch, "lr": 0.1})
    run.keep_metrics_before(3)
    assert [json.loads(line)["epoch"] for line in run.metrics_path.read_text().splitlines()] == [0, 1, 2]


@pytest.mark.parametrize("cut", ['{"epoch": 2, "lr"', '{"epoch": 2, "val": {"ap50": 0.5}', "{"])
def test_a_row_that_was_cut_off_by_a_kill_is_dropped(cut, config):
    run = RunDir.create(config)
    run.append_metrics({"epoch": 0})
    run.append_metrics({"epoch": 1})
    with run.metrics_path.open("a") as file:
        file.write(cut)
    run.keep_metrics_before(2)
    run.append_metrics({"epoch": 2})
    assert [json.loads(line)["epoch"] for line in run.metrics_path.read_text().splitlines()] == [0, 1, 2]


def test_log_lines_go_to_the_folder_until_the_handler_is_removed(config):
    run = RunDir.create(config)
    logger = logging.getLogger("tl_detection.training")
    handler = run.log_to_file()
    try:
        logger.warning("während")
    finally:
        logging.getLogger("tl_detection").removeHandler(handler)
        handler.close()
    logger.warning("after")
    text = (run.path / "log.txt").read_text(encoding="utf-8")
    assert "WARNING während" in text and "after" not in text


def test_outside_a_checkout_there_is_no_revision(tmp_path, monkeypatch):
    monkeypatch.setattr(run_dir, "__file__", str(tmp_path / "run_dir.py"))
    assert run_dir.source_revision() is None
    monkeypatch.setenv("PATH", "")
    assert environment()["revision"] is None
