"""The loop of both models through the calls that the command makes, on a few drawn lamps."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, TrainingError, UsageError, WeightsError
from tl_detection.checkpoint import load_checkpoint
from tl_detection.evaluation.readings import Reading
from tl_detection.run_dir import RunDir
from tl_detection.training import loop
from tl_detection.training.data import TrainingData, prepare_data
from tl_detection.training.faster_rcnn import FasterRcnnLosses
from tl_detection.training.train import resume, run_training

KINDS = pytest.mark.parametrize("kind", ["yolo", "faster_rcnn"])
CPU = torch.device("cpu")
# The row of an epoch, but for its times.
LASTING = ("epoch", "train", "lr", "seen", "val", "score", "broken", "micro_batch")


def rows_of(run: RunDir) -> list[dict]:
    return [json.loads(line) for line in run.metrics_path.read_text().splitlines()]


def same_state(one: RunDir, other: RunDir) -> None:
    first, second = load_checkpoint(one.last), load_checkpoint(other.last)
    assert first.training is not None and second.training is not None
    for name, value in first.state.items():
        assert torch.equal(value, second.state[name]), name
    for name, value in (first.training["weights"] or {}).items():
        assert torch.equal(value, second.training["weights"][name]), name
    assert first.training["best"] == second.training["best"]
    for number, buffers in first.training["optimizer"]["state"].items():
        for name, value in buffers.items():
            assert np.array_equal(value, second.training["optimizer"]["state"][number][name]), (number, name)
    for mine, theirs in zip(rows_of(one), rows_of(other), strict=True):
        assert {name: mine[name] for name in LASTING} == {name: theirs[name] for name in LASTING}


@KINDS
def test_a_run_killed_inside_an_epoch_ends_as_if_it_had_not_been(kind, tmp_path, run_config, start, monkeypatch):
    """Three batches of an epoch make two steps; the kill comes after the first step of the second epoch."""
    settings = {"frames": 5, "epochs": 3, "batch_size": 2, "accumulate": 2, "lr": 0.002, "optimizer": "adamw"}
    augment = {"mosaic": 0.5, "mosaic_off_epochs": 1}
    config = run_config(tmp_path, kind, augment=augment, deterministic=True, checkpoint_minutes=0, **settings)
    straight = start(config)
    broken, save, saves = RunDir.create(config), RunDir.save_last, []

    def killed(self, checkpoint):
        save(self, checkpoint)
        saves.append(checkpoint.meta["epoch"])
        if len(saves) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunDir, "save_last", killed)
        run_training(prepare_data(config), broken, CPU)
    assert saves == [-1, -1, 0, 0]  # within the first epoch, before it is scored, at its end, within the second
    assert load_checkpoint(broken.last).meta["batch"] == 2
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    resume(broken.path, ["train.workers=1"])
    same_state(straight, broken)
    with pytest.raises(WeightsError, match="has finished after 3 epochs"):
        resume(broken.path)


@pytest.mark.parametrize(("words", "at_once"), [([], 1), (["train.micro_batch=2"], 2)])
def test_a_size_that_fits_is_remembered_until_another_is_asked_for(
    words, at_once, tmp_path, run_config, start, monkeypatch
):
    config = run_config(tmp_path, "faster_rcnn", frames=4, epochs=2, batch_size=2, lr=1e-4)
    run = RunDir.create(config)
    forward, save = FasterRcnnLosses.forward, RunDir.save_last

    def small_memory(self, batch, epoch):
        if len(batch["frame_ids"]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return forward(self, batch, epoch)

    def killed(self, checkpoint):
        save(self, checkpoint)
        if checkpoint.meta["epoch"] == 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FasterRcnnLosses, "forward", small_memory)
        patch.setattr(RunDir, "save_last", killed)
        run_training(prepare_data(config), run, CPU)
    resume(run.path, words)
    assert [row["micro_batch"] for row in rows_of(run)] == [1, at_once]


def test_a_setting_that_changes_the_result_is_refused_on_resume(tmp_path, run_config, start):
    config = run_config(tmp_path, "yolo", frames=4, epochs=2, batch_size=4, patience=None)
    run = start(config.model_copy(update={"train": config.train.model_copy(update={"epochs": 1})}))
    run.config_path.write_text(run.config_path.read_text().replace("epochs: 1\n", "epochs: 2\n"))
    with pytest.raises(WeightsError, match=r"train\.epochs"):
        resume(run.path)
    with pytest.raises(WeightsError, match=r"train\.lr"):
        resume(run.path, ["train.lr=0.5", "train.epochs=1"])


@KINDS
def test_what_a_run_leaves(kind, tmp_path, run_config, start, caplog):
    caplog.set_level(logging.INFO)
    run = start(run_config(tmp_path, kind, frames=4, epochs=2, batch_size=4, val_every=2, lr=1e-4))
    assert {path.name for path in run.weights.iterdir()} == {"best.pt", "last.pt", "last.before.pt"}
    rows = rows_of(run)
    assert [row["val"] is not None for row in rows] == [False, True]
    assert rows[1]["best_by"] == {"measure": "ap50", "where": "all frames"}
    assert rows[0]["train"]["loss"] == pytest.approx(
        sum(value for name, value in rows[0]["train"].items() if name != "loss"), rel=0.5
    )
    check = json.loads((run.path / "start_check.json").read_text())
    assert check["heads"]
    assert "first batch: 4 frames" in caplog.text
    best, last = load_checkpoint(run.best), load_checkpoint(run.last)
    assert best.training is None and last.training is not None
    assert best.meta["fingerprint"]["short"] == last.meta["fingerprint"]["short"]


def test_patience_ends_a_run(tmp_path, run_config, start, monkeypatch):
    scores = iter([0.1, 0.5, 0.4, 0.3, 0.2, 0.1])
    monkeypatch.setattr(TrainingData, "best_score", lambda self, found: Reading(value=next(scores), where="here"))
    run = start(run_config(tmp_path, "faster_rcnn", frames=2, epochs=6, batch_size=2, patience=2))
    assert len(rows_of(run)) == 4
    assert load_checkpoint(run.best).meta["epoch"] == 1
    assert load_checkpoint(run.last).meta["stopped"] is True
    (run.path / "result.json").write_text("{}")  # what the whole command leaves at its end
    with pytest.raises(WeightsError, match="has finished"):
        resume(run.path)


def test_only_a_scored_epoch_ends_a_run(tmp_path, run_config, start):
    config = run_config(tmp_path, "faster_rcnn", frames=2, epochs=9, batch_size=2, lr=1e-9, patience=2, val_every=3)
    run = start(config)
    assert [row["epoch"] for row in rows_of(run) if row["val"]] == [2, 5] and len(rows_of(run)) == 6


def test_less_is_better_of_some_measures(tmp_path, run_config, start, monkeypatch):
    scores = iter([0.5, 0.2, 0.4])
    monkeypatch.setattr(TrainingData, "best_score", lambda self, found: Reading(value=next(scores), where="here"))
    config = run_config(tmp_path, "faster_rcnn", frames=2, epochs=3, batch_size=2)
    evaluate = config.evaluate.model_copy(update={"best_by": "red_as_green"})
    run = start(config.model_copy(update={"evaluate": evaluate}))
    assert load_checkpoint(run.best).meta["epoch"] == 1


def test_a_measure_without_a_value_is_refused_at_once(tmp_path, run_config):
    config = run_config(tmp_path, "yolo", frames=4)
    evaluate = config.evaluate.model_copy(update={"best_by": "ap50@weather=rainy"})
    with pytest.raises(UsageError, match="rainy"):
        prepare_data(config.model_copy(update={"evaluate": evaluate}))


def spoil(folder, numbers) -> None:
    for number in numbers:
        (folder / "images" / f"{number}.png").write_bytes(b"no picture")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_named_counted_and_replaced(workers, tmp_path, run_config, start, caplog):
    config = run_config(tmp_path, "faster_rcnn", frames=8, epochs=2, batch_size=4, val_every=9, workers=workers)
    data = config.data.model_copy(update={"train": "width_px > 0", "val": 'split == "val"', "overfit_frames": None})
    config = config.model_copy(update={"data": data.model_copy(update={"train": 'split == "train"'})})
    spoil(tmp_path, [0])
    run = start(config)
    rows = rows_of(run)
    assert [len(row["broken"]) for row in rows] == [1, 1] and "0.png" in rows[0]["broken"][0]
    assert all(row["seen"]["samples"] == 6 for row in rows)
    assert "another frame takes the place of one that cannot be read" in caplog.text


def test_an_epoch_that_cannot_be_scored_is_not_learned_again(tmp_path, run_config, start):
    config = run_config(tmp_path, "faster_rcnn", overfit=False, frames=8, epochs=1, batch_size=4, deterministic=True)
    straight = start(config)
    image = tmp_path / "images" / "3.png"  # of the validation frames
    whole = image.read_bytes()
    spoil(tmp_path, [3])
    run = RunDir.create(config)
    with pytest.raises(DataError, match=r"3\.png"):
        run_training(prepare_data(config), run, CPU)
    assert load_checkpoint(run.last).meta["epoch"] == -1 and not run.metrics_path.exists()
    image.write_bytes(whole)
    learned = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop._Loop, "_learn", lambda *_: learned.append(1))
        resume(run.path)
    assert not learned
    same_state(straight, run)


def test_too_many_broken_images_stop_a_run(tmp_path, run_config, start):
    config = run_config(tmp_path, "faster_rcnn", frames=8, epochs=1, batch_size=4)
    spoil(tmp_path, [0, 1, 2])
    with pytest.raises(TrainingError, match=r"2 images cannot be read, more than data\.broken_share allows \(1 of 8"):
        start(config)
    strict = config.data.model_copy(update={"broken_share": 0.0})
    with pytest.raises(DataError, match=r"\d\.png"):
        start(config.model_copy(update={"data": strict}))


def test_a_killed_loader_process_is_told(tmp_path, run_config, start, monkeypatch):
    import os
    import signal

    step = loop.Stepper.step

    def kill(self, *args, **words):
        for child in torch.multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)
        return step(self, *args, **words)

    monkeypatch.setattr(loop.Stepper, "step", kill)
    config = run_config(tmp_path, "faster_rcnn", frames=8, epochs=3, batch_size=2, workers=1)
    with pytest.raises(DataError, match=r"a loader process has ended .* tl train --resume RUN"):
        start(config)


def test_frames_without_boxes_are_learned_as_negatives(tmp_path, run_config, start):
    from dataclasses import replace

    config = run_config(tmp_path, "faster_rcnn", overfit=False, epochs=1, batch_size=3)
    catalog = Catalog.open(config.data.catalog)
    emptied = [
        replace(frame, annotations=()) if frame.split == "train" and index else frame
        for index, frame in enumerate(catalog.iter_frames())
    ]
    Catalog.from_frames(emptied, source="drawn", root=tmp_path / "images").save(tmp_path / "mostly_empty")
    data = config.data.model_copy(update={"catalog": tmp_path / "mostly_empty"})
    row = rows_of(start(config.model_copy(update={"data": data})))[0]
    assert np.isfinite(list(row["train"].values())).all()


@KINDS
def test_bf16_on_a_cpu(kind, tmp_path, run_config, start):
    row = rows_of(start(run_config(tmp_path, kind, frames=4, epochs=1, batch_size=4, amp="bf16")))[0]
    assert np.isfinite(list(row["train"].values())).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@KINDS
@pytest.mark.parametrize("amp", ["bf16", "fp16", "off"])
def test_one_epoch_on_a_gpu(kind, amp, tmp_path, run_config):
    config = run_config(tmp_path, kind, frames=4, epochs=2, batch_size=2, amp=amp, device="cuda", workers=1)
    run = RunDir.create(config)
    run_training(prepare_data(config), run, torch.device("cuda"))
    rows = rows_of(run)
    assert np.isfinite(list(rows[-1]["train"].values())).all() and rows[-1]["gpu_mem_gb"] > 0
    training = load_checkpoint(run.last).training
    assert training is not None and bool(training["scaler"]) == (amp == "fp16")
