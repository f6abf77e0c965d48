"""The file of a checkpoint: a zip archive of tensors as torch writes it, that shows any cut and any changed byte.

The archive holds a CRC-32 of each part. torch writes them and never looks at them again: a byte that changed in a
weight is read without a word. Here they are compared, after writing and before reading.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from tl_datasets.errors import WeightsError
from tl_detection.disk import add_name, explained, sync_folder

_CHUNK_BYTES = 1 << 20
_EXPECTED = "expected RUN/weights/best.pt"


def write_archive(path: Path, data: Mapping[str, Any], *, remedy: str, former: Path | None = None) -> None:
    """Write tensors and plain data; the file appears whole, checked, and on the disk itself.

    Nothing is copied: every tensor goes from where it lies to the disk, one at a time.

    Args:
        path: Target.
        data: Tensors, numbers, text, lists and dictionaries.
        remedy: What to do if it cannot be written.
        former: Name under which what lay at `path` stays; None = it goes.

    Raises:
        TrainingError: The disk is full, or the file cannot be written; what lay at `path` is still there.
    """
    # Always one name: what a killed process has left is overwritten, and does not fill the disk.
    temporary = path.with_name(f".{path.name}.part")
    with explained(path, remedy, tensor_bytes(data)):
        try:
            _write_checked(temporary, data)
            if former is not None and path.exists():
                add_name(path, former)
            temporary.replace(path)
        # Before anybody asks how much is free.
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def read_archive(path: Path) -> Any:
    """Read what `write_archive` wrote, onto the CPU, without running anything from the file.

    Raises:
        WeightsError: The file is missing, no such archive, cut off, or damaged.
    """
    try:
        with path.open("rb") as file:
            fault = archive_fault(file)
            if fault is not None:
                raise WeightsError(f"{path}: not a checkpoint of tl, or cut off, or damaged ({fault}); {_EXPECTED}")
            file.seek(0)
            with warnings.catch_warnings():
                # A pickle of another program may also warn before it fails.
                warnings.simplefilter("ignore")
                return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be read ({error.strerror or error}); expected a checkpoint such as RUN/weights/best.pt"
        ) from error
    except WeightsError:
        raise
    # An archive that is whole but not ours raises a dozen kinds of errors in the unpickler.
    except Exception as error:
        raise WeightsError(f"{path}: not a checkpoint of tl; {_EXPECTED}") from error


def archive_fault(file: BinaryIO) -> str | None:
    """What is wrong with an archive; None if each of its parts is as it was written."""
    try:
        with zipfile.ZipFile(file) as archive:
            for part in archive.infolist():
                # Never written here; and what is not packed takes no more memory than it took on the disk.
                if part.compress_type != zipfile.ZIP_STORED or part.compress_size != part.file_size:
                    return f"{part.filename} is packed"
                with archive.open(part) as content:
                    while content.read(_CHUNK_BYTES):
                        pass
    # Changed bytes in the directory raise a dozen kinds of errors.
    except Exception as error:
        return " ".join(str(error).split()) or type(error).__name__
    return None


def tensor_bytes(value: Any) -> int:
    """Size of the tensors in nested dictionaries and lists, in bytes; shared memory counts once."""
    sizes: dict[int, int] = {}
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, torch.Tensor):
            storage = item.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
        elif isinstance(item, Mapping):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)
    return sum(sizes.values())


class _Writer:
    """Keeps the reason why a write failed: torch reports positions in the archive instead."""

    def __init__(self, file: BinaryIO):
        self.file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = self.error or error
            raise

    def flush(self) -> None:
        self.file.flush()


def _write_checked(path: Path, data: Mapping[str, Any]) -> None:
    with path.open("w+b") as file:
        writer = _Writer(file)
        try:
            torch.save(data, writer)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            if writer.error is not None:
                raise writer.error from None
            raise
        fault = archive_fault(file)
    if fault is not None:
        raise OSError(f"what was written does not read back: {fault}; is the disk failing?")
