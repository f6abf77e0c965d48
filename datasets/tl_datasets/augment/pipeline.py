"""`Augmenter`: from frames to training samples of the network's input size, each decided by its own generator.

A sample is made in this order: a plan (mosaic, crop or whole frame, and the scale), one resize per frame, mix-up,
mirror image, and the configured steps on the finished canvas.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tl_datasets.augment.geometry import LARGEST_TILE, crop, lay, mosaic_tiles, whole
from tl_datasets.augment.labelled import Labelled, Visibility
from tl_datasets.augment.mirror import flip_lr, mirrored_ids
from tl_datasets.augment.mix_up import mix_up
from tl_datasets.augment.settings import AugmentConfig, Transform
from tl_datasets.augment.steps import run_steps
from tl_datasets.augment.transforms import build_steps
from tl_datasets.errors import ConfigError
from tl_datasets.label_space import LabelSpace
from tl_datasets.letterbox import place
from tl_datasets.reduced_images import factor_for

TILES = 4
# Pixels of a reduced frame that are made of each, at most, where a tile must be filled; the letterbox of a square input
# from a camera of 16:9 asks for 1.24, and half the size is decoded in a third of the time.
_LARGEST_STRETCH = 1.25
# Weight of the first of two samples in a mix-up: neither may drown.
_MIX_SHARE = (0.35, 0.65)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What becomes of a frame in an epoch.

    Attributes:
        kind: "mosaic" = it leads a mosaic, "crop" = a part around a light, "whole" = all of it.
        factor: On top of the letterbox scale; also where it is a part of another frame's mosaic.
        mixed: It is blended with another sample.
    """

    kind: Literal["mosaic", "crop", "whole"]
    factor: float
    mixed: bool


class Augmenter:
    """Turns frames into training samples of the network's input size."""

    def __init__(
        self,
        config: AugmentConfig,
        label_space: LabelSpace,
        width_px: int,
        height_px: int,
        candidates: NDArray[np.bool_] | None = None,
    ):
        """Check the configuration and build its steps.

        Args:
            config: What is done.
            label_space: The classes of the boxes.
            width_px: Width of the network's input.
            height_px: Its height.
            candidates: (K, classes) what the boxes may be whose ids lie behind the classes; with each set its mirror
                image. None = there are no such boxes.

        Raises:
            ConfigError: A step is unknown or wrong, moves what must not move, or a mirror image has no class to become.
        """
        self.config = config
        self.canvas = width_px, height_px
        sets = np.zeros((0, len(label_space)), dtype=bool) if candidates is None else candidates
        self.mirrored = mirrored_ids(label_space.mirrored, sets)
        if config.flip_lr and None in label_space.mirrored:
            alone = [
                name for name, partner in zip(label_space.names, label_space.mirrored, strict=True) if partner is None
            ]
            raise ConfigError(
                "augment.flip_lr",
                [f"class '{alone[0]}' has no mirror class; set flip_lr: 0 or add the other direction"],
            )
        _check_mirror_image(config, label_space)
        _check_copy_paste(config, label_space)
        is_light = np.array(label_space.lights, dtype=bool)
        self.is_light = np.concatenate([is_light, (is_light | ~sets).all(axis=1)])
        self.rule = Visibility(
            shares=np.where(self.is_light, config.min_visible, config.min_visible_other), size_px=config.min_size_px
        )
        self.steps = build_steps(
            config.transforms, self.canvas, self.rule, self.is_light, (*label_space.states, *(None for _ in sets))
        )
        _check_allowed(config)

    def plan(self, rng: np.random.Generator, *, mosaic: bool) -> Plan:
        """Decide what becomes of a frame.

        Args:
            rng: Belongs to the frame and the epoch.
            mosaic: Whether mosaics and mix-up are still made in this epoch.
        """
        config = self.config
        # All are drawn, so that one setting does not change what the others give.
        is_mosaic, is_crop, is_mixed = (rng.random(3) < (config.mosaic, config.crop, config.mix_up)).tolist()
        factors = rng.uniform(*config.scale), rng.uniform(*config.crop_scale)
        if mosaic and is_mosaic:
            return Plan(kind="mosaic", factor=factors[0], mixed=is_mixed)
        if is_crop:
            return Plan(kind="crop", factor=factors[1], mixed=mosaic and is_mixed)
        return Plan(kind="whole", factor=factors[0], mixed=mosaic and is_mixed)

    def reduction(self, width_px: int, height_px: int, plan: Plan) -> int:
        """By how much a frame may be reduced while it is decoded.

        As much as `max_stretch` allows; at 1, as loses no pixel that the plan shows. A tile that would otherwise show
        padding may enlarge pixels by `_LARGEST_STRETCH` in any case.

        Args:
            width_px: Width of the frame.
            height_px: Its height.
            plan: What becomes of it.

        Returns:
            1, 2, 4 or 8.
        """
        scale = place(width_px, height_px, *self.canvas).scale * plan.factor
        share = 1.0 if plan.kind == "crop" else LARGEST_TILE if self.config.mosaic else 0.0
        filling = share * max(self.canvas[0] / width_px, self.canvas[1] / height_px)
        stretch = self.config.max_stretch
        return factor_for(max(scale / stretch, filling / max(stretch, _LARGEST_STRETCH)))

    def sample(
        self, frames: Sequence[tuple[Labelled, Plan]], rng: np.random.Generator, *, may_flip: bool = True
    ) -> Labelled:
        """Make one sample: `compose`, then the configured steps.

        Args:
            frames: The frame itself first, with its plan; then three more for a mosaic, then one to blend it with.
            rng: Decides everything random about this sample.
            may_flip: False where a frame comes from a country whose scenes are not mirrored.

        Returns:
            A sample of the network's input size.

        Raises:
            ConfigError: A step gives something else than an image of the same size.
            ValueError: The number of frames is not what the plan needs.
        """
        return run_steps(self.steps, self.compose(frames, rng, may_flip=may_flip), rng)

    def compose(
        self, frames: Sequence[tuple[Labelled, Plan]], rng: np.random.Generator, *, may_flip: bool = True
    ) -> Labelled:
        """The canvas on which the steps run: frames laid out, mixed and mirrored; arguments as for `sample`."""
        plan = frames[0][1]
        parts = TILES if plan.kind == "mosaic" else 1
        if len(frames) != parts + plan.mixed:
            raise ValueError(f"{len(frames)} frames for a {plan.kind}, expected {parts + plan.mixed}")
        made = self._lay(frames[:parts], plan, rng)
        if plan.mixed:
            other, other_plan = frames[-1]
            made = mix_up(made, self._one(other, other_plan, rng), rng.uniform(*_MIX_SHARE))
        # Drawn in any case: the steps do not change with the country.
        if rng.random() < self.config.flip_lr and may_flip:
            made = flip_lr(made, self.mirrored)
        return made

    def _lay(self, frames: Sequence[tuple[Labelled, Plan]], plan: Plan, rng: np.random.Generator) -> Labelled:
        if plan.kind != "mosaic":
            return self._one(*frames[0], rng)
        tiles = mosaic_tiles(self.canvas, rng)
        # The frame that leads lies in any of the four.
        order = rng.permutation(TILES)
        pieces = [
            crop(frames[number][0], frames[number][1].factor, tile, self.canvas, self.is_light, rng)
            for number, tile in zip(order, tiles, strict=True)
        ]
        return lay(pieces, self.canvas, self.rule, self.config.horizon)

    def _one(self, frame: Labelled, plan: Plan, rng: np.random.Generator) -> Labelled:
        if plan.kind == "crop":
            piece = crop(frame, plan.factor, (0, 0, *self.canvas), self.canvas, self.is_light, rng)
        else:
            piece = whole(frame, plan.factor, self.config.translate, self.canvas, rng)
        return lay([piece], self.canvas, self.rule, self.config.horizon)


def _names(transform: Transform) -> Iterator[str]:
    """The name of a step, or those of the steps in a `one_of`, however deep."""
    if transform.name != "one_of":
        yield transform.name
        return
    for item in transform.arguments["of"]:
        yield from _names(Transform.model_validate(item))


def _check_mirror_image(config: AugmentConfig, label_space: LabelSpace) -> None:
    fault = label_space.mirror_fault if config.flip_lr else None
    if fault is not None:
        raise ConfigError("augment.flip_lr", [f"{fault}; set flip_lr: 0, or let the rules treat both sides alike"])


def _check_copy_paste(config: AugmentConfig, label_space: LabelSpace) -> None:
    rules = (*label_space.classes.values(), *label_space.ignore, *label_space.drop, *label_space.box_only)
    if config.copy_paste.p and any(rule.relevance is not None for rule in rules):
        raise ConfigError(
            "augment.copy_paste.p",
            ["the classes ask for relevance, which a head does not take along to another place; set copy_paste.p: 0"],
        )


def _check_allowed(config: AugmentConfig) -> None:
    """A misspelt override would allow nothing, and say nothing."""
    names = {name for transform in config.transforms for name in _names(transform)}
    if "one_of" in config.allow_unsafe:
        raise ConfigError(
            "augment.allow_unsafe",
            ["'one_of' allows nothing, each of its steps is judged on its own; name the steps of its list `of`"],
        )
    unknown = [name for name in config.allow_unsafe if name not in names]
    if unknown:
        known = ", ".join(sorted(names)) or "none"
        raise ConfigError(
            "augment.allow_unsafe", [f"'{unknown[0]}' is not among augment.transforms ({known}); check the spelling"]
        )
