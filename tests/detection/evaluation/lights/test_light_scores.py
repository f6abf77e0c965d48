"""Confusion, mistakes, phantoms and missed lights of a selection."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from tl_datasets.frame import Annotation
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.taxonomy import Relevance, State, TimeOfDay
from tl_detection.evaluation.exact_bounds import none_bound
from tl_detection.evaluation.lights.answers import read_answers
from tl_detection.evaluation.lights.scores import score_lights
from tl_detection.evaluation.lights.traits import read_traits
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.overlaps import measure_overlaps
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.scores import score
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.slices import slice_by_expression
from tl_detection.evaluation.stop_lights import is_stop_object

RED, YELLOW, GREEN, OFF = range(4)


def rates(named) -> dict[str, tuple[int, int]]:
    return {item.name: (item.rate.part, item.rate.whole) for item in named if item.rate.whole}


def on(x: float, score: float, class_id: int, height_px: float = 20):
    return (x, 0, x + 10, height_px, score, class_id)


def test_matrix_counts_what_is_said_of_what(said_of, frame_of, lamp):
    frames = [
        frame_of("a", lamp("red", 0), lamp("red", 50), lamp("green", 100), lamp("yellow", 150)),
        frame_of("b", lamp("red", 0)),
    ]
    rows = [
        [on(0, 0.9, RED), on(50, 0.9, GREEN), on(50, 0.6, RED), on(100, 0.9, RED), on(200, 0.9, OFF)],
        [],
    ]
    found = said_of(frames, rows).states
    assert found.labels == ("red", "yellow", "green", "off")
    parts = {row.name: [rate.part for rate in row.said] + [row.missed.part] for row in found.rows}
    assert parts == {
        "red": [1, 0, 1, 0, 1],
        "yellow": [0, 0, 0, 0, 1],
        "green": [1, 0, 0, 0, 0],
        "off": [0, 0, 0, 0, 0],
    }
    assert [row.objects for row in found.rows] == [3, 1, 1, 0]
    assert found.rows[0].said[GREEN].value == pytest.approx(1 / 3)
    assert found.rows[OFF].missed.value is None, "no object, no value"
    assert [rate.part for rate in found.nothing_there] == [0, 0, 0, 1]
    assert found.nothing_there[OFF].value == pytest.approx(500), "one in two frames"


@pytest.mark.parametrize("seed", range(3))
def test_rows_add_up(random_problem, seed, answers_of):
    problem = random_problem(seed)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    answers = read_answers(matched, measure_overlaps(matched), [0.4] * 4)
    mask = np.arange(len(truth)) % 2 == 0
    replicates = draw_replicates(sequence_numbers(truth), mask, replicates=50)
    found = score_lights(answers, read_traits(truth), Selection.of_frames(matched, mask), replicates)
    for row in found.states.rows:
        assert sum(rate.part for rate in row.said) + row.missed.part == row.objects
    assert sum(row.objects for row in found.states.rows) == found.objects
    assert found.missed.rate.part == sum(row.missed.part for row in found.states.rows)
    for groups in (found.missed.by_class, found.missed.by_state, found.missed.by_size, found.missed.by_relevance):
        assert sum(item.rate.part for item in groups) == found.missed.rate.part
        assert sum(item.rate.whole for item in groups) == found.objects
    assert found.phantoms.overall.rate.part == sum(item.rate.part for item in found.phantoms.by_class)
    assert sum(item.rate.part for item in found.red_as_green.by_size) == found.red_as_green.rate.part
    json.dumps(asdict(found), allow_nan=False)


def test_red_as_green_by_size_and_time_of_day(said_of, frame_of, lamp):
    frames = [
        frame_of("day", lamp("red", 0), lamp("red", 50, 10), time_of_day=TimeOfDay.DAYTIME),
        frame_of("night", lamp("red", 0, 10), lamp("green", 50, 10), time_of_day=TimeOfDay.NIGHT),
    ]
    rows = [
        [on(0, 0.9, RED), on(50, 0.9, GREEN, 10)],
        [on(0, 0.9, GREEN, 10), on(50, 0.9, RED, 10)],
    ]
    found = said_of(frames, rows)
    mistake = found.red_as_green
    assert (mistake.rate.part, mistake.rate.whole, mistake.detected) == (2, 3, 3)
    assert rates(mistake.by_size) == {"8-12": (2, 2), "16-24": (0, 1)}
    assert rates(mistake.by_time_of_day) == {"daytime": (1, 2), "night": (1, 1)}
    cells = {item.time_of_day: rates(item.by_size) for item in mistake.by_size_and_time_of_day}
    assert cells == {"daytime": {"8-12": (1, 1), "16-24": (0, 1)}, "night": {"8-12": (1, 1)}}
    assert (found.green_as_red.rate.part, found.green_as_red.rate.whole) == (1, 1)


@pytest.mark.parametrize("on_grid", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_red_as_green_is_one_number_wherever_it_stands(random_problem, seed, on_grid):
    problem = random_problem(seed, 60, on_grid=on_grid)
    truth, operating_scores = problem.ground_truth, [0.3, 0.5, 0.2, 0.4]
    matched = match(truth, problem.detections)
    overlaps = measure_overlaps(matched)
    answers = read_answers(matched, overlaps, operating_scores)
    assert (overlaps.own_iou >= 0.5)[overlaps.other_iou >= 0.5].any(), "some detections lie on two lamps"
    for text in ("red | green | yellow | off", "night", "red & height_px < 40"):
        part = slice_by_expression(truth, text)
        selection = part.select(matched)
        replicates = draw_replicates(sequence_numbers(truth), selection.frames, replicates=50)
        found = score_lights(answers, read_traits(truth), selection, replicates).red_as_green
        expected = score(part.records(matched), part.frame_mask, operating_scores).red_as_green
        assert expected.objects and (found.rate.part, found.rate.whole, found.detected) == (
            expected.as_green,
            expected.objects,
            expected.detected,
        )


def test_a_green_box_that_found_a_green_lamp_does_not_turn_the_red_one_beside_it(answers_of, frame_of, lamp):
    between = (2, 0, 12, 20, 0.9, GREEN)  # IoU 0.82 with the red lamp, 0.67 with the green one
    found = answers_of([frame_of("a", lamp("red", 1), lamp("green", 4))], [[between]])
    counts = score(found.matched, operating_scores=[0.5] * 4).red_as_green
    assert (counts.objects, counts.detected, counts.as_green) == (1, 0, 0)


def test_a_detection_of_exactly_its_operating_score_counts_in_the_scores_too(answers_of, frame_of, lamp):
    found = answers_of([frame_of("a", lamp("red", 0))], [[on(0, 0.5, GREEN)]])
    for green, expected in ((0.5, 1), (0.5 + 1e-9, 0)):
        counts = score(found.matched, operating_scores=[0.5, 0.5, green, 0.5]).red_as_green
        assert (counts.detected, counts.as_green) == (expected, expected)


def test_an_ignored_red_lamp_is_no_stop_object(answers_of, frame_of, lamp):
    found = answers_of([frame_of("a", lamp("red", 0, ignore=True), lamp("red", 50))], [[on(0, 0.9, GREEN)]])
    assert is_stop_object(found.matched.ground_truth).tolist() == [False, True]
    assert not len(found.matched.stop_pairs.box)


def test_a_lamp_that_is_missed_is_not_said_to_be_the_last_class(said_of, frame_of, lamp):
    """Nothing said is stored as -1, which reads the last class: here green, and red."""
    for names in (("red", "green"), ("green", "red")):
        space = LabelSpace(classes={name: Rule(state=[name]) for name in names})
        found = said_of([frame_of("a", lamp("red", 0), lamp("green", 50))], [[]], label_space=space)
        assert (found.red_as_green.rate.part, found.green_as_red.rate.part) == (0, 0)
        assert [[rate.part for rate in row.said] for row in found.states.rows] == [[0, 0], [0, 0]]


def test_green_said_to_be_yellow_is_not_green_as_red(said_of, frame_of, lamp):
    found = said_of([frame_of("a", lamp("green", 0), lamp("green", 50))], [[on(0, 0.9, YELLOW), on(50, 0.9, OFF)]])
    assert (found.green_as_red.rate.part, found.green_as_red.rate.whole, found.green_as_red.detected) == (0, 2, 2)


ARROWS = LabelSpace(
    classes={
        "red_left": Rule(state=["red"], pictogram=["arrow_left"]),
        "red": Rule(state=["red", "red_yellow"]),
        "green_left": Rule(state=["green"], pictogram=["arrow_left"]),
        "green": Rule(state=["green"]),
    }
)
ONE = LabelSpace(classes={"traffic_light": Rule()})
MIXED = LabelSpace(classes={"red": Rule(state=["red"]), "car": Rule(category=["car"])})


def test_classes_of_one_state_share_a_label(said_of, frame_of, lamp):
    arrow = lamp("red", 0, pictogram="arrow_left")
    frames = [frame_of("a", arrow, lamp("red_yellow", 50), lamp("green", 100))]
    rows = [[on(0, 0.9, 1), on(50, 0.9, 2), on(100, 0.9, 2)]]
    found = said_of(frames, rows, label_space=ARROWS)
    assert found.states.labels == ("red", "red/red_yellow", "green")
    assert [[rate.part for rate in row.said] for row in found.states.rows] == [[0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert found.classes.labels == ("red_left", "red", "green_left", "green")
    assert [rate.part for rate in found.classes.rows[3].said] == [0, 0, 1, 0], "green said to be a green arrow"
    assert (found.red_as_green.rate.part, found.red_as_green.rate.whole) == (1, 2), "an arrow that means go counts"


def test_one_class_has_no_confusion_but_phantoms_and_missed_lights(said_of, frame_of, lamp):
    frames = [frame_of("a", lamp("red", 0), lamp(None, 50), lamp("green", 100))]
    found = said_of(frames, [[on(0, 0.9, 0), on(300, 0.9, 0)]], label_space=ONE)
    assert (found.states, found.classes, found.red_as_green, found.green_as_red) == (None, None, None, None)
    assert found.phantoms.overall.rate.part == 1
    assert rates(found.missed.by_state) == {"red": (0, 1), "green": (1, 1), "not annotated": (1, 1)}


def test_classes_that_are_no_lights_stand_beside_states(said_of, frame_of, lamp):
    frames = [frame_of("a", lamp("red", 0), lamp(None, 50, category="car"))]
    found = said_of(frames, [[on(0, 0.9, 1), on(50, 0.9, 1)]], label_space=MIXED)
    assert found.states.labels == ("red", "car")
    assert [[rate.part for rate in row.said] for row in found.states.rows] == [[0, 1], [0, 1]]
    assert found.classes is None and found.red_as_green is None


def test_phantoms_of_a_class_that_is_absent_count_and_badly_placed_ones_are_told_apart(said_of, frame_of, lamp):
    frames = [frame_of("fog", lamp("red", 0)), frame_of("empty")]
    beside = (0, 0, 10, 6, 0.9, YELLOW)  # IoU 0.3 with the lamp
    rows = [[on(0, 0.9, RED), beside, on(100, 0.9, YELLOW), on(200, 0.4, YELLOW)], [on(0, 0.9, YELLOW)]]
    found = said_of(frames, rows).phantoms
    yellow = found.by_class[YELLOW]
    assert (yellow.name, yellow.objects) == ("yellow", 0)
    assert (yellow.rate.part, yellow.rate.value, yellow.misplaced.part) == (2, 1000, 1)
    assert (found.by_class[RED].objects, found.by_class[RED].rate.value) == (1, 0)
    only_fog = said_of(frames, rows, frame_mask=[True, False]).phantoms
    assert (only_fog.overall.rate.part, only_fog.overall.misplaced.part, only_fog.overall.rate.value) == (1, 1, 1000)


def test_missed_by_relevance_and_occlusion(said_of, frame_of, lamp):
    lamps = [
        lamp("red", 0, relevance=Relevance.RELEVANT, occluded=False),
        lamp("red", 50, relevance=Relevance.NOT_RELEVANT, occluded=True),
        lamp("red", 100, relevance=Relevance.NOT_RELEVANT),
    ]
    found = said_of([frame_of("a", *lamps)], [[on(0, 0.9, GREEN), on(100, 0.9, RED)]]).missed
    assert rates(found.by_relevance) == {"relevant": (0, 1), "not_relevant": (1, 2)}
    assert rates(found.by_occlusion) == {"visible": (0, 1), "occluded": (1, 1), "not annotated": (0, 1)}
    assert (found.rate.part, found.rate.whole) == (1, 3), "what is taken for another state is not missed"


def test_an_object_slice_speaks_of_its_objects_and_detections(answers_of, frame_of, lamp):
    answers = answers_of(
        [frame_of("a", lamp("red", 0), lamp("red", 50))], [[on(0, 0.9, GREEN), on(50, 0.9, GREEN), on(100, 0.9, RED)]]
    )
    matched = answers.matched
    selection = Selection(
        frames=np.ones(1, np.bool_), objects=np.array([True, False]), detections=matched.xyxy[:, 0] < 60
    )
    replicates = draw_replicates(np.arange(1))
    found = score_lights(answers, read_traits(matched.ground_truth), selection, replicates)
    assert (found.objects, found.red_as_green.rate.part, found.red_as_green.rate.whole) == (1, 1, 1)
    assert found.phantoms.overall.rate.part == 0
    assert [rate.part for rate in found.states.nothing_there] == [0, 0, 0, 0]


@pytest.mark.parametrize("n_frames", [0, 3])
def test_nothing_to_see_gives_no_value(said_of, frame_of, n_frames):
    frames = [frame_of(str(index)) for index in range(max(1, n_frames))]
    found = said_of(frames, [[]] * len(frames), frame_mask=np.full(len(frames), n_frames > 0))
    assert (found.frames, found.objects) == (n_frames, 0)
    assert found.missed.rate.value is None and found.red_as_green.rate.value is None
    assert found.phantoms.overall.rate.value == (0 if n_frames else None)


def test_none_of_many_is_not_never(said_of, frame_of, lamp):
    frames = [frame_of(str(index), lamp("red", 0), sequence=str(index)) for index in range(20)]
    found = said_of(frames, [[on(0, 0.9, RED)]] * 20)
    mistake = found.red_as_green
    assert (mistake.rate.value, mistake.rate.low) == (0, 0)
    assert mistake.rate.high == pytest.approx(none_bound(20, 0.95)) == pytest.approx(1 - 0.025 ** (1 / 20))
    always = found.states.rows[RED].said[RED]
    assert (always.value, always.low, always.high) == (1, 1 - mistake.rate.high, 1), "and all of many is not always"
    assert found.phantoms.overall.rate.high == pytest.approx(1000 * mistake.rate.high)


def test_a_phantom_in_every_frame_is_no_highest_rate(said_of, frame_of):
    frames = [frame_of(str(index), sequence=str(index)) for index in range(20)]
    rate = said_of(frames, [[on(0, 0.9, RED)]] * 20).phantoms.overall.rate
    assert (rate.value, rate.low, rate.high) == (1000, 1000, 1000), "it could be more than one per frame"


def test_size_bins(answers_of, frame_of, lamp):
    heights = (0.5, 8, 9.9, 10, 400)
    truth = answers_of([frame_of("a", *(lamp("red", 20 * i, height) for i, height in enumerate(heights)))], [[]])
    trait = read_traits(truth.matched.ground_truth, [8, 10]).size
    assert trait.values == ("0-8", "8-10", "10-")
    assert trait.code.tolist() == [0, 1, 1, 2, 2]
    for edges in ([], [10, 8], [0, 8], [8, 8]):
        with pytest.raises(ValueError, match="size edges"):
            read_traits(truth.matched.ground_truth, edges)


def test_sizes_are_those_of_slices_whatever_noise_coordinates_have(said_of, frame_of):
    # As normalised coordinates come back: 24 px, but for the last digit.
    noisy = Annotation(xyxy=(0.0, 100.1, 10.0, 100.1 + 23.9999999999), state=State.RED)
    found = said_of([frame_of("a", noisy)], [[]]).missed
    assert {item.name: item.rate.whole for item in found.by_size if item.rate.whole} == {"24-32": 1}
