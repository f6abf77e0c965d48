"""How sure a difference is: its interval, the share of replicates in which it is an improvement, and p values.

p is two-sided, of the hypothesis of no difference: |difference| / standard error, with the standard error that the
paired replicates of n sequences have, times the square root of n / (n - 1), against Student's t of n - 1 degrees of
freedom (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 5 and 12). The bounds of intervals lie
further out for the same reasons, see `intervals.share_outside`. Counting replicates beyond 0 instead is too bold where
sequences are few: with two equal detectors p was below 0.05 in 16 % of 2,000 drawn data sets of 5 sequences, 9 % of 10
and 7 % of 20, by the rule used here in 6 %, 5 % and 6 %; and it cannot fall below 2 / (replicates + 1), of which
nothing is left after a correction for a hundred tests. Where every replicate shows the same difference there is no
standard error, and no interval: p is then that of the sign test, by which all of n sequences lie on one side by chance
in 2 / 2^n of cases.

Through the whole comparison it is measured by `tools/measure_significance.py`. With two equal detectors p is a bit too
small for precision and phantoms, where each detector's operating scores were chosen on the same frames: how much these
would move from data set to data set is not in the replicates.

Holm's correction (Scandinavian Journal of Statistics 6, 1979): the chance that any p of the family falls below a level
by mere chance stays below that level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from tl_detection.evaluation.intervals import LEAST_SEQUENCES, bounds_of
from tl_detection.evaluation.pairs import FloatArray

# What is below this is rounding, since average precision of replicates has single precision: there is no difference, or
# it is the same in every replicate.
_NOTHING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Significance:
    """How sure a difference is.

    Attributes:
        low: Lower bound of its bootstrap interval; None where every replicate shows the same difference, as where both
            detectors do the same everywhere: how much it may move cannot be told from that.
        high: Upper bound.
        probability_better: Share of the replicates in which the second is better, half of those in which both are
            the same. It is not the probability that the second is better in the world: it says how often it would
            be on such data sets drawn from these sequences.
        p: Two-sided, of the hypothesis that there is no difference.
    """

    low: float | None
    high: float | None
    probability_better: float
    p: float


def judge_difference(
    difference: float, of_each: FloatArray, n_sequences: int, *, higher_is_better: bool
) -> Significance | None:
    """How sure a difference is; None of fewer than `LEAST_SEQUENCES` sequences, or where no replicate has a value.

    Args:
        difference: Second minus first, on all frames.
        of_each: (R,) the same in every replicate, NaN where one of them has no value.
        n_sequences: Sequences that hold what is measured.
        higher_is_better: False for counts of mistakes.
    """
    known = of_each[~np.isnan(of_each)]
    if n_sequences < LEAST_SEQUENCES or known.size < 2:
        return None
    low, high = bounds_of(known, n_sequences) if np.ptp(known) > _NOTHING else (None, None)
    gain = known if higher_is_better else -known
    better = float(np.mean(np.where(np.abs(gain) < _NOTHING, 0.5, gain > 0)))
    return Significance(low=low, high=high, probability_better=better, p=_p_value(difference, known, n_sequences))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p values for their number, in their order; None stays None and does not count."""
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        corrected[index] = highest
    return corrected


def _p_value(difference: float, of_each: FloatArray, n_sequences: int) -> float:
    if abs(difference) < _NOTHING and np.abs(of_each).max() < _NOTHING:
        return 1.0
    standard_error = float(of_each.std(ddof=1))
    if standard_error < _NOTHING:
        return 2.0 ** (1 - n_sequences)
    # Replicates vary less than data sets do.
    standard_error *= (n_sequences / (n_sequences - 1)) ** 0.5
    return float(2 * stdtr(n_sequences - 1, -abs(difference) / standard_error))
