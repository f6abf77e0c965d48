"""What a Faster R-CNN starts from: a description with anchors fitted to the data, weights of a file, frozen stages."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.models.detection import FasterRCNN

from tl_datasets.errors import WeightsError
from tl_detection.checkpoint import transfer_state
from tl_detection.config import FasterRcnnConfig
from tl_detection.detectors.pyramid import BODIES, HEAD_STAGE, PyramidBackbone, norm_of_heads
from tl_detection.training.anchors import DEFAULT_ANCHORS, Anchors, anchor_coverage, fit_anchors, network_boxes
from tl_detection.training.class_transfer import log_classes, match_classes
from tl_detection.training.data import TrainingData
from tl_detection.training.faster_rcnn_weights import StartWeights, read_backbone, read_start_weights

logger = logging.getLogger(__name__)

# Channels of the pyramid and width of the box head. Nearly all work of a light network at stride 4 is in the pyramid:
# halving it makes a ResNet-18 step 2.5 times faster (measured on two CPU cores, 1024x448).
_HEADS = {
    "resnet50": (256, 1024),
    "resnet18": (128, 512),
    "mobilenet_v3_large": (128, 512),
    "mobilenet_v3_small": (128, 512),
}
# Torchvision freezes as many: 3 of 5 stages learn.
_FROZEN_WITH_WEIGHTS = 2
# What torchvision's MobileNets were trained with on ImageNet; its ResNets with torch's own.
_MOBILENET_EPS = 1e-3


def describe_model(settings: FasterRcnnConfig, data: TrainingData) -> dict[str, Any]:
    """What `build_faster_rcnn` needs, as a checkpoint holds it; logs how well the anchors cover the training boxes.

    Raises:
        ConfigError: Settings contradict each other.
        WeightsError: `weights` is missing, damaged, or of another network than the settings say.
    """
    _warn_of_stages_that_never_learn(settings)
    boxes = network_boxes(data.train, settings.input.width_px, settings.input.height_px)
    fpn_channels, box_head_size = _HEADS[settings.backbone]
    description: dict[str, Any] = {
        "backbone": settings.backbone,
        "version": settings.version,
        "norm": settings.norm,
        "width_px": settings.input.width_px,
        "height_px": settings.input.height_px,
        "fpn_channels": fpn_channels,
        "box_head_size": box_head_size,
        "max_detections": settings.max_detections,
    }
    description["head_norm"] = norm_of_heads(description)
    if settings.weights is not None:
        description |= _as_in_file(settings, settings.weights)
    elif settings.weights_backbone is not None and settings.backbone.startswith("mobilenet"):
        description["norm_eps"] = _MOBILENET_EPS
    # The proposals of a trained network are relative to the anchors that it was trained with.
    if "anchor_sizes" in description:
        anchors = Anchors(
            sizes=tuple(tuple(level) for level in description["anchor_sizes"]),
            ratios=tuple(description["anchor_ratios"]),
        )
    else:
        anchors = fit_anchors(boxes) if settings.anchors == "fit" else DEFAULT_ANCHORS
        description |= {"anchor_sizes": [list(level) for level in anchors.sizes], "anchor_ratios": list(anchors.ratios)}
    _say_coverage(boxes, anchors, is_fitted=settings.anchors == "fit")
    return description


def _warn_of_stages_that_never_learn(settings: FasterRcnnConfig) -> None:
    if settings.frozen_stages and settings.weights is None and settings.weights_backbone is None:
        logger.warning(
            "the first %d stages of the backbone stay as they are drawn at random; "
            "give weights or weights_backbone, or set model.frozen_stages=0",
            settings.frozen_stages,
        )


def _as_in_file(settings: FasterRcnnConfig, path: Path) -> dict[str, Any]:
    """What of a description the weights of a file decide."""
    former = read_start_weights(path, settings.backbone, settings.version).model
    for word, what in (("backbone", settings.backbone), ("version", settings.version)):
        there = former.get(word, 1)
        if there != what:
            raise WeightsError(f"{path}: has the {word} {there}, not {what}; set model.{word}={there}")
    # Frozen statistics are those of batch norm; group norm has none.
    if (former["norm"] == "group") != (settings.norm == "group"):
        norms = "group" if former["norm"] == "group" else "frozen (or batch)"
        raise WeightsError(
            f"{path}: has the norm '{former['norm']}', its weights mean nothing in another; set model.norm={norms}"
        )
    kept = {
        key: former[key]
        for key in ("fpn_channels", "box_head_size", "anchor_sizes", "anchor_ratios", "norm_eps")
        if key in former
    }
    # Frozen, the file has variances to divide by; in a batch a channel may have none.
    if settings.norm == "batch" and kept.get("norm_eps") == 0:
        del kept["norm_eps"]
    head_norm = norm_of_heads(former)
    return {**kept, "head_norm": settings.norm if head_norm in ("batch", "frozen") else head_norm}


def _say_coverage(boxes: NDArray[np.floating], anchors: Anchors, *, is_fitted: bool) -> None:
    usable, good = anchor_coverage(boxes, anchors)
    logger.info(
        "boxes are %.0f / %.0f / %.0f px high in the network (5 / 50 / 95 %%); anchors of %s px, ratios %s: "
        "%.0f %% of the boxes have one with IoU 0.5, %.0f %% with 0.7",
        *np.quantile(boxes[:, 1], (0.05, 0.5, 0.95)),
        ", ".join(f"{size:g}" for size in sorted({size for level in anchors.sizes for size in level})),
        ", ".join(f"{ratio:g}" for ratio in anchors.ratios),
        100 * usable,
        100 * good,
    )
    if usable < 0.8:
        logger.warning(
            "only %.0f %% of the boxes have an anchor with IoU 0.5; %s",
            100 * usable,
            "enlarge model.input" if is_fitted else "set model.anchors=fit, or enlarge model.input",
        )


def load_start_weights(model: FasterRCNN, settings: FasterRcnnConfig, data: TrainingData) -> None:
    """Copy the weights that the configuration names, if any, into a new model.

    Raises:
        ConfigError: `classes_from` names a class that is not there.
        WeightsError: The file is missing, foreign or of another architecture.
    """
    if settings.weights is not None:
        _load_detector(model, settings, read_start_weights(settings.weights, settings.backbone, settings.version), data)
    elif settings.weights_backbone is not None:
        state = _with_counters(read_backbone(settings.weights_backbone, settings.backbone))
        transfer_state(model.backbone.body, state, str(settings.weights_backbone))  # type: ignore[arg-type]
        if settings.norm == "group":
            logger.warning(
                "%s was trained with batch norm, group norm has to learn anew; "
                "model.norm=frozen keeps what the file knows",
                settings.weights_backbone,
            )


def _load_detector(model: FasterRCNN, settings: FasterRcnnConfig, start: StartWeights, data: TrainingData) -> None:
    names = data.label_space.names
    sources = match_classes(names, start.names, settings.classes_from, start.path)
    state = copy_class_rows(
        model, start.state, {names.index(own): start.names.index(former) for own, former in sources.items()}
    )
    _, missing = transfer_state(model, _with_counters(state), str(start.path))
    log_classes(names, sources, start.path)
    proposals = "rpn.head.cls_logits.bias"
    if proposals in missing:
        logger.info(
            "%s: what it proposes starts anew (%d tensors): %d anchors at each place, the file has %d; "
            "model.anchors=default would keep it",
            start.path,
            sum(name.startswith("rpn.") for name in missing),
            len(model.state_dict()[proposals]),
            len(start.state[proposals]),
        )


def copy_class_rows(
    model: FasterRCNN, state: Mapping[str, torch.Tensor], rows: Mapping[int, int]
) -> dict[str, torch.Tensor]:
    """Fit the last layer of other weights to this model's classes.

    Args:
        model: Gives the start values of new classes.
        state: State dict of a model with other classes; not changed.
        rows: 0-based class of `model` -> class behind `state` that it takes its row from.

    Returns:
        A state dict in which these classes, and the background, have the rows of `state`.
    """
    fitted = dict(state)
    start = model.state_dict()
    pairs = [(0, 0), *((own + 1, former + 1) for own, former in rows.items())]
    for layer, width in (("cls_score", 1), ("bbox_pred", 4)):
        for kind in ("weight", "bias"):
            name = f"roi_heads.box_predictor.{layer}.{kind}"
            value = start[name].clone()
            if state[name].shape[1:] != value.shape[1:]:
                continue
            for to, source in pairs:
                value[to * width : (to + 1) * width] = state[name][source * width : (source + 1) * width]
            fitted[name] = value
    return fitted


def _with_counters(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Add what batch norm counts beside its statistics; frozen norms, and older files, do not have it."""
    counters = {
        name.replace("running_mean", "num_batches_tracked"): torch.tensor(0)
        for name in state
        if name.endswith("running_mean")
    }
    return {**counters, **state}


def n_frozen_stages(settings: FasterRcnnConfig) -> int:
    """How many stages of the backbone do not learn."""
    if settings.frozen_stages is not None:
        return settings.frozen_stages
    # Group norm on weights of batch norm must learn in every layer.
    has_weights = settings.weights is not None or (settings.weights_backbone is not None and settings.norm != "group")
    return _FROZEN_WITH_WEIGHTS if has_weights else 0


def freeze_stages(network: FasterRCNN, stages: int) -> None:
    """Stop the first stages of a backbone from learning, weights and the statistics of batch norm alike.

    Args:
        network: From `build_faster_rcnn`; changed in place. Modes that are set later leave these stages in evaluation.
        stages: 0 to 5: the stem, then one for each further halving of the picture.
    """
    backbone = network.backbone
    if not isinstance(backbone, PyramidBackbone):
        raise TypeError(f"{type(backbone).__name__}: expected a network of build_faster_rcnn")
    backbone.freeze(stages)


def stage_of(parameter_name: str, backbone: str) -> int:
    """The stage of a backbone that a parameter of the network belongs to, for learning rates by layer.

    Args:
        parameter_name: As `named_parameters` of a network of `build_faster_rcnn` gives it.
        backbone: Name of the backbone.

    Returns:
        0 (stem) to 4, or 5 for pyramid and heads.
    """
    top, part, module, *_ = parameter_name.split(".")
    if (top, part) != ("backbone", "body"):
        return HEAD_STAGE
    return next(number for number, parts in enumerate(BODIES[backbone].stages) if module in parts)
