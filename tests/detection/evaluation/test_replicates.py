"""A replicate is scored as the data set would be in which its frames really occur several times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np
import polars as pl
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import State
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.intervals import ScoreName, score_of_each
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.replicates import Replicates, draw_replicates, sequence_numbers
from tl_detection.evaluation.scores import score

OF_PYCOCOTOOLS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar100")
AT_OPERATING_SCORES = ("precision", "recall", "f1")


@pytest.fixture(scope="module")
def drives(random_problem) -> Callable:
    """A random problem whose frames belong to eight drives, but for a few that stand alone."""

    def make(seed: int, *, on_grid: bool = True, **options):
        problem = random_problem(seed, on_grid=on_grid, **options)
        frames = problem.catalog.frames
        names = [None if index % 9 == 8 else f"drive{index % 8}" for index in range(len(frames))]
        return replace(problem, catalog=problem.catalog.with_frames(frames.with_columns(sequence=pl.Series(names))))

    return make


def repeated(problem, times_of_frame):
    """The problem with every frame as often as said; copies follow each other by frame id."""
    catalog = problem.catalog
    rows = np.repeat(np.arange(len(catalog)), times_of_frame)
    ids = catalog.frames["frame_id"]
    new_ids = [f"{ids[int(row)]}#{copy}" for row, n in enumerate(times_of_frame) for copy in range(n)]
    boxes = [
        catalog.annotations.filter(pl.col("frame_id") == ids[int(row)]).with_columns(frame_id=pl.lit(new_id))
        for row, new_id in zip(rows, new_ids, strict=True)
    ]
    frames = catalog.frames[rows].with_columns(frame_id=pl.Series(new_ids))
    return replace(
        problem,
        catalog=Catalog(frames, pl.concat(boxes), catalog.roots),
        detections=[problem.detections[row] for row in rows],
    )


def assert_same(ours, expected, where):
    if expected is None:
        assert np.isnan(ours), f"{where}: {ours}, expected no value"
    else:
        assert ours == pytest.approx(expected, abs=1e-12), where


@pytest.mark.parametrize("on_grid", [True, False], ids=["ties", "no ties"])
@pytest.mark.parametrize("seed", range(3))
def test_replicates_equal_pycocotools_on_repeated_frames(drives, coco_verdict, seed, on_grid):
    problem = drives(seed, on_grid=on_grid)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    replicates = draw_replicates(sequence_numbers(truth), replicates=4, seed=seed)
    ours = {
        (name, class_id): score_of_each(matched, replicates, name, class_id=class_id)
        for name in OF_PYCOCOTOOLS
        for class_id in (None, 0, 1, 2, 3)
    }
    for index, times in enumerate(replicates.times):
        copies = repeated(problem, times[replicates.sequence])
        overall, per_class = coco_verdict(copies, copies.ground_truth.frame_ids)
        for (name, class_id), values in ours.items():
            expected = overall[name] if class_id is None else per_class[class_id][name]
            assert_same(values[index], expected, f"replicate {index}: {name} of class {class_id}")


@pytest.mark.parametrize("seed", range(3))
def test_replicates_of_a_slice_equal_the_scorer_on_repeated_frames(drives, seed):
    problem = drives(seed)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    operating_scores = score(matched).operating_scores
    mask = np.array([value == "clear" or value is None for value in truth.conditions["weather"]])
    replicates = draw_replicates(sequence_numbers(truth), mask, replicates=6, seed=seed)
    assert (replicates.sequence[~mask] == -1).all() and (replicates.sequence[mask] >= 0).all()
    options = {"operating_scores": operating_scores}
    for index, times in enumerate(replicates.times):
        copies = repeated(problem, np.where(mask, times[replicates.sequence], 0))
        scores = score(match(copies.ground_truth, copies.detections), operating_scores=operating_scores)
        for name in (*OF_PYCOCOTOOLS, *AT_OPERATING_SCORES):
            for item in scores.classes:
                ours = score_of_each(matched, replicates, name, class_id=truth.names.index(item.name), **options)
                assert_same(ours[index], getattr(item, name), f"replicate {index}: {item.name} {name}")
        counts = scores.red_as_green
        rate = counts.as_green / counts.objects if counts.objects else None
        assert_same(score_of_each(matched, replicates, "red_as_green", **options)[index], rate, "red as green")


@pytest.mark.parametrize("seed", range(4))
def test_every_frame_once_is_the_score_itself(drives, seed):
    problem = drives(seed)
    matched = match(problem.ground_truth, problem.detections)
    scores = score(matched)
    drawn = draw_replicates(sequence_numbers(problem.ground_truth), replicates=1)
    once = Replicates(sequence=drawn.sequence, times=np.ones_like(drawn.times))
    for name in set(get_args(ScoreName)) - {"red_as_green"}:
        for class_id, item in enumerate(scores.classes):
            ours = score_of_each(matched, once, name, class_id=class_id, operating_scores=scores.operating_scores)
            assert_same(ours[0], getattr(item, name), f"{item.name} {name}")
    for name in (*OF_PYCOCOTOOLS, "phantoms_per_frame"):
        ours = score_of_each(matched, once, name, operating_scores=scores.operating_scores)
        assert_same(ours[0], getattr(scores, name), name)


def test_problems_have_ties_inside_a_frame_between_right_and_wrong(drives):
    problem = drives(0)
    matched = match(problem.ground_truth, problem.detections)
    same = (matched.frame_index[1:] == matched.frame_index[:-1]) & (matched.score[1:] == matched.score[:-1])
    assert (same & (matched.is_match[0, 0, 1:] != matched.is_match[0, 0, :-1])).sum() > 20


def test_a_tie_inside_a_frame_stays_right_wrong_right_wrong_when_it_is_drawn_twice(problem_of):
    problem = problem_of([(0, 0, 20, 20)], [(0, 0, 20, 20, 0.5), (100, 0, 120, 20, 0.5)])
    matched = match(problem.ground_truth, problem.detections)
    twice = Replicates(sequence=np.zeros(1, np.int64), times=np.array([[1], [2], [0]], np.int16))
    once, doubled, absent = score_of_each(matched, twice, "ap50", class_id=0)
    assert once == pytest.approx(1)
    # Half of the objects are found at precision 1, all at 2/3.
    assert doubled == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert np.isnan(absent)


def test_sequences_are_told_apart_by_source_and_frames_without_one_stand_alone(catalog_of, lights):
    box = (Annotation(xyxy=(0, 0, 5, 9), state=State.RED),)
    named = [("c", "x"), ("a", None), ("d", "y"), ("b", "x"), ("x", None)]
    frames = [
        Frame(frame_id=name, path=f"{name}.png", width_px=64, height_px=48, annotations=box, sequence=sequence)
        for name, sequence in named
    ]
    truth = ground_truth_from_catalog(catalog_of(frames), lights)
    one, alone, other, same, last = sequence_numbers(truth)
    assert one == same and len({one, alone, other, last}) == 4, "a frame named like a drive is not part of it"
    sources = replace(truth, conditions={**truth.conditions, "source": ("p", "p", "p", "q", "p")})
    assert len(set(sequence_numbers(sources).tolist())) == 5


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_frames(drives):
    problem = drives(1)
    truth = problem.ground_truth
    numbers = sequence_numbers(truth)
    drawn = draw_replicates(numbers, replicates=300, seed=3)
    n_sequences = len(set(numbers.tolist()))
    assert drawn.times.shape == (300, n_sequences) and n_sequences == 10
    assert (drawn.times.sum(axis=1) == n_sequences).all()
    assert drawn.times.mean(axis=0) == pytest.approx(np.ones(n_sequences), abs=0.25)
    assert (draw_replicates(numbers, replicates=300, seed=3).times == drawn.times).all()
    assert (draw_replicates(numbers, replicates=300, seed=4).times != drawn.times).any()
    rows = np.random.default_rng(0).permutation(len(truth))
    shuffled = ground_truth_from_catalog(problem.catalog.with_frames(problem.catalog.frames[rows]), problem.label_space)
    again = draw_replicates(sequence_numbers(shuffled), replicates=300, seed=3)
    place = {frame_id: index for index, frame_id in enumerate(truth.frame_ids)}
    same_frame = [place[frame_id] for frame_id in shuffled.frame_ids]
    assert (again.times == drawn.times).all() and (again.sequence == drawn.sequence[same_frame]).all()


def test_no_frame_gives_no_value(drives):
    problem = drives(1)
    matched = match(problem.ground_truth, problem.detections)
    nothing = np.zeros(len(problem.ground_truth), np.bool_)
    drawn = draw_replicates(sequence_numbers(problem.ground_truth), nothing, replicates=5)
    for name in get_args(ScoreName):
        assert np.isnan(score_of_each(matched, drawn, name, operating_scores=[0.5] * 4)).all(), name


@pytest.mark.parametrize("often", [2, 25, 60, 130, 300, 4000])
def test_all_frames_more_often_change_no_score(drives, often):
    """Counts are collected in small integers, which many copies of a frame must not overflow."""
    problem = drives(1, on_grid=False)
    matched = match(problem.ground_truth, problem.detections)
    drawn = draw_replicates(sequence_numbers(problem.ground_truth), replicates=20)
    more = replace(drawn, times=drawn.times * np.int16(often))
    for name in OF_PYCOCOTOOLS:
        once, many = (score_of_each(matched, each, name) for each in (drawn, more))
        assert np.isfinite(once).any()
        np.testing.assert_allclose(many, once, rtol=0, atol=1e-12, err_msg=name)
