"""What the first batch teaches: counted for both models, told in words, and nothing is changed by it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tl_datasets.boxes import iou
from tl_detection.detectors.faster_rcnn import build_faster_rcnn
from tl_detection.detectors.yolo import build_yolo
from tl_detection.training.faster_rcnn_ignore import honour_ignore_areas
from tl_detection.training.faster_rcnn_start_check import check_faster_rcnn_start
from tl_detection.training.start_check import EDGES_PX, StartCheck, check_start, tally
from tl_detection.training.yolo import prepare_loss, to_ultralytics
from tl_detection.training.yolo_start import fit_box_bias
from tl_detection.training.yolo_start_check import check_yolo_start
from tl_detection.ultralytics_door import v8DetectionLoss

WIDTH, HEIGHT = 192, 128
# Two small and two large lights, none, and three small ones; the small ones lie right on the grid of anchors.
LIGHTS = (
    [[18.5, 20.5, 21.5, 27.5], [58.5, 28.5, 61.5, 35.5], [90, 30, 120, 98], [140, 40, 180, 120]],
    [],
    [[30.5, 56.5, 33.5, 63.5], [86, 88.5, 90, 95.5], [138.5, 8.5, 141.5, 15.5]],
)


def batch_of(lights: Any = LIGHTS, areas: Any = None) -> Any:
    generator = torch.Generator().manual_seed(3)
    areas = areas or [[] for _ in lights]
    return {
        "images": torch.randint(0, 255, (len(lights), 3, HEIGHT, WIDTH), dtype=torch.uint8, generator=generator),
        "xyxy": [torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) for boxes in lights],
        "class_id": [torch.arange(len(boxes)) % 2 for boxes in lights],
        "ignore_xyxy": [torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) for boxes in areas],
        "frame_ids": [str(number) for number in range(len(lights))],
        "occurrence": [0] * len(lights),
    }


def yolo(architecture: str, sizes_px: Any = None) -> tuple[Any, Any]:
    torch.manual_seed(0)
    spec = {"architecture": architecture, "width_px": WIDTH, "height_px": HEIGHT, "max_detections": 50}
    module = build_yolo(spec, 2).train()
    if sizes_px is not None:
        fit_box_bias(module, np.array(sizes_px))
    return module, prepare_loss(module, 1)


def faster_rcnn(sizes: list[float], norm: str = "group") -> Any:
    torch.manual_seed(0)
    network = build_faster_rcnn(
        {
            "backbone": "resnet18",
            "norm": norm,
            "anchor_sizes": [sizes, [2 * size for size in sizes]],
            "anchor_ratios": [2.0],
            "fpn_channels": 8,
            "box_head_size": 16,
            "max_detections": 20,
        },
        2,
    )
    honour_ignore_areas(network)
    return network.train()


# Words and numbers, whichever model.


def told(*rows: tuple[float, bool], can_fail: bool = True) -> StartCheck:
    """A check of lights, each with its height and whether it is taught."""
    heights, taught = (np.array([row[part] for row in rows]) for part in (0, 1))
    ones = np.ones(len(rows), dtype=np.int64)
    head = tally(
        heights, ones, taught * 0.5, taught.astype(bool), name="head", unit="points", lack="a target", can_fail=can_fail
    )
    return StartCheck(frames=2, lights=len(rows), heads=(head,), remedy="do something")


def test_sizes_are_counted_in_bins():
    head = told(*((height, height != 8) for height in (3.9, 4, 7.9, 8, 12, 20, 40, 400))).heads[0]
    assert [(size.from_px, size.to_px) for size in head.bins] == [
        (0, 4), (4, 8), (8, 12), (12, 20), (20, 40), (40, None)
    ]  # fmt: skip
    assert EDGES_PX == (4, 8, 12, 20, 40)
    assert [size.lights for size in head.bins] == [1, 2, 1, 1, 1, 2]
    assert [size.taught for size in head.bins] == [1, 2, 0, 1, 1, 2]
    assert [size.positives for size in head.bins] == [1, 2, 1, 1, 1, 2]
    assert [size.target for size in head.bins] == [0.5, 1, 0, 0.5, 0.5, 1]


@pytest.mark.parametrize(
    ("rows", "faults"),
    [
        ([(3, True), (9, True), (50, True)], []),
        ([(3, False)] * 2 + [(9, True)], []),
        ([(3, False)] * 3 + [(9, True)], ["none of 3 lights under 4 px has a target"]),
        ([(5, False)] * 3 + [(9, True)], ["none of 3 lights under 8 px has a target"]),
        ([(3, True), *[(9, False)] * 2, (14, False), (30, True)], ["none of 3 lights 8-20 px has a target"]),
        ([(3, True), *[(25, False)] * 2, (90, False)], ["none of 3 lights from 20 px has a target"]),
        ([(3, True), *[(25, False)] * 4], ["none of 4 lights 20-40 px has a target"]),
        ([(5, False)] * 3 + [(50, False)], ["none of 4 lights has a target"]),
        ([(5, True)] + [(5, False)] * 30 + [(9, True)], ["1 of 31 lights under 8 px has a target"]),
        ([(5, True)] + [(5, False)] * 19 + [(9, True)], []),
        ([(5, False)] * 3 + [(9, True)] + [(50, False)] * 3, ["none of 3 lights under 8", "none of 3 lights from 40"]),
    ],
    ids=[
        "all taught", "two prove nothing", "the smallest", "from the smallest there is", "between",
        "joined with the largest", "the largest there is", "all", "nearly none", "one of twenty", "two ranges",
    ],
)  # fmt: skip
def test_sizes_that_teach_nothing_are_faults(rows: list, faults: list[str]):
    found = told(*rows).faults()
    assert len(found) == len(faults)
    for line, expected in zip(found, faults, strict=True):
        assert line.startswith(f"first batch, head: {expected}")
        assert line.endswith("; do something")
    assert not told(*rows, can_fail=False).faults()


def test_lines_name_only_sizes_that_there_are():
    lines = told((5, True), (5, False), (50, True)).lines()
    assert lines[0] == "first batch: 2 frames, 3 lights; how many are taught, by height in the network"
    assert lines[1:] == [
        "first batch, head (points and target of each light): 4-8 px 1 of 2 (1.0, 0.25), from 40 px 1 of 1 (1.0, 0.5)"
    ]


def test_a_batch_without_lights_says_so():
    check = told()
    assert check.lines() == ["first batch: 2 frames without a light; what lights are taught is not known"]
    assert check.faults() == []


def test_the_file_holds_all_of_it():
    check = told(*[(5, False)] * 3, (9, True))
    data = json.loads(json.dumps(check.to_dict()))
    assert data["faults"] == check.faults()
    assert data["heads"][0]["bins"][1] == {
        "from_px": 4, "to_px": 8, "lights": 3, "with_positive": 3, "taught": 0, "positives": 3, "target": 0
    }  # fmt: skip


# YOLO.


def test_a_dead_start_is_found_and_a_fitted_one_is_sound():
    dead = check_yolo_start(*yolo("yolo11n"), batch_of())
    assert (dead.frames, dead.lights) == (3, 7)
    assert [head.name for head in dead.heads] == ["head"]
    assert dead.faults() == [
        "first batch, head: none of 5 lights under 8 px has a target; enlarge model.input, or use an architecture with "
        "a finer level such as yolo26n-p2"
    ]
    small = dead.heads[0].bins[1]
    assert (small.lights, small.taught) == (5, 0)
    assert small.target < 1e-6
    fitted = check_yolo_start(*yolo("yolo11n", [[3.5, 7]]), batch_of())
    assert fitted.faults() == []
    # One lies right between the points at stride 8: no box of its size around any of them meets it.
    assert fitted.heads[0].bins[1].taught == 4
    assert fitted.heads[0].bins[1].target > 1
    finer = check_yolo_start(*yolo("yolo11n-p2", [[3.5, 7]]), batch_of())
    assert finer.heads[0].bins[1].taught == 5


def test_heads_are_counted_apart():
    check = check_yolo_start(*yolo("yolo26n-p2", [[3.5, 7]]), batch_of())
    assert [head.name for head in check.heads] == ["one-to-many head", "one-to-one head"]
    assert check.remedy == "enlarge model.input"
    many, one = (head.bins[1] for head in check.heads)
    assert many.positives > one.positives == one.with_positive == 5
    assert many.target > one.target > 0.5


@pytest.mark.parametrize("architecture", ["yolo11n", "yolo26n"])
def test_yolo_counts_what_the_loss_learns_from(architecture: str):
    module, criterion = yolo(architecture, [[6.0, 14]])
    batch = batch_of(areas=[[[0.0, 0, 50, 128]], [[0.0, 0, 20, 20]], []])
    check = check_yolo_start(module, criterion, batch)
    data = to_ultralytics(batch)
    with torch.no_grad():
        said = module(data["img"].float() / 255)
    parts = [(said, criterion)]
    if architecture == "yolo26n":
        parts = [(said[name], getattr(criterion, name)) for name in ("one2many", "one2one")]
    for head, (predictions, part) in zip(check.heads, parts, strict=True):
        # The judge: ultralytics' own loss of the same predictions, and its gradient.
        judge = v8DetectionLoss(module, part.assign.topk, part.assign.topk2)
        predictions["scores"].requires_grad_()
        (is_positive, *_), loss, _ = judge.get_assigned_targets_and_loss(predictions, data)
        assert sum(size.positives for size in head.bins) == int(is_positive.sum())
        target = sum(size.target for size in head.bins)
        (gradient,) = torch.autograd.grad(loss[1], predictions["scores"])
        by_gradient = predictions["scores"].detach().sigmoid() - gradient / judge.hyp.cls * max(target, 1)
        assert target == pytest.approx(float(by_gradient.sum()), rel=1e-3)
        assert sum(size.lights for size in head.bins) == 7


# Faster R-CNN.


def test_anchors_that_fit_no_light_are_found():
    check = check_faster_rcnn_start(faster_rcnn([60.0]), batch_of())
    assert [head.name for head in check.heads] == ["proposal network", "box head"]
    small = check.heads[0].bins[1]
    # Each has the best of bad anchors as a positive, as torchvision has it.
    assert (small.lights, small.with_positive, small.taught) == (5, 5, 0)
    assert check.faults() == [
        "first batch, proposal network: none of 5 lights under 8 px has an anchor that overlaps it by 0.5; "
        "enlarge model.input, or fit the anchors (model.anchors: fit) if they are not"
    ]
    fitted = check_faster_rcnn_start(faster_rcnn([4.5]), batch_of())
    assert fitted.heads[0].bins[1].taught == 5
    assert fitted.faults() == []


def test_faster_rcnn_counts_anchors_as_an_own_count_does():
    network, lights = faster_rcnn([12.0]), [[[40.0, 40, 48, 57]], [], [[90.0, 33, 99, 50], [91, 60, 99, 79]]]
    seen: list[Any] = []
    hook = network.rpn.anchor_generator.register_forward_hook(lambda _, __, anchors: seen.append(anchors[0]))
    check = check_faster_rcnn_start(network, batch_of(lights))
    hook.remove()
    positives, overlap, taught = 0, 0.0, 0
    for boxes in (lights[0], lights[2]):
        overlaps = iou(np.array(boxes), seen[0].numpy().astype(np.float64))
        of_anchor = overlaps.argmax(axis=0)
        for row, own in enumerate(overlaps):
            rows = (of_anchor == row) & (own >= 0.5) | (own >= own.max() - 1e-6)
            positives += int(rows.sum())
            overlap += float(own[rows].sum())
            taught += bool((own[rows] >= 0.5).any())
    size = check.heads[0].bins[3]
    assert size.lights == 3
    assert size.positives == positives > 3
    assert size.taught == taught == 3
    assert size.target == pytest.approx(overlap, rel=1e-4)


def test_proposals_are_those_beside_the_lights_themselves():
    network = faster_rcnn([12.0])
    batch = batch_of([[[40.0, 40, 48, 57]], [], [[90.0, 33, 99, 50]]])
    wanted = [boxes.clone() for boxes in batch["xyxy"]]

    def propose(proposals: list[torch.Tensor]) -> Any:
        network.rpn.filter_proposals = lambda *_: ([each.clone() for each in proposals], [])
        return check_faster_rcnn_start(network, batch).heads[1].bins[3]

    far = torch.tensor([[0.0, 0, 5, 5]])
    none = propose([far, far, far])
    assert (none.lights, none.positives, none.with_positive, none.taught) == (2, 0, 0, 0)
    some = propose([torch.cat([wanted[0], far, wanted[0]]), far, torch.cat([far, wanted[2] + 1])])
    assert (some.positives, some.with_positive, some.taught) == (3, 2, 2)
    shifted = iou(wanted[2].numpy().astype(np.float64), (wanted[2] + 1).numpy().astype(np.float64)).item()
    assert some.target == pytest.approx(2 + shifted, rel=1e-5)


# Both.


def networks() -> dict[str, tuple[nn.Module, Any]]:
    module, criterion = yolo("yolo26n")
    rcnn = faster_rcnn([12.0], norm="batch")
    return {
        "yolo": (module, lambda batch: check_yolo_start(module, criterion, batch)),
        "faster_rcnn": (rcnn, lambda batch: check_faster_rcnn_start(rcnn, batch)),
    }


@pytest.mark.parametrize("kind", ["yolo", "faster_rcnn"])
@pytest.mark.parametrize("is_frozen", [False, True], ids=["all learn", "a stage is frozen"])
def test_nothing_is_changed(kind: str, is_frozen: bool):
    network, check = networks()[kind]
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    if is_frozen:
        norms[0].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    random = torch.get_rng_state()
    first = check(batch_of())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert norms[0].training != is_frozen
    assert torch.equal(torch.get_rng_state(), random)
    assert all(value.grad is None for value in network.parameters())
    torch.manual_seed(99)
    assert check(batch_of()) == first
    network.eval()
    assert check(batch_of()).lights == 7
    assert not network.training


@pytest.mark.parametrize("kind", ["yolo", "faster_rcnn"])
def test_no_light_at_all(kind: str):
    check = networks()[kind][1](batch_of([[], []]))
    assert check.lights == 0
    assert all(size.lights == size.positives == 0 for head in check.heads for size in head.bins)
    assert "2 frames without a light" in check.lines()[0]
    assert check.faults() == []


def test_a_check_that_fails_leaves_no_hook():
    broken = batch_of() | {"images": torch.zeros(3, 4, HEIGHT, WIDTH, dtype=torch.uint8)}
    module, criterion = yolo("yolo26n")
    with pytest.raises(RuntimeError, match="channels"):
        check_yolo_start(module, criterion, broken)
    assert not criterion.one2many.assign._forward_hooks
    assert not criterion.one2one.assign._forward_hooks
    network: Any = faster_rcnn([12.0])
    matchers = network.rpn.proposal_matcher, network.roi_heads.proposal_matcher
    with pytest.raises(RuntimeError, match="must match the size"):
        check_faster_rcnn_start(network, broken)
    assert (network.rpn.proposal_matcher, network.roi_heads.proposal_matcher) == matchers


def test_a_learner_is_checked_by_its_kind():
    module, criterion = yolo("yolo11n")
    learner: Any = SimpleNamespace(kind="yolo", losses=SimpleNamespace(network=module, criterion=criterion))
    assert [head.unit for head in check_start(learner, batch_of()).heads] == ["points"]
    learner = SimpleNamespace(kind="faster_rcnn", losses=SimpleNamespace(network=faster_rcnn([12.0])))
    assert [head.unit for head in check_start(learner, batch_of()).heads] == ["anchors", "proposals"]
