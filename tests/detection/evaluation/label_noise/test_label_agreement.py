"""Two annotations of the same frames: what they share, and what a score against one of them can mean."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import polars as pl
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, UsageError
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.taxonomy import State, Weather
from tl_detection.evaluation.label_noise.label_agreement import label_agreement
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.scores import score

RED, GREEN, UNKNOWN = State.RED, State.GREEN, State.UNKNOWN


def light(x, state=RED, *, height=40.0, **fields):
    return Annotation(xyxy=(x, 0, x + 20, height), state=state, **fields)


def frame(name, *boxes, width_px=1000, path=None, labelled=True, **fields):
    return Frame(
        frame_id=name,
        path=path or f"{name}.png",
        width_px=width_px,
        height_px=500,
        annotations=boxes if labelled else None,
        **fields,
    )


@pytest.fixture
def agreement(catalog_of, lights):
    def measure(first, second, **options):
        catalogs = [part if isinstance(part, Catalog) else catalog_of(part) for part in (first, second)]
        return label_agreement(*catalogs, options.pop("label_space", lights), **({"replicates": 50} | options))

    return measure


def values(direction):
    """(precision, recall, F1) at 0.5 and at 0.75, by category; then by class."""
    return [
        tuple(item.value if item is not None else None for item in (at.precision, at.recall, at.f1))
        for at in (*direction.boxes, *direction.classes)
    ]


def test_an_annotation_agrees_with_itself(agreement, random_problem):
    catalog = random_problem(2, crowded=False).catalog
    found = agreement(catalog, catalog, by=["weather"])
    assert found.slices[0].name == "weather=clear" and len(found.slices) == 4
    for item in (found.overall, *found.slices):
        for direction in (item.first_as_predictions, item.second_as_predictions):
            assert values(direction) == [(1, 1, 1)] * 4
            assert (direction.ap, direction.ap50, direction.ap75) == pytest.approx((1, 1, 1))
        assert item.states.same.value == 1 and item.states.kappa.value == pytest.approx(1)
        assert item.states.pairs == item.first_objects == item.second_objects > 0
        assert item.states.iou_mean == pytest.approx(1)
    assert (found.only_in_first.frames, found.only_in_second.frames, found.by_path) == (0, 0, 0)
    json.dumps(dataclasses.asdict(found), allow_nan=False)


def test_known_differences_are_counted(agreement):
    # Of four lights the second annotator misses one, gives one another state, draws one 30 % lower, and adds one.
    first = [frame("a", light(0), light(100), light(200, GREEN), light(300, GREEN))]
    second = [frame("a", light(100, GREEN), light(200, GREEN), light(300, GREEN, height=28), light(600))]
    found = agreement(first, second).overall
    two_thirds = pytest.approx(3 / 4), pytest.approx(3 / 4), pytest.approx(6 / 8)
    assert values(found.second_as_predictions) == [two_thirds, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)]
    assert values(found.first_as_predictions) == [two_thirds, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)]
    states = found.states
    assert (states.pairs, states.labels) == (3, ("red", "yellow", "green", "off"))
    assert states.table == ((0, 0, 1, 0), (0, 0, 0, 0), (0, 0, 2, 0), (0, 0, 0, 0))
    assert states.same.value == pytest.approx(2 / 3)
    assert (states.iou_mean, states.iou_median) == (pytest.approx((1 + 1 + 0.7) / 3), pytest.approx(1))
    # Expected by chance: the second says green of all, the first of two thirds.
    assert states.kappa.value == pytest.approx(0)
    assert found.is_small and (found.first_objects, found.second_objects) == (4, 4)


def test_kappa_is_that_of_the_textbook(agreement):
    # Yes and yes 20, yes and no 5, no and yes 10, no and no 15: observed 0.7, expected 0.5, kappa 0.4.
    words = [(RED, RED)] * 20 + [(RED, GREEN)] * 5 + [(GREEN, RED)] * 10 + [(GREEN, GREEN)] * 15
    first = [frame(f"{index}", light(0, own)) for index, (own, _) in enumerate(words)]
    second = [frame(f"{index}", light(0, other)) for index, (_, other) in enumerate(words)]
    states = agreement(first, second, replicates=500).overall.states
    assert states.kappa.value == pytest.approx(0.4)
    assert (states.table[0][0], states.table[0][2], states.table[2][0], states.table[2][2]) == (20, 5, 10, 15)
    # The textbook's standard error of kappa: sqrt(0.7 * 0.3 / (50 * 0.5 ** 2)) = 0.13.
    assert (states.kappa.high - states.kappa.low) / 2 == pytest.approx(1.96 * 0.13, abs=0.04)
    assert states.same.value == pytest.approx(0.7)


def test_the_other_way_round_is_the_same(agreement, random_problem):
    first = random_problem(3, crowded=False, on_grid=False).catalog
    rng = np.random.default_rng(0)
    cut = pl.Series(rng.uniform(0, 0.6, len(first.annotations)))
    moved = first.annotations.with_columns(y1=pl.col("y1") + cut * (pl.col("y2") - pl.col("y1")))
    second = Catalog(first.frames.sample(fraction=1, shuffle=True, seed=1), moved, first.roots)
    one, other = agreement(first, second).overall, agreement(second, first).overall
    assert one.first_as_predictions.boxes == other.second_as_predictions.boxes
    assert one.second_as_predictions.classes == other.first_as_predictions.classes
    assert 0 < one.second_as_predictions.boxes[1].f1.value < one.second_as_predictions.boxes[0].f1.value < 1
    assert np.array_equal(np.array(one.states.table).T, other.states.table)
    assert one.states.kappa == other.states.kappa


def test_the_second_annotation_scores_what_such_detections_score(agreement, random_problem, detections_of, lights):
    problem = random_problem(5, crowded=False)
    truth = problem.ground_truth
    rng = np.random.default_rng(0)
    shifted = problem.catalog.annotations.with_columns(
        x1=problem.catalog.annotations["x1"] + rng.integers(-3, 4, len(problem.catalog.annotations))
    ).filter(~problem.catalog.annotations["ignore"])
    second = Catalog(problem.catalog.frames, shifted, problem.catalog.roots)
    found = agreement(problem.catalog, second).overall
    detections = []
    for frame_id in truth.frame_ids:
        own = shifted.filter((pl.col("frame_id") == frame_id) & pl.col("state").is_in(lights.names))
        rows = own.select("x1", "y1", "x2", "y2", "state").rows()
        detections.append(detections_of([(*box[:4], 1.0, lights.names.index(box[4])) for box in rows]))
    expected = score(match(truth, detections), operating_scores=[1.0] * 4)
    direction = found.second_as_predictions
    assert (direction.ap, direction.ap50, direction.ap75) == pytest.approx((expected.ap, expected.ap50, expected.ap75))
    assert 0 < direction.ap < 1
    at_half = direction.classes[0]
    n_right = sum(round(item.recall * item.objects) for item in expected.classes if item.objects)
    assert (at_half.recall.part, at_half.recall.whole) == (n_right, expected.objects)


def test_what_the_judging_one_could_not_read_counts_neither_way_and_what_the_other_could_not_is_missed(agreement):
    first = [frame("a", light(0), light(100, UNKNOWN), light(200))]
    second = [frame("a", light(0), light(100, GREEN), light(200, ignore=True))]
    found = agreement(first, second).overall
    # The second's green lies where the first could not tell; the first's last red lies where the second ignores.
    assert values(found.second_as_predictions)[0] == (1, 0.5, pytest.approx(2 / 3))
    assert values(found.first_as_predictions)[0] == (1, 0.5, pytest.approx(2 / 3))
    assert found.states.pairs == 1 and (found.first_objects, found.second_objects) == (2, 2)


def test_frames_of_one_annotation_alone_are_named(agreement):
    first = [frame("a", light(0)), frame("b", light(0)), frame("c", light(0)), frame("d", light(0), labelled=False)]
    second = [frame("e", light(0)), frame("a", light(0)), frame("d", light(0)), frame("f", light(0))]
    found = agreement(first, second)
    assert (found.overall.frames, found.overall.first_objects) == (1, 1)
    assert (found.only_in_first.frames, found.only_in_first.frame_ids) == (2, ("b", "c"))
    assert (found.only_in_second.frames, found.only_in_second.frame_ids) == (2, ("e", "f"))
    assert (found.not_labelled.frames, found.not_labelled.frame_ids) == (1, ("d",))


def test_frames_of_another_part_are_not_missing(agreement, catalog_of):
    whole = catalog_of([frame("a", light(0), split="val"), frame("b", light(0), split="train")])
    second = [frame("a", light(0)), frame("b", light(0)), frame("c", light(0))]
    part = whole.filter('split == "val"')
    assert agreement(part, second, whole=whole).only_in_second.frame_ids == ("c",)
    assert agreement(part, second).only_in_second.frame_ids == ("b", "c")


def test_frames_with_other_ids_are_found_by_path(agreement):
    first = [frame("a", light(0), path="x/1.png"), frame("b", light(50), path="x/2.png")]
    second = [frame("n2", light(50), path="x/2.png"), frame("a", light(0), path="other.png")]
    found = agreement(first, second)
    assert (found.overall.frames, found.by_path) == (2, 1)
    assert values(found.overall.second_as_predictions) == [(1, 1, 1)] * 4
    # A path that belongs to a frame which was found by its id already is not taken a second time.
    other = frame("n3", light(0), path="x/1.png")
    for frames in ([*second, other], [other, *second]):
        twice = agreement(first, frames)
        assert twice.overall.frames == 2 and twice.only_in_second.frame_ids == ("n3",)


def test_slices_and_intervals_are_those_of_the_first(agreement):
    def frames(states, **fields):
        return [frame(f"{index}", light(0, state), **fields) for index, state in enumerate(states)]

    wet = Weather.RAINY
    first = [
        dataclasses.replace(item, weather=wet if index < 6 else Weather.CLEAR, sequence=f"s{index}")
        for index, item in enumerate(frames([RED] * 12))
    ]
    second = frames([GREEN] * 3 + [RED] * 9)
    found = agreement(first, second, by=["weather"])
    by_name = {item.name: item for item in found.slices}
    assert by_name["weather=rainy"].states.same.value == 0.5 and by_name["weather=rainy"].sequences == 6
    assert by_name["weather=clear"].states.same.value == 1 and by_name["weather=clear"].states.kappa.value is None
    same = found.overall.states.same
    assert (same.value, same.sequences) == (0.75, 12) and same.low < 0.75 < same.high
    f1 = found.overall.second_as_predictions.classes[0].f1
    assert f1.low < f1.value < f1.high


def test_frames_without_a_box_give_no_value(agreement):
    found = agreement([frame("a"), frame("b")], [frame("a"), frame("b")]).overall
    assert values(found.first_as_predictions) == [(None, None, None)] * 4
    assert found.first_as_predictions.ap is None and found.is_small
    assert (found.states.pairs, found.states.same.value, found.states.kappa.value) == (0, None, None)
    assert (found.states.iou_mean, found.states.iou_median) == (None, None)
    json.dumps(dataclasses.asdict(found), allow_nan=False)
    one_side = agreement([frame("a", light(0))], [frame("a")]).overall
    assert values(one_side.second_as_predictions)[0] == (None, 0, 0)
    assert values(one_side.first_as_predictions)[0] == (0, None, 0)


def test_boxes_that_overlap_most_are_the_shared_ones(agreement):
    # Each lamp lies over its neighbour, too, by more than half.
    both = [frame("a", light(0, RED), light(6, GREEN), light(12, RED))]
    states = agreement(both, both).overall.states
    assert (states.pairs, states.same.value, states.iou_mean) == (3, 1, 1)


def test_one_label_alone_agrees_in_nothing(agreement):
    first = [frame(f"{index}", light(0), sequence=f"s{index}") for index in range(8)]
    states = agreement(first, first, label_space=LabelSpace(classes={"light": Rule()})).overall.states
    assert (states.pairs, states.labels, states.table) == (8, ("light",), ((8,),))
    assert (states.same.value, states.same.whole, states.kappa.value) == (None, 0, None)


def test_drawing_again_what_never_agrees_or_always_does_not_make_it_sure(agreement):
    first = [frame(f"{index}", light(0, RED if index % 2 else GREEN), sequence=f"s{index}") for index in range(8)]
    second = [frame(f"{index}", light(500, RED if index % 2 else GREEN)) for index in range(8)]
    never = agreement(first, second).overall.second_as_predictions.boxes[0].f1
    assert (never.value, never.low) == (0, 0) and never.high == pytest.approx(1 - 0.025 ** (1 / 8))
    kappa = agreement(first, first).overall.states.kappa
    assert (kappa.value, kappa.low, kappa.high) == (1, None, None)


def test_more_boxes_than_the_protocols_maximum_are_all_compared(agreement):
    lamps = [light(6.0 * index) for index in range(130)]
    found = agreement([frame("a", *lamps)], [frame("a", *lamps)]).overall
    assert found.second_as_predictions.boxes[0].recall.part == 130


def test_what_cannot_be_compared_is_refused(agreement, catalog_of):
    first = [frame("a", light(0))]
    with pytest.raises(DataError, match="none of its 1 frames is among the 1 of the first"):
        agreement(first, [frame("b", light(0))])
    with pytest.raises(DataError, match="frame a: 1000x500 pixels in the first annotation, 2000x500 in the second"):
        agreement(first, [frame("a", light(0), width_px=2000)])
    with pytest.raises(DataError, match="of the 1 frames that both have, none is labelled"):
        agreement(first, [frame("a", labelled=False)])
    with pytest.raises(UsageError, match="'state' is of objects"):
        agreement(first, first, by=["state"])
    only_red = LabelSpace(classes={"red": Rule(state=["red"])})
    with pytest.raises(DataError, match="second annotation: label space: 1 boxes are named by no rule"):
        agreement(first, [frame("a", light(0, GREEN))], label_space=only_red)
