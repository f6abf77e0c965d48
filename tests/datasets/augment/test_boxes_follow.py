"""Boxes follow pixels to half a pixel: coloured squares are drawn, transformed and found again."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.augment.labelled import Labelled

LIMIT_PX = 0.5
GEOMETRY = {
    "nothing": {},
    "scale": {"scale": [0.6, 1.8]},
    "translate": {"translate": 0.3},
    "flip": {"flip_lr": 1},
    "crop around a light": {"crop": 1, "crop_scale": [1.0, 2.0]},
    "mosaic": {"mosaic": 1, "scale": [0.8, 1.5]},
    "mosaic, translate, flip": {"mosaic": 1, "scale": [0.6, 1.8], "translate": 0.2, "flip_lr": 0.5},
    "mix-up": {"mix_up": 1, "scale": [0.8, 1.5], "translate": 0.2},
    "mosaic and mix-up, flipped": {"mosaic": 1, "mix_up": 1, "scale": [0.8, 1.5], "flip_lr": 1},
    "shifted and scaled by albumentations": {
        "transforms": [
            {"name": "Affine", "p": 1, "scale": [0.8, 1.25], "translate_percent": [-0.1, 0.1], "rotate": 0, "shear": 0}
        ]
    },
    "everything": {
        "mosaic": 0.5,
        "mix_up": 0.5,
        "crop": 0.5,
        "scale": [0.7, 1.6],
        "translate": 0.2,
        "flip_lr": 0.5,
        "transforms": [{"name": "Affine", "p": 0.7, "scale": [0.9, 1.1], "rotate": 0, "shear": 0}],
    },
}


@pytest.mark.parametrize("what", list(GEOMETRY))
def test_boxes_follow_the_pixels_to_half_a_pixel(what, augmenter, sample_of, squares, found_square):
    tool = augmenter(min_visible=0.0, **GEOMETRY[what])
    checked, worst = 0, 0.0
    for seed in range(40):
        # Tiles side by side have different colours, so that a square has no neighbour of its own.
        frames = [squares(seed=10 * seed + number, only=colour) for number, colour in enumerate((0, 1, 2, 0, 1))]
        made = sample_of(tool, frames, seed)
        assert made.image.shape == (96, 192, 3)
        assert ((made.xyxy >= 0) & (made.xyxy <= [192, 96, 192, 96])).all()
        for box, class_id, visible in zip(made.xyxy, made.class_id, made.visible, strict=True):
            # A box that is cut by a tile or the canvas, or ends within a pixel of it, has an edge there, which pixels
            # cannot show to a fraction; in a mix-up a square of its own colour shines through beside it.
            if visible < 1 or (box[2] - box[0]) < 8 or _at_an_edge(box, made) or _near_another(box, made):
                continue
            worst = max(worst, np.abs(found_square(made.image, box, int(class_id)) - box).max())
            checked += 1
    assert checked > 20
    assert worst < LIMIT_PX


def _at_an_edge(box: np.ndarray, made: Labelled) -> bool:
    ends = [(view.x1, view.y1, view.x2, view.y2) for view in made.views]
    return any(np.abs(box - end).min() < 1.5 or np.abs(box - np.roll(end, 2)).min() < 1.5 for end in ends)


def _near_another(box: np.ndarray, made: Labelled) -> bool:
    """Another labelled or ignored square within the window in which this one is looked for."""
    every = np.concatenate([made.xyxy, made.ignore_xyxy])
    meets = (every[:, 0] < box[2] + 9) & (every[:, 2] > box[0] - 9)
    meets &= (every[:, 1] < box[3] + 9) & (every[:, 3] > box[1] - 9)
    return int(meets.sum()) > 1


@pytest.mark.parametrize(
    "transform",
    [
        {"name": "Affine", "rotate": [-8, 8], "scale": 1, "shear": 0},
        {"name": "Affine", "rotate": 0, "shear": [-6, 6]},
        {"name": "Perspective", "scale": [0.02, 0.05]},
        {"name": "Rotate", "limit": 9},
    ],
    ids=lambda item: f"{item['name']} {'rotate' in str(item)}",
)
def test_turned_squares_touch_all_sides_of_their_boxes(transform, augmenter, sample_of, squares):
    """An upright box around a turned square: the square reaches each side, and nothing of it lies outside."""
    tool = augmenter(min_visible=0.0, size=(240, 120), transforms=[{**transform, "p": 1}])
    checked = 0
    for seed in range(25):
        made = sample_of(tool, [squares(seed=seed, only=1)], seed)
        for box, visible in zip(made.xyxy, made.visible, strict=True):
            if visible < 1 or _near_another(box, made):
                continue
            # Twice as fine, so that half a pixel can be seen.
            lit = np.zeros_like(made.image[:, :, 1], dtype=bool)
            x1, y1, x2, y2 = np.round(box).astype(int)
            near = (slice(max(0, y1 - 4), y2 + 4), slice(max(0, x1 - 4), x2 + 4))
            lit[near] = made.image[near][:, :, 1] > 127
            rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
            around = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            # A corner of 90 degrees that fills half of its last pixel is seen up to a pixel late; never outside.
            outside = np.concatenate([box[:2] - around[:2], around[2:] - box[2:]])
            assert outside.max() < LIMIT_PX + 0.5 and outside.min() > -1.6, (seed, outside)
            checked += 1
    assert checked > 20


def test_ignore_areas_and_views_move_with_the_frame(augmenter, sample_of):
    image = np.zeros((96, 192, 3), np.uint8)
    frame = Labelled(
        image=image, xyxy=np.zeros((0, 4)), class_id=np.zeros(0, int), ignore_xyxy=np.array([[20.0, 30, 40, 60]])
    )
    made = sample_of(augmenter(flip_lr=1, horizon=0.25), [frame])
    assert made.ignore_xyxy.tolist() == [[152, 30, 172, 60]]
    assert [(view.x1, view.y1, view.x2, view.y2, view.horizon_px) for view in made.views] == [(0, 0, 192, 96, 24)]
    half = sample_of(augmenter(scale=[0.5, 0.5]), [frame])
    assert half.ignore_xyxy.tolist() == [[58, 39, 68, 54]]
    view = half.views[0]
    assert (view.x1, view.y1, view.x2, view.y2) == (48, 24, 144, 72)
    assert view.horizon_px == pytest.approx(24 + 0.45 * 48) and view.focal_px == pytest.approx(96)


def test_a_mosaic_has_four_views_that_fill_the_canvas(augmenter, sample_of, squares):
    made = sample_of(augmenter(mosaic=1), [squares(seed=number) for number in range(4)])
    assert sum((view.x2 - view.x1) * (view.y2 - view.y1) for view in made.views) == 96 * 192
    assert len({view.horizon_px for view in made.views}) > 1
