"""`SequenceSpec`: what one drawn sequence shall show; `plan_sequences`: a balanced set of them.

A spec is all that decides the pixels: the same spec gives the same bytes, whatever was drawn before.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_datasets.errors import DataError
from tl_datasets.taxonomy import Scene, TimeOfDay, Weather

WEATHERS: tuple[Weather, ...] = (Weather.CLEAR, Weather.OVERCAST, Weather.RAINY, Weather.SNOWY, Weather.FOGGY)
TIMES_OF_DAY: tuple[TimeOfDay, ...] = (TimeOfDay.DAYTIME, TimeOfDay.NIGHT, TimeOfDay.DAWN_DUSK)
SCENES: tuple[Scene, ...] = (Scene.CITY_STREET, Scene.RESIDENTIAL, Scene.HIGHWAY)

# The image size at which the sizes of this package are meant (6 to 60 px high heads, line widths, noise grain).
REFERENCE_WIDTH_PX = 1280

# Every eighth sequence has no signal: 12.5% true negatives. 8 shares no factor with the 15 conditions.
NEGATIVE_PERIOD = 8
# Steps through (0, 1) such that any run of sequences covers the signal programme evenly (golden ratio).
GOLDEN_STEP = 0.6180339887498949
# Two of five sequences in the city, two residential, one on a highway; moves on by one in each round of conditions.
SCENE_CYCLE = (Scene.CITY_STREET, Scene.RESIDENTIAL, Scene.CITY_STREET, Scene.RESIDENTIAL, Scene.HIGHWAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceSpec:
    """One drawn sequence.

    Attributes:
        sequence: Its name; the split unit, the image folder, and part of the random seed.
        seed: Random seed, not negative.
        n_frames: Number of frames, 1 or more.
        weather: Clear, partly cloudy, overcast, rainy, snowy or foggy.
        time_of_day: Daytime, dawn or dusk, or night.
        scene: City street, residential street or highway.
        width_px: Image width, 160 or more.
        height_px: Image height, 90 or more.
        head_density: Scales the number of signal heads; 0 draws a true negative, 1 is ordinary.
        arrow_share: Share in [0, 1] of vehicle heads with arrow lenses.
        off_share: Share in [0, 1] of signal programmes that are switched off.
        signal_phase: Where in its programme the main signal begins, in [0, 1).

    Raises:
        DataError: A value is outside its range.
    """

    sequence: str
    seed: int
    n_frames: int
    weather: Weather
    time_of_day: TimeOfDay
    scene: Scene = Scene.CITY_STREET
    width_px: int = REFERENCE_WIDTH_PX
    height_px: int = 720
    head_density: float = 1.0
    arrow_share: float = 0.3
    off_share: float = 0.15
    signal_phase: float = 0.0

    def __post_init__(self):
        name_is_sound = bool(self.sequence) and not any(part in ("", ".", "..") for part in self.sequence.split("/"))
        checks = (
            (name_is_sound, "sequence", self.sequence, "a name that can be a folder"),
            (self.seed >= 0, "seed", self.seed, "0 or more"),
            (self.n_frames >= 1, "n_frames", self.n_frames, "1 or more"),
            (self.weather != Weather.UNDEFINED, "weather", self.weather, "a defined weather"),
            (self.time_of_day != TimeOfDay.UNDEFINED, "time_of_day", self.time_of_day, "a defined time of day"),
            (self.scene in SCENES, "scene", self.scene, "one of " + ", ".join(SCENES)),
            (self.width_px >= 160, "width_px", self.width_px, "160 or more"),
            (self.height_px >= 90, "height_px", self.height_px, "90 or more"),
            (0 <= self.head_density <= 3, "head_density", self.head_density, "a number in [0, 3]"),
            (0 <= self.arrow_share <= 1, "arrow_share", self.arrow_share, "a share in [0, 1]"),
            (0 <= self.off_share <= 1, "off_share", self.off_share, "a share in [0, 1]"),
            (0 <= self.signal_phase < 1, "signal_phase", self.signal_phase, "a number in [0, 1)"),
        )
        for is_sound, field, found, expected in checks:
            if not is_sound:
                raise DataError(f"drawn sequence {self.sequence!r}: {field} is {found!r}, expected {expected}")

    @property
    def pixel_scale(self) -> float:
        """Pixels of this image per pixel of the 1280 px wide reference image."""
        return self.width_px / REFERENCE_WIDTH_PX

    def generator(self, frame_index: int | None = None) -> np.random.Generator:
        """Give the random generator of one frame, or of the whole sequence; nothing else draws random numbers."""
        stream = 0 if frame_index is None else frame_index + 1
        return np.random.default_rng([self.seed, zlib.crc32(self.sequence.encode()), stream])


def plan_sequences(
    n_sequences: int,
    frames_per_sequence: int,
    seed: int,
    width_px: int = REFERENCE_WIDTH_PX,
    height_px: int = 720,
    *,
    weathers: Sequence[Weather] = WEATHERS,
    times_of_day: Sequence[TimeOfDay] = TIMES_OF_DAY,
    head_density: float = 1.0,
) -> list[SequenceSpec]:
    """Plan sequences that spread weathers and times of day evenly.

    Conditions are dealt like cards: any `len(weathers) * len(times_of_day)` consecutive sequences hold every pair once
    (with the default five and three), every eighth sequence has no signal, and signal programmes start evenly spread.

    Args:
        n_sequences: Number of sequences, 1 or more; 15 cover every default pair, 30 let a split see each twice.
        frames_per_sequence: Frames in each, 1 or more.
        seed: Random seed; another seed gives other streets, the same conditions.
        width_px: Image width.
        height_px: Image height.
        weathers: Weathers to deal.
        times_of_day: Times of day to deal.
        head_density: Scales the number of signal heads of the sequences that have some.

    Raises:
        DataError: A number is out of range, or there is no weather or time of day to deal.
    """
    if n_sequences < 1 or not weathers or not times_of_day:
        raise DataError(
            f"drawn data set: {n_sequences} sequences, {len(weathers)} weathers, {len(times_of_day)} times of day; "
            "expected at least 1 of each"
        )
    if seed < 0:
        raise DataError(f"drawn data set: seed is {seed}, expected 0 or more")
    if not 0 <= head_density <= 3:
        raise DataError(f"drawn data set: head_density is {head_density}, expected a number in [0, 3]")
    pairs = _deal(list(weathers), list(times_of_day))
    first_phase = float(np.random.default_rng(seed).random())
    specs: list[SequenceSpec] = []
    n_signalled = 0
    for index in range(n_sequences):
        weather, time_of_day = pairs[index % len(pairs)]
        round_number = index // len(pairs)
        has_signals = head_density > 0 and index % NEGATIVE_PERIOD != NEGATIVE_PERIOD - 1
        specs.append(
            SequenceSpec(
                sequence=f"s{index:04d}_{time_of_day}_{weather}",
                seed=seed,
                n_frames=frames_per_sequence,
                weather=weather,
                time_of_day=time_of_day,
                scene=SCENE_CYCLE[(index + index // 5 + round_number) % len(SCENE_CYCLE)],
                width_px=width_px,
                height_px=height_px,
                head_density=head_density if has_signals else 0.0,
                signal_phase=(first_phase + n_signalled * GOLDEN_STEP) % 1.0,
            )
        )
        n_signalled += has_signals
    return specs


def _deal(weathers: list[Weather], times: list[TimeOfDay]) -> list[tuple[Weather, TimeOfDay]]:
    """List every pair once, changing both parts at every step as far as possible."""
    # Going on through the times lap after lap meets every pair only if the counts share no factor.
    shift = len(weathers) if math.gcd(len(weathers), len(times)) == 1 else 1
    return [
        (weather, times[(index + lap * shift) % len(times)])
        for lap in range(len(times))
        for index, weather in enumerate(weathers)
    ]
