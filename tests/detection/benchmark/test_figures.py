"""Percentiles and ratios, against numpy and by hand. (At 1000 samples numpy takes 99.9 % as 999.0000000000001.)"""

from __future__ import annotations

import numpy as np
import pytest

from tl_detection.benchmark.figures import (
    PERCENTILES,
    percentile,
    samples_needed,
    spread_of_medians,
    spread_of_ratios,
)


@pytest.mark.parametrize(("percent", "needed"), [(50, 2), (90, 10), (99, 100), (99.9, 1000)])
def test_a_percentile_is_given_once_one_sample_is_slower(percent: float, needed: int):
    assert samples_needed(percent) == needed
    samples = [float(value) for value in range(needed)]
    assert percentile(samples[:-1], percent) is None
    found = percentile(samples, percent)
    assert found is not None
    assert found < max(samples)


@pytest.mark.parametrize("percent", PERCENTILES)
@pytest.mark.parametrize("n", [1001, 1337, 4999])
def test_percentiles_are_those_of_numpy(percent: float, n: int):
    samples = np.random.default_rng(n).gamma(2, 5, n)
    expected = np.percentile(samples, percent, method="inverted_cdf")
    assert percentile(samples.tolist(), percent) == expected


def test_the_order_of_samples_does_not_matter():
    samples = list(range(200))
    assert percentile(samples[::-1], 99) == percentile(samples, 99) == 197


def test_ratios_are_taken_within_a_turn():
    other = [[10.0, 11.0, 90.0], [40.0, 44.0, 41.0], [10.0, 10.0, 10.0]]
    own = [[20.0, 22.0, 21.0], [82.0, 82.0, 99.0], [30.0, 30.0, 30.0]]
    ratio = spread_of_ratios(own, other)
    # 21 / 11, 82 / 41, 30 / 10; the medians of all samples would give 30 / 11.
    assert (ratio.lowest, ratio.median, ratio.highest, ratio.turns) == (21 / 11, 2.0, 3.0, 3)


def test_ratios_of_different_turns_are_refused():
    with pytest.raises(ValueError, match="zip"):
        spread_of_ratios([[1.0]], [[1.0], [1.0]])


def test_the_spread_of_medians_is_over_turns():
    spread = spread_of_medians([[1, 2, 300], [4, 5, 6], [3, 3, 3]])
    assert (spread.lowest, spread.median, spread.highest) == (2, 3, 5)
