from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.errors import UsageError
from tl_datasets.frame import Annotation
from tl_datasets.letterbox import letterbox
from tl_datasets.network_size import InputSize, network_sizes_px, sizes_px


@pytest.mark.parametrize(
    ("text", "size"), [("1280x736", (1280, 736)), (" 640X384 ", (640, 384)), ("1x99999", (1, 99999))]
)
def test_input_size_reads(text, size):
    found = InputSize.parse(text)
    assert (found.width_px, found.height_px) == size
    assert str(found) == f"{size[0]}x{size[1]}"


@pytest.mark.parametrize("text", ["", "1280", "0x736", "-1x5", "1280x736x3", "1280 x 736", "1280.5x736", "123456x1"])
def test_another_input_size_is_refused(text):
    with pytest.raises(UsageError, match=r"expected WIDTHxHEIGHT in pixels, such as 1280x736"):
        InputSize.parse(text)


def test_each_frame_has_its_own_scale(make_catalog, make_frame):
    light = Annotation(xyxy=(10, 10, 18, 30))
    catalog = make_catalog(
        make_frame("wide", annotations=(light, light), width_px=200, height_px=100),
        make_frame("none", ()),
        make_frame("tall", annotations=(light,), width_px=100, height_px=200),
    )
    # 400x100: the wide frame fits by its height (x1), the tall one by its height too (x0.5).
    found = network_sizes_px(catalog, InputSize(width_px=400, height_px=100))
    assert found.tolist() == [[8, 20], [8, 20], [4, 10]]


def test_a_box_is_as_large_as_what_the_letterbox_shows(make_catalog, make_frame):
    image = np.zeros((80, 100, 3), dtype=np.uint8)
    image[20:60, 30:50] = 255
    box = Annotation(xyxy=(30, 20, 50, 60))
    canvas, _ = letterbox(image, 320, 256)
    seen = canvas[:, :, 0] > 180
    shown = (int(seen.any(axis=0).sum()), int(seen.any(axis=1).sum()))
    width, height = network_sizes_px(
        make_catalog(make_frame("a", annotations=(box,))), InputSize(width_px=320, height_px=256)
    )[0]
    assert (width, height) == pytest.approx(shown, abs=2)


def test_noise_of_coordinates_does_not_decide(make_catalog, make_frame):
    noisy = Annotation(xyxy=(10, 10, 10 + 7.9999999999, 40))
    assert sizes_px(make_catalog(make_frame("a", annotations=(noisy,)))).tolist() == [[8, 30]]


def test_without_boxes(make_catalog, make_frame):
    for catalog in (make_catalog(), make_catalog(make_frame("a", ()))):
        assert network_sizes_px(catalog, InputSize(width_px=64, height_px=64)).shape == (0, 2)
