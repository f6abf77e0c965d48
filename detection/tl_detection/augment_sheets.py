"""Contact sheets of training samples: what the network really sees, with what it is told, and what it is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.errors import UsageError
from tl_datasets.images import write_rgb
from tl_datasets.label_space import LabelSpace
from tl_datasets.new_folder import new_folder
from tl_datasets.torch_dataset import FrameDataset, Sample
from tl_detection.draw import class_colour

VANISHED_COLOUR = (255, 0, 255)
IGNORED_COLOUR = (255, 255, 255)
BOX_ONLY_COLOUR = (0, 255, 255)
_COLUMNS, _ROWS = 3, 4
TILES_PER_SHEET = _COLUMNS * _ROWS
_CAPTION_PX = 22
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_sheets(
    dataset: FrameDataset,
    label_space: LabelSpace,
    out: Path,
    n_frames: int,
    epoch: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Draw samples of an epoch, in its order, onto sheets of twelve, and write down what is in them.

    Args:
        dataset: The samples of a run.
        label_space: Its classes.
        out: Folder to make: sheet_001.png ..., legend.png, samples.jsonl.
        n_frames: How many samples; as many as the epoch has, if that is less.
        epoch: 0-based.
        progress: Called with the number of samples that are done, and of all.

    Returns:
        Counts of samples, boxes, boxes without a class, vanished boxes and ignore areas.

    Raises:
        UsageError: Fewer than one sample is asked for, or the epoch is none of the run.
        DataError: The folder holds something, or an image cannot be read.
    """
    if n_frames < 1:
        raise UsageError(f"--frames {n_frames}, expected at least 1")
    if not 0 <= epoch < dataset.epochs:
        raise UsageError(f"--epoch {epoch}, expected 0 to {dataset.epochs - 1}: the run has {dataset.epochs} epochs")
    dataset.set_epoch(epoch)
    count = min(n_frames, len(dataset))
    totals: dict[str, int] = dict.fromkeys(("samples", "boxes", "box_only", "vanished", "ignored"), 0)
    with new_folder(out) as folder:
        lines, tiles = [], []
        for position in range(count):
            sample = dataset[position]
            lines.append(json.dumps(_record(sample, label_space)))
            tiles.append(draw_sample(sample, label_space))
            totals["samples"] += 1
            totals["boxes"] += len(sample["xyxy"])
            totals["box_only"] += len(sample["box_only_xyxy"])
            totals["vanished"] += sample["vanished"]
            totals["ignored"] += len(sample["ignore_xyxy"]) - sample["vanished"]
            if len(tiles) == TILES_PER_SHEET or position + 1 == count:
                write_rgb(folder / f"sheet_{position // TILES_PER_SHEET + 1:03d}.png", join_tiles(tiles))
                tiles.clear()
            if progress is not None:
                progress(position + 1, count)
        write_rgb(folder / "legend.png", _legend(label_space))
        (folder / "samples.jsonl").write_text("\n".join(lines) + "\n")
    return totals


def _record(sample: Sample, label_space: LabelSpace) -> dict[str, object]:
    """What a sample is, for scripts; pixels are those of the network's input."""
    return {
        "frame_id": sample["frame_id"],
        "occurrence": sample["occurrence"],
        "weather": sample["weather"],
        "time_of_day": sample["time_of_day"],
        "condition_source": "synthetic" if sample["made"] else None,
        "made": list(sample["made"]),
        "boxes": [
            {"class": label_space.names[class_id], "xyxy": [round(value, 2) for value in xyxy]}
            for xyxy, class_id in zip(sample["xyxy"].tolist(), sample["class_id"].tolist(), strict=True)
        ],
        "box_only": [
            {
                "candidates": [label_space.names[class_id] for class_id, may in enumerate(row) if may],
                "xyxy": [round(value, 2) for value in xyxy],
            }
            for xyxy, row in zip(sample["box_only_xyxy"].tolist(), sample["box_only_candidates"].tolist(), strict=True)
        ],
        "ignored": [
            {"xyxy": [round(value, 2) for value in xyxy], "vanished": vanished}
            for xyxy, vanished in zip(sample["ignore_xyxy"].tolist(), sample["is_vanished"].tolist(), strict=True)
        ],
    }


def draw_sample(sample: Sample, label_space: LabelSpace) -> NDArray[np.uint8]:
    """A sample at the size that the network sees, with its boxes, its ignore areas, and a caption below."""
    picture = np.ascontiguousarray(sample["image"].permute(1, 2, 0).numpy())
    for xyxy, vanished in zip(sample["ignore_xyxy"].tolist(), sample["is_vanished"].tolist(), strict=True):
        _outline(picture, xyxy, VANISHED_COLOUR if vanished else IGNORED_COLOUR)
    for xyxy in sample["box_only_xyxy"].tolist():
        _outline(picture, xyxy, BOX_ONLY_COLOUR)
    for xyxy, class_id in zip(sample["xyxy"].tolist(), sample["class_id"].tolist(), strict=True):
        _outline(picture, xyxy, class_colour(label_space.names[class_id], label_space.states[class_id]))
    parts = [sample["frame_id"][-28:], f"{len(sample['xyxy'])} boxes, {sample['vanished']} vanished"]
    parts += [f"{len(sample['box_only_xyxy'])} without a class"] if len(sample["box_only_xyxy"]) else []
    parts += [word for word in (sample["weather"], sample["time_of_day"]) if word is not None]
    parts += ["made by " + ", ".join(sample["made"])] if sample["made"] else []
    caption = np.full((_CAPTION_PX, picture.shape[1], 3), 24, np.uint8)
    text = " | ".join(parts)
    cv2.putText(caption, text.encode("ascii", "replace").decode(), (4, 15), _FONT, 0.42, (235,) * 3, 1, cv2.LINE_AA)
    return np.vstack([picture, caption])


def _outline(picture: NDArray[np.uint8], xyxy: Sequence[float], colour: tuple[int, int, int]) -> None:
    """Outside of the box, so that a lamp of few pixels stays visible."""
    x1, y1, x2, y2 = xyxy
    cv2.rectangle(picture, (round(x1) - 2, round(y1) - 2), (round(x2) + 1, round(y2) + 1), colour, 1)


def join_tiles(tiles: Sequence[NDArray[np.uint8]], columns: int = _COLUMNS) -> NDArray[np.uint8]:
    """Put (h, w, 3) pictures side by side in rows, black where there is none; smaller ones lie at the top left."""
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    sheet = np.zeros((-(-len(tiles) // columns) * height, columns * width, 3), np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet


def _legend(label_space: LabelSpace) -> NDArray[np.uint8]:
    entries = [
        (name, class_colour(name, state)) for name, state in zip(label_space.names, label_space.states, strict=True)
    ]
    entries += [("light of a class that is not known", BOX_ONLY_COLOUR)] if label_space.box_only else []
    entries += [("vanished: too little is left of a labelled box", VANISHED_COLOUR), ("ignore area", IGNORED_COLOUR)]
    picture = np.full((26 * len(entries) + 8, 460, 3), 24, np.uint8)
    for number, (name, colour) in enumerate(entries):
        top = 26 * number + 6
        cv2.rectangle(picture, (8, top), (26, top + 18), colour, 2)
        text = name.encode("ascii", "replace").decode()
        cv2.putText(picture, text, (38, top + 15), _FONT, 0.48, (235,) * 3, 1, cv2.LINE_AA)
    return picture
