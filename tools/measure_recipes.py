"""Quality at equal budget: our recipe beside ultralytics' default one, state by state, over several seeds.

    python tools/measure_recipes.py configs/dtld_yolo.yaml --weights RUN/weights/best.pt --out out/dtld
    python tools/measure_recipes.py configs/dtld_yolo.yaml --weights RUN/weights/best.pt --out out/dtld --only-table

Both train the same architecture from the same weights on the same frames for the same epochs. Our recipe is the
configuration, with its input of the camera's aspect; theirs is ultralytics' DetectionTrainer with its defaults, and
with a square input of the same longer side, the only form that it trains with shuffle. It gets the frames as a YOLO
data set with the same classes. Ignore areas it does not know: they are absent from its labels, and so background.

Scored are the weights at the end of each run, not those of the best epoch, which would be chosen on the frames that
are scored. One evaluation scores all of them, in two ways: as tl detects (the head that the configuration says, one
state per lamp), and as ultralytics does in its own validation (of two heads the one with suppression; states do not
exclude each other). Their network sees frames letterboxed into its square. That the second way is theirs is checked in
every run of theirs against what `predict` gives.

The interval of a difference is a percentile bootstrap: sequences and seeds are drawn again, 1000 times. Of fewer than
five sequences there is none, so then frames are drawn, which resemble each other: such an interval is too narrow. The
seeds' part in it is too small as well, three being few; their range stands beside it.

Each run has a process and a folder of its own below --out, and is not done again once it is finished.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import polars as pl
import torch
import yaml
from numpy.typing import NDArray

# Closes ultralytics' ways to the network, before it is imported.
from tl_detection import ultralytics_door  # isort: skip  # noqa: F401

from ultralytics import YOLO
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import load_checkpoint as load_theirs
from ultralytics.utils import nms

from tl_datasets.catalog import Catalog
from tl_datasets.config import dump_config
from tl_datasets.convert import convert
from tl_datasets.errors import DataError, WeightsError
from tl_datasets.torch_dataset import labelled_frames
from tl_detection.checkpoint import Checkpoint, file_fingerprint, load_checkpoint
from tl_detection.config import InputSize, RunConfig, YoloConfig, load_run_config
from tl_detection.detector import Detections
from tl_detection.detectors import yolo
from tl_detection.detectors.yolo import SCORE_THRESHOLD, build_yolo
from tl_detection.devices import pick_device
from tl_detection.environment import environment
from tl_detection.evaluation.intervals import LEAST_SEQUENCES, LEVEL, count_sequences, score_of_each
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.replicates import Replicates, draw_replicates, sequence_numbers
from tl_detection.evaluation.report import Evaluation, collect_detections, evaluate_whole
from tl_detection.training.train import train
from tl_detection.training.yolo_start import describe_yolo, read_start_weights, start_from_file

RECIPES = ("ours", "ultralytics")
# How weights become detections.
Way = Literal["tl", "ultralytics"]
WAYS: tuple[Way, Way] = ("tl", "ultralytics")
TABLES: tuple[tuple[str, Way, Way], ...] = (
    ("Both as tl detects: the recipes alone", "tl", "tl"),
    ("Each as its own library detects", "tl", "ultralytics"),
    ("Both as ultralytics detects", "ultralytics", "ultralytics"),
)
COLUMNS = ("xyxy", "score", "class_id")
N_REPLICATES = 1000
# Frames on which our way of running their network is compared with their own.
CHECKED_FRAMES = 8


def main() -> None:
    """Do what is not done yet, and print the tables."""
    parser = _parser()
    options = parser.parse_intermixed_args()
    overrides = [*options.overrides, f"model.weights={options.weights or 'null'}"]
    config = load_run_config(options.config, overrides)
    if not isinstance(config.model, YoloConfig):
        parser.error(f"{options.config}: model.kind is {config.model.kind}, expected yolo")
    if options.one is not None:
        recipe, _, seed = options.one.partition(":")
        do_run(config, recipe, int(seed), options.out, their_words(options.theirs))
        return
    _keep_settings(parser, options, config)
    is_whole = options.only_table or _do_missing(options, config)
    lines = report(options, config)
    (options.out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    if not is_whole:
        raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="of our run; a YOLO")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of the run, as of tl train")
    parser.add_argument("--weights", type=Path, help="of ours or ultralytics', to start from (default: from scratch)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES), help="which to do now")
    parser.add_argument("--theirs", nargs="*", default=[], metavar="key=value", help="words of ultralytics: nbs=8")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs and the tables")
    parser.add_argument("--only-table", action="store_true", help="of the runs that are finished")
    parser.add_argument("--one", metavar="RECIPE:SEED", help=argparse.SUPPRESS)
    return parser


def their_words(texts: Sequence[str]) -> dict[str, Any]:
    """Words of ultralytics from texts key=value; values are YAML."""
    pairs = (text.partition("=") for text in texts)
    return {key: yaml.safe_load(value) for key, _, value in pairs}


def _keep_settings(parser: argparse.ArgumentParser, options: argparse.Namespace, config: RunConfig) -> None:
    """Refuse to mix runs of different settings in one folder."""
    weights = None if options.weights is None else file_fingerprint(options.weights)
    text = json.dumps({"config": dump_config(config), "theirs": options.theirs, "weights": weights}, indent=2) + "\n"
    path = options.out / "settings.json"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        parser.error(f"{path}: holds runs with other settings; choose another --out")
    options.out.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _do_missing(options: argparse.Namespace, config: RunConfig) -> bool:
    """One process for each run: a crash loses one. True if none is missing afterwards."""
    is_whole = True
    if not (options.out / "frames").exists():
        write_frames(config, options.out / "frames")
    for seed in range(options.seeds):
        for recipe in options.recipes:
            folder = options.out / f"{recipe}_{seed}"
            if (folder / "run.json").exists():
                continue
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            print(f"{recipe}, seed {seed}: log in {folder / 'log.txt'}", flush=True)
            with (folder / "log.txt").open("w", encoding="utf-8") as log:
                command = [sys.executable, __file__, *sys.argv[1:], "--one", f"{recipe}:{seed}"]
                code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
            if code:
                is_whole = False
                print(f"{recipe}, seed {seed}: ended with {code}; run this again for what is missing", flush=True)
    return is_whole


def write_frames(config: RunConfig, folder: Path) -> None:
    """The run's frames as a YOLO data set, classes by the run's names, without ignore areas."""
    catalog = Catalog.open(config.data.catalog)
    parts = [
        catalog.filter(expression).frames.with_columns(split=pl.lit(split))
        for split, expression in (("train", config.data.train), ("val", config.data.val))
    ]
    whole = catalog.with_frames(pl.concat(parts))
    options = {"label_space": config.data.label_space, "sidecar": False}
    try:
        convert(whole, "yolo", folder, images="link", **options)
    except DataError:  # on another disk
        convert(whole, "yolo", folder, images="copy", **options)


def do_run(config: RunConfig, recipe: str, seed: int, out: Path, words: Mapping[str, Any]) -> None:
    """Train, detect on the validation frames in both ways, and keep what was found."""
    folder, begin = out / f"{recipe}_{seed}", time.perf_counter()
    if recipe == "ours":
        checkpoint, about = train_ours(config, seed, folder)
    else:
        checkpoint, about = train_theirs(config, seed, folder, out / "frames" / "data.yaml", words)
    seconds = time.perf_counter() - begin
    val = _val_frames(config)
    for way in WAYS:
        found = detect(checkpoint, config, val, way)
        arrays: dict[str, Any] = {name: np.concatenate([getattr(each, name) for each in found]) for name in COLUMNS}
        np.savez_compressed(folder / f"{way}.npz", counts=[len(each) for each in found], **arrays)
    if recipe != "ours":
        weights = folder / "train" / "weights" / "last.pt"
        about["beside predict"] = beside_predict(weights, checkpoint, config, val)
    about |= {"seconds": round(seconds), "input": [checkpoint.model["width_px"], checkpoint.model["height_px"]]}
    about["environment"] = environment()
    (folder / "run.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def train_ours(config: RunConfig, seed: int, folder: Path) -> tuple[Checkpoint, dict[str, Any]]:
    """Run the configuration with a seed; the weights at its end."""
    settings = config.train.model_copy(update={"seed": seed})
    run = train(config.model_copy(update={"folder": folder, "train": settings}))
    return load_checkpoint(run.last, kind="yolo"), {"run": str(run.path)}


def train_theirs(
    config: RunConfig, seed: int, folder: Path, data: Path, words: Mapping[str, Any]
) -> tuple[Checkpoint, dict[str, Any]]:
    """Run ultralytics' trainer with a seed; the weights at its end."""
    model, device, threads = config.model, pick_device(config.train.device), torch.get_num_threads()
    start = our_start(config)

    class Trainer(DetectionTrainer):
        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
            weights = start_module(model.weights) if model.weights is not None and weights is None else weights
            made = super().get_model(cfg, weights, verbose)
            if model.weights is not None:
                begun.update({name: value.clone() for name, value in made.state_dict().items()})
            return made

    assert isinstance(model, YoloConfig)
    begun: dict[str, torch.Tensor] = {}
    overrides = {
        "model": f"{model.architecture}.yaml",
        "data": str(data.resolve()),
        "project": str(folder.resolve()),
        "name": "train",
        "exist_ok": True,
        "epochs": config.train.epochs,
        "imgsz": max(model.input.width_px, model.input.height_px),
        "seed": seed,
        "device": "cpu" if device.type == "cpu" else str(device.index or 0),
        "amp": True if device.type == "cpu" else "bf16",  # on a CPU it has none, and says so
        "workers": config.train.workers,
        "plots": False,
        "val": False,  # the last epoch is always validated, and nothing depends on the others
        **words,
    }
    trainer = Trainer(overrides=overrides)
    # On a CPU it would take no loader process, and a thread fewer than there are cores; no result depends on it.
    trainer.args.workers = overrides["workers"]
    torch.set_num_threads(threads)
    trainer.train()
    last = folder / "train" / "weights" / "last.pt"
    end = read_start_weights(last)
    if end.names != config.data.label_space.names:
        raise RuntimeError(f"{last}: has the classes {end.names}, expected {config.data.label_space.names}")
    checkpoint = Checkpoint(
        kind="yolo",
        model=square(config, trainer.args.imgsz),
        label_space=config.data.label_space,
        state=end.state,
        meta={},
    )
    same = sum(name in begun and torch.equal(begun[name], value) for name, value in start.items())
    kept = ("optimizer", "lr0", "batch", "nbs", "epochs", "imgsz", "amp", "warmup_epochs", "close_mosaic")
    return checkpoint, {
        "arguments": {name: getattr(trainer.args, name) for name in kept},
        "start": f"{same} of {len(start)} tensors start as ours" if begun else "from scratch",
    }


def our_start(config: RunConfig) -> dict[str, torch.Tensor]:
    """What our recipe starts from where a file is given; else nothing."""
    model, names = config.model, config.data.label_space.names
    assert isinstance(model, YoloConfig)
    if model.weights is None:
        return {}
    network = build_yolo(describe_yolo(model), len(names))
    start_from_file(network, names, model.weights, model.classes_from)
    return network.state_dict()


def start_module(path: Path) -> Any:
    """The network of a file as ultralytics starts from it: it copies what fits, classes by their names."""
    try:
        former = load_checkpoint(path, kind="yolo")
    except WeightsError:
        return load_theirs(str(path))[0]
    module: Any = build_yolo(former.model, len(former.label_space))
    module.load_state_dict(former.state)
    module.names = dict(enumerate(former.label_space.names))
    return module


def square(config: RunConfig, side: int) -> dict[str, Any]:
    """What their network is built from: ours with a square input."""
    model = config.model
    assert isinstance(model, YoloConfig)
    return describe_yolo(model.model_copy(update={"input": InputSize(width_px=side, height_px=side)}))


def detect(checkpoint: Checkpoint, config: RunConfig, val: Catalog, way: Way) -> list[Detections]:
    """What weights find in the validation frames in one of the two ways."""
    device = pick_device(config.train.device)
    if way == "tl":
        return collect_detections(yolo.YoloDetector.from_checkpoint(checkpoint, device, "weights"), val)

    def each_class_alone(xyxy: Any, score: Any, class_id: Any, groups: Sequence[int], class_iou: float) -> Any:
        return suppress(xyxy, score, class_id, range(len(groups)), class_iou)

    suppress = yolo.suppress
    with_suppression = replace(checkpoint, model={**checkpoint.model, "end_to_end": False})
    detector = yolo.YoloDetector.from_checkpoint(with_suppression, device, "weights")
    with patch.object(yolo, "suppress", each_class_alone):
        return collect_detections(detector, val)


def beside_predict(weights: Path, checkpoint: Checkpoint, config: RunConfig, val: Catalog) -> dict[str, Any]:
    """How our way of running their network agrees with ultralytics' own `predict` on a few frames.

    `predict` alone keeps the best class of a place; its suppression is told to keep every class, as in validation. What
    it gives outside the frame, or inside out, as a network does that has learned little, is counted and left out.
    """
    few = val.with_frames(val.frames.head(CHECKED_FRAMES))
    ours, model = detect(checkpoint, config, few, "ultralytics"), YOLO(str(weights))
    corners, scores, count, without_area = [0.0], [0.0], 0, 0
    with patch.object(nms, "non_max_suppression", partial(nms.non_max_suppression, multi_label=True)):
        for row, found in enumerate(ours):
            result: Any = model.predict(
                few.read_rgb(row)[:, :, ::-1],  # it wants BGR
                imgsz=checkpoint.model["width_px"],
                rect=False,
                conf=SCORE_THRESHOLD,
                max_det=checkpoint.model["max_detections"],
                device=str(pick_device(config.train.device)),
                verbose=False,
                save=False,
            )
            boxes = result[0].boxes.cpu().numpy()
            has_area = (boxes.xyxy[:, 2:] > boxes.xyxy[:, :2]).all(axis=1)
            without_area += int((~has_area).sum())
            boxes = boxes[has_area]
            count += len(boxes)
            for xyxy, score, class_id in zip(boxes.xyxy, boxes.conf, boxes.cls, strict=True):
                apart = np.abs(found.xyxy - xyxy).max(axis=1) + np.where(found.class_id == class_id, 0, np.inf)
                distance = apart + np.abs(found.score - score)
                corners.append(float(apart[distance.argmin()]) if len(found) else np.inf)
                scores.append(float(np.abs(found.score - score)[distance.argmin()]) if len(found) else np.inf)
    return {
        "frames": len(few),
        "boxes of predict": count,
        "boxes of ours": sum(map(len, ours)),
        "left out, without area": without_area,
        "largest difference of a corner, px": max(corners),
        "largest difference of a score": max(scores),
    }


def _val_frames(config: RunConfig) -> Catalog:
    return labelled_frames(Catalog.open(config.data.catalog).filter(config.data.val), config.data.label_space).catalog


def read_detections(path: Path) -> list[Detections]:
    """What `do_run` kept, one per frame."""
    with np.load(path) as kept:
        ends = np.cumsum(kept["counts"])
        columns = {name: np.split(kept[name], ends[:-1]) for name in COLUMNS}
    return [
        Detections(xyxy=xyxy, score=score, class_id=class_id)
        for xyxy, score, class_id in zip(*columns.values(), strict=True)
    ]


def report(options: argparse.Namespace, config: RunConfig) -> list[str]:
    """Score what is finished: Markdown, with a table per way of detecting; the numbers also as table.json."""
    val = _val_frames(config)
    evaluations: dict[tuple[str, Way], list[Evaluation]] = {}
    runs: dict[str, list[dict[str, Any]]] = {recipe: [] for recipe in RECIPES}
    for recipe in RECIPES:
        for folder in sorted(options.out.glob(f"{recipe}_*")):
            if not (folder / "run.json").exists():
                continue
            runs[recipe].append(json.loads((folder / "run.json").read_text(encoding="utf-8")))
            for way in WAYS:
                found = evaluate_whole(read_detections(folder / f"{way}.npz"), val, config.data.label_space, by=())
                evaluations.setdefault((recipe, way), []).append(found)
    lines = _about(options, config, runs, val)
    if not all(runs.values()):
        return [*lines, "", "no table: a recipe has no finished run"]
    whole = {}
    for title, our_way, their_way in TABLES:
        ours, theirs = evaluations["ours", our_way], evaluations["ultralytics", their_way]
        drawn, replicates = draw(ours[0].matched)
        rows = [
            compare(ours, theirs, replicates, class_id)
            for class_id in (None, *range(len(config.data.label_space.names)))
        ]
        whole[title] = rows
        lines += [
            "",
            f"{title}. AP50, mean over seeds (lowest to highest); {LEVEL:.0%} interval: {drawn}.",
            "",
            *_table(rows),
        ]
    (options.out / "table.json").write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    return lines


def draw(matched: Matched) -> tuple[str, Replicates]:
    """Data sets drawn again, by sequence where there are enough, else by frame; and the word for it."""
    numbers = sequence_numbers(matched.ground_truth)
    count = len(set(numbers.tolist()))
    if count >= LEAST_SEQUENCES:
        return f"{count} sequences and the seeds drawn again", draw_replicates(numbers, replicates=N_REPLICATES)
    frames = np.arange(len(numbers))
    return (
        f"{len(frames)} frames and the seeds drawn again, too narrow: there are too few sequences ({count})",
        draw_replicates(frames, replicates=N_REPLICATES),
    )


def compare(
    ours: list[Evaluation], theirs: list[Evaluation], replicates: Replicates, class_id: int | None
) -> dict[str, Any]:
    """One row: a class, None = the mean over all."""
    matched = ours[0].matched
    scores = [[_ap50(each, class_id) for each in of_recipe] for of_recipe in (ours, theirs)]
    overall = ours[0].report.overall
    row: dict[str, Any] = {
        "state": "all" if class_id is None else overall.classes[class_id].name,
        "objects": overall.objects if class_id is None else overall.classes[class_id].objects,
        "ours": scores[0],
        "ultralytics": scores[1],
        "difference": None,
        "interval": None,
    }
    if None in scores[0] or None in scores[1]:
        return row
    row["difference"] = float(np.mean(np.array(scores[0], float)) - np.mean(np.array(scores[1], float)))
    if count_sequences(matched, replicates, "ap50", class_id) >= LEAST_SEQUENCES:
        of_each = [
            np.stack([score_of_each(each.matched, replicates, "ap50", class_id=class_id) for each in of_recipe])
            for of_recipe in (ours, theirs)
        ]
        row["interval"] = interval_of_difference(*of_each)
    return row


def interval_of_difference(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> list[float] | None:
    """Percentile interval of the difference of means, the seeds drawn again in every replicate.

    Args:
        ours: (seeds, R) the score of each seed in each replicate, NaN = none; both in the same replicates.
        theirs: (seeds, R).

    Returns:
        Low and high; None where no replicate has a value.
    """
    rng = np.random.default_rng(0)
    means = [
        np.take_along_axis(values, rng.integers(0, len(values), values.shape), axis=0).mean(axis=0)
        for values in (ours, theirs)
    ]
    known = (means[0] - means[1])[~np.isnan(means[0] - means[1])]
    if not known.size:
        return None
    return np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()


def _ap50(evaluation: Evaluation, class_id: int | None) -> float | None:
    overall = evaluation.report.overall
    return overall.ap50 if class_id is None else overall.classes[class_id].ap50


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| state | objects | ours | ultralytics | difference | interval |", "|---|---:|---:|---:|---:|---:|"]
    for row in rows:
        shown = "-" if row["difference"] is None else f"{row['difference']:+.3f}"
        bounds = "-" if row["interval"] is None else "{:+.3f} to {:+.3f}".format(*row["interval"])
        both = " | ".join(_spread(row[recipe]) for recipe in RECIPES)
        lines.append(f"| {row['state']} | {row['objects']} | {both} | {shown} | {bounds} |")
    return lines


def _spread(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    return f"{np.mean(known):.3f} ({min(known):.3f} to {max(known):.3f})"


def _about(
    options: argparse.Namespace, config: RunConfig, runs: Mapping[str, list[dict[str, Any]]], val: Catalog
) -> list[str]:
    weights = "from scratch" if config.model.weights is None else f"from {config.model.weights}"
    lines = [
        f"{options.config}, {config.train.epochs} epochs, {weights}; {len(val)} validation frames",
        "ultralytics' labels lack the ignore areas: it knows none",
    ]
    for recipe, found in runs.items():
        if found:
            width, height = found[0]["input"]
            minutes = ", ".join(f"{run['seconds'] / 60:.1f}" for run in found)
            lines.append(
                f"{recipe}: {len(found)} seeds, input {width}x{height} = {width * height} px, {minutes} min for each"
            )
            for key in ("arguments", "start", "beside predict", "environment"):
                # Most of it is the same for all seeds.
                texts = dict.fromkeys(json.dumps(run[key]) for run in found if key in run)
                lines += [f"{recipe}, {key}: {text}" for text in texts]
    return lines


if __name__ == "__main__":
    main()
