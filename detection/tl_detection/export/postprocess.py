"""The end of an exported file: candidates become detections, boxes come back to the frame's pixels.

Every output has a fixed number of rows; rows past the count have box 0, score 0 and class -1. No content of a frame,
an empty one included, leads to another path through the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from onnx import TensorProto

from tl_detection.export.graph import GraphWriter
from tl_detection.export.preprocess import PlacementValues
from tl_runtime.contract import NOT_FINITE, OUTPUT_NAMES

# Score of a row that holds nothing; below every threshold, also that of proposals whose score rounds to 0.
NOTHING = -1.0
_ACCEPT_ZERO = -0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Names of the graph's values that hold N boxes.

    Attributes:
        xyxy: (N, 4) float32, network pixels.
        score: (N,) float32 in [0, 1], or `NOTHING`.
        class_id: (N,) int64; of proposals their pyramid level; -1 where the row holds nothing.
        total: () float32, a sum over everything that the network gave: finite if all of it is.
    """

    xyxy: str
    score: str
    class_id: str
    total: str


def write_suppression(
    graph: GraphWriter,
    candidates: Candidates,
    *,
    groups: Sequence[int],
    limits: Mapping[int, float],
    score_threshold: float | None,
    n_kept: int,
) -> Candidates:
    """Keep the best boxes that no better box of their group overlaps; what `suppress` of the detectors does.

    Args:
        graph: Written to.
        candidates: What to choose from; of equal scores the earlier is the better.
        groups: Group of each class; boxes of different groups do not suppress each other.
        limits: Group -> IoU; boxes that overlap a better one of the group by more vanish.
        score_threshold: Boxes at or below vanish; None = only those that hold nothing.
        n_kept: Rows of the result.

    Returns:
        `n_kept` rows, highest score first; rows without a box have score `NOTHING` and class -1. Of equal scores the
        one whose group comes first in `limits` is first.
    """
    # A row that holds nothing takes the last class's group; its score keeps it out.
    group = graph.op("Gather", graph.constant(list(groups), np.int64), candidates.class_id, axis=0)
    boxes = graph.op("Unsqueeze", candidates.xyxy, graph.constant([0], np.int64))
    threshold = _ACCEPT_ZERO if score_threshold is None else score_threshold
    positions = []
    # One suppression for neighbours in `limits` with the same limit: within it, groups are handled in this order.
    for limit, items in groupby(limits, key=limits.__getitem__):
        in_group = graph.op(
            "Equal", graph.reshape(group, [1, -1]), graph.constant(np.array(list(items))[:, None], np.int64)
        )
        by_group = graph.op("Where", in_group, candidates.score, graph.constant(NOTHING, np.float32))
        selected = graph.op(
            "NonMaxSuppression",
            boxes,
            graph.op("Unsqueeze", by_group, graph.constant([0], np.int64)),
            graph.constant([n_kept], np.int64),
            graph.constant([limit], np.float32),
            graph.constant([threshold], np.float32),
        )
        positions.append(graph.reshape(graph.columns(selected, 2, 3), [-1]))
    position = graph.op("Concat", *positions, axis=0) if len(positions) > 1 else positions[0]
    padded = [
        graph.op("Concat", graph.op("Gather", values, position, axis=0), padding, axis=0)
        for values, padding in (
            (candidates.xyxy, graph.constant(np.zeros((n_kept, 4)), np.float32)),
            (candidates.score, graph.constant(np.full(n_kept, NOTHING), np.float32)),
            (candidates.class_id, graph.constant(np.full(n_kept, -1), np.int64)),
        )
    ]
    kept = Candidates(xyxy=padded[0], score=padded[1], class_id=padded[2], total=candidates.total)
    return _best(graph, kept, n_kept)


def _best(graph: GraphWriter, rows: Candidates, n_kept: int) -> Candidates:
    score, position = graph.ops("TopK", rows.score, graph.constant([n_kept], np.int64), outputs=2, axis=0)
    return Candidates(
        xyxy=graph.reshape(graph.op("Gather", rows.xyxy, position, axis=0), [n_kept, 4]),
        score=graph.reshape(score, [n_kept]),
        class_id=graph.reshape(graph.op("Gather", rows.class_id, position, axis=0), [n_kept]),
        total=rows.total,
    )


def write_outputs(
    graph: GraphWriter, found: Sequence[Candidates], placement: PlacementValues, n_rows: int, thresholds: str
) -> dict[str, str]:
    """Bring boxes into the frame's pixels, cut them at its edges, drop those outside and those below their threshold.

    Args:
        graph: Written to.
        found: For each frame `n_rows` boxes in network pixels.
        placement: Where the frames lie in the network's input.
        n_rows: Rows of every output.
        thresholds: Name of the (C,) float32 lowest scores, by class.

    Returns:
        Output name to the name of its value.
    """
    frames = [_finish(graph, candidates, placement, n_rows, thresholds) for candidates in found]
    return {
        name: graph.op("Concat", *(values[name] for values in frames), axis=0) if len(frames) > 1 else frames[0][name]
        for name in OUTPUT_NAMES
    }


def _finish(
    graph: GraphWriter, found: Candidates, placement: PlacementValues, n_rows: int, thresholds: str
) -> dict[str, str]:
    offset = _four(graph, placement.left, placement.top)
    limit = _four(graph, placement.frame_width, placement.frame_height)
    xyxy = graph.op("Div", graph.op("Sub", graph.to_double(found.xyxy), offset), placement.scale)
    xyxy = graph.op("Min", graph.op("Max", xyxy, graph.constant(0, np.float64)), limit)
    xyxy = graph.to_float(xyxy)
    corners = [graph.reshape(graph.columns(xyxy, i, i + 1), [n_rows]) for i in range(4)]
    has_area = graph.op("And", graph.op("Greater", corners[2], corners[0]), graph.op("Greater", corners[3], corners[1]))
    # A row that holds nothing has class -1, the last one; its score is below every threshold.
    counts = graph.op("GreaterOrEqual", found.score, graph.op("Gather", thresholds, found.class_id, axis=0))
    is_shown = graph.op("And", has_area, counts)
    score = graph.op("Where", is_shown, found.score, graph.constant(NOTHING, np.float32))
    rows = _best(graph, Candidates(xyxy=xyxy, score=score, class_id=found.class_id, total=found.total), n_rows)
    holds = graph.op("GreaterOrEqual", rows.score, graph.constant(0, np.float32))
    count = graph.op(
        "ReduceSum", graph.op("Cast", holds, to=TensorProto.INT32), graph.constant([0], np.int64), keepdims=1
    )
    zero = graph.constant(0, np.float32)
    boxes = graph.op("Where", graph.reshape(holds, [n_rows, 1]), rows.xyxy, zero)
    classes = graph.op("Where", holds, rows.class_id, graph.constant(-1, np.int64))
    # Suppression drops what is not a number, so that a broken network would look like an empty road.
    is_broken = graph.op("Or", graph.op("IsNaN", found.total), graph.op("IsInf", found.total))
    count = graph.op("Where", is_broken, graph.constant(NOT_FINITE, np.int32), count)
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
