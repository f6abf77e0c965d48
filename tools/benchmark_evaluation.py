"""Processor time and memory of an evaluation on a problem of the size of BDD100K's validation part.

python tools/benchmark_evaluation.py [--images 10000] [--detections 1000000] [--replicates 1000] [--digits 2] [--only W]

Drawn at random from a seed: images with BDD100K's ten classes in its proportions, weather x scene x time of day, and
detections near the objects and anywhere; each image is a sequence of its own, as in BDD100K. The problem is written as
a COCO data set, a list of results and a catalog, and every way of scoring is a process of its own that reads these
files. Its processor time is the whole process's with its children, in its last turn; the first one in a process loads
the translated machine code, or translates it where it is not in the cache.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from tl_datasets.catalog import ANNOTATION_SCHEMA, CONDITIONS, FRAME_SCHEMA, Catalog
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.taxonomy import LabelStatus, Scene, TimeOfDay, Weather
from tl_detection.evaluation.conditions import slices_by
from tl_detection.evaluation.detection_table import DetectionTable
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.prediction_parquet import write_predictions_parquet
from tl_detection.evaluation.predictions import read_prediction_table
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.scores import score
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.slice_intervals import intervals_of

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


def draw_problem(folder: Path, n_images: int, n_detections: int, seed: int, digits: int = 2) -> None:
    """Write truth.json, results.json, results.parquet and catalog/ into a folder.

    Boxes of detections have so many digits after the point, and scores three more.
    """
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
    box = np.round(box, digits).astype(np.float64)
    score = np.concatenate(
        [1 / (1 + np.exp(-0.6 - skill[near] - rng.normal(0, 1, len(near)))), rng.beta(0.5, 6, n_noise)]
    )
    score = np.round(np.clip(score, 0.001, 0.999), digits + 3).astype(np.float64)
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
    table = DetectionTable(
        frame_index=found_image,
        class_id=found_class,
        score=score,
        xyxy=np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1),
    )
    write_predictions_parquet(folder / "results.parquet", Catalog.open(folder / "catalog"), LABEL_SPACE, table)


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


def score_with_pycocotools(folder: Path, _: int) -> dict[str, float]:
    """One plain pass: load, evaluate, accumulate."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "truth.json"))
        judge = COCOeval(truth, truth.loadRes(str(folder / "results.json")), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return {"ap": float(judge.stats[0])}


def score_with_hotcoco(folder: Path, _: int) -> dict[str, float]:
    """One plain pass of hotcoco on one thread, as far as it lets itself be told."""
    from hotcoco import COCO, COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "truth.json"))
        judge = COCOeval(truth, truth.load_res(str(folder / "results.json")), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return {"ap": float(judge.stats[0])}


def score_slices(folder: Path, replicates: int, suffix: str = "json") -> dict[str, float]:
    """Ours: overall, every condition value and weather x time of day; with intervals of all numbers where asked for."""
    catalog = Catalog.open(folder / "catalog")
    truth = ground_truth_from_catalog(catalog, LABEL_SPACE)
    coco = folder / "truth.json" if suffix == "json" else None
    matched = match(truth, read_prediction_table(folder / f"results.{suffix}", catalog, LABEL_SPACE, coco=coco))
    overall = score(matched)
    slices = slices_by(truth, BY)
    for item in slices:
        score(matched, item.frame_mask, overall.operating_scores)
    found = {"ap": overall.ap or 0.0, "slices": len(slices)}
    if replicates:
        numbers, n_intervals = sequence_numbers(truth), 0
        for mask in (np.ones(len(truth), np.bool_), *(item.frame_mask for item in slices)):
            drawn = draw_replicates(numbers, mask, replicates=replicates)
            n_intervals += len(
                intervals_of(matched, Selection.of_frames(matched, mask), drawn, overall.operating_scores)
            )
        found["intervals"] = n_intervals
    return found


def score_overall(folder: Path, _: int) -> dict[str, float]:
    """Ours: overall alone."""
    catalog = Catalog.open(folder / "catalog")
    truth = ground_truth_from_catalog(catalog, LABEL_SPACE)
    table = read_prediction_table(folder / "results.json", catalog, LABEL_SPACE, coco=folder / "truth.json")
    return {"ap": score(match(truth, table)).ap or 0.0}


WAYS: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "pycocotools": score_with_pycocotools,
    "hotcoco": score_with_hotcoco,
    "ours-overall": score_overall,
    "ours-slices": lambda folder, _: score_slices(folder, 0),
    "ours-slices-parquet": lambda folder, _: score_slices(folder, 0, "parquet"),
    "ours-intervals": score_slices,
}


def _measure(name: str, folder: Path, replicates: int, turns: int, answer) -> None:
    """Run a way in this process; only its first turn loads, or translates, machine code."""
    spent, found = [], {}
    for _ in range(turns):
        start, wall = _cpu_s(), time.perf_counter()
        found = WAYS[name](folder, replicates)
        spent.append(_cpu_s() - start)
        found |= {"cpu_s": spent[-1], "first_cpu_s": spent[0], "wall_s": time.perf_counter() - wall}
    # Unlike ru_maxrss, this does not begin with what the parent had.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found["peak_mb"] = int(status.split("VmHWM:")[1].split()[0]) / 1024
    answer.send(found)


def _cpu_s() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measure(name: str, folder: Path, replicates: int, turns: int = 1) -> dict[str, float]:
    """What a way found in a process of its own, the processor time of its last turn, and its peak memory."""
    here, there = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(
        target=_measure, args=(name, folder, replicates, turns, there)
    )
    process.start()
    there.close()
    found = here.recv()
    process.join()
    return found


def main() -> None:
    """Draw the problem and measure every way of scoring it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--detections", type=int, default=1_000_000)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--digits", type=int, default=2, help="of box edges after the point; 17 = all that a double has"
    )
    parser.add_argument("--turns", type=int, default=2, help="of every way but pycocotools; the last one counts")
    parser.add_argument("--only", nargs="*", choices=WAYS, default=list(WAYS))
    parser.add_argument("--folder", type=Path, help="keep the problem here, and use the one that is there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        small, folder = Path(temporary) / "small", args.folder or Path(temporary) / "problem"
        small.mkdir()
        draw_problem(small, 500, 150_000, 0)
        if not (folder / "results.parquet").exists():
            folder.mkdir(parents=True, exist_ok=True)
            draw_problem(folder, args.images, args.detections, args.seed, args.digits)
        first = measure("ours-intervals", small, args.replicates)
        second = measure("ours-intervals", small, args.replicates)
        sys.stdout.write(f"translation, if not in the cache: {first['cpu_s'] - second['cpu_s']:.1f} s\n")
        found = {
            name: measure(name, folder, args.replicates, 1 if name == "pycocotools" else args.turns)
            for name in args.only
        }
    plain = found.get("pycocotools", {}).get("cpu_s")
    sys.stdout.write(f"{'way':<22}{'CPU s':>9}{'ratio':>9}{'first':>9}{'wall s':>9}{'peak MB':>9}  what\n")
    for name, item in found.items():
        ratio = f"1/{plain / item['cpu_s']:.1f}" if plain else "-"
        rest = {key: value for key, value in item.items() if key not in ("cpu_s", "first_cpu_s", "wall_s", "peak_mb")}
        columns = f"{item['cpu_s']:9.2f}{ratio:>9}{item['first_cpu_s']:9.2f}{item['wall_s']:9.2f}{item['peak_mb']:9.0f}"
        sys.stdout.write(f"{name:<22}{columns}  {json.dumps(rest)}\n")


if __name__ == "__main__":
    main()
