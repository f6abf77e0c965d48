from __future__ import annotations

import errno
import json

import cv2
import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.convert import WRITERS, convert
from tl_datasets.errors import DataError, UsageError
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import read_rgb
from tl_datasets.index import FORMATS, index
from tl_datasets.taxonomy import PixelFormat, State


@pytest.fixture
def catalog(draw_image, tmp_path) -> Catalog:
    """Two frames that any format can hold, in two folders."""
    root = tmp_path / "original"
    frames = []
    for name in ("a/1", "b/2"):
        draw_image(root / f"{name}.png", 640, 360)
        boxes = (Annotation(xyxy=(10.25, 20.5, 30.125, 60.0), state=State.RED),)
        frames.append(Frame(frame_id=name, path=f"{name}.png", width_px=640, height_px=360, annotations=boxes))
    return Catalog.from_frames(frames, source="drawn", root=root)


@pytest.mark.parametrize("format_name", WRITERS)
def test_images_lie_where_the_reader_of_the_format_finds_them(catalog, tmp_path, format_name):
    out = tmp_path / "out"
    report = convert(catalog, format_name, out)
    record = json.loads((out / "conversion.json").read_text())
    assert record["losses"] == report.to_dict()
    assert record["catalog_fingerprint"] == catalog.fingerprint
    again, _ = index(_source(format_name, out), format_name)
    assert len(again) == 2
    assert again.xyxy == pytest.approx(catalog.xyxy, abs=1e-6)
    assert not list(tmp_path.glob(".out.*"))


def _source(format_name: str, out):
    """What `tl index` is given for the files of each writer."""
    return out / {"coco": "annotations.json"}.get(format_name, ".")


def test_every_writer_has_its_reader():
    assert set(WRITERS) <= set(FORMATS)


def test_links_share_the_bytes_and_none_leaves_the_images(catalog, tmp_path):
    convert(catalog, "coco", tmp_path / "linked", images="link")
    linked = tmp_path / "linked" / "images" / "a" / "1.png"
    assert linked.stat().st_ino == catalog.image_path(0).stat().st_ino
    convert(catalog, "coco", tmp_path / "bare", images="none")
    assert not (tmp_path / "bare" / "images").exists()


def test_raw_frames_become_png(tmp_path):
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 4096, (48, 64), dtype=np.uint16)
    assert cv2.imwrite(str(tmp_path / "a.tiff"), raw)
    frame = Frame(
        frame_id="a", path="a.tiff", width_px=64, height_px=48, annotations=(), pixel_format=PixelFormat.BAYER_GRBG12
    )
    catalog = Catalog.from_frames([frame], source="s", root=tmp_path)
    report = convert(catalog, "coco", tmp_path / "out")
    assert np.array_equal(read_rgb(tmp_path / "out" / "images" / "a.png"), catalog.read_rgb(0))
    assert report.to_dict() == {}
    again, _ = index(tmp_path / "out" / "annotations.json", "coco")
    assert again.frames["pixel_format"].to_list() == [None]
    assert catalog.frames["pixel_format"].to_list() == ["bayer_grbg12"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format_name": "lisa"}, "format 'lisa', expected one of: bdd100k"),
        ({"images": "move"}, "images 'move', expected copy, link or none"),
        ({"colour": "red"}, "option 'colour': unknown to format coco"),
    ],
    ids=["a format that is only read", "an image mode", "an option"],
)
def test_wrong_use(catalog, tmp_path, arguments, message):
    with pytest.raises(UsageError, match=message):
        convert(catalog, **{"format_name": "coco", "out": tmp_path / "out", **arguments})
    assert not (tmp_path / "out").exists()


def test_a_missing_image_leaves_nothing_behind(catalog, tmp_path):
    catalog.image_path(1).unlink()
    with pytest.raises(DataError, match=r"2\.png: no such image; .* --images none"):
        convert(catalog, "coco", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["original"]


def test_an_existing_folder_is_left_alone(catalog, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="exists already"):
        convert(catalog, "coco", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_an_empty_catalog_is_refused(catalog, tmp_path):
    with pytest.raises(DataError, match="no frames"):
        convert(catalog.filter("weather == 'rainy'"), "coco", tmp_path / "out")


def test_a_link_to_an_empty_folder_stays_a_link(catalog, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    convert(catalog, "coco", tmp_path / "out")
    assert (tmp_path / "out").is_symlink() and (tmp_path / "disk" / "conversion.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "original", "out"]


def test_a_raw_frame_and_its_png_do_not_become_one_file(tmp_path):
    """`a.tiff` is written as `a.png`, which may be a frame too."""
    root = tmp_path / "original"
    root.mkdir()
    cv2.imwrite(str(root / "a.tiff"), np.full((8, 8), 2000, np.uint16))
    cv2.imwrite(str(root / "a.png"), np.full((8, 8, 3), 7, np.uint8))
    frames = [
        Frame(frame_id="raw", path="a.tiff", width_px=8, height_px=8, annotations=(), pixel_format="bayer_grbg12"),  # type: ignore[arg-type]
        Frame(frame_id="png", path="a.png", width_px=8, height_px=8, annotations=()),
    ]
    mixed = Catalog.from_frames(frames, source="mixed", root=root)
    for format_name in WRITERS:
        convert(mixed, format_name, tmp_path / format_name)
        images = [path for path in (tmp_path / format_name).rglob("*") if path.suffix in {".png", ".tiff", ".jpg"}]
        assert len({path.read_bytes() for path in images}) == 2, format_name


@pytest.mark.parametrize(
    ("images", "function", "message"),
    [
        ("copy", "shutil.copyfile", "cannot be a copy of .*1.png .No space left.; use --images link or none"),
        ("link", "os.link", "cannot be a hard link to .*1.png .No space left.; use --images copy or none"),
    ],
)
def test_an_image_that_cannot_be_placed(images, function, message, catalog, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left", "somewhere")

    monkeypatch.setattr(function, full)
    with pytest.raises(DataError, match=message):
        convert(catalog, "coco", tmp_path / "out", images=images)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["original"]


@pytest.mark.parametrize("format_name", WRITERS)
def test_unlabelled_frames_alone_come_back_unlabelled_or_are_refused(draw_image, tmp_path, format_name):
    draw_image(tmp_path / "original" / "a.png", 640, 360)
    frame = Frame(frame_id="a", path="a.png", width_px=640, height_px=360, annotations=None)
    catalog = Catalog.from_frames([frame], source="drawn", root=tmp_path / "original")
    try:
        convert(catalog, format_name, tmp_path / "out")
    except DataError as error:
        assert "nobody labelled a frame" in str(error)
        assert not (tmp_path / "out").exists()
    else:
        again, _ = index(_source(format_name, tmp_path / "out"), format_name)
        assert again.frames["label_status"].to_list() == ["unlabelled"]
