"""A float file with some of its blocks in a smaller precision, as often as one wants to try."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import numpy_helper

from tl_datasets.errors import WeightsError
from tl_detection.compression.blocks import Block
from tl_detection.compression.float16 import too_large, write_float16
from tl_detection.compression.int8 import SCALE, write_int8
from tl_detection.compression.ranges import Ranges
from tl_detection.compression.region import Region
from tl_detection.compression.running import feed_of, open_bytes
from tl_detection.detector import Detections, Image
from tl_detection.detectors.onnx import OnnxDetector

Precision = Literal["int8", "fp16"]


class Trials:
    """Makes variants of a float file.

    Attributes:
        model: The float file.
        blocks: All that may lose precision.
    """

    def __init__(
        self, model: onnx.ModelProto, region: Region, blocks: Sequence[Block], ranges: Ranges, precision: Precision
    ):
        self.model, self.region, self.blocks = model, region, tuple(blocks)
        self._ranges, self._precision = ranges, precision
        self._kept_nodes = too_large(model, region, ranges) if precision == "fp16" else frozenset[str]()

    @property
    def names(self) -> frozenset[str]:
        """Names of all blocks."""
        return frozenset(block.name for block in self.blocks)

    def forced(self) -> tuple[str, ...]:
        """Names of the blocks of which something stays in float, whatever is asked for: its numbers are too large."""
        return tuple(block.name for block in self.blocks if block.nodes & self._kept_nodes)

    def write(self, kept: Collection[str]) -> onnx.ModelProto:
        """The file with all blocks in the smaller precision but these."""
        nodes = frozenset(node for block in self.blocks if block.name not in kept for node in block.nodes)
        if self._precision == "fp16":
            return write_float16(self.model, nodes - self._kept_nodes)
        return write_int8(self.model, nodes, self._ranges)

    def detect(self, kept: Collection[str], images: Sequence[Image]) -> list[Detections]:
        """What that file detects."""
        with opened(self.write(kept)) as detector:
            return detector.detect(images)


class opened:  # noqa: N801 - used as a function
    """A model in memory as a `Detector`, for as long as a `with` block lasts."""

    def __init__(self, model: onnx.ModelProto):
        self._folder = tempfile.TemporaryDirectory(prefix="tl-compression-")
        path = Path(self._folder.name) / "trial.onnx"
        path.write_bytes(model.SerializeToString())
        try:
            self._detector = OnnxDetector(path)
        except BaseException:
            self._folder.cleanup()
            raise

    def __enter__(self) -> OnnxDetector:
        return self._detector

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def require_sound(model: onnx.ModelProto, region: Region, images: Sequence[Image], what: str) -> None:
    """Make sure that a file holds finite scales, and gives finite numbers where its layers end.

    One of the two is not enough: a runtime makes whole numbers of what a scale that is no number leads to.

    Args:
        model: The file.
        region: Of the float file that it was made from.
        images: To run it on.
        what: The file, for messages.

    Raises:
        WeightsError: It does not.
    """
    remedy = "a bad calibration: choose other frames with --calibrate-split, or keep the file in float"
    for tensor in model.graph.initializer:
        if tensor.name.endswith(SCALE) and not np.isfinite(numpy_helper.to_array(tensor)).all():
            raise WeightsError(f"{what}: scale {tensor.name} is not finite; {remedy}")
    last = set(region.last_layers)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    makers = [node for node in copy.graph.node if node.name in last]
    names = []
    for number, node in enumerate(makers):
        name = f"tl/check/{number}"
        # Of halves, too, the sum is taken in single precision.
        single = onnx.helper.make_node("Cast", [node.output[0]], [f"{name}/single"], f"{name}/cast", to=1)
        copy.graph.node.append(single)
        copy.graph.node.append(onnx.helper.make_node("ReduceL1", [f"{name}/single"], [name], name, keepdims=0))
        copy.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, []))
        names.append(name)
    session = open_bytes(copy.SerializeToString())
    for image in images:
        sums = np.array(session.run(names, feed_of(session, image)))
        if not np.isfinite(sums).all():
            raise WeightsError(
                f"{what}: {int((~np.isfinite(sums)).sum())} of {len(sums)} outputs of the network are not finite; "
                f"{remedy}"
            )
