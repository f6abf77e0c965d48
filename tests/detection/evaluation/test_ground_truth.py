"""Which frames and boxes are scored."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.errors import UsageError
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import IGNORE_ANY, LabelSpace, Rule
from tl_datasets.taxonomy import State, TimeOfDay, Weather
from tl_detection.evaluation.conditions import slices_by
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog


def frame(name, annotations=(), **fields):
    return Frame(frame_id=name, path=f"{name}.png", width_px=64, height_px=48, annotations=annotations, **fields)


def light(state, x=0.0, **fields):
    return Annotation(xyxy=(x, 0, x + 5, 9), state=state, **fields)


def test_classes_ignore_areas_and_dropped_boxes(catalog_of, lights):
    boxes = (
        light(State.GREEN),
        light(None, 10),
        light(State.UNKNOWN, 20),
        light(State.RED, 30, ignore=True),
        light(None, 40, ignore=True),
    )
    truth = ground_truth_from_catalog(catalog_of([frame("empty"), frame("a", boxes)]), lights)
    assert truth.class_id.tolist() == [2, IGNORE_ANY, 0]
    assert truth.is_ignored.tolist() == [False, True, True]
    assert truth.xyxy[:, 0].tolist() == [0, 20, 30]
    assert truth.offsets.tolist() == [0, 0, 3]
    assert truth.frame_index.tolist() == [1, 1, 1]


def test_frames_that_nobody_labelled_are_left_out_and_counted(catalog_of):
    label_space = LabelSpace(classes={"light": Rule(), "car": Rule(category=["car"])})
    frames = [
        frame("unlabelled", None),
        frame("lights only", (light(State.RED),), labelled_categories=("traffic_light",)),
        frame("negative"),
        frame("both", (light(State.RED), light(State.RED, 20)), labelled_categories=("car", "traffic_light", "bus")),
    ]
    catalog = catalog_of(frames)
    truth = ground_truth_from_catalog(catalog, label_space)
    assert truth.frame_ids == ("negative", "both")
    assert truth.rows.tolist() == [2, 3]
    assert truth.offsets.tolist() == [0, 0, 2]
    assert (truth.frames_unlabelled, truth.frames_partial) == (1, 1)
    only_lights = ground_truth_from_catalog(catalog, LabelSpace(classes={"light": Rule()}))
    assert only_lights.frame_ids == ("lights only", "negative", "both")


@pytest.fixture
def conditioned(catalog_of, lights):
    rows = [(Weather.FOGGY, TimeOfDay.NIGHT), (None, TimeOfDay.DAYTIME), (Weather.CLEAR, None), (Weather.FOGGY, None)]
    frames = [frame(f"f{i}", weather=weather, time_of_day=time) for i, (weather, time) in enumerate(rows)]
    return ground_truth_from_catalog(catalog_of(frames), lights)


def test_one_slice_per_value_in_vocabulary_order_and_not_annotated_last(conditioned):
    slices = slices_by(conditioned, ["weather"])
    assert [item.name for item in slices] == ["weather=clear", "weather=foggy", "weather=not annotated"]
    assert [np.flatnonzero(item.frame_mask).tolist() for item in slices] == [[2], [0, 3], [1]]


def test_slices_of_a_column_are_a_partition_and_crosses_are_intersections(conditioned):
    for column in ("weather", "time_of_day", "scene", "source", "weather*time_of_day"):
        assert (sum(item.frame_mask.astype(int) for item in slices_by(conditioned, [column])) == 1).all(), column
    cross = slices_by(conditioned, ["weather*time_of_day"])
    assert [item.value for item in cross] == [
        "clear*not annotated",
        "foggy*night",
        "foggy*not annotated",
        "not annotated*daytime",
    ]
    assert cross[1].name == "weather=foggy, time_of_day=night"
    assert cross[1].frame_mask.tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (["wether"], "no column 'wether'; expected weather, scene"),
        (["weather*"], "no column ''"),
        (["scene", "scene"], "named twice"),
    ],
)
def test_unknown_columns_are_refused(conditioned, by, message):
    with pytest.raises(UsageError, match=message):
        slices_by(conditioned, by)
