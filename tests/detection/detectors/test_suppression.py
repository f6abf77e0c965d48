"""One lamp, one state: judged by a plain loop and by torchvision, and seen in both detectors."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import batched_nms

from tl_datasets.label_space import LabelSpace
from tl_detection.detectors.faster_rcnn import FasterRcnnDetector
from tl_detection.detectors.suppression import STATE_IOU, overlap_limits, suppress
from tl_detection.detectors.yolo import YoloDetector, build_yolo

# Classes 0, 2 and 4 are states of a light, 1 is a car, 3 and 5 are states of a pedestrian head.
SPACE = LabelSpace.model_validate(
    {
        "classes": {
            "red": {"state": "red"},
            "car": {"category": "car"},
            "yellow": {"state": "yellow"},
            "wait": {"state": "red", "pictogram": "pedestrian"},
            "green": {"state": "green"},
            "walk": {"state": "green", "pictogram": "pedestrian"},
        }
    }
)
RED, CAR, YELLOW, WAIT, GREEN, WALK = range(6)
GROUPS = SPACE.groups
CLASS_IOU = 0.7


def random_boxes(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-5, 60, (n, 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(5, 40, (n, 2))], axis=1)
    values = (xyxy, rng.permutation(n) / n, rng.integers(0, len(SPACE), n))
    return torch.tensor(values[0]).float(), torch.tensor(values[1]).float(), torch.tensor(values[2])


def overlap(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def judge(xyxy: torch.Tensor, score: torch.Tensor, class_id: torch.Tensor) -> list[int]:
    """What the words say: from the best on, keep what no kept box of the same group overlaps."""
    boxes, classes, kept = xyxy.tolist(), class_id.tolist(), []
    for row in sorted(range(len(boxes)), key=lambda row: -float(score[row])):
        limit = CLASS_IOU if classes[row] == CAR else 0.4
        rivals = [other for other in kept if SPACE.groups[classes[other]] == SPACE.groups[classes[row]]]
        if all(overlap(boxes[other], boxes[row]) <= limit for other in rivals):
            kept.append(row)
    return kept


def test_the_label_space_of_these_tests():
    assert GROUPS == (0, 1, 0, 2, 0, 2)
    assert overlap_limits(GROUPS, CLASS_IOU) == {1: CLASS_IOU, 0: STATE_IOU, 2: STATE_IOU}
    assert list(overlap_limits(GROUPS, CLASS_IOU)) == [1, 0, 2]


@pytest.mark.parametrize("seed", range(8))
def test_keeps_what_a_plain_loop_keeps(seed):
    boxes = random_boxes(250, seed)
    kept = suppress(*boxes, GROUPS, CLASS_IOU).tolist()
    assert kept == judge(*boxes)
    classes = boxes[2][kept]
    assert 10 < len(kept) < 200 and len(classes.unique()) == len(SPACE)


@pytest.mark.parametrize("seed", range(4))
def test_equals_torchvision_where_all_limits_are_one(seed):
    xyxy, score, class_id = random_boxes(250, seed)
    group = torch.tensor(GROUPS)[class_id]
    expected = batched_nms(xyxy, score, group, STATE_IOU)
    assert torch.equal(suppress(xyxy, score, class_id, GROUPS, STATE_IOU), expected)


@pytest.mark.parametrize("seed", range(4))
def test_without_exclusive_classes_it_is_the_suppression_of_each_class(seed):
    xyxy, score, class_id = random_boxes(250, seed)
    expected = batched_nms(xyxy, score, class_id, CLASS_IOU)
    assert torch.equal(suppress(xyxy, score, class_id, range(len(SPACE)), CLASS_IOU), expected)


def test_order_of_the_boxes_does_not_matter():
    xyxy, score, class_id = random_boxes(120, 0)
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    first = suppress(xyxy, score, class_id, GROUPS, CLASS_IOU)
    second = order[suppress(xyxy[order], score[order], class_id[order], GROUPS, CLASS_IOU)]
    assert torch.equal(first, second)


@pytest.mark.parametrize(("first", "second"), [(RED, GREEN), (GREEN, RED), (GREEN, GREEN)])
def test_of_equal_scores_the_earlier_stays(first, second):
    xyxy = torch.tensor([[0.0, 0, 10, 20], [1, 0, 11, 20]])
    for _ in range(3):
        assert suppress(xyxy, torch.tensor([0.5, 0.5]), torch.tensor([first, second]), GROUPS, CLASS_IOU).tolist() == [
            0
        ]


def test_equal_scores_come_out_by_group_and_then_as_they_came():
    xyxy = torch.tensor([[50.0 * i, 0, 50 * i + 10, 20] for i in range(5)])
    class_id = torch.tensor([WALK, GREEN, CAR, RED, WAIT])
    assert suppress(xyxy, torch.full((5,), 0.5), class_id, GROUPS, CLASS_IOU).tolist() == [2, 1, 3, 0, 4]


def test_what_vanished_suppresses_nothing():
    xyxy = torch.tensor([[0.0, 0, 10, 20], [4, 0, 14, 20], [8, 0, 18, 20]])
    kept = suppress(xyxy, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([RED, GREEN, RED]), GROUPS, CLASS_IOU)
    assert kept.tolist() == [0, 2]


def test_nothing_gives_nothing():
    kept = suppress(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), GROUPS, CLASS_IOU)
    assert kept.dtype == torch.int64 and kept.tolist() == []


def test_half_precision_is_taken():
    xyxy = torch.tensor([[0, 0, 10, 20], [1, 0, 11, 20]], dtype=torch.bfloat16)
    score = torch.tensor([0.25, 0.5], dtype=torch.bfloat16)
    assert suppress(xyxy, score, torch.tensor([RED, GREEN]), GROUPS, CLASS_IOU).tolist() == [1]


# What a network says of a frame: box, class and score; and which of it is reported, by score.
SCENES: dict[str, tuple[list[tuple[list[float], int, float]], list[float]]] = {
    "one lamp in three states": (
        [([20, 10, 30, 34], RED, 0.6), ([20, 10, 30, 34], GREEN, 0.7), ([21, 10, 31, 34], YELLOW, 0.5)],
        [0.7],
    ),
    "a lamp that is loosely drawn": ([([20, 10, 30, 34], RED, 0.9), ([20, 10, 30, 24], GREEN, 0.3)], [0.9]),
    "neighbours in two states": ([([20, 10, 30, 34], RED, 0.6), ([31, 10, 41, 34], GREEN, 0.7)], [0.7, 0.6]),
    "neighbours that touch by a third": ([([20, 10, 30, 34], RED, 0.6), ([25, 10, 35, 34], GREEN, 0.7)], [0.7, 0.6]),
    "a pedestrian head in the same place": (
        [([20, 10, 30, 34], RED, 0.6), ([20, 10, 30, 34], WALK, 0.7), ([20, 10, 30, 34], WAIT, 0.4)],
        [0.7, 0.6],
    ),
    "a car in the same place": ([([20, 10, 30, 34], RED, 0.6), ([20, 10, 30, 34], CAR, 0.7)], [0.7, 0.6]),
    "cars that hide each other": ([([20, 10, 40, 34], CAR, 0.6), ([27, 10, 47, 34], CAR, 0.7)], [0.7, 0.6]),
}


@cache
def yolo(architecture: str) -> YoloDetector:
    model = {"architecture": architecture, "width_px": 128, "height_px": 64, "max_detections": 10}
    return YoloDetector(build_yolo(model, len(SPACE)), SPACE, model, {})


def seen_by_yolo(architecture: str, boxes: list[tuple[list[float], int, float]]) -> Any:
    detector = yolo(architecture)
    if detector.end_to_end:
        raw = torch.tensor([[*xyxy, score, class_id] for xyxy, class_id, score in boxes])
        return detector._select(raw[raw[:, 4].argsort(descending=True)])
    raw = torch.zeros(4 + len(SPACE), len(boxes))
    for column, ((x1, y1, x2, y2), class_id, score) in enumerate(boxes):
        raw[:4, column] = torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])
        raw[4 + class_id, column] = score
    return detector._select(raw)


def seen_by_faster_rcnn(boxes: list[tuple[list[float], int, float]]) -> Any:
    class Fixed(nn.Module):
        def forward(self, images: torch.Tensor):
            xyxy, class_id, score = zip(*sorted(boxes, key=lambda box: -box[2]), strict=True)
            labels = torch.tensor(class_id) + 1
            return [{"boxes": torch.tensor(xyxy), "scores": torch.tensor(score), "labels": labels}]

    detector = FasterRcnnDetector(Fixed(), SPACE, 128, 64, torch.device("cpu"))  # type: ignore[arg-type]
    found = detector.detect([np.zeros((64, 128, 3), np.uint8)])[0]
    return found.xyxy, found.score, found.class_id


@pytest.mark.parametrize("engine", ["yolo26n", "yolo11n", "faster_rcnn"])
@pytest.mark.parametrize(("boxes", "expected"), SCENES.values(), ids=SCENES.keys())
def test_detectors_show_one_lamp_in_one_state(engine, boxes, expected):
    seen = seen_by_faster_rcnn(boxes) if engine == "faster_rcnn" else seen_by_yolo(engine, boxes)
    xyxy, score, class_id = (values.tolist() for values in seen)
    assert score == pytest.approx(expected)
    of = {round(score, 3): (xyxy, class_id) for xyxy, class_id, score in boxes}
    for found_xyxy, found_score, found_class in zip(xyxy, score, class_id, strict=True):
        wanted_xyxy, wanted_class = of[round(found_score, 3)]
        assert found_xyxy == pytest.approx(wanted_xyxy) and found_class == wanted_class


def test_of_equal_scores_faster_rcnn_shows_the_first_class():
    box = [20.0, 10.0, 30.0, 34.0]
    _, _, class_id = seen_by_faster_rcnn([(box, GREEN, 0.5), (box, RED, 0.5), (box, YELLOW, 0.5)])
    assert class_id.tolist() == [RED]
