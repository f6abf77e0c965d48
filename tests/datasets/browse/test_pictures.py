from __future__ import annotations

import cv2
import numpy as np
import pytest

from tl_datasets.browse.pictures import CROP_LEAST_SIDE_PX, THUMBNAIL_WIDTH_PX, crop_region, write_pictures
from tl_datasets.frame import Annotation
from tl_datasets.images import read_rgb, write_rgb
from tl_datasets.taxonomy import PixelFormat


@pytest.mark.parametrize(
    ("what", "box", "region"),
    [
        ("in the middle, 2.5 times the longer side", (90, 80, 100, 120), (45, 50, 100, 100)),
        ("tiny, never less than the least side", (100, 100, 102, 104), (85, 86, 32, 32)),
        ("at the corner, cut", (0, 0, 10, 40), (0, 0, 55, 70)),
        ("at the far corner, cut", (195, 190, 200, 200), (182, 179, 18, 21)),
        ("outside, one pixel is left", (300, 300, 310, 310), (199, 199, 1, 1)),
        ("beyond all measure", (-4e307, -4e307, 1e308, 1e308), (0, 0, 200, 200)),
    ],
)
def test_crop_region(what, box, region):
    assert crop_region(np.array(box, dtype=np.float64), 200, 200) == region, what


def test_thumbnails_and_crops_show_the_frame(make_catalog, make_frame, tmp_path):
    image = np.full((360, 640, 3), 40, dtype=np.uint8)
    image[100:130, 300:310] = (255, 0, 0)
    write_rgb(tmp_path / "a.png", image)
    light = Annotation(xyxy=(300, 100, 310, 130))
    catalog = make_catalog(make_frame("a", annotations=(light,), width_px=640, height_px=360))
    (tmp_path / "out").mkdir()
    calls = []
    found = write_pictures(catalog, tmp_path / "out", [0], lambda done, total: calls.append((done, total)))
    assert (dict(found.unreadable), found.viewed, calls) == ({}, frozenset(), [(1, 1)])
    thumbnail = read_rgb(tmp_path / "out" / "thumbs" / "0.jpg")
    assert thumbnail.shape == (180, THUMBNAIL_WIDTH_PX, 3)
    red, green, blue = thumbnail[57, 152].tolist()
    assert red > 200 and green < 40 and blue < 40
    left, top, width, height = found.crops[0]
    crop = read_rgb(tmp_path / "out" / "crops" / "0.jpg")
    assert crop.shape == (height, width, 3)
    assert crop[115 - top, 305 - left].tolist() == pytest.approx([255, 0, 0], abs=30)


def test_a_lamp_of_two_pixels_keeps_its_colour(make_catalog, make_frame, tmp_path):
    """With halved colour resolution the lamp would come out half grey."""
    image = np.full((64, 64, 3), 30, dtype=np.uint8)
    image[31:33, 31:33] = (255, 30, 30)
    write_rgb(tmp_path / "a.png", image)
    catalog = make_catalog(make_frame("a", annotations=(Annotation(xyxy=(31, 31, 33, 33)),), width_px=64, height_px=64))
    (tmp_path / "out").mkdir()
    left, top, width, height = write_pictures(catalog, tmp_path / "out", [0]).crops[0]
    assert (width, height) == (CROP_LEAST_SIDE_PX, CROP_LEAST_SIDE_PX)
    lamp = read_rgb(tmp_path / "out" / "crops" / "0.jpg")[31 - top, 31 - left].astype(int)
    assert lamp[0] - lamp[1] > 190


def test_unreadable_images_are_named_and_the_others_written(draw_image, make_catalog, make_frame, tmp_path):
    draw_image(tmp_path / "good.png", 100, 80)
    draw_image(tmp_path / "small.png", 50, 40)
    (tmp_path / "broken.png").write_bytes(b"no image")
    catalog = make_catalog(*(make_frame(name) for name in ("good", "small", "broken", "gone")))
    (tmp_path / "out").mkdir()
    found = write_pictures(catalog, tmp_path / "out", [0, 1, 2, 3])
    assert set(found.unreadable) == {1, 2, 3}
    assert "50x40 pixels, the catalog says 100x80" in found.unreadable[1]
    assert "do not decode" in found.unreadable[2]
    assert "cannot be read" in found.unreadable[3]
    assert [path.name for path in (tmp_path / "out" / "thumbs").iterdir()] == ["0.jpg"]
    assert set(found.crops) == {0}


def test_raw_frames_have_a_view(make_catalog, make_frame, tmp_path):
    """A browser shows neither the mosaic nor a TIFF."""
    raw = np.full((80, 100), 2048, dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "raw.tiff"), raw)
    write_rgb(tmp_path / "plain.png", np.zeros((80, 100, 3), dtype=np.uint8))
    catalog = make_catalog(
        make_frame("raw", (), path="raw.tiff", pixel_format=PixelFormat.BAYER_GRBG12), make_frame("plain", ())
    )
    (tmp_path / "out").mkdir()
    assert write_pictures(catalog, tmp_path / "out", []).viewed == {0}
    assert read_rgb(tmp_path / "out" / "views" / "0.jpg").shape == (80, 100, 3)
    assert abs(int(read_rgb(tmp_path / "out" / "thumbs" / "0.jpg").mean()) - 128) < 3
