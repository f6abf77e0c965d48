"""ultralytics' losses around ignore areas: what is said there changes nothing, what is said elsewhere is as before."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch

from tl_datasets.errors import TrainingError
from tl_detection.detectors.yolo import build_yolo
from tl_detection.training.yolo import to_ultralytics
from tl_detection.training.yolo_ignore import ignoring_criterion, sees_area

WIDTH, HEIGHT = 128, 96
LIGHTS = ([[10.0, 10, 16, 24], [100, 60, 110, 80]], [[50.0, 50, 60, 70]])
# A dot of 2 px, a small light and a wide sign, none near a light of the first image.
AREAS = [[41.0, 9, 43, 12], [70.3, 40, 75, 50], [30, 64, 70, 90]]
ARCHITECTURES = ("yolo11n", "yolo26n", "yolov8n-p2")
HEADS = [("yolo11n", None), ("yolov8n-p2", None), ("yolo26n", "one2many"), ("yolo26n", "one2one")]


@pytest.fixture(scope="module")
def networks() -> dict[str, Any]:
    from ultralytics.cfg import get_cfg

    made = {}
    for architecture in ARCHITECTURES:
        torch.manual_seed(0)
        spec = {"architecture": architecture, "width_px": WIDTH, "height_px": HEIGHT, "max_detections": 50}
        made[architecture] = build_yolo(spec, 2).train()
        made[architecture].args = get_cfg(overrides={})
    return made


def batch_of(lights=LIGHTS, areas: tuple[list, ...] = (AREAS, [])) -> dict[str, Any]:
    torch.manual_seed(3)
    batch: Any = {
        "images": torch.randint(0, 255, (len(lights), 3, HEIGHT, WIDTH), dtype=torch.uint8),
        "xyxy": [torch.tensor(boxes).reshape(-1, 4) for boxes in lights],
        "class_id": [torch.zeros(len(boxes), dtype=torch.int64) for boxes in lights],
        "ignore_xyxy": [torch.tensor(boxes).reshape(-1, 4) for boxes in areas],
        "frame_ids": ["a"] * len(lights),
    }
    made = to_ultralytics(batch)
    made["img"] = made["img"].float() / 255
    return made


def outputs(network, batch) -> dict[str, Any]:
    """What the network says of a batch, cut from the network so that it has gradients of its own."""
    with torch.no_grad():
        said = network(batch["img"])
    for head in said.values() if "one2many" in said else (said,):
        for name in ("boxes", "scores"):
            head[name] = head[name].clone().requires_grad_()
    return said


def head_of(said: dict[str, Any], head: str | None) -> dict[str, Any]:
    return said if head is None else said[head]


def loss_and_gradient(criterion, said, batch, head: str | None = None):
    part = head_of(said, head)
    loss, items = criterion(said, batch)
    return loss.detach(), items, torch.autograd.grad(loss.sum(), (part["scores"], part["boxes"]))


def cells(network, areas) -> torch.Tensor:
    """(A,) true where the square of a cell overlaps an area: counted cell by cell."""
    found = []
    for stride in network.stride.int().tolist():
        for y in range(0, HEIGHT, stride):
            found += [
                any(x < a[2] and x + stride > a[0] and y < a[3] and y + stride > a[1] for a in areas)
                for x in range(0, WIDTH, stride)
            ]
    return torch.tensor(found)


@pytest.mark.parametrize("areas", [([], []), ([], [[120.0, 0, 128, 8]])], ids=["no areas", "areas of another image"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_without_areas_it_is_the_loss_of_ultralytics(architecture, areas, networks):
    network, batch = networks[architecture], batch_of(areas=areas)
    said = outputs(network, batch)
    head = "one2many" if "one2many" in said else None
    loss, items, gradient = loss_and_gradient(ignoring_criterion(network), said, batch, head)
    expected, expected_items, expected_gradient = loss_and_gradient(network.init_criterion(), said, batch, head)
    if not areas[1]:
        assert torch.equal(loss, expected)
        assert items == expected_items
    assert loss[0] == expected[0] and loss[2] == expected[2] and loss[0] > 0
    for ours, theirs in zip(gradient, expected_gradient, strict=True):
        assert torch.equal(ours[0], theirs[0])


@pytest.mark.parametrize(("architecture", "head"), HEADS)
def test_what_is_said_in_an_area_changes_nothing(architecture, head, networks):
    network, batch, free = networks[architecture], batch_of(), cells(networks[architecture], AREAS)
    assert 10 < free.sum() < len(free) / 2
    said = outputs(network, batch)
    other = deepcopy(said)
    with torch.no_grad():
        for name, spread in (("scores", 5.0), ("boxes", 1.0)):
            noise = torch.randn_like(head_of(said, head)[name][0]) * spread
            head_of(other, head)[name][0] += noise * free

    ignoring, usual = ignoring_criterion(network), network.init_criterion()
    loss, items, gradient = loss_and_gradient(ignoring, said, batch, head)
    other_loss, other_items, _ = loss_and_gradient(ignoring, other, batch, head)
    assert torch.equal(loss, other_loss)
    assert items == other_items
    for values in gradient:
        assert not values[0][:, free].any()
        assert values[1].any()
    assert (gradient[0][0][:, ~free] != 0).float().mean() > 0.5

    loss, _, gradient = loss_and_gradient(usual, said, batch, head)
    assert not torch.equal(loss, loss_and_gradient(usual, other, batch, head)[0])
    assert (gradient[0][0][:, free] != 0).all()


@pytest.mark.parametrize(("architecture", "head"), HEADS)
def test_a_light_before_an_ignored_sign_stays_a_light(architecture, head, networks):
    network = networks[architecture]
    plain, covered = batch_of(areas=([], [])), batch_of(areas=([[0.0, 0, WIDTH, HEIGHT]], [[40.0, 40, 70, 80]]))
    said = outputs(network, plain)
    criterion = ignoring_criterion(network)
    loss, _, (scores, boxes) = loss_and_gradient(criterion, said, plain, head)
    covered_loss, _, (covered_scores, covered_boxes) = loss_and_gradient(criterion, said, covered, head)
    lit = (boxes != 0).any(dim=1)  # only points with a light have a box loss
    assert lit.any(dim=1).all()
    assert torch.equal(boxes, covered_boxes)
    assert torch.equal(scores.mT[lit], covered_scores.mT[lit])
    assert loss[0] == covered_loss[0] and loss[2] == covered_loss[2] and covered_loss[1] < loss[1]
    assert not covered_scores[0].mT[~lit[0]].any()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_image_that_is_all_ignored_teaches_nothing(architecture, networks):
    network = deepcopy(networks[architecture])
    network.criterion = ignoring_criterion(network)
    batch = batch_of(lights=([], []), areas=([[0.0, 0, WIDTH, HEIGHT]],) * 2)
    loss = network.loss(batch)[0]
    assert not loss.any()
    loss.sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in network.parameters())


@pytest.mark.parametrize("architecture", ["yolo11n", "yolo26n"])
def test_mixed_precision(architecture, networks):
    network, free = deepcopy(networks[architecture]), cells(networks[architecture], AREAS)
    network.criterion = ignoring_criterion(network)
    kept = []
    network.model[-1].register_forward_hook(lambda _, __, said: kept.append(said))
    with torch.autocast("cpu", torch.bfloat16):
        loss = network.loss(batch_of())[0].sum()
    said = kept[0].get("one2one", kept[0])
    assert said["scores"].dtype == torch.bfloat16
    gradient = torch.autograd.grad(loss, said["scores"])[0]
    assert loss.isfinite()
    assert not gradient[0][:, free].any()
    assert gradient[0][:, ~free].any() and gradient[1].any()


def test_every_point_that_could_have_a_light_in_an_areas_place_is_free(networks):
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, (WIDTH - 30, HEIGHT - 30), size=(300, 2))
    areas = torch.tensor(np.hstack([corner, corner + rng.uniform(0.5, 30, size=(300, 2))]), dtype=torch.float32)
    for network in networks.values():
        assigner = ignoring_criterion(network)
        assigner = getattr(assigner, "one2many", assigner).assign
        points, cell_px = [], []
        for stride in network.stride.int().tolist():
            y, x = torch.meshgrid(torch.arange(HEIGHT // stride), torch.arange(WIDTH // stride), indexing="ij")
            points.append((torch.stack([x, y], dim=-1).reshape(-1, 2) + 0.5) * stride)
            cell_px += [float(stride)] * x.numel()
        points = torch.cat(points)
        candidates = assigner.select_candidates_in_gts(points, areas[None], torch.ones(1, len(areas), 1))[0]
        far = torch.full((len(areas), len(points), 4), -9.0)
        free = sees_area(areas, points, torch.tensor(cell_px), far, assigner.stride_val)
        assert candidates.any(dim=1).all()
        assert not (candidates & ~free).any()
        assert free.float().mean() < 0.1


@pytest.mark.parametrize(
    ("what", "xyxy", "is_free"),
    [
        ("inside", [50.0, 52, 60, 60], True),
        ("just half inside", [30.0, 50, 50, 60], True),
        ("less than half inside", [29.0, 50, 50, 60], False),
        ("around it", [20.0, 20, 90, 90], False),
        ("of no area", [50.0, 50, 50, 50], False),
        ("turned inside out", [60.0, 60, 50, 50], False),
        ("turned in one direction", [60.0, 50, 50, 60], False),
        ("outside", [0.0, 0, 10, 10], False),
    ],
)
def test_a_box_predicted_in_an_area_is_free_wherever_it_comes_from(what, xyxy, is_free):
    area, point = torch.tensor([[40.0, 40, 70, 80]]), torch.tensor([[4.0, 4]])
    free = sees_area(area, point, torch.tensor([8.0]), torch.tensor([[xyxy]]), 16.0)
    assert free.tolist() == [[is_free]], what


def test_another_loss_is_refused(networks):
    network = deepcopy(networks["yolo11n"])
    network.init_criterion = lambda: object()
    with pytest.raises(TrainingError, match=r"object is the loss of this network, expected .* model\.architecture"):
        ignoring_criterion(network)
