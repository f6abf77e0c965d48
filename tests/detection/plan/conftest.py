"""Fixtures of the plan: a catalog of given boxes without images, and a run over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import State
from tl_datasets.torch_dataset import FrameDataset
from tl_detection.config import RunConfig

XYXY = tuple[float, float, float, float]


@pytest.fixture
def run_over(tmp_path: Path) -> Callable[..., RunConfig]:
    """`run_over(boxes, **sections)`: one frame per list of boxes, red and green in turn; every fourth frame is val."""

    def make(
        boxes: Sequence[Sequence[XYXY]],
        size: tuple[int, int] = (640, 360),
        frame: Callable[[int], dict[str, Any]] = lambda number: {},
        **sections: Any,
    ) -> RunConfig:
        frames = [
            Frame(
                **{
                    "frame_id": f"frame{number}",
                    "path": f"{number}.png",
                    "width_px": size[0],
                    "height_px": size[1],
                    "annotations": tuple(
                        Annotation(xyxy=box, state=(State.RED, State.GREEN)[(number + at) % 2])
                        for at, box in enumerate(of_frame)
                    ),
                    "sequence": f"drive{number}",
                    "split": "val" if number % 4 == 3 else "train",
                    **frame(number),
                }
            )
            for number, of_frame in enumerate(boxes)
        ]
        folder = tmp_path / "catalog" if not (tmp_path / "catalog").exists() else tmp_path / "another"
        Catalog.from_frames(frames, source="drawn", root=tmp_path).save(folder)
        values: dict[str, Any] = {
            "name": "boxes",
            "data": {
                "catalog": folder,
                "label_space": {"classes": {"red": {"state": "red"}, "green": {"state": "green"}}},
            },
            "model": {"kind": "yolo", "input": {"width_px": 640, "height_px": 384}},
            "train": {"device": "cpu", "workers": 0},
        }
        for name, section in sections.items():
            values[name] = {**values.get(name, {}), **section} if isinstance(section, dict) else section
        return RunConfig.model_validate(values)

    return make


@pytest.fixture
def lights() -> list[list[XYXY]]:
    """A hundred frames of 640x360 with one to four lights of 2 to 20 px width, in the upper half."""
    rng = np.random.default_rng(3)
    frames = []
    for number in range(100):
        corners = rng.uniform((0, 0), (600, 130), (1 + number % 4, 2))
        widths = rng.uniform(2, 20, len(corners))
        frames.append([(x, y, x + w, y + 2.2 * w) for (x, y), w in zip(corners.tolist(), widths.tolist(), strict=True)])
    return frames


@pytest.fixture
def black_frames() -> Callable[[FrameDataset], FrameDataset]:
    """Lets a dataset see black frames: where boxes end up has nothing to do with pixels."""

    def change(dataset: FrameDataset) -> FrameDataset:
        sizes = dataset.frames.catalog.frames.select("width_px", "height_px").rows()

        def black(row: int, reduction: int = 1) -> np.ndarray:
            width, height = sizes[row]
            return np.zeros((-(-height // reduction), -(-width // reduction), 3), np.uint8)

        dataset.cache.read_rgb = black  # type: ignore[method-assign]
        return dataset

    return change
