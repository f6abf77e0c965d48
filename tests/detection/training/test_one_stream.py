"""One stream for both trainers: what a frame looks like in an epoch depends on the seed alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tl_datasets.torch_dataset import FrameDataset, make_loader
from tl_detection.config import RunConfig
from tl_detection.training.data import prepare_data

EVERYTHING = {
    "mosaic": 0.5,
    "mosaic_off_epochs": 0,
    "mosaic_block": 4,
    "crop": 0.3,
    "mix_up": 0.3,
    "flip_lr": 0.5,
    "scale": [0.7, 1.5],
    "translate": 0.1,
    "copy_paste": {"p": 0.5, "min_height_px": 16},
    "transforms": [
        {
            "name": "one_of",
            "p": 0.8,
            "of": [{"name": name} for name in ("rain", "fog", "snow", "night", "sensor_noise")],
        },
        {"name": "RandomBrightnessContrast", "p": 0.5},
        {"name": "Affine", "p": 0.3, "rotate": [-4, 4]},
    ],
}
BALANCE = {"enabled": True, "threshold": 1.0, "by": []}
FASTER_RCNN = {"kind": "faster_rcnn", "backbone": "resnet18", "input": {"width_px": 128, "height_px": 64}}


@pytest.fixture
def samples_of(tmp_path: Path, lamp_run_config: Callable[..., RunConfig]) -> Callable[..., FrameDataset]:
    def make(model: dict[str, Any] | None = None, **train: Any) -> FrameDataset:
        config = lamp_run_config(tmp_path, frames=12, augment=EVERYTHING, epochs=5, **train)
        values = config.model_dump()
        values["data"]["balance"] = BALANCE
        values["model"] = model or values["model"]
        return prepare_data(RunConfig.model_validate(values)).dataset

    return make


def same(first: Any, second: Any) -> bool:
    return all(
        torch.equal(first[key], second[key]) if isinstance(first[key], torch.Tensor) else first[key] == second[key]
        for key in first
    )


def test_both_trainers_see_the_same_samples(samples_of):
    yolo, faster_rcnn = samples_of(batch_size=4), samples_of(FASTER_RCNN, batch_size=2)
    for epoch in (0, 3):
        yolo.set_epoch(epoch)
        faster_rcnn.set_epoch(epoch)
        assert all(same(yolo[position], faster_rcnn[position]) for position in range(len(yolo)))


def test_any_split_of_an_epoch_over_ranks_gives_the_same_samples(samples_of):
    """A rank that makes only its share of the positions, in its own order, makes what one process would."""
    whole = samples_of()
    whole.set_epoch(1)
    expected = [whole[position] for position in range(len(whole))]
    for ranks in (2, 3):
        for rank in range(ranks):
            alone = samples_of()
            alone.set_epoch(1)
            assert all(same(alone[at], expected[at]) for at in reversed(range(rank, len(alone), ranks)))


def test_the_epoch_differs_from_the_next_and_from_another_seed(samples_of):
    data, other = samples_of(), samples_of(seed=1)
    first = data[0]
    data.set_epoch(1)
    assert not same(first, data[0]) and not same(first, other[0])


def test_workers_change_nothing(samples_of):
    def images(workers: int) -> torch.Tensor:
        return torch.cat([b["images"] for b in make_loader(samples_of(), 4, workers, 0, pin_memory=False)])

    assert torch.equal(images(0), images(2))
