"""What no batch may hold, whichever trainer learns from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tl_datasets.epoch_statistics import EpochStatistics
from tl_datasets.errors import TrainingError
from tl_datasets.torch_dataset import Batch
from tl_detection.training.batches import check_batch, count_batch


def make_batch(xyxy: Any, class_id: Any, ignore_xyxy: Any = None) -> Batch:
    boxes = torch.tensor(xyxy, dtype=torch.float32)
    areas = torch.zeros(0, 4) if ignore_xyxy is None else torch.tensor(ignore_xyxy, dtype=torch.float32)
    return Batch(
        images=torch.zeros((1, 3, 64, 128), dtype=torch.uint8),
        xyxy=[boxes],
        class_id=[torch.tensor(class_id, dtype=torch.int64)],
        ignore_xyxy=[areas],
        frame_ids=["f7"],
        vanished=[0],
        weather=[None],
        time_of_day=[None],
        made=[()],
        occurrence=[0],
        broken=[()],
    )


@pytest.mark.parametrize(
    ("xyxy", "class_id", "message"),
    [
        ([[1, 1, 1, 5]], [0], "box .* without area, expected x1 < x2"),
        ([[5, 5, 1, 9]], [0], "without area"),
        ([], [], "shape"),
        ([[1, 1, 5, 5]], [0, 1], "shape"),
        ([[1, 1, 5, float("nan")]], [0], "box with a coordinate that is not finite"),
        ([[1, 1, 5, 5]], [-1], "class id outside 0 to 1"),
        ([[1, 1, 5, 5]], [2], "class id outside 0 to 1"),
        ([[-500, 1, 5, 5]], [0], "box .* outside the 128x64 input"),
        ([[1, 1, 5, 65]], [0], "outside the 128x64 input"),
    ],
)
def test_boxes_that_would_be_learned_silently_are_refused_with_the_frame(xyxy, class_id, message):
    with pytest.raises(TrainingError, match=message) as caught:
        check_batch(make_batch(xyxy, class_id), 2)
    assert str(caught.value).startswith("frame 'f7': ")


@pytest.mark.parametrize(
    ("areas", "message"),
    [
        ([], r"ignore areas of shape \(0,\), expected \(M, 4\)"),
        ([[1, 2, 3]], r"ignore areas of shape \(1, 3\)"),
        ([[1, 1, 5, float("inf")]], "ignore area with a coordinate that is not finite"),
        ([[1, 1, 5, float("nan")]], "ignore area with a coordinate that is not finite"),
        ([[2, 2, 4, 4], [5, 5, 1, 9]], r"ignore area \[5.0, 5.0, 1.0, 9.0\] turned inside out, expected x1 <= x2"),
        ([[1, 1, 5, 65]], r"ignore area \[1.0, 1.0, 5.0, 65.0\] outside the 128x64 input"),
        ([[-3, 1, 5, 5]], "ignore area .* outside the 128x64 input"),
    ],
)
def test_areas_that_cannot_be_are_refused_with_the_frame(areas, message):
    with pytest.raises(TrainingError, match=f"^frame 'f7': {message}"):
        check_batch(make_batch([[0, 0, 4, 4]], [1], areas), 2)


def test_good_batches_pass():
    check_batch(make_batch([[0, 0, 128, 64]], [1], [[0, 0, 128, 64]]), 2)
    check_batch(make_batch(np.zeros((0, 4)), []), 2)
    check_batch(make_batch(np.zeros((0, 4)), [], [[7, 5, 7, 9]]), 2)  # what float32 leaves of a sliver


def test_an_epoch_counts_what_it_showed():
    seen = EpochStatistics(("red", "green"))
    batch = make_batch([[1, 1, 5, 5], [8, 8, 12, 12]], [0, 1], [[20, 20, 22, 22]])
    count_batch(seen, {**batch, "vanished": [1], "weather": ["rainy"], "made": [("rain",)]})
    count_batch(seen, batch)
    row = seen.as_row()
    assert (row["samples"], row["frames"], row["repeated"]) == (2, 1, 1)
    assert row["boxes"] == {"red": 2, "green": 2} and (row["ignored"], row["vanished"]) == (2, 1)
    assert row["made"] == {"rain": 1} and row["by"]["weather"]["unknown"]["samples"] == 1
