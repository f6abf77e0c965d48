"""The training samples of both trainers. The only file of `tl_datasets` that knows torch.

Everything random about a sample follows from (run seed, epoch, frame id), and from how often the frame came before in
the epoch: neither the number of workers or ranks nor the trainer changes what a sample looks like. The frames that
share a mosaic come from one block of the epoch's order, which follows from (run seed, epoch) as well.
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.context import BaseContext
from typing import NotRequired, TypedDict

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from tl_datasets.augment.copy_paste import CopyPaste, CopyPasteConfig
from tl_datasets.augment.labelled import Labelled
from tl_datasets.augment.lamp_bank import LampBank
from tl_datasets.augment.pipeline import TILES, Augmenter, Plan
from tl_datasets.augment.settings import AugmentConfig
from tl_datasets.augment.trial import at_frame
from tl_datasets.balance import BalanceConfig, epoch_length, epoch_order, occurrences, repeat_factors
from tl_datasets.catalog import Catalog
from tl_datasets.epoch_batches import EpochBatches
from tl_datasets.errors import ConfigError, DataError, ImageError, TlError
from tl_datasets.frame_cache import FrameCache, FrameCacheConfig
from tl_datasets.label_space import DROP, LabelSpace
from tl_datasets.letterbox import letterbox
from tl_datasets.taxonomy import LabelStatus


class Sample(TypedDict):
    """One training sample.

    image: (3, H, W) uint8 RGB. xyxy: (N, 4) float32 network pixels. class_id: (N,) int64, 0-based.
    ignore_xyxy: (M, 4) float32 areas that neither reward nor punish. is_vanished: (M,) true for those that are boxes of
    which augmentation left too little; vanished: how many. box_only_xyxy: (K, 4) float32 boxes without a class, each of
    which is one of its box_only_candidates, (K, classes) bool. weather, time_of_day: what the image shows, None where
    its parts differ or nobody knows. made: the effects that were applied. occurrence: how often the frame came before
    in this epoch. broken: what is wrong with the images that this sample stands in for.
    """

    image: torch.Tensor
    xyxy: torch.Tensor
    class_id: torch.Tensor
    ignore_xyxy: torch.Tensor
    is_vanished: torch.Tensor
    frame_id: str
    vanished: int
    box_only_xyxy: torch.Tensor
    box_only_candidates: torch.Tensor
    weather: str | None
    time_of_day: str | None
    made: tuple[str, ...]
    occurrence: int
    broken: tuple[str, ...]


class Batch(TypedDict):
    """Samples of one step: images (B, 3, H, W) uint8; of everything else one value or tensor per image.

    `counts` may be False: the samples keep step with other ranks, and have no part in what is learned. A batch without
    the two words of box_only has no such boxes.
    """

    counts: NotRequired[bool]
    images: torch.Tensor
    xyxy: list[torch.Tensor]
    class_id: list[torch.Tensor]
    ignore_xyxy: list[torch.Tensor]
    frame_ids: list[str]
    vanished: list[int]
    box_only_xyxy: NotRequired[list[torch.Tensor]]
    box_only_candidates: NotRequired[list[torch.Tensor]]
    weather: list[str | None]
    time_of_day: list[str | None]
    made: list[tuple[str, ...]]
    occurrence: list[int]
    broken: list[tuple[str, ...]]


def box_only_of(batch: Batch, n_classes: int = 0) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """For each image its boxes without a class, (K, 4), and what they may be, (K, classes) bool."""
    n = len(batch["frame_ids"])
    none = [torch.zeros(0, 4)] * n, [torch.zeros(0, n_classes, dtype=torch.bool)] * n
    return batch.get("box_only_xyxy", none[0]), batch.get("box_only_candidates", none[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFrames:
    """The labelled frames of a catalog in a label space, as arrays that loader workers share.

    Attributes:
        catalog: Only the frames that can be learned from.
        class_id: (boxes,) class ids; rows that the label space drops are `DROP`.
        ignored: (boxes,) true where the box is an ignore area; so is to all but the samples what `box_only` names.
        box_only: (boxes,) row of `candidates` for boxes of which no more is known than candidate classes; else -1.
        candidates: (K, classes) sets of candidate classes, with each its mirror image.
        left_out: Frames that were left out, by reason.
    """

    catalog: Catalog
    class_id: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    box_only: NDArray[np.int64]
    candidates: NDArray[np.bool_]
    left_out: dict[str, int]

    @property
    def learned(self) -> NDArray[np.bool_]:
        """(boxes,) true where a box is learned, with its class or without."""
        return (self.class_id >= 0) & ~self.ignored | (self.box_only >= 0)


def labelled_frames(catalog: Catalog, label_space: LabelSpace) -> LabelledFrames:
    """Select what can be learned from: labelled frames, negatives included; an unlabelled frame is no negative.

    Raises:
        DataError: A box is named by no rule of the label space.
    """
    wanted = {category for rule in label_space.classes.values() for category in rule.category}
    status = catalog.frames["label_status"].to_list()
    labelled = catalog.frames["labelled_categories"].to_list()
    keep = [
        value == LabelStatus.LABELLED or (value == LabelStatus.PARTIAL and wanted <= set(named or ()))
        for value, named in zip(status, labelled, strict=True)
    ]
    unlabelled = status.count(LabelStatus.UNLABELLED)
    left_out = {"unlabelled": unlabelled, "partly labelled": len(keep) - sum(keep) - unlabelled}
    kept = catalog.with_frames(catalog.frames.filter(keep))
    class_id, ignored = label_space.assign(kept.annotations)
    box_only, candidates = _sets(label_space.candidates(kept.annotations), label_space.mirrored)
    return LabelledFrames(
        catalog=kept,
        class_id=class_id,
        ignored=ignored,
        box_only=box_only,
        candidates=candidates,
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def _sets(
    candidates: NDArray[np.bool_], mirrored: tuple[int | None, ...]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The row of each box in a list of different sets, -1 for an empty one, and the list."""
    has_any = candidates.any(axis=1)
    sets = candidates[has_any]
    if None not in mirrored:
        sets = np.concatenate([sets, sets[:, list(mirrored)]])  # type: ignore[arg-type]
    sets, rows = np.unique(sets, axis=0, return_inverse=True)
    box_only = np.full(len(candidates), -1, dtype=np.int64)
    box_only[has_any] = rows.reshape(-1)[: has_any.sum()]
    return box_only, sets


class FrameDataset(Dataset[Sample]):
    """Frames of a catalog as training samples.

    Without an augmenter the samples are plain letterboxed frames.
    """

    def __init__(
        self,
        frames: LabelledFrames,
        width_px: int,
        height_px: int,
        augmenter: Augmenter | None = None,
        seed: int = 0,
        epochs: int = 1,
        cache: FrameCacheConfig | None = None,
        balance: BalanceConfig | None = None,
    ):
        """Take frames.

        Args:
            frames: What to learn from.
            width_px: Width of the network's input.
            height_px: Height of the network's input.
            augmenter: Made for the same input size.
            seed: The run's seed.
            epochs: Length of the run; mosaic stops `mosaic_off_epochs` before its end.
            cache: How many decoded frames each process keeps; it changes nothing but the time.
            balance: Which frames come more often in an epoch; None = each comes once.

        Raises:
            DataError: There is no frame.
            ConfigError: Countries are excluded from mirroring, and nobody says where a source was recorded.
        """
        if not len(frames.catalog):
            raise DataError(
                "training frames: none left after the filter; check data.train and the split of the catalog"
            )
        self.frames = frames
        self.width_px, self.height_px = width_px, height_px
        self.augmenter = augmenter
        self.cache = FrameCache(frames.catalog, cache)
        self.copy_paste = None if augmenter is None else _copy_paste(frames, augmenter.config.copy_paste)
        self.factors = repeat_factors(frames.catalog, frames.class_id, frames.ignored, balance or BalanceConfig())
        self._n_classes = frames.candidates.shape[1]
        self.seed = seed
        self.epochs = epochs
        table = frames.catalog.frames
        self.frame_ids = table["frame_id"].to_list()
        self._sizes = table.select("width_px", "height_px").rows()
        self._weather, self._time_of_day = table["weather"].to_list(), table["time_of_day"].to_list()
        self._may_flip = None if augmenter is None else _may_flip(frames.catalog, augmenter.config)
        self._order: tuple[int, NDArray[np.int64], NDArray[np.int64]] | None = None
        # Shared memory: persistent loader workers see a new epoch without being started again.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return epoch_length(self.factors)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch (0-based) the next samples belong to."""
        self._epoch[0] = epoch

    def order(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the catalog in the order of an epoch, and how often each came before."""
        if self._order is None or self._order[0] != epoch:
            rows = epoch_order(self.factors, self.seed, epoch)
            self._order = epoch, rows, occurrences(rows)
        return self._order[1:]

    def labelled(self, row: int, reduction: int = 1) -> Labelled:
        """One frame of the catalog, dropped boxes gone.

        Args:
            row: Of the catalog.
            reduction: Part of its size at which it is decoded: 2 = half as wide and high.

        Raises:
            ImageError: The image cannot be read, or has another size than the catalog says.
        """
        catalog = self.frames.catalog
        rows = slice(catalog.offsets[row], catalog.offsets[row + 1])
        xyxy, class_id, ignored = catalog.xyxy[rows] / reduction, self.frames.class_id[rows], self.frames.ignored[rows]
        # Their ids lie behind the classes, so that they go with the others through all that moves, cuts or hides boxes.
        box_only = self.frames.box_only[rows]
        class_id = np.where(box_only >= 0, self._n_classes + box_only, class_id)
        ignored = ignored & (box_only < 0)
        keep = ~ignored & (class_id != DROP)
        return Labelled(
            image=self.cache.read_rgb(row, reduction),
            xyxy=xyxy[keep],
            class_id=class_id[keep],
            ignore_xyxy=xyxy[ignored],
            weather=self._weather[row],
            time_of_day=self._time_of_day[row],
        )

    def __getitem__(self, position: int) -> Sample:
        """The sample at a position of the current epoch's order."""
        epoch = int(self._epoch[0])
        rows, occurrences = self.order(epoch)
        row, occurrence = int(rows[position]), int(occurrences[position])
        if self.augmenter is None:
            made = _plain(self.labelled(row), self.width_px, self.height_px)
        else:
            made = self._augmented(self.augmenter, position, row, occurrence)
        open_ = made.class_id >= self._n_classes
        sets = self.frames.candidates[made.class_id[open_] - self._n_classes]
        return Sample(
            image=torch.from_numpy(made.image).permute(2, 0, 1),  # `collate` puts the planes in order
            xyxy=torch.from_numpy(made.xyxy[~open_].astype(np.float32)),
            class_id=torch.from_numpy(made.class_id[~open_]),
            box_only_xyxy=torch.from_numpy(made.xyxy[open_].astype(np.float32)),
            box_only_candidates=torch.from_numpy(sets),
            ignore_xyxy=torch.from_numpy(made.ignore_xyxy.astype(np.float32)),
            frame_id=self.frame_ids[row],
            is_vanished=torch.from_numpy(made.is_vanished),
            vanished=int(made.is_vanished.sum()),
            weather=made.weather,
            time_of_day=made.time_of_day,
            made=made.made,
            occurrence=occurrence,
            broken=(),
        )

    def stand_ins(self, position: int) -> list[int]:
        """A position of the current epoch's order, and those that take its place, one after the other, if it fails."""
        rows, occurrences = self.order(int(self._epoch[0]))
        frame_id, occurrence = self.frame_ids[rows[position]], int(occurrences[position])
        rng = sample_generator(self.seed, int(self._epoch[0]), frame_id, occurrence, "stand_in")
        return [position, *rng.integers(0, len(rows), _STAND_INS).tolist()]

    def composed(self, position: int) -> tuple[str, Labelled]:
        """The frame id and the canvas of a sample of the current epoch before the configured steps run on it.

        Raises:
            ImageError: As for `labelled`.
            ValueError: There is no augmenter.
        """
        if self.augmenter is None:
            raise ValueError("no augmenter")
        rows, occurrences = self.order(int(self._epoch[0]))
        row, occurrence = int(rows[position]), int(occurrences[position])
        frames, may_flip, rng = self._parts(self.augmenter, position, row, occurrence)
        return self.frame_ids[row], self.augmenter.compose(frames, rng, may_flip=may_flip)

    def _augmented(self, augmenter: Augmenter, position: int, row: int, occurrence: int) -> Labelled:
        frames, may_flip, rng = self._parts(augmenter, position, row, occurrence)
        try:
            return augmenter.sample(frames, rng, may_flip=may_flip)
        except ConfigError as error:
            raise at_frame(error, self.frame_ids[row]) from error

    def _parts(
        self, augmenter: Augmenter, position: int, row: int, occurrence: int
    ) -> tuple[list[tuple[Labelled, Plan]], bool, np.random.Generator]:
        """The frames of a sample with their plans, whether it may be mirrored, and what decides the rest."""
        epoch = int(self._epoch[0])
        rng = sample_generator(self.seed, epoch, self.frame_ids[row], occurrence)
        mosaic = epoch < self.epochs - augmenter.config.mosaic_off_epochs
        plans = [self._plan(augmenter, epoch, row, occurrence, mosaic=mosaic)]
        needed = (TILES - 1 if plans[0].kind == "mosaic" else 0) + plans[0].mixed
        others = self._others(augmenter, epoch, position, row, needed, rng)
        plans += [self._plan(augmenter, epoch, other, 0, mosaic=mosaic) for other in others]
        frames = []
        for each, plan in zip([row, *others], plans, strict=True):
            width, height = self._sizes[each]
            reduction = augmenter.reduction(width, height, plan)
            frame = self.labelled(each, reduction)
            if each == row and not frames and self.copy_paste is not None:
                own = sample_generator(self.seed, epoch, self.frame_ids[row], occurrence, "copy_paste")
                frame = self.copy_paste.paste(frame, row, self.cache.read_rgb, own, reduction)
            frames.append((frame, plan))
        may_flip = self._may_flip is None or all(self._may_flip[each] for each in (row, *others))
        return frames, may_flip, rng

    def _plan(self, augmenter: Augmenter, epoch: int, row: int, occurrence: int, *, mosaic: bool) -> Plan:
        """What becomes of a frame in an epoch; as a part of other samples it has the plan of its first occurrence."""
        rng = sample_generator(self.seed, epoch, self.frame_ids[row], occurrence, "plan")
        return augmenter.plan(rng, mosaic=mosaic)

    def _others(
        self, augmenter: Augmenter, epoch: int, position: int, row: int, count: int, rng: np.random.Generator
    ) -> list[int]:
        """Frames that share a sample with one: from its block of the epoch's order, which one worker mostly reads."""
        if not count:
            return []
        rows, _ = self.order(epoch)
        size = augmenter.config.mosaic_block
        start = max(0, min(position // size * size, len(rows) - size))
        block = np.unique(rows[start : start + size])
        block = block[block != row] if len(block) > 1 else block
        return rng.choice(block, size=count, replace=len(block) < count).tolist()


def _plain(frame: Labelled, width_px: int, height_px: int) -> Labelled:
    """A frame as it is scored: letterboxed, and nothing else."""
    image, placement = letterbox(frame.image, width_px, height_px)
    image = image if image.flags.writeable else image.copy()  # a tensor must not reach into the cache
    return replace(
        frame,
        image=image,
        xyxy=placement.to_canvas(frame.xyxy),
        ignore_xyxy=placement.to_canvas(frame.ignore_xyxy),
    )


def _copy_paste(frames: LabelledFrames, config: CopyPasteConfig) -> CopyPaste | None:
    if not config.p:
        return None
    bank = LampBank(frames.catalog, frames.class_id, frames.ignored, min_height_px=config.min_height_px)
    return CopyPaste(bank, config)


def _may_flip(catalog: Catalog, config: AugmentConfig) -> list[bool] | None:
    """For each frame, whether its country's scenes are mirrored; None = all.

    Raises:
        ConfigError: Countries are excluded, and nobody says where a source was recorded.
    """
    if not config.no_flip_countries or not config.flip_lr:
        return None
    sources = catalog.frames["source"].to_list()
    unknown = sorted(set(sources) - set(config.countries))
    if unknown:
        raise ConfigError(
            "augment.countries",
            [
                f"source '{unknown[0]}' has no country, which augment.no_flip_countries needs; "
                f"add {unknown[0]}: its two-letter code"
            ],
        )
    return [config.countries[source] not in config.no_flip_countries for source in sources]


# How many frames are tried in the place of a broken one.
_STAND_INS = 5
# Parts of a batch that hold a few numbers for each image.
_SMALL = ("xyxy", "class_id", "ignore_xyxy", "box_only_xyxy", "box_only_candidates")


@dataclass(frozen=True, slots=True)
class _Fault:
    """An error on its way out of a worker, which would otherwise arrive as the text of a traceback."""

    message: str


class _Caught(Dataset):
    """A dataset whose errors are samples, and which puts another frame in the place of one with a broken image."""

    def __init__(self, dataset: FrameDataset, *, replace_broken: bool):
        self.dataset, self.replace_broken = dataset, replace_broken

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample | _Fault:
        broken: list[str] = []
        try:
            for position in self.dataset.stand_ins(index) if self.replace_broken else (index,):
                try:
                    return {**self.dataset[position], "broken": tuple(broken)}  # type: ignore[return-value]
                except ImageError as error:
                    broken.append(str(error))
        except TlError as error:
            return _Fault(str(error))
        return _Fault(broken[0] if len(broken) == 1 else f"{broken[0]}; {len(broken) - 1} others in its place as well")


class FrameLoader(DataLoader):
    """A loader of batches; what is wrong with a frame is raised here, in one line, whichever process met it.

    Attributes:
        batches: Which samples make up each batch, and where the next epoch begins.
    """

    batches: EpochBatches

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Give the batches of one epoch.

        Raises:
            DataError: An image cannot be read, or has another size than the catalog says; or a loader process has
                ended.
        """
        for batch in self._batches():
            if isinstance(batch, _Fault):
                raise DataError(batch.message)
            for key in _SMALL:
                batch[key] = [torch.from_numpy(array) for array in batch[key]]
            yield batch

    def _batches(self) -> Iterator:
        try:
            yield from super().__iter__()
        except (RuntimeError, ConnectionError, EOFError) as error:
            # Torch tells of a killed worker so, or its channel breaks; all else that a worker raises comes as a fault.
            if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
                raise
            raise DataError(
                f"a loader process has ended ({' '.join(str(error).split())[:160]}); if the machine ran out of memory "
                "lower train.workers or data.cache, and go on with: tl train --resume RUN"
            ) from error


def sample_generator(
    seed: int, epoch: int, frame_id: str, occurrence: int = 0, purpose: str = "sample"
) -> np.random.Generator:
    """The random generator of one sample: a counter, so that a resumed run and any worker count see the same.

    Args:
        seed: The run's.
        epoch: 0-based.
        frame_id: Of the frame.
        occurrence: How often the frame came before in this epoch.
        purpose: What is decided; each has a stream of its own.
    """
    # The id comes last: it may hold any character.
    digest = hashlib.sha256(f"{seed}/{epoch}/{occurrence}/{purpose}/{frame_id}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))


def collate(samples: list[Sample]) -> Batch:
    """Join samples of one input size."""
    return Batch(
        images=_stack([sample["image"] for sample in samples]),
        xyxy=[sample["xyxy"] for sample in samples],
        class_id=[sample["class_id"] for sample in samples],
        ignore_xyxy=[sample["ignore_xyxy"] for sample in samples],
        box_only_xyxy=[sample["box_only_xyxy"] for sample in samples],
        box_only_candidates=[sample["box_only_candidates"] for sample in samples],
        frame_ids=[sample["frame_id"] for sample in samples],
        vanished=[sample["vanished"] for sample in samples],
        weather=[sample["weather"] for sample in samples],
        time_of_day=[sample["time_of_day"] for sample in samples],
        made=[sample["made"] for sample in samples],
        occurrence=[sample["occurrence"] for sample in samples],
        broken=[sample["broken"] for sample in samples],
    )


def _stack(images: list[torch.Tensor]) -> torch.Tensor:
    """(B, 3, H, W) of (3, H, W) images, in a loader process right in the memory that it shares: one pass, no copy."""
    shape = (len(images), *images[0].shape)
    if torch.utils.data.get_worker_info() is None:
        stacked = torch.empty(shape, dtype=torch.uint8)
    else:  # as torch's own default_collate
        storage = torch.UntypedStorage._new_shared(math.prod(shape))
        stacked = torch.empty(0, dtype=torch.uint8).set_(storage, 0, shape)  # type: ignore[call-overload]
    for place, image in zip(stacked, images, strict=True):
        pixels = image.permute(1, 2, 0)
        if pixels.is_contiguous():  # five times as fast as a transposed copy
            cv2.split(pixels.numpy(), [plane.numpy() for plane in place])
        else:
            place.copy_(image)
    return stacked


def _collate_caught(samples: list[Sample | _Fault]) -> Batch | _Fault:
    faults = [sample for sample in samples if isinstance(sample, _Fault)]
    if faults:
        return faults[0]
    batch = collate([sample for sample in samples if not isinstance(sample, _Fault)])
    # On its way out of a loader process each tensor would take a shared file of its own; arrays go as they are.
    return {**batch, **{key: [tensor.numpy() for tensor in batch[key]] for key in _SMALL}}  # type: ignore[return-value]


def make_loader(
    dataset: FrameDataset,
    batch_size: int,
    workers: int,
    seed: int,
    *,
    pin_memory: bool,
    rank: int = 0,
    ranks: int = 1,
    replace_broken: bool = False,
) -> FrameLoader:
    """A loader in the order of the dataset's epoch; call `set_epoch` of the dataset before each.

    Args:
        dataset: The samples.
        batch_size: Samples per batch, on all ranks together.
        workers: Processes of this rank that make samples; 0 = this process.
        seed: Of the run.
        pin_memory: True where batches go to a CUDA device.
        rank: Whose share of each batch is given, 0-based.
        ranks: Number of ranks.
        replace_broken: Put another frame in the place of one whose image cannot be read, and say so in `broken`.
    """
    batches = EpochBatches(len(dataset), batch_size, rank, ranks)
    loader = FrameLoader(
        _Caught(dataset, replace_broken=replace_broken),
        batch_sampler=batches,  # the dataset has the order
        num_workers=workers,
        collate_fn=_collate_caught,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        worker_init_fn=_begin_worker if workers else None,
        multiprocessing_context=_worker_context() if workers else None,
        # Its own generator: else the loader draws from the global one, more or less often with its number of workers.
        generator=torch.Generator().manual_seed(seed),
    )
    loader.batches = batches
    return loader


def _worker_context() -> BaseContext:
    # Not fork: the child would inherit OpenCV's and polars' thread pools without their threads, and wait for ever.
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _begin_worker(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_the_run, daemon=True).start()


def _end_with_the_run() -> None:
    # A worker of torch ends when its parent does. With a fork server that is the server, which in turn waits for its
    # workers: after a kill of the run both would stay for ever.
    run = multiprocessing.parent_process()
    if run is not None:
        run.join()
        os._exit(1)
