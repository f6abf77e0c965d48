"""What both trainers do with every batch: check it, for a loss of garbage is a number like any other, and count it."""

from __future__ import annotations

import torch

from tl_datasets.epoch_statistics import EpochStatistics
from tl_datasets.errors import TrainingError
from tl_datasets.torch_dataset import Batch, box_only_of


def check_batch(batch: Batch, n_classes: int) -> None:
    """Refuse what both engines would learn from without a word, or die of without a name.

    Raises:
        TrainingError: Names the frame.
    """
    height, width = batch["images"].shape[-2:]
    open_xyxy, candidates = box_only_of(batch, n_classes)
    for xyxy, class_id, areas, of_open, sets, frame_id in zip(
        batch["xyxy"],
        batch["class_id"],
        batch["ignore_xyxy"],
        open_xyxy,
        candidates,
        batch["frame_ids"],
        strict=True,
    ):
        fault = None
        if xyxy.ndim != 2 or xyxy.shape[1] != 4 or class_id.shape != (len(xyxy),):
            fault = f"boxes of shape {tuple(xyxy.shape)} and classes of {tuple(class_id.shape)}, expected (N, 4), (N,)"
        elif not ((class_id >= 0) & (class_id < n_classes)).all():
            fault = f"class id outside 0 to {n_classes - 1}"
        elif areas.ndim != 2 or areas.shape[1] != 4:
            fault = f"ignore areas of shape {tuple(areas.shape)}, expected (M, 4)"
        elif of_open.ndim != 2 or of_open.shape[1] != 4 or sets.shape != (len(of_open), n_classes):
            fault = (
                f"boxes without a class of shape {tuple(of_open.shape)} and candidates of {tuple(sets.shape)}, "
                f"expected (K, 4), (K, {n_classes})"
            )
        elif not sets.any(dim=1).all():
            fault = "box without a class and without a candidate, expected at least one"
        else:
            fault = _fault_of_boxes(xyxy, width, height, "box", may_be_empty=False)
            fault = fault or _fault_of_boxes(of_open, width, height, "box without a class", may_be_empty=False)
            # Of an area that a crop has cut to a sliver float32 may leave a line; that is still where the light was.
            fault = fault or _fault_of_boxes(areas, width, height, "ignore area", may_be_empty=True)
        if fault:
            raise TrainingError(f"frame '{frame_id}': {fault}; look at the frame and its boxes in the catalog")


def count_batch(seen: EpochStatistics, batch: Batch) -> None:
    """Add the samples of a batch to what an epoch has shown."""
    for number, frame_id in enumerate(batch["frame_ids"]):
        seen.add(
            frame_id=frame_id,
            class_id=batch["class_id"][number].numpy(),
            conditions={"weather": batch["weather"][number], "time_of_day": batch["time_of_day"][number]},
            ignored=len(batch["ignore_xyxy"][number]),
            vanished=batch["vanished"][number],
            box_only=len(batch["box_only_xyxy"][number]) if "box_only_xyxy" in batch else 0,
            made=batch["made"][number],
        )


def _fault_of_boxes(xyxy: torch.Tensor, width: int, height: int, what: str, *, may_be_empty: bool) -> str | None:
    if not xyxy.isfinite().all():
        return f"{what} with a coordinate that is not finite"
    sides = xyxy[:, 2:] - xyxy[:, :2]
    turned = (sides < 0 if may_be_empty else sides <= 0).any(dim=1)
    if turned.any():
        relation = "<=" if may_be_empty else "<"
        fault = "turned inside out" if may_be_empty else "without area"
        return f"{what} {xyxy[turned][0].tolist()} {fault}, expected x1 {relation} x2 and y1 {relation} y2"
    outside = ((xyxy < 0) | (xyxy > torch.tensor([width, height, width, height]) + 0.5)).any(dim=1)
    if outside.any():
        return f"{what} {xyxy[outside][0].tolist()} outside the {width}x{height} input"
    return None
