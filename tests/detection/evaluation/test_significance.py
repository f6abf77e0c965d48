"""p values of paired differences: right in simulation, equal to a judge's, and Holm's correction."""

from __future__ import annotations

import numpy as np
import pytest

from tl_detection.evaluation.compare.significance import holm, judge_difference


def test_no_difference_anywhere_has_p_1():
    found = judge_difference(0.0, np.zeros(100), 10, higher_is_better=True)
    assert found is not None
    assert (found.low, found.high, found.probability_better, found.p) == (None, None, 0.5, 1)


@pytest.mark.parametrize(("higher_is_better", "better"), [(True, 0.975), (False, 0.025)])
def test_p_is_that_of_the_judge(higher_is_better, better):
    judge = pytest.importorskip("scipy.stats")
    of_each = np.random.default_rng(0).normal(0.2, 0.1, 2000)
    of_each[:5] = np.nan
    found = judge_difference(0.2, of_each, 12, higher_is_better=higher_is_better)
    assert found is not None
    # Of n normal values whose replicates have this mean and standard error the t test has the same p.
    n, known = 12, of_each[5:]
    sample = np.random.default_rng(1).normal(0, 1, n)
    sample = (sample - sample.mean()) / sample.std(ddof=1) * known.std(ddof=1) * np.sqrt(n) * np.sqrt(n / (n - 1)) + 0.2
    assert found.p == pytest.approx(judge.ttest_1samp(sample, 0).pvalue, rel=1e-9)
    assert found.probability_better == pytest.approx(better, abs=0.02)
    assert found.low < 0.2 < found.high


def test_of_few_sequences_or_no_replicate_nothing_is_said():
    values = np.random.default_rng(0).normal(size=100)
    assert judge_difference(0.1, values, 4, higher_is_better=True) is None
    assert judge_difference(0.1, np.full(100, np.nan), 10, higher_is_better=True) is None


@pytest.mark.parametrize(("n_sequences", "p"), [(5, 0.0625), (10, 1 / 512)])
@pytest.mark.parametrize("replicates", [100, 10_000])
@pytest.mark.parametrize("rounding", [0.0, 1e-7])
def test_a_difference_that_every_replicate_shares_is_as_sure_as_a_sign_test(n_sequences, p, replicates, rounding):
    of_each = -1.0 + rounding * np.random.default_rng(0).normal(size=replicates)
    found = judge_difference(-1.0, of_each, n_sequences, higher_is_better=True)
    assert found is not None and found.p == p and found.probability_better == 0
    assert found.low is None and found.high is None


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([None, 0.02, None], [None, 0.02, None]),
        # By hand: 4 x 0.005, 3 x 0.01, then 2 x 0.03 = 0.06, and 0.04 must not fall below it.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.6], [1.0, 1.0]),
    ],
)
def test_holm(p_values, expected):
    assert holm(p_values) == [None if p is None else pytest.approx(p) for p in expected]


def _p_values(n_sequences: int, gain: float, n_data_sets: int, replicates: int = 400) -> np.ndarray:
    """Recall of two detectors on drives of which some are harder; the second finds more by `gain`."""
    rng = np.random.default_rng(n_sequences)
    found = []
    for _ in range(n_data_sets):
        objects, easy = rng.integers(1, 30, n_sequences), rng.beta(2, 2, n_sequences)
        first = rng.binomial(objects, np.clip(easy + rng.normal(0, 0.1, n_sequences), 0, 1))
        second = rng.binomial(objects, np.clip(easy + gain + rng.normal(0, 0.1, n_sequences), 0, 1))
        times = rng.multinomial(n_sequences, np.full(n_sequences, 1 / n_sequences), replicates)
        of_each = times @ (second - first) / (times @ objects)
        difference = (second - first).sum() / objects.sum()
        judged = judge_difference(float(difference), of_each, n_sequences, higher_is_better=True)
        assert judged is not None
        found.append(judged.p)
    return np.array(found)


@pytest.mark.parametrize("n_sequences", [5, 10, 20, 50])
def test_p_is_about_uniform_without_a_difference(n_sequences):
    p = _p_values(n_sequences, 0.0, 600)
    # 600 data sets: three standard errors of a share of 5 % are 2.7 %, of 50 % they are 6 %.
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(p < 0.1) == pytest.approx(0.1, abs=0.055)
    assert np.mean(p < 0.5) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("n_sequences", [8, 20])
def test_p_is_about_uniform_of_phantoms_that_crowd_in_few_drives(n_sequences):
    rng = np.random.default_rng(n_sequences)
    found = []
    for _ in range(600):
        frames, rate = rng.integers(20, 200, n_sequences), rng.gamma(0.7, 0.1, n_sequences)
        gain = rng.poisson(rate * frames) - rng.poisson(rate * frames)
        times = rng.multinomial(n_sequences, np.full(n_sequences, 1 / n_sequences), 400)
        of_each = 1000 * (times @ gain) / (times @ frames)
        judged = judge_difference(float(1000 * gain.sum() / frames.sum()), of_each, n_sequences, higher_is_better=False)
        assert judged is not None
        found.append(judged.p)
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_a_planted_difference_is_found():
    assert np.mean(_p_values(20, 0.25, 200) < 0.05) > 0.9
    assert np.mean(_p_values(50, -0.15, 200) < 0.05) > 0.9
