"""Reads from the pixels of a signal head what it shows: the hue of the lit lens and its place in the housing.

A housing is a dark column (or row) of equal cells, one per lens, somewhere inside the box. Every state says which cells
are lit and in which hue. All sizes and places of the housing inside the box are tried for every state, and the state
gets the score of its best fit:

    score = (lit cells - brightest unlit cell - DARK_SPREAD * spread of the unlit cells) / contrast of the box
            - MARGIN_COST * share of the box outside the housing
            + logarithm of how well the hue of the lit cells fits

Over-exposed lamps have a white core, so the hue is that of the excess of the lit cell over the unlit ones, and the
place decides where hue says little. A bright board around the housing lies outside the cells.

What it does not do: tell a white surface that fills just the place of one lens from an over-exposed lamp, tell a dark
head from a faintly lit one (it then reads nothing), read the place in a horizontal head (red is on the left in Korea
and on the right in Japan; hue alone counts), or know lens orders other than red, yellow, green from top to bottom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.lamps.housing_windows import CELL_PX, integral, means, windows_of
from tl_datasets.taxonomy import Orientation, State

Floats = NDArray[np.float64]

_HUES = (State.RED, State.YELLOW, State.GREEN)
# The states that can be read; a dark lamp is not told from a faint one.
READABLE = (State.RED, State.RED_YELLOW, State.YELLOW, State.GREEN)

# Tuned on the lamps of DTLD's Bochum, Bremen, Dortmund and Duesseldorf; measured on Berlin and other sets by
# tools/measure_state_check.py.
DARK_SPREAD = 2.0
MARGIN_COST = 1.0
CHROMA_WEIGHT = 1.0
# The contrast that a fit is measured by: this share of the range of the box, and never less than the second number.
CONTRAST_SHARE, CONTRAST_FLOOR = 0.15, 0.03
# Below this score nothing stands out as a lit lens. Six dark real heads stay below -0.5, drawn ones with glossy lenses
# reach 1.1.
LIT_SCORE = 0.0
# A hue that does not fit at all costs ln 0.02 = -3.9, whatever it is instead: noise must not outvote the place.
_HUE_FLOOR = 0.02
# A fit below this is no hue; white fits yellow by -0.9.
_CLEAR_HUE = -0.7
# Red and yellow together differ in tint by more than this; one blooming red lamp does not.
_TINT_STEP = 0.12
# Excess brightness below which the hue is noise, in [0, 1].
_LEAST_EXCESS = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class LampReading:
    """What the pixels of a signal head show.

    Attributes:
        state: The state that fits best; None where no lens stands out as lit, or none was readable.
        confidence: In [0, 1]: share of the best state among all, 0 without a state. DTLD's Berlin: of 198 readings with
            0.9 and more all were right, of 41 with 0.7 to 0.9 there were 39.
        scores: Score of every readable state; empty where the crop has no pixels.
        place_scores: The part of each score that hue has not given: contrast, place and fit of the housing.
        lit_hues: For each lit cell of the best state, how well red, yellow and green fit it, in [-3.9, 0].
        lit_position: Centre of the lit cells along the housing, 0 = top or left end, 1 = other end; None without a
            state, or with one lens.
    """

    state: State | None
    confidence: float
    scores: Mapping[State, float]
    place_scores: Mapping[State, float]
    lit_hues: tuple[Mapping[State, float], ...]
    lit_position: float | None

    def margin_over(self, state: State) -> float:
        """By how much the best state beats a given one; 0 where nothing was read or the state cannot be read."""
        if self.state is None or state not in self.scores:
            return 0.0
        return self.scores[self.state] - self.scores[state]

    def hue_against(self, state: State) -> float:
        """By how much another hue than those of a state fits the lit cells better, 0 to 3.9 on average.

        White says nothing against any state: a cell counts where some hue fits it well.
        """
        own = (State.RED, State.YELLOW) if state is State.RED_YELLOW else (state,)
        if not self.lit_hues or not set(own) <= set(_HUES):
            return 0.0
        against = [
            max(fits.values()) - max(fits[hue] for hue in own) if max(fits.values()) > _CLEAR_HUE else 0.0
            for fits in self.lit_hues
        ]
        return sum(against) / len(against)

    def place_against(self, state: State) -> float:
        """By how much the place of the lit cells speaks against a state; 0 where there is no place."""
        if self.state is None or self.lit_position is None or state not in self.place_scores:
            return 0.0
        return self.place_scores[self.state] - self.place_scores[state]


class _Fit(NamedTuple):
    place: float
    hue: float
    excess: Floats  # (lit cells, 3) colour above that of the unlit cells
    position: float | None

    @property
    def score(self) -> float:
        return self.place + self.hue


class _Hypothesis(NamedTuple):
    state: State
    lit: tuple[int, ...]  # cells
    hues: tuple[State, ...]  # of the lit cells, in the same order


def read_state(
    crop_rgb: NDArray[np.uint8],
    orientation: Orientation | None = None,
    n_lenses: int = 3,
    *,
    with_red_yellow: bool = True,
) -> LampReading:
    """Read what a signal head shows.

    Args:
        crop_rgb: (H, W, 3) uint8 RGB, the pixels of the box around the housing (or around the one lens).
        orientation: How the lenses are stacked; None and unknown = along the longer side.
        n_lenses: Lenses of the housing, 1 to 4; 1 = the box is around the lamp, and hue alone counts.
        with_red_yellow: Whether red and yellow together are a state there. A red lamp that blooms at night looks like
            it, so America is better read without.

    Returns:
        The reading. It is trusted from a housing of 12 px length on; see the measurement.

    Raises:
        ValueError: The crop is no RGB image of bytes, or the number of lenses is outside 1 to 4.
    """
    if crop_rgb.ndim != 3 or crop_rgb.shape[2] != 3 or crop_rgb.dtype != np.uint8:
        raise ValueError(f"crop of shape {crop_rgb.shape} and type {crop_rgb.dtype}, expected (H, W, 3) uint8")
    if not 1 <= n_lenses <= 4:
        raise ValueError(f"{n_lenses} lenses, expected 1 to 4")
    height, width = crop_rgb.shape[:2]
    if height == 0 or width == 0:
        return _nothing()
    horizontal = orientation is Orientation.HORIZONTAL or (orientation is not Orientation.VERTICAL and width > height)
    upright = crop_rgb.transpose(1, 0, 2) if horizontal and n_lenses > 1 else crop_rgb
    if n_lenses == 1:
        return _read_single(upright)
    hypotheses = _hypotheses(n_lenses, horizontal)
    if not with_red_yellow:
        hypotheses = tuple(item for item in hypotheses if item.state is not State.RED_YELLOW)
    return _read_housing(upright, n_lenses, hypotheses)


def _nothing() -> LampReading:
    return LampReading(state=None, confidence=0.0, scores={}, place_scores={}, lit_hues=(), lit_position=None)


@lru_cache
def _hypotheses(n_lenses: int, horizontal: bool) -> tuple[_Hypothesis, ...]:
    """What may be lit. Only a vertical head of two or three lenses has an order that holds everywhere."""
    red, yellow, green = State.RED, State.YELLOW, State.GREEN
    if not horizontal and n_lenses == 3:
        cells: dict[State, tuple[int, ...]] = {red: (0,), yellow: (1,), green: (2,)}
    elif not horizontal and n_lenses == 2:
        cells = {red: (0,), yellow: (0, 1), green: (1,)}
    else:
        cells = dict.fromkeys((red, yellow, green), tuple(range(n_lenses)))
    found = [_Hypothesis(state, (cell,), (state,)) for state, places in cells.items() for cell in places]
    for first, second in product(cells[red], cells[yellow]):
        if abs(first - second) == 1 and n_lenses > 2:
            found.append(_Hypothesis(State.RED_YELLOW, (first, second), (red, yellow)))
    return tuple(found)


def _read_housing(crop: NDArray[np.uint8], n_lenses: int, hypotheses: tuple[_Hypothesis, ...]) -> LampReading:
    rgb = _resized(crop, CELL_PX, CELL_PX * n_lenses)
    salience = _salience(rgb)
    contrast = CONTRAST_SHARE * float(np.quantile(salience, 0.98) - np.quantile(salience, 0.05)) + CONTRAST_FLOOR
    windows = windows_of(n_lenses)
    core = means(integral(salience), windows.cores)
    mean = means(integral(salience), windows.cells)
    square = means(integral(salience**2), windows.cells)
    colour = means(integral(rgb), windows.cores)
    best: dict[State, _Fit] = {}
    for hypothesis in hypotheses:
        lit = list(hypothesis.lit)
        dark = [cell for cell in range(n_lenses) if cell not in lit]
        spread = np.sqrt(np.maximum(square[:, dark].mean(axis=1) - mean[:, dark].mean(axis=1) ** 2, 0))
        step = core[:, lit].min(axis=1) - core[:, dark].max(axis=1)
        place = (step - DARK_SPREAD * spread) / contrast - MARGIN_COST * windows.margin
        excess = colour[:, lit] - colour[:, dark].mean(axis=1)[:, None]
        hue = np.mean([_hue_fit(name, excess[:, cell]) for cell, name in enumerate(hypothesis.hues)], axis=0)
        if hypothesis.state is State.RED_YELLOW:
            hue += _likelihood((np.maximum(0, _TINT_STEP - (_tint(excess[:, 0]) - _tint(excess[:, 1]))) / 0.06) ** 2)
        at = int(np.argmax(place + hue))
        fit = _Fit(float(place[at]), float(hue[at]), excess[at], (sum(lit) / len(lit) + 0.5) / n_lenses)
        if hypothesis.state not in best or fit.score > best[hypothesis.state].score:
            best[hypothesis.state] = fit
    return _reading(best)


def _read_single(crop: NDArray[np.uint8]) -> LampReading:
    """A box around one lamp: the hue of its brightest, most coloured quarter, without any place."""
    rgb = _resized(crop, CELL_PX, CELL_PX).reshape(-1, 3)
    salience = _salience(rgb)
    lit = salience >= np.quantile(salience, 0.75)
    colour = rgb[lit].mean(axis=0)
    chroma = float(np.ptp(colour))
    # From grey (no lamp colour at all) to half saturated.
    place = float(np.clip((chroma - 0.2) / 0.1, -2, 2))
    return _reading({hue: _Fit(place, float(_hue_fit(hue, colour[None])[0]), colour[None], None) for hue in _HUES})


def _reading(best: Mapping[State, _Fit]) -> LampReading:
    scores = {state: fit.score for state, fit in best.items()}
    top = max(scores, key=scores.__getitem__)
    if scores[top] <= LIT_SCORE:
        state, confidence, hues, position = None, 0.0, (), None
    else:
        state, confidence = top, 1 / sum(math.exp(score - scores[top]) for score in scores.values())
        hues = tuple({hue: float(_hue_fit(hue, excess[None])[0]) for hue in _HUES} for excess in best[top].excess)
        position = best[top].position
    return LampReading(
        state=state,
        confidence=confidence,
        scores=scores,
        place_scores={state: fit.place for state, fit in best.items()},
        lit_hues=hues,
        lit_position=position,
    )


def _hue_fit(hue: State, excess: Floats) -> Floats:
    """Logarithm of how well excess colours (N, 3) fit a hue, in [ln _HUE_FLOOR, 0].

    `tint` is red against green, `blueness` is blue against both, as shares of the strongest channel. The bounds enclose
    90 % of DTLD's lamps, of which many are over-exposed: there, red is pink, yellow is cream, green is pale cyan.
    """
    tint = _tint(excess)
    blueness = (excess[:, 2] - (excess[:, 0] + excess[:, 1]) / 2) / _strength(excess)
    if hue is State.RED:
        misfit = (np.maximum(0, 0.35 - tint) / 0.12) ** 2
    elif hue is State.YELLOW:
        misfit = (np.maximum(0, np.abs(tint - 0.17) - 0.13) / 0.1) ** 2 + (np.maximum(0, blueness + 0.1) / 0.08) ** 2
    else:
        misfit = (np.maximum(0, tint + 0.12) / 0.07) ** 2
    return _likelihood(misfit)


def _strength(excess: Floats) -> Floats:
    return np.maximum(excess.max(axis=1), _LEAST_EXCESS)


def _tint(excess: Floats) -> Floats:
    return (excess[:, 0] - excess[:, 1]) / _strength(excess)


def _likelihood(misfit: Floats) -> Floats:
    return np.log(_HUE_FLOOR + (1 - _HUE_FLOOR) * np.exp(-misfit / 2))


def _salience(rgb: Floats) -> Floats:
    """Brightness plus chroma: a dim red lens stands out from a dark housing, a white board less."""
    brightest = rgb.max(axis=-1)
    return brightest + CHROMA_WEIGHT * (brightest - rgb.min(axis=-1))


def _resized(crop: NDArray[np.uint8], width: int, height: int) -> Floats:
    shrinks = crop.shape[0] > height
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(crop), (width, height), interpolation=kind).astype(np.float64) / 255
