"""A network that takes values from 0 to 1 takes bytes instead: its first weights are divided, not every pixel."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

BYTE = 255.0


def take_bytes(model: onnx.ModelProto) -> bool:
    """Divide the weights of the layer that reads the only input by 255.

    Padding of the convolution is zero on either scale. The weights are divided in double precision.

    Args:
        model: Changed, where it can be.

    Returns:
        Whether it was: the input is read by one convolution alone, whose weights are constants of its own.
    """
    graph = model.graph
    readers = [node for node in graph.node if graph.input[0].name in node.input]
    if len(graph.input) != 1 or len(readers) != 1 or readers[0].op_type != "Conv":
        return False
    name = readers[0].input[1]
    weight = next((tensor for tensor in graph.initializer if tensor.name == name), None)
    if (
        weight is None
        or readers[0].input[0] != graph.input[0].name
        or sum(name in node.input for node in graph.node) != 1
    ):
        return False
    divided = (numpy_helper.to_array(weight).astype(np.float64) / BYTE).astype(np.float32)
    weight.CopyFrom(numpy_helper.from_array(divided, name))
    return True
