"""What may lose precision, and in which groups."""

from __future__ import annotations

import onnx
import pytest

from tl_datasets.errors import WeightsError
from tl_detection.compression.blocks import find_blocks
from tl_detection.compression.int8 import write_int8
from tl_detection.compression.ranges import measure_ranges
from tl_detection.compression.region import find_region

INSIDE = ("stem", "stem_gate", "silu", "left", "relu", "pooled", "joined", "head.out")


def test_layers_and_what_lies_between_them_and_nothing_else(small_model):
    region = find_region(small_model, "small.onnx")
    assert region.nodes == tuple(f"tl/network/node_{name}" for name in INSIDE)
    assert [layer.node.removeprefix("tl/network/node_") for layer in region.layers] == ["stem", "left", "head.out"]
    assert region.last_layers == ("tl/network/node_head.out",)


def test_values_that_do_not_come_from_layers_alone_stay(small_model):
    # As the boxes of proposals do, on their way to the pooling of the second network.
    node = next(node for node in small_model.graph.node if node.name == "tl/network/node_joined")
    node.input[1] = "tl/unit_chw"
    nodes = find_region(small_model, "small.onnx").nodes
    assert "tl/network/node_joined" not in nodes
    assert "tl/network/node_left" in nodes


def test_blocks_are_modules_and_the_last_layers_stand_alone(small_model):
    region = find_region(small_model, "small.onnx")
    blocks = find_blocks(region)
    assert [(block.name, block.is_last) for block in blocks] == [
        ("net.stem", False),
        ("net.left", False),
        ("net.head.out", True),
    ]
    assert sorted(node for block in blocks for node in block.nodes) == sorted(region.nodes)
    assert blocks[0].nodes == {f"tl/network/node_{name}" for name in ("stem", "stem_gate", "silu", "pooled", "joined")}


def test_blocks_of_a_yolo(exported):
    region = find_region(onnx.load(exported.path), exported.path)
    blocks = find_blocks(region)
    names = [block.name for block in blocks]
    assert len(names) == len(set(names)) == 35
    assert {"model.0.conv", "model.10", "model.22", "model.23.cv2.0.2", "model.23.cv3.2.2"} <= set(names)
    assert [block.name for block in blocks if block.is_last] == [
        f"model.23.{branch}.{level}.2" for branch in ("cv2", "cv3") for level in range(3)
    ]
    assert len(region.layers) == 96  # of its 87 convolutions; nine are exported as two, one for each part


def test_files_that_are_no_float_files_are_refused(small_model, scene):
    region = find_region(small_model, "small.onnx")
    ranges = measure_ranges(small_model, region, [("one", scene(1))])
    with pytest.raises(WeightsError, match=r"int8\.onnx: is in int8 already; start from the float file"):
        find_region(write_int8(small_model, set(region.nodes), ranges), "int8.onnx")
    for node in small_model.graph.node:
        node.name = node.name.replace("tl/network/", "other/")
    with pytest.raises(WeightsError, match="no layer of a network in it; expected a file of: tl export"):
        find_region(small_model, "foreign.onnx")
