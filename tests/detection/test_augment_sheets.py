"""Contact sheets of training samples: every box in its own colour, counts and conditions written beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, UsageError
from tl_datasets.images import read_rgb
from tl_datasets.torch_dataset import FrameDataset, labelled_frames
from tl_detection.augment_sheets import VANISHED_COLOUR, draw_sheets
from tl_detection.config import RunConfig
from tl_detection.draw import STATE_COLOURS
from tl_detection.training.data import training_samples

ZOOMED = {"mosaic": 0, "flip_lr": 0, "scale": [1.4, 1.4], "translate": 0, "min_visible": 0.99}


@pytest.fixture
def run(lamp_run_config: Callable[..., RunConfig], tmp_path: Path) -> tuple[RunConfig, FrameDataset]:
    config = lamp_run_config(tmp_path, frames=14, augment=ZOOMED, epochs=3)
    frames = labelled_frames(Catalog.open(config.data.catalog), config.data.label_space)
    return config, training_samples(config, frames)


def count(image: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((image == colour).all(axis=2).sum())


def test_sheets_show_what_is_labelled_and_what_is_not(run, tmp_path):
    config, dataset = run
    seen = []
    totals = draw_sheets(dataset, config.data.label_space, tmp_path / "out", 14, 1, lambda *done: seen.append(done))
    assert seen[-1] == (14, 14)
    lines = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert len({line["frame_id"] for line in lines}) == 14
    assert totals["boxes"] == sum(len(line["boxes"]) for line in lines) > 0
    assert totals["vanished"] == sum(area["vanished"] for line in lines for area in line["ignored"]) > 0
    sheets = [read_rgb(tmp_path / "out" / name) for name in ("sheet_001.png", "sheet_002.png")]
    # 128x64 and its caption, three beside each other, four rows; two are left for the second sheet.
    assert [sheet.shape for sheet in sheets] == [(4 * 86, 3 * 128, 3), (86, 3 * 128, 3)]
    for colour in (VANISHED_COLOUR, *(STATE_COLOURS[state] for state in config.data.label_space.states)):
        assert sum(count(sheet, colour) for sheet in sheets) > 20
    # The tile is the sample, but for the outlines.
    dataset.set_epoch(1)
    image = dataset[0]["image"].permute(1, 2, 0).numpy()
    assert (sheets[0][:64, :128] == image).all(axis=2).mean() > 0.85
    assert read_rgb(tmp_path / "out" / "legend.png").shape[1] == 460


def test_fewer_frames_than_asked_for(run, tmp_path):
    config, dataset = run
    assert draw_sheets(dataset, config.data.label_space, tmp_path / "out", 99)["samples"] == 14


@pytest.mark.parametrize(
    ("frames", "epoch", "message"), [(0, 0, "--frames 0, expected at least 1"), (1, 3, "--epoch 3, expected 0 to 2")]
)
def test_bad_arguments_leave_nothing(frames, epoch, message, run, tmp_path):
    config, dataset = run
    with pytest.raises(UsageError, match=message):
        draw_sheets(dataset, config.data.label_space, tmp_path / "out", frames, epoch)
    assert not (tmp_path / "out").exists()


def test_a_broken_image_leaves_nothing(run, tmp_path):
    config, dataset = run
    (tmp_path / "images" / "3.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"3\.png"):
        draw_sheets(dataset, config.data.label_space, tmp_path / "out", 14)
    assert not (tmp_path / "out").exists()
