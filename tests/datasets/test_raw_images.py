"""Raw sensor frames: made from pictures by a mosaic, decoded, and compared with the picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tl_datasets.catalog import Catalog
from tl_datasets.errors import ImageError
from tl_datasets.frame import Frame
from tl_datasets.images import probe_image, read_rgb
from tl_datasets.index import index
from tl_datasets.raw_images import is_raw_file, rgb_from_raw
from tl_datasets.taxonomy import PixelFormat

BAYER, RCCB = PixelFormat.BAYER_GRBG12, PixelFormat.RCCB12
RED, YELLOW, GREEN, WHITE = (230, 20, 15), (235, 170, 10), (20, 220, 130), (200, 200, 200)


def bayer(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """What a sensor with green-red over blue-green sees, 12 bits."""
    raw = rgb[..., 1].astype(np.uint16) * 16
    raw[0::2, 1::2] = rgb[0::2, 1::2, 0].astype(np.uint16) * 16
    raw[1::2, 0::2] = rgb[1::2, 0::2, 2].astype(np.uint16) * 16
    return raw


def rccb(rgb: NDArray[np.uint8], exposure: float = 1.0) -> NDArray[np.uint16]:
    """What a sensor with red-clear over clear-blue sees, 12 bits; white fills the clear pixels."""
    light = rgb.astype(float) / 255 / 3 * 4095 * exposure
    raw = light.sum(axis=2)
    raw[0::2, 0::2] = light[0::2, 0::2, 0]
    raw[1::2, 1::2] = light[1::2, 1::2, 2]
    return np.minimum(raw, 4095).astype(np.uint16)


SENSORS: dict[PixelFormat, Callable[..., NDArray[np.uint16]]] = {BAYER: bayer, RCCB: rccb}


def lamps() -> NDArray[np.uint8]:
    """Four lamps of 12x12 pixels on a dark grey ground."""
    image = np.full((48, 80, 3), 30, np.uint8)
    for number, colour in enumerate((RED, YELLOW, GREEN, WHITE)):
        image[18:30, 4 + 20 * number : 16 + 20 * number] = colour
    return image


def middle(image: NDArray[np.uint8], number: int) -> NDArray[np.float64]:
    return image[22:26, 8 + 20 * number : 12 + 20 * number].reshape(-1, 3).mean(axis=0)


def psnr_db(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - two) ** 2)))


@pytest.mark.parametrize("pixel_format", SENSORS)
@pytest.mark.parametrize("shift", [0, 1])
def test_the_colours_of_lamps_come_back(pixel_format, shift):
    picture = np.roll(lamps(), shift, axis=(0, 1))  # no lamp lies luckily on the mosaic
    decoded = np.roll(rgb_from_raw(SENSORS[pixel_format](picture), pixel_format, "a"), -shift, axis=(0, 1))
    for number, colour in enumerate((RED, YELLOW, GREEN, WHITE)):
        assert middle(decoded, number) == pytest.approx(colour, abs=3)


def test_bayer_is_decoded_as_the_official_toolkit_does():
    raw = np.random.default_rng(0).integers(0, 4096, (64, 96)).astype(np.uint16)
    bgr = cv2.cvtColor(raw, cv2.COLOR_BAYER_GB2BGR)
    official = np.right_shift(bgr, 4).astype(np.uint8)
    np.testing.assert_array_equal(rgb_from_raw(raw, BAYER, "a"), official[..., ::-1])


def test_bayer_by_hand():
    """Inside, a missing colour is the mean of its two or four neighbours: no library is asked."""
    raw = np.random.default_rng(1).integers(0, 4096, (8, 8)).astype(np.uint16)
    rgb = rgb_from_raw(raw, BAYER, "a").astype(int)
    wide = raw.astype(int)
    # (2, 3) is a red pixel, (3, 2) a blue one, (2, 2) a green one in a row of red ones.
    assert rgb[2, 3, 0] == wide[2, 3] >> 4
    assert rgb[3, 2, 2] == wide[3, 2] >> 4
    assert rgb[2, 2, 1] == wide[2, 2] >> 4
    assert rgb[2, 3, 2] == pytest.approx((wide[1, 2] + wide[1, 4] + wide[3, 2] + wide[3, 4]) / 64, abs=1)
    assert rgb[2, 2, 0] == pytest.approx((wide[2, 1] + wide[2, 3]) / 32, abs=1)
    assert rgb[2, 3, 1] == pytest.approx((wide[1, 3] + wide[3, 3] + wide[2, 2] + wide[2, 4]) / 64, abs=1)


@pytest.mark.parametrize("pixel_format", SENSORS)
def test_edges_are_no_frame_of_another_colour(pixel_format):
    picture = np.full((20, 30, 3), (60, 120, 90), np.uint8)
    decoded = rgb_from_raw(SENSORS[pixel_format](picture), pixel_format, "a").astype(int)
    assert np.abs(decoded - picture).max() <= 2


def test_white_fills_the_picture_and_bright_colours_keep_their_hue():
    white = np.full((16, 16, 3), 255, np.uint8)
    assert rgb_from_raw(rccb(white), RCCB, "a").min() >= 253
    # Twice as bright: red and clear are not saturated yet, the picture would be.
    red = np.full((16, 16, 3), (200, 40, 20), np.uint8)
    decoded = rgb_from_raw(rccb(red, exposure=2), RCCB, "a")[8, 8].astype(float)
    assert decoded[0] == 255
    assert decoded / decoded[0] == pytest.approx(np.array([200, 40, 20]) / 200, abs=0.03)


def test_where_clear_pixels_are_saturated():
    decoded = rgb_from_raw(rccb(lamps(), exposure=2.5), RCCB, "a")
    red, _, green, white = (middle(decoded, number) for number in range(4))
    assert red[0] > 2 * red[1]
    assert green[1] > 2 * green[0]
    assert green[1] >= green[2] - 1
    assert white.min() > 0.9 * white.max()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (np.zeros((8, 8), np.uint8), r"uint8 numbers of shape \(8, 8\).*converted already"),
        (np.full((8, 8, 3), 900, np.uint16), r"shape \(8, 8, 3\).*one 16-bit channel"),
        (np.full((8, 8), 900, np.int32), "int32 numbers"),
        (np.full((8, 8), 255, np.uint16), "no value above 255.*nearly black"),
        (np.zeros((8, 8), np.uint16), "no value above 0.*nearly black"),
        (np.full((8, 8), 40_000, np.uint16), "values up to 40000.*scaled to 16 bits"),
        (np.zeros((0, 0), np.uint16), "no value above 0"),
    ],
    ids=["8 bits", "colours", "32 bits", "8 bits in 16", "black", "16 bits", "empty"],
)
@pytest.mark.parametrize("pixel_format", SENSORS)
def test_what_is_no_raw_frame_is_refused(raw, message, pixel_format):
    with pytest.raises(ImageError, match=message) as caught:
        rgb_from_raw(raw, pixel_format, "dir/a.tiff")
    assert str(caught.value).startswith("dir/a.tiff: ")


def test_single_hot_pixels_are_saturated():
    raw = bayer(lamps())
    raw[0, 0] = 65535
    decoded = rgb_from_raw(raw, BAYER, "a")
    assert decoded[2:, 2:].tolist() == rgb_from_raw(bayer(lamps()), BAYER, "a")[2:, 2:].tolist()


def test_lines_of_camera_data_do_not_count_as_picture():
    raw = np.pad(rccb(lamps()), ((8, 8), (0, 0)), constant_values=65535)
    assert middle(rgb_from_raw(raw, RCCB, "a")[8:-8], 0) == pytest.approx(RED, abs=3)
    dark = np.pad(np.full((32, 32), 9, np.uint16), ((8, 8), (0, 0)), constant_values=65535)
    with pytest.raises(ImageError, match="no value above 9"):
        rgb_from_raw(dark, RCCB, "a")


def save_tiff(path, raw, compression: int = 1):
    assert cv2.imwrite(str(path), raw, [cv2.IMWRITE_TIFF_COMPRESSION, compression])


def save_pgm(path, raw, largest: int):
    height, width = raw.shape
    path.write_bytes(f"P5\n# camera\n{width} {height}\n{largest}\n".encode() + raw.astype(">u2").tobytes())


@pytest.mark.parametrize("compression", [1, 5, 8, 32773], ids=["none", "lzw", "deflate", "packbits"])
def test_tiff_files(tmp_path, compression):
    save_tiff(tmp_path / "a.tiff", bayer(lamps()), compression)
    assert probe_image(tmp_path / "a.tiff", BAYER)[:2] == (80, 48)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.tiff", BAYER), rgb_from_raw(bayer(lamps()), BAYER, "a"))
    assert is_raw_file(tmp_path / "a.tiff")


@pytest.mark.parametrize("largest", [4095, 65535])
def test_grey_maps_keep_their_values(tmp_path, largest):
    """Two bytes, the higher one first; not scaled to the largest value."""
    save_pgm(tmp_path / "a.pgm", rccb(lamps()), largest)
    assert probe_image(tmp_path / "a.pgm", RCCB)[:2] == (80, 48)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.pgm", RCCB), rgb_from_raw(rccb(lamps()), RCCB, "a"))


@pytest.mark.parametrize(("mode", "shown"), [("L", "L"), ("RGB", "RGB"), ("1", "1")])
def test_converted_files_are_refused_before_any_training(tmp_path, mode, shown):
    Image.fromarray(lamps()).convert(mode).save(tmp_path / "a.tiff")
    with pytest.raises(ImageError, match=f"a.tiff: pixels of the kind {shown}, expected a raw frame.*converted"):
        probe_image(tmp_path / "a.tiff", BAYER)
    with pytest.raises(ImageError, match="converted already"):
        read_rgb(tmp_path / "a.tiff", BAYER)
    assert is_raw_file(tmp_path / "a.tiff") is False


def test_raw_frames_that_are_turned_are_refused(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(bayer(lamps())).save(tmp_path / "a.tiff", exif=exif)
    with pytest.raises(ImageError, match="its colour mosaic would turn too"):
        probe_image(tmp_path / "a.tiff", BAYER)


def test_cut_off_grey_maps_are_found(tmp_path):
    save_pgm(tmp_path / "a.pgm", rccb(lamps()), 4095)
    (tmp_path / "a.pgm").write_bytes((tmp_path / "a.pgm").read_bytes()[:-100])
    with pytest.raises(ImageError, match="does not open as an image"):
        probe_image(tmp_path / "a.pgm", RCCB)


def test_what_does_not_open_is_not_known_to_be_raw(tmp_path):
    (tmp_path / "a.tiff").write_bytes(b"II*\0")
    assert is_raw_file(tmp_path / "a.tiff") is None
    assert is_raw_file(tmp_path / "missing.tiff") is None


def test_raw_frames_are_never_read_as_dark_pictures(tmp_path):
    save_tiff(tmp_path / "a.tiff", bayer(lamps()))
    with pytest.raises(ImageError, match="12 bits or fewer"):
        read_rgb(tmp_path / "a.tiff")


def test_the_pixel_format_goes_through_the_catalog(tmp_path):
    save_tiff(tmp_path / "raw.tiff", bayer(lamps()))
    save_pgm(tmp_path / "clear.pgm", rccb(lamps()), 4095)
    Image.fromarray(lamps()).save(tmp_path / "ready.png")
    formats = {"raw.tiff": BAYER, "clear.pgm": RCCB, "ready.png": None}
    frames = [
        Frame(frame_id=path, path=path, width_px=80, height_px=48, annotations=(), pixel_format=pixel_format)
        for path, pixel_format in formats.items()
    ]
    Catalog.from_frames(frames, source="drawn", root=tmp_path).save(tmp_path / "catalog")
    catalog = Catalog.open(tmp_path / "catalog")
    assert [frame.pixel_format for frame in catalog.iter_frames()] == [BAYER, RCCB, None]
    for row in range(3):
        assert middle(catalog.read_rgb(row), 0) == pytest.approx(RED, abs=3)


def test_real_pictures_survive_the_sensor(shared_data):
    """Measured on the worst frame: 33.1 dB and 30.0 dB; with red and blue exchanged 21.2 dB and 20.9 dB."""
    catalog, _ = index(shared_data / "bstld" / "train.yaml", "bstld")
    for row in range(len(catalog)):
        picture = catalog.read_rgb(row)
        for pixel_format, sensor in SENSORS.items():
            decoded = rgb_from_raw(sensor(picture), pixel_format, "a")
            assert psnr_db(picture, decoded) > 29
            assert psnr_db(picture, decoded[..., ::-1]) < psnr_db(picture, decoded) - 5
