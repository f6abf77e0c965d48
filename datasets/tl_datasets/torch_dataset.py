"""The training samples of both trainers. The only file of `tl_datasets` that knows torch.

Everything random about a sample follows from (run seed, epoch, frame id): neither the number of workers nor the
trainer changes what a sample looks like.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from tl_datasets.augment import Augmenter, Labelled, paint
from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, TlError
from tl_datasets.label_space import DROP, LabelSpace
from tl_datasets.letterbox import letterbox
from tl_datasets.taxonomy import LabelStatus


class Sample(TypedDict):
    """One training sample.

    image: (3, H, W) uint8 RGB. xyxy: (N, 4) float32 network pixels. class_id: (N,) int64, 0-based.
    vanished: boxes painted over because augmentation left too little of them.
    """

    image: torch.Tensor
    xyxy: torch.Tensor
    class_id: torch.Tensor
    frame_id: str
    vanished: int


class Batch(TypedDict):
    """Samples of one step: images (B, 3, H, W) uint8; one box and class tensor per image."""

    images: torch.Tensor
    xyxy: list[torch.Tensor]
    class_id: list[torch.Tensor]
    frame_ids: list[str]
    vanished: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFrames:
    """The labelled frames of a catalog in a label space, as arrays that loader workers share.

    Attributes:
        catalog: Only the frames that can be learned from.
        class_id: (boxes,) class ids; rows that the label space drops are `DROP`.
        ignored: (boxes,) true where the box is an ignore area.
        left_out: Frames that were left out, by reason.
    """

    catalog: Catalog
    class_id: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    left_out: dict[str, int]


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
    return LabelledFrames(
        catalog=kept,
        class_id=class_id,
        ignored=ignored,
        left_out={reason: count for reason, count in left_out.items() if count},
    )


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
    ):
        """Take frames.

        Args:
            frames: What to learn from.
            width_px: Width of the network's input.
            height_px: Height of the network's input.
            augmenter: Made for the same input size.
            seed: The run's seed.
            epochs: Length of the run; mosaic stops `mosaic_off_epochs` before its end.

        Raises:
            DataError: There is no frame.
        """
        if not len(frames.catalog):
            raise DataError(
                "training frames: none left after the filter; check data.train and the split of the catalog"
            )
        self.frames = frames
        self.width_px, self.height_px = width_px, height_px
        self.augmenter = augmenter
        self.seed = seed
        self.epochs = epochs
        self.frame_ids = frames.catalog.frames["frame_id"].to_list()
        # Shared memory: persistent loader workers see a new epoch without being started again.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.frame_ids)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch (0-based) the next samples belong to."""
        self._epoch[0] = epoch

    def labelled(self, index: int) -> Labelled:
        """One frame in its own size, ignore areas painted grey, dropped boxes gone.

        Raises:
            ImageError: The image cannot be read, or has another size than the catalog says.
        """
        catalog = self.frames.catalog
        image = catalog.read_rgb(index)
        rows = slice(catalog.offsets[index], catalog.offsets[index + 1])
        xyxy, class_id, ignored = catalog.xyxy[rows], self.frames.class_id[rows], self.frames.ignored[rows]
        keep = ~ignored & (class_id != DROP)
        paint(image, xyxy[ignored], xyxy[keep])
        return Labelled(image=image, xyxy=xyxy[keep], class_id=class_id[keep])

    def __getitem__(self, index: int) -> Sample:
        """The sample of a frame in the current epoch."""
        frame_id = self.frame_ids[index]
        if self.augmenter is None:
            plain = self.labelled(index)
            canvas, placement = letterbox(plain.image, self.width_px, self.height_px)
            made = Labelled(image=canvas, xyxy=placement.to_canvas(plain.xyxy), class_id=plain.class_id)
        else:
            epoch = int(self._epoch[0])
            rng = sample_generator(self.seed, epoch, frame_id)
            config = self.augmenter.config
            indices = [index]
            if epoch < self.epochs - config.mosaic_off_epochs and rng.random() < config.mosaic:
                indices += rng.integers(len(self), size=3).tolist()
            made = self.augmenter.sample([self.labelled(item) for item in indices], rng)
        return Sample(
            image=torch.from_numpy(np.ascontiguousarray(made.image.transpose(2, 0, 1))),
            xyxy=torch.from_numpy(made.xyxy.astype(np.float32)),
            class_id=torch.from_numpy(made.class_id),
            frame_id=frame_id,
            vanished=made.vanished,
        )


@dataclass(frozen=True, slots=True)
class _Fault:
    """An error on its way out of a worker, which would otherwise arrive as the text of a traceback."""

    message: str


class _Caught(Dataset):
    """A dataset whose errors are samples."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Sample | _Fault:
        try:
            return self.dataset[index]
        except TlError as error:
            return _Fault(str(error))


class FrameLoader(DataLoader):
    """A loader of batches; what is wrong with a frame is raised here, in one line, whichever process met it."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Give the batches of one epoch.

        Raises:
            DataError: An image cannot be read, or has another size than the catalog says.
        """
        for batch in super().__iter__():
            if isinstance(batch, _Fault):
                raise DataError(batch.message)
            yield batch


def sample_generator(seed: int, epoch: int, frame_id: str) -> np.random.Generator:
    """The random generator of one sample: a counter, so that a resumed run and any worker count see the same."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{frame_id}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))


class EpochSampler(Sampler[int]):
    """A shuffle that follows from (seed, epoch) alone."""

    def __init__(self, length: int, seed: int):
        self.length, self.seed, self.epoch = length, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch (0-based) is next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        return iter(np.random.default_rng([self.seed, self.epoch]).permutation(self.length).tolist())


def collate(samples: list[Sample]) -> Batch:
    """Join samples of one input size."""
    return Batch(
        images=torch.stack([sample["image"] for sample in samples]),
        xyxy=[sample["xyxy"] for sample in samples],
        class_id=[sample["class_id"] for sample in samples],
        frame_ids=[sample["frame_id"] for sample in samples],
        vanished=sum(sample["vanished"] for sample in samples),
    )


def _collate_caught(samples: list[Sample | _Fault]) -> Batch | _Fault:
    faults = [sample for sample in samples if isinstance(sample, _Fault)]
    return faults[0] if faults else collate([sample for sample in samples if not isinstance(sample, _Fault)])


def make_loader(dataset: FrameDataset, batch_size: int, workers: int, seed: int, *, pin_memory: bool) -> FrameLoader:
    """A loader whose order follows from (seed, epoch); call `set_epoch` of its dataset and of its sampler."""
    return FrameLoader(
        _Caught(dataset),
        batch_size=batch_size,
        sampler=EpochSampler(len(dataset), seed),
        num_workers=workers,
        collate_fn=_collate_caught,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        worker_init_fn=_begin_worker if workers else None,
        multiprocessing_context=_worker_context() if workers else None,
        # Its own generator: else the loader draws from the global one, more or less often with its number of workers.
        generator=torch.Generator().manual_seed(seed),
    )


def _worker_context() -> BaseContext:
    # Not fork: the child would inherit OpenCV's and polars' thread pools without their threads, and wait for ever.
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _begin_worker(_: int) -> None:
    import cv2

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
