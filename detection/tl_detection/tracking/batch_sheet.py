"""The contact sheet of a batch: what the network sees, with what it is told."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tl_datasets.label_space import LabelSpace
from tl_datasets.torch_dataset import Batch, Sample, box_only_of
from tl_detection.augment_sheets import TILES_PER_SHEET, draw_sample, join_tiles


def draw_batch(images: torch.Tensor, batch: Batch, label_space: LabelSpace) -> NDArray[np.uint8]:
    """Draw the first samples of a batch, at most `TILES_PER_SHEET`, at the size that the network sees.

    Boxes have the colour of their state, ignore areas are white, those of boxes that vanished among them, and
    boxes without a class are cyan.

    Args:
        images: (B, 3, H, W) uint8 RGB on any device.
        batch: Their boxes and ignore areas.
        label_space: Its classes.
    """
    tiles = []
    open_xyxy, candidates = box_only_of(batch, len(label_space))
    for number, image in enumerate(images[:TILES_PER_SHEET].cpu()):
        areas = batch["ignore_xyxy"][number].cpu()
        sample = Sample(
            image=image,
            xyxy=batch["xyxy"][number].cpu(),
            class_id=batch["class_id"][number].cpu(),
            ignore_xyxy=areas,
            is_vanished=torch.zeros(len(areas), dtype=torch.bool),
            box_only_xyxy=open_xyxy[number].cpu(),
            box_only_candidates=candidates[number].cpu(),
            frame_id=batch["frame_ids"][number],
            vanished=batch["vanished"][number],
            weather=batch["weather"][number],
            time_of_day=batch["time_of_day"][number],
            made=batch["made"][number],
            occurrence=batch["occurrence"][number],
            broken=batch["broken"][number],
        )
        tiles.append(draw_sample(sample, label_space))
    return join_tiles(tiles, columns=min(len(tiles), 3))
