"""Decoded frames in a folder that processes share: the disk part of `FrameCache`.

A file holds the pixels of one frame and nothing else. Its name says of which image (sha256 of the file), how that was
decoded, and the size. Files appear whole and are never changed, so they are read through the system's page cache
without a lock; only the bytes of all files together are counted under one. What is full stays as it is: each epoch asks
for every frame once in a new order, so no frame is worth more than another. The folder may be removed at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.errors import DataError, UsageError, show
from tl_datasets.images import write_whole

logger = logging.getLogger(__name__)

_MARK, _COUNT = "frame_cache.json", "bytes.txt"
_OURS = re.compile(rf"[0-9a-f]{{2}}|{re.escape(_MARK)}|{re.escape(_COUNT)}|\.{re.escape(_MARK)}\..*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Another decoder may give other pixels.
_VERSION = {"frame_cache": 1, "opencv": cv2.__version__}


class FramesOnDisk:
    """Decoded frames in a folder, up to a number of bytes.

    Attributes:
        folder: The folder.
        limit_bytes: What the frames may take together.
        closed: Why this process writes nothing more; None = it does.
    """

    def __init__(self, folder: Path, limit_bytes: int):
        """Make the folder, or go on with it.

        Raises:
            DataError: The folder cannot be made, or holds something else, or frames of another version.
            UsageError: The system has no file locks.
        """
        if os.name != "posix":
            raise UsageError("a cache of frames on disk needs file locks, which this system lacks; leave disk out")
        self.folder, self.limit_bytes = folder.resolve(), limit_bytes
        self.closed: str | None = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            foreign = next((item.name for item in self.folder.iterdir() if not _OURS.fullmatch(item.name)), None)
            if foreign is None and not (self.folder / _MARK).exists():
                write_whole(self.folder / _MARK, json.dumps(_VERSION) + "\n")
            mark = "" if foreign is not None else (self.folder / _MARK).read_text(encoding="utf-8")
        except OSError as error:
            raise DataError(f"{folder}: no folder for decoded frames ({error.strerror}); choose another") from error
        if foreign is not None:
            raise DataError(
                f"{folder}: holds {show(foreign)}, expected a folder of decoded frames alone; choose another"
            )
        if mark != json.dumps(_VERSION) + "\n":
            raise DataError(
                f"{folder}: decoded frames of another version ({show(mark.strip())}), expected {json.dumps(_VERSION)}; "
                "remove the folder or choose another"
            )

    def load(self, image_path: Path, digest: str | None, kind: str, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
        """The pixels of a frame, mapped from the disk, read-only.

        Args:
            image_path: The image file.
            digest: sha256 of its bytes as the catalog says; None = unknown.
            kind: How it is decoded.
            shape: Of the pixels.

        Returns:
            None if the frame is not there, or if the image file has changed since or is gone.
        """
        if digest is None or not _SHA256.fullmatch(digest):
            return None
        path = self._path(digest, kind, shape)
        try:
            kept = path.stat()
            if kept.st_size != math.prod(shape) or image_path.stat().st_mtime_ns > kept.st_mtime_ns:
                return None
            return np.memmap(path, dtype=np.uint8, mode="r", shape=shape).view(np.ndarray)
        except OSError:
            return None

    def store(self, image_path: Path, digest: str | None, kind: str, image: NDArray[np.uint8]) -> bool:
        """Write the pixels of a frame, and say whether they were written.

        They are not if the image file is another than the catalog says, if there is no room, or if the folder cannot be
        written; the latter two end all writing of this process.
        """
        if self.closed is not None or digest is None or not _SHA256.fullmatch(digest):
            return False
        try:
            if hashlib.sha256(image_path.read_bytes()).hexdigest() != digest:
                return False
            path = self._path(digest, kind, image.shape)
            room = path.exists() or self._reserve(image.nbytes)  # one that is there already is older than its image
            if room:
                path.parent.mkdir(exist_ok=True)
                # The clock of whoever made the image may have been ahead.
                _write(path, image, max(time.time_ns(), image_path.stat().st_mtime_ns))
        except OSError as error:
            self._close(f"cannot be written ({error.strerror})", logging.WARNING)
            return False
        if not room:
            self._close(f"full ({self.limit_bytes / 2**30:.3g} GiB)", logging.INFO)
        return room

    def _path(self, digest: str, kind: str, shape: tuple[int, ...]) -> Path:
        return self.folder / digest[:2] / f"{digest}-{kind}-{shape[1]}x{shape[0]}.raw"

    def _reserve(self, size: int) -> bool:
        """Count the bytes of one more frame, of whichever process, if the limit allows it."""
        import fcntl

        handle = os.open(self.folder / _COUNT, os.O_RDWR | os.O_CREAT, 0o644)
        with os.fdopen(handle, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            text = file.read().strip()
            total = int(text) if text.isdecimal() else self._count()
            if total + size > self.limit_bytes:
                return False
            file.seek(0)
            file.truncate()
            file.write(f"{total + size}\n")
        return True

    def _count(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("[0-9a-f][0-9a-f]/*.raw"))

    def _close(self, reason: str, level: int) -> None:
        self.closed = reason
        logger.log(level, "%s: %s; further frames are decoded each time", self.folder, reason)


def _write(path: Path, image: NDArray[np.uint8], mtime_ns: int) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(np.ascontiguousarray(image).data)
        os.utime(temporary, ns=(mtime_ns, mtime_ns))
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
