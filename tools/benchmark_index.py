"""Time `tl index` on generated label files of BDD100K's size, and opening and filtering the catalog that it makes.

    python tools/benchmark_index.py --work /tmp/benchmark [--frames 70000] [--boxes 1300000] [--images]

Writes the labels twice, as one combined file and as one file per image, with the words, key order and number of digits
of the real ones, and with `--images` a JPEG file of its own for each frame (else frames are kept without one). Each
`tl index` runs as a process of its own; its peak memory is what the system says of it.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

CATEGORIES = ("car", "traffic sign", "traffic light", "pedestrian", "truck", "bus", "bicycle", "rider", "motorcycle")
# Boxes per category in det_20's training file.
WEIGHTS = (700_703, 238_270, 187_871, 92_159, 27_892, 11_977, 7_124, 4_560, 3_023)
WEATHERS = ("clear", "overcast", "undefined", "snowy", "rainy", "partly cloudy", "foggy")
TIMES = ("daytime", "night", "dawn/dusk", "undefined")
SCENES = ("city street", "highway", "residential", "parking lot", "tunnel", "gas stations", "undefined")


def main() -> int:
    """Generate, index, open and filter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="scratch folder; made, and used again if it is there")
    parser.add_argument("--frames", type=int, default=70_000)
    parser.add_argument("--boxes", type=int, default=1_300_000)
    parser.add_argument("--images", action="store_true", help="an image file for each frame")
    options = parser.parse_args()
    labels = options.work / f"bdd100k_{options.frames}_{options.boxes}" / "labels"
    if not labels.exists():
        generate(labels, options.frames, options.boxes, with_images=options.images)
    kept = [] if (labels.parent / "images").is_dir() else ["--option", "missing_images=keep"]
    for name, source in (
        ("one combined file", labels / "combined" / "det_train.json"),
        ("one file per image", labels / "train"),
    ):
        out = options.work / "catalog"
        shutil.rmtree(out, ignore_errors=True)
        command = [
            sys.executable,
            "-m",
            "tl_detection.cli",
            "index",
            str(source),
            "--format",
            "bdd100k",
            "--out",
            str(out),
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        subprocess.run([*command, *kept], check=True)
        seconds = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{name}: {seconds:.1f} s, {cpu:.1f} s of CPU, peak memory so far {after.ru_maxrss / 1e6:.2f} GB")
    time_catalog(out)
    return 0


def time_catalog(folder: Path) -> None:
    """Print how long it takes to open a catalog and to filter it."""
    from tl_datasets.catalog import Catalog

    catalog = Catalog.open(folder)
    print(f"catalog: {len(catalog)} frames, {len(catalog.annotations)} boxes")
    print(f"open: {median_s(lambda: Catalog.open(folder)):.3f} s")
    for condition in ('weather == "rainy"', 'time_of_day == "night"', 'weather != "clear" and scene == "highway"'):
        print(f"filter {condition}: {median_s(lambda text=condition: catalog.filter(text)):.3f} s")


def median_s(run: Callable[[], object], times: int = 7) -> float:
    """Median time of several runs in seconds."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def generate(labels: Path, frames: int, boxes: int, *, with_images: bool) -> None:
    """Write both forms of the labels."""
    rng = random.Random(0)
    temporary = labels.with_name("labels.partial")
    (temporary / "combined").mkdir(parents=True)
    (temporary / "train").mkdir()
    records = []
    for number in range(frames):
        record = _record(
            rng, f"{rng.getrandbits(32):08x}-{number:08x}.jpg", boxes // frames + (number < boxes % frames)
        )
        records.append(record)
        (temporary / "train" / f"{record['name'][:-4]}.json").write_text(json.dumps([record]))
    (temporary / "combined" / "det_train.json").write_text(json.dumps(records))
    if with_images:
        _write_images(labels.parent / "images" / "100k" / "train", [record["name"] for record in records])
    temporary.rename(labels)


def _record(rng: random.Random, name: str, n_boxes: int) -> dict:
    return {
        "name": name,
        "attributes": {"weather": rng.choice(WEATHERS), "timeofday": rng.choice(TIMES), "scene": rng.choice(SCENES)},
        "timestamp": 10000,
        "labels": [_label(rng, number) for number in range(n_boxes)],
    }


def _label(rng: random.Random, number: int) -> dict:
    x1, y1 = round(rng.uniform(0, 1240), 6), round(rng.uniform(0, 690), 6)
    category = rng.choices(CATEGORIES, WEIGHTS)[0]
    return {
        "id": str(number),
        "attributes": {
            "occluded": rng.random() < 0.4,
            "truncated": rng.random() < 0.1,
            "trafficLightColor": rng.choice(("G", "R", "Y", "NA")) if category == "traffic light" else "NA",
        },
        "category": category,
        "box2d": {"x1": x1, "y1": y1, "x2": round(x1 + rng.uniform(2, 40), 6), "y2": round(y1 + rng.uniform(2, 30), 6)},
    }


def _write_images(folder: Path, names: list[str]) -> None:
    import cv2
    import numpy as np

    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    data = bytearray(
        cv2.imencode(".jpg", cv2.GaussianBlur(noise, (0, 0), 3), [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes()
    )
    for number, name in enumerate(names):
        data[-40:-32] = number.to_bytes(8, "little").replace(b"\xff", b"\xfe")
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    sys.exit(main())
