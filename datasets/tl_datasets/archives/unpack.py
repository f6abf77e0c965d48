"""Archives of other people, unpacked without letting them write elsewhere, fill the disk or hide a file.

Zip and tar (plain, gz, bz2, xz). Only plain files and folders come out, with the rights of new files; archives inside
are left as they are. What a careless or hostile archive holds is refused with its entry: names that are absolute, leave
the folder, repeat another name (also but for case) or that a file system cannot hold; links and devices; encrypted
entries; more than the `Limits` allow.
"""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from tl_datasets.archives.gate import Entry, Gate, Limits
from tl_datasets.errors import AnnotationError, DataError

__all__ = ["Limits", "is_archive", "split_archive_path", "unpack"]

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]

_ZIP = (".zip",)
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
# Known, but no part of Python.
_FOREIGN = (".7z", ".rar", ".tar.zst")
_COMPRESSIONS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_CHUNK_BYTES = 1 << 20
_EXPECTED = "a whole zip or tar file; copy or download it again"
# What the readers of zip and tar files raise for a file that is cut off or no such file.
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,  # includes NotImplementedError, for a compression that Python lacks
    OverflowError,
)


def is_archive(path: Path | str) -> bool:
    """Whether a file name is that of an archive, or of a piece of one."""
    name = Path(path).name.lower()
    return name.endswith((*_ZIP, *_TAR, *_FOREIGN)) or _is_piece(name)


def split_archive_path(path: Path) -> tuple[Path, Path] | None:
    """An archive and the place inside that a path such as `set.zip/annotations/train.json` speaks of.

    Returns:
        The archive and the path inside (`.` for the whole of it); None where no part of the path is an archive.
    """
    for candidate in (path, *path.parents):
        try:
            if is_archive(candidate) and candidate.is_file():
                return candidate, path.relative_to(candidate)
        except OSError:  # a name that is too long
            continue
    return None


def unpack(archive: Path, folder: Path, limits: Limits | None = None, progress: Progress | None = None) -> Path:
    """Unpack an archive into a new folder, which appears whole.

    Args:
        archive: A zip or tar file; what it is, its first bytes tell.
        folder: Must not exist, or be empty.
        limits: How much may come out of it; None = the defaults.
        progress: Called with the number of files unpacked, and of all where that is known.

    Returns:
        The folder.

    Raises:
        AnnotationError: The archive is broken, encrypted, a piece of one, or has an entry that is refused.
        DataError: The folder is not empty, or cannot be written.
    """
    archive, folder = Path(archive), Path(folder)
    _check_kind(archive)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            f"{folder}: exists already and is not an empty folder; if it holds the archive, use it as it is"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from error
    try:
        gate = Gate(archive, limits or Limits(), shutil.disk_usage(temporary).free)
        try:
            unpacking = _unpack_zip if _is_zip(archive) else _unpack_tar
            unpacking(archive, temporary, gate, progress or _no_progress)
        except _BROKEN as error:
            if isinstance(error, OSError) and error.strerror:
                raise DataError(f"{archive}: cannot be unpacked to {folder} ({error.strerror})") from error
            reason = str(error) or type(error).__name__
            raise AnnotationError(archive, f"cannot be unpacked ({reason}); expected {_EXPECTED}") from error
        if gate.left_out:
            logger.info("%s: %d entries of __MACOSX left out", archive, gate.left_out)
        temporary.chmod(0o755)
        temporary.rename(folder.resolve())
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return folder


def _is_piece(name: str) -> bool:
    stem, _, last = name.rpartition(".")
    is_number = last.isdecimal() and len(last) == 3
    return (is_number and stem.endswith((*_ZIP, *_TAR, *_FOREIGN))) or (last[:1] == "z" and last[1:].isdecimal())


def _check_kind(archive: Path) -> None:
    """Refuse what cannot be read here, with the command that makes it readable."""
    name = archive.name
    stem = name[: name.rfind(".")]
    if not archive.is_file():
        raise AnnotationError(archive, "no such file; expected a zip or tar archive")
    if _is_piece(name.lower()) and name[-3:].isdecimal():
        raise AnnotationError(archive, f"one piece of an archive; join them first: cat {stem}.??? > {stem}")
    whole = archive.with_suffix(".zip")
    if _is_piece(name.lower()) or (name.lower().endswith(".zip") and archive.with_suffix(".z01").exists()):
        raise AnnotationError(
            archive, f"one piece of an archive; join them first: zip -s 0 {whole.name} --out joined_{whole.name}"
        )
    if name.lower().endswith(_FOREIGN):
        raise AnnotationError(archive, "an archive of this kind is not read here; unpack it by hand (7z x, tar --zstd)")


def _is_zip(archive: Path) -> bool:
    """By the first bytes, since a tar file may end with a zip that it holds."""
    with archive.open("rb") as file:
        start = file.read(512)
    if start.startswith(b"PK"):
        return True
    is_tar = start[257:262] == b"ustar" or start.startswith(tuple(_COMPRESSIONS)) or archive.suffix.lower() == ".tar"
    return not is_tar and zipfile.is_zipfile(archive)


def _no_progress(done: int, total: int | None) -> None:
    """Nobody is watching."""


def _unpack_zip(archive: Path, target: Path, gate: Gate, progress: Progress) -> None:
    with zipfile.ZipFile(archive) as file:
        # All are looked at before the first is written: a fault at the end shows at once.
        infos = file.infolist()
        entries = [_admit_zip(info, gate) for info in infos]
        for number, (info, entry) in enumerate(zip(infos, entries, strict=True), start=1):
            progress(number, len(infos))
            if entry is None:
                continue
            if entry.is_folder:
                (target / entry.path).mkdir(parents=True, exist_ok=True)
                continue
            try:
                with file.open(info) as source:
                    _write(source, target / entry.path, entry, gate)
            except _BROKEN as error:
                if isinstance(error, OSError) and error.strerror:
                    raise  # the disk, not the archive
                raise gate.refuse(entry.path, f"cannot be unpacked ({error}); expected {_EXPECTED}") from error


def _admit_zip(info: zipfile.ZipInfo, gate: Gate) -> Entry | None:
    name = info.orig_filename
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind = "a link" if stat.S_ISLNK(mode) else "a device or pipe"
        raise gate.refuse(name, f"is {kind}; expected plain files and folders; pack what it stands for")
    if info.flag_bits & 0x1:
        raise gate.refuse(name, "is encrypted; unpack the archive by hand with its password")
    return gate.admit(name, name.endswith(("/", "\\")) or stat.S_ISDIR(mode), info.file_size)


def _unpack_tar(archive: Path, target: Path, gate: Gate, progress: Progress) -> None:
    with _decompressed(archive) as raw, tarfile.open(fileobj=cast(IO[bytes], _Counted(raw, gate)), mode="r|") as file:
        for member in file:
            if not (member.isfile() or member.isdir()) or member.issparse():
                kind = "a link" if member.issym() or member.islnk() else "a device, pipe or sparse file"
                raise gate.refuse(member.name, f"is {kind}; expected plain files and folders; pack what it stands for")
            entry = gate.admit(member.name, member.isdir(), member.size)
            progress(gate.count, None)
            if entry is None:
                continue
            if entry.is_folder:
                (target / entry.path).mkdir(parents=True, exist_ok=True)
                continue
            source = file.extractfile(member)
            if source is not None:
                _write(source, target / entry.path, entry, gate)


def _decompressed(archive: Path) -> IO[bytes]:
    with archive.open("rb") as file:
        start = file.read(6)
    for magic, opened in _COMPRESSIONS.items():
        if start.startswith(magic):
            return opened(archive, "rb")
    return archive.open("rb")


class _Counted:
    """The bytes of a tar file, counted as they come: a header alone may stand for gigabytes."""

    def __init__(self, raw: IO[bytes], gate: Gate):
        """Take the decompressed stream."""
        self._raw = raw
        self._gate = gate
        self._total = 0

    def read(self, size: int) -> bytes:
        """Up to so many bytes."""
        data = self._raw.read(size)
        self._total += len(data)
        # Every entry is padded to a block and has a header of its own, which the sizes of the files do not count.
        overhead = 4096 * (self._gate.count + 4)
        self._gate.check_bytes("of the tar file", max(0, self._total - overhead))
        return data


def _write(source: IO[bytes], path: Path, entry: Entry, gate: Gate) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("xb") as file:
        for chunk in _chunks(source):
            written += len(chunk)
            if written > entry.size:
                raise gate.refuse(entry.path, f"is longer than the {entry.size} bytes that it declares")
            file.write(chunk)
    if written != entry.size:
        raise gate.refuse(entry.path, f"has {written} bytes, expected {entry.size}; copy or download the archive again")


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK_BYTES):
        yield chunk
