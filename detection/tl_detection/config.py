"""The configuration of a training run: what `tl train CONFIG` reads. Defaults live here, decisions in YAML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tl_datasets.augment.settings import AugmentConfig
from tl_datasets.config import DataConfig, load_config, validate_config
from tl_datasets.errors import UsageError
from tl_detection.evaluation.conditions import check_columns

# The coarsest feature map of both detectors has this many input pixels per cell.
STRIDE = 32


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSize(_Section):
    """Size of the network's input; frames are letterboxed into it. The camera's aspect wastes nothing on padding."""

    width_px: int = Field(gt=0, multiple_of=STRIDE)
    height_px: int = Field(gt=0, multiple_of=STRIDE)


class YoloConfig(_Section):
    """A YOLO of ultralytics.

    Attributes:
        architecture: Name of an architecture that ultralytics ships, such as yolo26n, yolo26n-p2, yolo11s.
        weights: Local file to start from (our checkpoint, or ultralytics' .pt); None = from scratch.
        max_detections: Most detections per frame.
        end_to_end: Use the head that needs no suppression where the architecture has both (YOLO26). Both are trained;
            the other one is ahead early in training.
    """

    kind: Literal["yolo"]
    architecture: str = "yolo26n"
    input: InputSize
    weights: Path | None = None
    max_detections: int = Field(default=100, gt=0)
    end_to_end: bool = True


class FasterRcnnConfig(_Section):
    """A Faster R-CNN of torchvision with a feature pyramid.

    Attributes:
        backbone: Network under the pyramid.
        weights: Local checkpoint of ours to start from; None = from scratch.
        weights_backbone: Local torchvision ImageNet state dict of the backbone.
        norm: "group" needs no statistics and suits small batches from scratch; "batch" trains batch norm;
            "frozen" keeps the statistics of the given weights.
        anchors: "fit" = sizes and ratios from quantiles of the training boxes; "default" = torchvision's.
        trainable_layers: Backbone stages that learn, 0 to 6; None = all from scratch, 3 with weights.
        max_detections: Most detections per frame.
    """

    kind: Literal["faster_rcnn"]
    backbone: Literal["mobilenet_v3_large", "resnet50", "resnet18"] = "resnet50"
    input: InputSize
    weights: Path | None = None
    weights_backbone: Path | None = None
    norm: Literal["group", "batch", "frozen"] = "group"
    anchors: Literal["fit", "default"] = "fit"
    trainable_layers: int | None = Field(default=None, ge=0, le=6)
    max_detections: int = Field(default=100, gt=0)

    @model_validator(mode="after")
    def _frozen_needs_weights(self) -> FasterRcnnConfig:
        if self.norm == "frozen" and self.weights is None and self.weights_backbone is None:
            raise ValueError("norm: frozen needs statistics; give weights or weights_backbone, or set norm: group")
        return self


class TrainConfig(_Section):
    """How a model learns. The same words mean the same for both trainers.

    Attributes:
        epochs: Passes over the training frames.
        batch_size: Frames per step, on all devices together.
        accumulate: Steps whose gradients are added up before the weights move.
        optimizer: "auto" = MuSGD for YOLO and SGD for Faster R-CNN.
        lr: Highest learning rate, reached after the warm-up.
        final_lr_fraction: The schedule ends at lr times this.
        step_epochs: Epochs at which the step schedule multiplies the rate by step_factor.
        warmup_epochs: Length of the linear warm-up; fractions are allowed.
        amp: Mixed precision; "auto" = bf16 where the device computes in it, fp16 on an older CUDA device, else none.
        clip_norm: Largest norm of the gradient; None = no clipping.
        ema_decay: Decay of the exponential moving average of the weights; None = none. The average is what is scored
            and exported.
        patience: Epochs without a better score after which training stops; None = never.
        val_every: Epochs between validations; the last epoch is always validated.
        workers: Loader processes; 0 = load in the training process.
        device: "auto" = CUDA where there is one.
    """

    epochs: int = Field(default=100, gt=0)
    batch_size: int = Field(default=16, gt=0)
    accumulate: int = Field(default=1, gt=0)
    optimizer: Literal["auto", "sgd", "adamw", "musgd"] = "auto"
    lr: float = Field(default=0.01, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0)
    schedule: Literal["cosine", "linear", "step", "constant"] = "cosine"
    final_lr_fraction: float = Field(default=0.01, ge=0, le=1)
    step_epochs: tuple[int, ...] = ()
    step_factor: float = Field(default=0.1, gt=0, le=1)
    warmup_epochs: float = Field(default=1.0, ge=0)
    amp: Literal["auto", "off", "bf16", "fp16"] = "auto"
    clip_norm: float | None = Field(default=10.0, gt=0)
    ema_decay: float | None = Field(default=0.999, gt=0, lt=1)
    patience: int | None = Field(default=None, gt=0)
    val_every: int = Field(default=1, gt=0)
    workers: int = Field(default=2, ge=0)
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _steps_belong_to_the_step_schedule(self) -> TrainConfig:
        if (self.schedule == "step") != bool(self.step_epochs):
            raise ValueError(
                f"schedule {self.schedule} with step_epochs {list(self.step_epochs)}: "
                "schedule: step needs step_epochs, and no other schedule has them"
            )
        return self


class EvaluateConfig(_Section):
    """How a run is scored.

    Attributes:
        by: Conditions that get a score each; products are written `weather*time_of_day`.
        best_by: The score that picks the best epoch.
    """

    by: tuple[str, ...] = ("weather", "scene", "time_of_day")
    best_by: Literal["ap", "ap50"] = "ap50"

    @field_validator("by")
    @classmethod
    def _columns_exist(cls, by: tuple[str, ...]) -> tuple[str, ...]:
        try:
            check_columns(by)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return by


class RunConfig(_Section):
    """One training run.

    Attributes:
        name: Name of the run folder's parent.
        folder: Where run folders are made.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    folder: Path = Path("runs")
    data: DataConfig
    augment: AugmentConfig = AugmentConfig()
    model: Annotated[YoloConfig | FasterRcnnConfig, Field(discriminator="kind")]
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="after")
    def _musgd_is_for_yolo(self) -> RunConfig:
        if self.train.optimizer == "musgd" and self.model.kind != "yolo":
            raise ValueError("train.optimizer: musgd comes with YOLO; set train.optimizer: sgd or adamw")
        return self


def load_run_config(path: Path | str, overrides: Sequence[str] = ()) -> RunConfig:
    """Read and check the configuration of a run.

    Raises:
        ConfigError: Lists every fault with its dotted key.
    """
    return validate_config(RunConfig, load_config(path, overrides), str(path))
