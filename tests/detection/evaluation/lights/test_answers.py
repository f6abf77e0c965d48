"""What is said of each lamp: one answer per lamp, one lamp per detection."""

from __future__ import annotations

import numpy as np
import pytest

from tl_detection.evaluation.lights.answers import MISSED, read_answers
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.overlaps import measure_overlaps

RED, YELLOW, GREEN, OFF = range(4)
ON_RED, ON_GREEN = (0, 0, 10, 20), (100, 0, 110, 20)

# (rows, what is said of the red lamp at 0 and of the green lamp at 100, phantoms)
CASES = {
    "nothing detected": ([], MISSED, MISSED, 0),
    "both right": ([(*ON_RED, 0.9, RED), (*ON_GREEN, 0.9, GREEN)], RED, GREEN, 0),
    "below the operating score": ([(*ON_RED, 0.49, RED)], MISSED, MISSED, 0),
    "exactly the operating score": ([(*ON_RED, 0.5, RED)], RED, MISSED, 0),
    "the best-scored says it": ([(*ON_RED, 0.6, RED), (*ON_RED, 0.9, GREEN)], GREEN, MISSED, 0),
    "a lower-scored one is no phantom": ([(*ON_RED, 0.9, RED), (*ON_RED, 0.6, GREEN)], RED, MISSED, 0),
    "a duplicate is no phantom": ([(*ON_RED, 0.9, RED), (*ON_RED, 0.8, RED)], RED, MISSED, 0),
    "one beside it is a phantom, the lamp is missed": ([(20, 0, 30, 20, 0.9, RED)], MISSED, MISSED, 1),
    "IoU just below a half: misplaced, no phantom": ([(0, 0, 10, 9.9, 0.9, RED)], MISSED, MISSED, 0),
    "IoU of a tenth: misplaced, no phantom": ([(0, 0, 10, 2, 0.9, GREEN)], MISSED, MISSED, 0),
    "IoU below a tenth: a phantom": ([(0, 0, 10, 1.9, 0.9, GREEN)], MISSED, MISSED, 1),
    "IoU of a half": ([(0, 0, 10, 10, 0.9, RED)], RED, MISSED, 0),
}


@pytest.mark.parametrize("case", CASES)
def test_one_answer_per_lamp(case, answers_of, frame_of, lamp):
    rows, of_red, of_green, phantoms = CASES[case]
    found = answers_of([frame_of("a", lamp("red", 0), lamp("green", 100))], [rows])
    assert (found.said.tolist(), len(found.phantoms)) == ([of_red, of_green], phantoms)
    for order in ([lamp("green", 100), lamp("red", 0)],):
        again = answers_of([frame_of("a", *order)], [rows[::-1]])
        assert again.said.tolist() == [of_green, of_red]


def test_scores_are_those_of_the_class(answers_of, frame_of, lamp):
    rows = [(*ON_RED, 0.6, GREEN), (*ON_RED, 0.4, RED)]
    found = answers_of([frame_of("a", lamp("red", 0))], [rows], operating_scores=[0.3, 0.5, 0.7, 0.5])
    assert found.said.tolist() == [RED]


def test_detection_on_two_lamps_speaks_of_the_one_that_it_found(answers_of, frame_of, lamp):
    # It overlaps the red lamp most, but has found the green one beside it.
    between = (2, 0, 12, 20, 0.9, GREEN)
    found = answers_of([frame_of("a", lamp("red", 1), lamp("green", 4))], [[between]])
    assert found.said.tolist() == [MISSED, GREEN]


def test_detection_that_found_nothing_speaks_of_the_lamp_that_it_overlaps_most(answers_of, frame_of, lamp):
    found = answers_of([frame_of("a", lamp("red", 1), lamp("yellow", 4))], [[(2, 0, 12, 20, 0.9, GREEN)]])
    assert found.said.tolist() == [GREEN, MISSED]
    assert not len(found.phantoms)


def test_two_states_in_one_box_are_both_answered(answers_of, frame_of, lamp):
    rows = [(*ON_RED, 0.9, RED), (*ON_RED, 0.8, GREEN)]
    for lamps in ([lamp("red", 0), lamp("green", 0)], [lamp("green", 0), lamp("red", 0)]):
        found = answers_of([frame_of("a", *lamps)], [rows])
        assert sorted(found.said.tolist()) == [RED, GREEN]
        assert [found.matched.ground_truth.class_id[i] for i in range(2)] == found.said.tolist()


def test_ignore_areas_excuse_what_speaks_of_no_lamp(answers_of, frame_of, lamp):
    lamps = [lamp("unknown", 50), lamp("red", 100, ignore=True), lamp("red", 0)]
    on_unknown, on_ignored = (50, 0, 60, 20, 0.9, GREEN), (100, 0, 110, 20, 0.9, RED)
    found = answers_of([frame_of("a", *lamps)], [[on_unknown, on_ignored]])
    assert found.said.tolist() == [MISSED] * 3 and not len(found.phantoms)
    # An ignored red lamp excuses red alone.
    found = answers_of([frame_of("a", *lamps)], [[(100, 0, 110, 20, 0.9, GREEN)]])
    assert len(found.phantoms) == 1


@pytest.mark.parametrize("seed", range(6))
def test_a_plain_reading_of_the_rules_says_the_same(random_problem, seed):
    problem = random_problem(seed)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    operating_scores = [0.3, 0.5, 0.4, 0.6]
    found = read_answers(matched, measure_overlaps(matched), operating_scores)
    said: dict[int, tuple] = {}
    phantoms, misplaced = [], []
    for index in range(len(matched.score)):
        class_id, score, box = int(matched.class_id[index]), matched.score[index], matched.xyxy[index]
        if score < operating_scores[class_id]:
            continue
        chosen, is_object = matched.object_index[index], False
        if chosen >= 0:
            is_object = not truth.is_ignored[chosen]
        if not is_object:
            candidates, closest = [], 0.0
            for other in range(len(truth.class_id)):
                if truth.frame_index[other] == matched.frame_index[index] and not truth.is_ignored[other]:
                    iou = _iou(box, truth.xyxy[other])
                    closest = max(closest, iou)
                    if iou >= 0.5:
                        is_own = truth.class_id[other] == class_id
                        candidates.append((-iou, not is_own, *truth.xyxy[other], truth.class_id[other], other))
            if not candidates:
                if chosen < 0:
                    (phantoms if closest < 0.1 else misplaced).append(index)
                continue
            chosen = min(candidates)[-1]
        rank = (-score, *box, class_id)
        if chosen not in said or rank < said[chosen]:
            said[chosen] = rank
    expected = np.full(len(truth.class_id), MISSED)
    for lamp, rank in said.items():
        expected[lamp] = rank[-1]
    assert found.said.tolist() == expected.tolist()
    assert (found.phantoms.tolist(), found.misplaced.tolist()) == (phantoms, misplaced)
    assert phantoms and misplaced


@pytest.mark.parametrize("seed", range(3))
def test_order_of_the_detections_does_not_matter(random_problem, seed):
    problem = random_problem(seed)
    rng = np.random.default_rng(seed)
    shuffled = []
    for item in problem.detections:
        order = rng.permutation(len(item))
        shuffled.append(type(item)(xyxy=item.xyxy[order], score=item.score[order], class_id=item.class_id[order]))
    said = []
    for detections in (problem.detections, shuffled):
        matched = match(problem.ground_truth, detections)
        said.append(read_answers(matched, measure_overlaps(matched), [0.4] * 4).said.tolist())
    assert said[0] == said[1]


def test_operating_scores_must_fit(answers_of, frame_of):
    with pytest.raises(ValueError, match="2 operating scores for 4 classes"):
        answers_of([frame_of("a")], [[]], operating_scores=[0.5, 0.5])


def _iou(first, second) -> float:
    sides = [min(first[2 + i], second[2 + i]) - max(first[i], second[i]) for i in range(2)]
    if min(sides) <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return sides[0] * sides[1] / (sum(areas) - sides[0] * sides[1])
