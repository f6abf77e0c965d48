from __future__ import annotations

import hashlib
import os
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from tl_datasets.errors import ImageError
from tl_datasets.images import (
    list_images,
    probe_image,
    read_rgb,
    resolve_inside,
    scan_images,
    write_rgb,
    write_whole,
)


def lamp(width_px: int = 40, height_px: int = 30) -> np.ndarray:
    image = np.zeros((height_px, width_px, 3), np.uint8)
    image[2:10, 2:10] = (250, 20, 10)
    return image


def test_red_stays_red(tmp_path):
    write_rgb(tmp_path / "a.png", lamp())
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), lamp())
    # An independent reader sees the same colours.
    assert Image.open(tmp_path / "a.png").convert("RGB").getpixel((5, 5)) == (250, 20, 10)


def test_grey_and_transparent_images_become_rgb(tmp_path):
    Image.new("L", (8, 6), 77).save(tmp_path / "grey.png")
    Image.new("RGBA", (8, 6), (1, 2, 3, 0)).save(tmp_path / "alpha.png")
    assert read_rgb(tmp_path / "grey.png").shape == (6, 8, 3)
    assert read_rgb(tmp_path / "alpha.png").shape == (6, 8, 3)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_to_pixels_and_size_alike(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(lamp()).save(path, exif=exif)
    width, height, _ = probe_image(path)
    assert read_rgb(path).shape[:2] == (height, width)
    assert (width, height) == ((40, 30) if orientation < 5 else (30, 40))


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_orientation_in_xmp_alone_is_left_aside(tmp_path, suffix):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(lamp()).save(path, xmp=xmp)
    assert probe_image(path)[:2] == (40, 30)
    assert read_rgb(path).shape == (30, 40, 3)


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        (mode, form)
        for form, modes in {
            "JPEG": ("L", "CMYK"),
            "MPO": ("RGB",),
            "PNG": ("1", "L", "LA", "P", "RGBA"),
            "BMP": ("L", "RGB"),
            "WEBP": ("RGB", "RGBA"),
            "TIFF": ("1", "L", "RGB", "RGBA"),
        }.items()
        for mode in modes
    ],
)
def test_what_is_probed_is_decoded(tmp_path, mode, form):
    Image.fromarray(lamp()).convert(mode).save(tmp_path / "a.x", form)
    assert probe_image(tmp_path / "a.x")[:2] == (40, 30)
    assert read_rgb(tmp_path / "a.x").shape == (30, 40, 3)


@pytest.mark.parametrize(
    ("form", "mode", "options", "message"),
    [
        ("ICO", "RGB", {}, "no known image format, [0-9]+ bytes"),
        ("TGA", "RGB", {}, "no known image format"),
        ("PCX", "RGB", {}, "no known image format"),
        ("EPS", "RGB", {}, "no known image format"),
        ("TIFF", "F", {}, "TIFF of 32-bit numbers"),
        ("TIFF", "I", {}, "TIFF of 32-bit numbers"),
        ("TIFF", "RGB", {"compression": "zstd"}, "rare compression"),
    ],
)
def test_what_would_not_be_decoded_is_refused(tmp_path, form, mode, options, message):
    Image.fromarray(lamp()).convert(mode).save(tmp_path / "a.png", form, **options)
    with pytest.raises(ImageError, match=message):
        probe_image(tmp_path / "a.png")
    with pytest.raises(ImageError, match="do not decode"):
        read_rgb(tmp_path / "a.png")


def test_a_header_that_promises_too_many_pixels(tmp_path):
    Image.fromarray(lamp()).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(data)
    for read in (probe_image, read_rgb):
        with pytest.raises(ImageError, match=r"a\.png: "):
            read(tmp_path / "a.png")


def test_a_billion_pixels_are_refused_by_their_header_alone(tmp_path):
    """A PNG of 40000x25000 pixels in a few kilobytes, which would take 3 GB to decode."""
    Image.new("1", (40_000, 25_000)).save(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size < 200_000
    with pytest.raises(ImageError, match=r"a\.png: .*1000000000 pixels"):
        probe_image(tmp_path / "a.png")


def test_what_git_lfs_has_not_fetched_is_named(tmp_path):
    (tmp_path / "a.jpg").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    for read in (probe_image, read_rgb):
        with pytest.raises(ImageError, match="Git LFS pointer"):
            read(tmp_path / "a.jpg")


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_give_their_upper_eight_and_twelve_in_sixteen_are_refused(tmp_path, suffix):
    image = np.zeros((30, 40, 3), np.uint16)
    image[..., 2] = 0xAB12  # red, in OpenCV's order
    path = tmp_path / f"a{suffix}"
    assert cv2.imwrite(str(path), image)
    assert read_rgb(path)[0, 0].tolist() == [0xAB, 0, 0]
    assert cv2.imwrite(str(path), image >> 4)
    with pytest.raises(ImageError, match="16-bit image with values of 12 bits or fewer"):
        read_rgb(path)
    assert cv2.imwrite(str(path), np.full((30, 40), 4095, np.uint16))
    with pytest.raises(ImageError, match="12 bits"):
        read_rgb(path)


def test_a_folder_that_may_not_be_read_is_no_empty_folder(tmp_path, draw_image, monkeypatch):
    draw_image(tmp_path / "a" / "b.png")

    def refuse(place, onerror, **_):
        onerror(PermissionError(13, "Permission denied", str(place)))
        return iter(())

    monkeypatch.setattr(os, "walk", refuse)
    with pytest.raises(ImageError, match=r"cannot be read \(Permission denied\)"):
        list_images(tmp_path)


def test_probe_hashes_the_bytes(tmp_path):
    write_rgb(tmp_path / "a.jpg", lamp())
    expected = hashlib.sha256((tmp_path / "a.jpg").read_bytes()).hexdigest()
    assert probe_image(tmp_path / "a.jpg") == (40, 30, expected)


def _jpeg() -> bytes:
    buffer = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3)).astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "cannot be read"),
        (b"", "does not open|0 bytes"),
        (b"<html>not found</html>", "does not open|do not decode"),
    ],
    ids=["missing", "empty", "a web page"],
)
def test_what_is_no_image_is_named(tmp_path, data, message):
    path = tmp_path / "a.jpg"
    if data is not None:
        path.write_bytes(data)
    for read in (probe_image, read_rgb):
        with pytest.raises(ImageError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_cut_off_files_are_found_without_decoding(tmp_path):
    (tmp_path / "a.jpg").write_bytes(_jpeg()[:-200])
    write_rgb(tmp_path / "b.png", lamp())
    (tmp_path / "c.png").write_bytes((tmp_path / "b.png").read_bytes()[:-20])
    for name in ("a.jpg", "c.png"):
        with pytest.raises(ImageError, match="cut off"):
            probe_image(tmp_path / name)


def test_padding_after_the_end_marker_is_allowed(tmp_path):
    (tmp_path / "a.jpg").write_bytes(_jpeg() + b"\0" * 300)
    assert probe_image(tmp_path / "a.jpg")[:2] == (120, 90)


def test_unknown_encoder_and_nothing_left_behind(tmp_path):
    with pytest.raises(ImageError, match=r"\.xyz"):
        write_rgb(tmp_path / "a.xyz", lamp())
    assert list(tmp_path.iterdir()) == []


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    write_whole(tmp_path / "a.txt", "first")
    with pytest.raises(TypeError):
        write_whole(tmp_path / "a.txt", 5)  # type: ignore[arg-type]
    assert (tmp_path / "a.txt").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_list_images_is_sorted_and_stays_inside(tmp_path, draw_image):
    root = tmp_path / "root"
    for name in ("b/2.PNG", "a/1.jpg", "a/note.txt"):
        if name.endswith("txt"):
            (root / name).write_text("")
        else:
            draw_image(root / name.replace(".PNG", ".png")).rename(root / name)
    (root / "link.png").symlink_to(draw_image(tmp_path / "outside.png"))
    assert [path.relative_to(root).as_posix() for path in list_images(root)] == ["a/1.jpg", "b/2.PNG"]
    assert scan_images(root) == (list_images(root), [root / "link.png"])


def test_a_file_name_that_is_no_text_is_named(tmp_path, draw_image):
    draw_image(tmp_path / "a.png").rename(tmp_path / os.fsdecode(b"\xff.png"))
    with pytest.raises(ImageError, match="the file name is not UTF-8") as caught:
        list_images(tmp_path)
    str(caught.value).encode()


@pytest.mark.parametrize("path", ["../x.png", "/etc/x.png", "a/../../x.png", "..\\x.png"])
def test_paths_that_leave_the_root_are_refused(tmp_path, path):
    with pytest.raises(ImageError, match="leaves its root"):
        resolve_inside(tmp_path / "root", path)


def test_paths_inside_may_use_backslashes(tmp_path):
    assert resolve_inside(tmp_path, "a\\b.png") == (tmp_path / "a" / "b.png").resolve()
