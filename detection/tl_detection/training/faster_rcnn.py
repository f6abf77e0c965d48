"""What is particular to a Faster R-CNN that learns: torchvision's network and loss. The loop is in `loop`."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, cast

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN

from tl_datasets.errors import ConfigError
from tl_datasets.torch_dataset import Batch, box_only_of, sample_generator
from tl_detection.checkpoint import Checkpoint
from tl_detection.config import FasterRcnnConfig
from tl_detection.detector import Detector
from tl_detection.detectors.faster_rcnn import FasterRcnnDetector, build_faster_rcnn
from tl_detection.distributed import sum_over_ranks
from tl_detection.training.data import TrainingData
from tl_detection.training.faster_rcnn_ignore import honour_ignore_areas
from tl_detection.training.faster_rcnn_start import (
    describe_model,
    freeze_stages,
    load_start_weights,
    n_frozen_stages,
    stage_of,
)
from tl_detection.training.learner import Losses
from tl_detection.training.optimizers import class_weights, make_groups, make_optimizer
from tl_detection.training.rank_norm import samples_count

# The losses of each stage, whose means are over that stage's samples.
_OF_PROPOSALS = ("loss_objectness", "loss_rpn_box_reg")


def make_faster_rcnn_learner(
    data: TrainingData, device: torch.device, checkpoint: Checkpoint | None = None
) -> FasterRcnnLearner:
    """Build a Faster R-CNN that learns from the data of a run.

    Args:
        data: From `prepare_data`; its configuration's model is of kind faster_rcnn.
        device: Where it learns.
        checkpoint: Says what the network is built from; its weights are the caller's to restore. None = as the
            configuration says, with the weights that it names or fresh ones, and anchors fitted to the lights.

    Raises:
        ConfigError: The configuration's parts do not go together.
        WeightsError: Weights to start from are missing or do not fit.
    """
    settings = data.config.model
    if not isinstance(settings, FasterRcnnConfig):
        raise ConfigError("model.kind", [f"is {settings.kind}, expected faster_rcnn"])
    description = checkpoint.model if checkpoint else describe_model(settings, data)
    network = build_faster_rcnn(description, len(data.label_space))
    weights = class_weights(data.config.train, data.label_space.names, data.boxes_by_class)
    honour_ignore_areas(network, None if weights is None else torch.tensor([1.0, *weights]))
    if checkpoint is None:
        load_start_weights(network, settings, data)
    freeze_stages(network, n_frozen_stages(settings))
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return FasterRcnnLearner(data, description, network, device)


def to_network(
    batch: Batch, device: torch.device, seeds: list[int] | None = None
) -> tuple[torch.Tensor, list[dict[str, Any]]]:
    """A batch as the network takes it: (B, 3, H, W) RGB in [0, 1], and targets whose labels begin at 1.

    Boxes without a class come last, with labels behind those of the C classes: C + 1 is the first row of `candidates`.

    Args:
        batch: From the loader.
        device: Where the network is.
        seeds: One per image, for the choice of what is learned from; None = drawn at random.
    """
    images = batch["images"].to(device, non_blocking=True).float() / 255
    targets: list[dict[str, Any]] = [
        {
            "boxes": torch.cat([xyxy, of_open]).to(device, non_blocking=True),
            "labels": torch.cat([class_id, sets.shape[1] + torch.arange(len(sets))]).to(device, non_blocking=True) + 1,
            "candidates": sets.to(device, non_blocking=True),
            "ignore_xyxy": areas.to(device, non_blocking=True),
        }
        for xyxy, class_id, areas, of_open, sets in zip(
            batch["xyxy"], batch["class_id"], batch["ignore_xyxy"], *box_only_of(batch), strict=True
        )
    ]
    if seeds is not None:
        targets = [target | {"seed": seed} for target, seed in zip(targets, seeds, strict=True)]
    return images.contiguous(memory_format=torch.channels_last), targets


class FasterRcnnLosses(Losses):
    """A Faster R-CNN with its losses."""

    def __init__(self, network: FasterRCNN, seed: int):
        super().__init__(network)
        self.seed = seed

    def forward(self, batch: Batch, epoch: int) -> dict[str, torch.Tensor]:
        """See `Losses`."""
        network = cast(Any, self.network)
        device = next(network.parameters()).device
        counts = bool(batch.get("counts", True))
        seeds = [
            int(sample_generator(self.seed, epoch, frame_id, occurrence, "samples").integers(2**62))
            for frame_id, occurrence in zip(batch["frame_ids"], batch["occurrence"], strict=True)
        ]
        with samples_count(counts):
            parts = network(*to_network(batch, device, seeds))
        # Each loss is a mean over this rank's samples; joined they are parts of the mean over all.
        sampled = (network.rpn.fg_bg_sampler.sampled, network.roi_heads.sampled)
        own = torch.stack([torch.as_tensor(count, dtype=torch.float32, device=device) for count in sampled])
        own = own * float(counts)
        shares = own / sum_over_ranks(own).clamp(min=1)
        parts = {name: value * shares[0 if name in _OF_PROPOSALS else 1] for name, value in parts.items()}
        loss = torch.stack(list(parts.values())).sum()
        return {"loss": loss, **{name.removeprefix("loss_"): value.detach() for name, value in parts.items()}}


class FasterRcnnLearner:
    """A Faster R-CNN that learns; see `Learner`."""

    kind: Literal["faster_rcnn"] = "faster_rcnn"
    loss_scale: Literal["mean"] = "mean"

    def __init__(self, data: TrainingData, description: dict[str, Any], network: FasterRCNN, device: torch.device):
        """Take a network with its start weights, on its device."""
        self.data, self.description, self.network, self.device = data, description, network, device
        self.settings = data.config.train
        self.losses = FasterRcnnLosses(network, self.settings.seed)

    def make_optimizer(self) -> torch.optim.Optimizer:
        """SGD or AdamW."""
        stage = partial(stage_of, backbone=self.description["backbone"])
        return make_optimizer(make_groups(self.network, self.settings, stage), self.settings)

    def detector(self, network: nn.Module) -> Detector:
        """See `Learner`."""
        size = self.data.config.model.input
        return FasterRcnnDetector(
            cast(FasterRCNN, network), self.data.label_space, size.width_px, size.height_px, self.device
        )

    def begin_step(self, step: int, epoch: int) -> None:
        """Nothing changes from step to step."""
