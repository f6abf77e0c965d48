"""What a YOLO starts from: weights of a file, or fresh weights whose boxes are as large as the lights."""

from __future__ import annotations

import logging
import pickle
import re
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from tl_datasets.errors import ConfigError, WeightsError
from tl_detection.checkpoint import load_checkpoint, transfer_state
from tl_detection.config import YoloConfig
from tl_detection.detectors.yolo_architecture import architecture_config
from tl_detection.training.class_transfer import log_classes, match_classes
from tl_detection.ultralytics_door import DetectionModel, torch_safe_load

logger = logging.getLogger(__name__)

# The last layer of a class branch: one row for each class.
_CLASS_LAYER = re.compile(r"(model\.\d+\.(?:one2one_)?cv3\.\d+\.2\.)(?:weight|bias)")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWeights:
    """What a file holds to start from.

    Attributes:
        state: State dict.
        names: Its classes.
        sized_for_classes: The number of classes by which its class branches are as wide as they are.
    """

    state: dict[str, torch.Tensor]
    names: tuple[str, ...]
    sized_for_classes: int


def describe_yolo(settings: YoloConfig) -> dict[str, Any]:
    """What `build_yolo` needs, as a checkpoint holds it; a network can be built of it without any other file.

    Raises:
        ConfigError: There is no such architecture, or its YAML file holds what no architecture needs.
        WeightsError: The weights to start from are missing, damaged, or hold more than weights.
    """
    is_file = settings.architecture.endswith((".yaml", ".yml"))
    description: dict[str, Any] = {
        "architecture": Path(settings.architecture).stem if is_file else settings.architecture,
        "architecture_config": architecture_config(settings.architecture),
        "width_px": settings.input.width_px,
        "height_px": settings.input.height_px,
        "max_detections": settings.max_detections,
        "end_to_end": settings.end_to_end,
    }
    if settings.weights is not None:
        # The smallest networks have wider class branches for COCO's 80 classes: what those know would not fit.
        description["sized_for_classes"] = read_start_weights(settings.weights).sized_for_classes
    return description


def start_yolo(
    module: DetectionModel, settings: YoloConfig, names: tuple[str, ...], sizes_px: NDArray[np.floating]
) -> None:
    """Give a fresh network the weights of the file that the configuration names, and fit the box branches it has anew.

    Args:
        module: Made by `build_yolo` of `describe_yolo`; changed in place.
        settings: Of the run.
        names: Its classes.
        sizes_px: (N, 2) width and height in network pixels of the boxes to learn.

    Raises:
        WeightsError: The file is missing, damaged, holds more than weights, or is of another architecture.
        ConfigError: `classes_from` names a class that there is not.
    """
    fresh: list[str] | None = None
    if settings.weights is not None:
        fresh = start_from_file(module, names, settings.weights, settings.classes_from)
    elif settings.classes_from:
        raise ConfigError("model.classes_from", ["there is no file to take classes from; set model.weights"])
    fit_box_bias(module, sizes_px, fresh)


def start_from_file(
    module: DetectionModel, names: tuple[str, ...], path: Path, classes_from: Mapping[str, str] | None = None
) -> list[str]:
    """Copy the weights that fit from a checkpoint of ours or a .pt file of ultralytics into a network.

    Args:
        module: Changed in place; what does not fit keeps its start values.
        names: Its classes. Classes of the same name are taken over from the file, the others start anew.
        path: Local file.
        classes_from: Class -> class of the file to take instead.

    Returns:
        Names of the tensors that start anew.

    Raises:
        WeightsError: The file is missing, damaged, holds more than weights, or is of another architecture.
        ConfigError: `classes_from` names a class that there is not.
    """
    start = read_start_weights(path)
    sources = match_classes(names, start.names, classes_from or {}, path)
    rows = {names.index(own): start.names.index(former) for own, former in sources.items()}
    state, fits = _with_own_classes(module, _whole_layers(module, start.state), rows)
    _, fresh = transfer_state(module, state, str(path))
    if sources and not fits:
        logger.warning(
            "%s: its class layers do not fit this architecture, so no class can be taken over; the rest is copied", path
        )
    log_classes(names, sources if fits else {}, path)
    return fresh


def read_start_weights(path: Path) -> StartWeights:
    """Read a checkpoint of ours, or a .pt file of ultralytics; no code of either is run.

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
        names = checkpoint.label_space.names
        sized_for = checkpoint.model.get("sized_for_classes") or len(names)
        return StartWeights(state=checkpoint.state, names=names, sized_for_classes=sized_for)
    try:
        content, _ = torch_safe_load(str(path), safe_only=True)
        module = content.get("ema") or content["model"]
        names = tuple(module.names.values())
        return StartWeights(state=module.float().state_dict(), names=names, sized_for_classes=len(names))
    except (OSError, pickle.UnpicklingError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsError(
            f"{path}: cannot be read as weights of ultralytics ({error.__class__.__name__}); it is damaged or holds "
            "more than known model classes, use the file as released"
        ) from error


def read_start_state(path: Path) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """State dict and class names of a file, as `read_start_weights`."""
    start = read_start_weights(path)
    return start.state, start.names


def _whole_layers(module: DetectionModel, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out layers that fit in part: in another architecture the number of a layer is that of another layer.

    Of the head, the last layer, each branch counts for itself.
    """
    own = module.state_dict()
    head = f"model.{len(cast(Any, module).model) - 1}."

    def layer_of(name: str) -> str:
        return ".".join(name.split(".")[: 4 if name.startswith(head) else 2])

    broken = {
        layer_of(name)
        for name, value in own.items()
        if not _CLASS_LAYER.fullmatch(name) and (name not in state or state[name].shape != value.shape)
    }
    return {name: value for name, value in state.items() if layer_of(name) not in broken}


def _with_own_classes(
    module: DetectionModel, state: dict[str, torch.Tensor], rows: Mapping[int, int]
) -> tuple[dict[str, torch.Tensor], bool]:
    """Move the rows of classes in the last layers to where the network has them; False if no such layer fits."""
    fitted, own, fits = dict(state), module.state_dict(), False
    for key, value in own.items():
        last = _CLASS_LAYER.fullmatch(key)
        if last is None:
            continue
        former, weight = fitted.pop(key, None), last[1] + "weight"
        # The bias of a class means nothing without its weights.
        if former is not None and weight in state and state[weight].shape[1:] == own[weight].shape[1:]:
            fitted[key] = value.clone()
            for to, source in rows.items():
                fitted[key][to] = former[source]
            fits = True
    return fitted, fits


def _is_of_ultralytics(path: Path) -> bool:
    """True if the file holds pickled classes of ultralytics, as its own .pt files do; nothing is unpickled."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            # "c" is pickle's opcode for a class that is named by module and name.
            return any(b"cultralytics." in archive.read(name) for name in names)
    except (OSError, zipfile.BadZipFile):
        return False


@torch.no_grad()
def fit_box_bias(module: DetectionModel, sizes_px: NDArray[np.floating], fresh: Collection[str] | None = None) -> None:
    """Let fresh box branches predict the median light at every point.

    Fresh heads predict boxes of 32 to 480 px. A light of a few pixels overlaps them so little that it gets no target
    and the box loss starts, and may stay, at 0. Larger boxes at coarser levels give no size of light more (measured on
    BDD100K and DTLD, quantiles 50 to 95 % over the levels): the median it is, at all of them.

    Args:
        module: Changed in place.
        sizes_px: (N, 2) width and height in network pixels; nothing is changed if N is 0.
        fresh: Names of the parameters that are fresh: branches that were taken over stay as they are; None = all are.
    """
    if not len(sizes_px):
        return
    width, height = np.median(sizes_px, axis=0)
    head = cast(Any, module).model[-1]
    bins = head.reg_max
    number = len(cast(Any, module).model) - 1
    for branch in ("cv2", "one2one_cv2"):
        for step, level in enumerate(getattr(head, branch, None) or ()):
            if fresh is not None and f"model.{number}.{branch}.{step}.2.bias" not in fresh:
                continue
            stride = float(head.stride[step])
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
