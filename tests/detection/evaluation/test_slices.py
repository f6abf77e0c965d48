"""Slices by column and by expression: which frames, objects and detections they speak of."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.errors import UsageError
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.network_size import InputSize
from tl_datasets.taxonomy import Pictogram, Relevance, State, TimeOfDay, Weather
from tl_detection.detector import Detections
from tl_detection.evaluation.conditions import slices_by
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.intervals import LEAST_SEQUENCES
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.pairs import area_px2
from tl_detection.evaluation.slices import check_slice_names, count_slice, parse_slice, slice_by_expression

INPUT = InputSize(width_px=640, height_px=480)


def light(x, height, state=State.RED, **fields):
    return Annotation(xyxy=(x, 0, x + height / 2, height), state=state, **fields)


@pytest.fixture
def scene(catalog_of, lights, detections_of):
    """Four frames, of which the last is twice as large and holds nothing; an unknown light is an ignore area."""
    frames = [
        Frame(
            frame_id="rain at night",
            path="a.png",
            width_px=640,
            height_px=480,
            annotations=(
                light(0, 8, relevance=Relevance.RELEVANT, occluded=True, aspects=3),
                light(100, 40, State.GREEN, occluded=False, pictogram=Pictogram.CIRCLE),
                light(200, 8, State.UNKNOWN),
            ),
            weather=Weather.RAINY,
            time_of_day=TimeOfDay.NIGHT,
            sequence="s",
        ),
        Frame(
            frame_id="rain by day",
            path="b.png",
            width_px=640,
            height_px=480,
            annotations=(light(0, 8), light(100, 20, State.YELLOW)),
            weather=Weather.RAINY,
            time_of_day=TimeOfDay.DAYTIME,
            sequence="s",
        ),
        Frame(
            frame_id="nobody said",
            path="c.png",
            width_px=640,
            height_px=480,
            annotations=(light(0, 40),),
        ),
        Frame(
            frame_id="large and empty",
            path="d.png",
            width_px=1280,
            height_px=960,
            annotations=(),
            weather=Weather.CLEAR,
            time_of_day=TimeOfDay.NIGHT,
            sequence="t",
        ),
    ]
    found = [
        [(0, 0, 4, 8, 0.9, 0), (300, 0, 304, 8, 0.8, 2)],
        [(300, 0, 320, 40, 0.7, 0)],
        [],
        [(0, 0, 4, 8, 0.6, 1), (0, 0, 10, 20, 0.5, 0)],
    ]
    truth = ground_truth_from_catalog(catalog_of(frames), lights)
    return truth, match(truth, [detections_of(rows) for rows in found])


def chosen(scene, item):
    """Frames, objects (x1, height) by frame, and detection scores that a slice chooses."""
    truth, matched = scene
    selection = item.select(matched)
    assert (selection.objects == item.objects(truth)).all()
    return (
        [truth.frame_ids[index].split()[0] for index in np.flatnonzero(selection.frames)],
        np.flatnonzero(selection.objects).tolist(),
        sorted((matched.score[selection.detections] * 10).round().astype(int).tolist(), reverse=True),
    )


@pytest.mark.parametrize(
    ("text", "frames", "objects", "detections"),
    [
        # What is known of a frame decides for everything in it; what is not known is not true.
        ("night", ["rain", "large"], [0, 1], [9, 8, 6, 5]),
        ("rainy & ~daytime", ["rain"], [0, 1], [9, 8]),
        ("~rainy", ["large"], [], [6, 5]),
        ("weather == None", ["nobody"], [5], []),
        ("weather in [rainy, 'clear']", ["rain", "rain", "large"], [0, 1, 3, 4], [9, 8, 7, 6, 5]),
        ("sequence == 't' | sequence == 's' & night", ["rain", "large"], [0, 1], [9, 8, 6, 5]),
        # The size of a detection is its own.
        ("width_px < 5", ["rain", "rain", "nobody", "large"], [0, 3], [9, 8, 6]),
        ("night & rainy & width_px < 12", ["rain"], [0], [9, 8]),
        ("night and not height_px < 12", ["rain", "large"], [1], [5]),
        ("area_px2 == 32", ["rain", "rain", "nobody", "large"], [0, 3], [9, 8, 6]),
        ("6 <= height_px <= 20", ["rain", "rain", "nobody", "large"], [0, 3, 4], [9, 8, 6, 5]),
        ("network_height_px == 8", ["rain", "rain", "nobody", "large"], [0, 3], [9, 8]),
        ("network_height_px < 8", ["rain", "rain", "nobody", "large"], [], [6]),
        ("image_width_px > 640", ["large"], [], [6, 5]),
        ("height_px / width_px > 1.9 and x1 >= 100", ["rain", "rain", "nobody", "large"], [1, 4], [8, 7]),
        # The state of a detection is that of its class.
        ("red", ["rain", "rain", "nobody", "large"], [0, 3, 5], [9, 7, 5]),
        ("~red", ["rain", "rain", "nobody", "large"], [1, 4], [8, 6]),
        ("class_name == 'green' and rainy", ["rain", "rain"], [1], [8]),
        # Nobody knows what else a detection is, so it counts; what an object's source does not say is not true.
        ("occluded", ["rain", "rain", "nobody", "large"], [0], [9, 8, 7, 6, 5]),
        ("not occluded", ["rain", "rain", "nobody", "large"], [1], [9, 8, 7, 6, 5]),
        ("occluded == None", ["rain", "rain", "nobody", "large"], [3, 4, 5], [9, 8, 7, 6, 5]),
        ("relevant & night", ["rain", "large"], [0], [9, 8, 6, 5]),
        ("relevant & height_px > 10", ["rain", "rain", "nobody", "large"], [], [7, 5]),
        ("circle | height_px == 8 & rainy", ["rain", "rain", "nobody", "large"], [0, 1, 3], [9, 8, 7, 6, 5]),
        ("aspects == 3", ["rain", "rain", "nobody", "large"], [0], [9, 8, 7, 6, 5]),
        # Nothing at all.
        ("snowy", [], [], []),
        ("night & daytime", [], [], []),
    ],
)
def test_an_expression_chooses(scene, text, frames, objects, detections):
    item = slice_by_expression(scene[0], text, input_size=INPUT)
    assert chosen(scene, item) == (frames, objects, detections)
    assert (item.name, item.column, item.value) == (text, "expression", text)


def test_a_class_of_several_states_may_mean_each_of_them(catalog_of, detections_of):
    space = LabelSpace(classes={"stop": Rule(state=["red", "red_yellow"]), "go": Rule(state=["green"]), "any": Rule()})
    frame = Frame(frame_id="a", path="a", width_px=64, height_px=48, annotations=(light(0, 8), light(9, 8, State.OFF)))
    truth = ground_truth_from_catalog(catalog_of([frame]), space)
    matched = match(truth, [detections_of([(0, 0, 9, 9, 0.9, 0), (0, 0, 9, 9, 0.8, 1), (0, 0, 9, 9, 0.7, 2)])])
    seen = {
        text: chosen((truth, matched), slice_by_expression(truth, text)) for text in ("red", "green", "~red", "off")
    }
    assert seen == {
        "red": (["a"], [0], [9, 7]),
        "green": (["a"], [], [8, 7]),
        "~red": (["a"], [1], [9, 8, 7]),
        "off": (["a"], [1], [7]),
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("area", "text"),
    [("small", "area_px2 <= 1024"), ("medium", "1024 <= area_px2 <= 9216"), ("large", "9216 <= area_px2")],
)
def test_a_slice_by_size_speaks_of_what_cocos_area_range_speaks_of(random_problem, seed, area, text):
    problem = random_problem(seed)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    selection = slice_by_expression(truth, text).select(matched)
    at = matched.protocol.area_index(area)
    assert selection.frames.all()
    in_range = matched.protocol.area_ranges[at].holds(area_px2(truth.xyxy))
    assert (selection.objects == (in_range & ~truth.is_ignored)).all() and selection.objects.any()
    for level in range(len(matched.protocol.iou_thresholds)):
        found_nothing = ~matched.is_match[at, level]
        counts = ~matched.is_ignored[at, level]
        assert (selection.detections[found_nothing] == counts[found_nothing]).all() and found_nothing.any()


def test_every_by_slice_is_what_its_expression_says(random_problem):
    problem = random_problem(4)
    truth = problem.ground_truth
    matched = match(truth, problem.detections)
    by = ["weather", "state", "height_px", "network_width_px", "time_of_day*state*height_px", "class_name"]
    slices = slices_by(truth, by, input_size=INPUT)
    for column in by:
        parts = [item for item in slices if item.column == column]
        n_objects = sum(item.objects(truth).astype(int) for item in parts)
        assert (n_objects == ~truth.is_ignored).all(), f"{column}: each object is in one slice"
    texts = {
        "weather=rainy": "rainy",
        "weather=not annotated": "weather == None",
        "state=red": "red",
        "height_px=8-12": "8 <= height_px < 12",
        "height_px=48-": "height_px >= 48",
        "network_width_px=12-16": "12 <= network_width_px < 16",
        "time_of_day=night, state=red, height_px=48-": "night & red & height_px >= 48",
        "time_of_day=not annotated, state=red, height_px=48-": "time_of_day is None and red and height_px >= 48",
        "class_name=yellow": "class_name == 'yellow'",
    }
    by_name = {item.name: item for item in slices}
    for name, text in texts.items():
        assert chosen((truth, matched), by_name[name]) == chosen(
            (truth, matched), slice_by_expression(truth, text, input_size=INPUT)
        ), name


def test_by_names_values_in_order(scene):
    truth, _ = scene
    assert [item.name for item in slices_by(truth, ["occluded", "aspects", "height_px", "weather*relevance"])] == [
        *("occluded=false", "occluded=true", "occluded=not annotated", "aspects=3", "aspects=not annotated"),
        *("height_px=8-12", "height_px=16-24", "height_px=32-48"),
        "weather=rainy, relevance=relevant",
        "weather=rainy, relevance=not annotated",
        "weather=not annotated, relevance=not annotated",
    ]


def test_what_only_ignore_areas_are_makes_no_slice(scene):
    assert [item.name for item in slices_by(scene[0], ["state"])] == ["state=red", "state=yellow", "state=green"]


def test_a_catalog_without_conditions_has_one_slice_of_each(catalog_of, lights):
    frames = [Frame(frame_id=word, path=word, width_px=9, height_px=9, annotations=()) for word in "ab"]
    truth = ground_truth_from_catalog(catalog_of(frames), lights)
    slices = slices_by(truth, ["weather", "weather*scene", "sequence", "state", "time_of_day*height_px"])
    assert [(item.name, item.frame_mask.tolist()) for item in slices] == [
        ("weather=not annotated", [True, True]),
        ("weather=not annotated, scene=not annotated", [True, True]),
        ("sequence=not annotated", [True, True]),
    ], "and none by object, for there is none"
    empty = slice_by_expression(truth, "rainy | night")
    assert not empty.frame_mask.any()


def test_counts_say_what_a_slice_stands_on(catalog_of, lights):
    def frame(index, n_lights, sequence, **conditions):
        boxes = tuple(light(20 * each, 8) for each in range(n_lights))
        return Frame(
            frame_id=f"{index}", path=f"{index}", width_px=640, height_px=480, annotations=boxes, sequence=sequence,
            **conditions,
        )  # fmt: skip

    drives = [frame(index, 2, f"drive {index}", weather=Weather.RAINY) for index in range(LEAST_SEQUENCES)]
    frames = [*drives, frame(20, 12, "long", time_of_day=TimeOfDay.NIGHT), frame(21, 0, "long"), frame(22, 0, None)]
    truth = ground_truth_from_catalog(catalog_of(frames), lights)
    matched = match(truth, [Detections.empty()] * len(truth))

    def counts(text, least_objects=10):
        found = count_slice(truth, slice_by_expression(truth, text).select(matched), least_objects=least_objects)
        numbers = (found.frames, found.frames_with_objects, found.objects)
        return (*numbers, found.sequences, found.sequences_with_objects), found.too_small

    assert counts("red") == ((8, 6, 22, 7, 6), None)
    assert counts("rainy") == ((5, 5, 10, 5, 5), None)
    assert counts("rainy", 11) == ((5, 5, 10, 5, 5), "10 objects, fewer than 11")
    assert counts("night") == ((1, 1, 12, 1, 1), "1 sequences with objects, fewer than 5")
    assert counts("green") == ((8, 0, 0, 7, 0), "no object")
    assert counts("snowy") == ((0, 0, 0, 0, 0), "no frame")


@pytest.mark.parametrize(
    ("text", "name", "expression"),
    [
        ("small at night: night & width_px < 12", "small at night", "night & width_px < 12"),
        (" night ", "night", "night"),
        ('sequence == "a:b"', 'sequence == "a:b"', 'sequence == "a:b"'),
        ('a drive: sequence == "a:b"', "a drive", 'sequence == "a:b"'),
    ],
)
def test_a_slice_may_have_a_name(text, name, expression):
    found, read = parse_slice(text)
    assert (found, read.text) == (name, expression)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nigt & rainy", "no column or word 'nigt'; .* did you mean 'night'"),
        ("widht_px < 12", "no column or word 'widht_px'; .* did you mean 'width_px'"),
        ("weather == 'rany'", r"weather is never 'rany'; did you mean 'rainy'\? \(clear, "),
        ("weather == Rainy", "weather is never 'Rainy'; did you mean 'rainy'"),
        ("state in [red, gren]", "state is never 'gren'; did you mean 'green'"),
        ("pedestrian", "'pedestrian' is a word of category and pictogram; write category == "),
        ("undefined", "word of weather and scene and time_of_day"),
        ("train & night", "'train' is a word of category and split"),
        ("height_px & night", "'height_px' alone is neither true nor false"),
        ("height_px < 'small'", r"'height_px' \(a number\) cannot be compared with ''small'' \(text\)"),
        ("weather < 12", "cannot be compared"),
        ("weather + 1 > 2", "'weather' is no number"),
        ("sequence == Berlin", "no column 'Berlin'"),
        ("night = 1", "expected e.g."),
        ("night && rainy", "expected e.g."),
        ("(night", "expected e.g."),
        ("night if rainy else red", "not part of a filter"),
        ("__import__('os')", "not part of a filter"),
        ("", "expected an expression"),
        ("name:", "expected an expression"),
        (": night", "expected an expression"),
        ("3 < 4", "no column in it"),
        ("(" * 3000 + "night" + ")" * 3000, "expected e.g."),
        ("not " * 3000 + "night", "expected e.g."),
    ],
)
def test_a_slice_that_cannot_be_read_is_refused_in_one_line(text, message):
    with pytest.raises(UsageError, match=message) as caught:
        parse_slice(text)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("slice")


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (["hieght_px"], "no column 'hieght_px'; .*did you mean 'height_px'"),
        (["x1"], "'x1' differs nearly everywhere; choose by it with --slice"),
        (["network_height_px"], "network_height_px needs the size of the detector's input; give --input-size"),
        (["weather*weather"], "named twice"),
    ],
)
def test_columns_that_cannot_be_sliced_by_are_refused(scene, by, message):
    with pytest.raises(UsageError, match=message):
        slices_by(scene[0], by)


def test_sizes_in_the_network_need_its_input(scene):
    with pytest.raises(UsageError, match=r"slice 'network_width_px < 4': .* give --input-size"):
        slice_by_expression(scene[0], "network_width_px < 4")


@pytest.mark.parametrize("name", ["overall", "all frames", "new frames", "old frames"])
def test_names_that_mean_something_else_in_a_report_are_refused(scene, name):
    with pytest.raises(UsageError, match=f"a report calls something else '{name}'; choose another name"):
        slice_by_expression(scene[0], f"{name}: night")


def test_two_slices_of_one_name_are_refused(scene):
    slices = [slice_by_expression(scene[0], text) for text in ("wet: rainy", "wet: snowy")]
    check_slice_names(slices[:1])
    with pytest.raises(UsageError, match="two slices have this name"):
        check_slice_names(slices)
