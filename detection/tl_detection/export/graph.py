"""A small writer of ONNX graphs, for the parts of an exported file that are no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

# RoiAlign knows half-pixel coordinates from 16 on, and the dynamo exporter writes 18 without converting.
OPSET = 18
# The oldest file version that carries opset 18, so that older runtimes open the file.
IR_VERSION = 8


class GraphWriter:
    """Collects nodes and constants; every call gives the name of the value that it made.

    What follows from constants alone is computed while writing, so that a file for one size of frame carries the
    numbers that a file for any size works out in the vehicle, by the same lines of code.

    Attributes:
        nodes: In order of calling, which is an order in which they can run.
        constants: Each distinct value once.
    """

    def __init__(self, prefix: str):
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
        self._known: dict[str, NDArray[Any]] = {}
        self._count = 0

    def constant(self, value: Any, dtype: Any) -> str:
        """Give the name of a constant, stored once however often it is used."""
        array: NDArray[Any] = np.asarray(value, dtype=dtype)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(array, f"{self.prefix}/constant_{len(self.constants)}")
            self._known[self.constants[key].name] = array
        return self.constants[key].name

    def used_constants(self) -> list[onnx.TensorProto]:
        """The constants that a node reads; others were steps on the way to these."""
        read = {value for node in self.nodes for value in node.input}
        return [tensor for tensor in self.constants.values() if tensor.name in read]

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output."""
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs."""
        names = [f"{self.prefix}/{kind}_{self._count}" + (f"_{i}" if outputs > 1 else "") for i in range(outputs)]
        node = helper.make_node(kind, list(inputs), names, f"{self.prefix}/{kind}_{self._count}", **attributes)
        self._count += 1
        if all(value in self._known for value in inputs):
            return [self.constant(array, array.dtype) for array in self._computed(node)]
        self.nodes.append(node)
        return names

    def _computed(self, node: onnx.NodeProto) -> list[NDArray[Any]]:
        """What a node of constants gives."""
        read = sorted(set(node.input))
        graph = helper.make_graph(
            [node],
            "constants",
            [onnx.ValueInfoProto(name=name) for name in read],
            [onnx.ValueInfoProto(name=name) for name in node.output],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        values = ReferenceEvaluator(model).run(None, {name: self._known[name] for name in read})
        return [np.asarray(value) for value in values]

    def rename(self, value: str, name: str) -> None:
        """Give a value a name that is seen from outside."""
        self.nodes.append(helper.make_node("Identity", [value], [name], f"{self.prefix}/{name}"))

    def to_float(self, value: str) -> str:
        """Cast to float32."""
        return self.op("Cast", value, to=TensorProto.FLOAT)

    def to_double(self, value: str) -> str:
        """Cast to float64."""
        return self.op("Cast", value, to=TensorProto.DOUBLE)

    def to_int64(self, value: str) -> str:
        """Cast to int64; fractions are cut off towards zero."""
        return self.op("Cast", value, to=TensorProto.INT64)

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """Give a value another shape; -1 is found."""
        return self.op("Reshape", value, self.constant(shape, np.int64))

    def row(self, values: str, position: int) -> str:
        """Row `position` of a value, without the axis of rows; of a list one scalar."""
        return self.op("Gather", values, self.constant(position, np.int64), axis=0)

    def columns(self, boxes: str, start: int, stop: int) -> str:
        """Columns [start, stop) of a (N, C) value."""
        first, last, axis = (self.constant([edge], np.int64) for edge in (start, stop, 1))
        return self.op("Slice", boxes, first, last, axis)

    def inline(self, model: onnx.ModelProto, name: str, inputs: Sequence[str]) -> list[str]:
        """Add a whole model without subgraphs.

        Args:
            model: Its nodes are copied.
            name: Put before the names of its values.
            inputs: Names of this graph's values, in the order of the model's inputs.

        Returns:
            Names of the model's outputs.
        """
        prefix = f"{self.prefix}/{name}"
        names = {"": ""} | dict(zip((value.name for value in model.graph.input), inputs, strict=True))
        for tensor in model.graph.initializer:
            names[tensor.name] = f"{prefix}/{tensor.name}"
            copy = onnx.TensorProto()
            copy.CopyFrom(tensor)
            copy.name = names[tensor.name]
            self.constants[(prefix, (), tensor.name.encode())] = copy
        for node in model.graph.node:
            names |= {output: f"{prefix}/{output}" for output in node.output if output}
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = f"{prefix}/{node.name}"
            copy.input[:] = [names[value] for value in node.input]
            copy.output[:] = [names[value] if value else "" for value in node.output]
            self.nodes.append(copy)
        return [names[value.name] for value in model.graph.output]
