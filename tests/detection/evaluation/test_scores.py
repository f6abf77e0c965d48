"""What a score says in the plain, the empty and the planted case."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from tl_datasets.errors import DataError
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.taxonomy import State, Weather
from tl_detection.detector import Detections
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.protocol import COCO, AreaRange, CocoProtocol
from tl_detection.evaluation.scores import score

RED, YELLOW, GREEN, OFF = range(4)


def frame(name, *boxes, **fields):
    """A frame with lights given as (state, x1, y1, x2, y2)."""
    annotations = tuple(Annotation(xyxy=box[1:], state=box[0]) for box in boxes)
    return Frame(frame_id=name, path=f"{name}.png", width_px=640, height_px=480, annotations=annotations, **fields)


@pytest.fixture
def scored(lights, catalog_of, detections_of):
    """Score frames against rows of detections, one list per frame."""

    def run(frames, rows, label_space=lights, **options):
        truth = ground_truth_from_catalog(catalog_of(frames), label_space)
        return score(match(truth, [detections_of(item) for item in rows]), **options)

    return run


def test_ground_truth_against_itself_is_one(random_problem):
    problem = random_problem(3)
    truth = problem.ground_truth
    perfect = []
    for start, stop in zip(truth.offsets[:-1], truth.offsets[1:], strict=True):
        keep = ~truth.is_ignored[start:stop]
        n = int(keep.sum())
        perfect.append(
            Detections(
                xyxy=truth.xyxy[start:stop][keep], score=np.full(n, 0.9), class_id=truth.class_id[start:stop][keep]
            )
        )
    scores = score(match(truth, perfect))
    for name in ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar100", "ar_small", "ar_large"):
        assert getattr(scores, name) == pytest.approx(1, abs=1e-12), name
    for item in scores.classes:
        assert item.objects == 0 or (item.precision, item.recall, item.f1) == (1, 1, 1)


def test_nothing_detected_scores_zero_not_none(scored):
    scores = scored([frame("a", (State.RED, 0, 0, 10, 10))], [[]])
    assert (scores.ap, scores.ap50, scores.ar100, scores.detections) == (0, 0, 0, 0)
    red = scores.classes[RED]
    assert (red.recall, red.f1, red.precision) == (0, 0, None)
    assert scores.classes[GREEN].ap is None


def test_no_object_gives_no_value(scored):
    scores = scored([frame("a"), frame("b")], [[(0, 0, 9, 9, 0.9, RED)], []])
    values = {name: value for name, value in asdict(scores).items() if name[:2] in {"ap", "ar"}}
    assert len(values) == 12 and set(values.values()) == {None}
    assert (scores.frames, scores.objects, scores.classes_present, scores.detections) == (2, 0, 0, 1)
    assert scores.red_as_green.objects == 0


def test_no_frame_gives_no_value(scored):
    scores = scored([frame("a", (State.RED, 0, 0, 9, 9))], [[(0, 0, 9, 9, 0.9, RED)]], frame_mask=np.zeros(1, np.bool_))
    assert (scores.frames, scores.objects, scores.detections) == (0, 0, 0)
    assert scores.ap is None and scores.phantoms_per_frame is None


def test_counts(scored):
    boxes = [(State.RED, 0, 0, 10, 10), (State.UNKNOWN, 50, 0, 60, 10), (State.GREEN, 0, 100, 50, 150)]
    scores = scored([frame("a", *boxes), frame("b", *boxes)], [[(0, 0, 10, 10, 0.9, RED)] * 103, []])
    assert (scores.frames, scores.objects, scores.ignored) == (2, 4, 2)
    assert (scores.objects_small, scores.objects_medium, scores.objects_large) == (2, 2, 0)
    assert (scores.detections, scores.detections_beyond_limit) == (100, 3)
    assert [item.objects for item in scores.classes] == [2, 0, 2, 0]


@pytest.mark.parametrize(
    ("said", "precision"),
    [((50, 0, 60, 10, 0.9, RED), 1), ((50, 0, 55, 5, 0.9, RED), 1), ((50, 0, 60, 40, 0.9, RED), 0.5)],
    ids=["on the ignore area", "inside the ignore area", "mostly outside"],
)
def test_ignore_areas_swallow_detections_that_lie_on_them(scored, said, precision):
    boxes = [(State.RED, 0, 0, 10, 10), (State.UNKNOWN, 50, 0, 60, 10)]
    scores = scored([frame("a", *boxes)], [[(0, 0, 10, 10, 0.5, RED), said, said]], operating_scores=[0.1] * 4)
    expected = precision if precision == 1 else 1 / 3
    assert scores.classes[RED].precision == pytest.approx(expected)


def test_order_of_objects_does_not_matter_where_a_detection_lies_between_two(scored):
    """It takes the second by box; the other is then there for a detection that lies on it alone."""
    between, on_first = (2, 0, 12, 10, 0.9, RED), (0, 0, 10, 10, 0.8, RED)
    first, second = (State.RED, 0, 0, 10, 10), (State.RED, 4, 0, 14, 10)
    for objects in ((first, second), (second, first)):
        assert scored([frame("a", *objects)], [[between, on_first]]).ap50 == pytest.approx(1, abs=1e-12)


def test_order_of_detections_and_frames_does_not_matter(random_problem, lights):
    problem = random_problem(1)
    rng = np.random.default_rng(0)
    reference = score(match(problem.ground_truth, problem.detections))
    for _ in range(3):
        rows = rng.permutation(len(problem.catalog))
        catalog = problem.catalog.with_frames(problem.catalog.frames[rows])
        shuffled = []
        for row in rows:
            found = problem.detections[row]
            order = rng.permutation(len(found))
            shuffled.append(
                Detections(xyxy=found.xyxy[order], score=found.score[order], class_id=found.class_id[order])
            )
        assert score(match(ground_truth_from_catalog(catalog, lights), shuffled)) == reference


def test_phantoms_of_a_class_without_objects_are_reported(scored):
    frames = [
        frame("day", (State.RED, 0, 0, 20, 20), (State.YELLOW, 40, 0, 60, 20), weather=Weather.CLEAR),
        frame("fog", (State.RED, 0, 0, 20, 20), weather=Weather.FOGGY),
        frame("fog2", weather=Weather.FOGGY),
    ]
    right = (0, 0, 20, 20, 0.8, RED)
    phantoms = [(100 + 30 * i, 0, 120 + 30 * i, 20, 0.9, YELLOW) for i in range(6)]
    rows = [[right, (40, 0, 60, 20, 0.7, YELLOW)], [right, *phantoms], [(0, 0, 9, 9, 0.6, YELLOW)]]
    overall = scored(frames, rows)
    fog = scored(frames, rows, frame_mask=np.array([False, True, True]), operating_scores=overall.operating_scores)
    assert fog.ap == pytest.approx(1), "average precision does not see them"
    assert fog.classes[YELLOW].phantoms_per_frame == pytest.approx(6 / 2), "the one below the operating score is none"
    assert fog.phantoms_per_frame == pytest.approx(3)
    assert fog.classes[RED].phantoms_per_frame is None
    assert overall.classes[YELLOW].phantoms_per_frame is None


def test_red_reported_as_green_is_counted(scored):
    red, other = (State.RED, 0, 0, 20, 40), (State.RED_YELLOW, 100, 0, 120, 40)
    label_space = LabelSpace(
        classes={
            "red": Rule(state=["red"]),
            "yellow": Rule(state=["yellow"]),
            "green": Rule(state=["green"]),
            "red_yellow": Rule(state=["red_yellow"]),
        }
    )
    frames = [frame("a", red, other), frame("b", red), frame("c", red), frame("d", (State.GREEN, 0, 0, 20, 40))]
    rows = [
        [(0, 0, 20, 40, 0.9, GREEN), (0, 0, 20, 40, 0.6, RED), (100, 0, 120, 40, 0.7, YELLOW)],
        [(0, 0, 20, 40, 0.5, GREEN), (0, 0, 20, 40, 0.8, RED)],
        [(0, 0, 20, 40, 0.2, GREEN), (0, 0, 20, 15, 0.9, GREEN)],
        [(0, 0, 20, 40, 0.9, RED)],
    ]
    options = {"label_space": label_space, "operating_scores": [0.4] * 4}
    counts = scored(frames, rows, **options).red_as_green
    assert (counts.objects, counts.detected, counts.as_green) == (4, 3, 1)
    only_b = scored(frames, rows, frame_mask=np.array([False, True, False, False]), **options).red_as_green
    assert (only_b.objects, only_b.detected, only_b.as_green) == (1, 1, 0)


def test_red_as_green_knows_a_merged_stop_class_and_needs_a_green_one(scored):
    stop = Rule(state=["red", "red_yellow"])
    frames = [frame("a", (State.RED_YELLOW, 0, 0, 20, 40))]
    rows = [[(0, 0, 20, 40, 0.9, 1)]]
    merged = LabelSpace(classes={"stop": stop, "go": Rule(state=["green"])})
    assert scored(frames, rows, merged, operating_scores=[0.5, 0.5]).red_as_green.as_green == 1
    assert scored(frames, rows, LabelSpace(classes={"stop": stop, "any": Rule()})).red_as_green is None


def test_operating_score_is_where_f1_is_best_and_never_inside_a_tie(scored):
    hits = [(30 * i, 0, 30 * i + 20, 20) for i in range(4)]
    misses = [(200 + 30 * i, 100, 220 + 30 * i, 120) for i in range(6)]
    frames = [frame("a", *[(State.RED, *box) for box in hits])]
    # All four are found from 0.5 on, but only together with six misses of the same score: F1 0.57 instead of 1.
    scores = [0.9, 0.9, 0.5, 0.5, *[0.5] * 6]
    red = scored(frames, [[(*box, value, RED) for box, value in zip(hits + misses, scores, strict=True)]]).classes[RED]
    assert red.operating_score == pytest.approx(0.9)
    assert (red.precision, red.recall, red.f1) == (1, 0.5, pytest.approx(2 / 3))


def test_class_without_operating_score_takes_the_median_of_the_others_or_a_half(scored):
    lit = [(State.RED, 0, 0, 20, 20), (State.GREEN, 50, 0, 70, 20)]
    scores = scored([frame("a", *lit)], [[(0, 0, 20, 20, 0.75, RED), (50, 0, 70, 20, 0.25, GREEN)]])
    assert scores.operating_scores == (0.75, 0.5, 0.25, 0.5)
    assert scored([frame("a", *lit)], [[]]).operating_scores == (0.5,) * 4


def test_protocol_may_leave_out_sizes_and_thresholds(random_problem):
    problem = random_problem(2)
    truth = problem.ground_truth
    short = CocoProtocol(iou_thresholds=(0.5,), area_ranges=(AreaRange(name="all", low_px2=0, high_px2=1e10),))
    scores, full = (score(match(truth, problem.detections, protocol)) for protocol in (short, COCO))
    assert scores.ap == scores.ap50 == full.ap50
    assert scores.ap75 is None and scores.ap_small is None and scores.objects_small is None


@pytest.mark.parametrize(
    "change",
    [{"iou_thresholds": (0.6, 0.7)}, {"area_ranges": (AreaRange(name="small", low_px2=0, high_px2=9),)}],
    ids=["no 0.5", "no all"],
)
def test_protocol_refuses_what_the_scores_cannot_do_without(change):
    with pytest.raises(ValueError, match="expected"):
        replace(COCO, **change)


def test_detections_that_do_not_fit_are_refused(scored):
    frames = [frame("a", (State.RED, 0, 0, 9, 9)), frame("b")]
    with pytest.raises(DataError, match="1 results for 2 frames"):
        scored(frames, [[]])
    with pytest.raises(DataError, match=r"frame b: a detection has class id 4, the label space has 4 classes \(0 to 3"):
        scored(frames, [[], [(0, 0, 9, 9, 0.5, 4)]])
    with pytest.raises(ValueError, match="frame mask"):
        scored(frames, [[], []], frame_mask=np.ones(3, np.bool_))
    with pytest.raises(ValueError, match="operating scores"):
        scored(frames, [[], []], operating_scores=[0.5])


def test_up_to_62_thresholds(random_problem):
    """One more would not fit the bits; 62 give what they give in two lots."""
    problem = random_problem(4)
    many = tuple(np.round(np.linspace(0.36, 0.97, 62), 4).tolist())
    assert 0.5 in many

    def ap(thresholds):
        protocol = CocoProtocol(iou_thresholds=thresholds)
        return score(match(problem.ground_truth, problem.detections, protocol)).ap * len(thresholds)

    low, high = many[:31], (0.5, *many[31:])
    assert ap(many) == pytest.approx(ap(low) + ap(high) - ap((0.5,)), abs=1e-12)
    with pytest.raises(ValueError, match="63 IoU thresholds: expected at most 62"):
        CocoProtocol(iou_thresholds=(0.3, *many))
