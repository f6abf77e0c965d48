"""Calibration: between which numbers each value of a network lies on real frames.

The whole file runs, so that the frames pass through its own letterbox. Deliberately absent: clipping at a percentile.
A lit lamp at night is a rare, high number; on small lights it cost accuracy where it was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from tl_datasets.errors import DataError
from tl_detection.compression.region import Region, data_values
from tl_detection.compression.running import feed_of, open_bytes
from tl_detection.detector import Image

# Value -> lowest and highest number.
Ranges = dict[str, tuple[float, float]]
_OUTPUT = "tl/calibration/"


def measure_ranges(
    model: onnx.ModelProto,
    region: Region,
    frames: Iterable[tuple[str, Image]],
    progress: Callable[[int], None] | None = None,
) -> Ranges:
    """Run frames and note the lowest and highest number of each value of a region.

    Args:
        model: An exported float file.
        region: Of it.
        frames: Name and (H, W, 3) uint8 RGB image of each frame.
        progress: Called with the number of frames done.

    Raises:
        DataError: There is no frame, or the network gives numbers on one of them that are not finite.
    """
    of_region = set(region.nodes)
    nodes = [node for node in model.graph.node if node.name in of_region]
    values, last = data_values(nodes), [node.output[0] for node in nodes if node.name in set(region.last_layers)]
    session = open_bytes(_with_extremes(model, values, last))
    names = [output.name for output in session.get_outputs() if output.name.startswith(_OUTPUT)]
    low, high, done = np.full(len(values), np.inf), np.full(len(values), -np.inf), 0
    for name, image in frames:
        numbers = _run(session, names, image)
        lowest, highest, sums = np.split(numbers, [len(values), 2 * len(values)])
        if not np.isfinite(sums).all() or not np.isfinite(lowest).all() or not np.isfinite(highest).all():
            raise DataError(
                f"{name}: the float network gives numbers that are not finite on this frame, so nothing can be "
                "calibrated; is the checkpoint sound?"
            )
        low, high, done = np.minimum(low, lowest), np.maximum(high, highest), done + 1
        if progress is not None:
            progress(done)
    if not done:
        raise DataError("calibration: no frame; expected frames of the kind that the vehicle sees")
    return {value: (float(a), float(b)) for value, a, b in zip(values, low, high, strict=True)}


def _with_extremes(model: onnx.ModelProto, values: Sequence[str], last: Sequence[str]) -> bytes:
    """The model with the lowest and highest number of each value, and sums of the last, as further outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    # A minimum may pass over what is no number; a sum of absolute values does not.
    asked = [("ReduceMin", values), ("ReduceMax", values), ("ReduceL1", last)]
    for kind, of_values in asked:
        for number, value in enumerate(of_values):
            name = f"{_OUTPUT}{kind}_{number}"
            copy.graph.node.append(helper.make_node(kind, [value], [name], name, keepdims=0))
            copy.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, []))
    return copy.SerializeToString()


def _run(session: onnxruntime.InferenceSession, names: Sequence[str], image: Image) -> np.ndarray:
    return np.array(session.run(list(names), feed_of(session, image)), np.float64)
