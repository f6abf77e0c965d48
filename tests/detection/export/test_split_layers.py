"""Convolutions whose channels are divided: the same numbers, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tl_detection.export.split_layers import split_layers

CHANNELS = 12


def network(
    *, sizes: list[int] | None = None, axis: int = 1, group: int = 1, read_again: bool = False
) -> onnx.ModelProto:
    """Convolution, SiLU, split into two or by sizes; each part times another number."""
    rng = np.random.default_rng(0)
    tensors = {
        "m.conv.weight": rng.normal(size=(CHANNELS, 4 // group, 3, 3)).astype(np.float32),
        "m.conv.bias": rng.normal(size=CHANNELS).astype(np.float32),
        **({} if sizes is None else {"sizes": np.array(sizes, np.int64)}),
    }
    count = 2 if sizes is None else len(sizes)
    outputs = [f"out_{number}" for number in range(count)]
    split = {"num_outputs": count} if sizes is None else {}
    nodes = [
        helper.make_node("Conv", ["x", "m.conv.weight", "m.conv.bias"], ["y"], "conv", pads=[1] * 4, group=group),
        helper.make_node("Sigmoid", ["y"], ["s"], "sigmoid"),
        helper.make_node("Mul", ["y", "s"], ["z"], "product"),
        helper.make_node("Split", ["z", *(["sizes"] if sizes else [])], outputs, "split", axis=axis, **split),
    ]
    if read_again:
        nodes.append(helper.make_node("Relu", ["z"], ["again"], "relu"))
        outputs.append("again")
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "c", "h", "w"]) for name in outputs],
        [numpy_helper.from_array(values, name) for name, values in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def outputs_of(model: onnx.ModelProto) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).normal(size=(1, 4, 8, 8)).astype(np.float32)
    return [np.asarray(value) for value in session.run(None, {"x": x})]


@pytest.mark.parametrize("sizes", [None, [4, 8], [2, 4, 6]])
def test_divided_weights_give_the_same_numbers(sizes):
    expected = outputs_of(network(sizes=sizes))
    model = split_layers(network(sizes=sizes))
    onnx.checker.check_model(model, full_check=True)
    kinds = [node.op_type for node in model.graph.node]
    parts = 2 if sizes is None else len(sizes)
    assert kinds == ["Conv", "Sigmoid", "Mul"] * parts
    for wanted, found in zip(expected, outputs_of(model), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", [{"axis": 2}, {"group": 2}, {"read_again": True}])
def test_what_cannot_be_divided_stays(settings):
    before = network(**settings)
    assert split_layers(network(**settings)).SerializeToString(deterministic=True) == before.SerializeToString(
        deterministic=True
    )


def test_a_yolo_has_no_divided_channels_left_but_those_of_attention(yolo_export):
    model = onnx.load(yolo_export.path)
    made = {output: node.op_type for node in model.graph.node for output in node.output}
    splits = [node for node in model.graph.node if node.op_type == "Split" and "network" in node.name]
    assert all(made[node.input[0]] == "Reshape" for node in splits)
    weights = [tensor.name for tensor in model.graph.initializer if ".part_0." in tensor.name]
    assert len(weights) >= 16
    read = {value for node in model.graph.node for value in node.input}
    assert {tensor.name for tensor in model.graph.initializer} <= read
