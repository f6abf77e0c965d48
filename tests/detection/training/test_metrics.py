"""What is written down of an epoch."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace
from tl_datasets.taxonomy import State, Weather
from tl_detection.detector import Detections
from tl_detection.evaluation.report import evaluate
from tl_detection.run_dir import RunDir
from tl_detection.training.metrics import epoch_line, log_epoch, report_row

ROW = {
    "epoch": 2,
    "epochs": 10,
    "train": {"loss": 1.23456, "classifier": 0.5},
    "lr": 0.001,
    "seconds": 60.0,
    "images_per_s": 12.34,
    "gpu_mem_gb": 3.21,
    "seen": {"repeated": 7, "vanished": 4, "ignored": 9, "made": {"rain": 3, "night": 2}},
    "val": {
        "ap": 0.2,
        "ap50": 0.4567,
        "ap75": None,
        "by": {"weather=rainy": {"ap50": None, "frames": 0, "objects": 0}},
    },
}


@pytest.mark.parametrize(
    ("what", "row", "line"),
    [
        (
            "all",
            ROW,
            "epoch 3/10, loss 1.235, classifier 0.5, lr 0.001, 12.3 images/s, 3.2 GB, "
            "7 frames repeated, 4 boxes vanished, 9 areas ignored, made rain 3, night 2, val AP50 0.457, 7m00s left",
        ),
        ("only what is required", {"epoch": 0, "train": {"loss": 2.0}}, "epoch 1, loss 2"),
        (
            "no GPU, nothing ignored, no validation",
            {
                "epoch": 0,
                "train": {},
                "gpu_mem_gb": None,
                "seen": {"vanished": 0, "ignored": 0, "made": {}},
                "val": None,
            },
            "epoch 1",
        ),
        ("nothing to score", {"epoch": 0, "train": {}, "val": {"ap50": None}}, "epoch 1, val AP50 -"),
        ("last epoch", {"epoch": 9, "epochs": 10, "train": {}, "seconds": 5.0}, "epoch 10/10, 0s left"),
    ],
)
def test_the_line_for_a_person(what, row, line):
    assert epoch_line(row) == line, what


def test_an_epoch_is_written_to_the_file_to_tensorboard_and_to_the_log(tmp_path: Path, caplog):
    caplog.set_level(logging.INFO)
    run = RunDir(tmp_path)
    for epoch in (0, 1):
        log_epoch(run, ROW | {"epoch": epoch, "lr": 0.1 * (epoch + 1)})
    rows = [json.loads(line) for line in run.metrics_path.read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [0, 1]
    assert rows[0] == ROW | {"epoch": 0, "lr": 0.1}
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    tags = set(events.Tags()["scalars"])
    assert {"train/loss", "lr", "val/ap50", "val/by/weather=rainy/frames"} <= tags
    assert not tags & {"epoch", "epochs", "val/ap75", "val/by/weather=rainy/ap50"}
    assert [(item.step, round(item.value, 6)) for item in events.Scalars("lr")] == [(0, 0.1), (1, 0.2)]
    assert caplog.records[0].getMessage().startswith("epoch 1/10, loss 1.235")


def test_a_resumed_run_takes_back_what_it_does_again(tmp_path: Path):
    run = RunDir(tmp_path)
    for epoch, rate in ((0, 1.0), (1, 2.0), (2, 3.0), (1, 20.0)):
        log_epoch(run, {"epoch": epoch, "train": {}, "lr": rate})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(item.step, item.value) for item in events.Scalars("lr")] == [(0, 1.0), (1, 20.0)]


def test_the_row_of_a_report_has_counts_beside_scores():
    light = Annotation(xyxy=(10.0, 10.0, 20.0, 30.0), state=State.RED)
    frames = [
        Frame(
            frame_id=name, path=name, width_px=64, height_px=64, annotations=(light,) if boxes else (), weather=weather
        )
        for name, boxes, weather in (
            ("a", True, Weather.CLEAR),
            ("b", True, Weather.CLEAR),
            ("c", False, Weather.RAINY),
        )
    ]
    catalog = Catalog.from_frames(frames, source="s", root=Path("/"))
    right = Detections(xyxy=np.array([[10, 10, 20, 30]]), score=np.array([0.9]), class_id=np.array([0]))
    space = LabelSpace.model_validate({"classes": {"red": {"state": "red"}}})
    report = evaluate([right, Detections.empty(), Detections.empty()], catalog, space, by=("weather",))
    row = report_row(report)
    assert row["ap50"] == pytest.approx(report.overall.ap50) and row["ap50"] == pytest.approx(0.5, abs=0.01)
    assert row["by"]["weather=rainy"] == {"ap50": None, "frames": 1, "objects": 0}
    assert row["by"]["weather=clear"]["frames"] == 2 and row["by"]["weather=clear"]["objects"] == 2
    json.dumps(row)
