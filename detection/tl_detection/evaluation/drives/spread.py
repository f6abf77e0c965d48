"""Numbers about lamps, with intervals over sequences: quantiles, and how often per minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.intervals import LEAST_SEQUENCES, bounds_of
from tl_detection.evaluation.pairs import FloatArray, IntArray
from tl_detection.evaluation.rates import measure_rate
from tl_detection.evaluation.replicates import Replicates

# Values times replicates that are worked on together.
_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a number is spread over lamps that have it; a quantile is one of their values, the lower of two.

    Attributes:
        median: None where no lamp has a value.
        low: Lower bound of the median's 95 % bootstrap interval over sequences; None of too few sequences.
        high: Upper bound.
        tenth: A tenth of the lamps have no more than this.
        ninth: Nine tenths of the lamps have no more than this.
        most: The largest value.
        tracks: Lamps that have a value.
        sequences: Sequences of these lamps.
    """

    median: float | None
    low: float | None
    high: float | None
    tenth: float | None
    ninth: float | None
    most: float | None
    tracks: int
    sequences: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PerMinute:
    """How often something happened in the time in which it could.

    Attributes:
        value: Per minute; None without time.
        low: Lower bound of its 95 % bootstrap interval over sequences; None of too few sequences.
        high: Upper bound; at least that of a rate per frame of which nothing was seen (see `exact_bounds`) times the
            frames of a minute, since it happens once in a frame at most.
        times: How often.
        minutes: In how long; None where nobody knows.
        sequences: Sequences that have any of that time.
    """

    value: float | None
    low: float | None
    high: float | None
    times: int
    minutes: float | None
    sequences: int


def spread(replicates: Replicates, values: Sequence[float | None], frame_index: IntArray) -> Spread:
    """Spread of a number over lamps.

    Args:
        replicates: Drawn from the frames of the lamps.
        values: (T,) of each lamp; None where it has none.
        frame_index: (T,) a frame of each lamp.
    """
    has_value = np.array([value is not None for value in values], np.bool_)
    known = np.array([value for value in values if value is not None], np.float64)
    sequence = replicates.sequence[frame_index[has_value]]
    order = np.argsort(known, kind="stable")
    known, sequence = known[order], sequence[order]
    n_sequences = len(np.unique(sequence))
    if not len(known):
        return Spread(median=None, low=None, high=None, tenth=None, ninth=None, most=None, tracks=0, sequences=0)
    once = np.ones((1, len(known)), np.int64)
    tenth, median, ninth = (float(_quantile(known, once, share)[0]) for share in (0.1, 0.5, 0.9))
    low = high = None
    if n_sequences >= LEAST_SEQUENCES:
        step = max(1, _BLOCK // len(known))
        drawn = [
            _quantile(known, replicates.times[start : start + step][:, sequence].astype(np.int64), 0.5)
            for start in range(0, len(replicates.times), step)
        ]
        low, high = _bounds(np.concatenate(drawn), n_sequences)
    return Spread(
        median=median,
        low=low,
        high=high,
        tenth=tenth,
        ninth=ninth,
        most=float(known[-1]),
        tracks=len(known),
        sequences=n_sequences,
    )


def per_minute(
    replicates: Replicates,
    times: Sequence[int],
    seconds: Sequence[float | None],
    frame_index: IntArray,
    n_frames: IntArray,
) -> PerMinute:
    """How often something happened to lamps per minute; lamps of unknown time are left out.

    Args:
        replicates: Drawn from the frames of the lamps.
        times: (T,) how often it happened to each.
        seconds: (T,) in how long; None = nobody knows.
        frame_index: (T,) a frame of each lamp.
        n_frames: (T,) in how many frames each is visible.
    """
    has_time = np.array([value is not None for value in seconds], np.bool_)
    sequence = replicates.sequence[frame_index[has_time]]
    n_drawn = replicates.times.shape[1]
    happened = np.bincount(sequence, np.array(times, np.float64)[has_time], minlength=n_drawn)
    minutes = np.bincount(sequence, [value / 60 for value in seconds if value is not None], minlength=n_drawn)
    whole, n_sequences = float(minutes.sum()), int(np.count_nonzero(minutes))
    low = high = None
    if n_sequences >= LEAST_SEQUENCES:
        parts, wholes = replicates.times @ happened, replicates.times @ minutes
        low, high = _bounds(parts[wholes > 0] / wholes[wholes > 0], n_sequences)
        frames = np.repeat(frame_index[has_time], n_frames[has_time])
        of_none = measure_rate(replicates, frames[:0], frames, per=len(frames) / whole).high
        if high is not None and of_none is not None:
            high = max(high, of_none)
    return PerMinute(
        value=float(happened.sum()) / whole if whole else None,
        low=low,
        high=high,
        times=int(happened.sum()),
        minutes=whole if has_time.any() else None,
        sequences=n_sequences,
    )


def _quantile(values: FloatArray, times: IntArray, share: float) -> FloatArray:
    """(R,) of ascending values, each standing as often as `times` (R, T) says; NaN where none stands."""
    reached = np.cumsum(times, axis=1)
    total = reached[:, -1]
    wanted = np.maximum(1, np.ceil(share * total - 1e-9))
    at = (reached < wanted[:, None]).sum(axis=1)
    return np.where(total > 0, values[np.minimum(at, len(values) - 1)], np.nan)


def _bounds(values: FloatArray, n_sequences: int) -> tuple[float | None, float | None]:
    values = values[~np.isnan(values)]
    if not values.size:
        return None, None
    return bounds_of(values, n_sequences)
