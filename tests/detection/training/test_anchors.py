from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.index import index
from tl_datasets.label_space import LabelSpace
from tl_datasets.torch_dataset import labelled_frames
from tl_detection.detectors.faster_rcnn import FittedAnchorGenerator
from tl_detection.training.anchors import (
    DEFAULT_ANCHORS,
    STRIDES,
    Anchors,
    anchor_coverage,
    fit_anchors,
    network_boxes,
)

LIGHTS = LabelSpace.model_validate({"classes": {"light": {}}})


def _lights(n: int = 400, low: float = 8, high: float = 45) -> np.ndarray:
    rng = np.random.default_rng(0)
    height = np.exp(rng.uniform(np.log(low), np.log(high), n))
    return np.stack([height / rng.uniform(1.3, 2.4, n), height], axis=1)


def test_fitted_anchors_lie_within_the_boxes():
    boxes = _lights()
    anchors = fit_anchors(boxes)
    sizes = [size for level in anchors.sizes for size in level]
    length = np.sqrt(boxes.prod(axis=1))
    assert length.min() <= min(sizes) and max(sizes) <= length.max() + 0.1
    assert all(1.2 < ratio < 2.5 for ratio in anchors.ratios)
    assert len({len(level) for level in anchors.sizes}) == 1


@pytest.mark.parametrize(
    ("what", "low", "high", "levels"), [("tiny", 4, 12, 1), ("ordinary", 8, 60, 2), ("up to large", 10, 900, 5)]
)
def test_levels_follow_the_sizes(what, low, high, levels):
    anchors = fit_anchors(_lights(low=low, high=high))
    assert len(anchors.sizes) == levels, what
    # What is not on the finest level is long enough for its grid, or only fills up.
    for stride, sizes in zip(STRIDES[1:], anchors.sizes[1:], strict=False):
        assert max(sizes) >= 4 * stride


def test_fit_beats_the_default_on_small_lights():
    boxes = _lights()
    default, fitted = anchor_coverage(boxes, DEFAULT_ANCHORS), anchor_coverage(boxes, fit_anchors(boxes))
    assert default[0] < 0.5
    assert fitted[0] > 0.97 and fitted[1] > 0.6


def test_coverage_agrees_with_a_grid_of_anchors_laid_out():
    # The judge lays every anchor of a 256x256 image and every position of each box, and takes torchvision's IoU.
    anchors = Anchors(sizes=((12.0,), (20.0,)), ratios=(1.0, 2.0))
    generator = FittedAnchorGenerator(anchors.sizes, (anchors.ratios,) * 2)
    features = [torch.zeros(1, 1, 256 // stride, 256 // stride) for stride in (4, 8)]
    grid = generator(ImageList(torch.zeros(1, 3, 256, 256), [(256, 256)]), features)[0]
    positions = (torch.arange(15) + 0.5) / 15 * 8
    centres = torch.cartesian_prod(positions, positions) + 120
    boxes = np.random.default_rng(1).uniform(6, 34, (40, 2)).astype(np.float32).astype(np.float64)
    means = []
    for size in torch.from_numpy(boxes).float():
        xyxy = torch.cat([centres - size / 2, centres + size / 2], dim=1)
        means.append(float(box_iou(xyxy, grid).max(dim=1).values.mean()))
    expected = (np.mean(np.array(means) >= 0.5), np.mean(np.array(means) >= 0.7))
    assert 0 < expected[1] < expected[0] < 0.9
    assert anchor_coverage(boxes, anchors, positions=15) == pytest.approx(expected)


def test_positions_do_not_fall_on_the_centres_of_the_finest_grid():
    # Steps of 8 px over the coarsest stride of 64 would meet each anchor of 6 px at stride 4 exactly.
    anchors = Anchors(sizes=((6.0,), (600.0,), (600.0,), (600.0,), (600.0,)), ratios=(1.0,))
    alone = Anchors(sizes=((6.0,),), ratios=(1.0,))
    box = np.array([[6.0, 6.0]])
    assert anchor_coverage(box, alone, positions=63) == (1.0, 0.0)
    assert anchor_coverage(box, anchors) == (1.0, 0.0)
    with pytest.raises(ValueError, match="positions: 8, expected an odd number"):
        anchor_coverage(box, anchors, positions=8)


def test_generator_lays_the_described_shapes():
    anchors = fit_anchors(_lights())
    generator = FittedAnchorGenerator(anchors.sizes, (anchors.ratios,) * len(anchors.sizes))
    for level, cells in enumerate(generator.cell_anchors):
        shapes = torch.stack([cells[:, 2] - cells[:, 0], cells[:, 3] - cells[:, 1]], dim=1).numpy()
        expected = anchors.shapes(level)
        assert np.allclose(sorted(map(tuple, shapes)), sorted(map(tuple, expected)), atol=1e-3)


@pytest.mark.parametrize("sizes", [(), ((8.0,), (16.0, 20.0)), ((8.0,),) * 6])
def test_levels_must_be_alike(sizes):
    with pytest.raises(ValueError, match="equally many sizes"):
        Anchors(sizes=sizes, ratios=(1.0,))


def test_one_box_and_flat_boxes_can_be_fitted():
    one = np.array([[7.0, 10.0]])
    assert anchor_coverage(one, fit_anchors(one))[0] == 1
    assert fit_anchors(np.array([[0.001, 50.0], [50.0, 0.001]])).ratios[-1] <= 20


def test_network_boxes_are_letterboxed_and_only_those_that_are_learned():
    frame = Frame(
        frame_id="a",
        path="a.png",
        width_px=200,
        height_px=100,
        annotations=(
            Annotation(xyxy=(0.0, 0.0, 10.0, 20.0)),
            Annotation(xyxy=(0.0, 0.0, 40.0, 40.0), ignore=True),
            Annotation(xyxy=(0.0, 0.0, 60.0, 60.0), category="car"),
        ),
    )
    other = Frame(
        frame_id="b",
        path="b.png",
        width_px=50,
        height_px=100,
        annotations=(Annotation(xyxy=(5.0, 5.0, 10.0, 15.0)),),
    )
    space = LabelSpace.model_validate({"classes": {"light": {}}, "otherwise": "drop"})
    catalog = Catalog.from_frames([frame, other], source="s", root=Path("/"))
    boxes = network_boxes(labelled_frames(catalog, space), 100, 100)
    assert boxes.tolist() == [[5.0, 10.0], [5.0, 10.0]]


def test_real_lights(shared_data):
    """The measured shares: torchvision's anchors serve a third of real lights, fitted ones nearly all."""
    root = shared_data / "dtld_fridtjofs"
    dtld, _ = index(
        root / "raw_dataset",
        "yolo",
        name="dtld",
        labels="annotations",
        names="traffic_light",
        states=root / "sd_train_data",
    )
    bdd, _ = index(
        shared_data / "bdd100k" / "labels", "bdd100k", name="bdd", images=shared_data / "bdd100k" / "images" / "100k"
    )
    space = LabelSpace.model_validate({"classes": {"light": {}}, "otherwise": "drop"})
    for catalog, width, height in ((dtld, 1024, 448), (bdd, 1344, 768)):
        boxes = network_boxes(labelled_frames(catalog, space), width, height)
        assert len(boxes) > 400
        default, fitted = anchor_coverage(boxes, DEFAULT_ANCHORS), anchor_coverage(boxes, fit_anchors(boxes))
        assert 0.3 < default[0] < 0.45
        assert fitted[0] >= 0.95 and fitted[1] >= 0.6


@pytest.fixture(scope="module")
def bdd_lights(shared_data) -> np.ndarray:
    """Sizes of BDD's lights at the scale of torchvision's stock detector, 1333x750 for a frame of 1280x720."""
    bdd = shared_data / "bdd100k"
    catalog, _ = index(bdd / "labels", "bdd100k", name="bdd", images=bdd / "images" / "100k")
    space = LabelSpace.model_validate({"classes": {"light": {}}, "otherwise": "drop"})
    return network_boxes(labelled_frames(catalog, space), 1333, 750)


@pytest.mark.parametrize(("what", "at_least", "at_most"), [("default", 0.33, 0.40), ("fit", 0.95, 1.0)])
def test_bdds_lights_get_a_usable_anchor_at_stock_scale(what, at_least, at_most, bdd_lights):
    if what == "default":
        anchors, make = DEFAULT_ANCHORS, AnchorGenerator
    else:
        anchors, make = fit_anchors(bdd_lights), FittedAnchorGenerator
    usable, _ = anchor_coverage(bdd_lights, anchors)
    assert at_least <= usable <= at_most
    # The judge lays torchvision's grid over a picture, puts each light to random places in its middle, and takes
    # torchvision's IoU.
    levels, side = len(anchors.sizes), 64 if what == "fit" else 192
    maps = [torch.zeros(1, 1, side // stride, side // stride) for stride in STRIDES[:levels]]
    generator = make(anchors.sizes, (anchors.ratios,) * levels)
    grid = generator(ImageList(torch.zeros(1, 3, side, side), [(side, side)]), maps)[0]
    period = STRIDES[levels - 1]
    centres = torch.from_numpy(np.random.default_rng(0).uniform(0, period, (30, 2))).float() + (side - period) / 2
    means = []
    for size in torch.from_numpy(bdd_lights).float():
        xyxy = torch.cat([centres - size / 2, centres + size / 2], dim=1)
        means.append(float(box_iou(xyxy, grid).amax(1).mean()))
    judged = float(np.mean(np.array(means) >= 0.5))
    assert at_least <= judged <= at_most
    assert judged == pytest.approx(usable, abs=0.02)


def test_no_boxes():
    empty = Catalog.from_frames([], source="s", root=Path("/"))
    assert network_boxes(labelled_frames(empty, LIGHTS), 64, 64).shape == (0, 2)
    assert anchor_coverage(np.zeros((0, 2)), DEFAULT_ANCHORS) == (0.0, 0.0)
