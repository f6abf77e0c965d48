"""Speed of training beside ultralytics' own trainer (YOLO) or torchvision's reference loop (Faster R-CNN), in one go.

    python tools/benchmark_training.py configs/dtld_yolo.yaml --workers 0 1 2 --out speed.json
    python tools/benchmark_training.py configs/dtld_faster_rcnn.yaml train.batch_size=2 --batches 8 --skip 4

The two take turns, each in a process of its own; a turn trains from scratch, leaves its first batches out and times the
rest: images per second of learning, and the share of it that was spent on waiting for data. Medians of all turns. Both
have the same network, frames, boxes, input size, batch size, number format, kind of optimiser with one step per batch,
loader processes and threads.

Ultralytics runs its DetectionTrainer on a YOLO copy of the frames. What it would choose by itself on a CPU, no loader
process and a thread fewer than there are cores, it is not let choose; bf16 it has on CUDA alone. The reference of
Faster R-CNN is `train_one_epoch` of torchvision's references/detection: SGD, one warm-up, neither moving average nor
clipping, both of which ours has; PIL and torchvision read and letterbox its images. Its networks, anchors included, are
ours, with torchvision's own losses.

Augmentation "off" is the letterboxed frame for both, and so the same work. "default" is that of the configuration
beside ultralytics' defaults (mosaic, scale, shift, mirror, HSV) or the reference's mirror: not the same work, but what
each does when nobody says otherwise.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import math
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import polars as pl
import torch
from torch.utils.data import DataLoader, Dataset

from tl_datasets.catalog import Catalog
from tl_datasets.config import load_config
from tl_datasets.convert import convert
from tl_datasets.errors import DataError
from tl_datasets.letterbox import PAD_VALUE, place
from tl_datasets.torch_dataset import LabelledFrames, labelled_frames, make_loader
from tl_detection.config import RunConfig, YoloConfig, load_run_config
from tl_detection.devices import pick_device

NO_AUGMENTATION = Path(__file__).resolve().parents[1] / "configs" / "augment" / "none.yaml"
AMP = {"float32": '"off"', "bf16": "bf16"}  # bare, YAML reads it as False
# Enough epochs that the last ones, without mosaic, are never reached: a turn ends within the first.
EPOCHS = 100
ULTRALYTICS_OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD", "musgd": "MuSGD", "auto": "MuSGD"}
ULTRALYTICS_OFF: dict[str, Any] = {
    "augmentations": [],
    **dict.fromkeys(("mosaic", "mixup", "cutmix", "copy_paste", "hsv_h", "hsv_s", "hsv_v", "bgr"), 0.0),
    **dict.fromkeys(("degrees", "translate", "scale", "shear", "perspective", "flipud", "fliplr"), 0.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a turn trains, and how."""

    trainer: str  # ours, or the name of the other
    augmentation: str
    precision: str
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all turns have in common."""

    config: Path
    overrides: tuple[str, ...]
    folder: str
    device: str
    threads: int
    skip: int
    batches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a turn gave."""

    images_per_s: float
    wait_share: float
    workers: int  # that there were; ultralytics starts at most one per core


class TurnOverError(Exception):
    """Ends a turn from inside its loader."""


class Watch:
    """Looks on as batches are fetched, and ends the turn after enough of them."""

    def __init__(self, skip: int, batches: int, device: torch.device):
        self.skip, self.batches, self.device = skip, batches, device
        self.begun = self.spent = self.waited = 0.0
        self.workers = 0

    def over(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Give the batches; what lies between two of them is the work on the first."""
        iterator = iter(batches)
        for number in itertools.count():
            if number in (self.skip, self.skip + self.batches) and self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            asked = time.perf_counter()
            if number == self.skip:
                self.begun, self.waited = asked, 0.0
            if number == self.skip + self.batches:
                self.spent = asked - self.begun
                raise TurnOverError
            batch = next(iterator, None)
            if batch is None:
                raise RuntimeError(f"the epoch ended after {number} batches, before the turn")
            self.waited += time.perf_counter() - asked
            yield batch

    def watch(self, loader: Any) -> Any:
        """Look on whenever a loader is iterated over."""
        kind, over = type(loader), self.over

        class Watched(kind):
            def __iter__(self) -> Iterator[Any]:
                return over(super().__iter__())

        loader.__class__ = Watched
        self.workers = loader.num_workers
        return loader

    def turn(self, batch_size: int) -> Turn:
        """What was seen."""
        return Turn(
            images_per_s=batch_size * self.batches / self.spent,
            wait_share=self.waited / self.spent,
            workers=self.workers,
        )


def main() -> None:
    """Measure and report."""
    options = _options()
    config = load_run_config(options.config, options.overrides)
    other = "ultralytics" if isinstance(config.model, YoloConfig) else "torchvision reference"
    device = pick_device(options.device or config.train.device)
    with tempfile.TemporaryDirectory() as folder:
        setting = _prepare(config, options, Path(folder), device)
        jobs = list(_jobs(options, other, can_bf16=other != "ultralytics" or device.type == "cuda"))
        turns: dict[Job, list[Turn]] = {job: [] for job in jobs}
        about = _about(options, load_run_config(setting.config, setting.overrides), device, setting.threads)
        print("\n".join(about), flush=True)
        # A process for each turn: what the trainers change for a whole process does not reach the next one.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
            for number, job in itertools.product(range(options.turns), jobs):
                turns[job].append(pool.submit(take_turn, job, setting).result())
                print(f"turn {number + 1}: {job}: {turns[job][-1]}", flush=True)
    table = make_table(turns, other)
    print("\n" + "\n".join([*about, "", *table]))
    if options.out is not None:
        rows = [{**asdict(job), "turns": [asdict(turn) for turn in found]} for job, found in turns.items()]
        options.out.write_text(json.dumps({"about": about, "jobs": rows}, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of the run, as of tl train")
    parser.add_argument(
        "--size", type=int, help="square input in px (default: YOLO the longer side; else as configured)"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2, 4], help="loader processes (0 1 2 4)")
    parser.add_argument("--precision", nargs="+", choices=list(AMP), default=list(AMP))
    parser.add_argument("--augmentation", nargs="+", choices=("off", "default"), default=["off", "default"])
    parser.add_argument("--turns", type=int, default=3, help="of each (default 3)")
    parser.add_argument("--batches", type=int, default=20, help="timed in each turn (default 20)")
    parser.add_argument("--skip", type=int, default=10, help="batches before them (default 10)")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:N (default: that of the configuration)")
    parser.add_argument("--threads", type=int, help="of the training process (default: torch's own choice)")
    parser.add_argument("--out", type=Path, help="JSON file with every turn")
    return parser.parse_intermixed_args()


def _prepare(config: RunConfig, options: argparse.Namespace, folder: Path, device: torch.device) -> Setting:
    """Lay the frames down for both, under other names again until an epoch is longer than a turn."""
    catalog = Catalog.open(config.data.catalog)
    train = labelled_frames(catalog.filter(config.data.train), config.data.label_space).catalog
    val = labelled_frames(catalog.filter(config.data.val), config.data.label_space).catalog
    needed = (options.skip + options.batches + 1) * config.train.batch_size
    copies = range(-(-needed // len(train)))
    frames = [_named(train.frames, f"{copy}_").with_columns(split=pl.lit("train")) for copy in copies]
    boxes = [_named(train.annotations, f"{copy}_") for copy in copies]
    whole = Catalog(
        pl.concat([*frames, val.frames.with_columns(split=pl.lit("val"))]),
        pl.concat([*boxes, val.annotations]),
        catalog.roots,
    )
    whole.save(folder / "catalog")
    if isinstance(config.model, YoloConfig):
        write_yolo(whole, folder / "yolo", config)
    side = options.size or max(config.model.input.width_px, config.model.input.height_px)
    is_square = options.size is not None or isinstance(config.model, YoloConfig)
    own = (
        f"data.catalog={folder / 'catalog'}",
        'data.train=split == "train"',
        'data.val=split == "val"',
        "data.duplicates=null",
        f"folder={folder / 'runs'}",
        "model.weights=null",
        "track={tensorboard: false, pictures: 0, mlflow: null}",
        f"train.epochs={EPOCHS}",
        f"train.device={device}",
        *((f"model.input.width_px={side}", f"model.input.height_px={side}") if is_square else ()),
        *(() if isinstance(config.model, YoloConfig) else ("train.optimizer=sgd",)),
    )
    return Setting(
        config=options.config,
        overrides=(*options.overrides, *own),
        folder=str(folder),
        device=str(device),
        threads=options.threads or torch.get_num_threads(),
        skip=options.skip,
        batches=options.batches,
    )


def _named(table: pl.DataFrame, prefix: str) -> pl.DataFrame:
    return table.with_columns(frame_id=pl.lit(prefix) + pl.col("frame_id"))


def write_yolo(catalog: Catalog, folder: Path, config: RunConfig) -> None:
    """Write the frames for ultralytics, without ignore areas, which it does not know."""
    space = config.data.label_space
    try:
        convert(catalog, "yolo", folder, images="link", label_space=space, sidecar=False)
    except DataError:  # on another disk
        convert(catalog, "yolo", folder, images="copy", label_space=space, sidecar=False)


def _jobs(options: argparse.Namespace, other: str, *, can_bf16: bool) -> Iterator[Job]:
    for augmentation, precision, workers in itertools.product(options.augmentation, options.precision, options.workers):
        for trainer in ("ours", other):
            if trainer == "ours" or precision == "float32" or can_bf16:
                yield Job(trainer=trainer, augmentation=augmentation, precision=precision, workers=workers)


def take_turn(job: Job, setting: Setting) -> Turn:
    """Train until enough batches were timed; runs in a process of its own."""
    torch.set_num_threads(setting.threads)
    overrides = list(setting.overrides)
    if job.augmentation == "off":
        overrides.append(f"augment={json.dumps(load_config(NO_AUGMENTATION)['augment'])}")
    config = load_run_config(
        setting.config, [*overrides, f"train.workers={job.workers}", f"train.amp={AMP[job.precision]}"]
    )
    watch = Watch(setting.skip, setting.batches, torch.device(setting.device))
    with suppress(TurnOverError):
        {"ours": _ours, "ultralytics": _ultralytics, "torchvision reference": _reference}[job.trainer](
            job, setting, config, watch
        )
    gc.collect()  # ends the loader processes
    return watch.turn(config.train.batch_size)


def _ours(job: Job, setting: Setting, config: RunConfig, watch: Watch) -> None:
    from tl_detection.run_dir import RunDir
    from tl_detection.training import loop
    from tl_detection.training.data import prepare_data
    from tl_detection.training.train import run_training

    def watched(*args: Any, **kwargs: Any) -> Any:
        return watch.watch(make_loader(*args, **kwargs))

    with patch.object(loop, "make_loader", watched):
        run_training(prepare_data(config), RunDir.create(config), torch.device(setting.device))


def _ultralytics(job: Job, setting: Setting, config: RunConfig, watch: Watch) -> None:
    from tl_detection import ultralytics_door  # isort: skip  # noqa: F401  closes the network before the import below

    from ultralytics.models.yolo.detect import DetectionTrainer

    class Trainer(DetectionTrainer):
        def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
            loader = super().get_dataloader(dataset_path, batch_size, rank, mode)
            return watch.watch(loader) if mode == "train" else loader

    train = config.train
    overrides = {
        "model": f"{config.model.architecture}.yaml",  # type: ignore[union-attr]
        "data": f"{setting.folder}/yolo/data.yaml",
        "project": f"{setting.folder}/theirs",
        "imgsz": config.model.input.width_px,
        "batch": train.batch_size,
        "nbs": train.batch_size,
        "epochs": EPOCHS,
        "optimizer": ULTRALYTICS_OPTIMIZERS[train.optimizer],
        "lr0": train.lr,
        "weight_decay": train.weight_decay,
        "device": setting.device.removeprefix("cuda:").replace("cuda", "0"),
        "amp": "bf16" if job.precision == "bf16" else False,
        "workers": job.workers,
        "pretrained": False,
        "deterministic": False,  # as ours
        "plots": False,
        **(ULTRALYTICS_OFF if job.augmentation == "off" else {}),
    }
    trainer = Trainer(overrides=overrides)
    trainer.args.workers = job.workers
    torch.set_num_threads(setting.threads)
    trainer.train()


def _reference(job: Job, setting: Setting, config: RunConfig, watch: Watch) -> None:
    """`train_one_epoch` of torchvision's references/detection, without its log."""
    from tl_detection.config import FasterRcnnConfig
    from tl_detection.detectors.faster_rcnn import build_faster_rcnn
    from tl_detection.training.data import prepare_data
    from tl_detection.training.faster_rcnn_start import describe_model

    data, device, model = prepare_data(config), torch.device(setting.device), config.model
    assert isinstance(model, FasterRcnnConfig)
    network = build_faster_rcnn(describe_model(model, data), len(data.label_space)).to(device)
    images = PlainFrames(data.train, model.input.width_px, model.input.height_px, mirror=job.augmentation != "off")
    loader = watch.watch(
        DataLoader(
            images,
            batch_size=config.train.batch_size,
            shuffle=True,
            num_workers=job.workers,
            collate_fn=apart,
            worker_init_fn=_begin_worker,
        )
    )
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=config.train.lr, momentum=0.9, weight_decay=1e-4)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1e-3, total_iters=1000)
    network.train()
    for batch, targets in loader:
        batch = [image.to(device) for image in batch]
        targets = [{name: value.to(device) for name, value in target.items()} for target in targets]
        with torch.autocast(device.type, torch.bfloat16) if job.precision == "bf16" else nullcontext():
            loss = torch.stack(list(network(batch, targets).values())).sum()
        if not math.isfinite(loss.item()):
            raise RuntimeError(f"the loss is {loss.item()}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        warm_up.step()


class PlainFrames(Dataset):
    """Letterboxed frames as torchvision's references would load them: PIL, then tensors."""

    def __init__(self, frames: LabelledFrames, width_px: int, height_px: int, *, mirror: bool):
        self.frames, self.width_px, self.height_px, self.mirror = frames, width_px, height_px, mirror

    def __len__(self) -> int:
        return len(self.frames.catalog)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """A (3, H, W) float image in [0, 1], and its boxes with labels from 1."""
        from PIL import Image
        from torchvision.transforms.v2 import functional as transform

        catalog = self.frames.catalog
        image: Any = Image.open(catalog.image_path(row)).convert("RGB")
        at = place(image.width, image.height, self.width_px, self.height_px)
        image = transform.resize(image, [at.height_px, at.width_px])
        right, below = self.width_px - at.left - at.width_px, self.height_px - at.top - at.height_px
        image = transform.pad(image, [at.left, at.top, right, below], fill=PAD_VALUE)
        own = slice(int(catalog.offsets[row]), int(catalog.offsets[row + 1]))
        learned = (self.frames.class_id[own] >= 0) & ~self.frames.ignored[own]
        boxes = torch.from_numpy(at.to_canvas(catalog.xyxy[own][learned])).float()
        if self.mirror and torch.rand(()) < 0.5:
            image = transform.horizontal_flip(image)
            boxes = torch.stack(
                [self.width_px - boxes[:, 2], boxes[:, 1], self.width_px - boxes[:, 0], boxes[:, 3]], dim=1
            )
        labels = torch.from_numpy(self.frames.class_id[own][learned] + 1).long()
        return transform.to_dtype(transform.pil_to_tensor(image), torch.float, scale=True), {
            "boxes": boxes,
            "labels": labels,
        }


def apart(samples: list[Any]) -> tuple[Any, ...]:
    """The references' `collate_fn`: images stay apart."""
    return tuple(zip(*samples, strict=True))


def _begin_worker(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def make_table(turns: dict[Job, list[Turn]], other: str) -> list[str]:
    """Lines of a Markdown table: medians of the turns, ours beside the other."""
    lines = [
        f"| augmentation | precision | loader processes | ours, images/s | {other}, images/s | ratio | ours waits | "
        f"{other} waits |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for job, found in turns.items():
        if job.trainer != "ours":
            continue
        theirs = turns.get(Job(**{**asdict(job), "trainer": other}))
        speed, their_speed = _median(found, "images_per_s"), _median(theirs, "images_per_s")
        ratio = None if speed is None or their_speed is None else speed / their_speed
        used = sorted({turn.workers for turn in theirs or found} | {job.workers})
        lines.append(
            f"| {job.augmentation} | {job.precision} | {job.workers}{'' if len(used) == 1 else f' (theirs {used[0]})'} "
            f"| {_shown(speed, '.1f')} | {_shown(their_speed, '.1f')} | {_shown(ratio, '.2f')} "
            f"| {_shown(_median(found, 'wait_share'), '.0%')} | {_shown(_median(theirs, 'wait_share'), '.0%')} |"
        )
    return lines


def _median(turns: list[Turn] | None, name: str) -> float | None:
    return statistics.median(getattr(turn, name) for turn in turns) if turns else None


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _about(options: argparse.Namespace, config: RunConfig, device: torch.device, threads: int) -> list[str]:
    size = config.model.input
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "ultralytics"))
    return [
        f"{hardware(device)}, {threads} threads; {versions}; load average before {os.getloadavg()[0]:.1f}",
        f"{options.config}: {config.model.kind} at {size.width_px}x{size.height_px}, batches of "
        f"{config.train.batch_size}, optimiser {config.train.optimizer}; medians of {options.turns} turns of "
        f"{options.batches} batches after {options.skip}",
    ]


def hardware(device: torch.device) -> str:
    """The processor and its cores, and the CUDA device if it is one."""
    processor = platform.machine()
    with suppress(OSError):  # Linux alone has it
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor)
    cuda = f"{torch.cuda.get_device_name(device)}, " if device.type == "cuda" else ""
    return f"{cuda}{processor}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
