"""Bounds of scores: against another library, in the plain cases, and how often they hold the true value."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import polars as pl
import pytest

from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import State
from tl_detection.evaluation.curves import average_precision
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.intervals import (
    LEAST_SEQUENCES,
    ScoreName,
    bounds_of,
    count_sequences,
    interval,
    share_outside,
)
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.replicates import average_precision_of_each, draw_replicates, sequence_numbers
from tl_detection.evaluation.scores import score

AT_HALF = [0.5] * 4


@pytest.fixture
def drives_of(catalog_of, detections_of, lights):
    """Records of drives of three frames with one red light each, of which as many are found as each drive says.

    A frame in which the light is not found has a detection elsewhere.
    """

    def make(found_per_drive):
        frames, rows = [], []
        for drive, found in enumerate(found_per_drive):
            for index in range(3):
                name = f"{drive:03}-{index}"
                light = Annotation(xyxy=(0, 0, 20, 20), state=State.RED)
                frames.append(
                    Frame(
                        frame_id=name,
                        path=f"{name}.png",
                        width_px=64,
                        height_px=48,
                        annotations=(light,),
                        sequence=f"{drive}",
                    )
                )
                left = 0 if index < found else 40
                rows.append([(left, 0, left + 20, 20, 0.6 + drive / 1000, 0)])
        truth = ground_truth_from_catalog(catalog_of(frames), lights)
        return match(truth, [detections_of(row) for row in rows])

    return make


def interval_of(matched, name, *, replicates=400, seed=0, **options):
    drawn = draw_replicates(sequence_numbers(matched.ground_truth), replicates=replicates, seed=seed)
    return interval(matched, drawn, name, operating_scores=AT_HALF, **options)


def test_bounds_of_recall_are_those_of_scipy(drives_of):
    judge = pytest.importorskip("scipy.stats")
    found = np.random.default_rng(0).choice([0, 1, 2, 3], 40, p=[0.1, 0.2, 0.3, 0.4])
    ours = interval_of(drives_of(found), "recall", class_id=0, replicates=5000)
    theirs = judge.bootstrap(
        (found, np.full(40, 3)),
        lambda right, objects, axis: right.sum(axis=axis) / objects.sum(axis=axis),
        paired=True,
        vectorized=True,
        batch=1000,
        method="percentile",
        confidence_level=1 - 2 * float(share_outside(np.array([40]))[0]),
        n_resamples=2000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    # One more light found in one drive is 1/120.
    assert ours.low == pytest.approx(theirs.low, abs=1 / 120)
    assert ours.high == pytest.approx(theirs.high, abs=1 / 120)
    assert ours.low < found.mean() / 3 < ours.high and (ours.sequences, ours.replicates) == (40, 5000)


@pytest.mark.parametrize("n", [2, 5, 20, 1000])
def test_bounds_of_a_mean_are_those_of_students_t(n):
    """Replicates of a mean spread by s / sqrt(n) * sqrt((n - 1) / n); the interval is to be mean -+ t * s / sqrt(n)."""
    judge = pytest.importorskip("scipy.stats")
    far_out = -judge.norm.ppf(share_outside(np.array([n]), 0.95)[0]) * np.sqrt((n - 1) / n)
    assert far_out == pytest.approx(judge.t.ppf(0.975, n - 1))


def test_a_wider_level_is_wider_and_more_drives_are_narrower(drives_of):
    few, many = drives_of([1, 3, 2, 0, 3, 2]), drives_of([1, 3, 2, 0, 3, 2] * 8)
    widths = [
        (found := interval_of(matched, "ap50", class_id=0, level=level)).high - found.low
        for matched, level in ((few, 0.95), (few, 0.8), (many, 0.95))
    ]
    assert widths[0] > widths[1] > 0 and widths[0] > 1.8 * widths[2]


def test_frames_of_one_drive_count_as_one_observation(drives_of):
    """Eight drives that are all right or all wrong: as uncertain as eight frames, not as twenty-four."""
    matched = drives_of([0, 3, 0, 3, 3, 3, 0, 3])
    by_drive = interval_of(matched, "recall", class_id=0)
    alone = draw_replicates(np.arange(24), replicates=400)
    by_frame = interval(matched, alone, "recall", class_id=0, operating_scores=AT_HALF)
    assert by_drive.high - by_drive.low > 1.4 * (by_frame.high - by_frame.low)


@pytest.mark.parametrize("n", [LEAST_SEQUENCES, 40])
def test_all_or_none_of_few_drives_is_not_all_or_none(drives_of, n):
    """What all replicates agree on gets the exact bound over drives: 3 frames of each drive are no 3 observations."""
    bound = 1 - 0.025 ** (1 / n)
    perfect, blind = drives_of([3] * n), drives_of([0] * n)
    for name in ("precision", "recall", "f1"):
        for class_id in (None, 0):
            best, worst = (interval_of(matched, name, class_id=class_id) for matched in (perfect, blind))
            assert (best.low, best.high) == pytest.approx((1 - bound, 1)), name
            assert (worst.low, worst.high) == pytest.approx((0, bound)), name
    for name, class_id in (("red_as_green", None), ("phantoms_per_frame", None), ("phantoms_per_frame", 2)):
        none = interval_of(perfect, name, class_id=class_id)
        assert (none.low, none.high) == pytest.approx((0, bound)), name
    for name in ("ap", "ap50", "ap75", "ar100"):
        best, worst = (interval_of(matched, name) for matched in (perfect, blind))
        assert (best.low, best.high) == pytest.approx((1 - bound, 1)), name
        assert (worst.low, worst.high) == pytest.approx((0, bound)), name


def test_one_mistake_does_not_make_surer_than_none(drives_of):
    """Replicates of one light missed in ten drives spread by a few hundredths, those of none do not spread at all."""
    none, one = drives_of([3] * 10), drives_of([3] * 9 + [2])
    for name in ("precision", "recall", "f1", "ap50"):
        bound = interval_of(none, name).low
        assert bound == pytest.approx(0.025 ** (1 / 10)), name
        assert interval_of(one, name).low == pytest.approx(bound), name
    assert interval_of(drives_of([3] * 5 + [0] * 5), "recall").low < bound, "many are told by the replicates"
    assert interval_of(drives_of([0] * 9 + [1]), "recall").high < 1 - bound, "how bad it is, the replicates tell"


def test_the_exact_bound_of_a_mean_is_the_mean_of_those_of_its_classes(catalog_of, detections_of, lights):
    """Ten drives, red lights in all of them and green ones in two, every one found."""
    frames, rows = [], []
    for index in range(10):
        boxes = [(0, 0, 20, 20), (100, 0, 120, 20)][: 2 if index < 2 else 1]
        states = (State.RED, State.GREEN)
        annotations = tuple(Annotation(xyxy=box, state=state) for box, state in zip(boxes, states, strict=False))
        frames.append(Frame(frame_id=str(index), path=f"{index}", width_px=640, height_px=48, annotations=annotations))
        rows.append([(*box, 0.9, 2 * place) for place, box in enumerate(boxes)])
    matched = match(ground_truth_from_catalog(catalog_of(frames), lights), [detections_of(row) for row in rows])
    bounds = [1 - 0.025 ** (1 / n) for n in (10, 2)]
    for name in ("precision", "recall", "f1"):
        assert interval_of(matched, name).low == pytest.approx(1 - np.mean(bounds)), name
        assert interval_of(matched, name, class_id=0).low == pytest.approx(1 - bounds[0]), name


def test_no_interval_without_objects_or_of_few_sequences(drives_of):
    matched = drives_of([3, 2] * 3)
    assert interval_of(matched, "ap50", class_id=1) is None
    assert interval_of(matched, "ap_large") is None
    assert interval_of(matched, "phantoms_per_frame", class_id=0) is None
    assert interval_of(matched, "phantoms_per_frame", class_id=1).low == 0
    few = drives_of([3, 2, 1, 2, 3][: LEAST_SEQUENCES - 1])
    assert all(interval_of(few, name) is None for name in get_args(ScoreName))


def test_sequences_are_counted_by_what_the_score_is_measured_on(random_problem):
    problem = random_problem(2)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    drawn = draw_replicates(sequence_numbers(truth), replicates=1)
    frames_with = {
        class_id: len(set(truth.frame_index[(truth.class_id == class_id) & ~truth.is_ignored].tolist()))
        for class_id in range(4)
    }
    assert len(set(frames_with.values())) > 2
    assert {class_id: count_sequences(matched, drawn, "ap", class_id) for class_id in range(4)} == frames_with
    assert count_sequences(matched, drawn, "red_as_green") == frames_with[0]
    assert count_sequences(matched, drawn, "phantoms_per_frame") == len(truth)
    assert count_sequences(matched, drawn, "ap_large", 0) < frames_with[0]


def test_the_order_of_frames_and_detections_does_not_matter(random_problem, lights):
    problem = random_problem(4)
    frames = problem.catalog.frames
    catalog = problem.catalog.with_frames(
        frames.with_columns(sequence=pl.Series([f"drive{index % 8}" for index in range(len(frames))]))
    )
    rows = np.random.default_rng(0).permutation(len(frames))
    bounds = []
    for some, order in ((catalog, range(len(frames))), (catalog.with_frames(catalog.frames[rows]), rows)):
        detections = [problem.detections[row] for row in order]
        if some is not catalog:
            detections = [
                replace(item, xyxy=item.xyxy[::-1], score=item.score[::-1], class_id=item.class_id[::-1])
                for item in detections
            ]
        matched = match(ground_truth_from_catalog(some, lights), detections)
        bounds.append([interval_of(matched, name) for name in get_args(ScoreName)])
    assert bounds[0] == bounds[1] and sum(item is not None for item in bounds[0]) >= 10


def test_operating_scores_are_needed_where_they_count(random_problem):
    problem = random_problem(0)
    matched = match(problem.ground_truth, problem.detections)
    drawn = draw_replicates(sequence_numbers(problem.ground_truth), replicates=50)
    assert interval(matched, drawn, "ap50") is not None
    with pytest.raises(ValueError, match="recall: 0 operating scores for 4 classes"):
        interval(matched, drawn, "recall")
    with pytest.raises(ValueError, match="f1: 1 operating scores for 4 classes"):
        interval(matched, drawn, "f1", operating_scores=[0.5])
    with pytest.raises(ValueError, match="not of one class"):
        interval(matched, drawn, "red_as_green", class_id=0, operating_scores=AT_HALF)


def test_a_rare_class_leaves_the_mean_where_it_was_not_drawn(random_problem):
    """The mean over classes of a replicate without a class is that of the others, as in the scorer."""
    problem = random_problem(5)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    rare = min(range(4), key=lambda class_id: (truth.class_id == class_id).sum() or 10**6)
    of_class = interval_of(matched, "ap50", class_id=rare)
    assert score(matched).classes[rare].objects > 0
    assert interval_of(matched, "ap50").replicates == 400 >= of_class.replicates


def drawn_world(n_sequences, rng):
    """Objects per sequence, and sequence, score and rightness of detections; sequences differ in difficulty."""
    skill, n_objects = rng.beta(6, 3, n_sequences), rng.poisson(8, n_sequences)
    of_object = np.repeat(np.arange(n_sequences), n_objects)
    found = of_object[rng.random(len(of_object)) < skill[of_object]]
    wrong = np.repeat(np.arange(n_sequences), rng.poisson(4 * (1.3 - skill)))
    sequence = np.concatenate([found, wrong])
    value = np.concatenate([rng.normal(0.45 + 0.35 * skill[found], 0.15), rng.normal(0.4, 0.15, len(wrong))])
    order = np.lexsort((sequence, -value))
    return n_objects, sequence[order], value[order], (np.arange(len(sequence)) < len(found))[order]


@pytest.mark.slow
@pytest.mark.parametrize(("n_sequences", "least", "most"), [(5, 0.84, 0.96), (20, 0.88, 0.98), (200, 0.91, 0.98)])
def test_coverage(n_sequences, least, most):
    """How often a nominal 95 % interval of AP50 holds the value of the world that the data were drawn from."""
    rng = np.random.default_rng(7)
    n_objects, _, _, is_right = drawn_world(100_000, rng)
    truth = average_precision(is_right, np.ones_like(is_right), int(n_objects.sum()), 101)
    holds = []
    for seed in range(300):
        n_objects, sequence, value, is_right = drawn_world(n_sequences, rng)
        drawn = draw_replicates(np.arange(n_sequences), replicates=200, seed=seed)
        values = average_precision_of_each(
            drawn, sequence, value, is_right[None], np.ones((1, len(is_right)), np.bool_), drawn.times @ n_objects, 101
        )
        low, high = bounds_of(values[~np.isnan(values)], n_sequences)
        holds.append(low <= truth <= high)
    assert least <= np.mean(holds) <= most, f"{np.mean(holds):.3f} of nominal 0.95"
