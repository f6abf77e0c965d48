"""Where frames lie on the canvas: padding, crops around lights, and what a mosaic says of its parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tl_datasets.augment.geometry import Piece, crop, lay, whole
from tl_datasets.augment.labelled import Labelled, Visibility
from tl_datasets.letterbox import PAD_VALUE

CANVAS = (192, 96)
RULE = Visibility(shares=np.full(3, 0.9), size_px=0)


def bright(width: int = 192, height: int = 96, value: int = 200, **fields) -> Labelled:
    return Labelled(
        image=np.full((height, width, 3), value, np.uint8),
        **{"xyxy": np.zeros((0, 4)), "class_id": np.zeros(0, np.int64)} | fields,
    )


def test_what_a_shifted_frame_leaves_free_is_grey():
    made = lay([Piece(frame=bright(), scale=1, left=20, top=-6, tile=(0, 0, *CANVAS))], CANVAS, RULE, 0.45)
    assert (made.image[:, :20] == PAD_VALUE).all() and (made.image[90:] == PAD_VALUE).all()
    assert (made.image[:90, 20:] == 200).all()


def test_a_frame_is_shifted_by_up_to_the_share_of_the_canvas():
    lefts, tops = [], []
    for seed in range(50):
        piece = whole(bright(), 1.0, 0.25, CANVAS, np.random.default_rng(seed))
        made = lay([piece], CANVAS, RULE, 0.45)
        shown = (made.image == 200).all(axis=2)
        assert np.array_equal(~shown, (made.image == PAD_VALUE).all(axis=2))
        assert abs(shown.sum() - (192 - abs(piece.left)) * (96 - abs(piece.top))) < 192
        lefts.append(piece.left)
        tops.append(piece.top)
    assert -48 <= min(lefts) < -24 and 24 < max(lefts) <= 48
    assert -24 <= min(tops) < -12 and 12 < max(tops) <= 24


def test_a_crop_shows_a_light_and_not_any_box():
    light = [10.0, 10, 14, 14]
    others = [[120.0 + 6 * number, 70, 124 + 6 * number, 80] for number in range(10)]
    # The light is neither the first nor the last of the boxes, nor of the classes.
    frame = bright(xyxy=np.array([*others[:5], light, *others[5:]]), class_id=np.array([0] * 5 + [1] + [2] * 5))
    is_light = np.array([False, True, False])
    for seed in range(30):
        piece = crop(frame, 4.0, (0, 0, *CANVAS), CANVAS, is_light, np.random.default_rng(seed))
        assert lay([piece], CANVAS, RULE, 0.45).class_id.tolist() == [1]


def test_a_crop_of_a_frame_without_lights_shows_another_box():
    frame = bright(xyxy=np.array([[10.0, 10, 14, 14]]), class_id=np.array([0]))
    for seed in range(30):
        piece = crop(frame, 4.0, (0, 0, *CANVAS), CANVAS, np.array([False]), np.random.default_rng(seed))
        assert len(lay([piece], CANVAS, RULE, 0.45).xyxy) == 1


@pytest.mark.parametrize("field", ["weather", "time_of_day"])
@pytest.mark.parametrize(
    ("what", "words", "shown"),
    [
        ("all alike", ("w", "w", "w", "w"), "w"),
        ("one differs", ("w", "v", "w", "w"), None),
        ("of one nobody knows", ("w", "w", "w", None), None),
        ("nobody knows of any", (None, None, None, None), None),
    ],
)
def test_a_mosaic_shows_a_condition_that_all_its_frames_show(field, what, words, shown, augmenter, sample_of):
    made = sample_of(augmenter(mosaic=1), [bright(**{field: word}) for word in words])
    assert len(made.views) == 4 and getattr(made, field) == shown, what


def test_a_mosaic_says_once_what_was_made_of_its_frames():
    tiles = [(0, 0, 96, 96), (96, 0, 192, 96)]
    pieces = [
        Piece(frame=bright(made=made), scale=1, left=tile[0], top=0, tile=tile)
        for made, tile in zip([("rain", "copy_paste"), ("copy_paste",)], tiles, strict=True)
    ]
    assert lay(pieces, CANVAS, RULE, 0.45).made == ("rain", "copy_paste")


AREAS: dict[str, Any] = {
    "ignore_xyxy": np.array([[20.0, 30, 40, 60], [80, 30, 90, 60]]),
    "is_vanished": np.array([True, False]),
}
SHIFT = {"name": "Affine", "p": 1, "translate_px": {"x": 7, "y": 5}, "rotate": 0, "scale": 1, "shear": 0}


def test_marks_of_vanished_boxes_outlive_the_canvas():
    piece = Piece(frame=bright(**AREAS), scale=1, left=0, top=0, tile=(0, 0, *CANVAS))
    once = lay([piece], CANVAS, RULE, 0.45)
    assert once.ignore_xyxy.tolist() == AREAS["ignore_xyxy"].tolist() and once.is_vanished.tolist() == [True, False]
    cut, left = (
        lay([Piece(frame=once, scale=1, left=shift, top=0, tile=(0, 0, *CANVAS))], CANVAS, RULE, 0.45)
        for shift in (-25, -50)
    )
    assert cut.ignore_xyxy.tolist() == [[0, 30, 15, 60], [55, 30, 65, 60]] and cut.is_vanished.tolist() == [True, False]
    assert left.ignore_xyxy.tolist() == [[30, 30, 40, 60]] and left.is_vanished.tolist() == [False]


def test_ignore_areas_and_their_marks_move_with_albumentations(augmenter, sample_of):
    made = sample_of(augmenter(transforms=[SHIFT]), [bright(**AREAS)])
    assert np.allclose(made.ignore_xyxy, [[27, 35, 47, 65], [87, 35, 97, 65]], atol=1e-3)
    assert made.is_vanished.tolist() == [True, False]
