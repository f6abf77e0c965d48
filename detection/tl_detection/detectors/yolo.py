"""YOLO of ultralytics as a detector: building the network, running it, and turning its output into detections."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn
from torchvision.ops import batched_nms

from tl_datasets.errors import ConfigError, WeightsError
from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import Checkpoint, file_fingerprint
from tl_detection.detector import Detections, Image
from tl_detection.detectors.torch_frames import to_batch, to_detections
from tl_detection.ultralytics_door import MODELS_FOLDER, DetectionModel

# Low enough for the whole precision-recall curve; what a vehicle uses is chosen from that curve.
SCORE_THRESHOLD = 0.001
NMS_IOU = 0.7
# The end-to-end head is trained to give one box per object, but two of its levels can name the same point.
TWIN_IOU = 0.9
# Candidates per frame that enter the suppression.
MAX_CANDIDATES = 3000
_MAX_BATCH = 16
_HEADS = ("Detect", "v10Detect")


class YoloNetwork(DetectionModel):
    """ultralytics' network, its loss computed in float32.

    Under mixed precision ultralytics decodes boxes in the type of the predictions. In bf16 a coordinate beyond 64
    strides moves in steps of half a stride, 4 px, which is a small light's width.
    """

    def loss(self, batch: dict[str, Any], preds: Any = None) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Give the loss of a batch, and its parts."""
        images = batch["img"]
        predictions = self.forward(images) if preds is None else preds
        with torch.autocast(images.device.type, enabled=False):
            return super().loss(batch, _in_float32(predictions))


def _in_float32(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: _in_float32(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_in_float32(item) for item in value)
    return value


def build_yolo(model: dict[str, Any], n_classes: int) -> DetectionModel:
    """Build a network with fresh weights.

    Args:
        model: "architecture", "width_px", "height_px", "max_detections", as checkpoints store it; and
            "end_to_end", False for the head with suppression where an architecture has both.
        n_classes: Number of classes, at least 1.

    Raises:
        ConfigError: ultralytics ships no such architecture, or the input size does not fit its strides.
    """
    config: Any = architecture_config(model["architecture"])
    module = YoloNetwork(config, ch=3, nc=n_classes, verbose=False)
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
    return module


def architecture_config(name: str) -> dict[str, Any]:
    """The description of an architecture that ultralytics ships, at the size that the name asks for.

    Args:
        name: Such as yolo26n, yolo26n-p2, yolo11s, yolov8m-p2.

    Raises:
        ConfigError: There is none; near names are listed.
    """
    files = _architecture_files()
    scaled = re.fullmatch(r"(yolov?\d+)([nslmx])(-.+)?", name)
    if name in files:
        stem, scale = name, None
    elif scaled and scaled[1] + (scaled[3] or "") in files:
        stem, scale = scaled[1] + (scaled[3] or ""), scaled[2]
    else:
        stem, scale = None, None
    if stem is not None:
        config = yaml.safe_load(files[stem].read_text(encoding="utf-8"))
        scales = config.get("scales") or {}
        is_sized = (scale in scales) if scale else (not scales or len(scales) == 1)
        if is_sized and config["head"][-1][2] in _HEADS:
            config["scale"] = scale or next(iter(scales), "")
            config["yaml_file"] = f"{name}.yaml"
            return config
    near = difflib.get_close_matches(name, architectures(), n=5, cutoff=0.5)
    listed = ", ".join(near or ("yolo26n", "yolo26n-p2", "yolo11n"))
    raise ConfigError("model.architecture", [f"'{name}' is no detector that ultralytics ships; near names: {listed}"])


@cache
def architectures() -> tuple[str, ...]:
    """Names of all detectors that ultralytics ships, with their size letters."""
    names = []
    for stem, file in _architecture_files().items():
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        if config["head"][-1][2] not in _HEADS:
            continue
        scales = list(config.get("scales") or {})
        unsized = re.fullmatch(r"(yolov?\d+)(-.+)?", stem)
        if unsized and len(scales) > 1:
            names += [f"{unsized[1]}{scale}{unsized[2] or ''}" for scale in scales]
        else:
            names.append(stem)
    return tuple(names)


@cache
def _architecture_files() -> dict[str, Path]:
    return {file.stem: file for file in sorted(MODELS_FOLDER.rglob("*.yaml"))}


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
            WeightsError: The weights are not those of the architecture that the checkpoint names.
        """
        module = build_yolo(checkpoint.model, len(checkpoint.label_space))
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
        for key in ("name", "run", "epoch"):
            if key in checkpoint.meta:
                description[key] = str(checkpoint.meta[key])
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
        keep = batched_nms(xyxy.float(), score.float(), class_id, limit)[: self.max_detections]
        return xyxy[keep], score[keep], class_id[keep]
