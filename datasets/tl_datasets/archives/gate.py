"""What may come out of an archive: the limits on number and size, and the gate that every entry passes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tl_datasets.archives.names import NameGate
from tl_datasets.errors import AnnotationError, show


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may come out of one archive.

    Attributes:
        files: Number of entries. The largest public sets of road images have some 100,000 per archive.
        total_bytes: Sum of the sizes of all files.
        ratio: Bytes that come out per byte of the archive, beyond the first `free_bytes`. Label files of BDD100K and
            BSTLD give 5 to 11, images 1; deflate cannot give more than 1,032, which a bomb comes near.
        free_bytes: So much is always allowed, since a small file of zeros is no bomb.
    """

    files: int = 2_000_000
    total_bytes: int = 2 << 40
    ratio: float = 200.0
    free_bytes: int = 64 << 20


class Entry(NamedTuple):
    """A file or folder of an archive that was let in, under its path below the folder; the size is in bytes."""

    path: str
    is_folder: bool
    size: int


@dataclass(slots=True)
class Gate:
    """Lets entries in one by one, and keeps count.

    Attributes:
        archive: To name in messages.
        limits: How much may come out of it.
        free_disk_bytes: Room where it is unpacked.
        names: Refuses names.
        packed_bytes: Size of the archive.
        count: Entries so far.
        total_bytes: What they make.
        left_out: Entries that are no part of the data.
    """

    archive: Path
    limits: Limits
    free_disk_bytes: int
    names: NameGate = field(init=False)
    packed_bytes: int = field(init=False)
    count: int = 0
    total_bytes: int = 0
    left_out: int = 0

    def __post_init__(self):
        self.names = NameGate(self.archive)
        self.packed_bytes = self.archive.stat().st_size

    def admit(self, name: str, is_folder: bool, size: int) -> Entry | None:
        """The entry under its checked path; None for one that is no part of the data.

        Raises:
            AnnotationError: The name or the size is refused.
        """
        self.count += 1
        if self.count > self.limits.files:
            raise self.refuse(name, f"is entry number {self.count}, expected {self.limits.files} at most")
        path = self.names.admit(name, is_folder)
        # What macOS adds to a zip: files that are called as the images are, and are none.
        if path is None or path.split("/")[0] == "__MACOSX":
            self.left_out += path is not None
            return None
        self.total_bytes += size
        self.check_bytes(name, self.total_bytes)
        return Entry(path, is_folder, size)

    def check_bytes(self, name: str, total: int) -> None:
        """Refuse what grows beyond the limits.

        Raises:
            AnnotationError: So many bytes are too many for the archive, or for the disk.
        """
        limits, packed = self.limits, self.packed_bytes
        allowed = min(limits.total_bytes, limits.free_bytes + int(limits.ratio * packed))
        if total > allowed:
            raise self.refuse(
                name,
                f"makes {total} bytes out of {packed}, expected {allowed} at most; if you trust the archive, unpack it "
                "by hand",
            )
        if total > self.free_disk_bytes:
            raise self.refuse(name, f"makes {total} bytes; the disk has {self.free_disk_bytes} free; make room")

    def refuse(self, name: str, message: str) -> AnnotationError:
        """The error to raise for an entry."""
        return AnnotationError(self.archive, f"entry {show(name)} {message}")
