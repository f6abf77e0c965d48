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
import pytest
import torch

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import State
from tl_detection.config import RunConfig

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
