"""The words that name one number of an evaluation."""

from __future__ import annotations

import itertools

import pytest

from tl_datasets.config import validate_config
from tl_datasets.errors import ConfigError, UsageError
from tl_detection.config import RunConfig
from tl_detection.evaluation.conditions import check_columns
from tl_detection.evaluation.ground_truth import SLICE_COLUMNS
from tl_detection.evaluation.measures import NAMES, Measure

RUN = {
    "name": "t",
    "data": {"catalog": "c", "label_space": {"classes": {"red": {"state": "red"}, "off": {"state": "off"}}}},
    "model": {"kind": "yolo", "input": {"width_px": 64, "height_px": 32}},
}


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        ("ap50", Measure(name="ap50")),
        ("ap_small_lower", Measure(name="ap_small", bound="lower")),
        ("red_as_green_upper", Measure(name="red_as_green", bound="upper")),
        ("recall:red", Measure(name="recall", class_name="red")),
        ("ap:red: left", Measure(name="ap", class_name="red: left")),
        (" ap50 : red @ weather = rainy ", Measure(name="ap50", class_name="red", where=(("weather", "rainy"),))),
        ("f1@weather=not annotated", Measure(name="f1", where=(("weather", "not annotated"),))),
        (
            "ap50_lower:red@weather=rainy*time_of_day=night",
            Measure(
                name="ap50", bound="lower", class_name="red", where=(("weather", "rainy"), ("time_of_day", "night"))
            ),
        ),
        ("ap@sequence=a*b@c=d", Measure(name="ap", where=(("sequence", "a*b@c=d"),))),
        (
            "ap50_lower@worst(weather, time_of_day)",
            Measure(name="ap50", bound="lower", worst_over=("weather", "time_of_day")),
        ),
        ("ap50@worst(scene, weather * time_of_day)", Measure(name="ap50", worst_over=("scene", "weather*time_of_day"))),
    ],
)
def test_words_are_read(text, measure):
    assert Measure.parse(text) == measure


@pytest.mark.parametrize("name", NAMES)
def test_a_measure_is_written_as_it_is_read(name):
    heads = [name + bound for bound in ("", "_lower", "_upper")]
    wheres = ["", "@weather=rainy", "@weather=rainy*source=x", "@worst(weather,scene)", "@worst(weather*scene)"]
    classes = [""] if name == "red_as_green" else ["", ":red"]
    words = ["".join(parts) for parts in itertools.product(heads, classes, wheres)]
    assert [str(Measure.parse(word)) for word in words] == words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected NAME, NAME:CLASS or NAME@WHERE"),
        ("map50", r"no measure 'map50'; did you mean 'ap50'\? \(known: ap, ap50, .*red_as_green\)"),
        ("ap50_low", "no measure 'ap50_low'; did you mean 'ap50"),
        ("ap50_lower_upper", "no measure 'ap50_lower'"),
        ("xyz", r"no measure 'xyz' \(known: "),
        ("ap50:", "no class after the colon; write ap50:CLASS"),
        ("red_as_green:red", "leave :CLASS out"),
        ("ap50@", "after @ stands ''; expected column=value"),
        ("ap50@night", "after @ stands 'night'; expected column=value"),
        ("ap50@wether=rainy", "no column 'wether'; did you mean 'weather'"),
        ("ap50@weather=rainy*tme_of_day=night", "no column 'tme_of_day'; did you mean 'time_of_day'"),
        ("ap50@weather=rany", r"no weather 'rany'; did you mean 'rainy'\? \(known: clear, .*not annotated\)"),
        ("ap50@weather=rainy*weather=clear", "a column is named twice"),
        ("ap50@worst", "after @ stands 'worst'"),
        ("ap50@worst()", "no column ''"),
        ("ap50@worst(weather", "expected column=value"),
        ("ap50@worst(wether)", "no column 'wether'; did you mean 'weather'"),
        ("ap50@worst(weather,weather)", "a column is named twice"),
        ("ap50@worst(weather*weather)", "a column is named twice"),
        ("a" * 5000, "no measure 'aaa"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_near_word(text, message):
    with pytest.raises(UsageError, match=message) as caught:
        Measure.parse(text)
    assert str(caught.value).startswith("measure '") and len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_columns_are_those_of_the_evaluation():
    for column in SLICE_COLUMNS:
        check_columns([column])
        assert Measure.parse(f"ap@worst({column})").worst_over == (column,)


def test_less_is_better_of_mistakes_and_any_value_beats_none():
    assert [name for name in NAMES if not Measure.parse(name).higher_is_better] == [
        "phantoms_per_frame",
        "red_as_green",
    ]
    more, less = Measure.parse("recall:red"), Measure.parse("red_as_green_upper")
    assert more.is_better(0.6, 0.5) and not more.is_better(0.5, 0.6) and not more.is_better(0.5, 0.5)
    assert less.is_better(0.5, 0.6) and not less.is_better(0.6, 0.5) and not less.is_better(0.5, 0.5)
    for measure in (more, less):
        assert measure.is_better(0.0, None) and not measure.is_better(None, 0.0) and not measure.is_better(None, None)


def test_a_class_has_its_id():
    assert Measure.parse("ap50:green").class_id(("red", "green")) == 1
    assert Measure.parse("ap50").class_id(("red", "green")) is None
    with pytest.raises(UsageError, match=r"measure 'ap50:gren': no class 'gren'; did you mean 'green'\?"):
        Measure.parse("ap50:gren").class_id(("red", "green"))


def test_a_run_is_checked_for_its_measure():
    run = RunConfig.model_validate({**RUN, "evaluate": {"best_by": "ap50_lower:off@worst(weather, scene)"}})
    assert run.evaluate.best_by == "ap50_lower:off@worst(weather,scene)"
    assert RunConfig.model_validate(RUN).evaluate.best_by == "ap50"


@pytest.mark.parametrize(
    ("evaluate", "fault"),
    [
        ({"best_by": "ap05"}, "evaluate.best_by: .*no measure 'ap05'; did you mean"),
        ({"best_by": "ap50@weather=fogy"}, "evaluate.best_by: .*no weather 'fogy'; did you mean 'foggy'"),
        ({"best_by": "ap50:rd"}, "evaluate.best_by: measure 'ap50:rd': no class 'rd'; did you mean 'red'"),
        ({"worst_needs_objects": 0}, "evaluate.worst_needs_objects: "),
        ({"replicates": 10}, "evaluate.replicates: "),
    ],
)
def test_a_fault_of_the_measure_has_its_dotted_key(evaluate, fault):
    with pytest.raises(ConfigError, match=fault):
        validate_config(RunConfig, {**RUN, "evaluate": evaluate}, "run.yaml")
