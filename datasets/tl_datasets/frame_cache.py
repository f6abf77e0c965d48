"""Decoded frames kept for a second use: a part in memory per process, and a part on disk that all processes share.

A frame is the same with any setting of the cache; only the time that it takes differs. In memory the frames that were
not used for longest make room. The disk part pays where decoding is slow (raw frames, PNG, whole JPEG); a half of a
JPEG decodes about as fast as a disk reads its pixels. Image files are taken to stay as they are while a process keeps
them in memory; the disk part, which outlives it, knows their content.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tl_datasets.catalog import Catalog
from tl_datasets.frames_on_disk import FramesOnDisk
from tl_datasets.reduced_images import reduced_size_px


class FrameCacheConfig(BaseModel):
    """How many decoded frames are kept.

    Attributes:
        memory_mib: Of each loader process; 0 = none. A 1280x720 frame takes 2.6, a half of it 0.66.
        disk: Folder for the disk part, which all processes and runs may share; None = no disk part.
        disk_gib: What the pixels in the folder may take.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory_mib: int = Field(default=256, ge=0)
    disk: Path | None = None
    disk_gib: float = Field(default=20.0, gt=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStatistics:
    """What the frames of one process cost.

    Attributes:
        memory_hits: Frames that were in memory.
        disk_hits: Frames that were on disk.
        misses: Frames that were decoded.
        memory_bytes: Pixels in memory now.
    """

    memory_hits: int = 0
    disk_hits: int = 0
    misses: int = 0
    memory_bytes: int = 0

    @property
    def hit_share(self) -> float | None:
        """Share of the frames that were not decoded, in [0, 1]; None before the first."""
        asked = self.memory_hits + self.disk_hits + self.misses
        return (self.memory_hits + self.disk_hits) / asked if asked else None


class FrameCache:
    """Reads the frames of a catalog, each as seldom as its memory allows.

    A copy in another process begins empty, with the same folder.

    Attributes:
        catalog: Whose frames are read.
        config: The limits.
    """

    def __init__(self, catalog: Catalog, config: FrameCacheConfig | None = None):
        """Make an empty cache, or one that goes on with a folder.

        Raises:
            DataError: The folder cannot be used, or holds something else.
            UsageError: The system cannot share a folder.
        """
        self.catalog = catalog
        self.config = config or FrameCacheConfig()
        folder = self.config.disk
        self._disk = None if folder is None else FramesOnDisk(folder, int(self.config.disk_gib * 2**30))
        self._begin()

    def _begin(self) -> None:
        self._memory: OrderedDict[tuple[int, int], NDArray[np.uint8]] = OrderedDict()
        self._memory_hits = self._disk_hits = self._misses = self._memory_bytes = 0

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("catalog", "config", "_disk")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    @property
    def statistics(self) -> CacheStatistics:
        """Since the cache was made in this process."""
        return CacheStatistics(
            memory_hits=self._memory_hits,
            disk_hits=self._disk_hits,
            misses=self._misses,
            memory_bytes=self._memory_bytes,
        )

    def read_rgb(self, row: int, factor: int = 1) -> NDArray[np.uint8]:
        """The image of the frame at a row, at a part of its size.

        Args:
            row: Of the catalog.
            factor: 1, 2, 4 or 8; see `reduced_images` for the geometry.

        Returns:
            (ceil(H / factor), ceil(W / factor), 3) uint8 RGB that cannot be written to.

        Raises:
            ImageError: The file is missing, does not decode, or has another size than the catalog says.
        """
        key = row, factor
        kept = self._memory.get(key)
        if kept is not None:
            self._memory.move_to_end(key)
            self._memory_hits += 1
            return kept
        image, on_disk = self._from_disk_or_file(row, factor)
        if on_disk:  # the system keeps its pages in memory, once for all processes
            self._disk_hits += 1
        else:
            self._misses += 1
            self._keep(key, image)
        return image

    def _from_disk_or_file(self, row: int, factor: int) -> tuple[NDArray[np.uint8], bool]:
        if self._disk is None:
            image = self.catalog.read_rgb(row, factor)
            image.flags.writeable = False
            return image, False
        frames, path = self.catalog.frames, self.catalog.image_path(row)
        digest, kind = frames["content_hash"][row], f"{frames['pixel_format'][row] or 'rgb'}-{factor}"
        columns, rows = reduced_size_px(frames["width_px"][row], frames["height_px"][row], factor)
        kept = self._disk.load(path, digest, kind, (rows, columns, 3))
        if kept is not None:
            return kept, True
        image = self.catalog.read_rgb(row, factor)
        image.flags.writeable = False
        self._disk.store(path, digest, kind, image)
        return image, False

    def _keep(self, key: tuple[int, int], image: NDArray[np.uint8]) -> None:
        """Keep a frame in memory if it has room at all."""
        limit = self.config.memory_mib * 2**20
        if image.nbytes > limit:
            return
        while self._memory_bytes + image.nbytes > limit:
            self._memory_bytes -= self._memory.popitem(last=False)[1].nbytes
        self._memory[key] = image
        self._memory_bytes += image.nbytes
