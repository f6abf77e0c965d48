"""Scores over the size of the lights."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from tl_datasets.errors import UsageError
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.network_size import InputSize
from tl_detection.detector import Detections
from tl_detection.evaluation.analyses import prepare
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.intervals import interval
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.scores import score
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.size_bins import LIGHT_EDGES_PX
from tl_detection.evaluation.size_curve import measure_size_curve
from tl_detection.evaluation.slices import slice_by_expression


@pytest.fixture
def problem_of_sizes(random_problem):
    def make(seed=6, frames=None):
        problem = random_problem(seed, 40, on_grid=False, crowded=False)
        matched = match(problem.ground_truth, problem.detections)
        answers = prepare(matched, [0.3] * 4).answers
        mask = np.ones(len(matched.ground_truth), np.bool_) if frames is None else frames(matched.ground_truth)
        drawn = draw_replicates(sequence_numbers(matched.ground_truth), mask, replicates=60)
        return answers, Selection.of_frames(matched, mask), drawn

    return make


def test_a_bin_scores_what_a_slice_of_that_size_scores(problem_of_sizes):
    answers, selection, drawn = problem_of_sizes()
    matched = answers.matched
    curve = measure_size_curve(answers, selection, drawn)
    assert (curve.column, curve.input_size) == ("height_px", None)
    assert [item.name for item in curve.bins] == [
        "0-4",
        "4-6",
        "6-8",
        "8-12",
        "12-16",
        "16-24",
        "24-32",
        "32-48",
        "48-",
    ]
    seen = 0
    for item in curve.bins:
        text = f"height_px >= {item.low}" + ("" if item.high is None else f" and height_px < {item.high}")
        part = slice_by_expression(matched.ground_truth, text)
        records = part.records(matched)
        expected = score(records, part.frame_mask, answers.operating_scores)
        assert (item.objects, item.ap50) == (expected.objects, expected.ap50)
        if not item.objects:
            assert (item.recall.value, item.ap50, item.ap50_interval) == (None, None, None)
            assert item.too_small == "no object"
            continue
        seen += 1
        n_found = sum(round(each.recall * each.objects) for each in expected.classes if each.recall is not None)
        assert (item.recall.part, item.recall.whole) == (n_found, item.objects)
        assert item.recall.part <= item.said.part
        assert item.ap50_interval == interval(records, drawn, "ap50")
    assert seen >= 5


def test_the_bins_share_all_objects_out(problem_of_sizes):
    answers, selection, drawn = problem_of_sizes()
    truth = answers.matched.ground_truth
    curve = measure_size_curve(answers, selection, drawn)
    assert sum(item.objects for item in curve.bins) == selection.objects.sum()
    reds = [item.red_as_green for item in curve.bins if item.red_as_green is not None]
    is_red = selection.objects & (truth.class_id == 0)
    assert sum(rate.whole for rate in reds) == is_red.sum()
    assert sum(rate.part for rate in reds) == (is_red & (answers.said == 2)).sum() > 0
    everything = measure_size_curve(answers, selection, drawn, edges=(1e9,)).bins[0]
    assert (everything.ap50, everything.objects) == (score(answers.matched).ap50, selection.objects.sum())


def test_a_lamp_that_is_missed_is_not_said_to_be_the_last_class(problem_of):
    """Nothing said is stored as -1, which reads the last class: here green."""
    space = LabelSpace(classes={name: Rule(state=[name]) for name in ("red", "green")})
    truth = ground_truth_from_catalog(problem_of([(0, 0, 10, 20)], []).catalog, space)
    answers = prepare(match(truth, [Detections.empty()]), [0.5] * 2).answers
    every = Selection.of_frames(answers.matched, np.ones(1, np.bool_))
    curve = measure_size_curve(answers, every, draw_replicates(np.arange(1), replicates=5))
    assert [(item.red_as_green.part, item.said.part) for item in curve.bins if item.objects] == [(0, 0)]


def test_a_curve_speaks_of_its_selection(problem_of_sizes):
    half = lambda truth: np.arange(len(truth)) % 2 == 0  # noqa: E731
    answers, selection, drawn = problem_of_sizes(frames=half)
    everything = measure_size_curve(answers, selection, drawn, edges=(1e9,)).bins[0]
    assert everything.ap50 == score(answers.matched, selection.frames).ap50
    assert everything.objects == selection.objects.sum() < (~answers.matched.ground_truth.is_ignored).sum()


def test_sizes_in_the_network_are_smaller_by_the_letterbox(problem_of_sizes):
    answers, selection, drawn = problem_of_sizes()
    half = InputSize(width_px=300, height_px=320)  # of 600x600 frames
    network = measure_size_curve(answers, selection, drawn, column="network_height_px", input_size=half)
    doubled = measure_size_curve(answers, selection, drawn, edges=tuple(2 * edge for edge in LIGHT_EDGES_PX))
    assert network.input_size == "300x320"
    assert [item.ap50 for item in network.bins] == [item.ap50 for item in doubled.bins]
    assert [item.objects for item in network.bins] == [item.objects for item in doubled.bins]
    with pytest.raises(UsageError, match="--input-size"):
        measure_size_curve(answers, selection, drawn, column="network_height_px")


def test_a_curve_of_nothing_has_no_values_and_is_json(problem_of_sizes):
    answers, selection, drawn = problem_of_sizes(frames=lambda truth: np.zeros(len(truth), np.bool_))
    curve = measure_size_curve(answers, selection, drawn)
    assert {item.too_small for item in curve.bins} == {"no frame"}
    assert {(item.ap50, item.recall.value, item.ap50_interval) for item in curve.bins} == {(None, None, None)}
    json.dumps(dataclasses.asdict(curve), allow_nan=False)
