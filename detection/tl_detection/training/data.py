"""What a run learns from and is scored on, checked before the first step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tl_datasets.augment.pipeline import Augmenter
from tl_datasets.catalog import Catalog
from tl_datasets.duplicates.pair_files import read_pairs
from tl_datasets.errors import TrainingError
from tl_datasets.label_space import LabelSpace
from tl_datasets.splits.split import check_split
from tl_datasets.torch_dataset import FrameDataset, LabelledFrames, labelled_frames
from tl_detection.config import RunConfig
from tl_detection.detector import Detections, Detector
from tl_detection.distributed import Ranks, gather
from tl_detection.evaluation.measures import Measure
from tl_detection.evaluation.readings import Reading, check_measure, read_measure
from tl_detection.evaluation.report import Evaluation, collect_detections, evaluate_whole
from tl_detection.fingerprint import RunFingerprint

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Frames to learn from and frames to score.

    Attributes:
        config: The run.
        label_space: Its classes.
        dataset: Augmented training samples.
        train: The frames behind the samples.
        val_catalog: The frames to score.
        fingerprint: Of the catalog that both come from.
        boxes_by_class: Training boxes of each class.
    """

    config: RunConfig
    label_space: LabelSpace
    dataset: FrameDataset
    train: LabelledFrames
    val_catalog: Catalog
    fingerprint: str
    boxes_by_class: list[int]

    def score(
        self,
        detector: Detector,
        progress: Callable[[int, int], None] | None = None,
        ranks: Ranks = Ranks(),  # noqa: B008
    ) -> Evaluation | None:
        """Score a detector on the validation frames, overall and per condition.

        Args:
            detector: The same on every rank.
            progress: Called with frames done and all frames of this rank.
            ranks: Who this process is. Each frame is looked at by one rank, once.

        Returns:
            The scores, on the first rank; None on the others.
        """
        rows = np.arange(ranks.rank, len(self.val_catalog), ranks.size)
        own = collect_detections(detector, self.val_catalog, progress, rows=rows)
        of_ranks = gather(own)
        if not ranks.is_first:
            return None
        detections = [Detections.empty()] * len(self.val_catalog)
        for rank, found in enumerate(of_ranks):
            detections[rank :: ranks.size] = found
        return evaluate_whole(
            detections, self.val_catalog, self.label_space, by=self.config.evaluate.by, model=detector.description
        )

    @property
    def measure(self) -> Measure:
        """The measure that picks the best epoch."""
        return Measure.parse(self.config.evaluate.best_by)

    def best_score(self, evaluation: Evaluation) -> Reading:
        """What that measure is in an evaluation, and where it was read."""
        settings = self.config.evaluate
        return read_measure(
            self.measure,
            evaluation,
            worst_needs_objects=settings.worst_needs_objects,
            replicates=settings.replicates,
        )


def prepare_data(config: RunConfig) -> TrainingData:
    """Open the catalog and make sure that the run can learn from it and be scored on it.

    Raises:
        DataError: The catalog cannot be used, or the training and validation frames leak into each other.
        TrainingError: A class has no box to learn from, or there is nothing to score.
        ConfigError: The augmentation is unsafe.
        UsageError: The measure that picks the best epoch has no value on these frames.
    """
    catalog = Catalog.open(config.data.catalog)
    label_space = config.data.label_space
    train_catalog, val_catalog = catalog.filter(config.data.train), catalog.filter(config.data.val)
    if config.data.overfit_frames is not None:
        train_catalog = _few_frames(train_catalog, label_space, config.data.overfit_frames)
        val_catalog = train_catalog
    else:
        pairs = None if config.data.duplicates is None else read_pairs(config.data.duplicates)
        _refuse_leaks(catalog, train_catalog, val_catalog, pairs)
    train = labelled_frames(train_catalog, label_space)
    val = labelled_frames(val_catalog, label_space)
    for part, frames in (("train", train), ("val", val)):
        if not len(frames.catalog):
            raise TrainingError(
                f"{config.data.catalog}: no labelled frame for data.{part}: {getattr(config.data, part)}; "
                "check the filter, or split the catalog with: tl split"
            )
        for reason, count in frames.left_out.items():
            logger.info("%s: %d frames left out (%s)", part, count, reason)
    counts = np.bincount(train.class_id[(train.class_id >= 0) & ~train.ignored], minlength=len(label_space))
    if not counts.all() and not config.data.allow_classes_without_boxes:
        absent = [name for name, count in zip(label_space.names, counts, strict=True) if not count]
        raise TrainingError(
            f"{config.data.catalog}: class '{absent[0]}' has no box among the {len(train.catalog)} training frames; "
            "remove it from data.label_space.classes, choose other frames, or set data.allow_classes_without_boxes"
        )
    if not counts.any():
        raise TrainingError(
            f"{config.data.catalog}: no class has a box among the {len(train.catalog)} training frames; "
            "check data.train and data.label_space"
        )
    check_measure(
        Measure.parse(config.evaluate.best_by),
        val.catalog,
        label_space,
        worst_needs_objects=config.evaluate.worst_needs_objects,
    )
    dataset = training_samples(config, train)
    boxes = [f"{name} {count}" for name, count in zip(label_space.names, counts, strict=True)]
    without_class = int((train.box_only >= 0).sum())
    logger.info(
        "train: %d frames, %s; val: %d frames",
        len(train.catalog),
        ", ".join(boxes + [f"without a class {without_class}"] * (without_class > 0)),
        len(val.catalog),
    )
    return TrainingData(
        config=config,
        label_space=label_space,
        dataset=dataset,
        train=train,
        val_catalog=val.catalog,
        fingerprint=catalog.fingerprint,
        boxes_by_class=counts.tolist(),
    )


def training_samples(config: RunConfig, frames: LabelledFrames) -> FrameDataset:
    """The samples that a run learns from.

    Raises:
        ConfigError: The augmentation is wrong, whatever the frames.
        DataError: There is no frame.
    """
    size = config.model.input
    return FrameDataset(
        frames,
        size.width_px,
        size.height_px,
        Augmenter(config.augment, config.data.label_space, size.width_px, size.height_px, frames.candidates),
        config.train.seed,
        epochs=config.train.epochs,
        cache=config.data.cache,
        balance=config.data.balance,
    )


def run_meta(data: TrainingData, run: Path, fingerprint: RunFingerprint) -> dict[str, Any]:
    """What a checkpoint says of the run that made it."""
    from tl_detection.environment import environment

    return {
        "run": run.name,
        "name": data.config.name,
        "catalog_fingerprint": data.fingerprint,
        "label_space_fingerprint": data.label_space.fingerprint,
        "fingerprint": fingerprint.to_dict(),
        "environment": environment(),
    }


def _few_frames(catalog: Catalog, label_space: LabelSpace, count: int) -> Catalog:
    """A frame of each class, and others spread evenly over those with a box, so that 20 are not 20 neighbours."""
    frames = labelled_frames(catalog, label_space)
    learned = (frames.class_id >= 0) & ~frames.ignored
    frame_of_box = np.repeat(np.arange(len(frames.catalog)), np.diff(frames.catalog.offsets))
    shows = np.zeros((len(frames.catalog), len(label_space)), dtype=bool)
    shows[frame_of_box[learned], frames.class_id[learned]] = True
    rows = np.flatnonzero(shows.any(axis=1))
    if len(rows) < count:
        raise TrainingError(
            f"data.overfit_frames: {count} frames are asked for, only {len(rows)} have a box; ask for fewer"
        )
    chosen: list[int] = []
    # The rarest first: a frame that shows it may show common ones too.
    for class_id in np.argsort(shows.sum(axis=0)):
        if shows[:, class_id].any() and not shows[chosen, class_id].any() and len(chosen) < count:
            chosen.append(int(np.argmax(shows[:, class_id])))
    others = np.setdiff1d(rows, chosen)
    chosen += others[np.linspace(0, len(others) - 1, count - len(chosen)).round().astype(int)].tolist()
    return frames.catalog.with_frames(frames.catalog.frames[sorted(chosen)])


def _refuse_leaks(catalog: Catalog, train: Catalog, val: Catalog, pairs: pl.DataFrame | None) -> None:
    """The two filters may cut the catalog in any way, so the parts are checked as they are used.

    Frames of the part test that neither filter takes are checked too: a score on them would be worth nothing.
    """
    parts = pl.concat(
        [
            train.frames.with_columns(split=pl.lit("train")),
            val.frames.with_columns(split=pl.lit("val")),
        ]
    )
    repeated = parts.filter(parts["frame_id"].is_duplicated())["frame_id"]
    if len(repeated):
        raise TrainingError(
            f"frame '{repeated[0]}' is in data.train and in data.val ({len(repeated) // 2} frames are); "
            "use filters that exclude each other"
        )
    test = catalog.frames.filter((pl.col("split") == "test") & ~pl.col("frame_id").is_in(parts["frame_id"].implode()))
    check_split(catalog.with_frames(pl.concat([parts, test])), pairs)
