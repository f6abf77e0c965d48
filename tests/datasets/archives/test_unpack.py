from __future__ import annotations

import gzip
import io
import os
import random
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from tl_datasets.archives.unpack import Limits, is_archive, split_archive_path, unpack
from tl_datasets.errors import AnnotationError, DataError, TlError

FILES = {"images/Ä 1.png": b"\x89PNG" * 50, "labels/a.txt": b"0 .5 .5 .1 .1\n", "empty.txt": b""}


def make_zip(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            info.filename = info.orig_filename = name  # ZipInfo tidies names; an attacker does not
            file.writestr(info, data)
    return path


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as file:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_untouched(parent: Path) -> bool:
    """Neither the folder nor a half of it is left behind."""
    return not any("out" in path.name for path in parent.iterdir())


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.zip", make_zip),
        ("stored.zip", lambda path, files: make_zip(path, files, zipfile.ZIP_STORED)),
        ("lzma.zip", lambda path, files: make_zip(path, files, zipfile.ZIP_LZMA)),
        ("a.tar", lambda path, files: make_tar(path, files, "w")),
        ("a.tar.gz", make_tar),
        ("a.tgz", make_tar),
        ("a.tar.bz2", lambda path, files: make_tar(path, files, "w:bz2")),
        ("a.tar.xz", lambda path, files: make_tar(path, files, "w:xz")),
    ],
)
def test_files_come_out_as_they_went_in(tmp_path, name, make):
    out = unpack(make(tmp_path / name, FILES), tmp_path / "deep" / "out")
    assert out == tmp_path / "deep" / "out"
    assert contents(out) == FILES
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path):
    inner = make_zip(tmp_path / "inner.zip", {"inner.txt": b"1"}).read_bytes()
    archive = make_tar(tmp_path / "a.tar", {"a.txt": b"2", "inner.zip": inner}, "w")
    assert zipfile.is_zipfile(archive)  # what Python thinks of it
    assert contents(unpack(archive, tmp_path / "out")) == {"a.txt": b"2", "inner.zip": inner}


@pytest.mark.parametrize(("make", "total"), [(make_zip, 3), (make_tar, None)])
def test_progress_counts_every_file(tmp_path, make, total):
    calls = []
    unpack(make(tmp_path / "a", FILES), tmp_path / "out", progress=lambda *call: calls.append(call))
    assert calls == [(1, total), (2, total), (3, total)]


def test_what_other_tools_pack_comes_out(tmp_path):
    """A folder entry, `./`, backslashes, what macOS adds, and rights that nobody should get."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("images/", b"")
        executable = zipfile.ZipInfo("images/run.png")
        executable.external_attr = (stat.S_IFREG | stat.S_ISUID | 0o777) << 16
        file.writestr(executable, b"1")
        windows = zipfile.ZipInfo("x")
        windows.filename = windows.orig_filename = "labels\\a.txt"
        file.writestr(windows, b"2")
        file.writestr("__MACOSX/images/._run.png", b"3")
    out = unpack(path, tmp_path / "out")
    assert contents(out) == {"images/run.png": b"1", "labels/a.txt": b"2"}
    assert not (out / "images" / "run.png").stat().st_mode & (stat.S_ISUID | stat.S_IXUSR)
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        root = tarfile.TarInfo("./")
        root.type = tarfile.DIRTYPE
        file.addfile(root)
        file.addfile(tarfile.TarInfo("./a.txt"), io.BytesIO())
    assert contents(unpack(tmp_path / "a.tar", tmp_path / "out2")) == {"a.txt": b""}


NAMES = [
    (["/etc/cron.d/x"], "entry '/etc/cron.d/x' is an absolute path"),
    (["C:\\x.txt"], "is an absolute path"),
    (["\\\\server\\x"], "is an absolute path"),
    (["a/../../x"], r"leaves the folder with '\.\.'"),
    (["..\\x"], r"leaves the folder with '\.\.'"),
    (["a.txt", "a.txt"], "entry 'a.txt' occurs twice"),
    (["a.txt", "./a.txt"], "occurs twice"),
    (["a.png", "A.png"], "'A.png' differs from 'a.png' only by case"),
    (["a/1.png", "A/2.png"], "'A/2.png' differs from 'a' only by case"),
    (["\u00e4.png", "a\u0308.png"], "only by case or accents"),
    (["a", "a/b.png"], "needs 'a' to be both a file and a folder"),
    (["a/b.png", "a"], "needs 'a' to be both a file and a folder"),
    (["x" * 256], "is too long, expected 255 bytes"),
    (["\u00e4" * 128], "is too long, expected 255 bytes"),
    (["/".join(["abcdefgh"] * 120)[:1030] + "x"], "is too long, expected 1024 bytes"),
    (["a\nb.png"], "holds a control character"),
    ([""], "has no name"),
]


@pytest.mark.parametrize(("names", "message"), NAMES)
@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_are_refused(tmp_path, names, message, kind):
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
            for name in names:
                info = zipfile.ZipInfo("x")
                info.filename = info.orig_filename = name
                file.writestr(info, b"1")
        archive = tmp_path / "a.zip"
    else:
        archive = tmp_path / "a.tar"
        with tarfile.open(archive, "w") as file:
            for name in names:
                info = tarfile.TarInfo(name)
                info.size = 1
                file.addfile(info, io.BytesIO(b"1"))
    with pytest.raises(AnnotationError, match=message) as caught:
        unpack(archive, tmp_path / "out")
    assert str(caught.value).startswith(str(archive))
    assert is_untouched(tmp_path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (tarfile.SYMTYPE, "entry 'a' is a link"),
        (tarfile.LNKTYPE, "entry 'a' is a link"),
        (tarfile.CHRTYPE, "is a device"),
        (tarfile.BLKTYPE, "is a device"),
        (tarfile.FIFOTYPE, "is a device, pipe"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind, message):
    info = tarfile.TarInfo("a")
    info.type, info.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        file.addfile(info)
    with pytest.raises(AnnotationError, match=message):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    assert is_untouched(tmp_path)


@pytest.mark.parametrize(("mode", "message"), [(stat.S_IFLNK, "is a link"), (stat.S_IFCHR, "is a device or pipe")])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, mode, message):
    info = zipfile.ZipInfo("a")
    info.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    with pytest.raises(AnnotationError, match=f"entry 'a' {message}"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_encrypted_entries_are_refused(tmp_path):
    data = bytearray(make_zip(tmp_path / "a.zip", {"a.txt": b"1"}).read_bytes())
    central = data.index(b"PK\x01\x02")
    data[6] |= 1
    data[central + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(AnnotationError, match=r"entry 'a\.txt' is encrypted; unpack the archive by hand"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_more_than_the_limits_is_refused(tmp_path, make):
    archive = make(tmp_path / "a", {f"{n}.txt": b"0" * 1000 for n in range(10)})
    assert len(contents(unpack(archive, tmp_path / "whole", Limits(files=10, total_bytes=10_000)))) == 10
    with pytest.raises(AnnotationError, match=r"entry '9\.txt' is entry number 10, expected 9 at most"):
        unpack(archive, tmp_path / "out", Limits(files=9))
    with pytest.raises(AnnotationError, match=r"makes 10000 bytes out of .* expected 9999 at most"):
        unpack(archive, tmp_path / "out", Limits(total_bytes=9_999))
    with pytest.raises(AnnotationError, match=r"entry '.*' makes \d+ bytes out of .* unpack it by hand"):
        unpack(archive, tmp_path / "out", Limits(ratio=2, free_bytes=1000))
    assert is_untouched(tmp_path)


def test_bombs_are_refused_by_the_default_limits(tmp_path):
    zeros = bytes(100 << 20)
    make_zip(tmp_path / "a.zip", {"a.txt": zeros})
    assert (tmp_path / "a.zip").stat().st_size < 200_000
    with pytest.raises(AnnotationError, match=r"entry 'a\.txt' makes 104857600 bytes out of"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    # A tar whose header promises little and whose padding is endless.
    with gzip.open(tmp_path / "b.tar.gz", "wb") as file:
        file.write(tarfile.TarInfo("a.txt").tobuf())
        pax = tarfile.TarInfo("././@PaxHeader")
        pax.type, pax.size = tarfile.XHDTYPE, len(zeros)
        file.write(pax.tobuf())
        file.write(zeros)
    with pytest.raises(AnnotationError, match="of the tar file' makes"):
        unpack(tmp_path / "b.tar.gz", tmp_path / "out")
    assert is_untouched(tmp_path)


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    """Overlapping entries: each is small, all point to the same data; the size of the file tells."""
    data = make_zip(tmp_path / "one.zip", {"0000.txt": bytes(1 << 20)}).read_bytes()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    record = data[start:end]
    records = b"".join(record.replace(b"0000.txt", f"{n:04d}.txt".encode()) for n in range(500))
    tail = bytearray(data[end:])
    tail[8:10] = tail[10:12] = (500).to_bytes(2, "little")
    tail[12:16] = len(records).to_bytes(4, "little")
    (tmp_path / "many.zip").write_bytes(data[:start] + records + tail)
    with pytest.raises(AnnotationError, match=r"makes .* bytes out of"):
        unpack(tmp_path / "many.zip", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("set.zip.001", r"join them first: cat set\.zip\.\?\?\? > set\.zip"),
        ("set.tar.gz.002", r"join them first: cat set\.tar\.gz\.\?\?\? > set\.tar\.gz"),
        ("set.z01", r"join them first: zip -s 0 set\.zip --out joined_set\.zip"),
        ("set.7z", "unpack it by hand"),
        ("set.zip", "cannot be unpacked .* copy or download it again"),
        ("set.tar.gz", "cannot be unpacked"),
    ],
)
def test_pieces_and_what_is_no_archive(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"no archive")
    with pytest.raises(AnnotationError, match=message):
        unpack(tmp_path / name, tmp_path / "out")
    assert is_untouched(tmp_path)


def test_the_last_piece_of_a_spanned_zip_says_so(tmp_path):
    make_zip(tmp_path / "set.zip", FILES)
    (tmp_path / "set.z01").write_bytes(b"1")
    with pytest.raises(AnnotationError, match="one piece of an archive; join them first"):
        unpack(tmp_path / "set.zip", tmp_path / "out")


def test_missing_archives_and_taken_folders(tmp_path):
    archive = make_zip(tmp_path / "a.zip", FILES)
    with pytest.raises(AnnotationError, match="no such file"):
        unpack(tmp_path / "b.zip", tmp_path / "out")
    (tmp_path / "out").mkdir()
    assert contents(unpack(archive, tmp_path / "out")) == FILES
    with pytest.raises(DataError, match="exists already and is not an empty folder"):
        unpack(archive, tmp_path / "out")
    with pytest.raises(DataError, match="cannot be made"):
        unpack(archive, archive / "out")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_broken_archives_are_answered_with_one_line(tmp_path, make):
    rng = random.Random(0)
    whole = make(tmp_path / "whole", {**FILES, "noise.bin": rng.randbytes(4000)}).read_bytes()
    archive = tmp_path / "a.zip"
    refused = 0
    for trial in range(400):
        data = bytearray(whole)
        if trial % 3 == 0:
            del data[rng.randrange(len(data)) :]
        for _ in range(rng.randrange(1, 6)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        archive.write_bytes(data)
        target = tmp_path / f"t{trial}"
        try:
            shutil.rmtree(unpack(archive, target))
        except TlError as error:
            assert "\n" not in str(error)
            assert not target.exists()
            refused += 1
    assert refused > 130
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "a.zip"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[(name, True) for name in ("a.zip", "A.TAR.GZ", "a.zip.001", "a.z02", "a.7z")],
        *[(name, False) for name in ("a.json", "zip", "a.001", "a.png")],
    ],
)
def test_names_of_archives(name, expected):
    assert is_archive(name) is expected


def test_a_path_may_lead_into_an_archive(tmp_path):
    archive = make_zip(tmp_path / "a.zip", FILES)
    assert split_archive_path(archive) == (archive, Path())
    assert split_archive_path(archive / "labels" / "a.txt") == (archive, Path("labels/a.txt"))
    assert split_archive_path(tmp_path / "b.zip" / "a.txt") is None
    (tmp_path / "folder.zip").mkdir()
    assert split_archive_path(tmp_path / "folder.zip") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_archive_is_no_traceback(tmp_path):
    archive = make_zip(tmp_path / "a.zip", FILES)
    archive.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        unpack(archive, tmp_path / "out")
