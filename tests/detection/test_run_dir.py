"""The folder of a run: its own, complete, and never another's."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from tl_datasets.errors import TrainingError, WeightsError
from tl_datasets.label_space import LabelSpace
from tl_detection import run_dir
from tl_detection.checkpoint import Checkpoint, load_checkpoint
from tl_detection.config import RunConfig, load_run_config
from tl_detection.run_dir import RunDir


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
    assert made["fingerprint"] is None
    assert made["packages"]["torch"]
    assert run.weights.is_dir() and not list(run.weights.iterdir())


def test_the_fingerprint_stands_in_the_environment(config):
    run = RunDir.create(config, {"short": "0123456789ab"})
    assert json.loads((run.path / "environment.json").read_text())["fingerprint"] == {"short": "0123456789ab"}


def test_two_processes_do_not_train_in_one_folder(config):
    run = RunDir.create(config)
    with run.taken(), pytest.raises(TrainingError, match="another process is training in this folder"):  # noqa: SIM117
        with RunDir(run.path).taken():
            pass
    with run.taken():
        assert load_run_config(run.config_path) == config


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


def test_rows_that_a_power_cut_has_broken_are_dropped(config):
    run = RunDir.create(config)
    rows = [
        b'{"epoch": 0}\n',
        bytes(40) + b"\n",
        b'{"epo{"epoch": 1}\n',
        b"[1]}\n",
        b'"}\n',
        b'{"epoch": 1}\n',
        bytes(9),
    ]
    run.metrics_path.write_bytes(b"".join(rows))
    run.keep_metrics_before(2)
    assert run.metrics_path.read_bytes() == b'{"epoch": 0}\n{"epoch": 1}\n'


# --- checkpoints


def state(epoch: int) -> Checkpoint:
    space = LabelSpace.model_validate({"classes": {"red": {"state": "red"}}})
    weights = {"a": torch.full((1000,), float(epoch))}
    return Checkpoint(kind="yolo", model={}, label_space=space, state=weights, meta={"epoch": epoch}, training={})


@pytest.fixture
def run(tmp_path) -> RunDir:
    run = RunDir(tmp_path / "run")
    run.weights.mkdir(parents=True)
    return run


def test_the_checkpoint_before_the_last_stays(run):
    for epoch in range(3):
        run.save_last(state(epoch))
    assert sorted(item.name for item in run.weights.iterdir()) == ["last.before.pt", "last.pt"]
    assert load_checkpoint(run.last).meta["epoch"] == 2
    assert load_checkpoint(run.before_last).meta["epoch"] == 1
    assert run.load_last("yolo").meta["epoch"] == 2


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "changed"])
def test_a_damaged_last_is_named_and_the_one_before_is_used(damage, run, caplog):
    run.save_last(state(0))
    run.save_last(state(1))
    whole = run.last.read_bytes()
    if damage == "missing":
        run.last.unlink()
    else:
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 1
        run.last.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "changed": bytes(changed)}[damage])
    again = RunDir(run.path)
    with caplog.at_level(logging.WARNING):
        assert again.load_last("yolo").meta["epoch"] == 0
    (line,) = caplog.messages
    assert line.startswith(f"{run.last}: ") and line.endswith(f"the checkpoint before it, {run.before_last}")
    # The damaged file does not take the place of the whole one.
    again.save_last(state(2))
    assert [load_checkpoint(path).meta["epoch"] for path in (run.last, run.before_last)] == [2, 0]
    again.save_last(state(3))
    assert [load_checkpoint(path).meta["epoch"] for path in (run.last, run.before_last)] == [3, 2]


def test_nothing_whole_to_resume_from(run):
    with pytest.raises(WeightsError, match=r"no weights/last\.pt, .*start it again with: tl train .*config\.yaml"):
        run.load_last("yolo")
    run.save_last(state(0))
    run.last.write_bytes(b"PK")
    with pytest.raises(WeightsError, match=r"last\.pt: not a checkpoint of tl, or cut off"):
        run.load_last("yolo")
    run.before_last.write_bytes(b"PK")
    with pytest.raises(WeightsError, match=r"last\.before\.pt: not a checkpoint of tl, or cut off"):
        run.load_last("yolo")


def test_a_checkpoint_of_another_kind_is_refused(run):
    run.save_last(state(0))
    with pytest.raises(WeightsError, match="a yolo checkpoint, expected faster_rcnn"):
        run.load_last("faster_rcnn")


SAVE_AND_KILL = """
import itertools, os, random, sys, time
from pathlib import Path
import torch
from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import Checkpoint
from tl_detection.run_dir import RunDir

space = LabelSpace.model_validate({"classes": {"red": {"state": "red"}}})

def save(run, epoch):
    weights = {"a": torch.full((200_000,), float(epoch))}
    state = Checkpoint(kind="yolo", model={}, label_space=space, state=weights, meta={"epoch": epoch}, training={})
    run.save_last(state)
    os.write(1, f"saved {epoch}\\n".encode())

run, rng = RunDir(Path(sys.argv[1])), random.Random(0)
run.weights.mkdir(parents=True)
save(run, 0)
for _ in range(12):
    newest = run.load_last("yolo").meta["epoch"]
    os.write(1, f"found {newest}\\n".encode())
    heard, said = os.pipe()
    if (child := os.fork()) == 0:
        for epoch in itertools.count(newest + 1):
            save(run, epoch)
            os.write(said, b".")
    os.read(heard, 1)
    time.sleep(rng.uniform(0, 0.03))
    os.kill(child, 9)
    os.waitpid(child, 0)
    run = RunDir(run.path)
"""


def test_at_every_moment_there_is_a_whole_checkpoint(memory_folder):
    """A process that writes one checkpoint after the other is killed twelve times, somewhere."""
    done = subprocess.run(
        [sys.executable, "-c", SAVE_AND_KILL, str(memory_folder / "run")],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0 and not done.stderr
    newest, kills = 0, 0
    for line in done.stdout.splitlines():
        word, epoch = line.split()
        if word == "found":
            kills += 1
            # One that was in place already, though nobody had said so yet, may be found too.
            assert int(epoch) - newest in (0, 1)
        newest = int(epoch)
    assert kills == 12 and newest >= 12


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
