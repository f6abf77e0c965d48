"""What a Faster R-CNN starts from: its description with anchors fitted to the data, and weights of a file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.models.detection import FasterRCNN

from tl_datasets.errors import WeightsError
from tl_detection.checkpoint import load_checkpoint, transfer_state
from tl_detection.config import FasterRcnnConfig
from tl_detection.training.anchors import DEFAULT_ANCHORS, Anchors, anchor_coverage, fit_anchors, network_boxes
from tl_detection.training.data import TrainingData

logger = logging.getLogger(__name__)

# Channels of the pyramid and width of the box head. Nearly all work of a light network at stride 4 is in the pyramid:
# halving it makes a ResNet-18 step 2.5 times faster (measured on two CPU cores, 1024x448).
_HEADS = {"resnet50": (256, 1024), "resnet18": (128, 512), "mobilenet_v3_large": (128, 512)}
# Torchvision's ImageNet state dicts, for the message when none is at hand.
_BACKBONE_FILES = {
    "resnet50": "resnet50-11ad3fa6.pth",
    "resnet18": "resnet18-f37072fd.pth",
    "mobilenet_v3_large": "mobilenet_v3_large-5c1a4163.pth",
}


def describe_model(settings: FasterRcnnConfig, data: TrainingData) -> dict[str, Any]:
    """What `build_faster_rcnn` needs, as a checkpoint holds it; logs how well the anchors cover the training boxes."""
    boxes = network_boxes(data.train, settings.input.width_px, settings.input.height_px)
    fpn_channels, box_head_size = _HEADS[settings.backbone]
    description: dict[str, Any] = {
        "backbone": settings.backbone,
        "norm": settings.norm,
        "width_px": settings.input.width_px,
        "height_px": settings.input.height_px,
        "fpn_channels": fpn_channels,
        "box_head_size": box_head_size,
        "max_detections": settings.max_detections,
        "trainable_layers": _trainable_layers(settings),
    }
    anchors = fit_anchors(boxes) if settings.anchors == "fit" else DEFAULT_ANCHORS
    description |= {"anchor_sizes": [list(level) for level in anchors.sizes], "anchor_ratios": list(anchors.ratios)}
    if settings.weights is not None:
        # The proposals of a trained network are relative to the anchors that it was trained with.
        former = load_checkpoint(settings.weights, kind="faster_rcnn").model
        kept = ("backbone", "fpn_channels", "box_head_size", "anchor_sizes", "anchor_ratios")
        description |= {key: former[key] for key in kept}
        if former["backbone"] != settings.backbone:
            raise WeightsError(
                f"{settings.weights}: has the backbone {former['backbone']}; set model.backbone={former['backbone']}"
            )
        if former["norm"] != settings.norm:
            raise WeightsError(
                f"{settings.weights}: has the norm '{former['norm']}', its weights mean nothing in another; "
                f"set model.norm={former['norm']}"
            )
        anchors = Anchors(
            sizes=tuple(tuple(level) for level in former["anchor_sizes"]), ratios=tuple(former["anchor_ratios"])
        )
    usable, good = anchor_coverage(boxes, anchors)
    height = np.quantile(boxes[:, 1], (0.05, 0.5, 0.95))
    logger.info(
        "boxes are %.0f / %.0f / %.0f px high in the network (5 / 50 / 95 %%); anchors of %s px, ratios %s: "
        "%.0f %% of the boxes have one with IoU 0.5, %.0f %% with 0.7",
        *height,
        ", ".join(f"{size:g}" for size in sorted({size for level in anchors.sizes for size in level})),
        ", ".join(f"{ratio:g}" for ratio in anchors.ratios),
        100 * usable,
        100 * good,
    )
    if usable < 0.8:
        logger.warning(
            "only %.0f %% of the boxes have an anchor with IoU 0.5; set model.anchors=fit or a larger model.input",
            100 * usable,
        )
    return description


def load_start_weights(model: FasterRCNN, settings: FasterRcnnConfig, data: TrainingData) -> None:
    """Copy the weights that the configuration names, if any, into a new model.

    Raises:
        WeightsError: The file is missing, foreign or of another architecture.
    """
    if settings.weights is not None:
        former = load_checkpoint(settings.weights, kind="faster_rcnn")
        names = data.label_space.names
        state, new = copy_class_rows(model, former.state, names, former.label_space.names)
        transfer_state(model, state, str(settings.weights))
        kept = [name for name in names if name not in new]
        logger.info(
            "%s: classes kept: %s; classes that start anew: %s",
            settings.weights,
            ", ".join(kept) or "none",
            ", ".join(new) or "none",
        )
    elif settings.weights_backbone is not None:
        state = _backbone_state(settings.weights_backbone, settings.backbone)
        transfer_state(model.backbone.body, state, str(settings.weights_backbone))  # type: ignore[arg-type]
        if settings.norm == "group":
            logger.warning(
                "%s was trained with batch norm, group norm has to learn anew; "
                "model.norm=frozen keeps what the file knows",
                settings.weights_backbone,
            )


def copy_class_rows(
    model: FasterRCNN, state: dict[str, torch.Tensor], own: tuple[str, ...], former: tuple[str, ...]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Fit the last layer of other weights to this model's classes.

    Args:
        model: Gives the start values of new classes.
        state: State dict of a model with other classes; not changed.
        own: Class names of `model`.
        former: Class names behind `state`.

    Returns:
        A state dict in which classes of the same name, and the background, keep their rows; and the new names.
    """
    fitted = dict(state)
    start = model.state_dict()
    pairs = [(0, 0)] + [(own.index(name) + 1, former.index(name) + 1) for name in own if name in former]
    for layer, rows in (("cls_score", 1), ("bbox_pred", 4)):
        for kind in ("weight", "bias"):
            name = f"roi_heads.box_predictor.{layer}.{kind}"
            value = start[name].clone()
            if state[name].shape[1:] != value.shape[1:]:
                continue
            for to, source in pairs:
                value[to * rows : (to + 1) * rows] = state[name][source * rows : (source + 1) * rows]
            fitted[name] = value
    return fitted, [name for name in own if name not in former]


def _backbone_state(path: Path, backbone: str) -> dict[str, torch.Tensor]:
    wanted = _BACKBONE_FILES[backbone]
    source = f"torchvision's ImageNet weights for {backbone} ({wanted} from download.pytorch.org/models)"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(
            f"{path}: no such file; expected {source}, to be fetched on a machine with network and copied here"
        ) from error
    # A pickle of anything else raises a dozen kinds of errors.
    except Exception as error:
        raise WeightsError(f"{path}: not a state dict, or cut off; expected {source}") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{path}: not a state dict; expected {source}")
    # MobileNet's body is its `features`.
    return {name.removeprefix("features."): value for name, value in state.items()}


def _trainable_layers(settings: FasterRcnnConfig) -> int | None:
    if settings.trainable_layers is not None:
        return settings.trainable_layers
    # Group norm on weights of batch norm must learn in every layer.
    has_weights = settings.weights is not None or (settings.weights_backbone is not None and settings.norm != "group")
    return 3 if has_weights else None
