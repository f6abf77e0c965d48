"""The scores of COCO's own tool, for whoever wants them from there: slow, and without what COCO does not say.

A slice of frames is a data set of its own here. pycocotools' `accumulate` on some image ids after an `evaluate` of all
gives other images' scores without a word, so that is never done.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tl_datasets.label_space import IGNORE_ANY
from tl_detection.evaluation.detection_table import DetectionTable
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.pairs import BoolArray, FloatArray
from tl_detection.evaluation.protocol import COCO, CocoProtocol

_PER_CLASS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar100")


def score_with_pycocotools(
    truth: GroundTruth,
    table: DetectionTable,
    frame_mask: BoolArray | None = None,
    protocol: CocoProtocol = COCO,
) -> Mapping[str, float | None]:
    """COCO's numbers of a set of frames.

    Ties in score are put into the order of the protocol's rule first, since pycocotools keeps the order of its input.

    Args:
        truth: F frames.
        table: Detections of all frames.
        frame_mask: (F,) the frames to score; None = all.
        protocol: The rules.

    Returns:
        Value by word, as in `scores.Scores` ("ap", "ap_small", "ar10", ...) and per class as in `scores.ClassScores`
        ("ap50:red"); None where there is no object. Sizes, thresholds and limits that the protocol does not have are
        left out.
    """
    from pycocotools import coco, cocoeval

    mask = np.ones(len(truth), np.bool_) if frame_mask is None else frame_mask
    dataset, results = as_coco(truth, table, mask)
    with contextlib.redirect_stdout(io.StringIO()):
        asked = coco.COCO()
        asked.dataset = dataset  # type: ignore[assignment]
        asked.createIndex()
        if results:
            found = asked.loadRes(results)  # type: ignore[arg-type]
        else:  # loadRes does not take an empty list
            found = coco.COCO()
            found.dataset = {**dataset, "annotations": []}  # type: ignore[assignment]
            found.createIndex()
        judge = cocoeval.COCOeval(asked, found, "bbox")
        judge.params.iouThrs = np.array(protocol.iou_thresholds)
        judge.params.recThrs = np.linspace(0, 1, protocol.recall_points)
        judge.params.maxDets = list(protocol.max_detections)
        judge.params.areaRng = [[area.low_px2, area.high_px2] for area in protocol.area_ranges]
        judge.params.areaRngLbl = [area.name for area in protocol.area_ranges]
        judge.evaluate()
        judge.accumulate()
    return _values(judge.eval["precision"], judge.eval["recall"], truth.names, protocol)


def as_coco(
    truth: GroundTruth, table: DetectionTable, frame_mask: BoolArray
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A COCO data set of exactly these frames, ordered by frame id, and its results.

    Image, category and annotation ids begin at 1. An ignore area of every class occurs in each, as a crowd.
    """
    order = [row for row in np.argsort(truth.frame_rank) if frame_mask[row]]
    image_of = np.zeros(len(truth), np.int64)
    image_of[order] = np.arange(1, len(order) + 1)
    annotations = []
    boxes = np.lexsort((*truth.xyxy.T[::-1], truth.class_id))
    for box in boxes[frame_mask[truth.frame_index[boxes]]]:
        x1, y1, x2, y2 = truth.xyxy[box].tolist()
        of_any = truth.class_id[box] == IGNORE_ANY
        for class_id in range(len(truth.names)) if of_any else [int(truth.class_id[box])]:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": int(image_of[truth.frame_index[box]]),
                    "category_id": class_id + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": int(truth.is_ignored[box]),
                }
            )
    # Of equal overlaps the last box counts, in the order of their places.
    annotations.sort(key=lambda item: (item["category_id"], item["bbox"]))
    kept = np.flatnonzero(frame_mask[table.frame_index])
    kept = kept[np.lexsort((*table.xyxy[kept].T[::-1], truth.frame_rank[table.frame_index[kept]]))]
    bbox = np.concatenate([table.xyxy[kept, :2], table.sizes[kept]], axis=1)
    columns = (image_of[table.frame_index[kept]], table.class_id[kept] + 1, bbox, table.score[kept])
    results = [
        {"image_id": image_id, "category_id": category_id, "bbox": box, "score": score}
        for image_id, category_id, box, score in zip(*(column.tolist() for column in columns), strict=True)
    ]
    dataset = {
        "info": {},
        "images": [{"id": index} for index in range(1, len(order) + 1)],
        "categories": [{"id": index, "name": name} for index, name in enumerate(truth.names, start=1)],
        "annotations": annotations,
    }
    return dataset, results


def _values(
    precision: FloatArray, recall: FloatArray, names: tuple[str, ...], protocol: CocoProtocol
) -> dict[str, float | None]:
    """From pycocotools' (thresholds, recalls, classes, areas, limits) and (thresholds, classes, areas, limits)."""
    values: dict[str, float | None] = {}
    for each, name in [(slice(None), None), *((slice(index, index + 1), name) for index, name in enumerate(names))]:
        found: dict[str, float | None] = {"ap": _mean(precision[:, :, each, 0, -1])}
        for word, iou in (("ap50", 0.5), ("ap75", 0.75)):
            level = protocol.threshold_index(iou)
            if level is not None:
                found[word] = _mean(precision[level, :, each, 0, -1])
        for index, area in enumerate(protocol.area_ranges[1:], start=1):
            found[f"ap_{area.name}"] = _mean(precision[:, :, each, index, -1])
            found[f"ar_{area.name}"] = _mean(recall[:, each, index, -1])
        for index, limit in enumerate(protocol.max_detections):
            found[f"ar{limit}"] = _mean(recall[:, each, 0, index])
        kept = found.keys() if name is None else [word for word in found if word in _PER_CLASS]
        values |= {word if name is None else f"{word}:{name}": found[word] for word in kept}
    return values


def _mean(values: FloatArray) -> float | None:
    """Of what has a value; pycocotools says -1 where there is none."""
    known = values[values > -1]
    mean = float(known.mean()) if known.size else math.nan
    return None if math.isnan(mean) else mean
