"""`Step`: one link of the chain that runs on the finished canvas, and the steps that are ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tl_datasets.augment.labelled import Labelled
from tl_datasets.effects.scene import Effect, Scene
from tl_datasets.errors import ConfigError
from tl_datasets.taxonomy import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that is done to a sample with a probability.

    Attributes:
        name: As configured.
        p: Probability that it is done, in [0, 1].
        apply: (sample, random generator) -> new sample of the same size; always does it.
        of: For `one_of`, the steps among which it chooses, with their probabilities under the condition that it runs.
    """

    name: str
    p: float
    apply: Callable[[Labelled, np.random.Generator], Labelled]
    of: tuple[Step, ...] = ()

    def maybe(self, sample: Labelled, rng: np.random.Generator) -> Labelled:
        """Do it with its probability.

        Raises:
            ConfigError: It gives no image of bytes of the same size, or boxes that are not finite.
        """
        if rng.random() >= self.p:
            return sample
        return self.always(sample, rng)

    def always(self, sample: Labelled, rng: np.random.Generator) -> Labelled:
        """Do it.

        Raises:
            ConfigError: As for `maybe`.
        """
        made = self.apply(sample, rng)
        _check(self.name, sample.image, made)
        return made


def run_steps(steps: Sequence[Step], sample: Labelled, rng: np.random.Generator) -> Labelled:
    """Do each step with its probability, in order."""
    for step in steps:
        sample = step.maybe(sample, rng)
    return sample


def fault(name: str, message: str) -> ConfigError:
    """What is wrong with a configured step, under its key."""
    return ConfigError(f"augment.transforms.{name}", [message])


def effect_step(
    name: str,
    p: float,
    effect: Effect,
    severity: tuple[float, float],
    is_light: NDArray[np.bool_],
    states: Sequence[State | None] = (),
) -> Step:
    """A weather, light or camera effect with a severity that is drawn anew each time.

    A frame whose weather or time of day excludes the effect is left as it is.

    Args:
        name: Of the effect; written into the sample.
        p: Probability.
        effect: From `EFFECTS`.
        severity: Lowest and highest, in [1, 5].
        is_light: (classes,) true for signal heads.
        states: The state of each class, None where it has no single one; empty = no class has.
    """
    known = tuple(states) or (None,) * len(is_light)
    return Step(name=name, p=p, apply=_ApplyEffect(name, effect, severity, is_light, known))


def one_of(p: float, steps: Sequence[Step]) -> Step:
    """Exactly one of several steps, drawn in proportion to their p.

    Raises:
        ConfigError: There is none, or all have p 0.
    """
    total = sum(step.p for step in steps)
    if not total > 0:
        raise fault("one_of", "of: expected a list of steps, at least one of them with p above 0")
    of = tuple(replace(step, p=step.p / total) for step in steps)
    return Step(name="one_of", p=p, apply=_ApplyOne(of), of=of)


# Objects and not closures: loader workers are given the steps by pickle.


@dataclass(frozen=True, slots=True)
class _ApplyEffect:
    name: str
    effect: Effect
    severity: tuple[float, float]
    is_light: NDArray[np.bool_]
    states: tuple[State | None, ...]

    def __call__(self, sample: Labelled, rng: np.random.Generator) -> Labelled:
        effect, severity = self.effect, rng.uniform(*self.severity)
        if sample.weather in effect.not_in_weather or sample.time_of_day in effect.not_in_time_of_day:
            return sample
        light = self.is_light[sample.class_id]
        scene = Scene(
            image=sample.image,
            lights_xyxy=sample.xyxy[light],
            lights_state=tuple(self.states[class_id] for class_id in sample.class_id[light].tolist()),
            views=sample.views,
        )
        return replace(
            sample,
            image=effect.apply(scene, severity, rng),
            weather=sample.weather if effect.weather is None else str(effect.weather),
            time_of_day=sample.time_of_day if effect.time_of_day is None else str(effect.time_of_day),
            made=(*sample.made, self.name),
        )


@dataclass(frozen=True, slots=True)
class _ApplyOne:
    steps: tuple[Step, ...]

    def __call__(self, sample: Labelled, rng: np.random.Generator) -> Labelled:
        edges = np.cumsum([step.p for step in self.steps])
        chosen = min(int(np.searchsorted(edges, rng.random(), side="right")), len(self.steps) - 1)
        return self.steps[chosen].always(sample, rng)


def _check(name: str, before: NDArray[np.uint8], made: Labelled) -> None:
    after = made.image
    if not isinstance(after, np.ndarray) or after.dtype != np.uint8:
        kind = getattr(after, "dtype", type(after).__name__)
        broken = ", some of them not finite" if isinstance(after, np.ndarray) and not np.isfinite(after).all() else ""
        raise fault(name, f"gives an image of {kind}{broken}, expected uint8 RGB; the trainers scale it themselves")
    if after.shape != before.shape:
        raise fault(
            name,
            f"gives an image of shape {after.shape} for {before.shape}; the size is model.input and must stay",
        )
    if not (np.isfinite(made.xyxy).all() and np.isfinite(made.ignore_xyxy).all()):
        raise fault(name, "gives boxes that are not finite")
