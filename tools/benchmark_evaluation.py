"""Processor time and memory of an evaluation on a problem of the size of BDD100K's validation part.

python tools/benchmark_evaluation.py [--images 10000] [--detections 1000000] [--replicates 1000] [--only NAME ...]

Drawn at random from a seed: images with BDD100K's ten classes in its proportions, weather x scene x time of day, and
detections near the objects and anywhere; each image is a sequence of its own, as in BDD100K. The problem is written as
a COCO data set, a list of results and a catalog, and every way of scoring is a process of its own that reads these
files. Its processor time is the whole process's with its children, less that of its imports.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from tl_datasets.catalog import ANNOTATION_SCHEMA, CONDITIONS, FRAME_SCHEMA, Catalog
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.taxonomy import LabelStatus, Scene, TimeOfDay, Weather

# Boxes of each class in BDD100K's validation part (10,000 images, 185,526 boxes).
BOXES = {
    "car": 102506,
    "traffic_sign": 34908,
    "traffic_light": 26885,
    "pedestrian": 13262,
    "truck": 4245,
    "bus": 1597,
    "bicycle": 1007,
    "rider": 649,
    "motorcycle": 452,
    "train": 15,
}
CLASSES = tuple(BOXES)
LABEL_SPACE = LabelSpace(classes={name: Rule(category=[name]) for name in CLASSES}, otherwise="drop")
WEATHER = [word for word in Weather if word is not Weather.SANDSTORM]  # BDD100K's seven
WIDTH_PX, HEIGHT_PX = 1280, 720
BY = (*CONDITIONS, "weather*time_of_day")


def draw_problem(folder: Path, n_images: int, n_detections: int, seed: int) -> None:
    """Write truth.json, results.json, results.parquet and catalog/ into a folder."""
    rng = np.random.default_rng(seed)
    shares = np.array(list(BOXES.values())) / sum(BOXES.values())
    n_boxes = round(n_images * 18.5)
    image = np.sort(rng.integers(0, n_images, n_boxes))
    class_id = rng.choice(len(CLASSES), n_boxes, p=shares)
    xywh = _boxes(n_boxes, rng)
    is_crowd = rng.random(n_boxes) < 0.01
    xyxy = np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])
    # As whoever reads the catalog has them: x + width is rounded.
    xywh = np.hstack([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]])
    # How good the detector is in a frame, and on an object.
    skill = rng.normal(0, 0.6, n_images)[image] + 0.9 * np.log(xywh[:, 2:].min(axis=1) / 20) + rng.normal(0, 1, n_boxes)
    copies = rng.poisson(np.clip(0.9 + 0.25 * skill, 0.05, 2.5))
    copies = np.where(rng.random(n_boxes) < 1 / (1 + np.exp(-1.2 - skill)), np.maximum(copies, 1), 0)
    near = np.repeat(np.arange(n_boxes), copies)[:n_detections]
    shift = rng.normal(0, 1, (len(near), 4)) * np.exp(-2.6 - 0.25 * skill[near])[:, None]
    near_box = xywh[near] + np.tile(xywh[near, 2:], 2) * shift
    n_noise = n_detections - len(near)
    box = np.concatenate([near_box, _boxes(n_noise, rng)])
    box[:, 2:] = np.maximum(box[:, 2:], 1)
    box = np.round(box, 2)
    score = np.concatenate(
        [1 / (1 + np.exp(-0.6 - skill[near] - rng.normal(0, 1, len(near)))), rng.beta(0.5, 6, n_noise)]
    )
    score = np.round(np.clip(score, 0.001, 0.999), 5)
    found_class = np.concatenate([class_id[near], rng.choice(len(CLASSES), n_noise, p=shares)])
    found_image = np.concatenate([image[near], rng.integers(0, n_images, n_noise)])
    order = np.argsort(found_image, kind="stable")
    box, score, found_class, found_image = box[order], score[order], found_class[order], found_image[order]

    frame_id = np.array([f"{index:07}" for index in range(n_images)])
    conditions = {
        "weather": rng.choice(WEATHER, n_images, p=_shares(len(WEATHER))),
        "scene": rng.choice([*Scene], n_images, p=_shares(len(Scene))),
        "time_of_day": rng.choice([*TimeOfDay], n_images, p=_shares(len(TimeOfDay))),
    }
    frames = pl.DataFrame(
        {
            "frame_id": frame_id,
            "path": [f"{name}.jpg" for name in frame_id],
            "source": ["drawn"] * n_images,
            "width_px": [WIDTH_PX] * n_images,
            "height_px": [HEIGHT_PX] * n_images,
            "label_status": [str(LabelStatus.LABELLED)] * n_images,
            "sequence": frame_id,
            **{name: [str(word) for word in words] for name, words in conditions.items()},
        }
    )
    boxes = pl.DataFrame(
        {
            "frame_id": frame_id[image],
            **dict(zip(("x1", "y1", "x2", "y2"), xyxy.T, strict=True)),
            "category": np.array(CLASSES)[class_id],
            "ignore": is_crowd,
        }
    )
    tables = [
        table.with_columns(pl.lit(None).alias(name) for name in schema if name not in table.columns)
        for table, schema in ((frames, FRAME_SCHEMA), (boxes, ANNOTATION_SCHEMA))
    ]
    Catalog(tables[0], tables[1], {"drawn": folder}).save(folder / "catalog")
    truth = {
        "info": {},
        "images": [
            {"id": index + 1, "file_name": f"{name}.jpg", "width": WIDTH_PX, "height": HEIGHT_PX}
            for index, name in enumerate(frame_id)
        ],
        "categories": [{"id": index + 1, "name": name} for index, name in enumerate(CLASSES)],
        "annotations": [
            {"id": i + 1, "image_id": at + 1, "category_id": of + 1, "bbox": b, "area": b[2] * b[3], "iscrowd": crowd}
            for i, (at, of, b, crowd) in enumerate(
                zip(image.tolist(), class_id.tolist(), xywh.tolist(), is_crowd.astype(int).tolist(), strict=True)
            )
        ],
    }
    (folder / "truth.json").write_text(json.dumps(truth))
    _write_results(folder / "results.json", found_image, found_class, box, score)


def _write_results(path: Path, image, class_id, box, score) -> None:
    with path.open("w") as file:
        file.write("[")
        for start in range(0, len(score), 100_000):
            part = slice(start, start + 100_000)
            columns = (image[part].tolist(), class_id[part].tolist(), box[part].tolist(), score[part].tolist())
            rows = (
                f'{{"image_id": {at + 1}, "category_id": {of + 1}, "bbox": {b}, "score": {s}}}'
                for at, of, b, s in zip(*columns, strict=True)
            )
            file.write((", " if start else "") + ", ".join(rows))
        file.write("]")


def _boxes(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 4) x, y, width, height inside the image, a hundredth of a pixel apart."""
    size = np.clip(np.exp(rng.normal(3.4, 0.9, (n, 2))), 4, [WIDTH_PX / 2, HEIGHT_PX / 2])
    corner = rng.uniform(0, 1, (n, 2)) * ([WIDTH_PX, HEIGHT_PX] - size)
    return np.round(np.hstack([corner, size]), 2)


def _shares(n: int) -> np.ndarray:
    """Frequent and rare values, as weather and scenes are."""
    share = 0.5 ** np.arange(n)
    return share / share.sum()
