"""What is written down of an epoch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace
from tl_datasets.taxonomy import State, Weather
from tl_detection.detector import Detections
from tl_detection.evaluation.report import evaluate
from tl_detection.training.metrics import epoch_line, peak_memory_gb, report_row, scalars

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
        (
            "several ranks that wait, and broken images",
            {
                "epoch": 0,
                "train": {},
                "images_per_s": 8.0,
                "wait_share": 0.256,
                "gpu_mem_gb": 3.21,
                "host_mem_gb": 1.26,
                "ranks": 4,
                "broken": ["a.png: cut off", "b.png: missing"],
            },
            "epoch 1, 8.0 images/s, 26% waiting for data, 3.2 GB, 1.3 GB RAM, 4 ranks, 2 images broken",
        ),
        (
            "one rank, nothing broken, no waiting",
            {"epoch": 0, "train": {}, "wait_share": 0.0, "ranks": 1, "broken": []},
            "epoch 1, 0% waiting for data",
        ),
        (
            "stop lights said to be green",
            {"epoch": 0, "train": {}, "val": {"ap50": 0.5, "red_as_green": {"as_green": 2, "objects": 106}}},
            "epoch 1, val AP50 0.500, 2 of 106 stop lights as green",
        ),
        (
            "none of them",
            {"epoch": 0, "train": {}, "val": {"ap50": 0.5, "red_as_green": {"as_green": 0, "objects": 106}}},
            "epoch 1, val AP50 0.500",
        ),
        ("nothing to score", {"epoch": 0, "train": {}, "val": {"ap50": None}}, "epoch 1, val AP50 -"),
        ("last epoch", {"epoch": 9, "epochs": 10, "train": {}, "seconds": 5.0}, "epoch 10/10, 0s left"),
    ],
)
def test_the_line_for_a_person(what, row, line):
    assert epoch_line(row) == line, what


def test_the_numbers_of_a_row_have_the_paths_of_their_curves():
    found = dict(scalars(ROW | {"broken": ["a.png: cut off"], "stopped": True}))
    assert {"train/loss": 1.23456, "lr": 0.001, "val/ap50": 0.4567, "broken": 1.0}.items() <= found.items()
    assert {"val/by/weather=rainy/frames": 0.0, "seen/made/rain": 3.0}.items() <= found.items()
    assert not found.keys() & {"epoch", "epochs", "val/ap75", "val/by/weather=rainy/ap50", "stopped"}
    assert all(type(value) is float for value in found.values())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says it in another place as well")
def test_the_memory_is_that_of_this_process():
    held = np.ones(30_000_000)
    peak_gb = peak_memory_gb()
    assert held.sum() == 30_000_000
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    assert peak_gb == pytest.approx(int(line.split()[1]) * 1024 / 1e9, rel=0.05) and peak_gb > 0.24


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
    assert row["classes"] == {"red": {"ap50": row["ap50"], "precision": 1.0, "recall": 0.5, "objects": 2}}
    assert row["red_as_green"] is None
    json.dumps(row)
