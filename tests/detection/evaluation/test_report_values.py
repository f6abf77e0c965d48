"""What a measure or a rate is in a report: the right slice, and what it stands on."""

from __future__ import annotations

import pytest

from tl_datasets.errors import DataError
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.taxonomy import State
from tl_detection.evaluation.all_intervals import with_intervals
from tl_detection.evaluation.intervals import LEAST_SEQUENCES
from tl_detection.evaluation.measures import Measure
from tl_detection.evaluation.report import evaluate_whole
from tl_detection.evaluation.report_values import reported_rate, reported_values
from tl_detection.evaluation.slice_analyses import analyse_slices

BOX = (10.0, 10.0, 20.0, 40.0)
BESIDE = (30.0, 10.0, 40.0, 40.0)
# One name holds the other and a dot.
LIGHTS = LabelSpace(classes={"a": Rule(state=["red"]), "a.b": Rule(state=["green"])}, otherwise="error")


def read(report, word, slice_name=None):
    return reported_values(report, Measure.parse(word), slice_name)


@pytest.fixture
def report(catalog_of, detections_of):
    """Six drives: green in each and found in five of them, red in two and never found."""
    frames = [
        Frame(
            frame_id=f"{n}",
            path="a.png",
            width_px=64,
            height_px=48,
            sequence=f"{n}",
            annotations=(
                Annotation(xyxy=BOX, state=State.GREEN),
                *([Annotation(xyxy=BESIDE, state=State.RED)] if n < 2 else []),
            ),
        )
        for n in range(6)
    ]
    found = [detections_of([] if n == 5 else [(*BOX, 0.9, 1)]) for n in range(6)]
    evaluation = evaluate_whole(found, catalog_of(frames), LIGHTS, by=[])
    return analyse_slices(evaluation, replicates=20).put_into(with_intervals(evaluation, replicates=50))


def test_what_has_no_interval_has_too_few_sequences(report):
    (green,), (red,) = read(report, "recall:a.b"), read(report, "recall:a")
    assert (green.value, green.counted, green.sequences) == (pytest.approx(5 / 6), 6, 6)
    assert (red.value, red.interval, red.counted) == (0, None, 2)
    assert red.sequences == LEAST_SEQUENCES - 1 < report.sequences


def test_a_rate_is_found_by_the_longest_name_and_says_of_how_many(report):
    rate = reported_rate(report, "lights.missed.by_class.a.b")
    assert (rate.value, rate.counted, rate.sequences) == (pytest.approx(1 / 6), 6, 6)
    assert rate.interval is not None and rate.interval.low <= rate.value <= rate.interval.high
    assert reported_rate(report, "lights.missed.by_class.a.b", "upper").value == rate.interval.high
    rate = reported_rate(report, "lights.missed.by_class.a")
    assert (rate.value, rate.counted, rate.interval) == (1, 2, None)
    with pytest.raises(DataError, match="no part 'by_clas'; did you mean 'by_class'"):
        reported_rate(report, "lights.missed.by_clas.a")


def test_a_cross_is_found_in_either_order(random_problem):
    problem = random_problem(0, 60)
    evaluation = evaluate_whole(
        problem.detections, problem.catalog, problem.label_space, by=["weather", "weather*time_of_day"]
    )
    report = evaluation.report
    expected = next(item for item in report.slices if item.name == "weather=rainy, time_of_day=night")
    for where in ("weather=rainy*time_of_day=night", "time_of_day=night*weather=rainy"):
        (found,) = read(report, f"ap50@{where}")
        assert (found.where, found.value, found.counted) == (
            expected.name,
            expected.scores.ap50,
            expected.scores.objects,
        )
    worst = read(report, "ap50@worst(time_of_day*weather)")
    assert {item.where for item in worst} == {item.name for item in report.slices if "*" in item.column}
    with pytest.raises(DataError, match=r"no slices by scene .*--by weather,weather\*time_of_day,scene"):
        read(report, "ap50@worst(scene)")
    with pytest.raises(DataError, match="the report has no intervals"):
        read(report, "ap50_lower")
