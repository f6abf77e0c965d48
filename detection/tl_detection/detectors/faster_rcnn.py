"""Faster R-CNN of torchvision: how it is built from a checkpoint's description, and as a detector.

Nothing is ever downloaded. Frames arrive letterboxed to one size, so the network only normalises. Torchvision counts
the background as class 0; the offset is added and taken off in this file and in its trainer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import MultiScaleRoIAlign

from tl_datasets.errors import WeightsError
from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import Checkpoint
from tl_detection.detector import Detections, Image
from tl_detection.detectors.pyramid import LEVELS, build_backbone, make_norm, norm_of_heads
from tl_detection.detectors.suppression import suppress
from tl_detection.detectors.torch_frames import to_batch, to_detections

# Lowest score that is reported: average precision needs the tail.
SCORE_THRESHOLD = 0.01
# Boxes of one class that overlap a better one by more vanish.
NMS_IOU = 0.5
# Mean and deviation of ImageNet's RGB in [0, 1], which backbones with weights were trained with.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Cells per side that each proposal is pooled to.
_POOLED = 7
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


def build_faster_rcnn(model: Mapping[str, Any], n_classes: int) -> FasterRCNN:
    """Build the network with start values.

    Args:
        model: As a checkpoint holds it: `backbone` (one of `BODIES`), `norm` (group, batch, frozen), `anchor_sizes`
            (per level, network pixels), `anchor_ratios` (height / width), `fpn_channels`, `box_head_size`,
            `max_detections`; where they differ from what they were first, `version` (of the heads, 1 or 2; 1),
            `head_norm` (see `norm_of_heads`) and `norm_eps` (1e-5). Other words do not change the network.
        n_classes: Without background.

    Returns:
        A network that takes (B, 3, H, W) RGB in [0, 1] and, in training, targets with `boxes` and 1-based `labels`.

    Raises:
        KeyError, TypeError, ValueError: The description cannot be used.
    """
    version = model.get("version", 1)
    if version not in (1, 2) or (version == 2 and not model["backbone"].startswith("resnet")):
        raise ValueError(f"version {version} of {model['backbone']}: expected 1, or 2 of a ResNet")
    sizes = tuple(tuple(float(size) for size in level) for level in model["anchor_sizes"])
    ratios = (tuple(float(ratio) for ratio in model["anchor_ratios"]),) * len(sizes)
    backbone = build_backbone(model, len(sizes))
    network = FasterRCNN(
        backbone,
        rpn_anchor_generator=FittedAnchorGenerator(sizes, ratios),
        rpn_head=FullPrecisionRpnHead(backbone.out_channels, len(sizes[0]) * len(ratios[0]), conv_depth=version),
        # Two thousand proposals are for crowded scenes of eighty classes; a road scene has a few dozen lights.
        rpn_pre_nms_top_n_train=1000,
        rpn_pre_nms_top_n_test=1000,
        rpn_post_nms_top_n_train=500,
        rpn_post_nms_top_n_test=300,
        # Torchvision's 0.7 leaves the smallest lights without a positive anchor.
        rpn_fg_iou_thresh=0.5,
        rpn_bg_iou_thresh=0.3,
        box_roi_pool=MultiScaleRoIAlign(list(LEVELS[: min(len(sizes), 4)]), output_size=_POOLED, sampling_ratio=2),
        box_head=_box_head(model, backbone.out_channels),
        box_predictor=FullPrecisionPredictor(int(model["box_head_size"]), n_classes + 1),
        box_score_thresh=SCORE_THRESHOLD,
        box_nms_thresh=NMS_IOU,
        box_detections_per_img=int(model["max_detections"]),
        box_batch_size_per_image=256,
    )
    network.transform = Normalise()
    return network


def _box_head(model: Mapping[str, Any], channels: int) -> nn.Module:
    width = int(model["box_head_size"])
    if model.get("version", 1) == 1:
        return TwoMLPHead(channels * _POOLED**2, width)
    norm = make_norm(norm_of_heads(model), model.get("norm_eps"))
    return FastRCNNConvFCHead((channels, _POOLED, _POOLED), [channels] * 4, [width], norm)


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
        version = checkpoint.model.get("version", 1)
        description = {
            "engine": "torchvision Faster R-CNN",
            "architecture": f"{checkpoint.model['backbone']} with feature pyramid"
            + (f", version {version}" if version > 1 else ""),
            "input": f"{checkpoint.model['width_px']}x{checkpoint.model['height_px']}",
            "weights": source,
            **checkpoint.origin,
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
            to_detections(*self._select(found), placement, image)
            for found, placement, image in zip(self.network(batch), placements, images, strict=True)
        ]

    def _select(self, found: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give a lamp that torchvision found in several states its best one; (N, 4) xyxy, (N,) score, (N,) class id."""
        # Of equal scores the lower class is the better, as in an exported file.
        order = found["labels"].argsort(stable=True)
        xyxy, score, class_id = found["boxes"][order], found["scores"][order], found["labels"][order] - 1
        keep = suppress(xyxy, score, class_id, self._label_space.groups, NMS_IOU)
        return xyxy[keep], score[keep], class_id[keep]


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
