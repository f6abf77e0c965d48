"""The beginning of an exported file: a camera frame of any size becomes the network's input.

It is `tl_datasets.letterbox` as ONNX nodes: the same placement in double precision, and the arithmetic of
`cv2.resize(..., INTER_LINEAR)` on bytes (weights of 11 bits, rounded on the way), so that the network sees the bytes
that it was trained and scored with. Every shape behind the gathers is that of the network, whatever the camera sends.
Deliberately absent: batches of more than one frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_datasets.letterbox import PAD_VALUE
from tl_detection.export.graph import GraphWriter

RESIZE_RULE = (
    "letterbox: scale = min(width / frame width, height / frame height); scaled size = floor(size * scale + 0.5); "
    "left, top = floor((input - scaled) / 2); bilinear with half-pixel centres, rounded to bytes; then / 255"
)
# OpenCV's weights for bytes: 11 bits.
_WEIGHT_ONE = 2048.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementValues:
    """Names of the graph's values that say where the frame lies; all float64 scalars, pixels.

    Attributes:
        scale: Canvas pixels per frame pixel.
        left: Columns of padding before the frame.
        top: Rows of padding above the frame.
        frame_width: Width of the frame.
        frame_height: Height of the frame.
    """

    scale: str
    left: str
    top: str
    frame_width: str
    frame_height: str


def write_preprocess(graph: GraphWriter, image: str, width_px: int, height_px: int) -> tuple[str, PlacementValues]:
    """Write the letterbox.

    Args:
        graph: Written to.
        image: Name of the (1, H, W, 3) uint8 RGB input.
        width_px: Width of the network's input.
        height_px: Height of the network's input.

    Returns:
        Name of the (1, 3, height_px, width_px) float32 value in [0, 1], and where the frame lies.
    """
    shape = graph.op("Shape", image)
    frame_height, frame_width = (graph.to_double(graph.pick(shape, axis)) for axis in (1, 2))
    scale = graph.op(
        "Min",
        graph.op("Div", graph.constant(width_px, np.float64), frame_width),
        graph.op("Div", graph.constant(height_px, np.float64), frame_height),
    )
    columns = _Axis(graph, frame_width, scale, width_px)
    rows = _Axis(graph, frame_height, scale, height_px)
    frame = graph.op("Squeeze", image, graph.constant([0], np.int64))
    row_pair = [graph.op("Gather", frame, index, axis=0) for index in (rows.first, rows.second)]
    row_values = [_blend_columns(graph, row, columns, width_px) for row in row_pair]
    canvas = _blend_rows(graph, row_values, rows, height_px)
    pad = graph.constant(PAD_VALUE, np.float32)
    canvas = graph.op("Where", _per_value(graph, columns.inside, width_px), canvas, pad)
    canvas = graph.op("Where", graph.reshape(rows.inside, [height_px, 1]), canvas, pad)
    canvas = graph.reshape(canvas, [height_px, width_px, 3])
    unit = graph.op("Div", canvas, graph.constant(255, np.float32))
    tensor = graph.reshape(graph.op("Transpose", unit, perm=[2, 0, 1]), [1, 3, height_px, width_px])
    return tensor, PlacementValues(
        scale=scale, left=columns.start, top=rows.start, frame_width=frame_width, frame_height=frame_height
    )


class _Axis:
    """Which two frame pixels each canvas position blends, and how.

    Attributes:
        start: Padding before the frame, float64 scalar.
        inside: (canvas,) true where the frame is.
        first, second: (canvas,) int64 positions in the frame.
        first_weight, second_weight: (canvas,) float32 whole numbers from 0 to 2048.
    """

    def __init__(self, graph: GraphWriter, frame_px: str, scale: str, canvas_px: int):
        def number(value: float) -> str:
            return graph.constant(value, np.float64)

        rounded = graph.op("Floor", graph.op("Add", graph.op("Mul", frame_px, scale), number(0.5)))
        scaled = graph.op("Min", graph.op("Max", rounded, number(1)), number(canvas_px))
        self.start = graph.op("Floor", graph.op("Mul", graph.op("Sub", number(canvas_px), scaled), number(0.5)))
        position = graph.op("Sub", graph.constant(np.arange(canvas_px), np.float64), self.start)
        self.inside = graph.op(
            "And", graph.op("GreaterOrEqual", position, number(0)), graph.op("Less", position, scaled)
        )
        # OpenCV takes the inverse of the inverse scale, and keeps the source position in single precision.
        step = graph.op("Div", number(1), graph.op("Div", scaled, frame_px))
        source = graph.op("Sub", graph.op("Mul", graph.op("Add", position, number(0.5)), step), number(0.5))
        source = graph.to_float(source)
        whole = graph.op("Floor", source)
        fraction = graph.op("Sub", source, whole)
        one = graph.constant(1, np.float32)
        self.first_weight, self.second_weight = (
            graph.op("Round", graph.op("Mul", weight, graph.constant(_WEIGHT_ONE, np.float32)))
            for weight in (graph.op("Sub", one, fraction), fraction)
        )
        last = graph.op("Sub", graph.to_int64(frame_px), graph.constant(1, np.int64))
        zero = graph.constant(0, np.int64)
        first = graph.to_int64(whole)
        second = graph.op("Add", first, graph.constant(1, np.int64))
        self.first, self.second = (graph.op("Min", graph.op("Max", index, zero), last) for index in (first, second))


def _per_value(graph: GraphWriter, columns: str, width_px: int) -> str:
    """Repeat (width_px,) for red, green and blue, (1, width_px * 3): broadcasting an axis of 3 is ten times slower."""
    repeated = graph.op("Expand", graph.reshape(columns, [width_px, 1]), graph.constant([width_px, 3], np.int64))
    return graph.reshape(repeated, [1, width_px * 3])


def _blend_columns(graph: GraphWriter, rows: str, columns: _Axis, width_px: int) -> str:
    """(canvas rows, W, 3) bytes to (canvas rows, canvas columns * 3), in 128ths of a byte, rounded down."""
    left, right = (
        graph.op(
            "Mul",
            graph.to_float(graph.reshape(graph.op("Gather", rows, index, axis=1), [-1, width_px * 3])),
            _per_value(graph, weight, width_px),
        )
        for index, weight in ((columns.first, columns.first_weight), (columns.second, columns.second_weight))
    )
    return graph.op("Floor", graph.op("Mul", graph.op("Add", left, right), graph.constant(1 / 16, np.float32)))


def _blend_rows(graph: GraphWriter, pair: list[str], rows: _Axis, height_px: int) -> str:
    """Two (canvas rows, values) arrays to whole numbers from 0 to 255."""
    share = graph.constant(1 / 65536, np.float32)
    upper, lower = (
        graph.op("Floor", graph.op("Mul", values, graph.op("Mul", graph.reshape(weight, [height_px, 1]), share)))
        for values, weight in zip(pair, (rows.first_weight, rows.second_weight), strict=True)
    )
    total = graph.op("Add", graph.op("Add", upper, lower), graph.constant(2, np.float32))
    return graph.op("Floor", graph.op("Mul", total, graph.constant(1 / 4, np.float32)))
