"""A disk that is full: one line that says what is still usable, and nothing that was there is lost."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tl_datasets.errors import TrainingError
from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tl_detection.config import RunConfig
from tl_detection.disk import add_name, explained
from tl_detection.run_dir import RunDir

SPACE = LabelSpace.model_validate({"classes": {"red": {"state": "red"}}})
DISK_MB = 4


def checkpoint(epoch: int, megabytes: float) -> Checkpoint:
    state = {"a": torch.full((int(megabytes * 250_000),), float(epoch))}
    return Checkpoint(kind="yolo", model={}, label_space=SPACE, state=state, meta={"epoch": epoch}, training={})


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root of a machine that lets itself be given a small disk can fill one")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def run(small_disk) -> RunDir:
    run = RunDir(small_disk / "run")
    run.weights.mkdir(parents=True)
    return run


def test_a_device_without_space_is_a_line_with_numbers(tmp_path):
    """Linux has a device that is always full, for those who are not root."""
    (tmp_path / ".best.pt.part").symlink_to("/dev/full")
    line = r"best\.pt: cannot be written \(No space left on device\): it needs 8\.0 MB, [\d.]+ MB are free; free space"
    with pytest.raises(TrainingError, match=line):
        save_checkpoint(tmp_path / "best.pt", checkpoint(0, 8))
    assert not list(tmp_path.iterdir())


def test_last_stays_usable(run, caplog):
    run.save_last(checkpoint(0, 1))
    run.save_last(checkpoint(1, 1))
    with pytest.raises(TrainingError) as caught:
        run.save_last(checkpoint(2, 3))
    line = str(caught.value)
    # What the attempt itself has taken does not count.
    place = f"{run.last}: cannot be written (No space left on device): it needs 3.0 MB, 2.2 MB are free"
    assert line.startswith(place)
    assert line.endswith(f"; {run.last} is usable: free space, then go on with: tl train --resume {run.path}")
    assert "\n" not in line
    # Nothing half-written takes the little space that is left.
    assert sorted(item.name for item in run.weights.iterdir()) == ["last.before.pt", "last.pt"]
    assert [RunDir(run.path).load_last("yolo").meta["epoch"], load_checkpoint(run.before_last).meta["epoch"]] == [1, 0]
    # Space is made, and the run goes on.
    run.before_last.unlink()
    RunDir(run.path).save_last(checkpoint(2, 1))
    assert RunDir(run.path).load_last("yolo").meta["epoch"] == 2


def test_the_best_stays_usable(run):
    run.save_best(checkpoint(0, 1))
    with pytest.raises(TrainingError, match=r"best\.pt: cannot be written .*; free space and start the run again"):
        run.save_best(checkpoint(1, 4))
    assert load_checkpoint(run.best).meta["epoch"] == 0
    assert [item.name for item in run.weights.iterdir()] == ["best.pt"]


def fill(disk: Path) -> None:
    # A buffered file would try again when it is closed.
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_metrics_hold_whole_rows_alone(run, small_disk):
    run.save_last(checkpoint(0, 0.1))
    run.append_metrics({"epoch": 0})
    fill(small_disk)
    # The first page of the file has room: a row that fits into it is written, one that does not leaves no part.
    with pytest.raises(TrainingError, match=r"metrics\.jsonl: cannot be written .*last\.pt is usable"):
        run.append_metrics({"epoch": 1, "long": "x" * 10_000})
    assert run.metrics_path.read_text() == '{"epoch": 0}\n'
    with pytest.raises(TrainingError, match=r"metrics\.jsonl: cannot be written"):
        run.keep_metrics_before(1)
    (small_disk / "filler").unlink()
    run.append_metrics({"epoch": 1})
    assert [json.loads(row)["epoch"] for row in run.metrics_path.read_text().splitlines()] == [0, 1]


def test_a_log_line_does_not_end_the_run(run, small_disk, capsys):
    handler = run.log_to_file()
    fill(small_disk)
    try:
        for _ in range(200):
            logging.getLogger("tl_detection.training").warning("x" * 100)
    finally:
        logging.getLogger("tl_detection").removeHandler(handler)
        handler.close()
    assert "Traceback" not in capsys.readouterr().err


def test_a_run_that_cannot_begin_leaves_nothing(small_disk):
    config = RunConfig.model_validate(
        {
            "name": "lamps",
            "folder": small_disk / "runs",
            "data": {"catalog": "c", "label_space": {"classes": {"red": {"state": "red"}}}},
            "model": {"kind": "yolo", "input": {"width_px": 64, "height_px": 32}},
        }
    )
    fill(small_disk)
    with pytest.raises(TrainingError, match=r"cannot be written .*; free space, or set another folder"):
        RunDir.create(config)
    assert not (small_disk / "runs").exists()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied"), r"cannot be written \(Permission denied\); do this"),
        (
            OSError(122, "Disk quota exceeded"),
            r"\(Disk quota exceeded\): it needs 2\.5 MB, [\d.]+ MB are free; do this",
        ),
        (OSError("odd"), r"cannot be written \(odd\); do this"),
    ],
)
def test_other_reasons(error, message, tmp_path):
    with pytest.raises(TrainingError, match=message), explained(tmp_path / "x", "do this", 2_500_000):
        raise error


def test_two_names_of_a_file(tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    (tmp_path / ".b.part").write_text("left by a kill")
    add_name(tmp_path / "a", tmp_path / "b")
    assert {item.name: item.read_text() for item in tmp_path.iterdir()} == {"a": "a", "b": "a"}


def test_without_links_the_file_moves(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    save_checkpoint(tmp_path / "last.pt", checkpoint(0, 0.1))
    save_checkpoint(tmp_path / "last.pt", replace(checkpoint(1, 0.1)), former=tmp_path / "last.before.pt")
    assert load_checkpoint(tmp_path / "last.before.pt").meta["epoch"] == 0
    assert load_checkpoint(tmp_path / "last.pt").meta["epoch"] == 1
