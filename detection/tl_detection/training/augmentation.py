"""Before the first epoch: does the augmentation give samples at all, and does it tell the truth about lights?"""

from __future__ import annotations

import logging

import numpy as np

from tl_datasets.augment.labelled import Labelled
from tl_datasets.augment.trial import try_steps
from tl_datasets.errors import ConfigError, ImageError
from tl_datasets.lint.lint import LintReport
from tl_datasets.torch_dataset import FrameDataset
from tl_detection.lint_run import lint_run
from tl_detection.training.data import TrainingData

logger = logging.getLogger(__name__)

# Samples on which each step is tried.
_TRIED = 12


def check_augmentation(data: TrainingData) -> LintReport | None:
    """Try every step on a few samples, then measure what the policy does to the lights of the run.

    Returns:
        What was measured; None if nothing that the run learns is a light.

    Raises:
        ConfigError: A step breaks or empties samples; or the policy lies about lights, and nobody has allowed it.
        DataError: An image cannot be read.
    """
    _try_steps(data.dataset, may_stand_in=data.config.data.broken_share > 0)
    if not any(data.label_space.lights):
        return None
    may_stand_in = data.config.data.broken_share > 0
    report = lint_run(data.config, data.train.catalog, skip_broken=may_stand_in)
    if report.faults():
        raise ConfigError("augment", report.faults())
    for line in report.overrides():
        logger.warning("allowed by augment.allow_unsafe: %s", line)
    return report


def _try_steps(dataset: FrameDataset, *, may_stand_in: bool) -> None:
    if dataset.augmenter is None:
        return
    frames, rows = dataset.frames, dataset.order(0)[0]
    positions = np.linspace(0, len(dataset) - 1, min(_TRIED, len(dataset))).round().astype(int).tolist()
    offsets = frames.catalog.offsets
    boxes = sum(int(frames.learned[offsets[rows[at]] : offsets[rows[at] + 1]].sum()) for at in positions)
    try_steps(dataset.augmenter.steps, [_composed(dataset, position, may_stand_in) for position in positions], boxes)


def _composed(dataset: FrameDataset, position: int, may_stand_in: bool) -> tuple[str, Labelled]:
    """A sample before the steps, or the first readable one of those that would take its place."""
    first: ImageError | None = None
    for each in dataset.stand_ins(position) if may_stand_in else [position]:
        try:
            return dataset.composed(each)
        except ImageError as error:
            first = first or error
    raise first or ValueError("no sample")
