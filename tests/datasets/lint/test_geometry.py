"""Which way up a step leaves the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tl_datasets.augment.steps import Step
from tl_datasets.lint.geometry import geometry_faults, orientation_of


def step(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Step:
    return Step(
        name="Some",
        p=1.0,
        apply=lambda sample, rng: replace(sample, image=np.ascontiguousarray(change(sample.image, rng))),
    )


def turned(image: np.ndarray, degrees: float, scale: float = 1.0) -> np.ndarray:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


def noisy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(image + rng.normal(0, 25, image.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("nothing", lambda image, rng: image),
        ("noise", noisy),
        ("blur", lambda image, rng: cv2.GaussianBlur(image, (0, 0), 2.5)),
        ("channels shuffled", lambda image, rng: image[:, :, rng.permutation(3)]),
        ("brightness inverted", lambda image, rng: 255 - image),
        ("dark", lambda image, rng: (image * 0.15).astype(np.uint8)),
        ("shifted", lambda image, rng: np.roll(image, (17, -23), (0, 1))),
        ("scaled", lambda image, rng: turned(image, 0, 1.4)),
        ("black", lambda image, rng: np.zeros_like(image)),
    ],
)
def test_steps_that_turn_nothing(what, change):
    found = orientation_of(step(change), draws=8)
    assert not found.mirrored and found.turn_deg < 3, what
    assert geometry_faults(found, 10.0) == []


@pytest.mark.parametrize("degrees", [5, -8, 15, -30, 90, 170])
def test_turns_are_measured(degrees):
    found = orientation_of(step(lambda image, rng: turned(image, degrees)), draws=4)
    assert found.turn_deg == pytest.approx(abs(degrees), abs=1.5) and not found.mirrored
    assert bool(geometry_faults(found, 10.0)) == (abs(degrees) > 10)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("left and right", lambda image: image[:, ::-1]),
        ("upside down", lambda image: image[::-1]),
        ("transposed", lambda image: image.transpose(1, 0, 2)),
    ],
)
def test_mirror_images_are_refused(what, change):
    found = orientation_of(step(lambda image, rng: change(image)), draws=2)
    assert found.mirrored
    assert "use augment.flip_lr" in geometry_faults(found, 10.0)[0]


def test_a_half_turn_is_no_mirror_image():
    found = orientation_of(step(lambda image, rng: image[::-1, ::-1]), draws=2)
    assert not found.mirrored and found.turn_deg == pytest.approx(180, abs=1)
    assert "by up to 180 degrees, expected at most 10" in geometry_faults(found, 10.0)[0]


def test_the_worst_of_random_draws_counts():
    """A flip in one of ten draws, and turns between -20 and 20 degrees."""
    rare = orientation_of(step(lambda image, rng: image[:, ::-1] if rng.random() < 0.1 else image))
    assert rare.mirrored
    angles = orientation_of(step(lambda image, rng: turned(image, rng.uniform(-20, 20))))
    assert 17 < angles.turn_deg < 21.5


def test_a_map_on_which_few_corners_agree_by_chance_is_no_turn():
    """So much noise that the picture is hardly there: some of 64 maps lean, and all of them mean nothing."""
    found = orientation_of(
        step(lambda image, rng: np.clip(image + rng.normal(0, 255, image.shape), 0, 255).astype(np.uint8))
    )
    assert geometry_faults(found, 10.0) == [] and found.unknown > found.draws / 4


def test_turned_and_recoloured_at_once():
    def both(image, rng):
        return noisy(turned(image, 25)[:, :, ::-1], rng)

    assert orientation_of(step(both), draws=4).turn_deg == pytest.approx(25, abs=2)


def test_a_picture_that_is_lost_is_counted():
    found = orientation_of(step(lambda image, rng: np.full_like(image, 90)), draws=3)
    assert (found.unknown, found.draws) == (3, 3)
