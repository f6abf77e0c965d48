"""Which score a rule chooses, with what interval, and what is said where none will do."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import State
from tl_detection.detector import Detections
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.intervals import bounds_of
from tl_detection.evaluation.lights.answers import read_answers
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.operating.choice import choose_operating_points
from tl_detection.evaluation.operating.rules import Rule, parse_rule, rules_of_classes
from tl_detection.evaluation.overlaps import measure_overlaps
from tl_detection.evaluation.records import records_by_class
from tl_detection.evaluation.replicates import Replicates, draw_replicates, sequence_numbers
from tl_detection.evaluation.scores import score
from tl_detection.evaluation.selection import Selection

RED, YELLOW, GREEN, OFF = range(4)
STATES = (State.RED, State.YELLOW, State.GREEN, State.OFF)


@pytest.fixture
def choose(lights, catalog_of, detections_of):
    """Choose on frames, each given as (lamps (state, x), detections (x, score, class))."""

    def run(frames, words=(), replicates=200):
        made = [
            Frame(
                frame_id=f"f{index:03}",
                path=f"{index}.png",
                width_px=640,
                height_px=480,
                annotations=tuple(Annotation(xyxy=(x, 0, x + 10, 20), state=STATES[state]) for state, x in lamps),
            )
            for index, (lamps, _) in enumerate(frames)
        ]
        truth = ground_truth_from_catalog(catalog_of(made), lights)
        rows = [detections_of([(x, 0, x + 10, 20, value, kind) for x, value, kind in found]) for _, found in frames]
        matched = match(truth, rows)
        rules = rules_of_classes(words, truth.names, truth.means_stop, truth.means_go)
        overlaps = measure_overlaps(matched)
        selection = Selection.of_frames(matched, np.ones(len(truth), np.bool_))
        drawn = draw_replicates(sequence_numbers(truth), replicates=replicates)
        return choose_operating_points(matched, overlaps, selection, drawn, rules)

    return run


# Ten red lamps; from the highest score down: 4 found, 1 wrong, 4 found, 3 wrong, 1 found, many wrong.
LAMPS = [(RED, 40.0 * i) for i in range(10)]
RANKED = [True] * 4 + [False] + [True] * 4 + [False] * 3 + [True] + [False] * 5


def ranked_frame():
    found, lamp, phantom = [], 0, 0
    for place, right in enumerate(RANKED):
        value = 0.95 - 0.05 * place
        found.append((40.0 * lamp if right else 400.0 + 12 * phantom, value, RED))
        lamp, phantom = lamp + right, phantom + (not right)
    return [(LAMPS, found)]


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ("max_f1", 8),  # precision 8/9, recall 8/10
        ("precision>=0.95", 3),
        ("precision>=0.8", 8),
        ("precision>=0.5", 12),
        ("recall>=0.4", 3),
        ("recall>=0.8", 8),
        ("recall>=0.81", 12),
        ("precision>=0.6 and recall>=0.5", 8),  # both F1
    ],
)
def test_rule_chooses(choose, rule, place):
    red = choose(ranked_frame(), [rule])[RED]
    assert red.score == pytest.approx(0.95 - 0.05 * place)
    assert red.rule == str(parse_rule(rule))
    n_right = sum(RANKED[: place + 1])
    assert (red.precision.part, red.precision.whole) == (n_right, place + 1)
    assert (red.recall.part, red.recall.whole) == (n_right, 10)
    assert red.f1 == pytest.approx(2 * n_right / (place + 1 + 10))
    assert (red.score_low, red.met_in, red.why) == (None, None, None), "one sequence has no interval"


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("recall>=0.95", r"recall is at most 0.900, at score 0.350 \(precision 0.692\)"),
        ("precision>=0.85 and recall>=0.85", "each limit can be met, but no score meets all of them"),
    ],
)
def test_rule_that_cannot_be_met_says_what_could(choose, rule, why):
    red = choose(ranked_frame(), [rule])[RED]
    assert (red.score, red.precision, red.f1) == (None, None, None)
    assert re.fullmatch(why, red.why)


def test_precision_that_cannot_be_reached(choose):
    frames = [([(RED, 0.0)], [(100.0, 0.9, RED), (0.0, 0.5, RED)])]
    found = choose(frames, ["precision>=0.9"])
    assert found[RED].why == "precision is at most 0.500, at score 0.500 (recall 1.000)"
    assert found[YELLOW].why == "no object of the class in these frames; choose its score elsewhere"
    assert choose([([(RED, 0.0)], [])])[RED].why == "none of 1 objects is found, at any score"


def test_f1_is_chosen_as_the_scores_choose_it(random_problem):
    for seed in range(4):
        problem = random_problem(seed)
        truth = problem.ground_truth
        matched = match(truth, problem.detections)
        mask = np.ones(len(truth), np.bool_)
        rules = rules_of_classes([], truth.names, truth.means_stop, truth.means_go)
        drawn = draw_replicates(sequence_numbers(truth), replicates=2)
        points = choose_operating_points(
            matched, measure_overlaps(matched), Selection.of_frames(matched, mask), drawn, rules
        )
        expected = score(matched)
        for point, records, scores in zip(points, records_by_class(matched, mask), expected.classes, strict=True):
            assert point.score == records.best_operating_score()
            if point.score is not None:
                assert (point.f1, point.precision.value, point.recall.value) == pytest.approx(
                    (scores.f1, scores.precision, scores.recall)
                )


def test_interval_is_that_of_choosing_anew_in_each_replicate(random_problem):
    problem = random_problem(1, 40)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    overlaps, mask = measure_overlaps(matched), np.ones(len(truth), np.bool_)
    selection = Selection.of_frames(matched, mask)
    drawn = draw_replicates(sequence_numbers(truth), replicates=30)
    for word in ("max_f1", "precision>=0.4", "recall>=0.5", "max_f1 and red_as_green<=0.1"):
        rules = rules_of_classes([word], truth.names, truth.means_stop, truth.means_go)
        points = choose_operating_points(matched, overlaps, selection, drawn, rules)
        each = [_points_of_replicate(problem, drawn.times[row], points, rules) for row in range(len(drawn.times))]
        for index, point in enumerate(points):
            if point.score is None:
                continue
            known = [values[index] for values in each if values[index] is not None]
            assert point.met_in == pytest.approx(len(known) / len(each))
            of_class = (truth.class_id == index) & ~truth.is_ignored
            n_sequences = int(np.count_nonzero(drawn.count(truth.frame_index[of_class])))
            assert (point.score_low, point.score_high) == pytest.approx(bounds_of(np.array(known), n_sequences))


def _points_of_replicate(problem, times, points, rules):
    """Scores that the rules choose on a data set in which each frame stands as often as it was drawn.

    The others' scores, which a limit on red as green looks at, stay those of the whole.
    """
    truth = problem.ground_truth
    rows = np.repeat(np.argsort(sequence_numbers(truth)), times)
    boxes = [np.arange(truth.offsets[row], truth.offsets[row + 1]) for row in rows]
    at = np.concatenate(boxes) if boxes else np.zeros(0, np.int64)
    drawn = replace(
        truth,
        frame_ids=tuple(f"{place:03}" for place in range(len(rows))),
        frames=truth.frames[rows.tolist()],
        boxes=truth.boxes[at.tolist()],
        rows=np.arange(len(rows)),
        conditions={
            key: tuple(values[row] for row in rows) if key != "sequence" else (None,) * len(rows)
            for key, values in truth.conditions.items()
        },
        offsets=np.concatenate([[0], np.cumsum([len(item) for item in boxes])]).astype(np.int64),
        class_id=truth.class_id[at],
        xyxy=truth.xyxy[at],
        is_ignored=truth.is_ignored[at],
    )
    detections = [problem.detections[row] for row in rows]
    # Classes without a limit on red as green keep their detections from the score on that the whole gave them.
    matched = match(drawn, detections)
    overlaps = measure_overlaps(matched)
    selection = Selection.of_frames(matched, np.ones(len(drawn), np.bool_))
    once = Replicates(sequence=np.arange(len(drawn)), times=np.ones((1, len(drawn)), np.int16))
    chosen = []
    for index, rule in enumerate(rules):
        if rule.most_red_as_green is None:
            chosen.append(choose_operating_points(matched, overlaps, selection, once, rules)[index].score)
            continue
        kept = [_from_scores(item, points, index) for item in detections]
        again = match(drawn, kept)
        part = Selection.of_frames(again, np.ones(len(drawn), np.bool_))
        others = [rule if place == index else Rule(aim="recall") for place in range(len(rules))]
        chosen.append(choose_operating_points(again, measure_overlaps(again), part, once, others)[index].score)
    return chosen


def _from_scores(item: Detections, points, but: int) -> Detections:
    lowest = np.array([0.0 if i == but else point.score or 0.0 for i, point in enumerate(points)], np.float32)
    keep = item.score >= lowest[item.class_id]
    return Detections(xyxy=item.xyxy[keep], score=item.score[keep], class_id=item.class_id[keep])


def lamps_with_greens():
    """Twenty red lamps, of which three are said to be green ever more faintly, and ten green ones."""
    frames = []
    for index in range(20):
        found = [(0.0, 0.5, RED)]
        if index < 3:
            found.append((0.0, (0.9, 0.8, 0.55)[index], GREEN))
        elif index < 6:
            found.append((0.0, 0.45, GREEN))  # under the red one on the same lamp
        lamps = [(RED, 0.0)]
        if index < 10:
            lamps.append((GREEN, 100.0))
            found.append((100.0, 0.95 - 0.09 * index, GREEN))
        frames.append((lamps, found))
    return frames


@pytest.mark.parametrize(
    ("limit", "score"),
    [
        ("0", 0.95),  # the only green lamp above 0.9
        ("1/20", 0.86),
        ("2/20", 0.59),
        ("3/20", 0.14),  # never more than three: as low as any green lamp is found
        ("1", 0.14),
    ],
)
def test_green_goes_as_low_as_red_as_green_allows(choose, limit, score):
    found = choose(lamps_with_greens(), [f"red_as_green<={limit}"])
    assert found[RED].rule == "max_f1"
    assert found[GREEN].score == pytest.approx(score)


def test_best_f1_within_the_limit_need_not_be_the_lowest_score(choose):
    frames = lamps_with_greens()
    lowest = choose(frames, ["red_as_green<=1"])[GREEN]
    best = choose(frames, ["max_f1 and red_as_green<=1"])[GREEN]
    assert best.score >= lowest.score and best.f1 >= lowest.f1


@pytest.mark.parametrize(
    ("rule", "score"),
    [
        ("max_f1", 0.9),  # 2 * 1 / (1 + 2) there, 2 * 2 / (4 + 2) at 0.6
        ("recall>=0.5", 0.9),
        ("precision>=0.5", 0.6),
    ],
)
def test_of_equally_good_scores_the_higher_one_is_chosen(choose, rule, score):
    frames = [([(RED, 0.0), (RED, 40.0)], [(0.0, 0.9, RED), (400.0, 0.8, RED), (420.0, 0.7, RED), (40.0, 0.6, RED)])]
    assert choose(frames, [rule])[RED].score == pytest.approx(score)


def test_of_equal_precision_the_score_with_more_recall_is_chosen(choose):
    frames = [([(RED, 0.0), (RED, 40.0)], [(0.0, 0.9, RED), (40.0, 0.6, RED)])]
    assert choose(frames, ["recall>=0.5"])[RED].score == pytest.approx(0.6)


@pytest.mark.parametrize("wrong_score", [0.9, 0.8])
def test_limit_that_no_green_lamp_meets(choose, wrong_score):
    frames = [([(RED, 0.0), (GREEN, 100.0)], [(0.0, wrong_score, GREEN), (100.0, 0.8, GREEN), (0.0, 0.3, RED)])]
    green = choose(frames, ["red_as_green<=1/1000"])[GREEN]
    assert green.score is None
    assert green.why == "red as green is at least 1 of 1, at score 0.800 (recall 1.000)"


def test_a_limit_on_red_as_green_is_not_met_where_no_lamp_means_stop(choose):
    frames = [([(GREEN, 100.0)], [(100.0, 0.8, GREEN)])]
    for rule in ("red_as_green<=1/1000", "max_f1 and red_as_green<=1/1000"):
        green = choose(frames, [rule])[GREEN]
        assert green.score is None, "none of no lamps is no evidence"
        assert green.why.startswith("no lamp that means stop in these frames")
    assert choose(frames)[GREEN].score == pytest.approx(0.8)


def test_replicates_without_a_lamp_that_means_stop_do_not_meet_a_limit_on_red_as_green(choose):
    frames = [([(GREEN, 100.0), *([(RED, 0.0)] if index < 2 else [])], [(100.0, 0.8, GREEN)]) for index in range(8)]
    green = choose(frames, ["red_as_green<=1/1000"])[GREEN]
    # Neither of the two is drawn in (6/8)^8 = 10 % of the replicates.
    assert green.score == pytest.approx(0.8) and 0.8 < green.met_in < 0.97


# Detections (score, right) of ten lamps: several of one score count together or not at all.
TIES = [(0.9, True), (0.9, False), (0.8, True), (0.8, True), (0.8, True), (0.7, False), (0.6, True)]


@pytest.mark.parametrize(
    ("rule", "score"),
    [
        ("precision>=0.75", 0.8),  # 1/2, then 4/5, 4/6, 5/7: not met above it, met at it
        ("precision>=0.8", 0.8),  # exactly
        ("precision>=0.81", None),  # one right of the tie alone would do
        ("precision>=0.6", 0.6),
        ("recall>=0.2", 0.8),  # nothing between 1/10 and 4/10
        ("recall>=0.4", 0.8),
        ("recall>=0.41", 0.6),  # a plateau at 0.7 finds no more
    ],
)
def test_equal_scores_stand_or_fall_together(choose, rule, score):
    for order in (TIES, TIES[::-1], TIES[3:] + TIES[:3]):
        found, lamp, phantom = [], 0, 0
        for value, right in order:
            found.append((40.0 * lamp if right else 400.0 + 12 * phantom, value, RED))
            lamp, phantom = lamp + right, phantom + (not right)
        red = choose([(LAMPS, found)], [rule])[RED]
        assert red.score == (None if score is None else pytest.approx(score)), order


@pytest.mark.parametrize("seed", range(4))
def test_the_limit_holds_as_answers_count_it(random_problem, seed):
    problem = random_problem(seed, 40)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    overlaps = measure_overlaps(matched)
    selection = Selection.of_frames(matched, np.ones(len(truth), np.bool_))
    drawn = draw_replicates(sequence_numbers(truth), replicates=2)

    def as_green(scores) -> int:
        said = read_answers(matched, overlaps, scores).said
        return int(((truth.class_id == RED) & ~truth.is_ignored & (said == GREEN)).sum())

    n_stop = int(((truth.class_id == RED) & ~truth.is_ignored).sum())
    for share in (0.0, 0.05, 0.1, 0.2):
        rules = rules_of_classes([f"red_as_green<={share}"], truth.names, truth.means_stop, truth.means_go)
        points = choose_operating_points(matched, overlaps, selection, drawn, rules)
        if points[GREEN].score is None or points[RED].score is None:
            continue
        scores = [0.0 if point.score is None else point.score for point in points]
        assert as_green(scores) <= share * n_stop
        found = matched.score[(matched.class_id == GREEN) & overlaps.is_right]
        lower = found[found < points[GREEN].score]
        if lower.size:
            scores[GREEN] = float(lower.max())
            assert as_green(scores) > share * n_stop, "a lower score that finds another lamp is not allowed"


def test_a_perfect_class_of_few_drives_is_not_sure_to_be_perfect(choose):
    red = choose([([(RED, 0)], [(0, 0.9, RED)])] * 10)[RED]
    bound = 1 - 0.025 ** (1 / 10)
    assert (red.precision.low, red.recall.low, red.f1_low) == pytest.approx((1 - bound,) * 3)
    assert (red.f1, red.f1_high) == (1, 1)
