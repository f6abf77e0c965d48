"""The losses of boxes whose class is not known: the box counts, and none of the candidates is preferred."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.ops import box_iou

from tl_detection.detectors.faster_rcnn import build_faster_rcnn
from tl_detection.training.faster_rcnn import to_network
from tl_detection.training.faster_rcnn_box_only import box_head_losses, candidates_of
from tl_detection.training.faster_rcnn_ignore import honour_ignore_areas

WIDTH, HEIGHT, N_CLASSES = 128, 96, 3
SPEC = {
    "backbone": "mobilenet_v3_large",
    "norm": "group",
    "anchor_sizes": [[6, 12], [16, 24]],
    "anchor_ratios": [1.0, 2.0],
    "fpn_channels": 16,
    "box_head_size": 16,
    "max_detections": 20,
}
KNOWN = [[10.0, 10, 20, 30]]
OPEN = [[90.0, 60, 100, 80]]
# Red or green, not off.
SETS = [[True, True, False]]


def make(class_weights: torch.Tensor | None = None) -> Any:
    torch.manual_seed(0)
    network: Any = build_faster_rcnn(SPEC, N_CLASSES).train()
    honour_ignore_areas(network, class_weights)
    for part in (network.rpn, network.roi_heads):
        part.fg_bg_sampler.batch_size_per_image = 10**6
    return network


def batch_of(known: Any, classes: Any, open_xyxy: Any = (), sets: Any = (), areas: Any = ()) -> Any:
    def boxes(xyxy: Any) -> list[torch.Tensor]:
        return [torch.tensor(xyxy, dtype=torch.float32).reshape(-1, 4)]

    return {
        "images": torch.randint(0, 255, (1, 3, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(2)).byte(),
        "xyxy": boxes(known),
        "class_id": [torch.tensor(classes, dtype=torch.int64)],
        "ignore_xyxy": boxes(areas),
        "box_only_xyxy": boxes(open_xyxy),
        "box_only_candidates": [torch.tensor(sets, dtype=torch.bool).reshape(-1, N_CLASSES)],
        "frame_ids": ["a"],
    }


def losses_of(network: Any, batch: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    return network(*to_network(batch, torch.device("cpu")))


def samples(n: int = 60) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn((n, N_CLASSES + 1), generator=generator, requires_grad=True)
    said = torch.randn((n, 4 * (N_CLASSES + 1)), generator=generator, requires_grad=True)
    labels = torch.randint(0, N_CLASSES + 1, (n,), generator=generator)
    return logits, said, labels, torch.randn((n, 4), generator=generator)


def test_with_one_candidate_each_they_are_the_losses_of_torchvision():
    logits, said, labels, offsets = samples()
    candidates = candidates_of(labels, torch.zeros((0, N_CLASSES), dtype=torch.bool))
    ours = box_head_losses(logits, said, candidates, offsets)
    theirs = fastrcnn_loss(logits, said, [labels], [offsets])
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-5)
        for mine, yours in zip(
            torch.autograd.grad(one, (logits, said), retain_graph=True, allow_unused=True),
            torch.autograd.grad(other, (logits, said), retain_graph=True, allow_unused=True),
            strict=True,
        ):
            assert mine is yours or torch.allclose(mine, yours, atol=1e-7)
    weights = torch.tensor([1.0, 0.5, 2, 3])
    weighed, _ = box_head_losses(logits, said, candidates, offsets, weights)
    expected = torch.nn.functional.cross_entropy(logits, labels, weights, reduction="sum") / len(labels)
    assert torch.allclose(weighed, expected, rtol=1e-5)


def test_of_candidates_the_sum_of_probabilities_is_learned_and_their_odds_stay():
    logits, said, _, offsets = samples(1)
    candidates = candidates_of(torch.tensor([N_CLASSES + 1]), torch.tensor(SETS))
    assert candidates.tolist() == [[False, True, True, False]]
    loss, _ = box_head_losses(logits, said, candidates, offsets)
    p = logits.softmax(dim=1)[0]
    assert torch.allclose(loss, -(p[1] + p[2]).log())
    gradient = torch.autograd.grad(loss, logits)[0][0]
    # Both rise, each by its share; background and the other class fall.
    assert gradient[1] < 0 and gradient[2] < 0 and gradient[0] > 0 and gradient[3] > 0
    assert torch.allclose(gradient[1] / gradient[2], p[1] / p[2])
    # What is moved from one candidate to the other costs nothing.
    share = 0.3 * p[1]
    moved = p.detach() + torch.tensor([0, -1.0, 1, 0]) * share.detach()
    assert torch.allclose(box_head_losses(moved.log()[None], said, candidates, offsets)[0], loss)


def test_the_box_is_learned_by_the_offsets_of_each_candidate():
    logits, said, _, offsets = samples(1)
    candidates = candidates_of(torch.tensor([N_CLASSES + 1]), torch.tensor(SETS))
    _, loss = box_head_losses(logits, said, candidates, offsets)
    each = [fastrcnn_loss(logits, said, [torch.tensor([label])], [offsets])[1] for label in (1, 2)]
    assert torch.allclose(loss, (each[0] + each[1]) / 2)
    by_class = torch.autograd.grad(loss, said)[0].reshape(-1, 4)
    assert by_class[1:3].all() and not by_class[[0, 3]].any()


def test_a_likely_candidate_decides_the_weight():
    logits = torch.tensor([[0.0, 9, -9, 0]])
    said, offsets = torch.zeros(1, 16), torch.zeros(1, 4)
    candidates = candidates_of(torch.tensor([N_CLASSES + 1]), torch.tensor(SETS))
    alike, _ = box_head_losses(logits, said, candidates, offsets)
    weighed, _ = box_head_losses(logits, said, candidates, offsets, torch.tensor([1.0, 2, 100, 5]))
    assert torch.allclose(weighed, 2 * alike, rtol=1e-3)


def test_a_network_learns_where_the_box_is_as_if_its_class_were_known():
    network = make()
    proposals = ("loss_objectness", "loss_rpn_box_reg")
    without_class = losses_of(network, batch_of(KNOWN, [0], OPEN, SETS))
    with_class = losses_of(network, batch_of(KNOWN + OPEN, [0, 1]))
    ignored = losses_of(network, batch_of(KNOWN, [0], areas=OPEN))
    for name in proposals:
        assert torch.equal(without_class[name], with_class[name]) and without_class[name] != ignored[name]
    # One class of two is known less: the loss is that of either, or smaller.
    assert 0 < without_class["loss_classifier"] < with_class["loss_classifier"]
    assert without_class["loss_box_reg"] > ignored["loss_box_reg"]


def test_without_such_boxes_the_losses_are_those_of_before():
    network, batch = make(), batch_of(KNOWN, [1], areas=OPEN)
    before = {name: value for name, value in batch.items() if not name.startswith("box_only")}
    assert losses_of(network, batch) == losses_of(network, before)


def test_what_is_said_among_the_candidates_is_shared_by_their_odds():
    network, kept = make(), []
    network.roi_heads.box_predictor.register_forward_hook(lambda _, __, said: kept.append(said[0]))
    proposals: list[torch.Tensor] = []
    network.roi_heads.box_roi_pool.register_forward_hook(lambda _, given, __: proposals.extend(given[1]))
    losses = losses_of(network, batch_of(KNOWN, [0], OPEN, SETS))
    logits = kept[0]
    gradient = torch.autograd.grad(losses["loss_classifier"], logits)[0]
    is_open = box_iou(torch.tensor(OPEN), proposals[0])[0] >= 0.5
    assert is_open.any() and not is_open.all()
    p = logits.softmax(dim=1)
    assert torch.allclose(gradient[is_open, 1] * p[is_open, 2], gradient[is_open, 2] * p[is_open, 1], atol=1e-8)
    assert (gradient[is_open, 1:3] < 0).all() and (gradient[is_open][:, [0, 3]] > 0).all()
    assert (gradient[~is_open] < 0).sum(dim=1).eq(1).all()  # everything else has one class


def test_mixed_precision_and_an_image_of_nothing_else():
    network = make(torch.tensor([1.0, 1, 2, 2]))
    with torch.autocast("cpu", torch.bfloat16):
        losses = losses_of(network, batch_of([], [], OPEN, SETS))
    assert all(loss.isfinite() and loss > 0 for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()


@pytest.mark.parametrize("counted", [1, 2])
def test_samples_are_counted_as_others_are(counted):
    network = make()
    losses_of(network, batch_of(KNOWN, [0], OPEN * counted, SETS * counted))
    without_class = network.roi_heads.sampled
    losses_of(network, batch_of(KNOWN + OPEN * counted, [0] + [1] * counted))
    assert network.roi_heads.sampled == without_class
