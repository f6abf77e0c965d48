"""Signal programmes: which state a group of heads shows in which frame, in the legal order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_datasets.taxonomy import State

# Frames per state. Yellow and red-yellow last longer than on a street, so that a detector meets enough of them.
_VEHICLE_CYCLE: tuple[tuple[State, int], ...] = (
    (State.GREEN, 15),
    (State.YELLOW, 8),
    (State.RED, 15),
    (State.RED_YELLOW, 8),
)
_PEDESTRIAN_CYCLE: tuple[tuple[State, int], ...] = ((State.GREEN, 18), (State.RED, 28))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalProgramme:
    """The states of one signal group over time.

    Attributes:
        cycle: States in their legal order, each with its duration in frames.
        offset: Frames that had passed in the cycle when the sequence began.
    """

    cycle: tuple[tuple[State, int], ...]
    offset: int

    def state(self, frame_index: int) -> State:
        """Give the state in a frame."""
        rest = (self.offset + frame_index) % sum(duration for _, duration in self.cycle)
        for state, duration in self.cycle:
            if rest < duration:
                return state
            rest -= duration
        return self.cycle[-1][0]


def vehicle_programme(phase: float, off_share: float) -> SignalProgramme:
    """Begin a vehicle programme at a phase in [0, 1); the first `off_share` of the phases is a dark signal."""
    if phase < off_share:
        return SignalProgramme(cycle=((State.OFF, 1),), offset=0)
    return _begin(_VEHICLE_CYCLE, (phase - off_share) / (1 - off_share))


def pedestrian_programme(rng: np.random.Generator, is_off: bool) -> SignalProgramme:
    """Begin a pedestrian programme anywhere; dark if the signal is off."""
    if is_off:
        return SignalProgramme(cycle=((State.OFF, 1),), offset=0)
    return _begin(_PEDESTRIAN_CYCLE, float(rng.random()))


def _begin(cycle: tuple[tuple[State, int], ...], phase: float) -> SignalProgramme:
    return SignalProgramme(cycle=cycle, offset=int(phase * sum(duration for _, duration in cycle)))
