"""What a YOLO starts from: weights of a file, or fresh weights whose boxes are as large as the lights."""

from __future__ import annotations

import logging
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from tl_datasets.errors import WeightsError
from tl_datasets.letterbox import place
from tl_datasets.torch_dataset import LabelledFrames
from tl_detection.checkpoint import load_checkpoint, transfer_state
from tl_detection.ultralytics_door import DetectionModel, torch_safe_load

logger = logging.getLogger(__name__)


def start_from_file(module: DetectionModel, names: tuple[str, ...], path: Path) -> None:
    """Copy the weights that fit from a checkpoint of ours or a .pt file of ultralytics into a network.

    Args:
        module: Changed in place; what does not fit keeps its start values.
        names: Its classes. Classes of the same name are taken over from the file, the others start anew.
        path: Local file.

    Raises:
        WeightsError: The file is missing, damaged, holds more than weights, or is of another architecture.
    """
    state, former = read_start_state(path)
    transfer_state(module, _with_own_classes(module, state, names, former), str(path))
    kept = [name for name in names if name in former]
    logger.info(
        "%s: classes kept: %s; classes that start anew: %s",
        path,
        ", ".join(kept) or "none",
        ", ".join(name for name in names if name not in kept) or "none",
    )


def read_start_state(path: Path) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """State dict and class names of a checkpoint of ours, or of a .pt file of ultralytics; no code of either is run.

    Raises:
        WeightsError: The file is missing, damaged, of another kind, or holds more than weights.
    """
    if not path.is_file():
        raise WeightsError(
            f"{path}: no such weights file; expected RUN/weights/best.pt, or ultralytics' {path.stem}.pt: download it "
            "from the ultralytics assets releases on GitHub where there is network, and give its path as model.weights"
        )
    if not _is_of_ultralytics(path):
        checkpoint = load_checkpoint(path, kind="yolo")
        return checkpoint.state, checkpoint.label_space.names
    try:
        content, _ = torch_safe_load(str(path), safe_only=True)
        module = content.get("ema") or content["model"]
        return module.float().state_dict(), tuple(module.names.values())
    except (OSError, pickle.UnpicklingError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsError(
            f"{path}: cannot be read as weights of ultralytics ({error.__class__.__name__}); it is damaged or holds "
            "more than known model classes, use the file as released"
        ) from error


def _with_own_classes(
    module: DetectionModel, state: dict[str, torch.Tensor], names: tuple[str, ...], former: tuple[str, ...]
) -> dict[str, torch.Tensor]:
    """Move the rows of each class in the last layers to where the network has the class of that name."""
    fitted, own = dict(state), module.state_dict()
    pairs = [(names.index(name), former.index(name)) for name in names if name in former]
    for key, value in own.items():
        is_class_layer = re.search(r"\.(one2one_)?cv3\.\d+\.2\.(weight|bias)$", key)
        if is_class_layer and key in state and state[key].shape[1:] == value.shape[1:]:
            fitted[key] = value.clone()
            for to, source in pairs:
                fitted[key][to] = state[key][source]
    return fitted


def _is_of_ultralytics(path: Path) -> bool:
    """True if the file holds pickled classes of ultralytics, as its own .pt files do; nothing is unpickled."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            # "c" is pickle's opcode for a class that is named by module and name.
            return any(b"cultralytics." in archive.read(name) for name in names)
    except (OSError, zipfile.BadZipFile):
        return False


def network_sizes(frames: LabelledFrames, width_px: int, height_px: int) -> NDArray[np.float64]:
    """Width and height of the boxes to learn, (N, 2) in network pixels before augmentation."""
    table = frames.catalog.frames
    scales = [
        place(width, height, width_px, height_px).scale
        for width, height in zip(table["width_px"], table["height_px"], strict=True)
    ]
    per_box = np.repeat(scales, np.diff(frames.catalog.offsets))
    xyxy = frames.catalog.xyxy
    learned = (frames.class_id >= 0) & ~frames.ignored
    return ((xyxy[:, 2:] - xyxy[:, :2]) * per_box[:, None])[learned]


@torch.no_grad()
def fit_box_bias(module: DetectionModel, sizes_px: NDArray[np.floating]) -> None:
    """Let fresh box branches predict the median light at every point.

    Fresh heads predict boxes of 32 to 480 px. A light of a few pixels overlaps them so little that it gets no target
    and the box loss starts, and may stay, at 0.

    Args:
        module: Fresh network, changed in place.
        sizes_px: (N, 2) width and height in network pixels; nothing is changed if N is 0.
    """
    if not len(sizes_px):
        return
    width, height = np.median(sizes_px, axis=0)
    head = cast(Any, module).model[-1]
    bins = head.reg_max
    branches = [head.cv2] + ([head.one2one_cv2] if getattr(head, "one2one_cv2", None) is not None else [])
    for branch in branches:
        for level, stride in zip(branch, head.stride.tolist(), strict=True):
            # Distances from the point to left, top, right and bottom, in strides.
            distances = [side / 2 / stride for side in (width, height, width, height)]
            bias = distances if bins == 1 else np.concatenate([_logits_of_mean(each, bins) for each in distances])
            level[-1].bias.copy_(torch.as_tensor(np.asarray(bias), dtype=level[-1].bias.dtype))


def _logits_of_mean(mean: float, bins: int) -> NDArray[np.float64]:
    """Logits of the broadest distribution over 0, 1, ... bins - 1 with this mean."""
    steps = np.arange(bins)
    mean = float(np.clip(mean, 0.02, bins - 1.02))
    low, high = -20.0, 20.0
    for _ in range(60):
        slope = (low + high) / 2
        weights = np.exp(slope * steps - np.max(slope * steps))
        low, high = (low, slope) if (weights * steps).sum() / weights.sum() > mean else (slope, high)
    return slope * (steps - steps.mean())
