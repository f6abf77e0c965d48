"""Does the in-vehicle runtime grow in memory? Frames of all kinds, good and bad, from two cameras at once.

python tools/soak_runtime.py [FILE] [--frames 100000] [--minutes M] [--limit BYTES]

Two threads, one camera each, share one `Detector`. More than half of the frames are good (noise, of several sizes where
the file takes any), the others black, of one colour, frozen, stale, of another type, layout or size, and, for the file
made here, such that the network's output is not finite. Without FILE a small one is made, in a process of its own: its
network is two boxes, so that 100,000 frames take a minute and everything around the network is what is measured.

Printed is the memory that the process holds at each twentieth of the frames, and the slope of a straight line through
those of the second half, when caches are full. More bytes per frame than the limit end it with exit code 1. The limit's
default, 20 bytes, is 2 MB in 100,000 frames: allocators and the counts of health words stay far below.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tl_runtime import CONTRACT_VERSION, Detector
from tl_runtime.checksum import hash_file_of, hash_line, sha256_of
from tl_runtime.memory import resident_bytes

WIDTH_PX, HEIGHT_PX = 64, 32
# Width and height of the frames, where the file takes any; a camera keeps its size for a while, as cameras do.
SIZES = ((96, 64), (128, 80), (200, 120), (161, 97))
FRAMES_OF_ONE_SIZE = 50
INTERVALS = 20
CAMERAS = ("left", "right")


def make_file(path: Path) -> None:
    """A file of the contract for frames of any size: two boxes, the score of one follows the brightest red.

    A green of 255 anywhere makes the network's output infinite.
    """
    from onnx import TensorProto, helper, numpy_helper

    from tl_detection.export.camera import Camera
    from tl_detection.export.graph import IR_VERSION, OPSET, GraphWriter
    from tl_detection.export.metadata import as_entries
    from tl_detection.export.postprocess import Candidates, write_outputs
    from tl_detection.export.preprocess import write_preprocess

    graph = GraphWriter("soak")
    tensor, placement = write_preprocess(graph, "image", WIDTH_PX, HEIGHT_PX, Camera(frame_size=None))
    picture = graph.op("Div", graph.row(tensor, 0), graph.constant(255, np.float32))
    red, green = (graph.op("ReduceMax", graph.row(picture, channel), keepdims=0) for channel in (0, 1))
    one = graph.constant(1, np.float32)
    candidates = Candidates(
        xyxy=graph.constant([[32, 8, 40, 24], [8, 4, 16, 12]], np.float32),
        score=graph.op("Concat", graph.reshape(red, [1]), graph.constant([0.4], np.float32), axis=0),
        class_id=graph.constant([0, 1], np.int64),
        total=graph.op("Div", one, graph.op("Sub", one, green)),
    )
    for name, value in write_outputs(graph, [candidates], placement, 2, "score_thresholds").items():
        graph.rename(value, name)
    shapes = {
        "num_detections": (TensorProto.INT32, [1, 1]),
        "detection_boxes": (TensorProto.FLOAT, [1, 2, 4]),
        "detection_scores": (TensorProto.FLOAT, [1, 2]),
        "detection_classes": (TensorProto.INT32, [1, 2]),
    }
    made = helper.make_graph(
        graph.nodes,
        "soak",
        [
            helper.make_tensor_value_info("image", TensorProto.UINT8, [1, "height", "width", 3]),
            helper.make_tensor_value_info("score_thresholds", TensorProto.FLOAT, [2]),
        ],
        [helper.make_tensor_value_info(name, *what) for name, what in shapes.items()],
        [*graph.used_constants(), numpy_helper.from_array(np.array([0.3, 0.3], np.float32), "score_thresholds")],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    names = ("red", "green")
    described = {
        "contract": CONTRACT_VERSION,
        "variant": "detector",
        "precision": "float32",
        "classes": [{"id": i, "name": n, "state": n, "pictogram": None, "group": 0} for i, n in enumerate(names)],
        "color_order": "RGB",
        "frame": {"width_px": None, "height_px": None, "batch": 1},
        "input": {"width_px": WIDTH_PX, "height_px": HEIGHT_PX},
        "resize_rule": "letterbox",
        "pad_value": 114,
        "score_floor": 0.3,
        "operating_scores": None,
        "max_detections": 2,
        "license": "AGPL-3.0-or-later",
        "checkpoint_fingerprint": "none",
    }
    helper.set_model_props(model, as_entries(described))
    path.write_bytes(model.SerializeToString(deterministic=True))
    hash_file_of(path).write_text(hash_line(path, sha256_of(path.read_bytes())))


class Drive:
    """One camera's frames: fed by a thread of its own, as many at a time as asked for."""

    def __init__(self, lights: Detector, camera: str, seed: int):
        self.lights, self.camera = lights, camera
        self.rng = np.random.default_rng(seed)
        self.done = 0
        self.health: Counter[str] = Counter()
        size = lights.contract.frame_size
        # Cut out of at another place each time, a picture of noise gives frames that are never the same.
        self.noise = {
            (width, height): self.rng.integers(20, 200, (height + 64, width + 64, 3), dtype=np.uint8)
            for width, height in (SIZES if size is None else (size,))
        }
        self.last: np.ndarray | None = None
        self.repeat = 0

    def run(self, frames: int) -> None:
        """Feed so many more."""
        for _ in range(frames):
            frame, taken_ns = self.next_frame()
            result = self.lights.detect(frame, camera=self.camera, taken_ns=taken_ns)
            self.health[str(result.health)] += 1
            if result.is_usable:
                float(result.scores.sum() + result.xyxy.sum() + result.labels.sum())
            if self.done % 1000 == 0:
                self.lights.status(self.camera)
            self.done += 1

    def next_frame(self) -> tuple[object, int | None]:
        """A frame of some kind, and when it was taken."""
        sizes = list(self.noise)
        width, height = sizes[self.done // FRAMES_OF_ONE_SIZE % len(sizes)]
        noise = self.noise[width, height]
        x, y = (int(value) for value in self.rng.integers(0, 64, 2))
        good = noise[y : y + height, x : x + width]
        kinds = ("black", "colour", "again", "stale", "type", "layout", "none", "size", "infinite")
        kind = kinds[self.rng.integers(len(kinds))] if self.rng.random() < 0.4 else "good"
        now = time.monotonic_ns()
        if kind == "again":
            self.repeat = 3
        if self.repeat and self.last is not None:
            self.repeat -= 1
            return self.last, now
        frame: object = {
            "black": np.zeros_like(good),
            "colour": np.full_like(good, 99),
            "type": good.astype(np.float32),
            "layout": good.transpose(2, 0, 1),
            "none": None,
            "size": good[:, :, :2],
        }.get(kind, good)
        if kind == "infinite":
            frame = np.maximum(good, np.uint8(254))
            frame[: height // 2] = 255
        if frame is good:
            self.last = good
        return frame, 0 if kind == "stale" else now


def bytes_per_frame(frames: Sequence[int], resident: Sequence[int]) -> float:
    """Slope of a straight line through the second half of what was measured."""
    half = len(frames) // 2
    return float(np.polyfit(frames[half:], resident[half:], 1)[0])


def soak(file: Path, frames: int, minutes: float | None, limit: float) -> int:
    """Feed the frames and judge; gives the exit code."""
    lights = Detector(file)
    drives = [Drive(lights, camera, seed) for seed, camera in enumerate(CAMERAS)]
    until = None if minutes is None else time.monotonic() + 60 * minutes
    part = max(1, frames // INTERVALS // len(drives))
    seen: list[int] = []
    resident: list[int] = []
    start = time.monotonic()
    for _ in range(INTERVALS):
        threads = [threading.Thread(target=drive.run, args=(part,)) for drive in drives]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        held = resident_bytes()
        if held is None:
            print("the system does not tell how much memory a process holds", file=sys.stderr)
            return 2
        seen.append(sum(drive.done for drive in drives))
        resident.append(held)
        print(f"{seen[-1]:>8} frames, {time.monotonic() - start:6.1f} s: {held / 1e6:.2f} MB", flush=True)
        if until is not None and time.monotonic() > until:
            break
    for drive in drives:
        print(f"{drive.camera}: {', '.join(f'{name} {count}' for name, count in sorted(drive.health.items()))}")
    if len(seen) < 4:
        print(f"only {len(seen)} of {INTERVALS} measurements in that time: nothing is known", file=sys.stderr)
        return 2
    slope = bytes_per_frame(seen, resident)
    grown = (resident[-1] - resident[0]) / 1e6
    print(f"{slope:+.2f} bytes per frame in the second half (limit {limit:g}); {grown:+.2f} MB since the first line")
    if slope > limit:
        print(f"the memory grows by {slope:.1f} bytes per frame, allowed are {limit:g}", file=sys.stderr)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool."""
    parser = argparse.ArgumentParser(description="Does the in-vehicle runtime grow in memory?")
    parser.add_argument("file", type=Path, nargs="?", help="a file of tl export; without, a small one is made")
    parser.add_argument("--frames", type=int, default=100_000, help="frames in all (default: 100000)")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes")
    parser.add_argument("--make", action="store_true", help="only make the small file, at FILE")
    parser.add_argument("--limit", type=float, default=20, help="most bytes per frame (default: 20)")
    options = parser.parse_args(arguments)
    if options.make:
        make_file(options.file)
        return 0
    if options.file is not None:
        return soak(options.file, options.frames, options.minutes, options.limit)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "soak.onnx"
        subprocess.run([sys.executable, __file__, "--make", str(path)], check=True)
        return soak(path, options.frames, options.minutes, options.limit)


if __name__ == "__main__":
    sys.exit(main())
