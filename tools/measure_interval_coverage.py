"""How often nominal 95 % intervals hold the value of the world that the data were drawn from.

python tools/measure_interval_coverage.py [--sequences 5 10 20 50 200] [--data-sets 400] [--replicates 1000]

A world of ten classes is drawn from: one with 8 objects per sequence on average, down to some that occur in one
sequence of twenty. Sequences differ in how many objects they hold, in how well these are found, how well they are
placed and how often a red light is said to be green; that is what makes frames of one drive alike. The value of the
world is that of 50,000 sequences. From every drawn data set the same replicates give five intervals:

percentile  between the 2.5th and 97.5th percentile of the replicates' values
BC          percentiles moved by how far the data set's own value lies from the middle of the replicates' values
BCa         moved by how the value's spread changes with the value, too (leave one sequence out)
expanded    percentiles further out, as Student's t is wider than the normal distribution and S - 1 smaller than S
reported    these, no nearer to perfect than as many sequences without a mistake show: what every report has
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from tl_detection.evaluation.exact_bounds import Counted, with_width
from tl_detection.evaluation.replicates import (
    Replicates,
    average_precisions_of_each,
    draw_replicates,
    weights_in_blocks,
)

# Mean objects per sequence of each class.
OBJECTS = (8.0, 4.0, 2.0, 1.0, 0.6, 0.4, 0.25, 0.15, 0.1, 0.06)
LEVELS = 3
RECALL_POINTS = 101
MEASURES = ("ap50, frequent class", "ap50, rarest classes present", "ap, ten classes", "recall", "red as green")
METHODS = ("percentile", "BC", "BCa", "expanded", "reported")
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class ClassData:
    """Objects and detections of one class."""

    objects: NDArray[np.int64]  # (S,) by sequence
    sequence: NDArray[np.int64]  # (D,) by descending score
    score: NDArray[np.float64]  # (D,)
    right_bits: NDArray[np.uint64]  # (1, D)


@dataclass(frozen=True, slots=True)
class DataSet:
    """All classes, and by sequence the objects found above a score, the stop objects, and those said to be green."""

    classes: tuple[ClassData, ...]
    found: NDArray[np.int64]
    stop: NDArray[np.int64]
    as_green: NDArray[np.int64]


def draw_data_set(n_sequences: int, rng: np.random.Generator) -> DataSet:
    """A data set of the world."""
    skill, length = rng.normal(0, 0.8, n_sequences), rng.gamma(3, 1 / 3, n_sequences)
    classes = []
    found = np.zeros(n_sequences, np.int64)
    for number, mean in enumerate(OBJECTS):
        objects = rng.poisson(mean * length)
        of_object = np.repeat(np.arange(n_sequences), objects)
        quality = skill[of_object] + rng.normal(0, 1, len(of_object))
        is_found = quality > -0.9
        wrong = np.repeat(np.arange(n_sequences), rng.poisson(0.6 * mean * length * np.exp(-0.4 * skill)))
        sequence = np.concatenate([of_object[is_found], wrong])
        score = np.concatenate([0.5 + 0.15 * quality[is_found], rng.normal(0.4, 0.12, len(wrong))])
        score += rng.normal(0, 0.05, len(score))
        placed = quality[is_found] + rng.normal(0, 0.7, is_found.sum())
        bits = np.zeros(len(sequence), np.uint64)
        bits[: is_found.sum()] = 1 + 2 * (placed > 0.1) + 4 * (placed > 1.0)
        order = np.lexsort((sequence, -score))
        classes.append(ClassData(objects, sequence[order], score[order], bits[order][None]))
        if number == 0:
            above = (bits > 0) & (score > 0.45)
            found += np.bincount(sequence[above], minlength=n_sequences)
    stop = classes[1].objects
    rate = 1 / (1 + np.exp(4.2 + 0.8 * skill))
    return DataSet(tuple(classes), found, stop, rng.binomial(stop, rate))


def values_of_each(data: DataSet, times: NDArray[np.integer]) -> NDArray[np.float64]:
    """(measures, R) every measure where each sequence occurs as often as said; NaN = no value."""
    n_sequences = times.shape[1]
    replicates = Replicates(sequence=np.arange(n_sequences), times=times.astype(np.int16))
    weights = weights_in_blocks(replicates)
    totals = replicates.totals(
        np.stack([*(item.objects for item in data.classes), data.found, data.stop, data.as_green], axis=1)
    ).T
    precision = np.stack(
        [
            average_precisions_of_each(
                replicates,
                weights,
                item.sequence,
                item.score,
                item.right_bits,
                np.full_like(item.right_bits, (1 << LEVELS) - 1),
                totals[number][None],
                LEVELS,
                RECALL_POINTS,
                is_exact=False,
            )[0]
            for number, item in enumerate(data.classes)
        ]
    )
    return np.stack(
        [
            precision[0, 0],
            _mean(precision[-3:, 0]),
            _mean(precision.mean(axis=1)),
            _ratio(totals[-3], totals[0]),
            _ratio(totals[-1], totals[-2]),
        ]
    )


def intervals(own: float, values: NDArray[np.float64], left_out: NDArray[np.float64]) -> NDArray[np.float64]:
    """(methods, 2) bounds; NaN where a method gives none."""
    known, left_out = values[~np.isnan(values)], left_out[~np.isnan(left_out)]
    if np.isnan(own) or not len(known):
        return np.full((len(METHODS), 2), np.nan)
    outer = NORMAL.inv_cdf(0.975)
    # Half of the ties count as below, so that a value that never changes is not moved.
    below = float(np.mean(known < own) + np.mean(known == own) / 2)
    shift = NORMAL.inv_cdf(min(max(below, 1 / len(known)), 1 - 1 / len(known)))
    gap = left_out.mean() - left_out if len(left_out) else np.zeros(1)
    bend = float((gap**3).sum() / (6 * max((gap**2).sum(), 1e-30) ** 1.5))
    n = len(left_out)
    wide = float(np.sqrt(n / (n - 1)) * student.ppf(0.975, n - 1)) if n > 1 else outer
    shares = [
        [NORMAL.cdf(sign * outer) for sign in (-1, 1)],
        [NORMAL.cdf(2 * shift + sign * outer) for sign in (-1, 1)],
        [NORMAL.cdf(shift + (shift + sign * outer) / (1 - bend * (shift + sign * outer))) for sign in (-1, 1)],
        *[[NORMAL.cdf(sign * wide) for sign in (-1, 1)]] * 2,
    ]
    return np.quantile(known, shares)


def measure_coverage(n_sequences: int, data_sets: int, replicates: int, truth: NDArray[np.float64], seed: int):
    """(measures, methods) share that holds the truth, their mean width, and (measures,) how many."""
    rng = np.random.default_rng([seed, n_sequences])
    bounds = np.full((data_sets, len(MEASURES), len(METHODS), 2), np.nan)
    for number in range(data_sets):
        data = draw_data_set(n_sequences, rng)
        drawn = draw_replicates(np.arange(n_sequences), replicates=replicates, seed=number)
        every = np.ones((1, n_sequences), np.int64)
        own, left_out = values_of_each(data, every), values_of_each(data, every - np.eye(n_sequences, dtype=np.int64))
        values = values_of_each(data, drawn.times)
        for index in range(len(MEASURES)):
            bounds[number, index] = intervals(own[index, 0], values[index], left_out[index])
        held = [int(np.count_nonzero(item.objects)) for item in data.classes]
        stands_on = (held[:1], held[-3:], held, held[:1], [int(np.count_nonzero(data.stop))])
        for index, sequences in enumerate(stands_on):
            low, high = bounds[number, index, METHODS.index("reported")].tolist()
            counted = [Counted(sequences=each) for each in sequences]
            bounds[number, index, METHODS.index("reported")] = with_width(
                low, high, counted, 0.95, higher_is_better=MEASURES[index] != "red as green"
            )
    is_known = ~np.isnan(bounds[:, :, 0, 0])
    holds = (bounds[..., 0] <= truth[:, None]) & (truth[:, None] <= bounds[..., 1])
    n = is_known.sum(axis=0)
    return holds.sum(axis=0) / n[:, None], np.nanmean(bounds[..., 1] - bounds[..., 0], axis=0), n


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R,) mean of the classes that have a value."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(axis=0), known.sum(axis=0).astype(np.float64))


def main() -> None:
    """Draw data sets and write the share of intervals that hold the truth as a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sequences", type=int, nargs="+", default=[5, 10, 20, 50, 200])
    parser.add_argument("--data-sets", type=int, default=400)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    world = draw_data_set(50_000, np.random.default_rng(args.seed))
    truth = values_of_each(world, np.ones((1, 50_000), np.int64))[:, 0]
    for name, value in zip(MEASURES, truth, strict=True):
        sys.stdout.write(f"{name}: {value:.4f} in the world\n")
    sys.stdout.write("\n| sequences | measure | data sets | " + " | ".join(METHODS) + " | reported width |\n")
    sys.stdout.write("|---:|---|---:|" + "---:|" * (len(METHODS) + 1) + "\n")
    for n_sequences in args.sequences:
        held, width, n = measure_coverage(n_sequences, args.data_sets, args.replicates, truth, args.seed)
        for index, name in enumerate(MEASURES):
            shares = " | ".join(f"{share:.3f}" for share in held[index])
            sys.stdout.write(f"| {n_sequences} | {name} | {n[index]} | {shares} | {width[index, -1]:.3f} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
