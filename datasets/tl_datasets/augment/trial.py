"""A pipeline is tried before the first epoch: what breaks, resizes or empties samples is named, with a frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tl_datasets.augment.labelled import Labelled
from tl_datasets.augment.steps import Step, fault
from tl_datasets.errors import ConfigError


def try_steps(steps: Sequence[Step], composed: Sequence[tuple[str, Labelled]], boxes: int) -> None:
    """Run every step, whatever its probability, on every canvas.

    Args:
        steps: Of the pipeline.
        composed: Frame ids with the canvases that the geometry made of them.
        boxes: How many boxes with a class these frames have.

    Raises:
        ConfigError: Names the step and the frame: it fails, gives something else than an image of the same size, or
            leaves no box in any sample; or the geometry already does so.
    """
    labels = sum(len(canvas.xyxy) for _, canvas in composed)
    if boxes and not labels:
        raise ConfigError(
            "augment.scale",
            [
                f"none of the {boxes} boxes of {len(composed)} frames keeps its label, such as those of frame "
                f"'{composed[0][0]}': what is left is under min_size_px or min_visible; enlarge augment.scale or "
                "model.input, or lower these limits"
            ],
        )
    for step in _each(steps):
        kept = 0
        for number, (frame_id, canvas) in enumerate(composed):
            try:
                kept += len(step.always(canvas, np.random.default_rng(number)).xyxy)
            except ConfigError as error:
                raise at_frame(error, frame_id) from error
        if labels and not kept:
            raise fault(
                step.name, f"leaves no box in any of {len(composed)} samples, such as that of '{composed[0][0]}'"
            )


def at_frame(error: ConfigError, frame_id: str) -> ConfigError:
    """The same error with the frame that it was met at."""
    return ConfigError(error.where, [f"{fault}; met at frame '{frame_id}'" for fault in error.faults])


def _each(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        if step.of:
            yield from _each(step.of)
        else:
            yield step
