"""Which nodes of an exported file may lose precision: the network's layers and what lies between them.

The letterbox, the suppression and the outputs never do. Nor does the decoding behind the last layers, which computes
with pixels of the whole input: one step of 256 over 736 pixels is half a small light. Everything outside the network's
own nodes is left as it is, whatever it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import onnx

from tl_datasets.errors import WeightsError

# How `tl export` names the network's nodes and values: one network of a YOLO, two of a Faster R-CNN.
NETWORK_PREFIXES = ("tl/network/", "tl/proposals/", "tl/heads/")
LAYER_KINDS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
# Give some of the numbers that they take, in another place.
PASSING_KINDS = frozenset({"MaxPool", "Resize", "Split", "Slice", "Transpose", "Reshape", "Flatten"})
ACTIVATION_KINDS = frozenset({"Relu", "Clip"})
_JOINING_KINDS = frozenset({"Sigmoid", "LeakyRelu", "Mul", "Add", "Concat", "AveragePool", "GlobalAveragePool"})
# The inputs from here on are shapes, sizes and limits.
_FIRST_INPUT_ONLY = PASSING_KINDS | ACTIVATION_KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A node with learned weights.

    Attributes:
        node: Its name.
        weight: Name of its weights.
        is_last: No layer follows: its outputs are what the decoding reads.
    """

    node: str
    weight: str
    is_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """What of a file may lose precision.

    Attributes:
        nodes: Names of these nodes, in the order of the file.
        layers: Those with weights.
        source: Node -> layer that its values come from, the latest of several.
    """

    nodes: tuple[str, ...]
    layers: tuple[Layer, ...]
    source: dict[str, str]

    @property
    def last_layers(self) -> tuple[str, ...]:
        """Names of the nodes that the decoding reads."""
        return tuple(layer.node for layer in self.layers if layer.is_last)


def find_region(model: onnx.ModelProto, path: object) -> Region:
    """Find the nodes that may lose precision.

    Args:
        model: An exported file.
        path: Of the file, for messages.

    Raises:
        WeightsError: It has no network as `tl export` writes it, or was made smaller before.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    network = [node for node in model.graph.node if node.name.startswith(NETWORK_PREFIXES)]
    if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in network):
        raise WeightsError(f"{path}: is in int8 already; start from the float file that tl export wrote")
    layers = {node.name for node in network if _is_layer(node, constants)}
    if not layers:
        raise WeightsError(f"{path}: no layer of a network in it; expected a file of: tl export RUN --out FILE.onnx")
    if all(constants[node.input[1]].data_type != onnx.TensorProto.FLOAT for node in network if node.name in layers):
        raise WeightsError(f"{path}: its layers are not in float32; start from the float file that tl export wrote")
    # Forwards: what comes from layers alone. Proposals in pixels do not, and must not lose precision.
    source: dict[str, str] = {}
    by_value: dict[str, str] = {}
    for node in network:
        origin = node.name if node.name in layers else _origin(node, by_value)
        if origin is not None:
            source[node.name] = origin
            by_value |= dict.fromkeys(node.output, origin)
    # Backwards: what leads to another layer.
    wanted: set[str] = set()
    leading: set[str] = set()
    followed: set[str] = set()
    for node in reversed(network):
        leads_on = any(value in wanted for value in node.output)
        if leads_on:
            leading.add(node.name)
        if node.name in layers and leads_on:
            followed.add(node.name)
        if leads_on or node.name in layers:
            wanted.update(value for value in node.input if value and value not in constants)
    nodes = tuple(
        node.name for node in network if node.name in layers or (node.name in source and node.name in leading)
    )
    return Region(
        nodes=nodes,
        layers=tuple(
            Layer(node=node.name, weight=node.input[1], is_last=node.name not in followed)
            for node in network
            if node.name in layers
        ),
        source={name: source[name] for name in nodes},
    )


def data_inputs(node: onnx.NodeProto) -> list[str]:
    """The inputs of a node of a region that are numbers of the network, not weights, shapes or limits."""
    if node.op_type in LAYER_KINDS or node.op_type in _FIRST_INPUT_ONLY:
        return [node.input[0]]
    return list(node.input)


def data_values(nodes: Iterable[onnx.NodeProto]) -> list[str]:
    """Every value that these nodes take or give, once, in their order."""
    return list(dict.fromkeys(value for node in nodes for value in (*data_inputs(node), *node.output) if value))


def _is_layer(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> bool:
    """A layer with one output per place is left out: a mean over bins of distances, which belongs to the decoding."""
    if node.op_type not in LAYER_KINDS or node.input[0] in constants or node.input[1] not in constants:
        return False
    weight = constants[node.input[1]]
    return len(weight.dims) >= 2 and weight.dims[output_axis(node)] > 1


def output_axis(node: onnx.NodeProto) -> int:
    """The axis of a layer's weights that counts its outputs."""
    if node.op_type == "Gemm":
        return 0 if next((item.i for item in node.attribute if item.name == "transB"), 0) else 1
    return 0 if node.op_type == "Conv" else 1


def _origin(node: onnx.NodeProto, by_value: dict[str, str]) -> str | None:
    """The layer that a node's values come from; None where they do not come from layers alone."""
    is_known = node.op_type in PASSING_KINDS | ACTIVATION_KINDS | _JOINING_KINDS
    if not is_known or (node.op_type == "Resize" and not _is_nearest(node)):
        return None
    inputs = data_inputs(node)
    if not all(value in by_value for value in inputs):
        return None
    return by_value[inputs[-1]]


def _is_nearest(node: onnx.NodeProto) -> bool:
    return next((item.s for item in node.attribute if item.name == "mode"), b"nearest") == b"nearest"
