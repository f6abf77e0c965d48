"""ultralytics' losses of boxes whose class is not known: the box counts, among the candidates nothing is preferred."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch

from tl_detection.detectors.yolo import build_yolo
from tl_detection.training.yolo import prepare_loss, to_ultralytics
from tl_detection.training.yolo_box_only import assign_with_candidates, join_candidates

WIDTH, HEIGHT, N_CLASSES = 128, 96, 3
KNOWN = ([[10.0, 10, 16, 24]], [[50.0, 50, 60, 70]])
OPEN = ([[100.0, 60, 110, 80]], [])
# Red or green, not off.
SET = [True, True, False]
HEADS = [("yolo11n", None), ("yolo26n", "one2many"), ("yolo26n", "one2one")]


@pytest.fixture(scope="module")
def networks() -> dict[str, Any]:
    made = {}
    for architecture in ("yolo11n", "yolo26n"):
        torch.manual_seed(0)
        spec = {"architecture": architecture, "width_px": WIDTH, "height_px": HEIGHT, "max_detections": 50}
        made[architecture] = build_yolo(spec, N_CLASSES).train()
    return made


def batch_of(known: Any = KNOWN, classes: Any = ([0], [0]), open_xyxy: Any = OPEN, areas: Any = ([], [])) -> Any:
    def boxes(of_images: Any) -> list[torch.Tensor]:
        return [torch.tensor(xyxy).reshape(-1, 4) for xyxy in of_images]

    torch.manual_seed(3)
    made = to_ultralytics(
        {
            "images": torch.randint(0, 255, (2, 3, HEIGHT, WIDTH), dtype=torch.uint8),
            "xyxy": boxes(known),
            "class_id": [torch.tensor(of, dtype=torch.int64) for of in classes],
            "ignore_xyxy": boxes(areas),
            "box_only_xyxy": boxes(open_xyxy),
            "box_only_candidates": [
                torch.tensor([SET] * len(of), dtype=torch.bool).reshape(-1, N_CLASSES) for of in open_xyxy
            ],
            "frame_ids": ["a", "b"],
        }  # type: ignore[arg-type]
    )
    made["img"] = made["img"].float() / 255
    return made


def outputs(network: Any, batch: Any) -> Any:
    """What the network says of a batch, with gradients of its own; scores as of a network that has begun to learn."""
    with torch.no_grad():
        said = network(batch["img"])
    generator = torch.Generator().manual_seed(5)
    for head in said.values() if "one2many" in said else (said,):
        for name in ("boxes", "scores"):
            if name == "scores":
                head[name] += torch.randn(head[name].shape, generator=generator)
            elif head[name].shape[1] > 4:
                head[name][:, 1::16] += 8  # each side one stride from the point; the other architecture says so itself
            head[name].requires_grad_()
    return said


def loss_and_gradient(criterion: Any, said: Any, batch: Any, head: str | None) -> Any:
    part = said if head is None else said[head]
    loss, _ = criterion(said, batch)
    scores, boxes = torch.autograd.grad(loss.sum(), (part["scores"], part["boxes"]))
    return loss.detach(), scores.mT, boxes.mT


def scores_of(said: Any, head: str | None) -> torch.Tensor:
    return (said if head is None else said[head])["scores"]


def part_of(criterion: Any, head: str | None) -> Any:
    return criterion if head is None else getattr(criterion, head)


def test_boxes_without_a_class_come_as_classes_behind_the_others():
    made = batch_of()
    assert made["cls"].flatten().tolist() == [0, N_CLASSES, 0] and made["candidates"].tolist() == [SET]
    assert made["batch_idx"].tolist() == [0, 0, 1]
    expected = [105 / WIDTH, 70 / HEIGHT, 10 / WIDTH, 20 / HEIGHT]
    assert made["bboxes"][1].tolist() == pytest.approx(expected)
    assert "candidates" not in batch_of(open_xyxy=([], []))


@pytest.mark.parametrize(("architecture", "head"), HEADS)
def test_points_of_a_box_learn_it_and_its_candidates_together(architecture, head, networks):
    network, batch = networks[architecture], batch_of()
    said, criterion = outputs(network, batch), prepare_loss(network, 10)
    _, scores, boxes = loss_and_gradient(criterion, said, batch, head)
    candidates = part_of(criterion, head).candidates
    lit = candidates.any(dim=2)
    assert 0 < lit[0].sum() <= 10 and not lit[1].any()
    assert boxes[lit].any(dim=1).all()
    assert (candidates[lit] == torch.tensor(SET)).all()
    # The other class is background there; of the candidates one gains as much as the other, by their odds.
    logits = scores_of(said, head).detach().mT
    assert (scores[lit][:, 2] > 0).all()
    odds = logits[lit][:, :2].exp()
    assert torch.allclose(scores[lit][:, 0] * odds[:, 1], scores[lit][:, 1] * odds[:, 0], rtol=1e-3, atol=1e-7)
    # In sum as of one class with the odds of both, pulled to what the assigner gave.
    assert (scores[lit][:, 0] * scores[lit][:, 1] >= 0).all()


@pytest.mark.parametrize(("architecture", "head"), HEADS)
def test_which_candidate_is_said_costs_nothing(architecture, head, networks):
    network, batch = networks[architecture], batch_of()
    said, criterion = outputs(network, batch), prepare_loss(network, 10)
    loss, _, boxes = loss_and_gradient(criterion, said, batch, head)
    lit = part_of(criterion, head).candidates.any(dim=2)
    other = deepcopy(said)
    with torch.no_grad():
        scores = scores_of(other, head)
        scores[:, :2] = torch.where(lit[:, None], scores[:, :2].flip(1), scores[:, :2])
    assert not torch.equal(scores_of(other, head), scores_of(said, head))
    swapped, _, swapped_boxes = loss_and_gradient(criterion, other, batch, head)
    assert torch.allclose(loss, swapped, rtol=1e-5)
    assert torch.allclose(boxes, swapped_boxes, rtol=1e-4, atol=1e-7)
    as_red = batch_of(tuple(a + b for a, b in zip(KNOWN, OPEN, strict=True)), ([0, 0], [0]), ([], []))
    red, red_swapped = (loss_and_gradient(criterion, each, as_red, head)[0] for each in (said, other))
    assert not torch.allclose(red[1], red_swapped[1], rtol=1e-4)


@pytest.mark.parametrize(("architecture", "head"), HEADS)
def test_with_one_candidate_it_is_the_loss_of_that_class(architecture, head, networks):
    network = networks[architecture]
    batch = batch_of()
    batch["candidates"] = torch.tensor([[False, True, False]])
    known = batch_of(tuple(a + b for a, b in zip(KNOWN, OPEN, strict=True)), ([0, 1], [0]), ([], []))
    said, criterion = outputs(network, batch), prepare_loss(network, 10, [1.0, 2.0, 4.0])
    one, other = (loss_and_gradient(criterion, said, each, head) for each in (batch, known))
    for ours, theirs in zip(one, other, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert other[0].all()


@pytest.mark.parametrize(("architecture", "head"), HEADS)
def test_without_such_boxes_the_loss_is_that_of_ultralytics(architecture, head, networks):
    network, batch = networks[architecture], batch_of(open_xyxy=([], []))
    said = outputs(network, batch)
    ours = loss_and_gradient(prepare_loss(network, 10), said, batch, head)
    theirs = loss_and_gradient(network.init_criterion(), said, batch, head)
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_a_light_is_learned_where_an_ignore_area_would_teach_nothing(networks):
    network = deepcopy(networks["yolo11n"])
    batch = batch_of(([], []), ([], []), OPEN)
    ignored = batch_of(([], []), ([], []), ([], []), areas=OPEN)
    said, criterion = outputs(network, batch), prepare_loss(network, 10)
    _, scores, boxes = loss_and_gradient(criterion, said, batch, None)
    lit = criterion.candidates.any(dim=2)
    _, none, no_boxes = loss_and_gradient(criterion, said, ignored, None)
    assert boxes[lit].any() and not no_boxes.any() and not none[lit].any()
    assert scores[lit].any()


def test_the_assigner_is_left_as_it_was(networks):
    criterion = prepare_loss(networks["yolo11n"], 10)
    sets = torch.tensor([SET, [False, True, True]])
    points = torch.tensor([[8.0, 8], [24, 8], [40, 8]])
    scores = torch.tensor([[[0.2, 0.6, 0.9], [0.1, 0.3, 0.2], [0.5, 0.5, 0.5]]])
    xyxy = torch.tensor([[[4.0, 4, 12, 12], [20, 4, 28, 12], [36, 4, 44, 12]]])
    truth = torch.tensor([[[3.0], [4], [0]]]), xyxy.clone(), torch.ones(1, 3, 1)
    criterion.assign.topk = criterion.assign.topk2 = 3
    (labels, boxes, targets, is_positive, _), candidates = assign_with_candidates(
        criterion.assign, sets, scores, xyxy, points, *truth
    )
    assert criterion.assign.num_classes == N_CLASSES
    assert labels.tolist() == [[3, 4, 0]] and is_positive.all() and torch.equal(boxes, xyxy)
    assert candidates.tolist() == [[SET, [False, True, True], [False] * 3]]
    assert torch.allclose(targets, torch.tensor([[[0.5, 0.5, 0], [0, 0.5, 0.5], [1, 0, 0]]]), atol=1e-3)


def test_the_joint_loss_is_that_of_the_sum_of_odds():
    logits = torch.tensor([[[0.3, -1.2, 0.7], [2.0, 1, 0]]], requires_grad=True)
    candidates = torch.tensor([[SET, [False] * 3]])
    targets = torch.tensor([[[0.4, 0.4, 0], [0, 1, 0]]])
    own = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    loss = join_candidates(own, logits, targets, candidates)
    assert torch.equal(loss[0, 1], own[0, 1]) and loss[0, 0, 2] == own[0, 0, 2]
    odds = logits[0, 0, :2].exp().sum()
    p = odds / (1 + odds)
    assert torch.allclose(loss[0, 0, :2].sum(), -(0.8 * p.log() + 0.2 * (1 - p).log()))
    gradient = torch.autograd.grad(loss.sum(), logits)[0][0, 0]
    assert torch.allclose(gradient[:2].sum(), p - 0.8)


@pytest.mark.parametrize("architecture", ["yolo11n", "yolo26n"])
def test_mixed_precision(architecture, networks):
    network = deepcopy(networks[architecture])
    network.criterion = prepare_loss(network, 10)
    with torch.autocast("cpu", torch.bfloat16):
        loss = network.loss(batch_of())[0].sum()
    assert loss.isfinite()
    loss.backward()
