"""Writes fp16: the nodes of a region work in half precision, everything else as before.

Frames, boxes and scores keep their types. Casts stand where a value crosses the border. What does not fit into half
precision stays in float: a node whose numbers came near its largest, 65504, in calibration.
"""

from __future__ import annotations

from collections.abc import Set

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tl_detection.compression.ranges import Ranges
from tl_detection.compression.region import LAYER_KINDS, Region, data_inputs, data_values
from tl_detection.compression.rewrite import without_unused

# Half of the largest number: frames that were not seen in calibration may go further.
_LARGEST = 65504 / 2


def write_float16(model: onnx.ModelProto, nodes: Set[str]) -> onnx.ModelProto:
    """Give a file in which some nodes work in half precision.

    Args:
        model: A float file; stays as it is.
        nodes: Names of the nodes, of its region.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    chosen = [node for node in model.graph.node if node.name in nodes]
    given = {value for node in chosen for value in node.output}
    taken = {value for node in chosen for value in data_inputs(node)}
    read_outside = {value for node in model.graph.node if node.name not in nodes for value in node.input}
    read_outside |= {output.name for output in model.graph.output}
    halves: dict[str, onnx.TensorProto] = {}
    written: list[onnx.NodeProto] = []

    def cast(value: str, result: str, to: int) -> None:
        written.append(helper.make_node("Cast", [value], [result], f"{result}/cast", to=to))

    for node in model.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        if node.name in nodes:
            data = set(data_inputs(node))
            for position, value in enumerate(node.input):
                if value in data:
                    copy.input[position] = _half(value)
                elif value in constants and node.op_type in LAYER_KINDS | {"Clip"}:
                    halves[value] = _half_of(constants[value])
                    copy.input[position] = _half(value)
            copy.output[:] = [_half(value) for value in node.output]
        written.append(copy)
        for value in node.output:
            if value in given and value in read_outside:
                cast(_half(value), value, TensorProto.FLOAT)
            elif value in taken and value not in given:
                cast(value, _half(value), TensorProto.FLOAT16)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:], result.graph.value_info[:]
    result.graph.node.extend(written)
    result.graph.initializer.extend(halves.values())
    return without_unused(result)


def too_large(model: onnx.ModelProto, region: Region, ranges: Ranges) -> frozenset[str]:
    """The nodes of a region whose numbers or weights do not fit into half precision."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    found = set()
    for node in model.graph.node:
        if node.name not in region.source:
            continue
        edges = [abs(edge) for value in data_values([node]) for edge in ranges[value]]
        if node.op_type in LAYER_KINDS:
            weights = [numpy_helper.to_array(constants[name]) for name in node.input[1:] if name in constants]
            edges += [float(np.abs(array).max(initial=0)) for array in weights]
        if max(edges) > _LARGEST:
            found.add(node.name)
    return frozenset(found)


def _half(value: str) -> str:
    return f"{value}/half" if value else value


def _half_of(tensor: onnx.TensorProto) -> onnx.TensorProto:
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), _half(tensor.name))
