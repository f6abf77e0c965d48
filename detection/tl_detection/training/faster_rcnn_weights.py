"""Weight files that a Faster R-CNN can start from: checkpoints of ours, torchvision's COCO detectors and its backbones.

Files are read with `weights_only`: nothing of them is run. Nothing is downloaded; a message says what to fetch.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from tl_datasets.errors import WeightsError
from tl_detection.checkpoint import FORMAT, load_checkpoint

_BACKBONES = {
    "resnet50": "resnet50-11ad3fa6.pth",
    "resnet18": "resnet18-f37072fd.pth",
    "mobilenet_v3_large": "mobilenet_v3_large-5c1a4163.pth",
    "mobilenet_v3_small": "mobilenet_v3_small-047dcff4.pth",
}
_DETECTORS = {1: "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth", 2: "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth"}
_FETCH = "from download.pytorch.org/models, to be fetched on a machine with network and copied here"
# Row 0 of a torchvision detector is the background; "N/A" stands where COCO has no class.
COCO_NAMES: tuple[str, ...] = tuple(FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"][1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWeights:
    """What a file holds.

    Attributes:
        path: The file.
        state: State dict of a network of `build_faster_rcnn`, with classes of its own.
        names: These classes, without background; torchvision's "N/A" is none.
        model: What the network was built from, as for `build_faster_rcnn`; of torchvision's without anchors.
    """

    path: Path
    state: dict[str, torch.Tensor]
    names: tuple[str, ...]
    model: dict[str, Any]


def read_start_weights(path: Path, backbone: str, version: int) -> StartWeights:
    """Read what a Faster R-CNN is to start from: a checkpoint of ours, or torchvision's COCO state dict.

    Args:
        path: Local file.
        backbone: That is wanted, for messages.
        version: That is wanted, for messages.

    Raises:
        WeightsError: The file is missing, damaged, or holds something else.
    """
    expected = "RUN/weights/best.pt"
    if backbone == "resnet50":
        expected += f", or torchvision's COCO detector {_DETECTORS[version]} {_FETCH}"
    content = _load(path, expected)
    if isinstance(content, dict) and content.get("format") == FORMAT:
        checkpoint = load_checkpoint(path, kind="faster_rcnn")
        return StartWeights(
            path=path, state=checkpoint.state, names=checkpoint.label_space.names, model=checkpoint.model
        )
    state = _state_dict(content, path, expected)
    if not any(name.startswith("roi_heads.") for name in state):
        if {"conv1.weight", "features.0.0.weight"} & set(state):
            raise WeightsError(f"{path}: holds a backbone alone; set model.weights_backbone instead of model.weights")
        raise WeightsError(f"{path}: a state dict of something else than a Faster R-CNN; expected {expected}")
    return _coco_weights(path, state)


def _coco_weights(path: Path, state: dict[str, torch.Tensor]) -> StartWeights:
    rows = len(state.get("roi_heads.box_predictor.cls_score.bias", ()))
    if rows != len(COCO_NAMES) + 1:
        raise WeightsError(
            f"{path}: has {rows} classes with background, expected the {len(COCO_NAMES) + 1} of torchvision's COCO "
            "detectors; what others are called is not in such a file"
        )
    if "backbone.body.layer4.2.conv3.weight" not in state:
        raise WeightsError(
            f"{path}: the backbone of this COCO detector is no ResNet-50; torchvision's pyramid on a MobileNet begins "
            "at stride 32 and has nothing for ours, which begins at 4; set model.weights_backbone instead"
        )
    second = "roi_heads.box_head.0.0.weight" in state
    # The statistics of version 1 were learned with nothing added to the variance.
    of_version = {"version": 2, "head_norm": "batch"} if second else {"version": 1, "head_norm": None, "norm_eps": 0.0}
    return StartWeights(
        path=path,
        state={_new_name(name): value for name, value in state.items()},
        names=COCO_NAMES,
        model={"backbone": "resnet50", "norm": "batch", "fpn_channels": 256, "box_head_size": 1024, **of_version},
    )


def _new_name(name: str) -> str:
    """Name of a weight since torchvision 0.14; its files for version 1 are older."""
    name = re.sub(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$", r"\1.0.\2", name)
    return re.sub(r"^rpn\.head\.conv\.(weight|bias)$", r"rpn.head.conv.0.0.\1", name)


def read_backbone(path: Path, backbone: str) -> dict[str, torch.Tensor]:
    """Read torchvision's ImageNet weights, by the names of the backbone's body.

    Raises:
        WeightsError: The file is missing, damaged, or not a state dict.
    """
    expected = f"torchvision's ImageNet weights for {backbone} ({_BACKBONES[backbone]} {_FETCH})"
    # MobileNet's body is its `features`.
    state = _state_dict(_load(path, expected), path, expected)
    return {name.removeprefix("features."): value for name, value in state.items()}


def _load(path: Path, expected: str) -> Any:
    try:
        with warnings.catch_warnings():
            # A pickle of another program may also warn before it fails.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such file; expected {expected}") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); expected {expected}") from error
    # A pickle of anything else raises a dozen kinds of errors.
    except Exception as error:
        raise WeightsError(f"{path}: not a file of weights alone, or cut off; expected {expected}") from error


def _state_dict(content: Any, path: Path, expected: str) -> dict[str, torch.Tensor]:
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise WeightsError(f"{path}: not a state dict; expected {expected}")
    return content
