"""What a signal head shows before and after a transform: two witnesses, the place of the lit lens and its colour.

Before, `lamps.state.read_state` finds the lit lens, and the colour of that lens must be the one of the label. After,
the colour at the same place is asked first: it may be another one, or gone. Where it still agrees, the place is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tl_datasets.lamps.state import read_state
from tl_datasets.lint.lens_colour import (
    CLEAR_CHROMA,
    CLEAR_DEG,
    RED_YELLOW_DEG,
    colour_of,
    hue_and_chroma,
    lens_part,
)
from tl_datasets.taxonomy import Orientation, State

# Half the part of a head in which a lit lens is looked for: boxes are drawn loosely. Of two lit lenses each has less.
_HALF, _HALF_OF_TWO = 0.2, 0.13


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadBuild:
    """How a head is built, as far as reading it needs.

    Attributes:
        orientation: How the lenses are stacked; None = along the longer side.
        n_lenses: Number of lenses; 1 = the box is around the lit lamp.
        with_red_yellow: Whether red and yellow together are a state where it stands.
    """

    orientation: Orientation | None = None
    n_lenses: int = 3
    with_red_yellow: bool = True

    def is_horizontal(self, width: float, height: float) -> bool:
        """Whether the lenses of a head of this size stand beside each other."""
        if self.n_lenses == 1:
            return False
        return self.orientation is Orientation.HORIZONTAL or (
            self.orientation is not Orientation.VERTICAL and width > height
        )


class Unreadable(StrEnum):
    """Why a lamp is no measure: it is not read as its label says before anything was done to it."""

    UNLIT = "no lens stands out as lit"
    PLACE = "the lit lens reads as another state"
    COLOUR = "the colour of the lit lens alone is another"
    GREY = "the lit lens has hardly any colour"
    BORDER = "the colour lies on the border of red and yellow"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadBefore:
    """A head that shows what its label says.

    Attributes:
        state: Its label.
        build: How it is built.
        lens_positions: Centres of the lit lenses along the head, 0 to 1; None = the box is around one lamp.
    """

    state: State
    build: HeadBuild
    lens_positions: tuple[float | None, ...]


def locate_lenses(crop: NDArray[np.uint8], label: State, build: HeadBuild) -> HeadBefore | Unreadable:
    """Find the lit lenses of a labelled head.

    Args:
        crop: (H, W, 3) uint8 RGB, the pixels of its box.
        label: Its state.
        build: How it is built.

    Returns:
        Where they are, or why there are none that agree with the label.
    """
    with_red_yellow = build.with_red_yellow or label is State.RED_YELLOW
    reading = read_state(crop, build.orientation, build.n_lenses, with_red_yellow=with_red_yellow)
    if reading.state is None:
        return Unreadable.UNLIT
    if reading.state is not label:
        return Unreadable.PLACE
    centre, step = reading.lit_position, 0.5 / build.n_lenses
    if centre is None or label is not State.RED_YELLOW:
        positions: tuple[float | None, ...] = (centre,)
    else:
        positions = (centre - step, centre + step)
    return HeadBefore(state=label, build=build, lens_positions=positions)


def lens_hues(crop: NDArray[np.uint8], head: HeadBefore) -> list[tuple[float, float]]:
    """Hue in degrees and chroma, 0 to 255, of each lit lens."""
    half = _HALF if len(head.lens_positions) == 1 else _HALF_OF_TWO
    horizontal = head.build.is_horizontal(crop.shape[1], crop.shape[0])
    head_rgb = None if head.build.n_lenses == 1 else np.median(crop.reshape(-1, 3), axis=0)
    return [hue_and_chroma(lens_part(crop, position, half, horizontal), head_rgb) for position in head.lens_positions]


def state_of_hues(hues: Sequence[tuple[float, float]], red_yellow_deg: float = RED_YELLOW_DEG) -> State | None:
    """The state that the colours of the lit lenses give; None where one of them has none."""
    found = {colour_of(hue, chroma, red_yellow_deg) for hue, chroma in hues}
    if None in found:
        return None
    if found == {State.RED, State.YELLOW}:
        return State.RED_YELLOW
    # Of two lenses one may be wrong: a green one beside a red one.
    return State.GREEN if State.GREEN in found else next(iter(found))


def what_is_unclear(
    hues: Sequence[tuple[float, float]], label: State, red_yellow_deg: float = RED_YELLOW_DEG
) -> Unreadable | None:
    """Why the colours of the lit lenses do not say clearly what the label says; None where they do."""
    shown = state_of_hues(hues, red_yellow_deg)
    if shown is None or min(chroma for _, chroma in hues) < CLEAR_CHROMA:
        return Unreadable.GREY
    if shown is not label:
        return Unreadable.COLOUR
    near = any(abs(hue - red_yellow_deg) < CLEAR_DEG for hue, _ in hues)
    return Unreadable.BORDER if near else None


def read_head(crop: NDArray[np.uint8], head: HeadBefore, red_yellow_deg: float = RED_YELLOW_DEG) -> State | None:
    """What a head shows after a transform.

    Args:
        crop: (H, W, 3) uint8 RGB, the pixels of its box.
        head: The head as it was before.
        red_yellow_deg: Border of red and yellow.

    Returns:
        Its label if both witnesses still say so; the other state that either says; None where nothing can be read.
    """
    if not crop.size:
        return None
    by_colour = state_of_hues(lens_hues(crop, head), red_yellow_deg)
    if by_colour is not head.state:
        return by_colour
    build = head.build
    with_red_yellow = build.with_red_yellow or head.state is State.RED_YELLOW
    return read_state(crop, build.orientation, build.n_lenses, with_red_yellow=with_red_yellow).state
