"""What breaks or empties samples is refused before the first epoch, with its name and a frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tl_datasets.augment.steps import Step, one_of
from tl_datasets.augment.trial import try_steps
from tl_datasets.errors import ConfigError


def empties(sample, _):
    return replace(sample, xyxy=np.zeros((0, 4)), class_id=np.zeros(0, int), visible=None)


def shrinks(sample, _):
    return replace(sample, image=sample.image[::2].copy())


def keeps(sample, _):
    return sample


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (empties, r"augment.transforms.bad: leaves no box in any of 2 samples, such as that of 'f0'"),
        (shrinks, r"augment.transforms.bad: gives an image of shape \(60, 240, 3\) .*; met at frame 'f0'"),
    ],
)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_bad_step_is_named_with_a_frame_however_rare_and_deep(apply, message, depth, squares):
    good, bad = Step(name="good", p=1, apply=keeps), Step(name="bad", p=1e-6, apply=apply)
    steps = [good, bad]
    for _ in range(depth):
        steps = [one_of(1e-6, steps), good]
    composed = [(f"f{number}", squares(seed=number)) for number in range(2)]
    with pytest.raises(ConfigError, match=message):
        try_steps(steps, composed, 6)


def test_a_geometry_that_leaves_nothing_is_named(squares):
    composed = [("f0", empties(squares(), None))]
    with pytest.raises(ConfigError, match=r"augment.scale: none of the 3 boxes of 1 frames .* 'f0'.*min_size_px"):
        try_steps([], composed, 3)


def test_frames_without_boxes_are_no_fault(squares):
    try_steps([Step(name="empties", p=1, apply=empties)], [("f0", empties(squares(), None))], 0)
    try_steps([Step(name="good", p=1, apply=keeps)], [("f0", squares())], 3)
