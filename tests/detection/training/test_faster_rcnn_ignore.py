"""Torchvision's losses around ignore areas: what is said there changes nothing, what is said elsewhere is as before."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.ops import box_iou

from tl_detection.detectors.faster_rcnn import build_faster_rcnn
from tl_detection.training.faster_rcnn_ignore import honour_ignore_areas, is_of_area

WIDTH, HEIGHT = 128, 96
SPEC = {
    "backbone": "mobilenet_v3_large",
    "norm": "group",
    "anchor_sizes": [[6, 12], [16, 24]],
    "anchor_ratios": [1.0, 2.0],
    "fpn_channels": 16,
    "box_head_size": 16,
    "max_detections": 20,
}
LIGHTS = ([[10.0, 10, 16, 24], [100, 60, 110, 80]], [[50.0, 50, 60, 70]])
# A dot of 2 px, a small light and a wide sign, none near a light of the first image.
AREAS = [[41.0, 9, 43, 12], [70.3, 40, 75, 50], [30, 64, 70, 90]]


def make(*, honour: bool = True):
    torch.manual_seed(0)
    network = build_faster_rcnn(SPEC, 2).train()
    if honour:
        honour_ignore_areas(network)
    return network


def learn_from_all(network):
    """Sample every anchor and proposal, so that a loss that does not change is not one that did not look."""
    for part in (network.rpn, network.roi_heads):
        part.fg_bg_sampler.batch_size_per_image = 10**6
        part.fg_bg_sampler.positive_fraction = 0.5
    return network


def targets_of(lights=LIGHTS, areas: tuple[list, ...] = (AREAS, [])) -> list[dict[str, torch.Tensor]]:
    return [
        {
            "boxes": torch.tensor(boxes).reshape(-1, 4),
            "labels": torch.ones(len(boxes), dtype=torch.int64),
            "ignore_xyxy": torch.tensor(ignored).reshape(-1, 4),
        }
        for boxes, ignored in zip(lights, areas, strict=True)
    ]


def images() -> torch.Tensor:
    return torch.rand((2, 3, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(2))


class Said(nn.Module):
    """Stands where the proposal head is: what it says is given."""

    def __init__(self, logits: list[torch.Tensor], offsets: list[torch.Tensor]):
        super().__init__()
        self.logits, self.offsets = logits, offsets

    def forward(self, _: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        return self.logits, self.offsets


@pytest.fixture(scope="module")
def scene():
    """A network, what its proposal head says of two images, and the anchors in the same order."""
    network: Any = learn_from_all(make())
    kept: list[Any] = []
    with torch.no_grad():
        hooks = [
            network.rpn.head.register_forward_hook(lambda _, __, said: kept.append(said)),
            network.rpn.anchor_generator.register_forward_hook(lambda _, __, anchors: kept.append(anchors[0])),
        ]
        network(images(), targets_of())
    for hook in hooks:
        hook.remove()
    (logits, offsets), anchors = kept
    generator = torch.Generator().manual_seed(1)
    logits = [torch.randn(level.shape, generator=generator) for level in logits]
    offsets = [torch.randn(level.shape, generator=generator) * 0.05 for level in offsets]
    return network, logits, offsets, anchors


def by_anchor(levels: Sequence[torch.Tensor], image: int, values: int) -> torch.Tensor:
    """(anchors, values) of one image, in the order of the anchors."""
    rows = []
    for level in levels:
        _, channels, height, width = level.shape
        of_level = level[image].reshape(channels // values, values, height, width)
        rows.append(of_level.permute(2, 3, 0, 1).reshape(-1, values))
    return torch.cat(rows)


def to_levels(mask: torch.Tensor, like: list[torch.Tensor]) -> list[torch.Tensor]:
    """(anchors,) laid out as the maps of one image."""
    found, start = [], 0
    for level in like:
        _, kinds, height, width = level.shape
        count = kinds * height * width
        found.append(mask[start : start + count].reshape(height, width, kinds).permute(2, 0, 1))
        start += count
    return found


def losses_and_gradient(network, logits, offsets, targets):
    network = deepcopy(network)
    logits = [level.clone().requires_grad_() for level in logits]
    offsets = [level.clone().requires_grad_() for level in offsets]
    network.rpn.head = Said(logits, offsets)
    torch.manual_seed(7)
    losses = network(images(), targets)
    gradient = torch.autograd.grad(
        losses["loss_objectness"] + losses["loss_rpn_box_reg"], [*logits, *offsets], allow_unused=True
    )
    return {name: loss.detach() for name, loss in losses.items()}, gradient[: len(logits)], gradient[len(logits) :]


def total(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(losses.values())).sum()


def mostly_inside(xyxy: torch.Tensor, areas: list[list[float]]) -> torch.Tensor:
    """(N,) true where half of a box lies in one of the areas: measured area by area."""
    inside = torch.zeros(len(xyxy), dtype=torch.bool)
    for x1, y1, x2, y2 in areas:
        width = (xyxy[:, 2].clamp(x1, x2) - xyxy[:, 0].clamp(x1, x2)).clamp(min=0)
        height = (xyxy[:, 3].clamp(y1, y2) - xyxy[:, 1].clamp(y1, y2)).clamp(min=0)
        inside |= width * height >= 0.5 * (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    return inside


@pytest.mark.parametrize("areas", [([], []), ([], [[120.0, 0, 128, 8]])], ids=["no areas", "areas of another image"])
def test_without_areas_they_are_the_losses_of_torchvision(areas, scene):
    _, logits, offsets, _ = scene
    targets = targets_of(areas=areas)
    ours, our_gradient, _ = losses_and_gradient(learn_from_all(make()), logits, offsets, targets)
    theirs, their_gradient, _ = losses_and_gradient(learn_from_all(make(honour=False)), logits, offsets, targets)
    if not areas[1]:
        assert ours == theirs and theirs["loss_box_reg"] > 0
        assert all(torch.equal(one, other) for one, other in zip(our_gradient, their_gradient, strict=True))
    else:
        assert ours["loss_objectness"] != theirs["loss_objectness"]
        for one, other in zip(our_gradient, their_gradient, strict=True):
            assert torch.equal(one[0] != 0, other[0] != 0)  # only the number of samples is another


def test_sampling_is_torchvisions_where_there_are_no_areas():
    targets = targets_of(areas=([], []))
    results = []
    for honour in (True, False):
        network = make(honour=honour)
        torch.manual_seed(5)
        losses = network(images(), targets)
        total(losses).backward()
        results.append((losses, [parameter.grad for parameter in network.parameters()]))
    assert results[0][0] == results[1][0]
    for one, other in zip(results[0][1], results[1][1], strict=True):
        assert one is other or torch.equal(one, other)


def test_what_is_said_in_an_area_changes_nothing(scene):
    network, logits, offsets, anchors = scene
    boxes = network.rpn.box_coder.decode(by_anchor(offsets, 0, 4), [anchors])[:, 0]
    free = mostly_inside(boxes, AREAS)
    assert 20 < free.sum() < len(free) / 2
    generator = torch.Generator().manual_seed(4)
    other_logits, other_offsets = [level.clone() for level in logits], [level.clone() for level in offsets]
    for level, mask in zip(other_logits, to_levels(free, logits), strict=True):
        level[0] += 5 * torch.randn(level[0].shape, generator=generator) * mask
    # Boxes stay inside: those well within the sign are moved by about a twentieth of their size.
    deep = (boxes > torch.tensor([33.0, 67, 33, 67])).all(dim=1) & (boxes < torch.tensor([67.0, 87, 67, 87])).all(dim=1)
    assert (deep & free).sum() > 10
    for level, mask in zip(other_offsets, to_levels(deep, logits), strict=True):
        noise = 0.05 * torch.randn(level[0].shape, generator=generator)
        level[0] += noise * mask.repeat_interleave(4, dim=0)

    losses, of_logits, of_offsets = losses_and_gradient(network, logits, offsets, targets_of())
    other, _, _ = losses_and_gradient(network, other_logits, other_offsets, targets_of())
    assert losses == other
    for seat in (free, mostly_inside(anchors, AREAS)):
        assert not by_anchor(of_logits, 0, 1)[seat].any()
        assert not by_anchor(of_offsets, 0, 4)[seat].any()
    assert (by_anchor(of_logits, 0, 1) != 0).float().mean() > 0.5
    assert (by_anchor(of_logits, 1, 1) != 0).float().mean() > 0.9
    for name, loss in losses.items():
        assert loss > 0, name

    usual = learn_from_all(make(honour=False))
    losses, of_logits, _ = losses_and_gradient(usual, logits, offsets, targets_of())
    other, _, _ = losses_and_gradient(usual, other_logits, other_offsets, targets_of())
    assert losses["loss_objectness"] != other["loss_objectness"]
    assert losses["loss_classifier"] != other["loss_classifier"]
    assert by_anchor(of_logits, 0, 1)[free].all()


def test_every_anchor_that_could_be_that_of_a_light_in_an_areas_place_is_free(scene):
    network, logits, offsets, anchors = scene
    _, of_logits, _ = losses_and_gradient(network, logits, offsets, targets_of())
    for area in AREAS:
        iou = box_iou(torch.tensor([area]), anchors)[0]
        would_be = (iou >= 0.3) | (iou == iou.max())
        assert would_be.any()
        assert not by_anchor(of_logits, 0, 1)[would_be].any()


def test_an_anchor_elsewhere_whose_box_lies_in_an_area_is_free(scene):
    network, logits, offsets, anchors = scene
    centre = (anchors[:, :2] + anchors[:, 2:]) / 2
    size = anchors[:, 2:] - anchors[:, :2]
    at = int(((centre - torch.tensor([90.0, 20])).abs().sum(dim=1) + (size[:, 0] - 6).abs() * 100).argmin())
    offset = (torch.tensor([50.0, 77]) - centre[at]) / size[at]
    moved = [level.clone() for level in offsets]
    mask = torch.zeros(len(anchors), dtype=torch.bool)
    mask[at] = True
    for level, here in zip(moved, to_levels(mask, logits), strict=True):
        of_kind = level[0].reshape(-1, 4, *level.shape[2:])
        of_kind[:, :2] = torch.where(here[:, None], offset[None, :, None, None], of_kind[:, :2])
    assert by_anchor(losses_and_gradient(network, logits, offsets, targets_of())[1], 0, 1)[at].any()
    assert not by_anchor(losses_and_gradient(network, logits, moved, targets_of())[1], 0, 1)[at].any()


def test_lights_before_an_ignored_sign_stay_lights(scene):
    network, logits, offsets, anchors = scene
    everything = ([[0.0, 0, WIDTH, HEIGHT]], [[0.0, 0, WIDTH, HEIGHT]])
    losses, of_logits, of_offsets = losses_and_gradient(network, logits, offsets, targets_of(areas=everything))
    iou = box_iou(torch.tensor(LIGHTS[0]), anchors)
    lit = (iou.amax(0) >= 0.5) | (iou == iou.amax(1, keepdim=True)).any(0)
    assert by_anchor(of_logits, 0, 1)[lit].all()
    assert by_anchor(of_offsets, 0, 4)[lit].any(dim=1).all()
    # Of the wide anchors some lie half outside the image, where nothing is ignored.
    assert not by_anchor(of_logits, 0, 1)[~lit & mostly_inside(anchors, everything[0])].any()
    assert losses["loss_classifier"] > 0 and losses["loss_box_reg"] > 0


@pytest.mark.parametrize(
    ("what", "xyxy", "label"),
    [
        ("in the sign", [35.0, 70, 45, 80], -1),
        ("half in the sign", [20.0, 70, 40, 80], -1),
        ("less than half in the sign", [18.0, 70, 40, 80], 0),
        ("on the small light", [69.0, 39, 76, 52], -1),
        ("round the dot", [38.0, 6, 46, 15], -1),
        ("far larger than the dot", [30.0, 0, 60, 20], 0),
        ("as large as the sign", [28.0, 60, 74, 94], -1),
        ("background", [90.0, 10, 100, 30], 0),
        ("a light", [101.0, 60, 110, 80], 1),
        ("near a light", [104.0, 60, 118, 80], 0),
    ],
)
def test_labels_of_proposals(what, xyxy, label):
    heads: Any = learn_from_all(make()).roi_heads
    targets = targets_of()
    heads._areas = [target["ignore_xyxy"] for target in targets]
    proposals = [torch.tensor([xyxy]), torch.tensor([xyxy])]
    kept, _, labels, _ = heads.select_training_samples(proposals, targets)
    assert labels[0][:-2].tolist() == ([] if label < 0 else [label]), what
    assert torch.equal(kept[0][-2:], targets[0]["boxes"]) and labels[0][-2:].tolist() == [1, 1]
    assert len(kept[1]) == 2  # nothing is ignored in the other image


def test_images_that_are_all_ignored_teach_nothing():
    network = make()
    targets = targets_of(lights=([], []), areas=([[-99.0, -99, 299, 299]],) * 2)
    losses = network(images(), targets)
    assert all(loss == 0 for loss in losses.values())
    total(losses).backward()
    assert all(p.grad is None or not p.grad.any() for p in network.parameters())
    assert total(network(images(), targets_of(lights=([], []), areas=(AREAS, [])))).isfinite()


def test_an_area_that_meets_no_anchor_frees_none():
    anchors = torch.tensor([[0.0, 0, 30, 30], [30, 0, 60, 30]])
    for areas, of_area in (
        ([[90.0, 40, 94, 44]], [False, False]),
        ([[90.0, 40, 94, 44], [40, 1, 41, 2]], [False, True]),
    ):
        assert is_of_area(anchors, torch.tensor(areas), 0.3, or_best=True).tolist() == of_area
        assert not is_of_area(anchors, torch.tensor(areas), 0.3).any()


def test_areas_are_sought_as_the_matcher_seeks_lights(scene):
    network, _, _, anchors = scene
    generator = torch.Generator().manual_seed(6)
    corner = torch.rand((60, 2), generator=generator) * torch.tensor([WIDTH - 40.0, HEIGHT - 40])
    areas = torch.cat([corner, corner + 1 + torch.rand((60, 2), generator=generator) * 39], dim=1)
    for number, area in enumerate(areas):
        would_be = network.rpn.proposal_matcher(box_iou(area[None], anchors)) != -1
        of_area = is_of_area(anchors, area[None], 0.3, or_best=True)
        centre, half = (area[:2] + area[2:]) / 2, ((area[2:] - area[:2]) / 2).clamp(min=4)
        expected = would_be | mostly_inside(anchors, [torch.cat([centre - half, centre + half]).tolist()])
        assert torch.equal(of_area, expected), number


def test_mixed_precision():
    network = make()
    with torch.autocast("cpu", torch.bfloat16):
        losses = network(images(), targets_of())
    assert all(loss.isfinite() and loss > 0 for loss in losses.values())
    total(losses).backward()


def test_detections_are_those_of_torchvision():
    ours, theirs = make().eval(), make(honour=False).eval()
    with torch.no_grad():
        for one, other in zip(ours(images()), theirs(images()), strict=True):
            assert all(torch.equal(one[name], other[name]) for name in other)
