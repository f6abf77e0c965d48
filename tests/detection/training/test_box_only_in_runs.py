"""Boxes whose class is not known, from the configuration to the losses of both models, and what is said of them."""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np
import pytest
import torch

from tl_datasets.catalog import Catalog
from tl_datasets.epoch_statistics import EpochStatistics
from tl_datasets.errors import TrainingError
from tl_datasets.images import read_rgb
from tl_datasets.label_space import IGNORE_ANY, LabelSpace
from tl_datasets.torch_dataset import labelled_frames
from tl_detection.augment_sheets import BOX_ONLY_COLOUR, draw_sheets
from tl_detection.config import RunConfig
from tl_detection.detectors.faster_rcnn import build_faster_rcnn
from tl_detection.detectors.yolo import build_yolo
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.training import faster_rcnn_ignore, yolo_ignore
from tl_detection.training.anchors import network_boxes
from tl_detection.training.batches import check_batch, count_batch
from tl_detection.training.data import training_samples
from tl_detection.training.faster_rcnn_ignore import honour_ignore_areas
from tl_detection.training.faster_rcnn_start_check import check_faster_rcnn_start
from tl_detection.training.yolo import prepare_loss
from tl_detection.training.yolo_start_check import check_yolo_start

# Nobody says what a green lamp of the drawn ones means, so each may be either of two classes.
OPEN = {
    "classes": {
        "red": {"state": "red"},
        "go": {"state": "green", "pictogram": "circle"},
        "walk": {"state": "green", "pictogram": "pedestrian"},
    },
    "box_only": [{"state": "green", "pictogram": None}],
}
AS_IGNORED = LabelSpace.model_validate({"classes": OPEN["classes"], "ignore": OPEN["box_only"]})


def without_class(config: RunConfig) -> RunConfig:
    data = {**config.data.model_dump(), "label_space": OPEN, "allow_classes_without_boxes": True}
    return RunConfig.model_validate({**config.model_dump(), "data": data})


@pytest.mark.parametrize(
    ("kind", "module", "asked"),
    [("yolo", yolo_ignore, "join_candidates"), ("faster_rcnn", faster_rcnn_ignore, "box_head_losses")],
)
def test_a_run_learns_from_them_and_counts_them(kind, module, asked, tmp_path, run_config, start, remembered, caplog):
    losses = remembered(module, asked)
    config = without_class(run_config(tmp_path, kind, frames=4, epochs=1, batch_size=2))
    caplog.set_level(logging.INFO)
    run = start(config)
    row = json.loads(run.metrics_path.read_text())
    assert (row["seen"]["box_only"], row["seen"]["ignored"], row["seen"]["boxes"]) == (
        4,
        0,
        {"red": 4, "go": 0, "walk": 0},
    )
    assert "4 boxes without a class" in caplog.text
    assert len(losses) >= 2
    assert all(torch.as_tensor(part).isfinite().all() for found in losses for part in found)


def test_in_evaluation_they_are_ignore_areas(tmp_path, lamp_run_config):
    config = without_class(lamp_run_config(tmp_path, frames=4))
    catalog = Catalog.open(config.data.catalog)
    truth, expected = (ground_truth_from_catalog(catalog, space) for space in (config.data.label_space, AS_IGNORED))
    assert truth.class_id.tolist() == expected.class_id.tolist() == [0, IGNORE_ANY] * 4
    assert truth.is_ignored.tolist() == expected.is_ignored.tolist() == [False, True] * 4


def test_sheets_show_them_in_their_own_colour(tmp_path, lamp_run_config):
    config = without_class(lamp_run_config(tmp_path, frames=4))
    frames = labelled_frames(Catalog.open(config.data.catalog), config.data.label_space)
    totals = draw_sheets(training_samples(config, frames), config.data.label_space, tmp_path / "out", 4)
    assert (totals["boxes"], totals["box_only"], totals["ignored"]) == (4, 4, 0)
    record = json.loads((tmp_path / "out" / "samples.jsonl").read_text().splitlines()[0])
    assert [box["candidates"] for box in record["box_only"]] == [["go", "walk"]]
    for name in ("sheet_001.png", "legend.png"):
        assert (read_rgb(tmp_path / "out" / name) == BOX_ONLY_COLOUR).all(axis=2).sum() > 20


def batch_with(xyxy: Any, candidates: Any) -> Any:
    return {
        "images": torch.zeros((1, 3, 64, 128), dtype=torch.uint8),
        "xyxy": [torch.zeros(0, 4)],
        "class_id": [torch.zeros(0, dtype=torch.int64)],
        "ignore_xyxy": [torch.zeros(0, 4)],
        "box_only_xyxy": [torch.tensor(xyxy, dtype=torch.float32)],
        "box_only_candidates": [torch.tensor(candidates, dtype=torch.bool)],
        "frame_ids": ["f7"],
        "vanished": [0],
        "weather": [None],
        "time_of_day": [None],
        "made": [()],
    }


@pytest.mark.parametrize(
    ("xyxy", "candidates", "message"),
    [
        ([[1, 2, 3]], [[True, True]], r"boxes without a class of shape \(1, 3\) and candidates of \(1, 2\), expected"),
        ([[1, 1, 5, 5]], [[True]], r".*candidates of \(1, 1\), expected \(K, 4\), \(K, 2\)"),
        ([[1, 1, 5, 5]], [[False, False]], "box without a class and without a candidate"),
        ([[1, 1, 5, float("nan")]], [[True, True]], "box without a class with a coordinate that is not finite"),
        ([[5, 5, 5, 9]], [[True, True]], r"box without a class \[5.0, 5.0, 5.0, 9.0\] without area"),
        ([[1, 1, 5, 65]], [[True, True]], "box without a class .* outside the 128x64 input"),
    ],
)
def test_what_cannot_be_is_refused_with_the_frame(xyxy, candidates, message):
    with pytest.raises(TrainingError, match=f"^frame 'f7': {message}"):
        check_batch(batch_with(xyxy, candidates), 2)


def test_good_batches_pass_and_are_counted():
    batch, seen = batch_with([[1, 1, 5, 5], [1, 1, 9, 9]], [[True, False], [True, True]]), EpochStatistics(("a", "b"))
    check_batch(batch, 2)
    count_batch(seen, batch)
    del batch["box_only_xyxy"], batch["box_only_candidates"]
    check_batch(batch, 2)
    count_batch(seen, batch)
    assert (seen.samples, seen.box_only, seen.without_boxes) == (2, 2, 1)


def test_anchors_and_start_sizes_are_fitted_to_them_too(tmp_path, lamp_run_config):
    config = without_class(lamp_run_config(tmp_path, frames=4))
    catalog = Catalog.open(config.data.catalog)
    frames = labelled_frames(catalog, config.data.label_space)
    with_class = labelled_frames(catalog, LabelSpace.model_validate({"classes": {"light": {}}}))
    assert frames.learned.all() and not labelled_frames(catalog, AS_IGNORED).learned.all()
    assert np.array_equal(network_boxes(frames, 128, 64), network_boxes(with_class, 128, 64))


def test_the_start_check_counts_them_as_lights():
    torch.manual_seed(0)
    batch = batch_with([[10, 10, 20, 30], [60, 20, 70, 40]], [[True, True]] * 2)
    spec = {"architecture": "yolo11n", "width_px": 128, "height_px": 64, "max_detections": 50}
    network = build_yolo(spec, 2).train()
    check = check_yolo_start(network, prepare_loss(network, 1), batch)
    assert check.lights == sum(each.lights for each in check.heads[0].bins) == 2
    assert sum(each.with_positive for each in check.heads[0].bins) == 2
    spec = {"backbone": "mobilenet_v3_small", "norm": "group", "anchor_sizes": [[14], [28]], "anchor_ratios": [2.0]}
    two_stages = build_faster_rcnn(spec | {"fpn_channels": 8, "box_head_size": 16, "max_detections": 20}, 2).train()
    honour_ignore_areas(two_stages)
    check = check_faster_rcnn_start(two_stages, batch)
    assert check.lights == sum(each.lights for each in check.heads[0].bins) == 2
    assert sum(each.with_positive for each in check.heads[0].bins) == 2
