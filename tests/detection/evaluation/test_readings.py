"""What a measure is in an evaluation, and which can never be anything."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tl_datasets.errors import UsageError
from tl_datasets.label_space import LabelSpace, Rule
from tl_detection.evaluation.conditions import slices_by
from tl_detection.evaluation.intervals import LEAST_SEQUENCES, interval
from tl_detection.evaluation.measures import NAMES, Measure
from tl_detection.evaluation.readings import check_measure, read_measure
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.report import evaluate_whole
from tl_detection.evaluation.scores import score


@pytest.fixture(scope="module")
def problem(random_problem):
    """Sixty frames of twenty drives under three kinds of weather."""
    drawn = random_problem(0, 60, crowded=False)
    names = pl.Series([f"drive{index % 20}" for index in range(60)])
    return replace(drawn, catalog=drawn.catalog.with_frames(drawn.catalog.frames.with_columns(sequence=names)))


@pytest.fixture(scope="module")
def evaluation(problem):
    return evaluate_whole(problem.detections, problem.catalog, problem.label_space, by=["weather", "time_of_day"])


def read(word, evaluation, **options):
    return read_measure(Measure.parse(word), evaluation, **options)


def masked(evaluation, **wanted):
    """Scores of the frames with these values, at the operating scores of all."""
    conditions = evaluation.matched.ground_truth.conditions
    mask = np.all([[value == want for value in conditions[column]] for column, want in wanted.items()], axis=0)
    return score(evaluation.matched, mask, evaluation.report.overall.operating_scores), mask


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("red_as_green", "phantoms_per_frame")])
def test_values_are_those_of_the_report(evaluation, name):
    overall = evaluation.report.overall
    assert read(f"{name}:red", evaluation).value == getattr(overall.classes[0], name) is not None
    of_classes = [getattr(item, name) for item in overall.classes if getattr(item, name) is not None]
    expected = np.mean(of_classes) if name in ("precision", "recall", "f1") else getattr(overall, name)
    assert read(name, evaluation).value == pytest.approx(expected)
    rainy = next(item.scores for item in evaluation.report.slices if item.name == "weather=rainy")
    found = read(f"{name}:red@weather=rainy", evaluation)
    assert found.value == getattr(rainy.classes[0], name)
    assert found.where == (None if found.value is None else "weather=rainy")


def test_red_as_green_is_a_share_of_the_objects_that_mean_stop(evaluation):
    counts = evaluation.report.overall.red_as_green
    assert counts.as_green > 0
    assert read("red_as_green", evaluation).value == counts.as_green / counts.objects


def test_slices_that_the_report_does_not_have_are_scored(evaluation):
    scores, _ = masked(evaluation, weather="rainy", time_of_day="night")
    assert read("ap50@time_of_day=night*weather=rainy", evaluation).value == scores.ap50
    scores, _ = masked(evaluation, scene="tunnel")
    assert read("recall:red@scene=tunnel", evaluation).value == scores.classes[0].recall
    scores, _ = masked(evaluation, weather=None)
    assert read("ap50@weather=not annotated", evaluation).value == scores.ap50


@pytest.mark.parametrize("word", ["ap50", "recall:red", "ap_small", "red_as_green"])
def test_worst_is_the_worst_of_the_slices_with_enough_objects(evaluation, word):
    slices = slices_by(evaluation.matched.ground_truth, ["weather", "scene"])
    by_name = {}
    for item in slices:
        by_name[item.name] = read(f"{word}@{item.column}={item.value}", evaluation).value
    worst = max if word == "red_as_green" else min
    found = read(f"{word}@worst(weather, scene)", evaluation, worst_needs_objects=1)
    assert found.value == worst(by_name.values()) and by_name[found.where] == found.value
    assert len(set(by_name.values())) > 2, "the slices differ"


def test_worst_leaves_out_slices_with_few_objects_of_the_class(evaluation):
    counts = {
        item.name: item.scores.classes[0].objects for item in evaluation.report.slices if item.column == "weather"
    }
    most = max(counts, key=counts.get)
    assert sorted(counts.values())[-2] < counts[most]
    word = "ap50:red@worst(weather)"
    assert read(word, evaluation, worst_needs_objects=counts[most]).where == most
    none = read(word, evaluation, worst_needs_objects=counts[most] + 1)
    assert (none.value, none.where) == (None, None)
    assert max(counts.values()) < evaluation.report.overall.objects


def test_bounds_are_those_of_the_interval(evaluation):
    matched, ops = evaluation.matched, evaluation.report.overall.operating_scores
    numbers = sequence_numbers(matched.ground_truth)
    _, mask = masked(evaluation, weather="rainy")
    for word, name, class_id in (("ap50", "ap50", None), ("f1", "f1", None), ("recall:red", "recall", 0)):
        head, _, tail = word.partition(":")
        tail = f":{tail}" if tail else ""
        drawn = draw_replicates(numbers, mask, replicates=100)
        expected = interval(matched, drawn, name, class_id=class_id, operating_scores=ops)
        low = read(f"{head}_lower{tail}@weather=rainy", evaluation, replicates=100).value
        high = read(f"{head}_upper{tail}@weather=rainy", evaluation, replicates=100).value
        assert (low, high) == (expected.low, expected.high)
        assert low < read(f"{word}@weather=rainy", evaluation).value < high
    worst = read("ap50_lower@worst(weather)", evaluation)
    each = [read(f"ap50_lower@{item.name}", evaluation).value for item in slices_by(matched.ground_truth, ["weather"])]
    assert worst.value == min(each) and worst == read("ap50_lower@worst(weather)", evaluation)


def test_the_order_of_the_catalog_does_not_matter(problem, evaluation):
    rows = np.random.default_rng(0).permutation(len(problem.catalog))
    catalog = problem.catalog.with_frames(problem.catalog.frames[rows])
    other = evaluate_whole([problem.detections[row] for row in rows], catalog, problem.label_space, by=[])
    for word in ("ap50_lower@worst(weather,time_of_day)", "f1_upper:red", "red_as_green_upper@worst(scene)"):
        assert read(word, other) == read(word, evaluation), word


def test_phantoms_are_of_classes_without_an_object(problem):
    only_red = problem.catalog.annotations.filter(pl.col("state") == "red")
    catalog = type(problem.catalog)(problem.catalog.frames, only_red, problem.catalog.roots)
    evaluation = evaluate_whole(problem.detections, catalog, problem.label_space, by=["weather"])
    overall = evaluation.report.overall
    assert read("phantoms_per_frame", evaluation).value == overall.phantoms_per_frame > 0
    assert read("phantoms_per_frame:yellow", evaluation).value == overall.classes[1].phantoms_per_frame
    assert read("phantoms_per_frame:red", evaluation).value is None
    bound = read("phantoms_per_frame_upper:yellow", evaluation).value
    assert bound > overall.classes[1].phantoms_per_frame
    worst = read("phantoms_per_frame:yellow@worst(weather)", evaluation, worst_needs_objects=1)
    each = {item.name: item.scores.classes[1].phantoms_per_frame for item in evaluation.report.slices}
    assert worst.value == max(each.values()) == each[worst.where]
    check_measure(Measure.parse("phantoms_per_frame:yellow"), catalog, problem.label_space)
    with pytest.raises(UsageError, match="phantoms are detections of a class without any object"):
        check_measure(Measure.parse("phantoms_per_frame:red"), catalog, problem.label_space)


# --- before the first epoch


def check(problem, word, **options):
    return check_measure(Measure.parse(word), problem.catalog, problem.label_space, **options)


def test_what_can_be_read_is_named(problem, caplog):
    assert check(problem, "ap50") == ("all frames",)
    assert check(problem, "ap50_lower@scene=tunnel*source=drawn") == ("scene=tunnel, source=drawn",)
    names = check(problem, "ap50@worst(weather)")
    assert names == ("weather=clear", "weather=rainy", "weather=foggy", "weather=not annotated")
    assert not caplog.records
    check(problem, "red_as_green")
    assert "at its best for a detector that finds nothing" in caplog.text


def test_what_worst_leaves_out_is_said(problem, evaluation, caplog):
    caplog.set_level(logging.INFO)
    counts = {item.name: item.scores.objects for item in evaluation.report.slices if item.column == "weather"}
    few, limit = min(counts, key=counts.get), sorted(counts.values())[1]
    names = check(problem, "ap50@worst(weather)", worst_needs_objects=limit)
    assert set(names) == set(counts) - {few}
    assert f"leaves out {few}: {counts[few]} objects, worst_needs_objects is {limit}" in caplog.text


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("ap50:rod", "no class 'rod'; did you mean 'red'"),
        (
            "ap50@weather=snowy",
            r"no frame to score with weather 'snowy'.* \(known: clear, rainy, foggy, not annotated\)",
        ),
        ("ap50@sequence=drive99", r"no frame to score with sequence 'drive99'; did you mean 'drive\d+'"),
        ("ap50@sequence=drive1*weather=foggy*scene=highway*time_of_day=night", r"time_of_day=night: no (frame|object)"),
        ("ap50_lower@sequence=drive3", f"sequences with an object: 1, an interval needs {LEAST_SEQUENCES}"),
        ("ap50@worst(sequence)", "worst_needs_objects is 1000; and 15 more"),
        ("phantoms_per_frame:red", "phantoms are detections of a class without any object"),
    ],
)
def test_what_can_never_be_read_is_refused(problem, word, message):
    with pytest.raises(UsageError, match=message) as caught:
        check(problem, word, worst_needs_objects=1000)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_a_class_that_no_frame_shows_is_refused(problem):
    red_only = problem.catalog.annotations.filter(pl.col("state") == "red")
    catalog = type(problem.catalog)(problem.catalog.frames, red_only, problem.catalog.roots)
    with pytest.raises(UsageError, match=r"give it no value \(all frames: no object that it is measured on"):
        check_measure(Measure.parse("ap50:green"), catalog, problem.label_space)
    assert check_measure(Measure.parse("ap50"), catalog, problem.label_space) == ("all frames",)


def test_worst_over_a_column_that_nobody_annotated_is_refused(problem):
    nothing_said = problem.catalog.frames.with_columns(scene=pl.lit(None, pl.String))
    catalog = problem.catalog.with_frames(nothing_said)
    with pytest.raises(UsageError, match="no frame to score says its scene; leave it out of worst"):
        check_measure(Measure.parse("ap50@worst(weather,weather*scene)"), catalog, problem.label_space)
    assert check_measure(Measure.parse("ap50@worst(weather)"), catalog, problem.label_space)


def test_red_as_green_needs_both_meanings(problem):
    lights = LabelSpace(classes={"light": Rule()})
    with pytest.raises(UsageError, match="needs a class of red and red_yellow alone, and one of green alone"):
        check_measure(Measure.parse("red_as_green"), problem.catalog, lights)


def test_what_was_checked_has_a_value(problem, evaluation):
    """Whatever passes the check can be read, and what it refuses cannot."""
    heads = ["ap50", "ap_large_lower", "recall:yellow", "f1_upper:off", "phantoms_per_frame:off", "red_as_green_lower"]
    wheres = ["", "@weather=rainy", "@worst(scene,weather)", "@weather=foggy*time_of_day=night", "@worst(sequence)"]
    passed = []
    for word in (head + where for head in heads for where in wheres):
        try:
            names = check(problem, word)
        except UsageError:
            assert read(word, evaluation).value is None, word
        else:
            found = read(word, evaluation)
            assert found.value is not None and found.where in names, word
            passed.append(word)
    assert 15 <= len(passed) < 30
