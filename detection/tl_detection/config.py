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
from tl_detection.evaluation.measures import Measure

# The coarsest feature map of both detectors has this many input pixels per cell.
STRIDE = 32
# Parts of every backbone, one per halving of the picture.
BACKBONE_STAGES = 5


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSize(_Section):
    """Size of the network's input; frames are letterboxed into it. The camera's aspect wastes nothing on padding."""

    width_px: int = Field(gt=0, multiple_of=STRIDE)
    height_px: int = Field(gt=0, multiple_of=STRIDE)


class YoloConfig(_Section):
    """A YOLO of ultralytics.

    Attributes:
        architecture: Name of an architecture that ultralytics ships, such as yolo26n, yolo26n-p2, yolo11s, or
            yolo11n-p2; or a YAML file that describes one.
        weights: Local file to start from (our checkpoint, or ultralytics' .pt); None = from scratch.
        classes_from: Class -> the class of the weights file whose last layer it starts with, where the names differ,
            such as {red: traffic light}. Classes of one name need no entry.
        frozen_stages: Backbone stages, counted from the input, that do not learn; 0 = all learn.
        max_detections: Most detections per frame.
        end_to_end: Use the head that needs no suppression where the architecture has both (YOLO26). Both are trained;
            the other one is ahead early in training.
    """

    kind: Literal["yolo"]
    architecture: str = "yolo26n"
    input: InputSize
    weights: Path | None = None
    classes_from: dict[str, str] = {}
    frozen_stages: int = Field(default=0, ge=0, le=BACKBONE_STAGES)
    max_detections: int = Field(default=100, gt=0)
    end_to_end: bool = True


class FasterRcnnConfig(_Section):
    """A Faster R-CNN of torchvision with a feature pyramid.

    Attributes:
        backbone: Network under the pyramid.
        version: 2 = the deeper pyramid, proposal and box heads of torchvision's second ResNet-50 detector.
        weights: Local file to start from (our checkpoint, or torchvision's COCO state dict); None = from scratch.
        classes_from: As for YOLO.
        weights_backbone: Local torchvision ImageNet state dict of the backbone.
        norm: "group" needs no statistics and suits small batches from scratch; "batch" trains batch norm;
            "frozen" keeps the statistics of the given weights.
        anchors: "fit" = sizes and ratios from quantiles of the training boxes; "default" = torchvision's.
        frozen_stages: Backbone stages, counted from the input, that do not learn; None = 0 from scratch, 2 with
            weights.
        max_detections: Most detections per frame.
    """

    kind: Literal["faster_rcnn"]
    backbone: Literal["mobilenet_v3_large", "mobilenet_v3_small", "resnet50", "resnet18"] = "resnet50"
    version: Literal[1, 2] = 1
    input: InputSize
    weights: Path | None = None
    classes_from: dict[str, str] = {}
    weights_backbone: Path | None = None
    norm: Literal["group", "batch", "frozen"] = "group"
    anchors: Literal["fit", "default"] = "fit"
    frozen_stages: int | None = Field(default=None, ge=0, le=BACKBONE_STAGES)
    max_detections: int = Field(default=100, gt=0)

    @model_validator(mode="after")
    def _frozen_needs_weights(self) -> FasterRcnnConfig:
        if self.norm == "frozen" and self.weights is None and self.weights_backbone is None:
            raise ValueError("norm: frozen needs statistics; give weights or weights_backbone, or set norm: group")
        return self

    @model_validator(mode="after")
    def _parts_go_together(self) -> FasterRcnnConfig:
        if self.version == 2 and not self.backbone.startswith("resnet"):
            raise ValueError(f"version: 2 is made for a ResNet, not for {self.backbone}; set version: 1")
        if self.weights is not None and self.weights_backbone is not None:
            raise ValueError("weights bring a backbone; give weights or weights_backbone, not both")
        return self


class TrainConfig(_Section):
    """How a model learns. The same words mean the same for both trainers.

    Attributes:
        epochs: Passes over the training frames.
        batch_size: Frames per batch, on all ranks together.
        accumulate: Batches whose gradients are added up before the weights move.
        micro_batch: Most frames that one device works on at a time; None = its whole share of a batch. Where memory
            does not suffice it is halved, and the gradients of the parts are added up: what a step learns from stays.
        optimizer: "auto" = MuSGD for YOLO and SGD for Faster R-CNN.
        lr: Highest learning rate, reached after the warm-up.
        layer_lr_decay: Each backbone stage learns at this times the rate of the one behind it, the head at the full
            rate; 1 = all alike.
        schedule: Form after the warm-up. "one_cycle" has its own rise over three tenths of the run instead of a
            warm-up.
        final_lr_fraction: The schedule ends at lr times this.
        step_epochs: Epochs at which the step schedule multiplies the rate by step_factor.
        warmup_epochs: Length of the linear warm-up; fractions are allowed.
        amp: Mixed precision; "auto" = bf16 where the device computes in it, fp16 on an older CUDA device, else none.
        clip_norm: Largest norm of the gradient; None = no clipping.
        class_weights: How much a class counts in the loss: "balanced" = by the inverse square root of its boxes, mean
            1; or a number for each class, 1 for those that are not named; None = alike.
        ema_decay: Decay of the exponential moving average of the weights; None = none. The average is what is scored
            and exported.
        sync_batch_norm: Batch norms take their statistics over all ranks, as one device would with the whole batch.
        patience: Epochs without a better score after which training stops; None = never.
        val_every: Epochs between validations; the last epoch is always validated.
        checkpoint_minutes: Time between checkpoints inside an epoch; None = only at its end.
        workers: Loader processes of each rank; 0 = load in the training process.
        device: "auto" = CUDA where there is one. Of several ranks each takes the device of its local number.
        deterministic: The same bits in every run: deterministic CUDA kernels, one thread on the CPU. Slower.
        rank_timeout_s: Time after which a rank that does not answer ends the run.
    """

    epochs: int = Field(default=100, gt=0)
    batch_size: int = Field(default=16, gt=0)
    accumulate: int = Field(default=1, gt=0)
    micro_batch: int | None = Field(default=None, gt=0)
    optimizer: Literal["auto", "sgd", "adamw", "musgd"] = "auto"
    lr: float = Field(default=0.01, gt=0)
    layer_lr_decay: float = Field(default=1.0, gt=0, le=1)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0)
    schedule: Literal["cosine", "linear", "step", "constant", "one_cycle"] = "cosine"
    final_lr_fraction: float = Field(default=0.01, ge=0, le=1)
    step_epochs: tuple[int, ...] = ()
    step_factor: float = Field(default=0.1, gt=0, le=1)
    warmup_epochs: float = Field(default=1.0, ge=0)
    amp: Literal["auto", "off", "bf16", "fp16"] = "auto"
    clip_norm: float | None = Field(default=10.0, gt=0)
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = None
    ema_decay: float | None = Field(default=0.999, gt=0, lt=1)
    sync_batch_norm: bool = True
    patience: int | None = Field(default=None, gt=0)
    val_every: int = Field(default=1, gt=0)
    checkpoint_minutes: float | None = Field(default=15.0, ge=0)
    workers: int = Field(default=2, ge=0)
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    seed: int = Field(default=0, ge=0)
    deterministic: bool = False
    rank_timeout_s: float = Field(default=600.0, gt=0)

    @field_validator("amp", mode="before")
    @classmethod
    def _yaml_off(cls, amp: object) -> object:
        # YAML 1.1 reads an unquoted `off` as False.
        return "off" if amp is False else amp

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
        best_by: The measure that picks the best epoch and ends a run that grows no better; its words are those of
            `evaluation.measures`, such as ap50, recall:red or ap50_lower@worst(weather, time_of_day).
        worst_needs_objects: Objects that a slice must have to be the worst of `worst(...)`.
        replicates: Data sets drawn for the interval of a measure with `_lower` or `_upper`.
    """

    by: tuple[str, ...] = ("weather", "scene", "time_of_day")
    best_by: str = "ap50"
    worst_needs_objects: int = Field(default=20, gt=0)
    # 40 leave one value beyond each bound.
    replicates: int = Field(default=200, ge=40, le=10_000)

    @field_validator("by")
    @classmethod
    def _columns_exist(cls, by: tuple[str, ...]) -> tuple[str, ...]:
        try:
            check_columns(by)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return by

    @field_validator("best_by")
    @classmethod
    def _measure_is_known(cls, best_by: str) -> str:
        try:
            return str(Measure.parse(best_by))
        except UsageError as error:
            raise ValueError(str(error)) from error


class TrackConfig(_Section):
    """What of a run is shown while it runs. Files in the run folder are the truth; nothing is sent anywhere by default.

    Attributes:
        tensorboard: Write curves, precision over recall, and pictures for TensorBoard.
        pictures: Validation frames that are drawn with what was detected, in every epoch that is scored; 0 = none.
        mlflow: Tracking URI, such as sqlite:///mlflow.db, to which parameters and measures are written as well; None =
            not at all. Needs the package mlflow.
    """

    tensorboard: bool = True
    pictures: int = Field(default=8, ge=0, le=64)
    mlflow: str | None = None


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
    track: TrackConfig = TrackConfig()

    @model_validator(mode="after")
    def _weighs_its_own_classes(self) -> RunConfig:
        names = self.data.label_space.names
        if self.model.classes_from and self.model.weights is None:
            raise ValueError("model.classes_from: there is no file to take classes from; set model.weights")
        for field, words in (
            ("train.class_weights", self.train.class_weights),
            ("model.classes_from", self.model.classes_from),
        ):
            unknown = [name for name in words if name not in names] if isinstance(words, dict) else []
            if unknown:
                raise ValueError(f"{field}: class '{unknown[0]}' is none of the run; it has {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _musgd_is_for_yolo(self) -> RunConfig:
        if self.train.optimizer == "musgd" and self.model.kind != "yolo":
            raise ValueError("train.optimizer: musgd comes with YOLO; set train.optimizer: sgd or adamw")
        return self

    @model_validator(mode="after")
    def _best_by_names_a_class(self) -> RunConfig:
        try:
            Measure.parse(self.evaluate.best_by).class_id(self.data.label_space.names)
        except UsageError as error:
            raise ValueError(f"evaluate.best_by: {error}") from error
        return self


def load_run_config(path: Path | str, overrides: Sequence[str] = ()) -> RunConfig:
    """Read and check the configuration of a run.

    Raises:
        ConfigError: Lists every fault with its dotted key.
    """
    return validate_config(RunConfig, load_config(path, overrides), str(path))
