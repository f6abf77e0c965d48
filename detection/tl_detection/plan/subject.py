"""What a plan looks at: the run's configuration, its frames, and which of their boxes are lights to learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tl_datasets.catalog import Catalog
from tl_datasets.errors import TlError
from tl_datasets.torch_dataset import LabelledFrames, labelled_frames
from tl_detection.config import FasterRcnnConfig, RunConfig
from tl_detection.training.data import TrainingData, prepare_data

# Finest level of the pyramid of Faster R-CNN.
_PYRAMID_STRIDE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A run that is not trained yet.

    Attributes:
        config: Its configuration.
        train: Frames to learn from.
        val: Frames to score.
        lights: (boxes of `train`,) true for signal heads that are learned; where no class is one, for all boxes.
        noun: What they are called: lights or boxes.
        data: What the trainer would be given; None if it would refuse.
        fault: Why it would.
    """

    config: RunConfig
    train: LabelledFrames
    val: LabelledFrames
    lights: NDArray[np.bool_]
    noun: str
    data: TrainingData | None
    fault: str | None

    @property
    def learned(self) -> NDArray[np.bool_]:
        """(boxes of `train`,) true for all boxes that are learned."""
        return (self.train.class_id >= 0) & ~self.train.ignored


def open_subject(config: RunConfig) -> Subject:
    """Open the catalog of a run and look at its parts as the trainer will.

    Raises:
        DataError: The catalog cannot be used at all.
        ConfigError: The augmentation cannot be built.
    """
    label_space = config.data.label_space
    catalog = Catalog.open(config.data.catalog)
    train = labelled_frames(catalog.filter(config.data.train), label_space)
    val = labelled_frames(catalog.filter(config.data.val), label_space)
    data, fault = None, None
    try:
        # That a class has no box is a finding of its own.
        lenient = config.data.model_copy(update={"allow_classes_without_boxes": True})
        data = prepare_data(config.model_copy(update={"data": lenient}))
        train = data.train
    except TlError as error:
        fault = str(error)
    learned = (train.class_id >= 0) & ~train.ignored
    is_light = np.array([*label_space.lights, False], dtype=bool)
    lights = learned & is_light[np.where(learned, train.class_id, -1)]
    has_lights = any(label_space.lights)
    return Subject(
        config=config,
        train=train,
        val=val,
        lights=lights if has_lights else learned,
        noun="lights" if has_lights else "boxes",
        data=data,
        fault=fault,
    )


def strides_of(config: RunConfig) -> tuple[int, ...]:
    """Network pixels per cell of the levels that predict, finest first.

    Raises:
        ConfigError: The architecture is unknown, or does not fit the input size.
    """
    model = config.model
    if isinstance(model, FasterRcnnConfig):
        return tuple(_PYRAMID_STRIDE * 2**level for level in range(5))
    from tl_detection.detectors.yolo import build_yolo
    from tl_detection.training.yolo_start import describe_yolo

    description = describe_yolo(model.model_copy(update={"weights": None}))
    return tuple(sorted(int(stride) for stride in build_yolo(description, len(config.data.label_space)).stride))
