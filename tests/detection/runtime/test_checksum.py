"""Is it the proven file? Only with its own hash, whole and unchanged."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tl_runtime.checksum import hash_file_of, hash_line, read_bytes, read_hash_file, require_digest, sha256_of
from tl_runtime.errors import ModelError

CONTENT = b"what was proven"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def path(tmp_path) -> Path:
    (tmp_path / "lights.onnx").write_bytes(CONTENT)
    (tmp_path / "lights.onnx.sha256").write_text(f"{DIGEST}  lights.onnx\n")
    return tmp_path / "lights.onnx"


def test_the_hash_of_the_file_is_its_own(path):
    assert hash_file_of(path).name == "lights.onnx.sha256"
    assert sha256_of(read_bytes(path)) == read_hash_file(path) == DIGEST
    assert hash_line(path, DIGEST) == hash_file_of(path).read_text()
    require_digest(path, CONTENT, DIGEST)
    require_digest(path, CONTENT, DIGEST.upper())


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_sha256sum_reads_and_writes_the_same(path):
    command = ["sha256sum", "--check", "--strict", hash_file_of(path).name]
    subprocess.run(command, cwd=path.parent, check=True, capture_output=True)
    for mode in ("--text", "--binary"):
        told = subprocess.run(["sha256sum", mode, path], check=True, capture_output=True, text=True).stdout
        hash_file_of(path).write_text(told)  # with the folder before the name
        assert read_hash_file(path) == DIGEST


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{DIGEST}\n",
        f"{DIGEST}  other.onnx\n",
        f"{DIGEST[:-1]}  lights.onnx\n",
        f"{DIGEST}0  lights.onnx\n",
        f"{'g' * 64}  lights.onnx\n",
        f"{DIGEST}  lights.onnx\n{DIGEST}  lights.onnx\n",
        f"SHA256 (lights.onnx) = {DIGEST}\n",
        "\x00" * 5000,
        f"{' ' * 5000}{DIGEST}  lights.onnx\n",
        "é" * 64,
    ],
)
def test_a_damaged_hash_file_is_refused(path, text):
    hash_file_of(path).write_text(text)
    with pytest.raises(ModelError, match=r"expected one line, 64 hex digits and the name lights\.onnx") as caught:
        read_hash_file(path)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused(path):
    hash_file_of(path).write_bytes(b"\xff\xfe" * 100)
    with pytest.raises(ModelError, match="expected one line"):
        read_hash_file(path)


def test_the_missing_one_is_named(path):
    hash_file_of(path).unlink()
    with pytest.raises(ModelError, match=r"lights\.onnx\.sha256: no hash file"):
        read_hash_file(path)
    path.unlink()
    for read in (read_hash_file, read_bytes):
        with pytest.raises(ModelError, match=r"lights\.onnx: no such file"):
            read(path)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"\n", b"What was proven", b""])
def test_another_content_is_refused(path, content):
    with pytest.raises(ModelError, match="it is not the proven file"):
        require_digest(path, content, DIGEST)


@pytest.mark.parametrize("digest", ["", "abc", DIGEST[:16], DIGEST + " ", "sha256:" + DIGEST, "é" * 64])
def test_what_is_no_digest_is_refused(path, digest):
    with pytest.raises(ModelError, match="expected 64 hex digits"):
        require_digest(path, CONTENT, digest)


def test_what_is_no_file_is_neither_waited_for_nor_read_without_end(tmp_path):
    pipe = tmp_path / "pipe.onnx"
    os.mkfifo(pipe)
    for place in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(ModelError, match="no file; expected an exported detector"):
            read_bytes(place)
    for name in ("a\0b", "x" * 5000):
        with pytest.raises(ModelError):
            read_bytes(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(path):
    path.chmod(0)
    with pytest.raises(ModelError, match="cannot be read"):
        read_bytes(path)
