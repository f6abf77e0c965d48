"""The end of an exported file: candidates become detections, boxes come back to the frame's pixels.

Every output has a fixed number of rows; rows past the count have box 0, score 0 and class -1. No content of a frame,
an empty one included, leads to another path through the graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from tl_detection.export.graph import GraphWriter
from tl_detection.export.preprocess import PlacementValues

# Score of a row that holds nothing; below every threshold, also that of proposals whose score rounds to 0.
NOTHING = -1.0
_ACCEPT_ZERO = -0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Names of the graph's values that hold N boxes.

    Attributes:
        xyxy: (N, 4) float32, network pixels.
        score: (N,) float32 in [0, 1], or `NOTHING`.
        group: (N,) int64; boxes of different groups do not suppress each other.
    """

    xyxy: str
    score: str
    group: str


def write_suppression(
    graph: GraphWriter,
    candidates: Candidates,
    *,
    n_groups: int,
    iou: float,
    score_threshold: float | None,
    n_kept: int,
) -> Candidates:
    """Keep the best boxes that no better box of their group overlaps.

    Args:
        graph: Written to.
        candidates: What to choose from.
        n_groups: Groups are 0 to this minus 1.
        iou: Boxes that overlap a better one by more vanish.
        score_threshold: Boxes at or below vanish; None = only those that hold nothing.
        n_kept: Rows of the result.

    Returns:
        `n_kept` rows, highest score first; rows without a box have score `NOTHING` and group -1.
    """
    in_group = graph.op(
        "Equal", graph.reshape(candidates.group, [1, -1]), graph.constant(np.arange(n_groups)[:, None], np.int64)
    )
    by_group = graph.op("Where", in_group, candidates.score, graph.constant(NOTHING, np.float32))
    threshold = _ACCEPT_ZERO if score_threshold is None else score_threshold
    selected = graph.op(
        "NonMaxSuppression",
        graph.op("Unsqueeze", candidates.xyxy, graph.constant([0], np.int64)),
        graph.op("Unsqueeze", by_group, graph.constant([0], np.int64)),
        graph.constant([n_kept], np.int64),
        graph.constant([iou], np.float32),
        graph.constant([threshold], np.float32),
    )
    position = graph.reshape(graph.columns(selected, 2, 3), [-1])
    padded = [
        graph.op("Concat", graph.op("Gather", values, position, axis=0), padding, axis=0)
        for values, padding in (
            (candidates.xyxy, graph.constant(np.zeros((n_kept, 4)), np.float32)),
            (candidates.score, graph.constant(np.full(n_kept, NOTHING), np.float32)),
            (candidates.group, graph.constant(np.full(n_kept, -1), np.int64)),
        )
    ]
    return _best(graph, Candidates(xyxy=padded[0], score=padded[1], group=padded[2]), n_kept)


def _best(graph: GraphWriter, rows: Candidates, n_kept: int) -> Candidates:
    score, position = graph.ops("TopK", rows.score, graph.constant([n_kept], np.int64), outputs=2, axis=0)
    return Candidates(
        xyxy=graph.reshape(graph.op("Gather", rows.xyxy, position, axis=0), [n_kept, 4]),
        score=graph.reshape(score, [n_kept]),
        group=graph.reshape(graph.op("Gather", rows.group, position, axis=0), [n_kept]),
    )


def write_outputs(graph: GraphWriter, found: Candidates, placement: PlacementValues, n_rows: int) -> dict[str, str]:
    """Bring boxes into the frame's pixels, cut them at its edges, and drop those outside.

    Args:
        graph: Written to.
        found: `n_rows` boxes in network pixels.
        placement: Where the frame lies in the network's input.
        n_rows: Rows of every output.

    Returns:
        Output name to the name of its value.
    """
    offset = _four(graph, placement.left, placement.top)
    limit = _four(graph, placement.frame_width, placement.frame_height)
    xyxy = graph.op("Div", graph.op("Sub", graph.to_double(found.xyxy), offset), placement.scale)
    xyxy = graph.op("Min", graph.op("Max", xyxy, graph.constant(0, np.float64)), limit)
    xyxy = graph.to_float(xyxy)
    corners = [graph.reshape(graph.columns(xyxy, i, i + 1), [n_rows]) for i in range(4)]
    has_area = graph.op("And", graph.op("Greater", corners[2], corners[0]), graph.op("Greater", corners[3], corners[1]))
    score = graph.op("Where", has_area, found.score, graph.constant(NOTHING, np.float32))
    rows = _best(graph, Candidates(xyxy=xyxy, score=score, group=found.group), n_rows)
    holds = graph.op("GreaterOrEqual", rows.score, graph.constant(0, np.float32))
    count = graph.op(
        "ReduceSum", graph.op("Cast", holds, to=TensorProto.INT32), graph.constant([0], np.int64), keepdims=1
    )
    zero = graph.constant(0, np.float32)
    boxes = graph.op("Where", graph.reshape(holds, [n_rows, 1]), rows.xyxy, zero)
    classes = graph.op("Where", holds, rows.group, graph.constant(-1, np.int64))
    return {
        "num_detections": graph.reshape(count, [1, 1]),
        "detection_boxes": graph.reshape(boxes, [1, n_rows, 4]),
        "detection_scores": graph.reshape(graph.op("Where", holds, rows.score, zero), [1, n_rows]),
        "detection_classes": graph.reshape(graph.op("Cast", classes, to=TensorProto.INT32), [1, n_rows]),
    }


def _four(graph: GraphWriter, x: str, y: str) -> str:
    """Two scalars as (4,): x, y, x, y."""
    pair = [graph.reshape(value, [1]) for value in (x, y)]
    return graph.op("Concat", *pair, *pair, axis=0)
