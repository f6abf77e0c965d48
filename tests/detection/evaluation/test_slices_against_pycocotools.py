"""Slices of objects, scored by pycocotools: what is chosen gets area 1, the rest area 2, and area 1 is asked for."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tl_datasets.label_space import IGNORE_ANY
from tl_detection.evaluation.conditions import slices_by
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.scores import score
from tl_detection.evaluation.slices import slice_by_expression

CHOSEN, OTHER = 1, 2
EXPRESSIONS = (
    "height_px < 40",
    "12 <= width_px < 60 & rainy",
    "rainy | width_px > 60",
    "red | height_px > 80",
    "~(night & area_px2 < 2000)",
    "y1 > 100 and time_of_day == None",
    "relevance == None and foggy",
    "occluded",
)


@pytest.mark.parametrize("seed", range(2))
def test_a_slice_of_objects_scores_what_pycocotools_says(random_problem, seed):
    problem = random_problem(seed, 16)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    slices = [slice_by_expression(truth, text) for text in EXPRESSIONS]
    slices += slices_by(truth, ["state", "weather*height_px"])
    with_objects = 0
    for item in slices:
        ours = score(item.records(matched), item.frame_mask, [0.5] * 4)
        theirs = _verdict(matched, item)
        for name, expected in theirs.items():
            assert getattr(ours, name) == pytest.approx(expected, abs=1e-12), f"{item.name}: {name}"
        with_objects += theirs["ap"] is not None
    assert with_objects > 10


def _verdict(matched, item):
    """AP, AP50 and AR100; pycocotools is given the frames by id and the boxes by position, which is our tie rule."""
    truth, selection = matched.ground_truth, item.select(matched)
    frames = sorted(np.flatnonzero(selection.frames).tolist(), key=lambda frame: truth.frame_ids[frame])
    image = {frame: number for number, frame in enumerate(frames, start=1)}
    boxes = sorted(
        (box for box in range(len(truth.class_id)) if int(truth.frame_index[box]) in image),
        key=lambda box: (truth.xyxy[box].tolist(), box),
    )
    annotations = [
        {
            "id": number,
            "image_id": image[int(truth.frame_index[box])],
            "category_id": class_id + 1,
            "bbox": _xywh(truth.xyxy[box]),
            "area": CHOSEN if selection.objects[box] else OTHER,
            "iscrowd": int(truth.is_ignored[box]),
        }
        for number, (box, class_id) in enumerate(
            (
                (box, class_id)
                for box in boxes
                for class_id in range(len(truth.names))
                if truth.class_id[box] in (class_id, IGNORE_ANY)
            ),
            start=1,
        )
    ]
    at = [index for index in range(len(matched.score)) if int(matched.frame_index[index]) in image]
    at.sort(key=lambda index: matched.xyxy[index].tolist())
    results = [
        {
            "image_id": image[int(matched.frame_index[index])],
            "category_id": int(matched.class_id[index]) + 1,
            "bbox": _xywh(matched.xyxy[index]),
            "score": float(matched.score[index]),
        }
        for index in at
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth_coco, found = COCO(), COCO()
        truth_coco.dataset = {
            "info": {},
            "images": [{"id": number} for number in image.values()],
            "categories": [{"id": index, "name": name} for index, name in enumerate(truth.names, start=1)],
            "annotations": annotations,
        }
        truth_coco.createIndex()
        if results:
            found = truth_coco.loadRes(results)
            for annotation, index in zip(found.dataset["annotations"], at, strict=True):
                annotation["area"] = CHOSEN if selection.detections[index] else OTHER
        judge = COCOeval(truth_coco, found, "bbox")
        judge.params.areaRng, judge.params.areaRngLbl = [[CHOSEN, CHOSEN]], ["all"]
        judge.evaluate()
        judge.accumulate()
    precision, recall = judge.eval["precision"], judge.eval["recall"]
    parts = {"ap": precision[..., 0, 2], "ap50": precision[0, ..., 0, 2], "ar100": recall[..., 0, 2]}
    return {name: float(part[part > -1].mean()) if (part > -1).any() else None for name, part in parts.items()}


def _xywh(xyxy):
    return [*xyxy[:2].tolist(), *(xyxy[2:] - xyxy[:2]).tolist()]
