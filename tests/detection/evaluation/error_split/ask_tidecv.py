"""Write what the authors' tool says of the drawn problems into tidecv_figures.json.

    python tests/detection/evaluation/error_split/ask_tidecv.py      (needs tidecv 1.0.1, which nothing else does)

tidecv leaves out frames that it was not told of, so all are named to it. It reads precision at the recalls x / 100 and
COCO at those of numpy's linspace, which differ in the last bit; where a recall lies just there that gives 0.1 % of
average precision. So its average precision is taken as pycocotools takes it; kinds and mending are its own.
"""

from __future__ import annotations

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
from tidecv import TIDE  # type: ignore[import-not-found]
from tidecv.ap import APDataObject  # type: ignore[import-not-found]
from tidecv.data import Data  # type: ignore[import-not-found]

FOLDER = Path(__file__).resolve().parent
KINDS = {
    "Cls": "classification",
    "Loc": "localisation",
    "Both": "both",
    "Dupe": "duplicate",
    "Bkg": "background",
    "Miss": "missed",
    "FalsePos": "false_positives",
    "FalseNeg": "false_negatives",
}


def coco_ap(self: APDataObject) -> float:
    """Average precision in per cent, by the steps of pycocotools' accumulate."""
    if not self.num_gt_positives:
        return 0.0
    points = sorted(self.data_points.values(), key=lambda point: -point[0])
    right = np.cumsum([bool(point[1]) for point in points]) if points else np.zeros(0)
    precision = (right / np.arange(1, len(points) + 1)).tolist()
    for index in range(len(precision) - 1, 0, -1):
        precision[index - 1] = max(precision[index - 1], precision[index])
    places = np.searchsorted(right / self.num_gt_positives, np.linspace(0, 1, 101), side="left")
    return 100 * float(np.mean([precision[place] if place < len(precision) else 0.0 for place in places]))


def ask(seed: int) -> dict[str, object]:
    """AP50 in per cent, and per kind the number of errors (None of sums) and what mending them adds."""
    spec = spec_from_file_location("drawn", FOLDER / "conftest.py")
    drawn = module_from_spec(spec)
    spec.loader.exec_module(drawn)
    truth, detections = drawn.draw_problem(seed)
    objects, found = Data("objects"), Data("found")
    for frame, item in enumerate(detections):
        objects.add_image(frame, str(frame))
        for box in range(truth.offsets[frame], truth.offsets[frame + 1]):
            objects.add_ground_truth(frame, int(truth.class_id[box]), xywh(truth.xyxy[box].tolist()))
        columns = (item.xyxy.astype(float), item.score.astype(float), item.class_id)
        for xyxy, score, class_id in zip(*(column.tolist() for column in columns), strict=True):
            found.add_detection(frame, class_id, score, xywh(xyxy))
    APDataObject.get_ap = coco_ap
    run = TIDE().evaluate(objects, found, pos_threshold=0.5, background_threshold=0.1, mode=TIDE.BOX)
    counts = run.count_errors()
    gains = {**run.fix_main_errors(), **run.fix_special_errors()}
    errors = {KINDS[kind.short_name]: [counts.get(kind), round(gain, 6)] for kind, gain in gains.items()}
    return {"ap50": round(run.ap, 6), "errors": errors}


def xywh(xyxy: list[float]) -> list[float]:
    return [xyxy[0], xyxy[1], xyxy[2] - xyxy[0], xyxy[3] - xyxy[1]]


if __name__ == "__main__":
    figures = {seed: ask(seed) for seed in range(6)}
    (FOLDER / "tidecv_figures.json").write_text(json.dumps(figures, indent=1) + "\n")
