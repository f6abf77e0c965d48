"""`tl index` with a source that is an archive, or lies in one."""

from __future__ import annotations

import zipfile

import pytest

from tl_datasets.catalog import Catalog
from tl_detection.cli import main

TASK = (
    "<annotations><version>1.1</version>"
    '<image id="0" name="1.png" width="64" height="48">'
    '<box label="red" occluded="0" xtl="1" ytl="2" xbr="9" ybr="20"/></image></annotations>'
)


@pytest.fixture
def archive(tmp_path, png_bytes):
    """A zip as CVAT exports it: `annotations.xml` and `images/`."""
    path = tmp_path / "task.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("annotations.xml", TASK)
        file.writestr("images/1.png", png_bytes)
    return path


@pytest.fixture
def png_bytes():
    import cv2
    import numpy as np

    return cv2.imencode(".png", np.zeros((48, 64, 3), np.uint8))[1].tobytes()


@pytest.mark.parametrize("inside", ["", "annotations.xml"])
def test_an_archive_is_unpacked_and_read(archive, tmp_path, inside):
    source, out = archive / inside, tmp_path / "catalog"
    command = ["index", str(source), "--format", "cvat", "--out", str(out), "--unpack", str(tmp_path / "task")]
    assert main(command) == 0
    catalog = Catalog.open(out)
    assert catalog.image_path(0) == tmp_path / "task" / "images" / "1.png"
    assert catalog.annotations["state"].to_list() == ["red"]


@pytest.mark.parametrize(
    ("source", "options", "code", "message"),
    [
        ("task.zip", [], 2, "task.zip: is an archive; give --unpack DIR"),
        ("task.zip/annotations.xml", [], 2, "task.zip: is an archive; give --unpack DIR"),
        ("catalog.zip", ["--unpack", "new"], 2, "catalog.zip is no archive that exists"),
        ("task.zip", ["--unpack", "full"], 1, "full: exists already and is not an empty folder"),
        ("task.zip/none.xml", ["--unpack", "new"], 1, "none.xml: no such file or folder"),
        ("part.zip.001", ["--unpack", "new"], 1, "join them first: cat part.zip.??? > part.zip"),
    ],
)
def test_faults(archive, tmp_path, monkeypatch, capsys, source, options, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("1")
    (tmp_path / "part.zip.001").write_bytes(archive.read_bytes()[:100])
    assert main(["index", source, "--format", "cvat", "--out", "out", *options]) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
