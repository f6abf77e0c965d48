"""From configured names to steps; the only door to albumentations.

Pixel transforms are taken as they are, what they do to lamps is for the linter to say. Transforms that move pixels are
probed: boxes must follow the pixels to half a pixel, heads must stay upright and unmirrored.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_datasets.augment.labelled import Labelled, Visibility, keep_visible
from tl_datasets.augment.probe import EVERY_DOT, refuse_bad_geometry
from tl_datasets.augment.settings import Transform
from tl_datasets.augment.steps import Step, effect_step, fault, one_of
from tl_datasets.effects.effects import EFFECTS
from tl_datasets.errors import ConfigError
from tl_datasets.taxonomy import State

logger = logging.getLogger(__name__)

# Must be set before the first import of albumentations, which otherwise asks the package index for its version.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

_VERSION = "2.0.8"
# What its transforms are derived from: they do nothing themselves.
_BASES = frozenset({"BasicTransform", "DualTransform", "ImageOnlyTransform", "Transform3D"})
# Points of a box that are followed, as shares of its sides: the middles too, a transform may bend it.
_POINTS = np.array([(x, y) for x in (0, 0.5, 1) for y in (0, 0.5, 1) if (x, y) != (0.5, 0.5)])


def build_steps(
    transforms: Sequence[Transform],
    canvas: tuple[int, int],
    rule: Visibility,
    is_light: NDArray[np.bool_],
    states: Sequence[State | None] = (),
) -> tuple[Step, ...]:
    """Make the steps of a configuration.

    Args:
        transforms: By name and arguments, in order.
        canvas: Width and height of the samples in pixels.
        rule: What has to be left of a box that a transform moves.
        is_light: (classes,) true for signal heads.
        states: The state of each class, None where it has no single one; empty = no class has.

    Raises:
        ConfigError: A name or argument is wrong, or a transform moves what must not move.
    """
    return tuple(_build(transform, canvas, rule, is_light, states) for transform in transforms)


def _build(
    transform: Transform,
    canvas: tuple[int, int],
    rule: Visibility,
    is_light: NDArray[np.bool_],
    states: Sequence[State | None],
) -> Step:
    arguments = transform.arguments
    if transform.name == "one_of":
        of = arguments.pop("of", None)
        if arguments or not isinstance(of, list):
            raise fault("one_of", "expected a list `of` of steps and nothing else but p")
        try:
            inner = [Transform.model_validate(item) for item in of]
        except ValueError as error:
            raise fault(
                "one_of", f"of: each step needs a name, p in [0, 1] and arguments ({_one_line(error)})"
            ) from error
        return one_of(transform.p, build_steps(inner, canvas, rule, is_light, states))
    if transform.name in EFFECTS:
        severity = _severity(transform.name, arguments.pop("severity", (1, 5)))
        if arguments:
            raise fault(transform.name, f"no argument {', '.join(sorted(arguments))}; expected severity and p")
        return effect_step(transform.name, transform.p, EFFECTS[transform.name], severity, is_light, states)
    return _of_albumentations(transform, canvas, rule)


def _severity(name: str, value: Any) -> tuple[float, float]:
    ends = list(value) if isinstance(value, list | tuple) else [value, value]
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
    if len(ends) != 2 or not numbers or not 1 <= ends[0] <= ends[1] <= 5:
        raise fault(name, f"severity: {value}, expected a number from 1 to 5, or a range such as [1, 3]")
    return float(ends[0]), float(ends[1])


def _of_albumentations(transform: Transform, canvas: tuple[int, int], rule: Visibility) -> Step:
    import albumentations

    name = transform.name
    found = albumentations.__version__
    if found != _VERSION:
        message = f"version {found} is installed, expected {_VERSION}; pip install albumentations=={_VERSION}"
        raise ConfigError("albumentations", [message])
    factory = getattr(albumentations, name, None)
    if not (isinstance(factory, type) and issubclass(factory, albumentations.BasicTransform)) or name in _BASES:
        raise fault(name, f"is no transform of albumentations {_VERSION}, and no effect: {', '.join(sorted(EFFECTS))}")
    is_dual = issubclass(factory, albumentations.DualTransform)
    is_pixels = issubclass(factory, albumentations.ImageOnlyTransform)
    if not (is_dual or is_pixels) or issubclass(factory, albumentations.Transform3D):
        raise fault(name, "is for volumes or for other data than images")
    if "strict" in transform.arguments:
        raise fault(name, "no argument strict; misspelt arguments are refused in any case")
    built = _construct(name, factory, transform.arguments)
    if is_pixels:
        return Step(name=name, p=transform.p, apply=_Pixels(name, built))
    pipeline = albumentations.Compose(
        [built], keypoint_params=albumentations.KeypointParams(format="xy", remove_invisible=False)
    )
    refuse_bad_geometry(Step(name=name, p=1.0, apply=_Moving(name, pipeline, EVERY_DOT)), canvas)
    return Step(name=name, p=transform.p, apply=_Moving(name, pipeline, rule))


def _construct(name: str, factory: Any, arguments: dict[str, Any]) -> Any:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            # Without `strict` a misspelt argument is a warning and the default is used.
            built = factory(**{**arguments, "strict": True, "p": 1.0})
        except Exception as error:
            if "'strict'" not in str(error):
                raise _construction_fault(name, error) from error
            built = _construct_plainly(name, factory, arguments)
    for warning in said:
        logger.warning("augment.transforms.%s: %s", name, _one_line(warning.message))
    return built


def _construct_plainly(name: str, factory: Any, arguments: dict[str, Any]) -> Any:
    """For the few without arguments, which do not know `strict` either."""
    try:
        return factory(**{**arguments, "p": 1.0})
    except Exception as error:
        raise _construction_fault(name, error) from error


def _construction_fault(name: str, error: Exception) -> ConfigError:
    """A TypeError or ValueError says what is wrong with an argument; others only show that it was not expected."""
    return fault(name, _one_line(error)) if isinstance(error, TypeError | ValueError) else _failure(name, error)


def _failure(name: str, error: Exception) -> ConfigError:
    """Whatever albumentations raises: a missing argument shows late, as KeyError, cv2.error or something else."""
    return fault(name, f"fails ({type(error).__name__}: {_one_line(error)})")


# Objects and not closures: loader workers are given the steps by pickle.


@dataclass(frozen=True, slots=True)
class _Pixels:
    """A transform of albumentations that changes pixels where they are."""

    name: str
    built: Any

    def __call__(self, sample: Labelled, rng: np.random.Generator) -> Labelled:
        self.built.set_random_seed(int(rng.integers(2**31)))
        try:
            image = self.built(image=sample.image)["image"]
        except Exception as error:
            raise _failure(self.name, error) from error
        return replace(sample, image=np.ascontiguousarray(image))


@dataclass(frozen=True, slots=True)
class _Moving:
    """A transform of albumentations that moves pixels, in a pipeline that follows points.

    Boxes are points on their sides: albumentations' own boxes are clipped, so that nobody knows what was cut off.
    """

    name: str
    pipeline: Any
    rule: Visibility

    def __call__(self, sample: Labelled, rng: np.random.Generator) -> Labelled:
        boxes = np.concatenate([sample.xyxy, sample.ignore_xyxy])
        # A key point lies on the centre of its pixel, half a pixel from the pixel's edge.
        points = _sides(boxes) - 0.5
        self.pipeline.set_random_seed(int(rng.integers(2**31)))
        try:
            made = self.pipeline(image=sample.image, keypoints=points)
        except Exception as error:
            raise _failure(self.name, error) from error
        moved = np.asarray(made["keypoints"], dtype=np.float64).reshape(-1, 2) + 0.5
        if len(moved) != len(points):
            raise fault(self.name, "drops points of boxes, so that nobody knows where the boxes are; remove it")
        each = moved.reshape(len(boxes), len(_POINTS), 2)
        moved_boxes = np.concatenate([each.min(axis=1), each.max(axis=1)], axis=1)
        image = np.ascontiguousarray(made["image"])
        n = len(sample.xyxy)
        moved_sample = replace(sample, xyxy=moved_boxes[:n], ignore_xyxy=moved_boxes[n:])
        kept = keep_visible(moved_sample, (0, 0, image.shape[1], image.shape[0]), self.rule)
        return replace(
            sample,
            image=image,
            xyxy=kept.xyxy,
            class_id=sample.class_id[kept.index],
            visible=kept.visible,
            ignore_xyxy=kept.ignore_xyxy,
            is_vanished=kept.is_vanished,
        )


def _sides(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N * points, 2) points on the sides of (N, 4) boxes."""
    size = boxes[:, None, 2:] - boxes[:, None, :2]
    return (boxes[:, None, :2] + _POINTS[None] * size).reshape(-1, 2)


def _one_line(error: Exception | Warning | str) -> str:
    return " ".join(str(error).split())
