"""Writes int8: QuantizeLinear and DequantizeLinear around the nodes of a region, which runtimes then fuse.

Weights are int8, symmetric, one scale per output channel; biases int32; values between layers uint8 with a zero point,
one scale each. Written here and not by onnxruntime's quantiser, because only the network may be touched, blocks are put
back into float one by one, and the same file must come out every time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from tl_datasets.errors import DataError
from tl_detection.compression.ranges import Ranges
from tl_detection.compression.region import ACTIVATION_KINDS, LAYER_KINDS, PASSING_KINDS, data_inputs, output_axis
from tl_detection.compression.rewrite import without_unused

# How the names of all scales end.
SCALE = "/scale"
_STEPS = 255
# A layer's sums have 32 bits; a bias must leave room for them.
_LARGEST_BIAS = 2.0**30


def write_int8(model: onnx.ModelProto, nodes: Set[str], ranges: Ranges) -> onnx.ModelProto:
    """Give a file in which some nodes work in int8.

    Args:
        model: A float file; stays as it is.
        nodes: Names of the nodes, of its region.
        ranges: Of every value that they take or give.

    Raises:
        DataError: A range is not finite.
    """
    return _Writer(model, nodes, ranges).write()


class _Writer:
    def __init__(self, model: onnx.ModelProto, nodes: Set[str], ranges: Ranges):
        self.model, self.nodes, self.ranges = model, nodes, ranges
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.added: dict[str, onnx.TensorProto] = {}
        self.written: list[onnx.NodeProto] = []
        # Value -> scale and zero point.
        self.parameters: dict[str, tuple[np.float32, np.uint8]] = {}
        self.dequantised: dict[str, str] = {}

    def write(self) -> onnx.ModelProto:
        chosen = [node for node in self.model.graph.node if node.name in self.nodes]
        inside = self._inside_of_fused(chosen)
        given = {value for node in chosen for value in node.output} - inside
        taken = {value for node in chosen for value in data_inputs(node)} - inside
        for node in self.model.graph.node:
            is_chosen = node.name in self.nodes
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            for position, value in enumerate(node.input):
                # What a chosen node gives is known in int8 alone; what others give stays in float for others.
                if value in given or (is_chosen and value in self.dequantised):
                    copy.input[position] = self.dequantised.get(value, value)
            if is_chosen and node.op_type in LAYER_KINDS:
                self._write_weights(node, copy)
            self.written.append(copy)
            for value in node.output:
                if value in given or value in taken:
                    self._write_pair(value, node if is_chosen else None)
        result = onnx.ModelProto()
        result.CopyFrom(self.model)
        del result.graph.node[:], result.graph.value_info[:]
        result.graph.node.extend(self.written)
        result.graph.initializer.extend(self.added.values())
        return without_unused(result)

    def _inside_of_fused(self, chosen: list[onnx.NodeProto]) -> set[str]:
        """Values between a layer or sum and the Relu that alone reads it: the runtime makes one operation of both."""
        readers = Counter(value for node in self.model.graph.node for value in node.input)
        makers = {node.output[0]: node for node in chosen}
        return {
            node.input[0]
            for node in chosen
            if node.op_type in ACTIVATION_KINDS
            and readers[node.input[0]] == 1
            and node.input[0] in makers
            and makers[node.input[0]].op_type in LAYER_KINDS | {"Add"}
        }

    def _write_pair(self, value: str, maker: onnx.NodeProto | None) -> None:
        """Round a value to int8 and back."""
        if maker is not None and maker.op_type in PASSING_KINDS and maker.input[0] in self.parameters:
            self.parameters[value] = self.parameters[maker.input[0]]
        elif maker is not None and maker.op_type == "Sigmoid":
            self.parameters[value] = _parameters_of(value, 0.0, 1.0)
        else:
            self.parameters[value] = _parameters_of(value, *self.ranges[value])
        scale, zero_point = (self._add(f"{value}/{word}", np.asarray(number)) for word, number in
                             zip(("scale", "zero_point"), self.parameters[value], strict=True))  # fmt: skip
        rounded, back = f"{value}/quantised", f"{value}/dequantised"
        self.written += [
            helper.make_node("QuantizeLinear", [value, scale, zero_point], [rounded], rounded),
            helper.make_node("DequantizeLinear", [rounded, scale, zero_point], [back], back),
        ]
        self.dequantised[value] = back

    def _write_weights(self, node: onnx.NodeProto, copy: onnx.NodeProto) -> None:
        """Give a layer weights in int8, and its bias in the unit of its sums."""
        input_scale, axis = float(self.parameters[node.input[0]][0]), output_axis(node)
        weight = numpy_helper.to_array(self.constants[node.input[1]])
        has_bias = len(node.input) > 2 and node.input[2] in self.constants
        bias = numpy_helper.to_array(self.constants[node.input[2]]) if has_bias else None
        scale = weight_scales(weight, axis, bias, input_scale)
        shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
        rounded = np.clip(np.rint(weight / scale.reshape(shape)), -127, 127).astype(np.int8)
        copy.input[1] = self._write_constant(f"{node.name}/weight", rounded, scale, axis)
        if bias is not None:
            unit = scale.astype(np.float64) * input_scale
            whole = np.rint(bias.astype(np.float64) / unit).astype(np.int32)
            copy.input[2] = self._write_constant(f"{node.name}/bias", whole, unit.astype(np.float32), 0)

    def _write_constant(self, name: str, rounded: NDArray, scale: NDArray[np.float32], axis: int) -> str:
        inputs = [
            self._add(f"{name}/quantised", rounded),
            self._add(f"{name}{SCALE}", scale),
            self._add(f"{name}/zero_point", np.zeros(len(scale), rounded.dtype)),
        ]
        back = f"{name}/dequantised"
        self.written.append(helper.make_node("DequantizeLinear", inputs, [back], back, axis=axis))
        return back

    def _add(self, name: str, array: NDArray) -> str:
        self.added[name] = numpy_helper.from_array(array, name)
        return name


def _parameters_of(value: str, low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Scale and zero point of a value; 0, which pads the borders of layers, is always met exactly."""
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(
            f"calibration: value {value} lies between {low} and {high}; expected finite numbers: calibrate on other "
            "frames, or keep the file in float"
        )
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / _STEPS) if high > low else np.float32(1)
    scale = max(scale, np.finfo(np.float32).tiny)
    return np.float32(scale), np.uint8(np.clip(np.rint(-low / float(scale)), 0, _STEPS))


def weight_scales(
    weight: NDArray[np.float32], axis: int, bias: NDArray[np.float32] | None, input_scale: float
) -> NDArray[np.float32]:
    """One scale per output channel: the largest weight becomes 127, and a bias fits beside the sums.

    Args:
        weight: Of a layer.
        axis: That counts its outputs.
        bias: (C,), or None.
        input_scale: Of what the layer takes.
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    scale = np.abs(weight).max(axis=others).astype(np.float64) / 127
    if bias is not None:
        scale = np.maximum(scale, np.abs(bias) / (_LARGEST_BIAS * input_scale))
    return np.where(scale > np.finfo(np.float32).tiny, scale, 1.0).astype(np.float32)
