"""All intervals of a slice at once are those that are taken one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import polars as pl
import pytest

from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import State
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.intervals import LEAST_SEQUENCES, ScoreName, interval
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.pairs import area_px2
from tl_detection.evaluation.protocol import COCO
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.scores import score
from tl_detection.evaluation.selection import Selection, records_of
from tl_detection.evaluation.slice_intervals import intervals_of

# Average precision is computed in single precision where all are asked for.
TOLERANCE = 1e-5


@pytest.fixture
def records(random_problem):
    """Records of a random problem, in drives of two frames where asked for."""

    def make(seed, *, on_grid=True, frames_per_drive=1):
        problem = random_problem(seed, on_grid=on_grid, n_frames=30)
        frames = problem.catalog.frames
        if frames_per_drive > 1:
            names = [f"drive{index // frames_per_drive:03}" for index in range(len(frames))]
            frames = frames.with_columns(sequence=pl.Series(names))
        problem = replace(problem, catalog=problem.catalog.with_frames(frames))
        return match(problem.ground_truth, problem.detections)

    return make


def expected_intervals(matched, drawn, operating_scores):
    names = matched.ground_truth.names
    found = {}
    for name in get_args(ScoreName):
        for class_id in (None, *range(len(names))) if name != "red_as_green" else (None,):
            one = interval(matched, drawn, name, class_id=class_id, operating_scores=operating_scores)
            if one is not None:
                found[name if class_id is None else f"{name}:{names[class_id]}"] = one
    return found


def assert_same(ours, expected):
    assert ours.keys() == expected.keys()
    for word, one in expected.items():
        assert (ours[word].low, ours[word].high) == pytest.approx((one.low, one.high), abs=TOLERANCE), word
        assert replace(ours[word], low=0, high=0) == replace(one, low=0, high=0), word


@pytest.mark.parametrize(("on_grid", "frames_per_drive"), [(True, 1), (False, 1), (True, 3)])
@pytest.mark.parametrize("seed", range(4))
def test_all_at_once_are_those_one_by_one(records, seed, on_grid, frames_per_drive):
    matched = records(seed, on_grid=on_grid, frames_per_drive=frames_per_drive)
    truth = matched.ground_truth
    operating_scores = score(matched).operating_scores
    weather = np.array([value == "rainy" for value in truth.conditions["weather"]])
    for frames in (np.ones(len(truth), np.bool_), ~weather):
        drawn = draw_replicates(sequence_numbers(truth), frames, replicates=300, seed=seed)
        ours = intervals_of(matched, Selection.of_frames(matched, frames), drawn, operating_scores)
        assert len(ours) >= 30
        assert_same(ours, expected_intervals(matched, drawn, operating_scores))


@pytest.mark.parametrize("right", [True, False])
def test_all_at_once_have_the_exact_bounds_of_all_and_none(catalog_of, detections_of, lights, right):
    """Red in twelve drives, green in six; all right, or none and a yellow where there is none in the first drive."""
    frames, rows = [], []
    for index in range(12):
        lamps = [("red", 0, 0), ("green", 100, 2)][: 2 if index < 6 else 1]
        annotations = tuple(Annotation(xyxy=(x, 0, x + 10, 20), state=State(word)) for word, x, _ in lamps)
        frames.append(Frame(frame_id=str(index), path=f"{index}", width_px=640, height_px=48, annotations=annotations))
        left = 0 if right else 300
        rows.append([(x + left, 0, x + left + 10, 20, 0.9, class_id) for _, x, class_id in lamps])
    if not right:
        rows[0].append((500, 0, 510, 20, 0.9, 1))
    matched = match(ground_truth_from_catalog(catalog_of(frames), lights), [detections_of(row) for row in rows])
    drawn = draw_replicates(sequence_numbers(matched.ground_truth), replicates=300)
    every = Selection.of_frames(matched, np.ones(12, np.bool_))
    ours = intervals_of(matched, every, drawn, [0.5] * 4)
    assert_same(ours, expected_intervals(matched, drawn, [0.5] * 4))
    bounds = {n: 1 - 0.025 ** (1 / n) for n in (6, 12)}
    mean = (bounds[6] + bounds[12]) / 2
    for name in ("precision", "recall", "f1"):
        for word, bound in ((name, mean), (f"{name}:red", bounds[12]), (f"{name}:green", bounds[6])):
            expected = (1 - bound, 1) if right else (0, bound)
            assert (ours[word].low, ours[word].high) == pytest.approx(expected), word
    assert (ours["red_as_green"].low, ours["red_as_green"].high) == pytest.approx((0, bounds[12]))
    for word in ("phantoms_per_frame", "phantoms_per_frame:yellow"):
        found = ours[word]
        if right:
            assert (found.low, found.high) == pytest.approx((0, bounds[12]))
        else:
            assert (found.low, found.high) == pytest.approx((0, 1 / 4), abs=0.09), "seen once: as drawn"
    assert ours["phantoms_per_frame:off"].high == pytest.approx(bounds[12])


def test_a_slice_of_objects_has_the_intervals_of_its_size(records):
    matched = records(1)
    truth, area = matched.ground_truth, COCO.area_ranges[1]
    every = Selection.of_frames(matched, np.ones(len(truth), np.bool_))
    small = replace(
        every,
        objects=every.objects & area.holds(area_px2(truth.xyxy)),
        detections=every.detections & area.holds(area_px2(matched.xyxy)),
    )
    drawn = draw_replicates(sequence_numbers(truth), replicates=300)
    ours = intervals_of(matched, small, drawn, [0.5] * 4)
    whole = intervals_of(matched, every, drawn, [0.5] * 4)
    for class_name in ("", *(f":{name}" for name in truth.names)):
        assert (f"ap{class_name}" in ours) == (f"ap_small{class_name}" in whole)
        if f"ap{class_name}" in ours:
            assert ours[f"ap{class_name}"] == whole[f"ap_small{class_name}"]
    assert_same(ours, expected_intervals(records_of(matched, small), drawn, [0.5] * 4))


def test_nothing_is_known_of_no_frame_and_of_few_sequences(records):
    matched = records(2)
    truth = matched.ground_truth
    for n in (0, LEAST_SEQUENCES - 1):
        frames = np.arange(len(truth)) < n
        drawn = draw_replicates(sequence_numbers(truth), frames, replicates=50)
        assert intervals_of(matched, Selection.of_frames(matched, frames), drawn, [0.5] * 4) == {}


def test_replicates_of_other_frames_are_refused(records):
    matched = records(2)
    truth = matched.ground_truth
    every = Selection.of_frames(matched, np.ones(len(truth), np.bool_))
    drawn = draw_replicates(sequence_numbers(truth), np.arange(len(truth)) < 9, replicates=50)
    with pytest.raises(ValueError, match="other frames"):
        intervals_of(matched, every, drawn, [0.5] * 4)
    with pytest.raises(ValueError, match="1 operating scores for 4 classes"):
        intervals_of(matched, every, draw_replicates(sequence_numbers(truth), replicates=5), [0.5])
