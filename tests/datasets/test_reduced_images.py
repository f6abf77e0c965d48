"""Frames decoded at a part of their size: where their pixels lie, and what colour they have."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from tl_datasets.errors import ImageError
from tl_datasets.images import jpeg_header, read_rgb
from tl_datasets.index import index
from tl_datasets.lamps.state import READABLE, read_state
from tl_datasets.reduced_images import FACTORS, factor_for, read_rgb_reduced, reduce_rgb, reduced_size_px
from tl_datasets.taxonomy import PixelFormat

SQUARE = (96, 64, 144, 128)


def save(path, image, orientation=None, **options):
    if orientation is not None:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = orientation
    Image.fromarray(image).save(path, **options)
    return path


def with_square(width_px=331, height_px=243):
    image = np.full((height_px, width_px, 3), 20, np.uint8)
    x1, y1, x2, y2 = SQUARE
    image[y1:y2, x1:x2] = (250, 240, 230)
    return image


def square_edges(image):
    """x1, y1, x2, y2 of the bright square to a part of a pixel: what it adds to each column and row."""
    light = np.clip((image.astype(np.float64).mean(axis=2) - 20) / 220, 0, 1)
    columns, rows = light.max(axis=0), light.max(axis=1)
    centre = [(np.arange(len(line)) + 0.5) @ line / line.sum() for line in (columns, rows)]
    half = [line.sum() / 2 for line in (columns, rows)]
    return np.array([centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1]])


@pytest.mark.parametrize("options", [{"suffix": "jpg", "subsampling": 0}, {"suffix": "jpg"}, {"suffix": "png"}])
@pytest.mark.parametrize("size", [(320, 240), (331, 243)], ids=["even", "odd"])
@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_point_of_the_frame_lies_at_its_place_over_the_factor(tmp_path, factor, orientation, size, options):
    options = dict(options)
    path = save(tmp_path / f"a.{options.pop('suffix')}", with_square(*size), orientation, **options)
    whole, reduced = read_rgb(path), read_rgb_reduced(path, factor)
    assert reduced.shape[1::-1] == reduced_size_px(whole.shape[1], whole.shape[0], factor)
    np.testing.assert_allclose(square_edges(reduced), square_edges(whole) / factor, atol=0.25)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_frame_of_odd_size_is_off_without_care(tmp_path, orientation):
    """What the decoder itself gives: the incomplete pixel comes first, and everything is moved."""
    path = save(tmp_path / "a.jpg", with_square(), orientation, subsampling=0, quality=95)
    careless = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_8)
    assert np.abs(square_edges(careless) - square_edges(read_rgb(path)) / 8).max() > 0.25


def test_a_jpeg_is_not_decoded_whole(tmp_path, pictures, monkeypatch):
    path = save(tmp_path / "a.jpg", pictures.make(0), quality=95)
    expected = reduce_rgb(read_rgb(path), 2)
    monkeypatch.setattr("tl_datasets.reduced_images.read_rgb", lambda *_: pytest.fail("decoded whole"))
    np.testing.assert_allclose(read_rgb_reduced(path, 2).astype(int), expected, atol=12)


@pytest.mark.parametrize("orientation", [None, 2, 6])
@pytest.mark.parametrize("kind", ["jpg RGB", "jpg L", "jpg CMYK", "png RGB", "tif RGB"])
def test_the_whole_frame_is_what_read_rgb_gives(tmp_path, pictures, kind, orientation):
    suffix, mode = kind.split()
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(pictures.make(0, 61, 43)).convert(mode).save(path, exif=exif)
    np.testing.assert_array_equal(read_rgb_reduced(path, 1), read_rgb(path))


def test_16_bit_colours_are_not_swapped(tmp_path):
    """OpenCV gives BGR for them even where RGB is asked for."""
    image = np.zeros((8, 8, 3), np.uint16)
    image[..., 2] = 60000  # red, as OpenCV writes
    for suffix in ("tiff", "png"):
        cv2.imwrite(str(tmp_path / f"a.{suffix}"), image)
        for factor in (1, 2):
            assert read_rgb_reduced(tmp_path / f"a.{suffix}", factor)[0, 0].tolist() == [234, 0, 0]


def test_red_stays_red(tmp_path):
    image = np.zeros((32, 48, 3), np.uint8)
    image[:] = (250, 20, 10)
    for suffix in ("jpg", "png"):
        path = save(tmp_path / f"a.{suffix}", image)
        np.testing.assert_allclose(read_rgb_reduced(path, 4).reshape(-1, 3), [(250, 20, 10)] * 96, atol=3)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_printing_colours_become_rgb(tmp_path, pictures, mode):
    path = tmp_path / "a.jpg"
    Image.fromarray(pictures.make(1)).convert(mode).save(path, quality=95)
    np.testing.assert_allclose(read_rgb_reduced(path, 2).astype(int), reduce_rgb(read_rgb(path), 2), atol=12)


def test_raw_frames_are_averaged_after_decoding(tmp_path):
    raw = np.random.default_rng(0).integers(300, 4000, (33, 46), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.tiff"), raw)
    path, coded = tmp_path / "a.tiff", PixelFormat.BAYER_GRBG12
    np.testing.assert_array_equal(read_rgb_reduced(path, 2, coded), reduce_rgb(read_rgb(path, coded), 2))


def test_the_last_pixel_is_the_mean_of_what_is_there():
    image = np.arange(5, dtype=np.uint8)[None, :, None].repeat(3, axis=2) * 10
    np.testing.assert_array_equal(reduce_rgb(image, 4)[0, :, 0], [15, 40])


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff\xe0 no picture", b"version https://git-lfs.github.com/spec/v1\n"]
)
def test_broken_files_meet_the_same_words_at_any_factor(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError) as whole:
        read_rgb(path)
    with pytest.raises(ImageError) as reduced:
        read_rgb_reduced(path, 2)
    assert str(reduced.value) == str(whole.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"a\.jpg: cannot be read \(No such file"):
        read_rgb_reduced(tmp_path / "a.jpg", 2)


def test_other_factors_are_refused(tmp_path):
    with pytest.raises(ValueError, match="factor 3, expected one of 1, 2, 4, 8"):
        read_rgb_reduced(tmp_path / "a.jpg", 3)


@pytest.mark.parametrize(
    ("scale", "factor"), [(2, 1), (0.51, 1), (0.5, 2), (0.5 * (1 + 1e-9), 2), (0.3, 2), (0.25, 4), (0.01, 8)]
)
def test_no_pixel_is_made_of_less_than_one(scale, factor):
    assert factor_for(scale) == factor and factor in FACTORS


def test_header_of_a_jpeg(tmp_path):
    path = save(tmp_path / "a.jpg", with_square(), 6)
    assert jpeg_header(np.fromfile(path, np.uint8)) == (331, 243, 6)
    png = save(tmp_path / "a.png", with_square())
    assert jpeg_header(np.fromfile(png, np.uint8)) is None


def test_small_real_lamps_are_as_true_as_after_decoding_whole(shared_data):
    catalog, _ = index(
        shared_data / "dtld_fridtjofs" / "raw_dataset",
        "yolo",
        labels="annotations",
        names="traffic_light",
        states="../sd_train_data",
    )
    right, lamps = {"reduced": 0, "averaged": 0}, 0
    for row in range(0, len(catalog), 4):
        path = catalog.image_path(row)
        images = {"reduced": read_rgb_reduced(path, 2), "averaged": reduce_rgb(read_rgb(path), 2)}
        for item in catalog.frame(row).annotations or ():
            x1, y1, x2, y2 = np.array(item.xyxy) / 2
            if item.state not in READABLE or y2 - y1 < 6:
                continue
            lamps += 1
            for name, image in images.items():
                crop = image[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))]
                right[name] += read_state(crop).state is item.state
    assert lamps > 50
    assert right["reduced"] >= right["averaged"] - 0.02 * lamps > 0.7 * lamps
