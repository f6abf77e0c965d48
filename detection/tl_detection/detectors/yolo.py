"""YOLO of ultralytics as a detector: building the network, running it, and turning its output into detections."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tl_datasets.errors import ConfigError, WeightsError
from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import Checkpoint, file_fingerprint
from tl_detection.config import BACKBONE_STAGES
from tl_detection.detector import Detections, Image
from tl_detection.detectors.suppression import suppress
from tl_detection.detectors.torch_frames import to_batch, to_detections
from tl_detection.detectors.yolo_architecture import architecture_config, check_architecture
from tl_detection.ultralytics_door import Conv, DetectionModel

# Low enough for the whole precision-recall curve; what a vehicle uses is chosen from that curve.
SCORE_THRESHOLD = 0.001
# Boxes of a class that excludes no other and overlap a better one by more vanish; others have the limit of states.
NMS_IOU = 0.7
# The same of the end-to-end head: it is trained to give one box per object, but two of its levels can name one point.
TWIN_IOU = 0.9
# Candidates per frame that enter the suppression.
MAX_CANDIDATES = 3000
_MAX_BATCH = 16


class YoloNetwork(DetectionModel):
    """ultralytics' network, its loss computed in float32.

    Under mixed precision ultralytics decodes boxes in the type of the predictions. In bf16 a coordinate beyond 64
    strides moves in steps of half a stride, 4 px, which is a small light's width.

    Attributes:
        layer_stages: For each layer of the backbone its stage, 0 to 4: how often the picture was halved, less one.
    """

    model: Any
    yaml: dict[str, Any]
    layer_stages: list[int]

    def loss(self, batch: dict[str, Any], preds: Any = None) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Give the loss of a batch, and its parts."""
        images = batch["img"]
        predictions = self.forward(images) if preds is None else preds
        with torch.autocast(images.device.type, enabled=False):
            return super().loss(batch, in_float32(predictions))


def in_float32(value: Any) -> Any:
    """Bring the floating-point tensors of a nested prediction to float32, if they are shorter."""
    if isinstance(value, torch.Tensor):
        return value.to(torch.promote_types(value.dtype, torch.float32)) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: in_float32(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(in_float32(item) for item in value)
    return value


def build_yolo(model: dict[str, Any], n_classes: int) -> YoloNetwork:
    """Build a network with fresh weights.

    Args:
        model: "architecture", "width_px", "height_px", "max_detections", as checkpoints store it; "end_to_end", False
            for the head with suppression where an architecture has both; "architecture_config", the description to
            build instead of that which the name means today; and "sized_for_classes", the number of classes by which
            the class branches are as wide as they are, where it is not `n_classes`.
        n_classes: Number of classes, at least 1.

    Raises:
        ConfigError: There is no such architecture, its description holds what no architecture needs or fits together
            to no network, or the input size does not fit its strides.
    """
    name, stored = model["architecture"], model.get("architecture_config")
    config = architecture_config(name) if stored is None else check_architecture(stored, "model.architecture_config")
    module = _build(config, model.get("sized_for_classes") or n_classes, name)
    if len(module.names) != n_classes:
        _set_classes(module, n_classes)
    stride = int(module.stride.max())
    for side in ("width_px", "height_px"):
        if model[side] % stride:
            raise ConfigError(
                f"model.input.{side}",
                [f"{model[side]}, expected a multiple of {stride}, the coarsest stride of {model['architecture']}"],
            )
    module.set_head_attr(max_det=model["max_detections"])
    # Heads of YOLO26 and YOLOv10 are trained for both; ultralytics itself would use them with suppression.
    has_both = any(name.endswith("one2one_cv2") for name, _ in module.named_modules())
    module.end2end = has_both and model.get("end_to_end", True)
    module.layer_stages = _layer_stages(module)
    return module


def _build(config: dict[str, Any], n_classes: int, name: str) -> YoloNetwork:
    activation = Conv.default_act  # of the whole process, and left changed by a description that cannot be built
    try:
        parts: Any = copy.deepcopy({**config, "nc": n_classes})
        return YoloNetwork(parts, ch=3, nc=n_classes, verbose=False)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split()) or error.__class__.__name__
        raise ConfigError(
            "model.architecture", [f"{name}: its layers do not fit together ({reason[:160]}); compare with yolo11.yaml"]
        ) from error
    finally:
        Conv.default_act = activation


@torch.no_grad()
def _layer_stages(module: YoloNetwork) -> list[int]:
    """Run a backbone on a small image, and count the halvings."""
    side = 2 * int(module.stride.max())
    module.model.eval()  # in training its norms would remember the image
    stages, outputs = [], [torch.zeros(1, 3, side, side)]
    for layer in module.model[: len(module.yaml["backbone"])]:
        # Layer i has left its output at i + 1; -1 is the one before.
        taken = [outputs[number + 1 if number >= 0 else number] for number in _numbers(layer.f)]
        outputs.append(layer(taken if isinstance(layer.f, list) else taken[0]))
        last = outputs[-1]
        height = (last[-1] if isinstance(last, list | tuple) else last).shape[2]
        stages.append(min(max(round(math.log2(side / height)) - 1, 0), BACKBONE_STAGES - 1))
    module.model.train()
    return stages


def _numbers(sources: int | list[int]) -> list[int]:
    return sources if isinstance(sources, list) else [sources]


@torch.no_grad()
def _set_classes(module: YoloNetwork, n_classes: int) -> None:
    """Give a fresh network other classes; the layers before the last stay as wide as they are."""
    head: Any = module.model[-1]
    for level in head.cv3:
        level[-1] = nn.Conv2d(level[-1].in_channels, n_classes, 1)
    if getattr(head, "one2one_cv3", None) is not None:
        head.one2one_cv3 = copy.deepcopy(head.cv3)
    head.nc, head.no = n_classes, n_classes + 4 * head.reg_max
    head.bias_init()
    module.yaml["nc"] = n_classes
    module.names = {number: str(number) for number in range(n_classes)}


class RawPrediction(nn.Module):
    """The network alone: float (B, 3, H, W) RGB in [0, 1] to its decoded prediction in network pixels.

    One-to-many heads give (B, 4 + classes, anchors): cx, cy, w, h, then one score in [0, 1] per class.
    End-to-end heads give (B, K, 6): x1, y1, x2, y2, score, class id, highest score first.
    """

    def __init__(self, module: DetectionModel):
        super().__init__()
        self.module = module

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Decode a batch; the network must be in eval mode."""
        prediction = self.module(images)
        return prediction[0] if isinstance(prediction, tuple) else prediction

    def undecoded(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What a one-to-many head decodes: (B, anchors, 4 * bins) logits of distances, (B, anchors, C) of scores.

        The head's own order, channels before points, would have to be turned afterwards, over all levels at once.
        """
        _, parts = self.module(images)
        layers: Any = self.module.model
        branches = layers[-1].one2many
        levels = parts.get("one2many", parts)["feats"]

        def rows(branch: nn.ModuleList) -> torch.Tensor:
            maps = [layer(level).permute(0, 2, 3, 1) for layer, level in zip(branch, levels, strict=True)]
            return torch.cat([values.flatten(1, 2) for values in maps], dim=1)

        return rows(branches["box_head"]), rows(branches["cls_head"])


class YoloDetector:
    """A YOLO network with everything that leads from frames to detections.

    Attributes:
        module: The network.
        end_to_end: True if the head needs no non-maximum suppression.
        width_px: Width of the network's input.
        height_px: Height of the network's input.
        max_detections: Most detections per frame.
    """

    def __init__(
        self, module: DetectionModel, label_space: LabelSpace, model: dict[str, Any], description: dict[str, str]
    ):
        """Take a network as it is: it is neither copied nor changed, and may still be in training.

        Args:
            module: Made by `build_yolo`.
            label_space: Its classes.
            model: What it was built from.
            description: For reports.
        """
        self.module = module
        self.end_to_end = bool(module.end2end)
        self.width_px, self.height_px = int(model["width_px"]), int(model["height_px"])
        self.max_detections = int(model["max_detections"])
        self._label_space = label_space
        self._description = {
            "engine": "yolo",
            "architecture": model["architecture"],
            "input": f"{self.width_px}x{self.height_px}",
            **description,
        }

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, device: torch.device, source: str) -> YoloDetector:
        """Build the network of a checkpoint, its batch norms folded into the convolutions.

        Args:
            checkpoint: Of kind "yolo".
            device: Where it runs.
            source: The file, named in messages and reports.

        Raises:
            WeightsError: Its description cannot be built, or the weights are not those of the architecture.
        """
        try:
            module = build_yolo(checkpoint.model, len(checkpoint.label_space))
        except (ConfigError, KeyError, TypeError) as error:
            reason = str(error) if isinstance(error, ConfigError) else repr(error)
            raise WeightsError(
                f"{source}: its description of the model cannot be used ({reason}); use the tl that wrote it"
            ) from error
        try:
            module.load_state_dict(checkpoint.state)
        except RuntimeError as error:
            raise WeightsError(
                f"{source}: the weights do not fit {checkpoint.model['architecture']} with "
                f"{len(checkpoint.label_space)} classes; the file is damaged or was changed, use another one"
            ) from error
        module.eval().fuse(verbose=False)
        module.requires_grad_(False)
        description = {"weights": source}
        if Path(source).is_file():
            description["fingerprint"] = file_fingerprint(source)
        description |= checkpoint.origin
        return cls(module.to(device), checkpoint.label_space, checkpoint.model, description)

    @property
    def label_space(self) -> LabelSpace:
        """The classes that it was trained on."""
        return self._label_space

    @property
    def description(self) -> dict[str, str]:
        """Engine, architecture, input size and weights, for reports."""
        return self._description

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Detect in (H, W, 3) uint8 RGB images of any size; one result per image, low scores included."""
        network = RawPrediction(self.module)
        device = next(self.module.parameters()).device
        was_training = self.module.training
        self.module.eval()
        try:
            found = []
            # Not inference_mode: the head keeps tensors of the last forward, which training must still be able to use.
            with torch.no_grad():
                for start in range(0, len(images), _MAX_BATCH):
                    chunk = images[start : start + _MAX_BATCH]
                    batch, placements = to_batch(chunk, self.width_px, self.height_px, device)
                    for raw, placement, image in zip(network(batch), placements, chunk, strict=True):
                        found.append(to_detections(*self._select(raw), placement, image))
            return found
        finally:
            self.module.train(was_training)

    def _select(self, raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Turn one frame's raw prediction into (N, 4) xyxy, (N,) score, (N,) class id, highest score first."""
        if self.end_to_end:
            raw = raw[raw[:, 4] > SCORE_THRESHOLD]
            xyxy, score, class_id, limit = raw[:, :4], raw[:, 4], raw[:, 5].long(), TWIN_IOU
        else:
            # A point may hold several classes: each is a detection of its own, as COCO scores them.
            anchor, class_id = (raw[4:].T > SCORE_THRESHOLD).nonzero(as_tuple=True)
            score = raw[4 + class_id, anchor]
            best = score.argsort(descending=True, stable=True)[:MAX_CANDIDATES]
            score, class_id = score[best], class_id[best]
            centre, half = raw[:2, anchor[best]].T, raw[2:4, anchor[best]].T / 2
            xyxy, limit = torch.cat([centre - half, centre + half], dim=1), NMS_IOU
        keep = suppress(xyxy, score, class_id, self._label_space.groups, limit)[: self.max_detections]
        return xyxy[keep], score[keep], class_id[keep]
