"""The first layer of a network that takes bytes: the same numbers, or nothing is touched."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tl_detection.export.byte_input import take_bytes


def network(*kinds: str) -> onnx.ModelProto:
    """A convolution of the input, and what else reads it or its weights."""
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "weight"], ["y"], "conv", pads=[1] * 4)]
    outputs = ["y"]
    if "input read twice" in kinds:
        nodes.append(helper.make_node("Relu", ["x"], ["again"]))
        outputs.append("again")
    if "weights shared" in kinds:
        nodes.append(helper.make_node("ReduceSum", ["weight"], ["sum"], keepdims=0))
        outputs.append("sum")
    if "another layer first" in kinds:
        nodes[0].input[0] = "z"
        nodes.insert(0, helper.make_node("Relu", ["x"], ["z"]))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_bytes_give_what_shares_of_one_gave():
    picture = np.random.default_rng(1).integers(0, 256, (1, 3, 8, 8)).astype(np.float32)
    before, after = network(), network()
    assert take_bytes(after)
    results = []
    for model, values in ((before, picture / np.float32(255)), (after, picture)):
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        results.append(np.asarray(session.run(None, {"x": values})[0]))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["input read twice", "weights shared", "another layer first"])
def test_what_cannot_take_bytes_stays(kind):
    model = network(kind)
    before = model.SerializeToString(deterministic=True)
    assert not take_bytes(model)
    assert model.SerializeToString(deterministic=True) == before
