"""The tracker, through the door that the training loop takes: what it leaves on the disk and in the log."""

from __future__ import annotations

import errno
import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tl_datasets.errors import TrainingError
from tl_datasets.images import read_rgb
from tl_datasets.taxonomy import State
from tl_datasets.torch_dataset import Batch
from tl_detection.draw import STATE_COLOURS
from tl_detection.run_dir import RunDir
from tl_detection.tracking import prediction_sheet
from tl_detection.tracking import tracker as tracker_module
from tl_detection.tracking.tracker import Tracker, check_tracking
from tl_detection.training.metrics import report_row


def row_of(epoch: int, evaluation=None, **more) -> dict:
    val = None if evaluation is None else report_row(evaluation.report)
    return {"epoch": epoch, "epochs": 5, "train": {"loss": 1.0 / (epoch + 1)}, "seconds": 60.0, "val": val, **more}


def track(run_config, scene, path: Path | None = None, *, strict=True, resumed=False, **settings) -> Tracker:
    config = run_config(**settings)
    run = RunDir.create(config) if path is None else RunDir(path)
    return Tracker(run, config, scene.label_space, resumed, strict=strict)


def folder_of(tracker: Tracker) -> Path:
    return tracker._run.path


def first_batch() -> Batch:
    return Batch(
        images=torch.full((2, 3, 64, 128), 90, dtype=torch.uint8),
        xyxy=[torch.tensor([[20.0, 20.0, 30.0, 44.0]]), torch.zeros((0, 4))],
        class_id=[torch.tensor([0]), torch.zeros(0, dtype=torch.int64)],
        ignore_xyxy=[torch.zeros((0, 4)), torch.tensor([[60.0, 20.0, 70.0, 44.0]])],
        frame_ids=["a", "b"],
        vanished=[0, 0],
        weather=[None, None],
        time_of_day=[None, None],
        made=[(), ()],
        occurrence=[0, 0],
        broken=[(), ()],
    )


def test_an_epoch_is_in_the_file_the_log_tensorboard_and_a_picture(scene, run_config, caplog):
    caplog.set_level(logging.INFO)
    evaluation = scene.evaluation()
    with track(run_config, scene, pictures=3) as tracker:
        tracker.epoch(row_of(0), None, scene.catalog)
        tracker.epoch(row_of(1, evaluation), evaluation, scene.catalog)
    path = folder_of(tracker)
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [0, 1]
    assert rows[0]["val"] is None and rows[1]["val"]["ap50"] == evaluation.report.overall.ap50
    assert 0.05 < rows[0]["host_mem_gb"] < 1000
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].startswith("epoch 1/5, loss 1,") and "val AP50" in lines[1]
    assert sorted(item.name for item in (path / "pictures").iterdir()) == ["epoch_002.jpg"]
    events = EventAccumulator(str(path / "tensorboard")).Reload()
    tags = events.Tags()
    assert {"train/loss", "seconds", "val/ap50", "val/by/weather=rainy/frames", "val/classes/red/recall"} <= set(
        tags["scalars"]
    )
    assert not set(tags["scalars"]) & {"epoch", "epochs"}
    assert [(item.step, item.value) for item in events.Scalars("train/loss")] == [(0, 1.0), (1, 0.5)]
    curves = set(tags["tensors"])
    assert {"all frames/red", "all frames/green", "weather=rainy/yellow"} <= curves
    assert "weather=rainy/green" not in curves
    assert tags["images"] == ["predictions"]
    (shown,) = events.Images("predictions")
    assert shown.step == 1
    assert shown.encoded_image_string == (path / "pictures" / "epoch_002.jpg").read_bytes()


def test_every_epoch_shows_the_same_frames_and_so_does_a_resumed_run(scene, run_config, monkeypatch):
    asked = []
    draw = tracker_module.draw_prediction_sheet
    monkeypatch.setattr(tracker_module, "draw_prediction_sheet", lambda *args: (asked.append(args[3]), draw(*args))[1])
    evaluation = scene.evaluation()
    with track(run_config, scene, pictures=2) as tracker:
        for epoch in range(2):
            tracker.epoch(row_of(epoch, evaluation), evaluation, scene.catalog)
    scene.said = {}
    evaluation = scene.evaluation()
    with track(run_config, scene, folder_of(tracker), resumed=True, pictures=2) as tracker:
        tracker.epoch(row_of(2, evaluation), evaluation, scene.catalog)
    assert len(asked) == 3 and len(set(asked[0])) == 2 and asked[0] == asked[1] == asked[2]


def test_the_first_batch_is_shown_as_the_network_sees_it(scene, run_config):
    batch = first_batch()
    with track(run_config, scene) as tracker:
        tracker.batch(batch["images"], batch)
        path = folder_of(tracker) / "pictures" / "first_batch.jpg"
        assert path.exists()
        tracker.epoch(row_of(0), None, scene.catalog)
        tracker.epoch(row_of(1), None, scene.catalog)
    picture = read_rgb(path).astype(int)
    assert picture.shape == (86, 256, 3)
    assert np.abs(picture[30, 18] - STATE_COLOURS[State.RED]).max() < 60
    assert picture[30, 128 + 58].min() > 200  # an ignore area, white
    assert np.abs(picture[10, 10] - 90).max() <= 2
    (shown,) = EventAccumulator(str(folder_of(tracker) / "tensorboard")).Reload().Images("first batch")
    assert (shown.step, shown.encoded_image_string) == (0, path.read_bytes())


def test_a_resumed_run_takes_back_what_it_does_again(scene, run_config):
    with track(run_config, scene) as tracker:
        for epoch in range(3):
            tracker.epoch(row_of(epoch, lr=float(epoch)), None, scene.catalog)
    with track(run_config, scene, folder_of(tracker), resumed=True) as again:
        again.epoch(row_of(1, lr=10.0), None, scene.catalog)
    events = EventAccumulator(str(folder_of(tracker) / "tensorboard")).Reload()
    assert [(item.step, item.value) for item in events.Scalars("lr")] == [(0, 0.0), (1, 10.0)]


def test_nothing_is_shown_where_nothing_is_asked_for(scene, run_config):
    evaluation = scene.evaluation()
    with track(run_config, scene, pictures=0, tensorboard=False) as tracker:
        tracker.batch(first_batch()["images"], first_batch())
        tracker.epoch(row_of(0, evaluation), evaluation, scene.catalog)
    path = folder_of(tracker)
    assert (path / "metrics.jsonl").exists()
    assert not (path / "pictures").exists() and not (path / "tensorboard").exists()


def test_a_broken_image_costs_the_picture_and_one_warning(scene, run_config, caplog):
    root = next(iter(scene.catalog.roots.values()))
    for path in root.iterdir():
        path.write_bytes(b"no image")
    evaluation = scene.evaluation()
    with track(run_config, scene, strict=False) as tracker:
        for epoch in range(3):
            tracker.epoch(row_of(epoch, evaluation), evaluation, scene.catalog)
    assert len((folder_of(tracker) / "metrics.jsonl").read_text().splitlines()) == 3
    tags = EventAccumulator(str(folder_of(tracker) / "tensorboard")).Reload().Tags()
    assert "val/ap50" in tags["scalars"] and not tags["images"]
    assert {what: len(reasons) for what, reasons in tracker.faults.reasons.items()} == {"pictures of predictions": 3}
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert "pictures of predictions failed, the training goes on without: ImageError: " in warnings[0]
    assert "failed 3 times, the last time" in warnings[1]
    with pytest.raises(Exception, match=r"\.png"):
        track(run_config, scene, strict=True).epoch(row_of(0, evaluation), evaluation, scene.catalog)


def test_a_folder_that_takes_no_events_costs_tensorboard_alone(scene, run_config, caplog):
    evaluation = scene.evaluation()
    with track(run_config, scene, strict=False) as tracker:
        (folder_of(tracker) / "tensorboard").write_text("a file in the way")
        tracker.epoch(row_of(0, evaluation), evaluation, scene.catalog)
    assert list(tracker.faults.reasons) == ["TensorBoard"]
    assert (folder_of(tracker) / "pictures" / "epoch_001.jpg").exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_ends_the_run_in_one_line(code, scene, run_config, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(code, "No space left on device")

    evaluation = scene.evaluation()
    tracker = track(run_config, scene, strict=False)
    monkeypatch.setattr(tracker_module, "write_whole", full)
    with (
        pytest.raises(TrainingError, match=r"the disk is full \(pictures of predictions\).*tl train --resume"),
        tracker,
    ):
        tracker.epoch(row_of(0, evaluation), evaluation, scene.catalog)
    assert len((folder_of(tracker) / "metrics.jsonl").read_text().splitlines()) == 1


def test_metrics_that_cannot_be_written_end_the_run(scene, run_config):
    tracker = track(run_config, scene, strict=False)
    (folder_of(tracker) / "metrics.jsonl").mkdir()
    with pytest.raises((OSError, TrainingError), match=r"metrics\.jsonl"):
        tracker.epoch(row_of(0), None, scene.catalog)


def test_what_interrupts_the_training_passes_through(scene, run_config, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(tracker_module, "draw_prediction_sheet", interrupt)
    evaluation = scene.evaluation()
    with pytest.raises(KeyboardInterrupt), track(run_config, scene, strict=False) as tracker:
        tracker.epoch(row_of(0, evaluation), evaluation, scene.catalog)


def test_frames_without_any_object_are_drawn_too(scene, run_config):
    scene.catalog = scene.catalog.filter("frame_id == 'empty'")
    evaluation = scene.evaluation()
    with track(run_config, scene) as tracker:
        tracker.epoch(row_of(0, evaluation), evaluation, scene.catalog)
    picture = cv2.imread(str(folder_of(tracker) / "pictures" / "epoch_001.jpg"))
    assert picture is not None and picture.shape[1] == 960
    events = EventAccumulator(str(folder_of(tracker) / "tensorboard")).Reload()
    assert events.Tags()["tensors"] == []


def test_without_mlflow_there_is_nothing_to_check(run_config):
    check_tracking(run_config())


def test_the_sheet_is_drawn_from_the_frames_of_the_catalog(scene, run_config, monkeypatch):
    """Frames that cannot be scored have no place in the ground truth: its rows, not its positions, are read."""
    read = []
    catalog = scene.catalog
    monkeypatch.setattr(
        type(catalog), "read_rgb", lambda self, row: (read.append(row), np.zeros((160, 320, 3), np.uint8))[1]
    )
    evaluation = scene.evaluation()
    object.__setattr__(evaluation.matched.ground_truth, "rows", np.array([10, 11, 12, 13]))
    prediction_sheet.draw_prediction_sheet(evaluation, catalog, scene.label_space, [1, 3], "epoch 1")
    assert read == [11, 13]
