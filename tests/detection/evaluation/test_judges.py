"""Scores of random problems in double precision beside those of pycocotools, hotcoco and faster-coco-eval."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from tl_detection.evaluation.conditions import slices_by
from tl_detection.evaluation.detection_table import DetectionTable
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.protocol import COCO, AreaRange, CocoProtocol
from tl_detection.evaluation.pycocotools_backend import as_coco, score_with_pycocotools
from tl_detection.evaluation.scores import score

STATS = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
)
FEW = CocoProtocol(
    iou_thresholds=(0.3, 0.5, 0.62, 0.95),
    max_detections=(2, 5),
    area_ranges=(COCO.area_ranges[0], AreaRange(name="small", low_px2=50.0, high_px2=700.5)),
    recall_points=11,
)


@pytest.fixture
def double_problem(random_problem):
    """Ground truth, and detections whose widths are doubles of their own, with ties and shared places."""

    def make(seed):
        problem = random_problem(seed, on_grid=bool(seed % 2))
        rng = np.random.default_rng(1000 + seed)
        table = DetectionTable.of(problem.detections)
        moved = rng.random(len(table)) < 0.7
        xyxy = table.xyxy + np.where(moved, 1.0, 0.0)[:, None] * rng.normal(0, 0.3, (len(table), 4))
        size = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0.25) + rng.choice([0, 1e-13, 1 / 3], (len(table), 1))
        xyxy[:, 2:] = xyxy[:, :2] + size
        scores = np.where(rng.random(len(table)) < 0.5, np.round(table.score, 1), rng.random(len(table)))
        return problem.ground_truth, replace(table, xyxy=xyxy, size_px=size, score=scores)

    return make


def assert_equal(ours, judged, names):
    n = 0
    for word, expected in judged.items():
        name, _, class_name = word.partition(":")
        found = getattr(ours.classes[names.index(class_name)] if class_name else ours, name, None)
        if found is None and expected is not None and not hasattr(ours, name):
            continue
        assert (found is None) == (expected is None), word
        assert found is None or found == pytest.approx(expected, abs=1e-12), word
        n += found is not None
    assert n >= 4


@pytest.mark.parametrize("protocol", [COCO, FEW], ids=["COCO", "another protocol"])
@pytest.mark.parametrize("seed", range(8))
def test_doubles_score_as_pycocotools_scores_them_in_every_slice(double_problem, seed, protocol):
    truth, table = double_problem(seed)
    matched = match(truth, table, protocol)
    assert_equal(score(matched), score_with_pycocotools(truth, table, protocol=protocol), truth.names)
    for item in slices_by(truth, ["weather"]):
        judged = score_with_pycocotools(truth, table, item.frame_mask, protocol)
        assert_equal(score(matched, item.frame_mask), judged, truth.names)


def test_nothing_detected_is_judged_too(double_problem):
    truth, table = double_problem(0)
    none = table.take(np.zeros(0, np.int64))
    assert score_with_pycocotools(truth, none)["ap"] == 0
    no_frame = score_with_pycocotools(truth, table, np.zeros(len(truth), np.bool_))
    assert len(no_frame) == 12 + 7 * 4 and set(no_frame.values()) == {None}


@pytest.mark.parametrize("seed", range(3))
def test_hotcoco_says_the_same(double_problem, tmp_path, seed):
    hotcoco = pytest.importorskip("hotcoco")
    truth, table = double_problem(seed)
    dataset, results = as_coco(truth, table, np.ones(len(truth), np.bool_))
    (tmp_path / "truth.json").write_text(json.dumps(dataset))
    (tmp_path / "results.json").write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = hotcoco.COCO(str(tmp_path / "truth.json"))
        judge = hotcoco.COCOeval(coco, coco.load_res(str(tmp_path / "results.json")), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    ours = score(match(truth, table))
    for name, expected in zip(STATS, judge.stats, strict=True):
        assert getattr(ours, name) == pytest.approx(expected, abs=1e-9), name


@pytest.mark.parametrize("seed", range(3))
def test_faster_coco_eval_says_the_same(double_problem, seed):
    faster = pytest.importorskip("faster_coco_eval")
    truth, table = double_problem(seed)
    dataset, results = as_coco(truth, table, np.ones(len(truth), np.bool_))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = faster.COCO(dataset)
        judge = faster.COCOeval_faster(coco, coco.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    ours = score(match(truth, table))
    for name, expected in zip(STATS, judge.stats, strict=False):
        assert getattr(ours, name) == pytest.approx(expected, abs=1e-9), name
