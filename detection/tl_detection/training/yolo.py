"""What is particular to a YOLO that learns: ultralytics' network, loss, target assignment and optimiser.

The loop is ours, the same as for Faster R-CNN (`loop`): what the words of a configuration mean, exact resume, several
ranks and the answer to full memory are the same for both. Of ultralytics' trainer nothing is used, so nothing of what
it does beside the training happens either: no temporary script, no package or file fetched, no folder deleted.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, Literal

import torch
from torch import nn

from tl_datasets.errors import ConfigError
from tl_datasets.torch_dataset import Batch, box_only_of
from tl_detection.checkpoint import Checkpoint
from tl_detection.config import TrainConfig, YoloConfig
from tl_detection.detector import Detector
from tl_detection.detectors.yolo import YoloDetector, YoloNetwork, build_yolo, in_float32
from tl_detection.training.anchors import network_boxes
from tl_detection.training.data import TrainingData
from tl_detection.training.learner import Losses
from tl_detection.training.optimizers import class_weights, make_groups, make_optimizer
from tl_detection.training.rank_norm import samples_count
from tl_detection.training.yolo_ignore import ignoring_criterion
from tl_detection.training.yolo_stages import freeze_stages, keep_frozen_norms, stage_of
from tl_detection.training.yolo_start import (
    describe_yolo,
    start_yolo,
)
from tl_detection.ultralytics_door import LOSS_GAINS, E2ELoss, MuSGD

# Share of a batch in the running statistics of a norm, once they have settled: ultralytics' own.
_NORM_MOMENTUM = 0.03
# What ultralytics does with MuSGD: shares of its two kinds of step, and a higher rate for the class branches.
_MUON, _SGD, _CLASS_BRANCH_FACTOR = 0.2, 1.0, 3.0


def make_yolo_learner(data: TrainingData, device: torch.device, checkpoint: Checkpoint | None = None) -> YoloLearner:
    """Build a YOLO that learns from the data of a run.

    Args:
        data: From `prepare_data`; its configuration's model is a YOLO.
        device: Where it learns.
        checkpoint: Says what the network is built from; its weights are the caller's to restore. None = as the
            configuration says, with the weights that it names or fresh ones fitted to the lights.

    Raises:
        ConfigError: There is no such architecture, or the input size does not fit it.
        WeightsError: The weights to start from are missing or do not fit.
    """
    settings = data.config.model
    if not isinstance(settings, YoloConfig):
        raise ConfigError("model.kind", [f"is {settings.kind}, expected yolo"])
    description = checkpoint.model if checkpoint else describe_yolo(settings)
    network = build_yolo(description, len(data.label_space))
    if checkpoint is None:
        sizes = network_boxes(data.train, settings.input.width_px, settings.input.height_px)
        start_yolo(network, settings, data.label_space.names, sizes)
    freeze_stages(network, settings.frozen_stages)
    # A step of YOLO26n on two CPU cores takes a third less time in this layout.
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return YoloLearner(data, description, network)


def to_ultralytics(batch: Batch) -> dict[str, Any]:
    """Our batch in ultralytics' form.

    Returns:
        img (B, 3, H, W) uint8 RGB; cls (N, 1) and batch_idx (N,) float; bboxes (N, 4) cx, cy, w, h in shares of the
        input size; im_file, the frame ids. Beside these words: ignore_xyxy (K, 4) float in network pixels and
        ignore_idx (K,) int64, the image of each area; and, if there are boxes without a class, candidates (S, C) bool:
        a box whose cls is C + s is one of the classes of row s.
    """
    height, width = batch["images"].shape[2:]
    boxes, labels, more = batch["xyxy"], batch["class_id"], {}
    open_xyxy, candidates = box_only_of(batch)
    if any(map(len, open_xyxy)):
        sets, rows = torch.cat(candidates).unique(dim=0, return_inverse=True)
        of_image = (rows + sets.shape[1]).split([len(of) for of in open_xyxy])
        boxes = [torch.cat(both) for both in zip(boxes, open_xyxy, strict=True)]
        labels = [torch.cat(both) for both in zip(labels, of_image, strict=True)]
        more = {"candidates": sets}
    xyxy = torch.cat(boxes).reshape(-1, 4) / torch.tensor([width, height, width, height])
    return {
        "img": batch["images"],
        "cls": torch.cat(labels).reshape(-1, 1).float(),
        "bboxes": torch.cat([(xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]], dim=1),
        "batch_idx": _image_of_each(boxes).float(),
        "ignore_xyxy": torch.cat(batch["ignore_xyxy"]).reshape(-1, 4),
        "ignore_idx": _image_of_each(batch["ignore_xyxy"]),
        "im_file": batch["frame_ids"],
        **more,
    }


def _image_of_each(boxes: list[torch.Tensor]) -> torch.Tensor:
    counts = torch.tensor([len(of_image) for of_image in boxes])
    return torch.repeat_interleave(torch.arange(len(counts)), counts)


def prepare_loss(network: YoloNetwork, epochs: int, weights: list[float] | None = None) -> Any:
    """The loss of a network, with ignore areas.

    Args:
        network: From `build_yolo`, on its device; it is told what ultralytics' loss asks of it.
        epochs: Of the run: end-to-end heads shift the weight between their two losses over it.
        weights: One per class; None = all alike.
    """
    asked: Any = network
    asked.args = SimpleNamespace(**LOSS_GAINS, epochs=epochs)
    asked.class_weights = None if weights is None else torch.tensor(weights, dtype=torch.float32)
    return ignoring_criterion(network)


class YoloLosses(Losses):
    """A YOLO with its loss."""

    def __init__(self, network: nn.Module, criterion: Any):
        super().__init__(network)
        self.criterion = criterion

    def forward(self, batch: Batch, epoch: int) -> dict[str, torch.Tensor]:
        """See `Losses`."""
        first = next(self.network.parameters())
        device = first.device
        data: dict[str, Any] = {
            name: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
            for name, value in to_ultralytics(batch).items()
        }
        images = (data.pop("img").to(first.dtype) / 255).contiguous(memory_format=torch.channels_last)
        counts = bool(batch.get("counts", True))
        data["counts"] = counts
        if isinstance(self.criterion, E2ELoss):
            self.criterion.o2m = self.criterion.decay(epoch)
            self.criterion.o2o = max(self.criterion.total - self.criterion.o2m, 0)
        with samples_count(counts):
            predictions = self.network(images)
        # Boxes decoded in bf16 move in steps of half a stride beyond 64 strides: a small light's width.
        with torch.autocast(device.type, enabled=False):
            loss, parts = self.criterion(in_float32(predictions), data)
        # Ultralytics gives the sum over the images of a mean.
        return {"loss": loss.sum() / len(images), **{name: value.detach() for name, value in parts.items()}}


class YoloLearner:
    """A YOLO that learns; see `Learner`."""

    kind: Literal["yolo"] = "yolo"
    # Ultralytics' rates and clipping are meant for losses that are summed over a step's frames.
    loss_scale: Literal["sum"] = "sum"

    def __init__(self, data: TrainingData, description: dict[str, Any], network: YoloNetwork):
        """Take a network with its start weights, on its device."""
        self.data, self.description, self.network = data, description, network
        self.settings: TrainConfig = data.config.train
        self.frozen = data.config.model.frozen_stages or 0
        weights = class_weights(self.settings, data.label_space.names, data.boxes_by_class)
        self.losses = YoloLosses(network, prepare_loss(network, self.settings.epochs, weights))
        self._norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
        self._is_fresh = data.config.model.weights is None

    def make_optimizer(self) -> torch.optim.Optimizer:
        """MuSGD as ultralytics sets it up, SGD or AdamW."""
        stage = partial(stage_of, self.network)
        if self.settings.optimizer not in ("auto", "musgd"):
            return make_optimizer(make_groups(self.network, self.settings, stage), self.settings)

        layers: Any = self.network.model
        head = f"model.{len(layers) - 1}."
        branches = (f"{head}cv3.", f"{head}one2one_cv3.")

        def kind_of(name: str, parameter: nn.Parameter) -> dict[str, Any]:
            factor = _CLASS_BRANCH_FACTOR if name.startswith(branches) else 1.0
            return {"use_muon": parameter.ndim in (2, 4), "lr_factor": factor}

        groups = make_groups(self.network, self.settings, stage, kind_of=kind_of)
        for group in groups:
            group |= {"momentum": self.settings.momentum, "nesterov": True}
        return MuSGD(groups, muon=_MUON, sgd=_SGD)

    def detector(self, network: nn.Module) -> Detector:
        """See `Learner`."""
        return YoloDetector(network, self.data.label_space, self.description, {})  # type: ignore[arg-type]

    def begin_step(self, step: int, epoch: int) -> None:
        """Let the norms forget their start statistics, and keep those of frozen stages.

        Fresh running statistics of 1 need 150 batches to be forgotten at ultralytics' momentum of 0.03; a short run
        would be scored through them, and see every frame alike.
        """
        momentum = _NORM_MOMENTUM if not self._is_fresh else max(_NORM_MOMENTUM, 2 / (2 + step))
        for norm in self._norms:
            norm.momentum = momentum
        keep_frozen_norms(self.network, self.frozen)
