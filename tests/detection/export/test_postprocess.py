"""Suppression against torchvision and the detectors' own, and rows that hold nothing."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torchvision.ops import batched_nms

from tl_detection.detectors.suppression import STATE_IOU, overlap_limits, suppress
from tl_detection.export.graph import IR_VERSION, OPSET, GraphWriter
from tl_detection.export.postprocess import NOTHING, Candidates, write_outputs, write_suppression
from tl_detection.export.preprocess import PlacementValues


def session_of(graph: GraphWriter, inputs: dict[str, tuple[int, list]], outputs: dict[str, tuple[int, list]]):
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "t",
            [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
            [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
            list(graph.constants.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


# Each class by itself.
BY_CLASS = {"groups": (0, 1, 2), "limits": dict.fromkeys(range(3), 0.5)}


def suppressed(xyxy, score, class_id, *, groups, limits, threshold=0.1, n_kept=20):
    graph = GraphWriter("t")
    kept = write_suppression(
        graph,
        Candidates(xyxy="xyxy", score="score", class_id="class_id", total="score"),
        groups=groups,
        limits=limits,
        score_threshold=threshold,
        n_kept=n_kept,
    )
    for name in ("xyxy", "score", "class_id"):
        graph.rename(getattr(kept, name), f"kept_{name}")
    n = len(score)
    session = session_of(
        graph,
        {
            "xyxy": (TensorProto.FLOAT, [n, 4]),
            "score": (TensorProto.FLOAT, [n]),
            "class_id": (TensorProto.INT64, [n]),
        },
        {
            "kept_xyxy": (TensorProto.FLOAT, [n_kept, 4]),
            "kept_score": (TensorProto.FLOAT, [n_kept]),
            "kept_class_id": (TensorProto.INT64, [n_kept]),
        },
    )
    return session.run(None, {"xyxy": xyxy, "score": score, "class_id": class_id})


def random_boxes(n: int, seed: int):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (n, 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(5, 40, (n, 2))], axis=1).astype(np.float32)
    return xyxy, rng.uniform(0, 1, n).astype(np.float32), rng.integers(0, 3, n)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_kept", [5, 20, 300])
def test_keeps_what_torchvision_keeps(seed, n_kept):
    xyxy, score, class_id = random_boxes(200, seed)
    kept_xyxy, kept_score, kept_class = suppressed(xyxy, score, class_id, **BY_CLASS, n_kept=n_kept)
    above = np.flatnonzero(score > 0.1)
    tensors = [torch.from_numpy(values[above]) for values in (xyxy, score, class_id)]
    rows = above[batched_nms(*tensors, 0.5)[:n_kept].numpy()]
    n = len(rows)
    assert 0 < n <= n_kept
    np.testing.assert_array_equal(kept_xyxy[:n], xyxy[rows])
    np.testing.assert_array_equal(kept_score[:n], score[rows])
    np.testing.assert_array_equal(kept_class[:n], class_id[rows])
    assert (kept_score[n:] == NOTHING).all()
    assert (kept_class[n:] == -1).all()


# The group of each class, and by how much boxes of a class without a partner may overlap.
EXCLUSIVE = {
    "all classes exclude each other": ((0, 0, 0), 0.7),
    "two of three": ((0, 1, 0), 0.3),
    "two of three, and one limit": ((0, 1, 0), STATE_IOU),
    "the last two": ((0, 1, 1), 0.6),
    "none": ((0, 1, 2), 0.3),
}


@pytest.mark.parametrize(("groups", "class_iou"), EXCLUSIVE.values(), ids=EXCLUSIVE.keys())
@pytest.mark.parametrize("levels", [None, 8], ids=["scores differ", "scores are often equal"])
def test_keeps_what_the_detectors_keep_in_the_same_order(groups, class_iou, levels):
    xyxy, score, class_id = random_boxes(200, 7)
    if levels:
        score = (np.ceil(score * levels) / levels).astype(np.float32)
    limits = overlap_limits(groups, class_iou)
    kept = suppressed(xyxy, score, class_id, groups=groups, limits=limits, threshold=None, n_kept=300)
    tensors = [torch.from_numpy(values) for values in (xyxy, score, class_id)]
    rows = suppress(*tensors, groups, class_iou).numpy()
    assert 10 < len(rows) < 150
    for values, wanted in zip(kept, (xyxy, score, class_id), strict=True):
        np.testing.assert_array_equal(values[: len(rows)], wanted[rows])
    assert (kept[1][len(rows) :] == NOTHING).all()


def test_nothing_above_the_threshold_gives_rows_that_hold_nothing():
    xyxy, score, class_id = random_boxes(10, 0)
    _, kept_score, kept_class = suppressed(xyxy, score * 0.05, class_id, **BY_CLASS)
    assert (kept_score == NOTHING).all()
    assert (kept_class == -1).all()


def test_without_a_threshold_a_score_of_zero_counts_and_nothing_does_not():
    xyxy = np.array([[0, 0, 5, 5], [20, 20, 30, 30]], np.float32)
    score = np.array([0.0, NOTHING], np.float32)
    _, kept_score, _ = suppressed(xyxy, score, np.array([0, 1]), **BY_CLASS, threshold=None, n_kept=3)
    assert kept_score.tolist() == [0.0, NOTHING, NOTHING]


def test_rows_without_a_class_are_no_rivals():
    # The class -1 of an empty row would be the last one, whose boxes it must not touch.
    xyxy = np.array([[0, 0, 5, 5], [0, 0, 5, 5]], np.float32)
    kept = suppressed(
        xyxy,
        np.array([NOTHING, 0.2], np.float32),
        np.array([-1, 2]),
        groups=(0, 0, 0),
        limits={0: 0.4},
        threshold=None,
        n_kept=2,
    )
    assert kept[2].tolist() == [2, -1]


def test_outputs_are_in_the_frame_and_empty_rows_are_zero():
    graph = GraphWriter("t")
    placement = {"scale": 0.5, "left": 10.0, "top": 20.0, "frame_width": 200.0, "frame_height": 100.0}
    values = PlacementValues(**{name: graph.constant(value, np.float64) for name, value in placement.items()})
    found = Candidates(xyxy="xyxy", score="score", class_id="class_id", total="total")
    outputs = write_outputs(graph, [found], values, 4, "lowest")
    for name, value in outputs.items():
        graph.rename(value, name)
    session = session_of(
        graph,
        {
            "xyxy": (TensorProto.FLOAT, [4, 4]),
            "score": (TensorProto.FLOAT, [4]),
            "class_id": (TensorProto.INT64, [4]),
            "total": (TensorProto.FLOAT, []),
            "lowest": (TensorProto.FLOAT, [3]),
        },
        {
            "num_detections": (TensorProto.INT32, [1, 1]),
            "detection_boxes": (TensorProto.FLOAT, [1, 4, 4]),
            "detection_scores": (TensorProto.FLOAT, [1, 4]),
            "detection_classes": (TensorProto.INT32, [1, 4]),
        },
    )
    inside, in_padding, over_edge = [20, 30, 40, 40], [0, 0, 9, 60], [105, 65, 130, 90]
    inputs = {
        "xyxy": np.array([in_padding, inside, over_edge, [0, 0, 0, 0]], np.float32),
        "score": np.array([0.9, 0.8, 0.7, NOTHING], np.float32),
        "class_id": np.array([0, 1, 2, -1]),
        "total": np.array(7, np.float32),
        "lowest": np.zeros(3, np.float32),
    }
    count, boxes, scores, classes = session.run(None, inputs)
    assert count.tolist() == [[2]]
    assert boxes[0].tolist() == [[20, 20, 60, 40], [190, 90, 200, 100], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(scores[0], np.array([0.8, 0.7, 0, 0], np.float32))
    assert classes[0].tolist() == [1, 2, -1, -1]

    lowest = np.array([0, 0.81, 0.7], np.float32)  # a score that is its threshold stays
    count, boxes, scores, classes = session.run(None, inputs | {"lowest": lowest})
    assert (count.tolist(), classes[0].tolist()) == ([[1]], [2, -1, -1, -1])
    np.testing.assert_array_equal(scores[0], np.array([0.7, 0, 0, 0], np.float32))

    for broken in (np.nan, np.inf, -np.inf):
        assert session.run(["num_detections"], inputs | {"total": np.array(broken, np.float32)})[0].tolist() == [[-1]]
