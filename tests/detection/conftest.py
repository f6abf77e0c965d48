"""Fixtures of the detector tests: a few drawn lamps, and a run over them."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import State
from tl_detection.config import RunConfig
from tl_detection.export.camera import Camera
from tl_detection.export.graph import IR_VERSION, OPSET, GraphWriter
from tl_detection.export.metadata import as_entries
from tl_detection.export.postprocess import Candidates, write_outputs
from tl_detection.export.preprocess import write_preprocess
from tl_runtime.checksum import hash_file_of, hash_line, sha256_of

# Samples are the letterboxed frames.
NOTHING = {"mosaic": 0, "crop": 0, "flip_lr": 0, "scale": [1, 1], "translate": 0, "transforms": []}
LAMPS = {State.RED: ((230, 40, 40), 0.2), State.GREEN: ((40, 220, 160), 0.8)}


def draw_lamps(folder: Path, frames: int, width_px: int = 128, height_px: int = 64, seed: int = 0) -> Catalog:
    """Draw grey scenes with one red and one green signal head of 10 to 16 px width; every fourth frame is for val."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    made = []
    for number in range(frames):
        image = cv2.GaussianBlur(rng.integers(60, 110, (height_px, width_px, 3), dtype=np.uint8), (0, 0), 2)
        annotations = []
        for side, (state, (colour, place)) in enumerate(LAMPS.items()):
            width = int(rng.integers(10, 17))
            height = 2 * width
            left = int(rng.integers(0, width_px // 2 - width)) + side * width_px // 2
            top = int(rng.integers(0, height_px - height))
            cv2.rectangle(image, (left, top), (left + width - 1, top + height - 1), (22, 22, 24), -1)
            centre = (left + width // 2, top + round(height * place))
            cv2.circle(image, centre, round(width * 0.35), colour, -1, cv2.LINE_AA)
            annotations.append(Annotation(xyxy=(left, top, left + width, top + height), state=state))
        cv2.imwrite(str(folder / f"{number}.png"), image[:, :, ::-1])
        made.append(
            Frame(
                frame_id=f"frame{number}",
                path=f"{number}.png",
                width_px=width_px,
                height_px=height_px,
                annotations=tuple(annotations),
                sequence=f"drive{number}",
                split="val" if number % 4 == 3 else "train",
            )
        )
    return Catalog.from_frames(made, source="drawn", root=folder)


@pytest.fixture
def memory_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is such a place: thousands of synced writes cost nothing there."""
    place = Path("/dev/shm")
    if not os.access(place, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="tl-test-", dir=place) as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def quiet_is_for_one_command() -> Iterator[None]:
    """`tl --quiet` in one test would leave the next without its log lines."""
    loggers = [logging.getLogger(name) for name in ("tl_datasets", "tl_detection")]
    before = [logger.level for logger in loggers]
    root = logging.getLogger()
    handlers = root.handlers[:]
    yield
    root.handlers[:] = handlers  # a command's own writes to the stream of its test
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Bit-equal sums need one order of addition; on a busy machine the order of several threads changes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def lamp_run_config() -> Callable[..., RunConfig]:
    """`make(folder, frames, architecture, weights, overfit, **train)`: draws lamps, gives a run over them."""

    def make(
        folder: Path,
        *,
        frames: int = 8,
        architecture: str = "yolo26n",
        weights: Path | None = None,
        overfit: bool = True,
        augment: dict[str, Any] | None = None,
        **train: Any,
    ) -> RunConfig:
        if not (folder / "catalog").exists():
            draw_lamps(folder / "images", frames).save(folder / "catalog")
        return RunConfig.model_validate(
            {
                "name": "lamps",
                "folder": folder / "runs",
                "data": {
                    "catalog": folder / "catalog",
                    "train": "width_px > 0" if overfit else 'split == "train"',
                    "label_space": {"classes": {"red": {"state": "red"}, "green": {"state": "green"}}},
                    "overfit_frames": frames if overfit else None,
                },
                "augment": NOTHING | (augment or {}),
                "model": {
                    "kind": "yolo",
                    "architecture": architecture,
                    "input": {"width_px": 128, "height_px": 64},
                    "weights": weights,
                },
                "train": {"device": "cpu", "workers": 0, "amp": "off", "warmup_epochs": 0, **train},
            }
        )

    return make


# What a file of `vehicle_file` says of itself.
FILE_METADATA: dict[str, Any] = {
    "contract": 2,
    "variant": "detector",
    "kind": "yolo",
    "architecture": "fixed",
    "precision": "float32",
    "classes": [
        {"id": 0, "name": "red", "state": "red", "pictogram": None, "group": 0},
        {"id": 1, "name": "light", "state": None, "pictogram": "circle", "group": 1},
    ],
    "label_space": {"classes": {"red": {"state": ["red"]}, "light": {"pictogram": ["circle"]}}},
    "color_order": "RGB",
    "frame": {"width_px": None, "height_px": None, "batch": 1},
    "input": {"width_px": 64, "height_px": 32},
    "resize_rule": "letterbox",
    "pad_value": 114,
    "score_floor": 0.001,
    "suppression_rule": "none",
    "operating_scores": None,
    "max_detections": 3,
    "opset": OPSET,
    "ir_version": IR_VERSION,
    "license": "AGPL-3.0-or-later",
    "checkpoint_fingerprint": "abc",
    "run": "r",
    "versions": {"torch": "2"},
}


def write_vehicle_file(
    path: Path,
    *,
    frame_size: tuple[int, int] | None = None,
    batch: int = 1,
    color_order: Any = "RGB",
    scores: dict[str, float] | None = None,
    more: dict[str, Any] | None = None,
    entries: dict[str, str] | None = None,
    change: Callable[[onnx.ModelProto], None] | None = None,
) -> Path:
    """A file of the contract whose network (64 x 32) sees the same two boxes everywhere, and no more in the rest.

    The score of the red one is 0.9 times the brightest red of the picture, that of the other one 0.4. Values of 255 in
    the lower left corner make the network's output infinite.
    """
    width, height = frame_size or (None, None)
    metadata = FILE_METADATA | {
        "color_order": color_order,
        "frame": {"width_px": width, "height_px": height, "batch": batch},
        "operating_scores": scores,
    }
    graph = GraphWriter("t")
    camera = Camera(frame_size=frame_size, color_order=color_order, batch=batch)
    tensor, placement = write_preprocess(graph, "image", 64, 32, camera)
    boxes = graph.constant([[32, 8, 40, 24], [8, 4, 16, 12], [0, 0, 0, 0]], np.float32)
    found = []
    for row in range(batch):
        picture = graph.op("Div", graph.row(tensor, row), graph.constant(255, np.float32))
        red = graph.op("ReduceMax", graph.row(picture, 0), keepdims=0)
        seen = graph.op("Mul", red, graph.constant(0.9, np.float32))
        corner = graph.op(
            "Gather",
            graph.op("Gather", graph.row(picture, 1), graph.constant(31, np.int64), axis=0),
            graph.constant(0, np.int64),
            axis=0,
        )
        total = graph.op("Div", graph.constant(1, np.float32), graph.op("Sub", graph.constant(1, np.float32), corner))
        rest = graph.constant([0.4, -1], np.float32)
        score = graph.op("Concat", graph.reshape(seen, [1]), rest, axis=0)
        found.append(Candidates(xyxy=boxes, score=score, class_id=graph.constant([0, 1, -1], np.int64), total=total))
    for name, value in write_outputs(graph, found, placement, 3, "score_thresholds").items():
        graph.rename(value, name)
    lowest = [0.001, 0.001] if scores is None else [scores["red"], scores["light"]]
    made = helper.make_graph(
        graph.nodes,
        "t",
        [
            helper.make_tensor_value_info("image", TensorProto.UINT8, [batch, height or "height", width or "width", 3]),
            helper.make_tensor_value_info("score_thresholds", TensorProto.FLOAT, [2]),
        ],
        [
            helper.make_tensor_value_info("num_detections", TensorProto.INT32, [batch, 1]),
            helper.make_tensor_value_info("detection_boxes", TensorProto.FLOAT, [batch, 3, 4]),
            helper.make_tensor_value_info("detection_scores", TensorProto.FLOAT, [batch, 3]),
            helper.make_tensor_value_info("detection_classes", TensorProto.INT32, [batch, 3]),
        ],
        [*graph.used_constants(), numpy_helper.from_array(np.array(lowest, np.float32), "score_thresholds")],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    helper.set_model_props(model, as_entries(metadata | (more or {})) if entries is None else entries)
    if change is not None:
        change(model)
    path.write_bytes(model.SerializeToString())
    hash_file_of(path).write_text(hash_line(path, sha256_of(path.read_bytes())))
    return path


@pytest.fixture
def vehicle_file(tmp_path) -> Callable[..., Path]:
    """`make(**)`: a file of the contract with its hash file, see `write_vehicle_file`."""
    return lambda name="lights.onnx", **settings: write_vehicle_file(tmp_path / name, **settings)


@pytest.fixture(scope="session")
def file_metadata() -> dict[str, Any]:
    """What a file of `vehicle_file` says of itself."""
    return FILE_METADATA
