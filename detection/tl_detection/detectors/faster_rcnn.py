"""Faster R-CNN of torchvision: how it is built from a checkpoint's description, and as a detector.

Nothing is ever downloaded. The pyramid begins at stride 4 (P2), where small lights live, and has only the levels that
carry anchors. Frames arrive letterboxed to one size, so the network only normalises. Torchvision counts the background
as class 0; the offset is added and taken off in this file and in its trainer.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torchvision.models import mobilenet_v3_large, resnet18, resnet50
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from tl_datasets.errors import WeightsError
from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import Checkpoint
from tl_detection.detector import Detections, Image
from tl_detection.detectors.torch_frames import to_batch, to_detections

# Lowest score that is reported: average precision needs the tail.
SCORE_THRESHOLD = 0.01
# Mean and deviation of ImageNet's RGB in [0, 1], which backbones with weights were trained with.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_LEVELS = ("0", "1", "2", "3", "pool")
_IMAGES_AT_ONCE = 8


class Normalise(nn.Module):
    """Stands where torchvision resizes and pads: frames have one size already, so only the colours are scaled."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)

    def forward(
        self, images: torch.Tensor | Sequence[torch.Tensor], targets: list[dict[str, torch.Tensor]] | None = None
    ) -> tuple[ImageList, list[dict[str, torch.Tensor]] | None]:
        """Take (B, 3, H, W) RGB in [0, 1], or a sequence of (3, H, W)."""
        batch = images if isinstance(images, torch.Tensor) else torch.stack(list(images))
        size = (int(batch.shape[-2]), int(batch.shape[-1]))
        return ImageList((batch - self.mean) / self.std, [size] * len(batch)), targets

    def postprocess(self, result: Any, image_shapes: Any, original_image_sizes: Any) -> Any:
        """Boxes stay in network pixels."""
        return result


class FittedAnchorGenerator(AnchorGenerator):
    """Torchvision's grid of anchors without its two roundings, which spoil anchors of few pixels.

    It rounds them to whole pixels, and lays them in the type of the features: under mixed precision in bf16, whose
    step beyond 512 px is 4 px, so that an anchor of 4 px becomes one of 8 px or of none.
    """

    def generate_anchors(
        self,
        scales: Any,
        aspect_ratios: Any,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> torch.Tensor:
        """(sizes x ratios, 4) xyxy around the origin; ratios are height over width."""
        size = torch.as_tensor(scales, dtype=dtype, device=device)[None, :]
        root = torch.as_tensor(aspect_ratios, dtype=dtype, device=device).sqrt()[:, None]
        width, height = (size / root).flatten(), (size * root).flatten()
        return torch.stack([-width, -height, width, height], dim=1) / 2

    def set_cell_anchors(self, dtype: torch.dtype, device: torch.device) -> None:
        """Keep them in float32, whatever the features are."""
        super().set_cell_anchors(torch.float32, device)


class FullPrecisionRpnHead(RPNHead):
    """Torchvision's head, its results in float32: boxes are decoded in the type of the results.

    Under mixed precision they would be decoded in bf16, whose step at 600 px is 4 px: a light becomes a box without
    width, and the loss infinite.
    """

    def forward(self, x: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Give objectness and box offsets per level."""
        logits, offsets = super().forward(x)
        return [level.float() for level in logits], [level.float() for level in offsets]


class FullPrecisionPredictor(FastRCNNPredictor):
    """Torchvision's predictor, its results in float32 for the same reason."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give class scores and box offsets per proposal."""
        scores, offsets = super().forward(x)
        return scores.float(), offsets.float()


class PyramidBackbone(nn.Module):
    """A backbone with a feature pyramid from stride 4 on."""

    def __init__(
        self,
        body: nn.Module,
        stages: dict[str, str],
        in_channels: list[int],
        out_channels: int,
        levels: int,
        norm: Callable[[int], nn.Module] | None,
    ):
        super().__init__()
        self.body = IntermediateLayerGetter(body, stages)
        self.fpn = FeaturePyramidNetwork(in_channels, out_channels, extra_blocks=LastLevelMaxPool(), norm_layer=norm)
        self.out_channels = out_channels
        self.levels = _LEVELS[:levels]

    def forward(self, images: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        """Give the levels that carry anchors, finest first."""
        features = self.fpn(self.body(images))
        return OrderedDict((name, features[name]) for name in self.levels)


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm with 32 groups, or the most that divide the channels."""
    return nn.GroupNorm(math.gcd(32, channels), channels)


_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "group": group_norm,
    "batch": nn.BatchNorm2d,
    "frozen": FrozenBatchNorm2d,
}


def build_faster_rcnn(model: Mapping[str, Any], n_classes: int) -> FasterRCNN:
    """Build the network with start values.

    Args:
        model: As a checkpoint holds it: `backbone` (resnet50, resnet18, mobilenet_v3_large), `norm` (group, batch,
            frozen), `anchor_sizes` (per level, network pixels), `anchor_ratios` (height / width), `fpn_channels`,
            `box_head_size`, `max_detections`, `trainable_layers` (None = all). `width_px` and `height_px` do not change
            the network.
        n_classes: Without background.

    Returns:
        A network that takes (B, 3, H, W) RGB in [0, 1] and, in training, targets with `boxes` and 1-based `labels`.
    """
    sizes = tuple(tuple(float(size) for size in level) for level in model["anchor_sizes"])
    ratios = (tuple(float(ratio) for ratio in model["anchor_ratios"]),) * len(sizes)
    backbone = _backbone(model, len(sizes))
    pooled = 7
    network = FasterRCNN(
        backbone,
        rpn_anchor_generator=FittedAnchorGenerator(sizes, ratios),
        rpn_head=FullPrecisionRpnHead(backbone.out_channels, len(sizes[0]) * len(ratios[0])),
        # Two thousand proposals are for crowded scenes of eighty classes; a road scene has a few dozen lights.
        rpn_pre_nms_top_n_train=1000,
        rpn_pre_nms_top_n_test=1000,
        rpn_post_nms_top_n_train=500,
        rpn_post_nms_top_n_test=300,
        # Torchvision's 0.7 leaves the smallest lights without a positive anchor.
        rpn_fg_iou_thresh=0.5,
        rpn_bg_iou_thresh=0.3,
        box_roi_pool=MultiScaleRoIAlign(list(_LEVELS[: min(len(sizes), 4)]), output_size=pooled, sampling_ratio=2),
        box_head=TwoMLPHead(backbone.out_channels * pooled**2, int(model["box_head_size"])),
        box_predictor=FullPrecisionPredictor(int(model["box_head_size"]), n_classes + 1),
        box_score_thresh=SCORE_THRESHOLD,
        box_nms_thresh=0.5,
        box_detections_per_img=int(model["max_detections"]),
        box_batch_size_per_image=256,
    )
    network.transform = Normalise()
    return network


def _backbone(model: Mapping[str, Any], levels: int) -> PyramidBackbone:
    name, norm_name = model["backbone"], model["norm"]
    norm = _NORMS[norm_name]
    if name == "mobilenet_v3_large":
        body = mobilenet_v3_large(weights=None, norm_layer=norm).features
        # The last block of each stride; the classifier's widening to 960 channels is left out.
        stages = {"3": "0", "6": "1", "12": "2", "15": "3"}
        in_channels = [24, 40, 112, 160]
        parts = [("0.", "1."), ("2.", "3."), ("4.", "5.", "6."), tuple(f"{i}." for i in range(7, 13))]
        parts.append(("13.", "14.", "15."))
    else:
        # A residual branch that begins at zero lets deep group-norm networks start from scratch.
        make = resnet18 if name == "resnet18" else resnet50
        body = make(weights=None, norm_layer=norm, zero_init_residual=norm_name == "group")
        stages = {f"layer{number}": str(number - 1) for number in (1, 2, 3, 4)}
        in_channels = [64, 128, 256, 512] if name == "resnet18" else [256, 512, 1024, 2048]
        parts = [("conv1.", "bn1."), *((f"layer{number}.",) for number in (1, 2, 3, 4))]
    trainable = model.get("trainable_layers")
    frozen = (
        tuple(prefix for part in parts[: len(parts) - min(trainable, len(parts))] for prefix in part)
        if (trainable is not None)
        else ()
    )
    for parameter_name, parameter in body.named_parameters():
        parameter.requires_grad_(not parameter_name.startswith(frozen) if frozen else True)
    pyramid_norm = None if norm_name == "frozen" else norm
    return PyramidBackbone(body, stages, in_channels, int(model["fpn_channels"]), levels, pyramid_norm)


class FasterRcnnDetector:
    """A Faster R-CNN as a `Detector`."""

    def __init__(
        self,
        network: FasterRCNN,
        label_space: LabelSpace,
        width_px: int,
        height_px: int,
        device: torch.device,
        description: Mapping[str, str] | None = None,
    ):
        """Take a network, also one that is being trained: its modes are restored after each call.

        Args:
            network: From `build_faster_rcnn`, on the device.
            label_space: Its classes.
            width_px: Width of its input.
            height_px: Height of its input.
            device: Where it runs.
            description: What made it.
        """
        self.network = network
        self.width_px, self.height_px = width_px, height_px
        self.device = device
        self._label_space = label_space
        self._description = dict(description or {"engine": "torchvision Faster R-CNN"})

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, device: torch.device, source: str) -> FasterRcnnDetector:
        """Build the network of a checkpoint.

        Args:
            checkpoint: Of kind "faster_rcnn".
            device: Where to run.
            source: The file, for messages and the description.

        Raises:
            WeightsError: The weights do not fit the description.
        """
        network = network_from_checkpoint(checkpoint, source)
        description = {
            "engine": "torchvision Faster R-CNN",
            "architecture": f"{checkpoint.model['backbone']} with feature pyramid",
            "input": f"{checkpoint.model['width_px']}x{checkpoint.model['height_px']}",
            "weights": source,
            **{key: str(checkpoint.meta[key]) for key in ("run", "name", "epoch") if key in checkpoint.meta},
        }
        return cls(
            network.to(device).eval(),
            checkpoint.label_space,
            checkpoint.model["width_px"],
            checkpoint.model["height_px"],
            device,
            description,
        )

    @property
    def label_space(self) -> LabelSpace:
        """The classes that it was trained on."""
        return self._label_space

    @property
    def description(self) -> dict[str, str]:
        """What made this detector."""
        return dict(self._description)

    @torch.inference_mode()
    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Detect in (H, W, 3) uint8 RGB images of any size."""
        modes = [(module, module.training) for module in self.network.modules()]
        self.network.eval()
        try:
            return [
                detections
                for start in range(0, len(images), _IMAGES_AT_ONCE)
                for detections in self._detect(images[start : start + _IMAGES_AT_ONCE])
            ]
        finally:
            for module, mode in modes:
                module.training = mode

    def _detect(self, images: Sequence[Image]) -> list[Detections]:
        batch, placements = to_batch(images, self.width_px, self.height_px, self.device)
        return [
            to_detections(found["boxes"], found["scores"], found["labels"] - 1, placement, image)
            for found, placement, image in zip(self.network(batch), placements, images, strict=True)
        ]


def network_from_checkpoint(checkpoint: Checkpoint, source: str) -> FasterRCNN:
    """Build the network that a checkpoint describes, with its weights, on the CPU.

    Raises:
        WeightsError: The description is incomplete, or the weights do not fit it.
    """
    try:
        network = build_faster_rcnn(checkpoint.model, len(checkpoint.label_space))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{source}: its description of the model cannot be used ({error!r}); use the tl that wrote it"
        ) from error
    try:
        network.load_state_dict(checkpoint.state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise WeightsError(
            f"{source}: the weights do not fit the model that it describes ({reason[:160]}); use the tl that wrote it"
        ) from error
    return network
