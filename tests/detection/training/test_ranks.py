"""Several ranks, as torchrun starts them, on the CPU over gloo."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tl_datasets.config import dump_config
from tl_datasets.errors import ConfigError, TrainingError, UsageError
from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import load_checkpoint
from tl_detection.distributed import Ranks, device_of_rank, is_of_lost_rank, ranks_of_environment
from tl_detection.run_dir import RunDir
from tl_detection.training.train import resume, train

PROGRAM = Path(__file__).with_name("rank_program.py")


def begin_ranks(task: str, folder: Path, ranks: int = 2, **environment: str) -> list[subprocess.Popen]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(ranks), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), task, str(folder)],
            env={**os.environ, **common, **environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(ranks)
    ]


@pytest.fixture
def programs():
    """Processes that end with the test, whatever it found."""
    running: list[subprocess.Popen] = []
    yield running
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.usefixtures("one_thread", "light_heads")
def test_two_ranks_learn_what_one_learns_with_all_frames(tmp_path: Path, run_config, programs):
    """Nine frames in batches of four: in the last batch the second rank has no frame of its own.

    Every second lamp is of a class that is not known, which the sums that means are divided by have to count.
    """
    lamps = {
        "classes": {
            "red": {"state": "red"},
            "go": {"state": "green", "pictogram": "circle"},
            "walk": {"state": "green", "pictogram": "pedestrian"},
        },
        "box_only": [{"state": "green", "pictogram": None}],
    }
    for kind in ("yolo", "faster_rcnn"):
        config = run_config(
            tmp_path,
            kind,
            frames=9,
            epochs=3,
            batch_size=4,
            optimizer="sgd",
            lr=0.002,
            augment={"mosaic": 0.5, "mosaic_off_epochs": 0},
        )
        changes = {"label_space": LabelSpace.model_validate(lamps), "allow_classes_without_boxes": True}
        data = config.data.model_copy(update=changes)
        (tmp_path / f"{kind}.yaml").write_text(dump_config(config.model_copy(update={"data": data})))
    programs += begin_ranks("learn", tmp_path)
    spec = importlib.util.spec_from_file_location("rank_program", PROGRAM)
    assert spec is not None and spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    alone = {kind: program.learn(tmp_path / f"{kind}.yaml", Ranks()) for kind in ("yolo", "faster_rcnn")}
    for process in programs:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    for kind, expected in alone.items():
        found = torch.load(tmp_path / f"{kind}.pt", weights_only=True)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5, msg=f"{kind} {name}")


@pytest.mark.usefixtures("light_heads")
@pytest.mark.parametrize("how", ["killed", pytest.param("stopped", marks=pytest.mark.slow)])
def test_a_lost_rank_ends_the_run_and_it_goes_on_with_one(how: str, tmp_path: Path, run_config, start, programs):
    config = run_config(
        tmp_path,
        "faster_rcnn",
        frames=6,
        epochs=2,
        batch_size=4,
        optimizer="sgd",
        lr=0.002,
        checkpoint_minutes=0,
        deterministic=True,
        rank_timeout_s=20,
    )
    (tmp_path / "faster_rcnn.yaml").write_text(dump_config(config))
    programs += begin_ranks("train", tmp_path, LOST_RANK=how)
    began = time.monotonic()
    _, errors = programs[0].communicate(timeout=300)
    assert programs[0].returncode == 1, errors
    assert "tl train: rank 0 of 2: another rank has ended or has not answered within 20 s" in errors
    assert "tl train --resume RUN" in errors
    assert time.monotonic() - began < 250
    if how == "stopped":
        programs[1].send_signal(signal.SIGKILL)
    (folder,) = (config.folder / config.name).iterdir()
    run = RunDir(folder)
    # Two steps of the first epoch were kept, or its end.
    assert load_checkpoint(run.last).meta["epoch"] in (-1, 0)
    resume(folder)
    rows = [json.loads(line) for line in run.metrics_path.read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [0, 1]
    assert [row["ranks"] for row in rows][-1] == 1
    straight = load_checkpoint(start(config).last)
    for name, value in load_checkpoint(run.last).state.items():
        torch.testing.assert_close(value, straight.state[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.slow
@pytest.mark.usefixtures("light_heads")
@pytest.mark.parametrize("kind", ["yolo", "faster_rcnn"])
def test_the_command_under_torchrun(kind: str, tmp_path: Path, run_config):
    config = run_config(tmp_path, kind, frames=7, epochs=2, batch_size=4, val_every=1, workers=1)
    (tmp_path / "run.yaml").write_text(dump_config(config))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    ended = subprocess.run(
        [*torchrun, "-m", "tl_detection", "train", str(tmp_path / "run.yaml")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    (folder,) = (config.folder / config.name).iterdir()
    assert ended.stdout.split() == [str(folder)]  # one rank speaks
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["ranks"] for row in rows] == [2, 2]
    assert all(row["seen"]["samples"] == 7 for row in rows)
    report = json.loads((folder / "evaluation" / "report.json").read_text())
    assert report["overall"]["frames"] == rows[-1]["val"].get("frames", 7)


def test_who_a_rank_is(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert ranks_of_environment() == Ranks()
    monkeypatch.setenv("RANK", "3")
    with pytest.raises(UsageError, match=r"RANK=3, WORLD_SIZE=None.*expected all three as torchrun sets them"):
        ranks_of_environment()
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert ranks_of_environment() == Ranks(rank=3, size=8, local_rank=1)
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(UsageError, match="WORLD_SIZE=3"):
        ranks_of_environment()


def test_each_rank_has_its_device(monkeypatch):
    ranks, cuda = Ranks(rank=5, size=8, local_rank=1), torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_of_rank(torch.device("cpu"), ranks, "cpu") == torch.device("cpu")
    assert device_of_rank(cuda, ranks, "auto") == torch.device("cuda", 1)
    assert device_of_rank(cuda, Ranks(), "cuda") == cuda
    with pytest.raises(TrainingError, match=r"train\.device: cuda:1 for 8 ranks; set train\.device=cuda"):
        device_of_rank(torch.device("cuda", 1), ranks, "cuda:1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(TrainingError, match="local rank 1: this machine has 1 CUDA devices"):
        device_of_rank(cuda, ranks, "cuda")


def test_a_batch_has_a_frame_for_each_rank(tmp_path, run_config, monkeypatch):
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"train\.batch_size: 2 for 4 ranks"):
        train(run_config(tmp_path, "yolo", frames=4, batch_size=2))


@pytest.mark.parametrize(
    ("text", "is_lost"),
    [
        ("[/gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.2]:4711", True),
        ("Timed out waiting 20000ms for recv operation to complete", True),
        ("NCCL communicator was aborted on rank 1.", True),
        ("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", False),
    ],
)
def test_errors_of_lost_ranks(text: str, is_lost: bool):
    assert is_of_lost_rank(RuntimeError(text)) is is_lost
