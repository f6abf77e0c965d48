"""A convolution whose channels are divided becomes one convolution for each part: the same numbers, sooner.

YOLO's blocks compute all channels at once and then go on with halves. onnxruntime computes convolutions in blocks of
channels, and brings everything back into plain order before it divides. Divided weights need no division: of a
YOLO11n at 640x640 on one core the step took 4 ms of 64.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper, numpy_helper

_CHANNELS = 1


def split_layers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Divide the weights of each convolution that nothing but a `Split` of channels reads, with its activation between.

    Args:
        model: Changed: convolution, SiLU (`x * sigmoid(x)`) and `Split` become a convolution and a SiLU for each part.

    Returns:
        The model.
    """
    graph = model.graph
    maker = {output: node for node in graph.node for output in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for value in node.input:
            readers.setdefault(value, []).append(node)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for split in [node for node in graph.node if node.op_type == "Split"]:
        layer = _layer_of(split, maker, readers)
        if layer is None or any(name not in weights for name in layer[0].input[1:]):
            continue
        conv, sigmoid, product = layer
        sizes = _sizes(split, weights, int(weights[conv.input[1]].dims[0]))
        if sizes is None:
            continue
        place = list(graph.node).index(conv)
        parts = _parts(conv, split.output, sizes, weights, graph)
        for node in (conv, sigmoid, product, split):
            graph.node.remove(node)
        for node in reversed(parts):
            graph.node.insert(place, node)
    return model


def _layer_of(
    split: onnx.NodeProto, maker: dict[str, onnx.NodeProto], readers: dict[str, list[onnx.NodeProto]]
) -> tuple[onnx.NodeProto, onnx.NodeProto, onnx.NodeProto] | None:
    """Convolution, sigmoid and product that a split of channels reads, if nobody else reads them."""
    product = maker.get(split.input[0])
    axis = next((item.i for item in split.attribute if item.name == "axis"), 0)
    if axis != _CHANNELS or product is None or product.op_type != "Mul" or len(readers[split.input[0]]) != 1:
        return None
    sigmoid = next((made for value in product.input if (made := maker.get(value)) and made.op_type == "Sigmoid"), None)
    conv = None if sigmoid is None else maker.get(sigmoid.input[0])
    if sigmoid is None or conv is None or conv.op_type != "Conv" or sigmoid.input[0] not in product.input:
        return None
    group = next((item.i for item in conv.attribute if item.name == "group"), 1)
    is_read_here = len(readers[conv.output[0]]) == 2 and len(readers[sigmoid.output[0]]) == 1
    return (conv, sigmoid, product) if group == 1 and is_read_here else None


def _sizes(split: onnx.NodeProto, weights: dict[str, onnx.TensorProto], channels: int) -> list[int] | None:
    """Channels of each part; None where they are not known."""
    if len(split.input) < 2:
        count = len(split.output)
        return None if channels % count else [channels // count] * count
    if split.input[1] not in weights:
        return None
    return [int(size) for size in numpy_helper.to_array(weights[split.input[1]])]


def _parts(
    conv: onnx.NodeProto,
    outputs: Sequence[str],
    sizes: Sequence[int],
    weights: dict[str, onnx.TensorProto],
    graph: onnx.GraphProto,
) -> list[onnx.NodeProto]:
    nodes, start = [], 0
    for number, (size, output) in enumerate(zip(sizes, outputs, strict=True)):
        part = onnx.NodeProto()
        part.CopyFrom(conv)
        part.name = f"{conv.name}_part_{number}"
        part.output[0] = f"{conv.output[0]}_part_{number}"
        for place, name in enumerate(conv.input[1:], start=1):
            module, _, kind = name.rpartition(".")
            part.input[place] = f"{module}.part_{number}.{kind}"
            values = numpy_helper.to_array(weights[name])[start : start + size].copy()
            graph.initializer.append(numpy_helper.from_array(values, part.input[place]))
        start += size
        lit = f"{part.output[0]}_sigmoid"
        nodes += [
            part,
            helper.make_node("Sigmoid", [part.output[0]], [lit], f"{part.name}_sigmoid"),
            helper.make_node("Mul", [part.output[0], lit], [output], f"{part.name}_product"),
        ]
    return nodes
