"""Speed of the training loader beside ultralytics' own, both in one go on the same frames.

    python tools/benchmark_loader.py catalogs/bdd100k --label-space configs/data/bdd100k.yaml

Both give batches of uint8 tensors from the same files with the same boxes, with the same number of loader processes and
one thread in each. Ultralytics' loader has its default augmentation: mosaic, scale 0.5 to 1.5, shift, mirror, HSV and
rare blur. Ours has the augmentation of a configuration with mosaic in every sample, the same range of scales, and
brightness and contrast in every sample, as theirs changes colours in every sample. The two take turns; each turn starts
its loader processes, waits for the first batches and times the rest. The ratio is that of the medians of all turns.
Images per second need a machine without other work; the processor time of the loader processes, and the shares, which
are measured in this process alone, suffer less from it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import polars as pl
import torch

# Closes ultralytics' ways to the network, before it is imported.
from tl_detection import ultralytics_door  # isort: skip  # noqa: F401

from ultralytics.cfg import get_cfg
from ultralytics.data.build import build_dataloader, build_yolo_dataset

from tl_datasets.augment.pipeline import Augmenter
from tl_datasets.augment.settings import AugmentConfig
from tl_datasets.catalog import Catalog
from tl_datasets.config import load_config, validate_config
from tl_datasets.label_space import LabelSpace
from tl_datasets.torch_dataset import FrameDataset, LabelledFrames, collate, labelled_frames, make_loader

# As strong as ultralytics' defaults: mosaic in every sample, the scales of its `scale: 0.5`, and as much detail: it
# shrinks every frame to the input size first, and enlarges it again by up to 1.5.
AS_STRONG = (
    "augment.max_stretch=1.5",
    "augment.mosaic=1.0",
    "augment.mosaic_off_epochs=0",
    "augment.scale=[0.5,1.5]",
    "augment.translate=0.1",
)
ALWAYS = frozenset({"RandomBrightnessContrast"})
# Batches that a loader process may have ready: the first ones do not tell how fast they are made.
AHEAD = {"ours": 2, "ultralytics": 4}


def main() -> None:
    """Measure and report."""
    options = _options()
    cv2.setNumThreads(0)  # as ultralytics sets it; forked loader processes keep it
    torch.set_num_threads(1)
    frames = _frames(options)
    overrides = [*AS_STRONG, *(f"augment.{text}" for text in options.set)]
    augment = _in_every_sample(
        validate_config(AugmentConfig, load_config(options.augment, overrides)["augment"], str(options.augment))
    )
    space = _label_space(options)
    with tempfile.TemporaryDirectory() as folder:
        ours = _our_dataset(frames, space, augment, options)
        theirs = _their_dataset(frames, space, Path(folder), options)
        print(f"{len(frames.catalog)} samples per turn, batches of {options.batch}, {options.workers} processes")
        print(f"ours: {augment.model_dump_json(exclude_defaults=True)}")
        print(f"ultralytics: {theirs.transforms}\n")
        loaders = {
            "ours": lambda: make_loader(ours, options.batch, options.workers, seed=0, pin_memory=False),
            "ultralytics": lambda: build_dataloader(theirs, options.batch, options.workers, device="cpu"),
        }
        if options.turns:
            _report_speed(loaders, ours, options)
        print("\nin one process, ms of processor per sample:")
        order = list(range(min(options.in_process, len(ours))))
        _report_shares("ours", ours.__getitem__, collate, order, options.batch)
        _report_shares("ultralytics", theirs.__getitem__, theirs.collate_fn, order, options.batch)
        _report_floor(frames.catalog, options.workers)


def _in_every_sample(augment: AugmentConfig) -> AugmentConfig:
    steps = [step.model_copy(update={"p": 1.0}) if step.name in ALWAYS else step for step in augment.transforms]
    return augment.model_copy(update={"transforms": tuple(steps)})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--label-space", type=Path, required=True, help="configuration with data.label_space")
    parser.add_argument("--augment", type=Path, default=Path("configs/augment/light_safe.yaml"))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes of the section augment")
    parser.add_argument("--width", type=int, default=640, help="of our batches (default 640)")
    parser.add_argument("--height", type=int, default=640, help="of our batches (default 640)")
    parser.add_argument("--their-size", type=int, default=640, help="width and height of ultralytics' (default 640)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=5, help="of each loader (default 5); 0 = shares alone")
    parser.add_argument(
        "--samples", type=int, default=1000, help="per turn; a small catalog is repeated (default 1000)"
    )
    parser.add_argument("--in-process", type=int, default=320, help="samples for the shares (default 320)")
    return parser.parse_args()


def _label_space(options: argparse.Namespace) -> LabelSpace:
    values = load_config(options.label_space)["data"]["label_space"]
    return validate_config(LabelSpace, values, str(options.label_space))


def _frames(options: argparse.Namespace) -> LabelledFrames:
    """The labelled frames, repeated under other names until there are enough for a turn."""
    catalog = labelled_frames(Catalog.open(options.catalog), _label_space(options)).catalog
    copies = range(-(-options.samples // len(catalog)))
    table, annotations = (
        pl.concat([part.with_columns(frame_id=pl.lit(f"{copy}_") + pl.col("frame_id")) for copy in copies])
        for part in (catalog.frames, catalog.annotations)
    )
    return labelled_frames(Catalog(table, annotations, catalog.roots), _label_space(options))


def _our_dataset(
    frames: LabelledFrames, space: LabelSpace, augment: AugmentConfig, options: argparse.Namespace
) -> FrameDataset:
    augmenter = Augmenter(augment, space, options.width, options.height)
    return FrameDataset(frames, options.width, options.height, augmenter, seed=0, epochs=1000)


def _their_dataset(frames: LabelledFrames, space: LabelSpace, folder: Path, options: argparse.Namespace) -> Any:
    """The same files and boxes in ultralytics' layout, with its default augmentation."""
    catalog = frames.catalog
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for row, frame_id in enumerate(catalog.frames["frame_id"]):
        path = catalog.image_path(row)
        name = frame_id.replace("/", "_")
        (folder / "images" / f"{name}{path.suffix}").symlink_to(path)
        boxes = slice(catalog.offsets[row], catalog.offsets[row + 1])
        learned = (frames.class_id[boxes] >= 0) & ~frames.ignored[boxes]
        size = np.array([catalog.frames["width_px"][row], catalog.frames["height_px"][row]] * 2)
        x1, y1, x2, y2 = (catalog.xyxy[boxes][learned] / size).T
        table = np.stack([frames.class_id[boxes][learned], (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], axis=1)
        np.savetxt(folder / "labels" / f"{name}.txt", table, fmt=["%d", *["%.6f"] * 4])
    config: Any = get_cfg(overrides={"imgsz": options.their_size, "task": "detect"})
    data = {"names": dict(enumerate(space.names)), "nc": len(space.names), "channels": 3}
    return build_yolo_dataset(config, str(folder / "images"), options.batch, data, mode="train")


def _report_speed(loaders: dict[str, Callable[[], Any]], ours: FrameDataset, options: argparse.Namespace) -> None:
    turns: dict[str, list[Turn]] = {name: [] for name in loaders}
    for number in range(options.turns):
        ours.set_epoch(number)
        for name, make in loaders.items():
            turns[name].append(_take_turn(make(), AHEAD[name] * options.workers))
        print(f"turn {number + 1}: " + ", ".join(f"{name} {found[-1]}" for name, found in turns.items()), flush=True)
    speed = {name: statistics.median(turn.images_per_s for turn in found) for name, found in turns.items()}
    cost = {name: statistics.median(turn.processor_ms for turn in found) for name, found in turns.items()}
    print(
        f"median: ours {speed['ours']:.0f} images/s, ultralytics {speed['ultralytics']:.0f} images/s: "
        f"{speed['ours'] / speed['ultralytics']:.2f} times as fast\n"
        f"processor of the loader processes: ours {cost['ours']:.2f} ms per image, ultralytics "
        f"{cost['ultralytics']:.2f} ms: {cost['ultralytics'] / cost['ours']:.2f} times as much"
    )


class Turn(NamedTuple):
    """One epoch without its first batches."""

    images_per_s: float
    processor_ms: float  # of the loader processes, per image

    def __str__(self) -> str:
        return f"{self.images_per_s:.0f} images/s ({self.processor_ms:.2f} ms)"


def _take_turn(loader: Any, skipped: int) -> Turn:
    """Time an epoch; its first batches wait for the loader processes to start."""
    images, begin, processor = 0, 0.0, 0.0
    for number, batch in enumerate(loader):
        if number == skipped:
            begin, processor = time.perf_counter(), _processor_s()
        elif number > skipped:
            images += len(batch["images" if "images" in batch else "img"])
    spent, processor = time.perf_counter() - begin, _processor_s() - processor
    if hasattr(loader, "close"):
        loader.close()
    return Turn(images / spent, 1000 * processor / images)


def _processor_s() -> float:
    """Processor time of the loader processes so far (Linux)."""
    ticks = 0
    for process in multiprocessing.active_children():
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _report_shares(
    name: str, sample: Callable[[int], Any], join: Callable[[list[Any]], Any], order: list[int], batch: int
) -> None:
    for index in order[:batch]:
        sample(index)
    decoding, joining = [0.0], [0.0]
    with _timed("imdecode", decoding):
        begin = time.process_time()
        for group in _groups(order, batch):
            samples = [sample(index) for index in group]
            before = time.process_time()
            join(samples)
            joining[0] += time.process_time() - before
        spent = time.process_time() - begin
    parts = {"decode": decoding[0], "transform": spent - decoding[0] - joining[0], "collate": joining[0]}
    shares = ", ".join(f"{part} {1000 * s / len(order):.2f} ({s / spent:.0%})" for part, s in parts.items())
    print(f"  {name:<12}{1000 * spent / len(order):.2f}: {shares}")


@contextmanager
def _timed(function: str, spent: list[float]) -> Iterator[None]:
    """Add up the time inside a function of OpenCV."""
    original = getattr(cv2, function)

    def timed(*args: Any, **kwargs: Any) -> Any:
        begin = time.process_time()
        try:
            return original(*args, **kwargs)
        finally:
            spent[0] += time.process_time() - begin

    setattr(cv2, function, timed)
    try:
        yield
    finally:
        setattr(cv2, function, original)


def _groups(items: list[int], size: int) -> Iterable[list[int]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _report_floor(catalog: Catalog, workers: int) -> None:
    """Decoding alone, in as many processes as the loaders have: nothing that decodes each frame once is faster."""
    count = min(len(catalog), 400)
    paths = [str(catalog.image_path(row)) for row in range(count)]
    context = multiprocessing.get_context("forkserver")
    print(f"\ndecoding alone, {workers} processes, images/s:")
    with context.Pool(workers, initializer=cv2.setNumThreads, initargs=(0,)) as pool:
        for name, flags in (("whole", cv2.IMREAD_COLOR), ("half size", cv2.IMREAD_REDUCED_COLOR_2)):
            jobs = [(paths[start::workers], flags) for start in range(workers)]
            pool.starmap(_decode_all, jobs)
            begin = time.perf_counter()
            pool.starmap(_decode_all, jobs)
            print(f"  {name:<12}{count / (time.perf_counter() - begin):.0f}")


def _decode_all(paths: list[str], flags: int) -> None:
    for path in paths:
        cv2.imdecode(np.fromfile(path, dtype=np.uint8), flags)


if __name__ == "__main__":
    main()
