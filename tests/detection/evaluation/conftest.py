"""Problems, and pycocotools as the judge."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.taxonomy import Scene, State, TimeOfDay, Weather
from tl_detection.detector import Detections
from tl_detection.evaluation.ground_truth import GroundTruth, ground_truth_from_catalog

STATS = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
)
LIGHTS = LabelSpace(
    classes={name: Rule(state=[name]) for name in ("red", "yellow", "green", "off")},
    ignore=(Rule(state=["unknown"]),),
    drop=(Rule(state=[None]),),
)


@dataclass
class Problem:
    """A catalog, its label space, and one detections object per frame."""

    catalog: Catalog
    label_space: LabelSpace
    detections: list[Detections]

    @property
    def ground_truth(self) -> GroundTruth:
        return ground_truth_from_catalog(self.catalog, self.label_space)


@pytest.fixture(scope="session")
def lights() -> LabelSpace:
    return LIGHTS


@pytest.fixture(scope="session")
def detections_of() -> Callable[..., Detections]:
    """Detections from rows (x1, y1, x2, y2, score, class id)."""
    return _detections


@pytest.fixture(scope="session")
def catalog_of() -> Callable[..., Catalog]:
    """A catalog from frames, whose images do not exist."""
    return lambda frames: Catalog.from_frames(frames, source="drawn", root=Path("/nowhere"))


@pytest.fixture(scope="session")
def problem_of() -> Callable[..., Problem]:
    """A problem of one frame from red boxes and detections of them, as rows (x1, y1, x2, y2, score)."""
    return _one_frame_problem


@pytest.fixture(scope="session")
def random_problem() -> Callable[..., Problem]:
    """A seeded problem with everything that COCO's rules distinguish."""
    return _random_problem


@pytest.fixture(scope="session")
def coco_verdict() -> Callable[..., tuple[dict[str, float | None], list[dict[str, float | None]]]]:
    """pycocotools' 12 statistics, and AP, AP50, AP75, AR100 per class, of the frames with the given ids."""
    return _coco_verdict


def _detections(rows: Sequence[Sequence[float]]) -> Detections:
    table = np.asarray(rows, dtype=np.float64).reshape(-1, 6)
    return Detections(xyxy=table[:, :4], score=table[:, 4], class_id=table[:, 5].astype(int))


def _one_frame_problem(boxes: Sequence[Sequence[float]], rows: Sequence[Sequence[float]]) -> Problem:
    annotations = tuple(Annotation(xyxy=tuple(box), state=State.RED) for box in boxes)
    frame = Frame(frame_id="a", path="a.png", width_px=640, height_px=480, annotations=annotations)
    catalog = Catalog.from_frames([frame], source="drawn", root=Path("/nowhere"))
    return Problem(catalog, LIGHTS, [_detections([(*row, 0) for row in rows])])


def _random_problem(seed: int, n_frames: int = 24, *, on_grid: bool = True, crowded: bool = True) -> Problem:
    """Boxes on a coarse grid (exact overlaps and equal ones) or anywhere; scores with many ties, or none."""
    rng = np.random.default_rng(seed)
    step = 8.0 if on_grid else 1e-3

    def boxes(n: int) -> np.ndarray:
        size = np.exp(rng.uniform(np.log(8), np.log(160), (n, 2)))
        corner = rng.uniform(0, 300, (n, 2))
        xyxy = np.concatenate([corner, corner + size], axis=1)
        xyxy = np.round(xyxy / step) * step
        xyxy[:, 2:] = np.maximum(xyxy[:, 2:], xyxy[:, :2] + step)
        return xyxy

    states = [State.RED, State.YELLOW, State.GREEN, State.OFF][: rng.integers(2, 5)]
    frames, detections = [], []
    for index in rng.permutation(n_frames):
        n = int(rng.choice([0, 1, 4, 12]))
        truth = boxes(n)
        if n > 3:
            truth[1] = truth[0]
        chosen = [states[i] for i in rng.integers(0, len(states), n)]
        words = [State.UNKNOWN if rng.random() < 0.1 else None if rng.random() < 0.05 else word for word in chosen]
        ignore = rng.random(n) < 0.15
        annotations = [
            Annotation(xyxy=tuple(box), state=word, ignore=bool(flag))
            for box, word, flag in zip(truth.tolist(), words, ignore, strict=True)
        ]
        frames.append(
            Frame(
                frame_id=f"frame{index}",
                path=f"frame{index}.png",
                width_px=600,
                height_px=600,
                annotations=tuple(annotations),
                weather=rng.choice([Weather.CLEAR, Weather.RAINY, Weather.FOGGY, None]),
                scene=rng.choice([Scene.HIGHWAY, Scene.TUNNEL]),
                time_of_day=rng.choice([TimeOfDay.DAYTIME, TimeOfDay.NIGHT, None]),
            )
        )
        near = np.repeat(truth, rng.integers(0, 4, n), axis=0)
        near = np.round((near + rng.normal(0, 5, near.shape)) / step) * step
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + step)
        near_class = rng.integers(0, 4, len(near))
        anywhere = boxes(int(rng.choice([0, 3, 130])) if crowded else 3)
        xyxy = np.concatenate([truth, near, anywhere])
        class_id = np.concatenate(
            [
                [LIGHTS.names.index(word) for word in chosen],
                near_class,
                rng.integers(0, 4, len(anywhere)) if rng.random() < 0.5 else np.zeros(len(anywhere)),
            ]
        ).astype(int)
        score = rng.random(len(xyxy))
        if on_grid:
            score = np.round(score * 12) / 12
        order = rng.permutation(len(xyxy))
        detections.append(Detections(xyxy=xyxy[order], score=score[order], class_id=class_id[order]))
    catalog = Catalog.from_frames(frames, source="drawn", root=Path("/nowhere"))
    return Problem(catalog, LIGHTS, detections)


def _coco_verdict(
    problem: Problem, frame_ids: Sequence[str]
) -> tuple[dict[str, float | None], list[dict[str, float | None]]]:
    """Feed pycocotools the frames in the order of their ids and boxes in order of position: our rule for ties.

    The data set itself holds only these frames; no subset is ever passed to a full evaluation.
    """
    wanted = sorted(frame_ids)
    row_of = {frame_id: row for row, frame_id in enumerate(problem.catalog.frames["frame_id"])}
    names = problem.label_space.names
    annotations, results = [], []
    for image_id, frame_id in enumerate(wanted, start=1):
        row = row_of[frame_id]
        boxes = problem.catalog.annotations.filter(pl.col("frame_id") == frame_id)
        objects = []
        for box in boxes.iter_rows(named=True):
            xyxy = (box["x1"], box["y1"], box["x2"], box["y2"])
            if box["state"] in names:
                objects.append((names.index(box["state"]), xyxy, box["ignore"]))
            elif box["state"] == "unknown":
                objects.extend((class_id, xyxy, True) for class_id in range(len(names)))
        for class_id, xyxy, is_crowd in sorted(objects, key=lambda item: item[:2]):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": class_id + 1,
                    "bbox": _xywh(xyxy),
                    "area": (xyxy[2] - xyxy[0]) * (xyxy[3] - xyxy[1]),
                    "iscrowd": int(is_crowd),
                }
            )
        found = problem.detections[row]
        columns = zip(found.xyxy.tolist(), found.score.tolist(), found.class_id.tolist(), strict=True)
        for xyxy, score, class_id in sorted(columns, key=lambda item: item[0]):
            results.append({"image_id": image_id, "category_id": class_id + 1, "bbox": _xywh(xyxy), "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": index} for index in range(1, len(wanted) + 1)],
            "categories": [{"id": index, "name": name} for index, name in enumerate(names, start=1)],
            "annotations": annotations,
        }
        truth.createIndex()
        found = truth.loadRes(results) if results else COCO()
        judge = COCOeval(truth, found, "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    overall = {name: _value(number) for name, number in zip(STATS, judge.stats, strict=True)}
    precision, recall = judge.eval["precision"], judge.eval["recall"]
    per_class = [
        {
            "ap": _mean(precision[:, :, index, 0, 2]),
            "ap50": _mean(precision[0, :, index, 0, 2]),
            "ap75": _mean(precision[5, :, index, 0, 2]),
            "ap_small": _mean(precision[:, :, index, 1, 2]),
            "ap_medium": _mean(precision[:, :, index, 2, 2]),
            "ap_large": _mean(precision[:, :, index, 3, 2]),
            "ar100": _mean(recall[:, index, 0, 2]),
        }
        for index in range(len(names))
    ]
    return overall, per_class


def _xywh(xyxy: Sequence[float]) -> list[float]:
    return [xyxy[0], xyxy[1], xyxy[2] - xyxy[0], xyxy[3] - xyxy[1]]


def _mean(values: np.ndarray) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _value(number: float) -> float | None:
    return None if number == -1 else float(number)
