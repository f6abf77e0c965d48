"""Finds out which way up a step leaves the picture, whatever the step is.

A picture of random shapes runs through the step. If it still looks like itself, nothing was turned. Else its corners
are found again in the result, once as they are and once mirrored, and the best map between them gives the turn. So
changes of colour, noise and blur do not matter, and a step needs no boxes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.augment.labelled import Labelled
from tl_datasets.augment.steps import Step
from tl_datasets.effects.scene import Scene

Image = NDArray[np.uint8]

_SIDE_PX = 192
_DRAWS = 64
# Correlation with the picture as it was, from which on it cannot have been turned by more than 2 degrees.
_SAME = 0.9
_LEAST_MATCHES = 12
# Least share of the corners found again on which the map must agree. On pictures that nothing turned, but strong noise
# hid, maps with a share of 0.2 lean by up to 17 degrees and those from 0.35 on by up to 8. Of 150 random turns with
# scales from 0.6 to 1.6, 95 % have a share of 0.43 or more.
_LEAST_AGREEMENT = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Turning:
    """The worst that a step did to a picture.

    Attributes:
        turn_deg: Largest turn to either side, 0 to 180; upside down is 180.
        mirrored: Whether left and right changed places at least once.
        unknown: Draws after which the picture could not be recognised at all.
        draws: How often it was tried.
    """

    turn_deg: float
    mirrored: bool
    unknown: int
    draws: int


def orientation_of(step: Step, draws: int = _DRAWS, seed: int = 0) -> Turning:
    """Try a step on a picture.

    Args:
        step: Any step; its probability is not used.
        draws: How often; the worst counts, since its parameters are random.
        seed: Of the draws.

    Raises:
        ConfigError: The step fails or gives no image of bytes of the same size.
    """
    picture = _picture()
    sample = Labelled(
        image=picture,
        xyxy=np.zeros((0, 4)),
        class_id=np.zeros(0, dtype=np.int64),
        views=Scene.of_frame(picture).views,
    )
    turn, mirrored, unknown = 0.0, False, 0
    for draw in range(draws):
        made = step.always(sample, np.random.default_rng([seed, draw])).image
        if _correlation(picture, made) >= _SAME:
            continue
        found = _turn_between(picture, made)
        if found is None:
            unknown += 1
            continue
        angle, is_mirrored = found
        turn, mirrored = max(turn, angle), mirrored or is_mirrored
    return Turning(turn_deg=turn, mirrored=mirrored, unknown=unknown, draws=draws)


def geometry_faults(turning: Turning, max_turn_deg: float) -> list[str]:
    """What is wrong with it for signal heads; empty if nothing.

    Args:
        turning: Of a step.
        max_turn_deg: Largest turn that is allowed.
    """
    if turning.mirrored:
        return [
            "mirrors the picture, so that arrows point the other way and the order of the lamps may be reversed, but "
            "not the labels; use augment.flip_lr, which exchanges the classes"
        ]
    if turning.turn_deg > max_turn_deg:
        return [
            f"turns the picture by up to {turning.turn_deg:.0f} degrees, expected at most {max_turn_deg:g}: the order "
            "of the lamps says what they show"
        ]
    return []


@lru_cache(maxsize=1)
def _picture() -> Image:
    """Random grey shapes of several sizes, which look like nothing when mirrored or turned."""
    rng = np.random.default_rng(7)
    image = np.full((_SIDE_PX, _SIDE_PX), 110, np.uint8)
    for size in (60, 30, 14, 14, 8, 8):
        for _ in range(14):
            points = rng.integers(0, _SIDE_PX, 2) + rng.integers(-size, size + 1, (3, 2))
            cv2.fillConvexPoly(image, points.astype(np.int32), int(rng.integers(20, 236)), cv2.LINE_AA)
    image.setflags(write=False)
    return np.repeat(image[:, :, None], 3, axis=2)


def _grey(image: Image) -> NDArray[np.float32]:
    grey = image.max(axis=2).astype(np.float32)
    return cv2.GaussianBlur(grey, (0, 0), 1.5)  # type: ignore[return-value]


def _correlation(one: Image, other: Image) -> float:
    first, second = _grey(one).ravel(), _grey(other).ravel()
    first, second = first - first.mean(), second - second.mean()
    spread = float(np.linalg.norm(first) * np.linalg.norm(second))
    # Inverted brightness does not turn a picture.
    return abs(float(first @ second)) / spread if spread > 0 else 0.0


def _turn_between(before: Image, after: Image) -> tuple[float, bool] | None:
    """Turn in degrees, 0 to 180, and whether it is mirrored; None where too few corners agree on one."""
    best: tuple[int, float, bool] | None = None
    for is_mirrored, picture in ((False, before), (True, np.ascontiguousarray(before[:, ::-1]))):
        found = _matches(picture, after)
        if found is None:
            continue
        matrix, inside = cv2.estimateAffine2D(*found, method=cv2.RANSAC, ransacReprojThreshold=4.0)
        count = 0 if inside is None else int(inside.sum())
        if matrix is None or count < max(_LEAST_MATCHES, _LEAST_AGREEMENT * len(found[0])):
            continue
        if best is not None and count <= best[0]:
            continue
        # Where the downward direction goes; a shear to the side tilts a head as a turn does.
        best = count, abs(math.degrees(math.atan2(-matrix[0, 1], matrix[1, 1]))), is_mirrored
    return None if best is None else best[1:]


def _matches(before: Image, after: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    corners = cv2.ORB_create(nfeatures=400, fastThreshold=8)  # type: ignore[attr-defined]
    points, marks = corners.detectAndCompute(before[:, :, 0], None)
    other_points, other_marks = corners.detectAndCompute(np.ascontiguousarray(after.max(axis=2)), None)
    if marks is None or other_marks is None:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(marks, other_marks)
    if len(pairs) < _LEAST_MATCHES:
        return None
    source = np.array([points[pair.queryIdx].pt for pair in pairs], np.float32)
    target = np.array([other_points[pair.trainIdx].pt for pair in pairs], np.float32)
    return source, target
