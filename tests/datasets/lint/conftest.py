"""Heads that show a state, alone and in catalogs, and steps that do known things to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tl_datasets.augment.steps import Step
from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.lint.drawn_lamps import draw_lamps
from tl_datasets.lint.lamps import Lamps
from tl_datasets.lint.lens_colour import RED_YELLOW_DEG
from tl_datasets.taxonomy import State, TimeOfDay, Weather

STATES = (State.RED, State.RED_YELLOW, State.YELLOW, State.GREEN)


@pytest.fixture(scope="session")
def drawn() -> Lamps:
    """Twelve drawn lamps of each state."""
    lamps = [
        lamp for state in STATES for lamp in draw_lamps(state, 12, 0, red_yellow_deg=RED_YELLOW_DEG, min_height_px=12.0)
    ]
    return Lamps(lamps=tuple(lamps), red_yellow_deg=RED_YELLOW_DEG, tried={}, misread={})


@pytest.fixture(scope="session")
def make_step() -> Callable[..., Step]:
    """`make(name, change, p)`: a step out of a function (image, rng) -> image."""

    def make(name: str, change: Callable[..., np.ndarray], p: float = 1.0) -> Step:
        return Step(name=name, p=p, apply=lambda sample, rng: replace(sample, image=change(sample.image, rng)))

    return make


@pytest.fixture
def street(tmp_path: Path) -> Callable[..., Catalog]:
    """`make(labels, frames, drives, ...)`: frames of 256x128 with one drawn head each, in a catalog.

    Frame n belongs to drive n % drives; odd drives are rainy nights. `labels` maps the state that is drawn to the one
    that is written down.
    """

    def make(
        states: tuple[State, ...] = STATES,
        *,
        frames: int = 40,
        drives: int = 4,
        labels: dict[State, State | None] | None = None,
        enlarged: float = 1.0,
    ) -> Catalog:
        images = tmp_path / "images"
        images.mkdir(exist_ok=True)
        heads = {
            state: draw_lamps(state, frames, 1, red_yellow_deg=RED_YELLOW_DEG, min_height_px=16.0) for state in states
        }
        made = []
        for number in range(frames):
            state = states[number % len(states)]
            lamp = heads[state][number]
            image = np.full((128, 256, 3), 90, np.uint8)
            left = (31 * number) % 128
            image[:, left : left + 128] = lamp.sample.image
            x1, y1, x2, y2 = (lamp.sample.xyxy[0] + np.array([left, 0, left, 0])).tolist()
            if enlarged != 1:
                image = cv2.resize(image, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
                x1, y1, x2, y2 = (enlarged * side for side in (x1, y1, x2, y2))
            cv2.imwrite(str(images / f"{number}.png"), image[:, :, ::-1])
            label = state if labels is None else labels.get(state, state)
            drive = number % drives
            made.append(
                Frame(
                    frame_id=f"frame{number}",
                    path=f"{number}.png",
                    width_px=image.shape[1],
                    height_px=image.shape[0],
                    annotations=(Annotation(xyxy=(x1, y1, x2, y2), state=label),),
                    sequence=f"drive{drive}",
                    weather=Weather.RAINY if drive % 2 else Weather.CLEAR,
                    time_of_day=TimeOfDay.NIGHT if drive % 2 else TimeOfDay.DAYTIME,
                )
            )
        return Catalog.from_frames(made, source="drawn", root=images)

    return make
